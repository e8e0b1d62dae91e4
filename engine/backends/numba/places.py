"""Où se lit une valeur : un tableau, et pour chaque axe le rang où l’y chercher.

Une tranche, une transposée, une ligne sont le même tableau, autrement indicé.
"""

from typing import NamedTuple


class Place(NamedTuple):
    """La place d’une variable dans un tableau contigu.

    Champs
        base : le nom du tableau.
        ndim : son nombre d’axes.
        prefix : le texte des premiers indices, fixés.
        axes : pour chaque axe de la variable, (axe du tableau, texte de son début) ; l’axe est None
            pour un axe ajouté, de longueur 1.
    """

    base: str
    ndim: int
    prefix: tuple
    axes: tuple

    def slots(self, indices):
        """Le texte de l’indice de chaque axe du tableau."""
        texts = [*self.prefix, *["0"] * (self.ndim - len(self.prefix))]
        for (axis, start), index in zip(self.axes, indices, strict=True):
            if axis is not None:
                texts[axis] = _sum(start, index)
        return texts

    def rank(self, indices):
        """Le texte du rang de l’élément d’indices donnés."""
        text, *others = self.slots(indices) or ["0"]
        for axis, slot in enumerate(others, 1):
            text = "0" if text == "0" else f"({text}) * {self.base}.shape[{axis}]"
            text = _sum(text, slot)
        return text

    def follows(self):
        """Dit si les éléments du dernier axe se suivent."""
        return bool(self.axes) and self.axes[-1][0] == self.ndim - 1

    def shifted(self, axis, start):
        """La même place, `start` plus loin sur un axe."""
        axes = list(self.axes)
        axes[axis] = (axes[axis][0], _sum(axes[axis][1], start))
        return self._replace(axes=tuple(axes))

    def permuted(self, order):
        """La place de `x.dimshuffle(order)`."""
        axes = tuple((None, "0") if axis == "x" else self.axes[axis] for axis in order)
        return self._replace(axes=axes)

    def rows(self, ndim, columns):
        """(tableau, rang du premier élément, écart entre deux lignes), en texte, quand les éléments
        d’une ligne se suivent ; None sinon. `columns` : 1 si chaque élément est une ligne.
        """
        wanted = tuple(range(self.ndim - ndim, self.ndim))
        if tuple(axis for axis, _ in self.axes) != wanted:
            return None
        stride = f"{self.base}.shape[{self.ndim - 1}]" if ndim == 2 else str(int(columns == 1))
        return self.base, self.rank(["0"] * ndim), stride


def whole(name, variable, prefix=()):
    """La place d’une variable qui occupe tout un tableau, une fois ses premiers indices fixés."""
    first = len(prefix)
    axes = tuple((first + axis, "0") for axis in range(variable.ndim))
    return Place(name, first + variable.ndim, tuple(prefix), axes)


def _sum(first, second):
    return second if first == "0" else first if second == "0" else f"{first} + {second}"
