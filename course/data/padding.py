"""Border des suites de longueurs différentes, et se souvenir de ce qui est vrai : les masques.

Ordre de lecture : `pad`, `Padded`.
"""

import numpy as np

from course.data.streams import Mapped
from engine import config
from engine.core.errors import EngineError, ShapeError


def pad(sequences, time_major=True, value=0):
    """Range des suites côte à côte, bordées jusqu’à la plus longue, avec leur masque.

    Paramètres
        sequences : n tableaux de formes (longueur_i, ...), égales après le premier axe.
        time_major : vrai, le temps est le premier axe, comme `scan` le parcourt ; faux, le lot.
        value : ce qui remplit le bord.

    Renvoie
        (tableau, masque) : formes (T, n, ...) et (T, n), ou (n, T, ...) et (n, T), T étant la plus
        grande longueur ; le tableau a le dtype commun des suites, le masque, floatX, vaut 1 sur les
        suites et 0 au bord.

    Lève
        ShapeError : aucune suite, un nombre au lieu d’une suite, ou des éléments de formes
            différentes.

    Source
        Fuel, 2015 (`Padding`).

    Exemple
        >>> table, mask = pad([[5, 6, 7], [8]], time_major=False)
        >>> table, mask
        (array([[5, 6, 7],
                [8, 0, 0]]), array([[1., 1., 1.],
                [1., 0., 0.]]))
    """
    arrays = [np.asarray(sequence) for sequence in sequences]
    if not arrays:
        raise ShapeError(
            "pad : aucune suite à border",
            expected="au moins une suite",
            received="une liste vide",
            hint="vérifiez ce qui a filtré les suites",
        )
    rest = arrays[0].shape[1:]
    for rank, array in enumerate(arrays):
        if array.ndim == 0 or array.shape[1:] != rest:
            raise ShapeError(
                f"pad : la suite {rank} ne va pas avec la première",
                expected=f"une forme (longueur{''.join(f', {n}' for n in rest)})"
                + ("" if rest else ", un axe"),
                received=str(array.shape),
                hint="seul le premier axe, le temps, peut changer de longueur",
            )
    shape = (len(arrays), max(map(len, arrays)))
    table = np.full((*shape, *rest), value, dtype=np.result_type(*arrays))
    mask = np.zeros(shape, config.floatX)
    for row, array in enumerate(arrays):
        table[row, : len(array)] = array
        mask[row, : len(array)] = 1
    if not time_major:
        return table, mask
    return np.ascontiguousarray(table.swapaxes(0, 1)), np.ascontiguousarray(mask.T)


class Padded(Mapped):
    """Borde les suites de chaque lot jusqu’à la plus longue du lot.

    Paramètres
        stream : flux dont certains éléments sont des listes de suites.
        sources : rangs de ces éléments dans un lot.
        masks : parmi eux, ceux dont on veut le masque, qui vient juste après ; par défaut tous.
        time_major : vrai, le temps est le premier axe ; faux, le lot.

    Lève
        EngineError : un masque est demandé pour un élément qui n’est pas bordé.
        ShapeError : pendant le parcours, des suites ne vont pas ensemble ; voir `pad`.

    Source
        Fuel, 2015 (`Padding`).

    Exemple
        >>> from course.data import Batches
        >>> words, classes = [[3, 1, 4], [1, 5], [9]], np.array([0, 1, 1])
        >>> stream = Padded(Batches(words, classes, size=2), sources=(0,), time_major=False)
        >>> [table.shape for table, mask, y in stream]
        [(2, 3), (1, 1)]
    """

    def __init__(self, stream, sources=(0,), masks=None, time_major=True):
        self.sources = tuple(sources)
        self.masks = self.sources if masks is None else tuple(masks)
        self.time_major = time_major
        if not {*self.masks} <= {*self.sources}:
            raise EngineError(
                "Padded : un masque est demandé pour un élément qui n'est pas bordé",
                expected=f"des rangs parmi {self.sources}",
                received=str(self.masks),
            )
        super().__init__(stream, self._pad)

    def _pad(self, batch):
        elements = []
        for rank, element in enumerate(batch):
            if rank not in self.sources:
                elements.append(element)
                continue
            table, mask = pad(element, self.time_major)
            elements += [table, mask] if rank in self.masks else [table]
        return tuple(elements)
