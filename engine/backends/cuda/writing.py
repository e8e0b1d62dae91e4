"""Écrire un tableau dans une place d’un autre : posé, ou ajouté à ce qui s’y trouve.

Une place est une vue ; la valeur s’y diffuse. Quel fil fait quel élément : voir `loops`.

Ordre de lecture : `write_into`, `spread`, `disturbs`.
"""

import functools

from engine.backends.cuda.elements import computed, loaded, stored
from engine.backends.cuda.loops import ALIGNED, Loop
from engine.backends.cuda.tiers import choose
from engine.backends.scalar_text import convert
from engine.settings import config

_KEPT = 4096


def write_into(place, value, add=False):
    """Range `value`, qui se diffuse, dans la vue `place` ; `add` : l’ajoute."""
    launch = _prepared(
        config.gpu_tier, add,
        place.dtype, place.shape, place.strides, place.offset % ALIGNED,
        value.dtype, value.shape, value.strides, value.offset % ALIGNED,
    )  # fmt: skip
    launch(place, place, value) if add else launch(place, value)


@functools.lru_cache(_KEPT)
def _prepared(tier, add, dtype, shape, steps, start, source, given, strides, offset):
    """Le lancement qui convient à ces tableaux, au niveau `tier`."""
    dtype, source = str(dtype), str(source)
    strides = spread_strides(given, strides, shape)
    value = convert(loaded("y", source), computed(source), computed(dtype))
    if add:
        value = convert(f"({loaded('x', dtype)} + {value})", None, computed(dtype))
        each = f"def each(x, y):\n    return {stored(value, dtype)}\n"
        loop = Loop("write", f"ajouter à une place, {dtype}", each, (dtype,), (dtype, source))
        launch_of = choose(fast=loop.wide, readable=loop.plain)
        return launch_of(shape, (steps, steps, strides), (start, start, offset))
    text = "y" if source == dtype else stored(value, dtype)  # les mêmes bits, ou une conversion
    each = f"def each(y):\n    return {text}\n"
    loop = Loop("write", f"écrire à une place, {dtype}", each, (dtype,), (source,))
    return choose(fast=loop.wide, readable=loop.plain)(shape, (steps, strides), (start, offset))


def spread(value, shape):
    """Une vue de `value` diffusée à cette forme : un pas nul où elle s’étire."""
    return value.view(shape, spread_strides(value.shape, value.strides, shape))


def spread_strides(given, strides, shape):
    """Les pas d’un tableau de forme `given`, diffusé à la forme `shape`.

    Exemple
        >>> spread_strides((3, 1), (1, 1), (2, 3, 4))
        (0, 1, 0)
    """
    missing = len(shape) - len(given)
    return (0,) * missing + tuple(
        [0 if length == 1 else stride for length, stride in zip(given, strides, strict=True)]
    )


def disturbs(out, x):
    """Dit si écrire `out` peu à peu peut changer un élément de x encore à lire.

    Les mêmes éléments dans le même ordre ne gênent pas : un fil lit le sien, puis l’écrit.
    """
    if x.buffer is not out.buffer:
        return False
    if (x.offset, x.shape, x.strides) == (out.offset, out.shape, out.strides):
        return False
    (low, high), (start, stop) = _span(x), _span(out)
    return low <= stop and start <= high


def _span(x):
    """Les places de ses éléments dans sa zone : la première, la dernière."""
    reach = [(n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)]
    return x.offset + sum(min(r, 0) for r in reach), x.offset + sum(max(r, 0) for r in reach)
