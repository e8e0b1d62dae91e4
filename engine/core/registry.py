"""Qui sait calculer quoi : le registre des noyaux, par op et par dos de calcul.

`@kernel(Dot, "numba")` déclare une fabrique : elle reçoit le nœud et rend une fonction des tableaux
d’entrée, ou None si elle ne sait pas faire ce cas-là. Sans fabrique, l’op retombe sur `perform`.
"""

import importlib
import os
import pkgutil
from functools import cache
from threading import RLock

from engine.core.dtypes import HALVES

_FACTORIES = {}
_PLACES = {
    "numpy": "engine.backends.numpy",
    "numba": "engine.backends.numba",
    "cuda": "engine.gpu.kernels",
}


_loading = RLock()
# Un fork attend que ces verrous se rendent : l’enfant ne finirait ni l’import ni la compilation
# qu’un autre fil a commencés. Un dos de calcul qui se charge ajoute les siens.
FORK_LOCKS = [_loading]
_held = []


def _hold():
    for lock in FORK_LOCKS:  # le premier tenu, la liste ne change plus
        lock.__enter__()
        _held.append(lock)


def _release():
    while _held:
        _held.pop().__exit__(None, None, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_release)


@cache
def load(backend):
    """Charge un dos de calcul : tous les fichiers de son dossier, où les noyaux se déclarent.

    Au premier besoin seulement : Numba met une seconde à venir.
    """
    with _loading:
        place = importlib.import_module(_PLACES[backend])
        for module in pkgutil.iter_modules(getattr(place, "__path__", ())):
            _part(backend, module.name)


def _part(backend, name):
    return importlib.import_module(f"{_PLACES[backend]}.{name}")


def kernel(op_class, backend):
    """Déclare la fabrique de noyaux de `op_class` pour le dos de calcul `backend`."""

    def register(factory):
        _FACTORIES[backend, op_class] = factory
        return factory

    return register


def find_kernel(node, backend, reuse=False):
    """Rend la fonction qui calcule le nœud sur ce dos de calcul, ou None.

    `reuse` : le noyau peut garder sa mémoire de sortie d’un appel à l’autre.
    """
    if not has_kernel(node.op, backend) or (backend == "numba" and _holds_halves(node)):
        return None
    return _FACTORIES[backend, type(node.op)](node, reuse)


def _holds_halves(node):
    """Numba ne compile pas les demi-flottants : `perform` les calcule en float32."""
    return any(variable.dtype in HALVES for variable in (*node.inputs, *node.outputs))


@cache
def is_available(backend):
    """Dit si le dos de calcul se charge sur cette machine (Numba peut manquer, ou être cassé)."""
    try:
        load(backend)
    except ImportError:
        return False
    return True


def host_inputs_of(backend):
    """La fonction nœud -> rangs des entrées laissées à l’hôte ; None sans noyau."""
    load(backend)
    return _part(backend, "registry").host_inputs


def on_its_card(backend, program):
    """Le programme, attaché à la carte pour laquelle il se compile."""
    return _part(backend, "machines").bound(program)


def make_section(backend, storages):
    """Ce qui calcule d’un bloc la section d’une fonction (voir `cuda.plans.Section`)."""
    return _part(backend, "plans").Section(storages)


def has_kernel(op, backend):
    """Dit si une fabrique est déclarée pour cet op."""
    load(backend)
    return (backend, type(op)) in _FACTORIES
