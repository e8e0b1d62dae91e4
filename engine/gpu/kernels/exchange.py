"""Les tableaux de GPU des autres bibliothèques (PyTorch, CuPy, Numba), lus sans copie.

Un tableau se prête par `__dlpack__` ou par `__cuda_array_interface__` : une adresse, une forme,
des pas, et le flux où ses calculs ont été lancés. `as_device_array` en fait un `DeviceArray` qui
désigne la même mémoire, tient son propriétaire en vie, et dont nos noyaux attendent les calculs.
Une fonction compilée pour un GPU accepte ces tableaux tels quels, `shared` et `set_value` aussi.

Sur le simulateur, la mémoire du périphérique est celle de l’hôte : un tableau NumPy s’y prête.

Ordre de lecture : `is_foreign`, `as_device_array`, `from_dlpack`, `accepted`.

Référence : https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html
"""

import ctypes
import math

import numpy as np

from engine.core.errors import DtypeError, ShapeError
from engine.core.types import DTYPES, TensorType
from engine.gpu.kernels import dlpack
from engine.gpu.kernels.arrays import DeviceArray, upload
from engine.gpu.kernels.calls import api, checked, drains
from engine.gpu.kernels.device import GPUS
from engine.gpu.kernels.dlpack import ExchangeError
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.protocol import GRAIN

_INTERFACE = "__cuda_array_interface__"
_BRAIN = "<V2"  # deux octets de nature inconnue : ce que PyTorch et ml_dtypes disent de bfloat16


def is_foreign(value):
    """Dit si `value` est un tableau d’un périphérique, le nôtre ou celui d’une autre bibliothèque.

    Exemple
        >>> is_foreign(np.ones(2)), is_foreign(upload(np.ones(2)))
        (False, True)
    """
    if isinstance(value, DeviceArray):
        return True
    if isinstance(value, np.ndarray | np.generic) or type(value).__module__ == "builtins":
        return False
    if hasattr(value, "__dlpack_device__"):
        return value.__dlpack_device__()[0] in (dlpack.CUDA, dlpack.MANAGED)
    return hasattr(value, _INTERFACE)


def as_device_array(value, copy=None):
    """Un `DeviceArray` des mêmes valeurs, dans la même mémoire si elle est celle d’une carte.

    Paramètres
        value : un `DeviceArray`, ou un tableau qui se prête par DLPack ou par
            `__cuda_array_interface__`.
        copy : True, toujours copier, ce qui porte aussi un tableau de l’hôte ; None ou False,
            jamais.

    Lève
        ExchangeError : le tableau est sur l’hôte, ou ne se prête pas.
        DtypeError, ShapeError : son dtype, ses pas ne sont pas de ceux que l’on sait lire.

    Exemple
        >>> x = as_device_array(np.arange(3.0), copy=True)
        >>> x, x.to_host()
        (<tableau du périphérique : float64 (3,)>, array([0., 1., 2.]))
    """
    if copy and isinstance(value, np.ndarray | np.generic):
        return upload(value)
    if isinstance(value, DeviceArray):
        found = value
    elif hasattr(value, "__dlpack__"):
        if copy and value.__dlpack_device__()[0] in (dlpack.CPU, dlpack.PINNED):
            return upload(np.from_dlpack(value))
        found = from_dlpack(value)
    elif hasattr(value, _INTERFACE):
        found = _from_interface(value)
    else:
        raise ExchangeError(
            "ce n'est pas un tableau qui se prête",
            expected="un objet qui a __dlpack__ ou __cuda_array_interface__",
            received=type(value).__name__,
            hint="upload(np.asarray(valeur)) le porte sur le périphérique",
        )
    return found.copy() if copy else found


def from_dlpack(value):
    """Un `DeviceArray` sur la mémoire d’un tableau qui parle DLPack, sans copie.

    Lève
        ExchangeError : cette mémoire n’est pas celle d’une carte.
        DtypeError : le moteur ne connaît pas son dtype.
    """
    kind, rank = value.__dlpack_device__()
    simulated = machine().stream_handle is None
    wanted = (dlpack.CPU, dlpack.PINNED) if simulated else (dlpack.CUDA, dlpack.MANAGED)
    if kind not in wanted:
        raise ExchangeError(
            "DLPack : ce tableau n'est pas en mémoire du périphérique",
            expected="l'hôte, où le simulateur range tout" if simulated else "un tableau d'un GPU",
            received="un tableau d'un GPU" if simulated else "un tableau de l'hôte",
            hint=None if simulated else "as_device_array(valeur, copy=True) l'y porte",
        )
    where = machine() if simulated else machine(rank)
    loan = dlpack.borrow(value, where.stream_handle)
    return _adopt(where, loan.address, loan.shape, loan.dtype, loan.strides, loan.keeper,
                  loan.read_only)  # fmt: skip


