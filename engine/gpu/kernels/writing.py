"""Écrire un tableau dans une place d’un autre : posé, ou ajouté à ce qui s’y trouve.

Une place est une vue ; la valeur s’y diffuse. Quel fil fait quel élément : voir `loops`.

Ordre de lecture : `write_into`, `spread`.
"""

import functools

from engine.backends.scalar_text import convert
from engine.core.dtypes import widened
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.loops import Loop
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import spread_strides

_KEPT = 4096


def write_into(place, value, add=False):
    """Range `value`, qui se diffuse, dans la vue `place` ; `add` : l’ajoute."""
    loop, launch = _prepared(
        add, str(place.dtype), place.shape, place.strides,
        str(value.dtype), value.shape, value.strides,
    )  # fmt: skip
    machine().loop(loop, place.shape, (place,), (place, value) if add else (value,), launch)


@functools.lru_cache(_KEPT)
def _prepared(add, dtype, shape, steps, source, given, strides):
    """La boucle, et le lancement qui convient à ces tableaux."""
    value = convert(loaded("y", source), widened(source), widened(dtype))
    if add:
        value = convert(f"({loaded('x', dtype)} + {value})", None, widened(dtype))
    each = f"def each({'x, ' * add}y):\n    return {stored(value, dtype)}\n"
    if source == dtype and not add:
        each = "def each(y):\n    return y\n"  # les mêmes bits
    doc = f"{'ajouter' if add else 'écrire'} à une place, {dtype}"
    loop = Loop("write", doc, each, (dtype,), (*[dtype] * add, source))
    strides = spread_strides(given, strides, shape)
    return loop, loop.launch_on(shape, (steps, *[steps] * add, strides))


def spread(value, shape):
    """Une vue de `value` diffusée à cette forme : un pas nul où elle s’étire."""
    return value.view(shape, spread_strides(value.shape, value.strides, shape))
