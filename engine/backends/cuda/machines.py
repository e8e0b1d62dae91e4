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

GRAIN = 512  # octets : l’alignement que garantit le pilote, et celui des zones d’une arène


def aligned(size):
    """La taille, arrondie à cet alignement.

    Exemple
        >>> aligned(1), aligned(512)
        (512, 512)
    """
    return -(-size // GRAIN) * GRAIN


class Simulator:
    """Le GPU simulé : juste, lent, partout."""

    is_simulated = True
    stream_handle = None
    reduction_block = 8  # fils par bloc d’une réduction, une puissance de deux
    tile = 4  # côté d’une tuile de produit
    warp = simulated.WARP
    _arena = np.empty(0, "uint8")
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
        return _values(array).copy()

    def address(self, array):
        """L’adresse du premier élément."""
        return array.buffer.ctypes.data + array.offset * array.buffer.itemsize

    def copy(self, target, source):
        """Copie un tableau contigu dans un autre, de même taille et de même type."""
        self.write(target, source.buffer[source.offset : source.offset + source.size])

    def loop(self, loop, shape, outs, ins, launch):
        """Une boucle terme à terme, par le lancement déjà préparé pour ces tableaux."""
        launch(*outs, *ins)

    def product(self, multiply, out, a, b):
        """Le produit de deux matrices, ou de deux piles, par `multiply`."""
        multiply(out, a, b)

    def call(self, function, *arguments):
        """Appelle une bibliothèque, qui travaille dans le flux de la machine."""
        return function(*arguments)

    def arena(self, nbytes):
        """La zone, une pour tous les plans, où ils logent les leurs ; elle ne fait que grandir."""
        if self._arena.nbytes < nbytes:
            self._arena = np.full(nbytes, 0xFF, "uint8")  # des NaN, tant que rien n’est écrit
        return self._arena

    def carve(self, arena, offset, nbytes, dtype):
        """La zone qui commence à `offset` octets du début de l’arène."""
        return arena[offset : offset + nbytes].view(dtype)

    def sender(self, places, waited):
        """Ce qui porte des valeurs dans ces tableaux, voisins dans l’arène.

        `waited` : chaque appel attend la fin des calculs avant le suivant.
        """

        def send(values):
            for place, value in zip(places, values, strict=True):
                self.write(place, value)

        return send

    def bringer(self, places):
        """Ce qui rapporte ces tableaux, voisins au début de l’arène, une fois calculés."""
        return lambda: [self.download(place) for place in places]

    def synchronize(self):
        """Attend que tout ce qui a été lancé soit fini : c’est toujours le cas."""

    def captured(self, run):
        """De quoi refaire tout ce que lance `run`."""
        return run

    def prepare(self, name, text, signature, block):
        """La fonction à lancer, d’après le texte d’un noyau (voir `compiling`)."""
        scope = simulated.simulated_functions()
        exec(compile(text, f"<{name}>", "exec"), scope)
        given = [_InPlace if "[" in word else _Place if "*" in word else _as_is
                 for word in signature]  # fmt: skip
        return cuda.jit(scope["kernel"]), given

    def launch(self, function, blocks, block, arguments):
        """Lance `blocks` blocs de `block` fils : des nombres, ou des formes d’un à trois axes."""
        kernel, given = function
        kernel[blocks, block](*[give(a) for give, a in zip(given, arguments, strict=True)])


def _as_is(number):
    return number


def _values(array):
    """Les éléments d’un `DeviceArray`, vus par NumPy sans copie."""
    steps = [step * array.buffer.itemsize for step in array.strides]
    return np.lib.stride_tricks.as_strided(array.buffer[array.offset :], array.shape, steps)


class _InPlace:
    """Un tableau à plusieurs axes, lu et écrit sur place : Numba copierait un tableau NumPy."""

    def __init__(self, array):
        self.values = _values(array)
        self.shape, self.size, self.ndim = array.shape, array.size, array.ndim

    def __getitem__(self, index):
        return self.values[index]

    def __setitem__(self, index, value):
        self.values[index] = value


class _Place:
    """Une adresse : le premier élément et ses voisins des deux côtés, lus et écrits sur place."""

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
