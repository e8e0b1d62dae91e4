"""Les fautes vues par un noyau : un indice hors du tableau.

Un noyau ne peut pas lever d’erreur, et attendre qu’il ait fini pour lui demander arrêterait tout.
Il note une faute dans un drapeau d’un seul mot (le site, l’axe, l’indice, d’un seul tenant) ;
`check`, appelée quand des valeurs reviennent sur l’hôte, lit le drapeau et lève l’erreur
de NumPy, à l’endroit où le nœud est né.

Ordre de lecture : `Site`, `check`.
"""

import collections
import itertools

import numpy as np

from engine.core.errors import ShapeError
from engine.gpu.kernels.arrays import upload
from engine.gpu.kernels.machines import machine

_AXES, _INDICES = 16, 2**32  # axes, indices que le mot distingue
# Ce qu’un noyau écrit : `site` (son numéro), `axis`, et `j` (l’indice, ramené à 32 bits). De
# plusieurs fautes reste le plus grand mot, quel que soit l’ordre des fils.
NOTE = (
    f"cuda.atomic.max(wrong, 0, (site * {_AXES} + axis) * {_INDICES}"
    f" + min(max(j, -{_INDICES // 2}), {_INDICES // 2 - 1}) + {_INDICES // 2})"
)

_numbers = itertools.count(1)
# par carte : numéro -> Site, pour ceux qui ont été lancés depuis la dernière vérification
_sites = collections.defaultdict(dict)
_flags = {}  # rang d’une carte -> son drapeau


class Site:
    """Un nœud qui peut fauter ; `shape` : la forme du tableau indexé au dernier lancement."""

    def __init__(self, node):
        self.number = next(_numbers)
        self.node = node
        self.shape = None

    def arm(self, shape):
        """Dit que le noyau va tourner ; rend le drapeau et le numéro à lui donner."""
        self.shape = shape
        _sites[machine().rank][self.number] = self
        return flag(), np.int64(self.number)

    def error(self, axis, index):
        """L’erreur à lever : celle de NumPy, à l’endroit où le nœud est né."""
        trace = getattr(self.node, "trace", None)
        return ShapeError(
            "indice hors du tableau",
            expected=f"des indices valables pour la forme {self.shape}",
            received=f"index {index} is out of bounds for axis {axis} with size {self.shape[axis]}",
            hint="les indices d'un axe de longueur n vont de 0 à n - 1, ou de -1 à -n",
            where=str(trace) if trace else None,
        )


def flag(rank=None):
    """Le drapeau de cette carte, toujours à la même place ; par défaut, la carte du moment."""
    rank = machine(rank).rank
    if rank not in _flags:
        _flags[rank] = upload(np.zeros(1, "int64"), rank)
    return _flags[rank]


def armed():
    """Les noyaux lancés depuis la dernière vérification : [(site, forme indexée)]."""
    return [(site, site.shape) for site in _sites[machine().rank].values()]


def arm_again(sites):
    """Ces noyaux viennent de tourner de nouveau."""
    for site, shape in sites:
        site.arm(shape)


def check(rank=None):
    """Lève l’erreur de la première faute notée depuis la dernière vérification de cette carte.

    Lève
        ShapeError, DomainError : un indice hors du tableau, des probabilités impossibles.
    """
    if _sites[machine(rank).rank]:
        judge(flag(rank).to_host(), rank)


def judge(noted, rank=None):
    """Lève l’erreur que dit la valeur du drapeau, et le baisse ; 0 : aucune.

    Lève
        ShapeError, DomainError : un indice hors du tableau, des probabilités impossibles.
    """
    place, index = divmod(int(noted[0]), _INDICES)
    number, axis = divmod(place, _AXES)
    sites = _sites[machine(rank).rank]
    site = sites.get(number)
    sites.clear()
    if number:
        machine(rank).write(flag(rank), np.zeros(1, "int64"))
    if site is None:
        return
    raise site.error(axis, index - _INDICES // 2)
