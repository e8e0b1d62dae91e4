"""Où tournent les noyaux : `machine()`, une par carte, ouverte au premier besoin.

Une machine alloue, porte, rapporte et lance. Le simulateur range ses zones dans des tableaux NumPy
et fait tourner le texte du noyau dans le simulateur de Numba ; la machine d’un vrai GPU
(`driver`) parle au pilote. Les noyaux et ce qui les entoure ne voient pas la différence.

Le réglage `device` dit laquelle : `cuda0`, `cuda1`… Une fonction compilée et un tableau du
périphérique gardent la leur. Le simulateur en joue deux, pour essayer.

Ordre de lecture : `Machine`, `Simulator`, `machine`, `bound`, `why_simulated`, `replace`.
"""

import importlib
import importlib.util
import sys
import threading
import warnings
from pathlib import Path

import numpy as np

from engine.core.dtypes import FLOATS
from engine.core.errors import ModeError
from engine.core.settings import FLAGS, config
from engine.core.typeset import typeset
from engine.gpu.kernels import simulated, simulator
from engine.gpu.kernels.cubins import has_compiler, has_cubins
from engine.gpu.kernels.device import GPUS
from engine.gpu.kernels.geometry import as_tuple

GRAIN = 512  # octets : l’alignement que garantit le pilote, et celui des zones d’une arène


