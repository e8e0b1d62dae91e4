"""Écrire un tableau dans une place d’un autre : posé, ou ajouté à ce qui s’y trouve.

Une place est une vue ; la valeur s’y diffuse. Quel fil fait quel élément : voir `loops`.

Ordre de lecture : `write_into`, `spread`, `overlap`.
"""

import functools

from engine.backends.cuda.elements import computed, loaded, stored
from engine.backends.cuda.loops import ALIGNED, Loop
from engine.backends.cuda.machines import machine
from engine.backends.cuda.tiers import choose
from engine.backends.scalar_text import convert
from engine.settings import config

_KEPT = 4096


def write_into(place, value, add=False):
    """Range `value`, qui se diffuse, dans la vue `place` ; `add` : l’ajoute."""
    shape = place.shape
    strides = place.strides, spread_strides(value.shape, value.strides, shape)
    starts = place.offset % ALIGNED, value.offset % ALIGNED
    kinds = str(place.dtype), str(value.dtype), add
    launch = _prepared(machine(), config.gpu_tier, *kinds, shape, strides, starts)
    launch(place, place, value) if add else launch(place, value)


@functools.lru_cache(_KEPT)
def _prepared(machine, tier, dtype, source, add, shape, strides, starts):
    """Le lancement qui convient à ces formes ; un autre pour une autre machine ou un autre
    niveau.
    """
    value = convert(loaded("y", source), computed(source), computed(dtype))
    if add:
        value = convert(f"({loaded('x', dtype)} + {value})", None, computed(dtype))
        each = f"def each(x, y):\n    return {stored(value, dtype)}\n"
        loop = Loop("write", f"ajouter à une place, {dtype}", each, (dtype,), (dtype, source))
        strides, starts = (strides[0], *strides), (starts[0], *starts)
    else:
        text = "y" if source == dtype else stored(value, dtype)  # les mêmes bits, ou une conversion
        each = f"def each(y):\n    return {text}\n"
        loop = Loop("write", f"écrire à une place, {dtype}", each, (dtype,), (source,))
    return choose(fast=loop.wide, readable=loop.plain)(shape, strides, starts)


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


def overlap(x, y):
    """Dit si deux tableaux ont peut-être un élément en commun."""
    if x.buffer is not y.buffer or not x.size or not y.size:
        return False
    (low, high), (start, stop) = _span(x), _span(y)
    return low <= stop and start <= high


def _span(x):
    """Les places du premier et du dernier élément de x, dans sa zone."""
    reach = [(n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)]
    return x.offset + sum(min(r, 0) for r in reach), x.offset + sum(max(r, 0) for r in reach)
