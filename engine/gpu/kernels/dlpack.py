"""DLPack, le protocole par lequel les bibliothèques de tableaux se prêtent leur mémoire.

Une « capsule » porte l’adresse d’une structure C : l’adresse des éléments, la carte, la forme, les
pas, le dtype, et la fonction par laquelle l’emprunteur dit qu’il a fini. La version 1.0 y ajoute
des drapeaux (lecture seule, copie) ; un emprunteur qui ne la demande pas reçoit l’ancienne.

Ordre de lecture : `Tensor` et les deux enveloppes, `lend` (prêter), `borrow` (emprunter).

Référence : https://dmlc.github.io/dlpack/latest/
"""

import ctypes
from typing import NamedTuple

from engine.core.errors import DtypeError, EngineError
from engine.gpu.kernels.calls import api, checked, drains

CPU, CUDA, PINNED, MANAGED = 1, 2, 3, 13  # les mémoires, telles que DLPack les compte
_NAMES = {CPU: "l'hôte", CUDA: "un GPU", PINNED: "l'hôte (épinglée)", MANAGED: "un GPU (gérée)"}
_CODES = {"int": 0, "uint": 1, "float": 2, "bfloat": 4, "bool": 6}
_READ_ONLY, _COPIED = 1, 2
_VERSION = (1, 0)
_NO_STREAM, _DEFAULT_STREAM = -1, 1


class ExchangeError(EngineError, BufferError):
    """Un tableau qu’une autre bibliothèque ne peut pas lire, ou nous pas le sien."""


class Tensor(ctypes.Structure):
    """Un tableau, comme DLPack l’écrit."""

    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64),
    ]  # fmt: skip


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Old(ctypes.Structure):
    """L’enveloppe d’avant la version 1."""

    name = b"dltensor"
    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class _Versioned(ctypes.Structure):
    """L’enveloppe depuis la version 1."""

    name = b"dltensor_versioned"
    _fields_ = [
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("tensor", Tensor),
    ]  # fmt: skip


def _python(name, result, *arguments):
    function = ctypes.PYFUNCTYPE(result, *arguments)
    return function((name, ctypes.pythonapi))


