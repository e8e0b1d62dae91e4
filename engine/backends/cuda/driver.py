"""Un vrai GPU, par le pilote seul : mémoire, copies, lancements.

La machine `Device` tient le contexte primaire (celui que partagent PyTorch et CuPy), un flux, une
réserve de mémoire et les modules chargés. Tout passe par ce flux, dans l’ordre : une zone rendue
peut resservir aussitôt, puisque ce qui l’emploiera viendra après ce qui l’employait.

Ordre de lecture : `Device`, `Pool`, `Function`, `Staging`.
"""

import ctypes
import struct

import numpy as np

from engine.backends.cuda.cubins import Request, cubin
from engine.errors import EngineError, ModeError

try:
    from cuda.bindings import driver as api
except ImportError:  # pas de GPU ici : `machines` ne choisira pas cette machine
    api = None

_OLDEST_DRIVER = 13000
_GRAIN = 512  # octets : l’alignement que garantit le pilote
_STAGING = 1 << 23
_FORMATS = {
    "bool": "?", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i",
    "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f", "float64": "d",
}  # fmt: skip


class DeviceError(EngineError, RuntimeError):
    """Le pilote du GPU a refusé, ou un noyau a échoué."""


class DeviceMemoryError(EngineError, MemoryError):
    """Il n’y a plus assez de mémoire sur le GPU."""


def checked(result, action):
    """Ce que rend un appel du pilote, ou une erreur qui dit ce qu’on faisait."""
    code, *values = result
    if code:
        raise DeviceError(
            f"GPU : {action} a échoué",
            received=f"{code.name} ({int(code)})",
            hint=_HINTS.get(code.name),
        )
    return values[0] if len(values) == 1 else values


_HINTS = {
    "CUDA_ERROR_NO_DEVICE": "config.device = 'cpu' : cette machine n'a pas de GPU NVIDIA visible",
    "CUDA_ERROR_INVALID_DEVICE": "config.device = 'cuda0' : il n'y a pas tant de GPU",
    "CUDA_ERROR_ILLEGAL_ADDRESS": "un noyau a lu ou écrit hors de ses tableaux ; le GPU ne répond "
    "plus à ce processus : relancez-le, et rejouez sur le simulateur (CUDA_VISIBLE_DEVICES= )",
    "CUDA_ERROR_NO_BINARY_FOR_GPU": "les noyaux emportés sont compilés pour un autre GPU",
}


