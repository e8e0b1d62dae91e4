"""Où tournent les noyaux : `machine()`, choisie une fois.

Une machine alloue, porte, rapporte et lance. Le simulateur range ses zones dans des tableaux NumPy
et fait tourner le texte du noyau dans le simulateur de Numba ; la machine d’un vrai GPU
(`driver`) parle au pilote. Les noyaux et ce qui les entoure ne voient pas la différence.

Ordre de lecture : `Simulator`, `machine`, `replace`.
"""

import importlib
import importlib.util

import numpy as np

from engine.backends.cuda import simulated
from engine.backends.cuda.device import GPUS, cuda


class Simulator:
    """Le GPU simulé : juste, lent, partout."""

    stream_handle = None
    reduction_block = 8  # fils par bloc d’une réduction, une puissance de deux
    tile = 4  # côté d’une tuile de produit
    warp = simulated.WARP
    block = 32  # fils par bloc quand le noyau n’en demande pas : chacun y est un fil de Python

    def allocate(self, size, dtype):
        """Une zone de `size` éléments ; ses valeurs, empoisonnées, trahissent un oubli."""
        zone = np.empty(size, dtype)
        zone.fill(np.nan if zone.dtype.kind == "f" else zone.dtype.type(1))
        return zone

    def write(self, array, value):
        """Copie un tableau NumPy contigu dans un `DeviceArray` contigu neuf."""
        array.buffer[array.offset : array.offset + array.size] = value.reshape(-1)

    def download(self, array):
        """Les valeurs d’un `DeviceArray`, en tableau NumPy."""
        item = array.buffer.itemsize
        return np.lib.stride_tricks.as_strided(
            array.buffer[array.offset :], array.shape, [s * item for s in array.strides]
        ).copy()

    def address(self, array):
        """L’adresse du premier élément."""
        return array.buffer.ctypes.data + array.offset * array.buffer.itemsize

    def prepare(self, name, text, signature, block):
        """La fonction à lancer, d’après le texte d’un noyau (voir `compiling`)."""
        scope = simulated.simulated_functions()
        exec(compile(text, f"<{name}>", "exec"), scope)
        return cuda.jit(scope["kernel"])

    def launch(self, function, blocks, block, arguments):
        """Lance `blocks` blocs de `block` fils."""
        zones = [id(a.buffer) for a in arguments if hasattr(a, "buffer")]
        function[blocks, block](
            *[_address(a, zones) if hasattr(a, "buffer") else a for a in arguments]
        )


def _address(array, zones):
    """Ce qui tient lieu d’adresse : la zone à partir du premier élément.

    Le simulateur donne au noyau une copie de chaque tableau NumPy, qu’il rapporte à la fin : de
    deux arguments d’une même zone, l’un effacerait ce que l’autre a écrit.
    """
    backwards = any(stride < 0 for stride in array.strides)
    alone = zones.count(id(array.buffer)) == 1
    return array.buffer[array.offset :] if alone and not backwards else _Place(array)


class _Place:
    """Une adresse d’où l’on peut reculer, comme d’un vrai pointeur."""

    def __init__(self, array):
        self.buffer, self.offset = array.buffer, array.offset

    def __getitem__(self, index):
        return self.buffer[self.offset + index]

    def __setitem__(self, index, value):
        self.buffer[self.offset + index] = value


_chosen = []


def machine():
    """La machine de ce processus : un GPU s’il y en a un, sinon le simulateur."""
    if not _chosen:
        is_real = GPUS and _has("cuda") and _has("cuda.bindings")
        driver = "engine.backends.cuda.driver"
        _chosen.append(importlib.import_module(driver).Device() if is_real else Simulator())
    return _chosen[0]


def _has(module):
    return importlib.util.find_spec(module) is not None


def replace(other):
    """Met une autre machine à la place, et renvoie celle d’avant (None : pas encore choisie)."""
    before = _chosen[0] if _chosen else None
    _chosen[:] = [] if other is None else [other]
    return before