def aligned(size):
    """La taille, arrondie à cet alignement.

    Exemple
        >>> aligned(1), aligned(512)
        (512, 512)
    """
    return -(-size // GRAIN) * GRAIN


class Machine:
    """Ce que toutes les machines font de même ; un journal (`journal.Recorder`) l’intercepte."""

    def __init__(self, rank=0):
        self.rank = rank
        self.turn = threading.RLock()  # une arène, un flux : une fonction compilée à la fois

    def loop(self, loop, shape, outs, ins, launch):
        """Une boucle terme à terme, par le lancement déjà préparé pour ces tableaux."""
        launch(*outs, *ins)

    def product(self, multiply, out, a, b):
        """Le produit de deux matrices, ou de deux piles, par `multiply`."""
        multiply(out, a, b)

    def call(self, function, *arguments):
        """Appelle une bibliothèque, qui travaille dans le flux de la machine."""
        return function(*arguments)


class Simulator(Machine):
    """Le GPU simulé : juste, lent, partout."""

    is_simulated = True
    stream_handle = None
    reduction_block = 8  # fils par bloc d’une réduction, une puissance de deux
    tile = 4  # côté d’une tuile de produit
    warp = simulated.WARP
    backward = False  # commencer par le dernier bloc, et par le dernier fil
    _arena = np.empty(0, "uint8")
    block = 32  # fils par bloc quand le noyau n’en demande pas : chacun y est un fil de Python

    def activate(self):
        """Rien à faire : rien n’y est propre à un fil d’exécution."""

    def allocate(self, size, dtype):
        """Une zone de `size` éléments ; ses valeurs, empoisonnées, trahissent un oubli."""
        zone = np.empty(size, dtype)
        zone.fill(np.nan if zone.dtype.name in FLOATS else zone.dtype.type(1))
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

    def arena(self, nbytes):
        """La zone, une pour tous les plans, où ils logent les leurs ; elle ne fait que grandir."""
        if self._arena.nbytes < nbytes:
            self._arena = np.full(nbytes, 0xFF, "uint8")  # des NaN, tant que rien n’est écrit
        return self._arena

    def identity(self, arena):
        """Ce qui distingue cette arène des précédentes."""
        return id(arena)

    def carve(self, arena, offset, nbytes, dtype):
        """La zone qui commence à `offset` octets du début de l’arène."""
        return arena[offset : offset + nbytes].view(dtype)

    def sender(self, places, waited):
        """Ce qui porte des valeurs dans ces tableaux, voisins dans l’arène.

        `waited` : chaque appel attend la fin des calculs avant le suivant.
        """

        def send(values):
            for place, value in zip(places, values, strict=True):
                self.write(place, value)

        return send

    def bringer(self, places):
        """Ce qui rapporte ces tableaux, voisins au début de l’arène, une fois calculés."""
        return lambda: [self.download(place) for place in places]

    def synchronize(self):
        """Attend que tout ce qui a été lancé soit fini : c’est toujours le cas."""

    def captured(self, run):
        """De quoi refaire tout ce que lance `run`."""
        return run

    def prepare(self, name, text, signature, block):
        """La fonction à lancer, d’après le texte d’un noyau (voir `compiling`)."""
        more = simulated.simulated_functions()
        return simulator.from_text(name, text, more), [simulator.giver(word) for word in signature]

    def launch(self, function, blocks, block, arguments):
        """Lance `blocks` blocs de `block` fils : des nombres, ou des formes d’un à trois axes."""
        kernel, given = function
        inside = [give(a) for give, a in zip(given, arguments, strict=True)]
        simulator.cuda.warp = self.warp
        simulator.run(kernel, inside, as_tuple(blocks), as_tuple(block), self.backward)


def _values(array):
    """Les éléments d’un `DeviceArray`, vus par NumPy sans copie."""
    steps = [step * array.buffer.itemsize for step in array.strides]
    return np.lib.stride_tricks.as_strided(array.buffer[array.offset :], array.shape, steps)


class _Thread(threading.local):
    """Ce que chaque fil d’exécution a de propre."""

    bound = None  # la machine de la fonction qui tourne
    active = None  # le rang de celle à qui le pilote parle


_opened = {}  # rang -> machine
_thread = _Thread()
RANKS = {name: int(name.removeprefix("cuda") or 0) for name in FLAGS["device"].choices[1:]}
_ENGINE = str(Path(__file__).parents[2])
SIMULATED = 2  # cartes que le simulateur sait jouer


def machine(rank=None):
    """La machine de ce rang, ouverte au premier besoin.

    Sans rang : pendant l’appel d’une fonction compilée, celle pour qui elle l’a été ; ailleurs,
    celle du réglage `device`.

    Lève
        ModeError : il n’y a pas tant de cartes.
    """
    chosen = _thread.bound
    if rank is None:
        chosen = chosen or _at(RANKS.get(config.device, 0))
    elif chosen is None or chosen.rank != rank:
        chosen = _at(rank)
    if chosen.rank != _thread.active:
        chosen.activate()
        _thread.active = chosen.rank
    return chosen


def rank_of(name):
    """Le rang d’une carte d’après son nom, « cuda » ou « cuda1 ».

    Lève
        ModeError : ce n’est pas le nom d’une carte.
    """
    if name not in RANKS:
        raise ModeError("carte inconnue", expected="cuda, cuda0, cuda1…", received=repr(name))
    return RANKS[name]


def several():
    """Dit si plusieurs cartes servent : leurs tableaux ne se mêlent pas."""
    return len(_opened) > 1


def bound(call):
    """La même fonction, toujours calculée par la machine du moment présent."""
    chosen = machine()

    def on_its_card(*arguments):
        with chosen.turn:
            before, _thread.bound = _thread.bound, chosen
            try:
                return call(*arguments)
            finally:
                _thread.bound = before

    return on_its_card


def _at(rank):
    found = _opened.get(rank)
    if found is None:
        found = _opened[rank] = _open(rank)
        _thread.active = rank
    return found


def _open(rank):
    why = why_simulated()
    cards, kind = (GPUS, "GPU") if why is None else (SIMULATED, "GPU simulé")
    if rank >= cards:
        names = ", ".join(f"cuda{n}" for n in range(cards))
        raise ModeError(
            f"il n'y a pas de {kind} {rank}", expected=names, received=f"cuda{rank}",
            hint="config.device = 'cuda0'",
        )  # fmt: skip
    if why is None:
        return importlib.import_module("engine.gpu.kernels.driver").Device(rank)
    if not any(isinstance(other, Simulator) for other in _opened.values()):
        warnings.warn(
            typeset(
                f"{why} : les noyaux tournent dans le simulateur, juste et des milliers de fois "
                "plus lent"
            ),
            stacklevel=_depth(),  # la ligne de l’utilisateur
        )
    return Simulator(rank)


def _depth():
    """Le rang, dans les appels en cours, de la première ligne qui n’est pas du moteur."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back and frame.f_code.co_filename.startswith(_ENGINE):
        frame, depth = frame.f_back, depth + 1
    return depth


def why_simulated():
    """Pourquoi les noyaux tournent dans le simulateur ; None s’ils tournent sur un GPU."""
    if not GPUS:
        return "aucun GPU n'a été trouvé"
    remedy = "(pour l'installer : python3 demarrer.py gpu)"
    if not (_has("cuda") and _has("cuda.bindings")):
        return f"un GPU est là, mais cuda-bindings manque {remedy}"
    if not (has_compiler() or has_cubins()):
        return f"un GPU est là, mais numba-cuda manque et aucun noyau n'est tout prêt {remedy}"
    return None


def _has(module):
    return importlib.util.find_spec(module) is not None


def replace(other):
    """Met une autre machine à la place de celle du moment, et renvoie celle d’avant (None : pas
    encore ouverte).
    """
    if _thread.bound is not None:
        before, _thread.bound = _thread.bound, other
        return before
    rank = RANKS.get(config.device, 0)
    before = _opened.pop(rank, None)
    if other is not None:
        _opened[rank] = other
    return before
