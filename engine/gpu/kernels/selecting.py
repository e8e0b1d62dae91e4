"""Ce qu’un indice désigne dans un tableau du périphérique : une vue, et des rangs à y chercher.

Entiers, tranches et axes nouveaux font une vue, sans copie. Restent les axes qu’indicent des
tableaux, entiers ou booléens : leurs longueurs, leurs pas, et les tableaux, diffusés à leur forme
commune. Un masque se change d’abord en rangs, comptés par l’hôte : l’appel ne se rejoue pas.

La règle de NumPy pour le résultat : la forme commune remplace les axes indicés par des tableaux ;
elle passe devant si autre chose les sépare (un entier compte alors comme un tableau).

Ordre de lecture : `Selection`, `select`, `host_positions`.
"""

import math
from typing import NamedTuple

import numpy as np

from engine.gpu.kernels.arrays import upload
from engine.gpu.kernels.views import contiguous
from engine.gpu.kernels.writing import spread
from engine.ops.index import join_index, out_of_bounds


class Selection(NamedTuple):
    """Des éléments choisis dans `view`."""

    view: object  # x, après les entiers, les tranches et les axes nouveaux
    before: tuple  # les axes de `view` gardés avant la forme commune
    after: tuple  # et après elle
    chosen: tuple  # les axes de `view` que des rangs indicent
    axes: tuple  # les mêmes, comptés dans x : pour dire où est une faute
    indices: list  # un tableau de rangs par axe choisi, contigu, de la forme commune
    common: tuple  # la forme commune

    @property
    def count(self):
        """Le nombre de places que désignent les tableaux."""
        return math.prod(self.common)

    @property
    def shape(self):
        """La forme de ce qui est désigné."""
        lengths = self.view.shape
        return (
            *(lengths[axis] for axis in self.before),
            *self.common,
            *(lengths[axis] for axis in self.after),
        )


def select(node, x, values):
    """Ce que l’indice de ce nœud désigne dans x ; `values` : les entrées qui le composent.

    Lève
        ShapeError : un entier hors du tableau, un masque d’une autre forme, des tableaux de rangs
            qui ne vont pas ensemble.
    """
    template = node.op.template
    index = join_index(template, values)
    if _is_whole_mask(x, index):  # x[x > 0] : à plat, un seul rang par élément
        _check_mask(x, 0, index[0], index)
        flat = upload(np.flatnonzero(index[0].to_host()))
        return Selection(x.reshape((x.size,)), (), (), (0,), (0,), [flat], flat.shape)
    given, used = _items(index), sum(map(_axes_used, index))
    basic, chosen, axes, arrays, kept = [], [], [], [], []
    axis, place, separated, last = 0, None, False, False
    for item in given:
        is_array = _is_array(item) or isinstance(item, int)
        if is_array:
            separated |= place is not None and not last
            place = len(kept) if place is None else place
        last = is_array
        if item is Ellipsis:
            rest = x.ndim - used
            kept += range(len(kept) + len(chosen), len(kept) + len(chosen) + rest)
            basic += [slice(None)] * rest
            axis += rest
        elif _is_array(item):
            if item.dtype == bool:
                _check_mask(x, axis, item, index)
            is_mask = item.dtype == bool
            for found in map(upload, np.nonzero(item.to_host())) if is_mask else [item]:
                chosen.append(len(kept) + len(chosen))
                axes.append(axis)
                arrays.append(found)
                basic.append(slice(None))
                axis += 1
        else:
            kept += [] if isinstance(item, int) else [len(kept) + len(chosen)]
            basic.append(item)
            axis += item is not None
    try:
        view = x[tuple(basic)]
        common = np.broadcast_shapes(*(array.shape for array in arrays))
    except (IndexError, ValueError) as error:
        raise out_of_bounds(x, index, error) from error
    place = 0 if separated else place
    indices = [contiguous(spread(array, common)) for array in arrays]
    return Selection(
        view, tuple(kept[:place]), tuple(kept[place:]), tuple(chosen), tuple(axes), indices, common
    )


def _items(index):
    return index if any(item is Ellipsis for item in index) else (*index, Ellipsis)


def _is_array(item):
    return hasattr(item, "buffer")


def _is_whole_mask(x, index):
    mask = index[0]
    is_mask = len(index) == 1 and _is_array(mask) and mask.dtype == bool
    return is_mask and mask.ndim == x.ndim and x.is_contiguous


def _axes_used(item):
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if _is_array(item) and item.dtype == bool else 1


def _check_mask(x, axis, mask, index):
    for place, length in enumerate(mask.shape, axis):
        if x.shape[place] != length:
            error = IndexError(
                "boolean index did not match indexed array "
                f"along axis {place}; size of axis is {x.shape[place]} but size of corresponding "
                f"boolean axis is {length}"
            )
            raise out_of_bounds(x, index, error)


def host_positions(first):
    """Les rangs des entrées d’un indice qui restent sur l’hôte : tout ce qui n’est pas un tableau.

    Paramètres
        first : le rang de la première entrée de l’indice.
    """

    def on_host(node):
        found, position = [], first
        for item in node.op.template:
            if item == "a":
                position += 1
            elif item == "i":
                found.append(position)
                position += 1
            elif item[0] == "s":
                found += range(position, position + sum(item[1:]))
                position += sum(item[1:])
        return tuple(found)

    return on_host


def array_entries(node, first):
    """Les entrées de l’indice qui sont des tableaux."""
    host = host_positions(first)(node)
    return [entry for k, entry in enumerate(node.inputs) if k >= first and k not in host]
