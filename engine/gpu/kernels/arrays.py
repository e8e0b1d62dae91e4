"""Les tableaux du périphérique : une zone de sa mémoire, une forme, des pas.

`DeviceArray` se manie depuis Python : forme, dtype, `to_host()`, vues (`reshape`, `transpose`,
`[...]`), prêt sans copie à d’autres bibliothèques (`dlpack`, `__cuda_array_interface__` ;
`exchange` emprunte les leurs). Les noyaux reçoivent son adresse et ses pas, comptés en éléments. Il
sait sur quelle carte il est, et `to("cuda1")` le copie sur une autre.

Ordre de lecture : `DeviceArray`, `empty`, `upload`.
"""

import functools
import math
import operator

import numpy as np

from engine.core.errors import ShapeError
from engine.core.registry import part
from engine.gpu.kernels import dlpack
from engine.gpu.kernels.machines import machine, rank_of
from engine.gpu.kernels.writing import write_into


class DeviceArray:
    """Un tableau dont les valeurs sont sur le périphérique.

    Paramètres
        buffer : la zone de mémoire, rendue par `machine().allocate`.
        shape : la forme.
        dtype : le type des éléments.
        strides : les pas, en éléments ; par défaut ceux d’un tableau contigu.
        offset : le premier élément, compté depuis le début de la zone.
        rank : celui de sa carte ; par défaut, la carte du moment.

    Exemple
        >>> x = upload(np.arange(6, dtype="float32").reshape(2, 3))
        >>> x, x.transpose(1, 0)[2].to_host()
        (<tableau du périphérique : float32 (2, 3)>, array([2., 5.], dtype=float32))
    """

    __slots__ = ("buffer", "dtype", "offset", "rank", "shape", "strides")
    __array_ufunc__ = None  # NumPy laisse faire nos opérations, sans rien rapporter en silence

    def __init__(self, buffer, shape, dtype, strides=None, offset=0, rank=None):
        self.rank = machine().rank if rank is None else rank
        self.buffer = buffer
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.strides = contiguous_strides(self.shape) if strides is None else tuple(strides)
        self.offset = offset

    @property
    def machine(self):
        """La machine de sa carte."""
        return machine(self.rank)

    @property
    def ndim(self):
        """Le nombre d’axes."""
        return len(self.shape)

    @property
    def size(self):
        """Le nombre d’éléments."""
        return math.prod(self.shape)

    @property
    def nbytes(self):
        """La place que prennent ses éléments, en octets."""
        return self.size * self.dtype.itemsize

    @property
    def writable(self):
        """Faux pour de la mémoire qu’une autre bibliothèque prête en lecture seule."""
        flags = getattr(self.buffer, "flags", None)
        return not getattr(self.buffer, "read_only", False) and (flags is None or flags.writeable)

    @property
    def is_contiguous(self):
        """Dit si les éléments se suivent, dernier axe le plus rapide."""
        expected = contiguous_strides(self.shape)
        if self.strides == expected:
            return True
        rows = zip(self.shape, self.strides, expected, strict=True)
        return all(length == 1 or found == wanted for length, found, wanted in rows)

    def to_host(self):
        """Rend une copie des valeurs, en tableau NumPy ; attend que le calcul soit fini."""
        return self.machine.download(self)

    def wait(self):
        """Attend que ses valeurs soient calculées."""
        self.machine.synchronize()

    def __array__(self, dtype=None, copy=None):
        """Ce que NumPy en lit : une copie sur l’hôte (les modes qui surveillent s’en servent)."""
        return self.to_host().astype(dtype or self.dtype, copy=False)

    def view(self, shape, strides, offset=0):
        """Une autre façon de parcourir les mêmes éléments."""
        return DeviceArray(self.buffer, shape, self.dtype, strides, self.offset + offset, self.rank)

    def reshape(self, shape):
        """La même suite d’éléments sous une autre forme ; le tableau doit être contigu.

        Lève
            ShapeError : la forme ne contient pas le même nombre d’éléments.
        """
        if math.prod(shape) != self.size:
            raise ShapeError(
                "reshape : le nombre d'éléments change",
                expected=f"{self.size} éléments",
                received=f"{tuple(shape)}, soit {math.prod(shape)} éléments",
            )
        return DeviceArray(self.buffer, shape, self.dtype, offset=self.offset, rank=self.rank)

    def transpose(self, *axes):
        """Les axes dans un autre ordre, sans copie."""
        return self.view([self.shape[a] for a in axes], [self.strides[a] for a in axes])

    def __len__(self):
        return self.shape[0]

    def copy(self):
        """Une copie contiguë, dans une zone à elle ; les valeurs ne passent pas par l’hôte."""
        out = self.room(self.shape, self.dtype)
        out.take(self)
        return out

    def take(self, source):
        """Prend les valeurs d’un tableau de mêmes forme et dtype.

        La mémoire qu’une autre bibliothèque nous prête est lue avant le retour : elle peut y écrire
        aussitôt, son flux n’attend pas le nôtre.
        """
        if source.is_contiguous and self.is_contiguous:
            self.machine.copy(self, source)
        else:
            write_into(self, source)
        if getattr(source.buffer, "is_lent", False):
            self.machine.synchronize()

    def become(self, source):
        """Prend les valeurs d’un résultat tout neuf, qui peut dès lors loger ici."""
        if (self.shape, self.dtype) == (source.shape, source.dtype):
            self.machine.become(self, source)
        else:
            write_into(self, source)

    def to(self, device):
        """Une copie ailleurs : sur une autre carte (« cuda1 »), ou sur l’hôte (« cpu »).

        Exemple
            >>> upload(np.ones(3)).to("cuda1").rank
            1
        """
        if device == "cpu":
            return self.to_host()
        there = empty(self.shape, self.dtype, rank_of(device))
        there.machine.fetch(there, self if self.is_contiguous else self.copy())
        return there

    def __getitem__(self, index):
        """Une vue, par des entiers, des tranches, `...` et des axes nouveaux (None)."""
        index = index if isinstance(index, tuple) else (index,)
        used = sum(item is not None and item is not Ellipsis for item in index)
        if used > self.ndim:
            raise IndexError(f"{used} indices pour {self.ndim} axe(s)")
        if Ellipsis not in index:
            index = (*index, Ellipsis)
        place = index.index(Ellipsis)
        index = (*index[:place], *[slice(None)] * (self.ndim - used), *index[place + 1 :])
        shape, strides, offset, axis = [], [], 0, 0
        for item in index:
            if item is None:
                shape.append(1)
                strides.append(0)
                continue
            length, stride = self.shape[axis], self.strides[axis]
            if isinstance(item, slice):
                start, stop, step = item.indices(length)
                shape.append(len(range(start, stop, step)))
                strides.append(stride * step)
                offset += stride * start if shape[-1] else 0
            else:
                place = int(item) + (length if item < 0 else 0)
                if not 0 <= place < length:
                    raise IndexError(
                        f"index {int(item)} is out of bounds for axis {axis} with size {length}"
                    )
                offset += stride * place
            axis += 1
        return self.view(shape, strides, offset)

    def __setitem__(self, index, value):
        """Écrit `value`, qui se diffuse, à cette place.

        Lève
            ExchangeError : une autre bibliothèque prête cette mémoire en lecture seule.
        """
        if not self.writable:
            raise dlpack.ExchangeError("ce tableau est en lecture seule", hint="x.copy()")
        if not isinstance(value, DeviceArray):
            value = upload(np.asarray(value, self.dtype), self.rank)
        write_into(self[index], value)

    def room(self, shape, dtype):
        """Un tableau à remplir, sur la même carte."""
        return empty(shape, dtype, self.rank)

    @property
    def __cuda_array_interface__(self):
        size = self.dtype.itemsize
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.machine.address(self) if self.size else 0, not self.writable),
            "strides": None if self.is_contiguous else tuple(s * size for s in self.strides),
            "stream": self.machine.stream_handle,
            "version": 3,
        }

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        """Ces valeurs, sans copie, pour une bibliothèque qui parle DLPack (voir `dlpack`)."""
        return dlpack.lend(self, stream, max_version, dl_device, copy)

    def __dlpack_device__(self):
        """Le genre de mémoire et le rang de la carte, tels que DLPack les compte."""
        return dlpack.device_of(self.machine)

    def __reduce__(self):
        return upload, (self.to_host(),)

    @property
    def T(self):
        """Les axes dans l’autre ordre, sans copie."""
        return self.transpose(*range(self.ndim)[::-1])

    def item(self):
        """Le nombre que contient un tableau d’un seul élément, rapporté sur l’hôte."""
        return self.to_host().item()

    def __bool__(self):
        return bool(self.to_host())  # NumPy refuse plusieurs éléments, et le dit

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    __index__ = __int__

    def __str__(self):
        return str(self.to_host())

    def __repr__(self):
        return f"<tableau du périphérique : {self.dtype} {self.shape}>"


