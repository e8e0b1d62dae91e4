"""Où tournent les noyaux : `machine()`, une par carte, ouverte au premier besoin.

Une machine alloue, porte, rapporte et lance. Le simulateur (`simulator`) range ses zones dans des
tableaux NumPy ; la machine d’un vrai GPU (`driver`) parle au pilote. Les noyaux et ce qui les
entoure ne voient pas la différence.

Le réglage `device` dit laquelle : `cuda0`, `cuda1`… Une fonction compilée et un tableau du
périphérique gardent la leur. Le simulateur en joue deux, pour essayer.

Ordre de lecture : `machine`, `bound`, `why_simulated`, `replace`.
"""

import importlib
import importlib.util
import sys
import threading
import warnings
from pathlib import Path

from engine.core.errors import ModeError
from engine.core.settings import FLAGS, config
from engine.core.typeset import typeset
from engine.gpu.kernels.cubins import has_cubins, toolchain
from engine.gpu.kernels.device import GPUS
from engine.gpu.kernels.simulator import Simulator


class _Thread(threading.local):
    """Ce que chaque fil d’exécution a de propre."""

    bound = None  # la machine de la fonction qui tourne


_opened = {}  # rang -> machine
_opening = threading.RLock()
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
        with chosen.ours():
            before, _thread.bound = _thread.bound, chosen
            try:
                return call(*arguments)
            finally:
                _thread.bound = before

    return on_its_card


def _at(rank):
    found = _opened.get(rank)
    if found is None:
        with _opening:
            found = _opened.get(rank) or _opened.setdefault(rank, _open(rank))
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
    if not (toolchain() or has_cubins()):
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
