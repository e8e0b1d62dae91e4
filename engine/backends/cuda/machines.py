"""Où tournent les noyaux : `machine()`, une par carte, ouverte au premier besoin.

Une machine alloue, porte, rapporte et lance. Le simulateur range ses zones dans des tableaux NumPy
et fait tourner le texte du noyau dans le simulateur de Numba ; la machine d’un vrai GPU
(`driver`) parle au pilote. Les noyaux et ce qui les entoure ne voient pas la différence.

Le réglage `device` dit laquelle : `cuda0`, `cuda1`… Une fonction compilée et un tableau du
périphérique gardent la leur. Le simulateur en joue deux, pour essayer.

Ordre de lecture : `Simulator`, `machine`, `bound`, `why_simulated`, `replace`.
"""

import importlib
import importlib.util
import threading
import warnings

import numpy as np

from engine.backends.cuda import simulated
from engine.backends.cuda.cubins import has_compiler, has_cubins
from engine.backends.cuda.device import GPUS, cuda
from engine.dtypes import FLOATS
from engine.errors import ModeError
from engine.settings import FLAGS, config
from engine.typography import typeset


class Simulator:
    """Le GPU simulé : juste, lent, partout."""

    stream_handle = None
    reduction_block = 8  # fils par bloc d’une réduction, une puissance de deux
    tile = 4  # côté d’une tuile de produit
    warp = simulated.WARP
    block = 32  # fils par bloc quand le noyau n’en demande pas : chacun y est un fil de Python
    rank = 0

    def __init__(self, rank=0):
        self.rank = rank

    def activate(self):
        """Rien à faire : rien n’y est propre à un fil d’exécution."""

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
        function[blocks, block](*[_address(a) if hasattr(a, "buffer") else a for a in arguments])


def _address(array):
    """Ce qui tient lieu d’adresse : la zone à partir du premier élément."""
    backwards = any(stride < 0 for stride in array.strides)
    # le simulateur de Numba récrit à la fin du lancement les tableaux qu’il a reçus
    as_pointer = backwards or not array.writable
    return _Place(array) if as_pointer else array.buffer[array.offset :]


class _Place:
    """Une adresse d’où l’on peut reculer, comme d’un vrai pointeur."""

    def __init__(self, array):
        self.buffer, self.offset = array.buffer, array.offset

    def __getitem__(self, index):
        return self.buffer[self.offset + index]

    def __setitem__(self, index, value):
        self.buffer[self.offset + index] = value


class _Thread(threading.local):
    """Ce que chaque fil d’exécution a de propre."""

    bound = None  # la machine de la fonction qui tourne
    active = None  # celle à qui le pilote parle


_opened = {}  # rang -> machine
_thread = _Thread()
RANKS = {name: int(name.removeprefix("cuda") or 0) for name in FLAGS["device"].choices[1:]}
SIMULATED = 2  # cartes que le simulateur sait jouer


def machine(rank=None):
    """La machine de ce rang, ouverte au premier besoin.

    Sans rang : pendant l’appel d’une fonction compilée, celle pour qui elle l’a été ; ailleurs,
    celle du réglage `device`.

    Lève
        ModeError : il n’y a pas tant de cartes.
    """
    if rank is None:
        chosen = _thread.bound or _at(RANKS.get(config.device, 0))
    else:
        chosen = _at(rank)
    return ready(chosen)


def ready(chosen):
    """La même machine, à qui le pilote parle désormais."""
    if chosen is not _thread.active:
        chosen.activate()
        _thread.active = chosen
    return chosen


def rank_of(name):
    """Le rang d’une carte d’après son nom, « cuda » ou « cuda1 ».

    Lève
        ModeError : ce n’est pas le nom d’une carte.
    """
    if name not in RANKS:
        raise ModeError("carte inconnue", expected="cuda, cuda0, cuda1…", received=repr(name))
    return RANKS[name]


def several():
    """Dit si plusieurs cartes servent : leurs tableaux ne se mêlent pas."""
    return len(_opened) > 1


def bound(call):
    """La même fonction, toujours calculée par la machine du moment présent."""
    chosen = machine()

    def on_its_card(*arguments):
        before, _thread.bound = _thread.bound, chosen
        try:
            return call(*arguments)
        finally:
            _thread.bound = before

    return on_its_card


def _at(rank):
    found = _opened.get(rank)
    if found is None:
        found = _opened[rank] = _thread.active = _open(rank)
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
        return importlib.import_module("engine.backends.cuda.driver").Device(rank)
    if not any(isinstance(other, Simulator) for other in _opened.values()):
        warnings.warn(
            typeset(
                f"{why} : les noyaux tournent dans le simulateur, juste et des milliers de fois "
                "plus lent"
            ),
            stacklevel=4,
        )
    return Simulator(rank)


def why_simulated():
    """Pourquoi les noyaux tournent dans le simulateur ; None s’ils tournent sur un GPU."""
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
    """Met une autre machine à la place de celle du réglage `device`, et renvoie celle d’avant
    (None : pas encore ouverte).
    """
    rank = RANKS.get(config.device, 0)
    before = _opened.pop(rank, None)
    if other is not None:
        _opened[rank] = other
    return before
