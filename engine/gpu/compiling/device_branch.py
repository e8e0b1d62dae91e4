"""Le choix d’un périphérique : l’hôte lit la condition, la branche choisie se calcule là-bas."""

from engine.loops.branches import LazyIfElse


class DeviceBranch(LazyIfElse):
    """Un `LazyIfElse` dont les deux graphes calculent avec des tableaux du périphérique.

    Le placement (`rewriting.placement`) le construit ; il n’est ni dérivé ni réécrit.
    """

    tested_by = "le choix d’un périphérique : tests/gpu/test_branches"

    def __str__(self):
        return f"gpu{{{super().__str__()}}}"

    __repr__ = __str__
