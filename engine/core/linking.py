"""Ce qu’un dos de calcul change à la façon d’écrire une fonction, et de l’appeler : son éditeur.

Un dos de calcul qui calcule ailleurs que dans la mémoire de l’hôte déclare le sien par `@linker`.
"""

from engine.core.emission import Program
from engine.core.registry import load

_LINKERS = {}


class Linker:
    """Celui de l’hôte : un programme ordinaire."""

    def prepare(self, fgraph, targets):
        """Note dans un graphe ce que sa réécriture doit savoir.

        `targets` : couples (rang de la sortie, variable partagée qu’elle met à jour).
        """

    def said(self, fgraph, name):
        """Dit à l’utilisateur, une fois par fonction, ce qu’il doit en savoir."""

    def program(self, fgraph, backends, name, watchers):
        """Le programme à écrire."""
        return Program(fgraph, backends, name, watchers)

    def bound(self, call):
        """Ce qui appelle `call(fonction, *arguments)` là où il le faut ; None : n’importe où."""
        return None

    def replay(self, program):
        """Ce que le dos de calcul rejoue d’un bloc, ou pourquoi rien."""
        return "rien : tout se calcule sur l’hôte, un appel par nœud"


def linker(backend):
    """Déclare la classe décorée comme l’éditeur d’un dos de calcul."""

    def register(cls):
        _LINKERS[backend] = cls()
        return cls

    return register


def linker_of(backends):
    """L’éditeur du premier de ces dos de calcul."""
    load(backends[0])
    return _LINKERS.get(backends[0]) or Linker()
