"""Un vrai GPU, par le pilote seul : mémoire, copies, lancements.

La machine `Device` tient le contexte primaire (celui que partagent PyTorch et CuPy), un flux, une
réserve de mémoire et les modules chargés. Tout passe par ce flux, dans l’ordre : une zone rendue
peut resservir aussitôt, puisque ce qui l’emploiera viendra après ce qui l’employait.

Ordre de lecture : `Device`, `Pool`, `Function`, `Staging`.
"""

import ctypes
import os
import struct

import numpy as np

from engine.core.errors import ModeError
from engine.gpu.kernels.calls import api, checked
from engine.gpu.kernels.cubins import Request, architecture_of, cubin
from engine.gpu.kernels.memory import STAGING, Part, Pool, Staging, pinned
from engine.gpu.kernels.protocol import Machine

_OLDEST = {12: (5, 0), 13: (7, 5)}  # l’architecture à partir de laquelle ce CUDA compile
_FORMATS = {
    "bool": "?", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i",
    "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f", "float64": "d",
}  # fmt: skip


class Device(Machine):
    """Un GPU, par le pilote.

    Paramètres
        rank : son rang parmi les GPU visibles ; `cuda1` a le rang 1.

    Lève
        DeviceError : pas de GPU de ce rang, ou un refus du pilote.
        ModeError : le pilote est trop ancien pour les noyaux compilés.
    """

    is_simulated = False
    block = 256
    reduction_block = 256
    tile = 16

    def __init__(self, rank=0):
        super().__init__(rank)
        checked(api.cuInit(0), "réveiller le pilote")
        version = checked(api.cuDriverGetVersion(), "lire la version du pilote")
        installed = api.CUDA_VERSION // 1000
        if version // 1000 < installed:
            raise ModeError(
                "le pilote du GPU est trop ancien pour le CUDA installé",
                expected=f"CUDA {installed}.0 ou plus récent",
                received=f"CUDA {version // 1000}.{version % 1000 // 10}",
                hint="python3 demarrer.py gpu installe le CUDA de ce pilote ; ou mettez à jour le "
                "pilote NVIDIA",
            )
        self.device = checked(api.cuDeviceGet(self.rank), f"trouver le GPU {self.rank}")
        self.architecture = self._architecture()
        self.context = checked(api.cuDevicePrimaryCtxRetain(self.device), "ouvrir le GPU")
        self._ours = _Ours(self)
        with self.ours():
            self._open()

    def _open(self):
        flags = api.CUstream_flags.CU_STREAM_NON_BLOCKING
        self.stream = checked(api.cuStreamCreate(flags), "ouvrir un flux")
        self.stream_handle = int(self.stream)
        name = checked(api.cuDeviceGetName(80, self.device), "lire le nom du GPU")
        self.name = name.split(b"\0")[0].decode()
        count = api.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
        asked = api.cuDeviceGetAttribute(count, self.device)
        self.multiprocessors = checked(asked, "compter les processeurs du GPU")
        self.pool = Pool(self)
        self._arena = None
        self._staging, self._fixed = None, {}

    def ours(self):
        """Le temps d’un bloc Python : un seul fil d’exécution, ce GPU pour GPU courant."""
        return self._ours

    def borrowed(self, zone):
        """Cette zone, pour un plan, qui ne la fait pas vivre."""
        return Part(zone.pointer)

    def call(self, function, *arguments):
        """Appelle une bibliothèque, qui travaille dans le flux de la machine."""
        with self.ours():
            return function(*arguments)

    def _architecture(self):
        attributes = api.CUdevice_attribute
        major, minor = (
            checked(api.cuDeviceGetAttribute(which, self.device), "lire l'architecture du GPU")
            for which in (
                attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        oldest = _OLDEST[api.CUDA_VERSION // 1000]
        if (major, minor) < oldest:
            raise ModeError(
                "ce GPU est trop ancien pour le CUDA installé",
                expected=f"{architecture_of(*oldest)} ou plus récent",
                received=architecture_of(major, minor),
                hint="python3 demarrer.py gpu installe le CUDA de cette carte ; ou "
                "config.device = 'cpu'",
            )
        return architecture_of(major, minor)

    def allocate(self, size, dtype):
        """Une zone de `size` éléments, dont les valeurs ne sont pas écrites."""
        with self.ours():
            return self.pool.take(max(size, 1) * np.dtype(dtype).itemsize)

    def address(self, array):
        """L’adresse du premier élément."""
        return array.buffer.pointer + array.offset * array.dtype.itemsize

    def write(self, array, value):
        """Copie un tableau NumPy contigu dans un `DeviceArray` contigu neuf."""
        if value.nbytes:
            with self.ours():
                self._open_staging().send(self.address(array), [value])

    def _open_staging(self):
        self._staging = self._staging or Staging(self)
        return self._staging

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
        with self.ours():
            copy = api.cuMemcpyDtoHAsync(flat.ctypes.data, source, flat.nbytes, self.stream)
            checked(copy, "rapporter un tableau")
            self.synchronize()
        steps = [step * dtype.itemsize for step in array.strides]
        values = np.lib.stride_tricks.as_strided(flat[-low:], array.shape, steps)
        return values if array.is_contiguous else values.copy()

    def copy(self, target, source):
        """Copie un tableau contigu dans un autre, de même taille et de même type."""
        if source.size:
            ends = self.address(target), self.address(source)
            with self.ours():
                done = api.cuMemcpyDtoDAsync(*ends, source.nbytes, self.stream)
                checked(done, "copier un tableau")

    def fetch(self, target, source):
        """Copie un tableau contigu d’une autre carte dans un de celle-ci, sans l’hôte."""
        there, size = source.machine, source.nbytes
        if there is self or not size:
            self.copy(target, source)
            return
        there.synchronize()  # ses calculs sont dans un autre flux
        ends = self.address(target), self.context, there.address(source), there.context
        with self.ours():
            done = api.cuMemcpyPeerAsync(*ends, size, self.stream)
            checked(done, "copier d'une carte à l'autre")
            self.synchronize()  # la source peut changer dès le retour

    def arena(self, nbytes):
        """La zone, une pour tous les plans, où ils logent les leurs ; elle ne fait que grandir."""
        if self._arena is None or self._arena.nbytes < nbytes:
            self._arena = None  # l’ancienne peut resservir
            self._arena = self.pool.take(max(nbytes, 1))
        return self._arena

    def identity(self, arena):
        """Ce qui distingue cette arène des précédentes : un plan n’en connaît que l’adresse."""
        return arena.pointer

    def carve(self, arena, offset, nbytes, dtype):
        """La zone qui commence à `offset` octets du début de l’arène."""
        return Part(arena.pointer + offset)

    def sender(self, places, waited):
        """Ce qui porte des valeurs dans ces tableaux, voisins dans l’arène, en une seule copie.

        `waited` : chaque appel attend la fin des calculs avant le suivant ; une place fixe de
        mémoire épinglée suffit alors.
        """
        start = self.address(places[0])
        size = self.address(places[-1]) + places[-1].nbytes - start
        if size > STAGING or not waited:
            return lambda values: self._open_staging().send(start, values)
        address, views = self._pinned("inputs", places)
        stream, copy = self.stream, api.cuMemcpyHtoDAsync

        def send(values):
            for view, value in zip(views, values, strict=True):
                view[...] = value
            checked(copy(start, address, size, stream), "porter des tableaux")

        return send

    def bringer(self, places):
        """Ce qui rapporte ces tableaux, voisins au début de l’arène, une fois calculés."""
        start = self.address(places[0])
        size = self.address(places[-1]) + places[-1].nbytes - start
        if size > STAGING:
            return lambda: [self.download(place) for place in places]
        address, views = self._pinned("results", places)
        stream, copy = self.stream, api.cuMemcpyDtoHAsync

        def bring():
            checked(copy(address, start, size, stream), "rapporter les résultats")
            self.synchronize()
            return [view.copy() for view in views]

        return bring

    def _pinned(self, use, places):
        """La mémoire épinglée de cet usage, vue comme ces tableaux voisins."""
        if use not in self._fixed:
            self._fixed[use] = pinned(STAGING)
        address, octets = self._fixed[use]
        start = self.address(places[0])
        begins = [self.address(place) - start for place in places]
        return address, [
            octets[begin : begin + place.nbytes].view(place.dtype).reshape(place.shape)
            for begin, place in zip(begins, places, strict=True)
        ]

    def captured(self, run):
        """De quoi refaire tout ce que lance `run`, d’un seul appel au pilote : un graphe CUDA."""
        relaxed = api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
        checked(api.cuStreamBeginCapture(self.stream, relaxed), "commencer une capture")
        try:
            run()
        except BaseException:
            code, graph = api.cuStreamEndCapture(self.stream)
            if not code:
                api.cuGraphDestroy(graph)
            raise
        graph = checked(api.cuStreamEndCapture(self.stream), "finir une capture")
        executable = checked(api.cuGraphInstantiate(graph, 0), "préparer un graphe")
        checked(api.cuGraphDestroy(graph), "oublier la capture")
        return Captured(executable, self.stream)

    def synchronize(self):
        """Attend que tout ce qui a été lancé soit fini."""
        with self.ours():
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
        with self.ours():
            module = checked(api.cuModuleLoadData(code), f"charger le noyau « {name} »")
            found = api.cuModuleGetFunction(module, entry.encode())
            handle = checked(found, f"trouver « {name} »")
        return Function(name, module, handle, signature)

    def launch(self, function, blocks, block, arguments):
        """Lance `blocks` blocs de `block` fils (des nombres, ou des axes) ; n’attend pas."""
        with self.ours():  # un noyau n’a qu’une place pour ses arguments
            function.pack(arguments)
            code, *_ = api.cuLaunchKernel(
                function.handle, *_three(blocks), *_three(block), 0, self.stream,
                function.pointers, 0,
            )  # fmt: skip
        if code:
            checked((code,), f"lancer « {function.name} » ({blocks} blocs de {block} fils)")


class _Ours:
    """Le tour d’un GPU : un fil d’exécution à la fois (un anneau, un flux, une place d’arguments),
    et le pilote parle à ce GPU-ci ; celui que le fil avait choisi lui est rendu.
    """

    def __init__(self, device):
        self.device, self.process = device, os.getpid()
        self.depth, self.before = 0, None

    def __enter__(self):
        if os.getpid() != self.process:
            raise ModeError(
                "un processus né d’un autre (fork) ne peut pas se servir du GPU déjà ouvert",
                expected="un processus qui ouvre le GPU lui-même",
                hint="multiprocessing.set_start_method('spawn'), ou forker avant le premier calcul",
            )
        self.device.turn.acquire()
        self.depth += 1
        if self.depth == 1:
            ours, (_, current) = self.device.context, api.cuCtxGetCurrent()
            self.before = current if int(current) not in (0, int(ours)) else None
            if int(current) != int(ours):
                checked(api.cuCtxSetCurrent(ours), "choisir le GPU")

    def __exit__(self, *_):
        self.depth -= 1
        if self.depth == 0 and self.before is not None:
            api.cuCtxSetCurrent(self.before)
        self.device.turn.release()


class Function:
    """Un noyau chargé, et la place où ses arguments sont rangés une fois pour toutes.

    Un tableau de Numba prend sept mots et plus : deux poignées nulles, le nombre d’éléments, la
    taille d’un élément en octets, l’adresse, la forme, les pas en octets.
    """

    def __init__(self, name, module, handle, signature):
        self.name, self.module, self.handle = name, module, handle
        codes = [code for word in signature for code in _codes(word)]
        self._is_array = ["[" in word for word in signature]
        self._layout = struct.Struct("".join(codes))
        self._place = ctypes.create_string_buffer(max(self._layout.size, 1))
        base = ctypes.addressof(self._place)
        offsets = [
            struct.calcsize("".join(codes[: k + 1])) - struct.calcsize(codes[k])
            for k in range(len(codes))
        ]
        self._table = (ctypes.c_void_p * len(codes))(*[base + offset for offset in offsets])
        self.pointers = ctypes.addressof(self._table)

    def pack(self, arguments):
        """Écrit les arguments à leur place ; le pilote les copie au lancement."""
        rows = zip(arguments, self._is_array, strict=True)
        words = [word for a, array in rows for word in (_words(a) if array else (a,))]
        self._layout.pack_into(self._place, 0, *words)


def _codes(word):
    """Ce que prend un paramètre, dans les lettres de `struct`."""
    if "[" in word:
        return ["q"] * (5 + 2 * (word.count(",") + 1))
    return [_FORMATS[word]]


def _words(array):
    """Un tableau, tel que Numba le reçoit."""
    item = array.dtype.itemsize
    first = array.buffer.pointer + array.offset * item
    steps = [step * item for step in array.strides]
    return 0, 0, array.size, item, first, *array.shape, *steps


def _three(dims):
    """Les trois axes d’une grille ou d’un bloc."""
    return (dims, 1, 1) if isinstance(dims, int) else (*dims, 1, 1)[:3]


class Captured:
    """Un graphe CUDA prêt à lancer ; oublié, il est détruit."""

    def __init__(self, executable, stream):
        self.executable, self.stream = executable, stream

    def __call__(self):
        code, *_ = api.cuGraphLaunch(self.executable, self.stream)
        if code:
            checked((code,), "rejouer un graphe")

    def __del__(self):
        api.cuGraphExecDestroy(self.executable)