@functools.lru_cache(4096)
def contiguous_strides(shape):
    """Les pas d’un tableau contigu, en éléments.

    Exemple
        >>> contiguous_strides((2, 3, 4))
        (12, 4, 1)
    """
    strides, step = [], 1
    for length in reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return tuple(reversed(strides))


def empty(shape, dtype, rank=None):
    """Un tableau du périphérique, dont les valeurs ne sont pas encore écrites.

    `rank` : celui de sa carte ; par défaut, la carte du moment.
    """
    where, shape, dtype = machine(rank), tuple(map(int, shape)), np.dtype(dtype)
    return DeviceArray(where.allocate(math.prod(shape), dtype), shape, dtype, rank=where.rank)


def upload(value, rank=None):
    """Porte un tableau NumPy sur le périphérique.

    Exemple
        >>> upload(np.ones(3)).to_host()
        array([1., 1., 1.])
    """
    value = np.ascontiguousarray(value).reshape(np.shape(value))
    array = empty(value.shape, value.dtype, rank)
    array.machine.write(array, value)
    return array


# ---- calculer depuis Python ----------------------------------------------------------------------


def _reversed(build):
    def call(a, b):
        return build(b, a)

    return call


def _method(build):
    def method(self, *others, **settings):
        return part("cuda", "arithmetic").computed(build, self, *others, **settings)

    method.__name__ = method.__qualname__ = getattr(build, "__name__", "méthode")
    return method


