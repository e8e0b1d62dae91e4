"""Les produits par cuBLAS, la bibliothèque de NVIDIA, là où elle est installée.

Elle est cherchée une fois, parmi les paquets de Python (ceux de NVIDIA, celui de PyTorch), puis
dans le système. Sans elle, ou sans GPU, les produits ont le noyau de la leçon 10 (`products`).

cuBLAS range ses matrices par colonnes. Nos lignes sont les colonnes de la transposée : il calcule
donc outᵀ = bᵀ aᵀ, et rien n’est copié tant qu’un des deux pas d’une matrice vaut 1.

Ordre de lecture : `find`, `opened`, `Library`, `layout`.
"""

import ctypes
import functools
import importlib.util
from pathlib import Path
from typing import NamedTuple

from engine.gpu.kernels.calls import DeviceError
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.views import contiguous

_NAMES = ("libcublas.so.13", "libcublas.so.12", "cublas64_13.dll", "cublas64_12.dll")
_FOLDERS = {
    "nvidia": ("cu13/lib", "cublas/lib", "cu13/bin/x86_64", "cublas/bin"),
    "torch": ("lib",),
}
_FULL_SUMS = 16  # les sommes partielles de float16 restent en float32
_AS_IS, _TRANSPOSED = 0, 1
_BEST = -1  # cuBLAS choisit son algorithme
_WORKSPACE = 32 << 20  # octets, ce que NVIDIA conseille ; à nous : un graphe CUDA peut s’en servir
LIMIT = 2**31 - 1  # cuBLAS compte en entiers de 32 bits


class _Kind(NamedTuple):
    """Comment cuBLAS nomme un type, celui de ses sommes, et ce que sont 1 et 0 pour elles."""

    stored: int
    sums: int
    one: object
    zero: object


def _numbers(kind):
    return ctypes.byref(kind(1)), ctypes.byref(kind(0))


_TF32 = 77  # des float32 arrondis à dix bits de mantisse avant d’être multipliés
_CUBLAS = {
    "float32": _Kind(0, 68, *_numbers(ctypes.c_float)),
    "float64": _Kind(1, 70, *_numbers(ctypes.c_double)),
    "float16": _Kind(2, 68, *_numbers(ctypes.c_float)),
    "bfloat16": _Kind(14, 68, *_numbers(ctypes.c_float)),
}
_FUNCTIONS = {  # les arguments : p une adresse, i un entier, l un entier de 64 bits
    "GemmEx": "piiiiippiipiippiiii",
    "GemmStridedBatchedEx": "piiiiippiilpiilppiiliii",
    "Sgemv_v2": "piiippipippi",
    "Dgemv_v2": "piiippipippi",
}
_GEMV = {"float32": "Sgemv_v2", "float64": "Dgemv_v2"}
_C_KINDS = {"p": ctypes.c_void_p, "i": ctypes.c_int, "l": ctypes.c_longlong}


@functools.cache
def find(device):
    """La bibliothèque liée au flux de `device`, ou None ; et la raison."""
    return opened(device, "cuBLAS", _NAMES, _FOLDERS, Library)


def opened(device, title, names, folders, start):
    """Une bibliothèque de NVIDIA, ou None ; puis son nom et sa version, ou la raison.

    Paramètres
        names : ses noms de fichier ; folders : paquet de Python -> dossiers où il peut être.
        start : (la bibliothèque chargée, device) -> ce qui l’appelle, et qui a une `version`.
    """
    if device.stream_handle is None:
        return None, "le GPU est simulé"
    for name in candidates(names, folders):
        try:
            loaded = ctypes.CDLL(name)
            with device.ours():
                found = start(loaded, device)
        except OSError:
            continue
        except DeviceError as error:
            return None, f"{title} ne démarre pas ({error})"
        return found, f"{title} {found.version}"
    return None, f"{title} n'est pas installé"