_new_capsule = _python(
    "PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
)
_is_named = _python("PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
_pointer = _python("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
_rename = _python("PyCapsule_SetName", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)


# -- prêter -------------------------------------------------------------------------------------

_lent = {}  # adresse d’une enveloppe -> ce qui doit vivre tant qu’elle sert
_returned = []  # rendus, mais que l’emprunteur lit peut-être encore : (son flux, le tableau)


@_Deleter
def _give_back(address):
    """L’emprunteur a fini ; ce qu’il a lancé, pas forcément."""
    *_, stream, array = _lent.pop(address)
    if array.machine.stream_handle is not None:
        _returned.append((stream, array))


def _take_back():
    """Reprend ce qui est rendu : sa mémoire resservira après ce que l’emprunteur en a fait."""
    while _returned:
        used, array = _returned.pop()
        in_order(used, array.machine.stream_handle)


drains.append(_take_back)


@_Deleter
def _forget(capsule):
    """La capsule disparaît ; si personne ne l’a prise, rien n’est plus prêté."""
    for kind in (_Versioned, _Old):
        if _is_named(capsule, kind.name):
            _lent.pop(_pointer(capsule, kind.name), None)


def device_of(machine):
    """Le genre de mémoire et le rang d’une carte : la mémoire du simulateur est celle de l’hôte."""
    return (CPU, 0) if machine.stream_handle is None else (CUDA, machine.rank)


def lend(array, stream=None, max_version=None, dl_device=None, copy=None):
    """La capsule d’un `DeviceArray`.

    Paramètres
        stream : le flux de l’emprunteur ; il attendra nos calculs. None, le flux par défaut ; -1,
            rien à attendre.
        max_version : la version la plus récente qu’il sait lire.
        dl_device : la mémoire où il veut les valeurs ; (1, 0) les rapporte sur l’hôte.
        copy : True, toujours copier ; False, jamais.

    Lève
        ExchangeError : ces valeurs ne peuvent pas être là sans copie, ou ce flux n’en est pas un.
    """
    here = device_of(array.machine)
    if dl_device is not None and tuple(dl_device) != here:
        if tuple(dl_device) != (CPU, 0) or copy is False:
            raise ExchangeError(
                "DLPack : ce tableau ne peut pas être prêté là-bas",
                expected=_place(*here), received=_place(*dl_device),
                hint="x.to('cpu') ou x.to('cuda1') le copie d'abord",
            )  # fmt: skip
        return array.to_host().__dlpack__(max_version=max_version)
    if copy:
        array = array.copy()
    stream = _let_follow(array.machine, stream)
    _take_back()
    kind = _Versioned if max_version is not None and max_version >= _VERSION else _Old
    if kind is _Old and not array.writable:
        raise ExchangeError(
            "DLPack : un tableau en lecture seule demande la version 1",
            received=f"max_version={max_version}",
        )
    envelope = kind(deleter=ctypes.cast(_give_back, ctypes.c_void_p).value)
    shape, strides = ((ctypes.c_int64 * array.ndim)(*v) for v in (array.shape, array.strides))
    code, bits = _type_of(array.dtype.name)
    word = ctypes.POINTER(ctypes.c_int64)
    envelope.tensor = Tensor(
        array.machine.address(array) if array.size else None, *here, array.ndim, code, bits, 1,
        ctypes.cast(shape, word), ctypes.cast(strides, word), 0,
    )  # fmt: skip
    if kind is _Versioned:
        envelope.major, envelope.minor = _VERSION
        envelope.flags = (0 if array.writable else _READ_ONLY) | (_COPIED if copy else 0)
    address = ctypes.addressof(envelope)
    _lent[address] = envelope, shape, strides, stream, array
    return _new_capsule(address, kind.name, ctypes.cast(_forget, ctypes.c_void_p))


def _let_follow(machine, stream):
    """Fait attendre nos calculs au flux de l’emprunteur, et rend ce flux."""
    if machine.stream_handle is None:
        if stream is not None:
            raise ExchangeError("DLPack : la mémoire de l'hôte n'a pas de flux", expected="None",
                                received=f"stream={stream}")  # fmt: skip
        return None
    if stream == 0 or (stream is not None and stream < _NO_STREAM):
        raise ExchangeError("DLPack : ce flux n'en est pas un", received=f"stream={stream}",
                            expected="None, -1, 1, 2, ou l'adresse d'un flux")  # fmt: skip
    if stream == _NO_STREAM:
        return _DEFAULT_STREAM
    stream = _DEFAULT_STREAM if stream is None else stream
    with machine.ours():
        in_order(machine.stream_handle, stream)
    return stream


def in_order(first, then):
    """Le flux `then` attendra ce que le flux `first` a déjà reçu ; l’hôte n’attend pas."""
    if first == then:
        return
    event = mark(first)
    checked(api.cuStreamWaitEvent(then, event, 0), "attendre un autre flux")
    checked(api.cuEventDestroy(event), "ôter un repère")


def mark(stream):
    """Un repère dans un flux, après ce qu’il a déjà reçu."""
    flags = api.CUevent_flags.CU_EVENT_DISABLE_TIMING
    event = checked(api.cuEventCreate(flags), "poser un repère")
    checked(api.cuEventRecord(event, stream), "poser un repère")
    return event


def _place(kind, rank):
    return f"{_NAMES.get(kind, f'une mémoire de genre {kind}')}, rang {rank}"


def _type_of(name):
    """Le code et le nombre de bits d’un dtype.

    Exemple
        >>> _type_of("float32"), _type_of("bfloat16"), _type_of("bool")
        ((2, 32), (4, 16), (6, 8))
    """
    word = name.rstrip("0123456789")
    return _CODES[word], int(name.removeprefix(word) or 8)


# -- emprunter ----------------------------------------------------------------------------------


class Loan(NamedTuple):
    """Ce que dit une capsule : l’adresse, la carte, la forme, les pas (en éléments), le dtype.

    `keeper` : tant qu’il vit, la mémoire reste valable.
    """

    address: int
    device: tuple
    shape: tuple
    strides: tuple | None
    dtype: str
    read_only: bool
    keeper: object


class _Keeper:
    """Tient un emprunt ; oublié, il le rend à son propriétaire."""

    def __init__(self, address, deleter):
        self.address, self.deleter = address, deleter

    def __del__(self):
        if self.deleter:
            _Deleter(self.deleter)(self.address)


def borrow(value, stream=None):
    """Demande sa capsule à `value`, et la lit.

    Paramètres
        stream : notre flux ; son propriétaire y fera attendre ses calculs.

    Lève
        ExchangeError : la capsule n’est pas de celles que l’on sait lire.
        DtypeError : le moteur ne connaît pas ce dtype.
    """
    try:
        capsule = value.__dlpack__(stream=stream, max_version=_VERSION)
    except TypeError:  # un propriétaire d’avant la version 1
        capsule = value.__dlpack__(stream=stream)
    reference = id(capsule)  # l’adresse de l’objet : ce que veulent ces fonctions de C
    kind = next((k for k in (_Versioned, _Old) if _is_named(reference, k.name)), None)
    if kind is None:
        raise ExchangeError("DLPack : capsule illisible, ou déjà prise", received=repr(capsule))
    address = _pointer(reference, kind.name)
    envelope = kind.from_address(address)
    if kind is _Versioned and envelope.major != _VERSION[0]:
        raise ExchangeError("DLPack : version inconnue", expected="1",
                            received=f"{envelope.major}.{envelope.minor}")  # fmt: skip
    _rename(reference, _USED[kind])  # elle est prise : à nous de la rendre
    keeper, tensor = _Keeper(address, envelope.deleter), envelope.tensor
    steps = tuple(tensor.strides[: tensor.ndim]) if tensor.strides else None
    return Loan(
        (tensor.data or 0) + tensor.byte_offset, (tensor.device_type, tensor.device_id),
        tuple(tensor.shape[: tensor.ndim]) if tensor.ndim else (), steps, _dtype_of(tensor),
        bool(getattr(envelope, "flags", 0) & _READ_ONLY), keeper,
    )  # fmt: skip


_USED = {_Versioned: b"used_dltensor_versioned", _Old: b"used_dltensor"}  # C garde l’adresse


def _dtype_of(tensor):
    words = {code: word for word, code in _CODES.items()}
    word, bits = words.get(tensor.code), tensor.bits
    if word is None or tensor.lanes != 1:
        raise DtypeError("DLPack : dtype inconnu", expected=", ".join(_CODES),
                         received=f"code {tensor.code}, {bits} bits x {tensor.lanes}")  # fmt: skip
    return word if word == "bool" else f"{word}{bits}"
