"""Qui sait calculer quoi : le registre des noyaux, par op et par dos de calcul.

`@kernel(Dot, "numba")` déclare une fabrique : elle reçoit le nœud et rend une fonction des tableaux
d’entrée, ou None si elle ne sait pas faire ce cas-là. Sans fabrique, l’op retombe sur `perform`.
"""

import importlib
import pkgutil
from threading import RLock

from engine.core.dtypes import HALVES

_FACTORIES = {}
PLACES = {}  # nom -> les dossiers à charger
_loaded = set()
_missing = set()
loading = RLock()


def provide(**places):
    """Dit où se trouve ce que l’on charge au premier besoin : nom -> dossiers.

    Le cœur seul n’en sait rien : sans dos de calcul ni règles, la référence suffit.
    """
    PLACES.update(places)


def load(name):
    """Charge un dos de calcul, les règles... : tous les fichiers des dossiers de ce nom.

    Au premier besoin seulement : Numba met une seconde à venir.
    """
    if name in _loaded or name not in PLACES:
        return
    with loading:
        for folder in PLACES[name]:
            for module in pkgutil.iter_modules(importlib.import_module(folder).__path__):
                importlib.import_module(f"{folder}.{module.name}")
        _loaded.add(name)


def part(name, module):
    """Un fichier du premier dossier de ce nom."""
    return importlib.import_module(f"{PLACES[name][0]}.{module}")


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


def is_available(backend):
    """Dit si le dos de calcul se charge sur cette machine (Numba peut manquer, ou être cassé)."""
    if backend not in PLACES or backend in _missing:
        return False
    try:
        load(backend)
    except ImportError:
        _missing.add(backend)
        return False
    return True


def has_kernel(op, backend):
    """Dit si une fabrique est déclarée pour cet op."""
    load(backend)
    return (backend, type(op)) in _FACTORIES