class Device:
    """Un GPU, par le pilote.

    Paramètres
        rank : son rang parmi les GPU visibles ; `cuda1` a le rang 1.

    Lève
        DeviceError : pas de GPU de ce rang, ou un refus du pilote.
        ModeError : le pilote est trop ancien pour les noyaux compilés.
    """

    block = 256
    reduction_block = 256
    tile = 16
    warp = 32

    def __init__(self, rank=0):
        checked(api.cuInit(0), "réveiller le pilote")
        version = checked(api.cuDriverGetVersion(), "lire la version du pilote")
        if version < _OLDEST_DRIVER:
            raise ModeError(
                "le pilote du GPU est trop ancien",
                expected="CUDA 13.0 ou plus récent",
                received=f"CUDA {version // 1000}.{version % 1000 // 10}",
                hint="mettez à jour le pilote NVIDIA (580 ou plus récent)",
            )
        self.rank = rank
        self.device = checked(api.cuDeviceGet(self.rank), f"trouver le GPU {self.rank}")
        self.context = checked(api.cuDevicePrimaryCtxRetain(self.device), "ouvrir le GPU")
        self.activate()
        flags = api.CUstream_flags.CU_STREAM_NON_BLOCKING
        self.stream = checked(api.cuStreamCreate(flags), "ouvrir un flux")
        self.stream_handle = int(self.stream)
        name = checked(api.cuDeviceGetName(80, self.device), "lire le nom du GPU")
        self.name = name.split(b"\0")[0].decode()
        self.architecture = self._architecture()
        self.pool = Pool(self)
        self._staging = None

    def activate(self):
        """Fait de ce GPU celui du fil d’exécution : le pilote ne parle qu’au GPU courant."""
        checked(api.cuCtxSetCurrent(self.context), "choisir le GPU")

    def _architecture(self):
        attributes = api.CUdevice_attribute
        major, minor = (
            checked(api.cuDeviceGetAttribute(which, self.device), "lire l'architecture du GPU")
            for which in (
                attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        return f"sm_{major}{minor}" + ("a" if (major, minor) >= (9, 0) else "")

    def allocate(self, size, dtype):
        """Une zone de `size` éléments, dont les valeurs ne sont pas écrites."""
        return self.pool.take(max(size, 1) * np.dtype(dtype).itemsize)

    def address(self, array):
        """L’adresse du premier élément."""
        return array.buffer.pointer + array.offset * array.dtype.itemsize

    def write(self, array, value):
        """Copie un tableau NumPy contigu dans un `DeviceArray` contigu neuf."""
        if value.nbytes:
            self._staging = self._staging or Staging(self)
            self._staging.send(self.address(array), value)

    def download(self, array):
        """Les valeurs d’un `DeviceArray`, en tableau NumPy ; attend la fin des calculs."""
        dtype = array.dtype
        if not array.size:
            return np.empty(array.shape, dtype)
        reach = [(n - 1) * s for n, s in zip(array.shape, array.strides, strict=True)]
        low = sum(step for step in reach if step < 0)
        high = sum(step for step in reach if step > 0)
        flat = np.empty(high - low + 1, dtype)
        source = self.address(array) + low * dtype.itemsize
        copy = api.cuMemcpyDtoHAsync(flat.ctypes.data, source, flat.nbytes, self.stream)
        checked(copy, "rapporter un tableau")
        self.synchronize()
        steps = [step * dtype.itemsize for step in array.strides]
        values = np.lib.stride_tricks.as_strided(flat[-low:], array.shape, steps)
        return values if array.is_contiguous else values.copy()

    def synchronize(self):
        """Attend que tout ce qui a été lancé soit fini."""
        checked(api.cuStreamSynchronize(self.stream), "attendre la fin des calculs")

    def fill(self, zone, word):
        """Remplit une zone d’un mot de 32 bits."""
        count = zone.nbytes // 4
        filled = api.cuMemsetD32Async(zone.pointer, word, count, self.stream)
        checked(filled, "remplir une zone")

    def microseconds(self, run, repeats):
        """La durée médiane de `run()` sur le GPU, d’après ses propres repères."""
        spent = []
        for _ in range(repeats + 3):
            start, end = (checked(api.cuEventCreate(0), "poser un repère") for _ in range(2))
            api.cuEventRecord(start, self.stream)
            run()
            api.cuEventRecord(end, self.stream)
            checked(api.cuEventSynchronize(end), "attendre la fin des calculs")
            spent.append(checked(api.cuEventElapsedTime(start, end), "lire une durée"))
            api.cuEventDestroy(start)
            api.cuEventDestroy(end)
        return 1000 * float(np.median(spent[3:]))

    def prepare(self, name, text, signature, block):
        """Charge le cubin de ce noyau, et rend de quoi le lancer."""
        entry, code = cubin(Request(name, text, tuple(signature), block), self.architecture)
        module = checked(api.cuModuleLoadData(code), f"charger le noyau « {name} »")
        handle = checked(api.cuModuleGetFunction(module, entry.encode()), f"trouver « {name} »")
        return Function(name, module, handle, signature)

    def launch(self, function, blocks, block, arguments):
        """Lance `blocks` blocs de `block` fils ; n’attend pas."""
        function.pack(arguments)
        code, *_ = api.cuLaunchKernel(
            function.handle, blocks, 1, 1, block, 1, 1, 0, self.stream, function.pointers, 0
        )
        if code:
            checked((code,), f"lancer « {function.name} » ({blocks} blocs de {block} fils)")


class Function:
    """Un noyau chargé, et la place où ses arguments sont rangés une fois pour toutes."""

    def __init__(self, name, module, handle, signature):
        self.name, self.module, self.handle = name, module, handle
        codes = ["Q" if word.endswith("*") else _FORMATS[word] for word in signature]
        self._is_pointer = [word.endswith("*") for word in signature]
        self._layout = struct.Struct("".join(codes))
        self._place = ctypes.create_string_buffer(max(self._layout.size, 1))
        base = ctypes.addressof(self._place)
        offsets = [
            struct.calcsize("".join(codes[: rank + 1])) - struct.calcsize(codes[rank])
            for rank in range(len(codes))
        ]
        self._table = (ctypes.c_void_p * len(codes))(*[base + offset for offset in offsets])
        self.pointers = ctypes.addressof(self._table)

    def pack(self, arguments):
        """Écrit les arguments à leur place ; le pilote les copie au lancement."""
        self._layout.pack_into(
            self._place,
            0,
            *[
                a.buffer.pointer + a.offset * a.dtype.itemsize if pointer else a
                for a, pointer in zip(arguments, self._is_pointer, strict=True)
            ],
        )


class Zone:
    """Un morceau de la mémoire du GPU ; oublié, il retourne à la réserve."""

    __slots__ = ("nbytes", "pointer", "pool")

    def __init__(self, pool, pointer, nbytes):
        self.pool, self.pointer, self.nbytes = pool, pointer, nbytes

    def __del__(self):
        self.pool.give(self.pointer, self.nbytes)


class Pool:
    """La réserve : des zones par classes de taille, gardées pour resservir.

    Une taille est arrondie au quart de puissance de deux qui suit : au plus un quart de perdu, et
    peu de classes.
    """

    def __init__(self, machine):
        self.machine = machine
        self.free = {}
        self.held = 0  # octets dans des zones vivantes
        self.kept = 0  # octets en réserve

    def take(self, nbytes):
        """Une zone d’au moins `nbytes` octets."""
        size = size_class(nbytes)
        waiting = self.free.get(size)
        if waiting:
            pointer = waiting.pop()
            self.kept -= size
        else:
            pointer = self._allocate(size, nbytes)
        self.held += size
        return Zone(self, pointer, size)

    def give(self, pointer, size):
        """Remet une zone en réserve."""
        self.free.setdefault(size, []).append(pointer)
        self.held -= size
        self.kept += size

    def release(self):
        """Rend la réserve au pilote."""
        self.machine.synchronize()
        for pointers in self.free.values():
            for pointer in pointers:
                checked(api.cuMemFree(pointer), "rendre de la mémoire")
        self.free.clear()
        self.kept = 0

    def _allocate(self, size, asked):
        code, pointer = api.cuMemAlloc(size)
        if code == api.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            self.release()
            code, pointer = api.cuMemAlloc(size)
        if code == api.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            free, total = checked(api.cuMemGetInfo(), "lire la place libre")
            raise DeviceMemoryError(
                "plus assez de mémoire sur le GPU",
                expected=f"{_mega(asked)} d'un seul tenant",
                received=f"{_mega(free)} libres sur {_mega(total)}, dont {_mega(self.held)} tenus "
                f"par ce programme et {_mega(total - free - self.held)} par d'autres",
                hint="des lots plus petits, ou moins de variables partagées",
            )
        checked((code,), "prendre de la mémoire")
        return int(pointer)


def size_class(nbytes):
    """L’arrondi d’une taille : quatre classes par puissance de deux.

    Exemple
        >>> [size_class(n) for n in (1, 513, 5000, 5121)]
        [512, 1024, 5120, 6144]
    """
    step = max(_GRAIN, 1 << max((nbytes - 1).bit_length() - 3, 0))
    return -(-nbytes // step) * step


def _mega(octets):
    return f"{octets / 1e6:.0f} Mo"


class Staging:
    """De la mémoire d’hôte épinglée, en anneau : d’elle, une copie part sans attendre."""

    def __init__(self, machine):
        self.machine = machine
        address = checked(api.cuMemAllocHost(_STAGING), "épingler de la mémoire")
        self.address = int(address)
        self.view = np.ctypeslib.as_array((ctypes.c_uint8 * _STAGING).from_address(self.address))
        self.next = 0

    def send(self, target, value):
        """Copie `value` vers l’adresse `target` du GPU."""
        size = value.nbytes
        if size > _STAGING // 2:
            copy = api.cuMemcpyHtoDAsync(target, value.ctypes.data, size, self.machine.stream)
            checked(copy, "porter un tableau")
            self.machine.synchronize()  # `value` peut changer dès le retour
            return
        if self.next + size > _STAGING:
            self.machine.synchronize()  # les copies parties du début de l’anneau sont arrivées
            self.next = 0
        place = slice(self.next, self.next + size)
        self.view[place] = value.reshape(-1).view(np.uint8)
        copy = api.cuMemcpyHtoDAsync(target, self.address + self.next, size, self.machine.stream)
        checked(copy, "porter un tableau")
        self.next += -(-size // 64) * 64
