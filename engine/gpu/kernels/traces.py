"""Ce qu’un lancement a lu et écrit : les accès, leurs comptes, leurs paquets, leurs courses.

Une `Trace` est faite par `simulator.trace` ; elle ne contient que des données.

Ordre de lecture : `Access`, `Race`, `Trace`.
"""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from engine.core.typeset import typeset
from engine.gpu.kernels.geometry import threads_in

READ, WRITE, ATOMIC = "lecture", "écriture", "atomique"


class Access(NamedTuple):
    """Un accès à la mémoire."""

    kind: str  # READ, WRITE ou ATOMIC
    array: str  # le paramètre du noyau, ou « partagée 1 »
    index: int  # dans le tableau mis à plat
    block: int
    thread: int  # dans son bloc
    epoch: int  # combien de barrières ce fil avait passées


class Race(NamedTuple):
    """Deux fils, un même élément, dont une écriture, et aucune barrière entre les deux."""

    array: str
    index: int
    first: Access
    second: Access

    def __str__(self):
        first, second = (f"{who(a.block, a.thread)} ({a.kind})" for a in self[2:])
        return typeset(
            f"{self.array}[{self.index}] : {first} et {second}, sans barrière entre les deux"
        )


class Trace(NamedTuple):
    """Ce qu’un lancement a lu et écrit.

    Exemple
        >>> from engine.gpu.kernels.simulator import trace
        >>> def copy(out, x):
        ...     i = cuda.grid(1)
        ...     if i < x.size:
        ...         out[i] = x[i]
        >>> seen = trace(copy, 2, 4, np.zeros(5), np.arange(5.0))
        >>> seen.reads("x").tolist(), seen.total(READ), seen.total(WRITE)
        ([1, 1, 1, 1, 1], 5, 5)
        >>> seen
        <trace de copy : 2 blocs de 4 fils, 5 lectures et 5 écritures en mémoire globale>
    """

    name: str
    grid: tuple  # dans l’ordre de CUDA, x d’abord
    block: tuple
    shapes: dict  # nom du tableau -> forme, dans l’ordre des paramètres ; les partagés ensuite
    accesses: list  # dans l’ordre où ils ont eu lieu

    def __repr__(self):
        blocks, threads = threads_in(self.grid), threads_in(self.block)
        return typeset(
            f"<trace de {self.name} : {plural(blocks, 'bloc')} de {plural(threads, 'fil')}, "
            f"{plural(self.total(READ), 'lecture')} et {plural(self.total(WRITE), 'écriture')} "
            f"en mémoire globale>"
        )

    def of(self, kind, array=None, block=None, thread=None):
        """Les accès d’une sorte, d’un tableau, d’un bloc, d’un fil ; None : tous."""
        wanted = (kind, array, block, thread)
        return [a for a in self.accesses if _matches((a.kind, a.array, a.block, a.thread), wanted)]

    def counts(self, kind, array):
        """Combien d’accès de cette sorte chaque élément du tableau a reçus, tous blocs réunis."""
        counted = np.zeros(self.shapes[array], int)
        for access in self.of(kind, array):
            counted.flat[access.index] += 1
        return counted

    def reads(self, array):
        """Combien de fois chaque élément a été lu."""
        return self.counts(READ, array)

    def writes(self, array):
        """Combien de fois chaque élément a été écrit."""
        return self.counts(WRITE, array)

    def total(self, kind, *, shared=False):
        """Le nombre d’accès de cette sorte, en mémoire globale ou partagée."""
        return sum(is_shared(a.array) == shared for a in self.of(kind))

    def packets(self, kind, array, *, warp=32, size=8):
        """Combien de paquets de mémoire ces accès déplacent, fusionnés comme le ferait un GPU.

        Les fils d’un bloc avancent par *warps*. Ce que ses fils demandent au même moment (le
        premier accès de chacun, puis le deuxième…) est servi par paquets de voisins.

        Paramètres
            kind, array : la sorte d’accès, et le tableau.
            warp : les fils d’un *warp*.
            size : les éléments d’un paquet ; 8 nombres de 4 octets font les 32 octets d’un GPU.
        """
        moved, position = set(), defaultdict(int)
        for access in self.of(kind, array):
            thread = access.block, access.thread
            moment = access.block, access.thread // warp, position[thread]
            position[thread] += 1
            moved.add((moment, access.index // size))
        return len(moved)

    def races(self):
        """Les courses (`Race`), une par élément ; une liste vide s’il n’y en a pas.

        Dans un bloc, une barrière sépare deux accès ; entre deux blocs, rien ne les sépare.
        """
        touched = defaultdict(list)
        for access in self.accesses:
            owner = access.block if is_shared(access.array) else None
            touched[access.array, access.index, owner].append(access)
        found = []
        for (array, index, _), accesses in touched.items():
            pair = _conflict(accesses)
            if pair:
                found.append(Race(array, index, *pair))
        return found


def plural(count, noun):
    """Le nombre et son nom, accordé.

    Exemple
        >>> plural(1, "fil"), plural(4, "fil")
        ('1 fil', '4 fils')
    """
    return f"{count} {noun}{'s' if count > 1 else ''}"


def is_shared(array):
    """Dit si ce nom de tableau est celui d’un tableau en mémoire partagée."""
    return array.startswith("partagée ")


def _matches(found, wanted):
    return all(w is None or f == w for f, w in zip(found, wanted, strict=True))


def _conflict(accesses):
    """Les deux premiers accès en conflit, ou None."""
    changes = [(k, access) for k, access in enumerate(accesses) if access.kind != READ]
    pairs = (
        sorted((i, j))
        for i, first in changes
        for j, second in enumerate(accesses)
        if _clash(first, second)
    )
    return [accesses[k] for k in min(pairs, default=())]


def _clash(first, second):
    """Les lectures s’entendent, et les atomiques entre elles."""
    same_thread = first[3:5] == second[3:5]
    apart = first.block == second.block and first.epoch != second.epoch
    return not (same_thread or apart or first.kind == second.kind != WRITE)


def who(block, thread):
    """Nomme un fil, en français."""
    return f"le fil {thread} du bloc {block}"
