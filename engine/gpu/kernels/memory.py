"""La mémoire du GPU, et celle de l’hôte d’où les copies partent sans attendre.

Ordre de lecture : `Pool`, `Zone`, `Part`, puis `Staging`.
"""

import collections
import ctypes

import numpy as np

from engine.gpu.kernels.calls import DeviceMemoryError, api, checked, drains
from engine.gpu.kernels.protocol import GRAIN, aligned
from engine.gpu.kernels.storage import holders

_SHOWN = 5  # variables partagées nommées quand la mémoire manque
STAGING = 1 << 23  # octets épinglés, pour les entrées ; autant pour les résultats


class Part:
    """Une zone prise dans l’arène, qui ne lui appartient pas."""

    __slots__ = ("pointer",)

    def __init__(self, pointer):
        self.pointer = pointer


class Zone:
    """Un morceau de la mémoire du GPU ; oublié, il retourne à la réserve."""

    __slots__ = ("__weakref__", "nbytes", "pointer", "pool")

    def __init__(self, pool, pointer, nbytes):
        self.pool, self.pointer, self.nbytes = pool, pointer, nbytes

    def __del__(self):
        self.pool.returned.append((self.pointer, self.nbytes))  # de n’importe quel fil


class Pool:
    """La réserve : des zones par classes de taille, gardées pour resservir.

    Une taille est arrondie au quart de puissance de deux qui suit : au plus un quart de perdu, et
    peu de classes.
    """

    def __init__(self, machine):
        self.machine = machine
        self.free = {}
        self.returned = collections.deque()  # (adresse, taille) de zones oubliées
        self.taken = 0  # octets dans des zones, ces dernières comprises

    def take(self, nbytes):
        """Une zone d’au moins `nbytes` octets."""
        self._take_back()
        size = size_class(nbytes)
        waiting = self.free.get(size)
        pointer = waiting.pop() if waiting else self._allocate(size, nbytes)
        self.taken += size
        return Zone(self, pointer, size)

    @property
    def held(self):
        """Les octets dans des zones vivantes."""
        self._take_back()
        return self.taken

    def _take_back(self):
        """Remet en réserve les zones oubliées."""
        while self.returned:
            pointer, size = self.returned.popleft()
            self.free.setdefault(size, []).append(pointer)
            self.taken -= size

    def release(self):
        """Rend la réserve au pilote."""
        self.machine.synchronize()
        self._take_back()
        for pointers in self.free.values():
            for pointer in pointers:
                checked(api.cuMemFree(pointer), "rendre de la mémoire")
        self.free.clear()

    def _allocate(self, size, asked):
        code, pointer = api.cuMemAlloc(size)
        if code == api.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            for _ in range(3):  # poser un repère, le voir passé, reprendre ce qu’il gardait
                for drain in drains:
                    drain()
                self.machine.synchronize()
            self.release()
            code, pointer = api.cuMemAlloc(size)
        if code == api.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            free, total = checked(api.cuMemGetInfo(), "lire la place libre")
            names = ", ".join(f"{name} {_mega(size)}" for name, size in holders()[:_SHOWN])
            raise DeviceMemoryError(
                "plus assez de mémoire sur le GPU",
                expected=f"{_mega(asked)} d'un seul tenant",
                received=f"{_mega(free)} libres sur {_mega(total)} ; {_mega(self.held)} tenus "
                f"par ce programme ({names or 'aucune variable partagée'}) et "
                f"{_mega(total - free - self.held)} par d'autres",
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
    step = max(GRAIN, 1 << max((nbytes - 1).bit_length() - 3, 0))
    return -(-nbytes // step) * step


def _mega(octets):
    return f"{octets / 1e6:.0f} Mo"


def pinned(size):
    """De la mémoire d’hôte épinglée : son adresse, et ses octets vus par NumPy."""
    address = int(checked(api.cuMemAllocHost(size), "épingler de la mémoire"))
    return address, np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


class Staging:
    """De la mémoire d’hôte épinglée, en anneau : d’elle, une copie part sans attendre."""

    def __init__(self, machine):
        self.machine = machine
        self.address, self.view = pinned(STAGING)
        self.next = 0

    def send(self, target, arrays):
        """Copie des tableaux l’un après l’autre à l’adresse `target` du GPU, chacun aligné."""
        sizes = [aligned(max(value.nbytes, 1)) for value in arrays]  # comme dans l’arène
        total = sum(sizes)
        if total > STAGING // 2:
            for value, size in zip(arrays, sizes, strict=True):
                self._send_large(target, value)
                target += size
            self.machine.synchronize()  # les valeurs peuvent changer dès le retour
            return
        if self.next + total > STAGING:
            self.machine.synchronize()  # les copies parties du début de l’anneau sont arrivées
            self.next = 0
        place = self.next
        for value, size in zip(arrays, sizes, strict=True):
            filled = self.view[place : place + value.nbytes].view(value.dtype)
            filled.reshape(value.shape)[...] = value
            place += size
        last = arrays[-1].nbytes - sizes[-1]  # rien après le dernier élément
        copy = api.cuMemcpyHtoDAsync(
            target, self.address + self.next, total + last, self.machine.stream
        )
        checked(copy, "porter des tableaux")
        self.next = place

    def _send_large(self, target, value):
        value = np.ascontiguousarray(value)
        copy = api.cuMemcpyHtoDAsync(target, value.ctypes.data, value.nbytes, self.machine.stream)
        checked(copy, "porter un tableau")