def candidates(names, folders):
    """Où chercher, dans l’ordre : des chemins, puis des noms que le système connaît."""
    for package, inside in folders.items():
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            paths = (Path(root, folder, name) for folder in inside for name in names)
            yield from (str(path) for path in paths if path.exists())
    yield from names


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
        self._workspace = device.allocate(_WORKSPACE, "uint8")
        given = ctypes.c_void_p(self._workspace.pointer), ctypes.c_size_t(_WORKSPACE)
        _checked(loaded.cublasSetWorkspace_v2(handle, *given), "lui donner de la place")
        _checked(loaded.cublasSetMathMode(handle, _FULL_SUMS), "choisir la précision")
        _checked(loaded.cublasGetVersion_v2(handle, ctypes.byref(version)), "lire la version")
        number = version.value
        self.version = f"{number // 10000}.{number // 100 % 100}"
        self._functions = {}
        for name, kinds in _FUNCTIONS.items():
            self._functions[name] = function = getattr(loaded, f"cublas{name}")
            function.argtypes = [_C_KINDS[kind] for kind in kinds]

    def multiply(self, out, a, b, tf32=False):
        """out = a @ b, pour deux matrices ou deux piles ; les lignes de `out` se suivent.

        Paramètres
            tf32 : peut-on arrondir les facteurs float32 à dix bits de mantisse ?

        Renvoie
            out ; None, rien n’est écrit, si une longueur dépasse ce que cuBLAS compte, ou si k = 0.
        """
        a, (a_flip, a_step) = matrix(a)
        b, (b_flip, b_step) = matrix(b)
        step = out.strides[-2] if out.shape[-2] > 1 else out.shape[-1]
        if not a.shape[-1] or max(*a.shape[-2:], b.shape[-1], a_step, b_step, step) > LIMIT:
            return None
        machine().call(self._multiply, out, a, b, (a_flip, a_step, b_flip, b_step, step, tf32))
        return out

    def _multiply(self, out, a, b, how):
        """Ce qui se rejoue : un appel à cuBLAS."""
        (m, k), n, dtype = a.shape[-2:], b.shape[-1], out.dtype.name
        a_flip, a_step, b_flip, b_step, step, tf32 = how
        to, left, right = map(machine().address, (out, a, b))
        stored, sums, one, zero = _CUBLAS[dtype]
        sums = _TF32 if tf32 and dtype == "float32" else sums
        lengths = self.handle, b_flip, a_flip, n, m, k, one
        if a.ndim == 3:
            status = self._functions["GemmStridedBatchedEx"](
                *lengths, right, stored, b_step, b.strides[0], left, stored, a_step, a.strides[0],
                zero, to, stored, step, out.strides[0], a.shape[0], sums, _BEST,
            )  # fmt: skip
        elif n == 1 and b.strides[0] > 0 and dtype in _GEMV:
            vector = right, b.strides[0]
            status = self._vector(dtype, (to, step), left, a_flip, a_step, m, k, vector)
        elif m == 1 and a.strides[1] > 0 and dtype in _GEMV:
            vector = left, a.strides[1]
            status = self._vector(dtype, (to, 1), right, 1 - b_flip, b_step, n, k, vector)
        else:
            status = self._functions["GemmEx"](
                *lengths, right, stored, b_step, left, stored, a_step,
                zero, to, stored, step, sums, _BEST,
            )  # fmt: skip
        _checked(status, "multiplier")

    def _vector(self, dtype, to, matrix, flip, step, rows, columns, vector):
        """out = matrix @ vector ; `flip` dit que c’est la transposée qui est rangée par lignes."""
        _, _, one, zero = _CUBLAS[dtype]
        # par lignes, cuBLAS voit la transposée : il doit la retourner
        how, tall, wide = (_AS_IS, rows, columns) if flip else (_TRANSPOSED, columns, rows)
        return self._functions[_GEMV[dtype]](
            self.handle, how, tall, wide, one, matrix, step, *vector, zero, *to
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


def matrix(x):
    """`x` et sa lecture par cuBLAS ; une copie contiguë, seulement s’il ne peut pas le lire."""
    found = layout(x.shape[-2:], x.strides[-2:])
    if found is None or (x.ndim == 3 and x.strides[0] < 0):
        x = contiguous(x)
        found = layout(x.shape[-2:], x.strides[-2:])
    return x, found


def _checked(status, action):
    if status:
        raise DeviceError(f"cuBLAS : {action} a échoué", received=f"statut {status}")
