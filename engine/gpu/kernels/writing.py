"""Écrire un tableau dans une place d’un autre : posé, ou ajouté à ce qui s’y trouve.

Une place est une vue ; la valeur s’y diffuse. Quel fil fait quel élément : voir `loops`.

Ordre de lecture : `write_into`, `spread`.
"""

import functools

from engine.backends.scalar_text import convert
from engine.core.dtypes import widened
from engine.core.settings import config
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.loops import ALIGNED, SAME, Loop
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import spread_strides
from engine.gpu.kernels.tiers import choose
from engine.gpu.kernels.transposing import transposed

_KEPT = 4096


def write_into(place, value, add=False):
    """Range `value`, qui se diffuse, dans la vue `place` ; `add` : l’ajoute."""
    launch = _prepared(
        config.gpu_tier, machine().warp, add,
        place.dtype, place.shape, place.strides, place.offset % ALIGNED,
        value.dtype, value.shape, value.strides, value.offset % ALIGNED,
    )  # fmt: skip
    launch(place, *((place, value) if add else (value,)))


@functools.lru_cache(_KEPT)
def _prepared(tier, warp, add, dtype, shape, steps, start, source, given, strides, offset):
    """Le lancement qui convient à ces tableaux, au niveau `tier`, pour des warps de
    `warp` fils.
    """
    dtype, source = str(dtype), str(source)
    strides = spread_strides(given, strides, shape)
    value = convert(loaded("y", source), widened(source), widened(dtype))
    if add:
        value = convert(f"({loaded('x', dtype)} + {value})", None, widened(dtype))
        each = f"def each(x, y):\n    return {stored(value, dtype)}\n"
        loop = Loop("write", f"ajouter à une place, {dtype}", each, (dtype,), (dtype, source))
        launch_of = choose(fast=loop.wide, readable=loop.plain)
        return launch_of(shape, (steps, steps, strides), (start, start, offset))
    # les mêmes bits, ou une conversion
    each = SAME if source == dtype else f"def each(y):\n    return {stored(value, dtype)}\n"
    loop = Loop("write", f"écrire à une place, {dtype}", each, (dtype,), (source,))

    def fast(*layout):
        return loop.wide(*layout) or transposed(dtype, source, *layout)

    return choose(fast=fast, readable=loop.plain)(shape, (steps, strides), (start, offset))


def spread(value, shape):
    """Une vue de `value` diffusée à cette forme : un pas nul où elle s’étire."""
    return value.view(shape, spread_strides(value.shape, value.strides, shape))
