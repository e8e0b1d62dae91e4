"""Où se lit une valeur : un tableau, et pour chaque axe le rang où l’y chercher.

Une tranche, une transposée, une ligne sont le même tableau, autrement indicé.
"""

from typing import NamedTuple


class Place(NamedTuple):
    """La place d’une variable dans un tableau contigu.

    Champs
        base : le nom du tableau.
        origin : pour chaque axe du tableau, le texte de l’indice du premier élément.
        axes : pour chaque axe de la variable, celui du tableau qu’il suit ; None pour un axe
            ajouté, de longueur 1.
    """

    base: str
    origin: tuple
    axes: tuple

    def position(self, indices):
        """Le texte du rang de l’élément d’indices donnés."""
        slots = list(self.origin)
        for axis, index in zip(self.axes, indices, strict=True):
            if axis is not None:
                slots[axis] = _sum(slots[axis], index)
        text, *others = slots or ["0"]
        for axis, slot in enumerate(others, 1):
            text = "0" if text == "0" else f"({text}) * {self.base}.shape[{axis}]"
            text = _sum(text, slot)
        return text

    def follows(self):
        """Dit si les éléments du dernier axe se suivent."""
        return bool(self.axes) and self.axes[-1] == len(self.origin) - 1

    def shifted(self, axis, start):
        """La même place, `start` plus loin sur un axe."""
        origin, moved = list(self.origin), self.axes[axis]
        if moved is not None:
            origin[moved] = _sum(origin[moved], start)
        return self._replace(origin=tuple(origin))

    def permuted(self, order):
        """La place de `x.dimshuffle(order)`."""
        return self._replace(axes=tuple(None if axis == "x" else self.axes[axis] for axis in order))

    def indexed(self, index):
        """La place de `x[index]` : entiers, tranches sans pas, axes ajoutés."""
        origin, axes, rest = list(self.origin), [], list(self.axes)
        for item in index:
            if item is None:
                axes.append(None)
                continue
            axis, whole = rest.pop(0), isinstance(item, slice)
            if axis is not None:
                origin[axis] = _sum(origin[axis], str((item.start or 0) if whole else item))
            axes += [axis] * whole
        return self._replace(origin=tuple(origin), axes=(*axes, *rest))

    def rows(self, ndim, columns):
        """(tableau, rang du premier élément, écart entre deux lignes), en texte, quand les éléments
        d’une ligne se suivent ; None sinon. `columns` : 1 si chaque élément est une ligne.
        """
        last = len(self.origin)
        if self.axes != tuple(range(last - ndim, last)):
            return None
        stride = f"{self.base}.shape[{last - 1}]" if ndim == 2 else str(int(columns == 1))
        return self.base, self.position(["0"] * ndim), stride


def whole(name, variable, prefix=()):
    """La place d’une variable qui occupe tout un tableau, une fois ses premiers indices fixés."""
    first = len(prefix)
    origin = (*prefix, *["0"] * variable.ndim)
    return Place(name, origin, tuple(range(first, first + variable.ndim)))


def _sum(first, second):
    return second if first == "0" else first if second == "0" else f"{first} + {second}"