def _from_interface(value):
    """De même, par `__cuda_array_interface__`."""
    said = getattr(value, _INTERFACE)
    if said.get("mask") is not None:
        raise ExchangeError("un tableau masqué ne se prête pas", hint="ôtez-lui son masque")
    dtype, (address, read_only) = np.dtype(said["typestr"]), said["data"]
    steps = said.get("strides")
    if steps is not None:
        if any(step % dtype.itemsize for step in steps):
            raise ShapeError(
                "des pas qui ne tombent pas sur des éléments",
                expected=f"des multiples de {dtype.itemsize} octets", received=str(tuple(steps)),
            )  # fmt: skip
        steps = tuple(step // dtype.itemsize for step in steps)
    name = "bfloat16" if said["typestr"] == _BRAIN else dtype.name
    where = machine(_rank_of(address)) if GPUS > 1 and address else machine()
    stream = said.get("stream")
    if stream is not None and where.stream_handle is not None:
        with where.ours():
            dlpack.in_order(stream, where.stream_handle)
    return _adopt(where, address, tuple(said["shape"]), name, steps, value, read_only)


def _rank_of(address):
    """La carte à qui appartient une adresse."""
    which = api.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
    with machine().ours():
        return checked(api.cuPointerGetAttribute(which, address), "situer une adresse")


_leaving = []  # (rang, propriétaire) de ce qui ne sert plus, mais que nos noyaux lisent peut-être
_awaited = []  # (repère, propriétaire) : le repère dépassé, plus aucun ne le lit


class Borrowed:
    """Un morceau de la mémoire d’un GPU, prêté : son propriétaire vit tant qu’il sert."""

    __slots__ = ("__weakref__", "nbytes", "owner", "pointer", "rank", "read_only")
    is_lent = True

    def __init__(self, pointer, nbytes, owner, read_only, rank):
        self.pointer, self.nbytes, self.owner = pointer, nbytes, owner
        self.read_only, self.rank = read_only, rank

    def __del__(self):
        _leaving.append((self.rank, self.owner))  # sans appeler le pilote : un flux se capture ?


def _let_go():
    """Oublie les propriétaires dont plus aucun noyau ne lit la mémoire."""
    waiting = []
    for event, owner in _awaited:
        if api.cuEventQuery(event)[0]:
            waiting.append((event, owner))
        else:
            checked(api.cuEventDestroy(event), "ôter un repère")
    _awaited[:] = waiting
    while _leaving:
        rank, owner = _leaving.pop()
        where = machine(rank)
        with where.ours():
            _awaited.append((dlpack.mark(where.stream_handle), owner))


drains.append(_let_go)


def kept(value, type_, storage, borrow):
    """Ce qu’une case de ce genre garde d’un tableau de ce type : lui-même, une copie, ou ses
    valeurs rapportées sur l’hôte.
    """
    if isinstance(storage, type):  # une case à faire, sur la carte du tableau
        array = as_device_array(value)
        type_.check_shape(array)
    else:
        array = accepted(value, type_, storage.data.rank if storage.on_device else None)
    if not storage.on_device:
        return array.to_host()
    return array if borrow and array.writable else array.copy()


def _adopt(where, address, shape, dtype, strides, owner, read_only):
    """Le `DeviceArray` de cette mémoire."""
    if dtype not in DTYPES:
        raise DtypeError(
            "dtype que le moteur ne connaît pas", expected=", ".join(DTYPES), received=dtype
        )
    dtype = TensorType(dtype).numpy_dtype
    if strides is None or 0 in shape:
        strides = None
        low, high = 0, math.prod(shape) - 1
    else:
        reach = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
        low, high = (sum(s for s in reach if (s < 0) == back) for back in (True, False))
    nbytes, start = (high - low + 1) * dtype.itemsize, address + low * dtype.itemsize
    offset = -low
    if where.stream_handle is not None:
        _let_go()
        beyond = start % GRAIN  # nos noyaux comptent sur une zone alignée, et sur `offset`
        if beyond % dtype.itemsize:
            raise ShapeError(
                "une adresse qui ne tombe pas sur un élément",
                expected=f"un multiple de {dtype.itemsize} octets", received=hex(address),
            )  # fmt: skip
        buffer = Borrowed(start - beyond, nbytes + beyond, owner, read_only, where.rank)
        offset += beyond // dtype.itemsize
    else:
        memory = (ctypes.c_uint8 * nbytes).from_address(start) if nbytes else bytearray()
        if nbytes:
            memory.owner = owner
        buffer = np.frombuffer(memory, dtype)
        buffer.flags.writeable = not read_only
    return DeviceArray(buffer, shape, dtype, strides, offset, where.rank)


def accepted(value, type_, rank=None):
    """`value`, tableau d’un périphérique, s’il convient au type ; sans copie ni conversion.

    `rank` : celui de la carte où il doit être ; par défaut, la carte du moment.

    Lève
        DtypeError, ShapeError : son dtype ou sa forme ne vont pas.
        ExchangeError : il est sur une autre carte.
    """
    array = as_device_array(value)
    if array.dtype.name != type_.dtype:
        raise DtypeError(
            "un tableau du périphérique se prend tel quel",
            expected=f"des éléments {type_.dtype}",
            received=f"un tableau {array.dtype.name} de forme {array.shape}",
            hint=f"créez-le en {type_.dtype}",
        )
    rank = machine(rank).rank
    if array.rank != rank:
        raise ExchangeError(
            "ce tableau est sur une autre carte",
            expected=f"cuda{rank}", received=f"cuda{array.rank}",
            hint=f"x.to('cuda{rank}') l'y copie",
        )  # fmt: skip
    type_.check_shape(array)
    return array
