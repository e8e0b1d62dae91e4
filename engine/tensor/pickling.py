"""Écrire un graphe, par `pickle` ou `deepcopy`, aussi long qu’il soit.

Les deux suivent les références en récursion, et reconnaissent un objet déjà vu : chaque variable,
chaque nœud ne s’écrit qu’une fois, quel que soit ce qui les contient. Reste à ne pas s’enfoncer :
un nœud fait écrire avant lui, en liste et dans l’ordre, ceux dont il dépend.
"""

import copyreg
from contextvars import ContextVar

from engine.core.graph import Apply

_written = ContextVar("les nœuds (leur id) que l’écriture en cours a déjà mis à plat")


class _Writing:
    """Écrit une seule fois par `pickle.dumps` ou `deepcopy` : le signe qu’il en commence un."""

    def __reduce__(self):
        _written.set(set())
        return _Writing, ()


_WRITING = _Writing()


class _Before:
    """Les nœuds à écrire avant celui-ci : ses ancêtres, moins ceux qui sont déjà mis à plat.

    S’y tromper (une écriture au milieu d’une autre) n’ôte rien : un nœud absent de la liste est
    écrit là où on le rencontre.
    """

    def __init__(self, node):
        self.node = node

    def __reduce__(self):
        done, order = _written.get(set()), []
        stack = [(self.node, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order.append(node)
            elif id(node) not in done:
                done.add(id(node))
                stack.append((node, True))
                stack.extend((entry.owner, False) for entry in node.inputs if entry.owner)
        return tuple, (order[:-1],)


def _blank_node(writing, before):
    return Apply.__new__(Apply)


def _written_node(node):
    slots = {name: getattr(node, name) for name in Apply.__slots__}
    return _blank_node, (_WRITING, _Before(node)), (None, slots)


copyreg.pickle(Apply, _written_node)
