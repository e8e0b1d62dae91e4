"""Les produits par cuBLAS, la bibliothèque de NVIDIA, là où elle est installée.

Elle est cherchée une fois, parmi les paquets de Python (ceux de NVIDIA, celui de PyTorch), puis
dans le système. Sans elle, ou sans GPU, les produits gardent leurs tuiles (`products`) ;
`product_tier()` dit lequel des deux calcule, et pourquoi.

cuBLAS range ses matrices par colonnes. Nos lignes sont les colonnes de la transposée : il calcule
donc outᵀ = bᵀ aᵀ, et rien n’est copié tant qu’un des deux pas d’une matrice vaut 1.

Ordre de lecture : `product_tier`, `library`, `Library`, `layout`.
"""

import ctypes
import ctypes.util
import functools
import importlib.util
from pathlib import Path

from engine.backends.cuda.calls import DeviceError
from engine.backends.cuda.machines import machine
from engine.backends.cuda.views import contiguous
from engine.typography import typeset

_NAMES = ("libcublas.so.13", "libcublas.so.12", "cublas64_13.dll", "cublas64_12.dll")
_FOLDERS = {
    "nvidia": ("cu13/lib", "cublas/lib", "cu13/bin/x86_64", "cublas/bin"),
    "torch": ("lib",),
}
_DEFAULT_MATH = 0  # float32 se calcule en float32 : pas de TF32
_AS_IS, _TRANSPOSED = 0, 1
_LIMIT = 2**31 - 1  # cuBLAS compte en entiers de 32 bits
_NUMBERS = {
    dtype: (letter, ctypes.byref(kind(1)), ctypes.byref(kind(0)))
    for dtype, letter, kind in (("float32", "S", ctypes.c_float), ("float64", "D", ctypes.c_double))
}
_WORDS = {  # les arguments : p une adresse, i un entier, l un entier de 64 bits
    "gemm": "piiiiippipippi",
    "gemv": "piiippipippi",
    "gemmStridedBatched": "piiiiippilpilppili",
}
_KINDS = {"p": ctypes.c_void_p, "i": ctypes.c_int, "l": ctypes.c_longlong}


def product_tier():
    """Dit en français qui calcule les produits, et pourquoi.

    Exemple
        >>> product_tier().split()[0] in ("tuiles", "cuBLAS")
        True
    """
    found, why = _find(machine())
    return typeset(f"tuiles : {why}" if found is None else why)


def library():
    """cuBLAS pour la machine de ce processus, ou None."""
    return _find(machine())[0]


@functools.cache
def _find(device):
    """La bibliothèque liée au flux de `device`, ou None ; et la raison."""
    if device.stream_handle is None:
        return None, "le GPU est simulé"
    for name in _candidates():
        try:
            loaded = ctypes.CDLL(name)
        except OSError:
            continue
        try:
            found = Library(loaded, device)
        except DeviceError as error:
            return None, f"cuBLAS ne démarre pas ({error})"
        return found, f"cuBLAS {found.version}, en float32 et en float64, sans TF32"
    return None, "cuBLAS n'est pas installé"


def _candidates():
    """Où chercher, dans l’ordre : des chemins, puis des noms que le système connaît."""
    for package, folders in _FOLDERS.items():
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            paths = (Path(root, folder, name) for folder in folders for name in _NAMES)
            yield from (str(path) for path in paths if path.exists())
    yield from filter(None, (ctypes.util.find_library("cublas"), *_NAMES))