def _reduction(name):
    def build(x, axis=None, keepdims=False):
        return getattr(x, name)(axis=axis, keepdims=keepdims)

    def method(self, axis=None, keepdims=False):
        axis = tuple(axis) if isinstance(axis, list) else axis
        return part("cuda", "arithmetic").computed(build, self, axis=axis, keepdims=keepdims)

    method.__name__ = name
    return method


def _as(x, dtype):
    return x.astype(dtype)


def _astype(self, dtype):
    """Les mêmes valeurs dans un autre dtype."""
    return part("cuda", "arithmetic").computed(_as, self, dtype=str(np.dtype(dtype)))


_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
METHODS = {f"__{name}__": _method(getattr(operator, name)) for name in _BINARY}
METHODS |= {f"__r{name}__": _method(_reversed(getattr(operator, name))) for name in _BINARY}
_ALONE = ("neg", "lt", "le", "gt", "ge")
METHODS |= {f"__{name}__": _method(getattr(operator, name)) for name in _ALONE}
METHODS |= {
    "__eq__": _method(lambda a, b: a.eq(b)),
    "__ne__": _method(lambda a, b: a.neq(b)),
    "__abs__": _method(abs),
    "__hash__": object.__hash__,
    "dot": METHODS["__matmul__"],
    "astype": _astype,
}
_REDUCTIONS = ("sum", "mean", "prod", "max", "min", "argmax", "argmin")
METHODS |= {name: _reduction(name) for name in _REDUCTIONS}
for _name, _given in METHODS.items():
    setattr(DeviceArray, _name, _given)