class Library:
    """cuBLAS, et la poignée par laquelle tout passe dans le flux de la machine.

    Lève
        DeviceError : cuBLAS a refusé.
    """

    def __init__(self, loaded, device):
        handle, version = ctypes.c_void_p(), ctypes.c_int()
        _checked(loaded.cublasCreate_v2(ctypes.byref(handle)), "ouvrir cuBLAS")
        self.handle = handle.value
        stream = ctypes.c_void_p(device.stream_handle)
        _checked(loaded.cublasSetStream_v2(handle, stream), "lier cuBLAS au flux")
        _checked(loaded.cublasSetMathMode(handle, _DEFAULT_MATH), "choisir la précision")
        _checked(loaded.cublasGetVersion_v2(handle, ctypes.byref(version)), "lire la version")
        number = version.value
        self.version = f"{number // 10000}.{number // 100 % 100}"
        self._functions = {}
        for word, kinds in _WORDS.items():
            for dtype, (letter, *_) in _NUMBERS.items():
                end = "" if word == "gemmStridedBatched" else "_v2"
                function = getattr(loaded, f"cublas{letter}{word}{end}")
                function.argtypes = [_KINDS[kind] for kind in kinds]
                self._functions[word, dtype] = function

    def multiply(self, out, a, b):
        """out = a @ b, pour deux matrices ou deux piles de matrices ; `out` est contigu.

        Renvoie
            True ; False si une longueur dépasse ce que cuBLAS sait compter : rien n’est écrit.
        """
        *_, m, k = a.shape
        n = b.shape[-1]
        a, (a_flip, a_step) = _readable(a)
        b, (b_flip, b_step) = _readable(b)
        if max(m, n, k, a_step, b_step) > _LIMIT:
            return False
        dtype = out.dtype.name
        _, one, zero = _NUMBERS[dtype]
        to, left, right = _address(out), _address(a), _address(b)
        if a.ndim == 3:
            status = self._functions["gemmStridedBatched", dtype](
                self.handle, b_flip, a_flip, n, m, k, one, right, b_step, b.strides[0],
                left, a_step, a.strides[0], zero, to, n, m * n, a.shape[0],
            )  # fmt: skip
        elif n == 1 and k and b.strides[0] > 0:
            status = self._vector(dtype, to, left, a_flip, a_step, m, k, right, b.strides[0])
        elif m == 1 and k and a.strides[1] > 0:
            status = self._vector(dtype, to, right, 1 - b_flip, b_step, n, k, left, a.strides[1])
        else:
            status = self._functions["gemm", dtype](
                self.handle, b_flip, a_flip, n, m, k, one, right, b_step, left, a_step,
                zero, to, n,
            )  # fmt: skip
        _checked(status, "multiplier")
        return True

    def _vector(self, dtype, to, matrix, flip, step, rows, columns, vector, gap):
        """out = matrix @ vector ; `flip` dit que c’est la transposée qui est rangée par lignes."""
        _, one, zero = _NUMBERS[dtype]
        # par lignes, cuBLAS voit la transposée : il doit la retourner
        how, tall, wide = (_AS_IS, rows, columns) if flip else (_TRANSPOSED, columns, rows)
        return self._functions["gemv", dtype](
            self.handle, how, tall, wide, one, matrix, step, vector, gap, zero, to, 1
        )


def layout(shape, strides):
    """Comment cuBLAS lit une matrice : (faut-il la retourner, le pas de ses lignes), ou None.

    Le pas d’un axe d’une seule case ne compte pas.

    Exemple
        >>> layout((2, 3), (3, 1)), layout((2, 3), (1, 2)), layout((2, 3), (6, 2))
        ((0, 3), (1, 2), None)
    """
    (rows, columns), (down, along) = shape, strides
    down = max(columns, 1) if rows <= 1 else down
    if (along == 1 or columns <= 1) and down >= max(columns, 1):
        return _AS_IS, down
    along = max(rows, 1) if columns <= 1 else along
    if (strides[0] == 1 or rows <= 1) and along >= max(rows, 1):
        return _TRANSPOSED, along
    return None


def _readable(x):
    """`x` et sa lecture par cuBLAS ; une copie contiguë, seulement s’il ne peut pas le lire."""
    found = layout(x.shape[-2:], x.strides[-2:])
    if found is None or (x.ndim == 3 and x.strides[0] < 0):
        x = contiguous(x)
        found = layout(x.shape[-2:], x.strides[-2:])
    return x, found


def _address(x):
    return x.buffer.pointer + x.offset * x.dtype.itemsize


def _checked(status, action):
    if status:
        raise DeviceError(f"cuBLAS : {action} a échoué", received=f"statut {status}")
