"""Sondes de l’exercice 10 : elles tracent, chez l’élève, le noyau qu’il a écrit.

Un noyau ne rend rien : il écrit dans sa sortie. Chaque sonde le lance dans le simulateur
(`engine.gpu.kernels.simulator`) et rend ce qu’il a écrit, ce qu’il a lu, et ses courses. Un noyau
qui ne touche à rien est une réponse encore vide : la sonde rend None.
"""

import numpy as np

from engine.gpu.kernels.geometry import geometry
from engine.gpu.kernels.traces import READ, is_shared
from engine.gpu.kernels.simulator import trace

POISON = -987654.0  # ce que contient une sortie avant qu’on y écrive


def map_run(kernel, x, y, a, block, blocks=None):
    """`kernel(sortie, x, y, a)` sur assez de blocs, ou sur `blocks` blocs."""
    out = np.full(len(x), POISON, "float32")
    grid, threads = geometry(len(x), block)
    seen = trace(kernel, blocks or grid, threads, out, _floats(x), _floats(y), np.float32(a))
    return _report(seen, out)


def reduction_run(kernel, x, threads):
    """`kernel(sortie, x)` par un seul bloc, dans les deux ordres."""
    reports = []
    for lockstep in (False, True):
        out = np.full(1, POISON, "float32")
        seen = trace(kernel, 1, threads, out, _floats(x), lockstep=lockstep)
        reports.append(_report(seen, out))
    return None if None in reports else reports


def product_run(kernel, a, b, tile):
    """`kernel(c, a, b)` par des blocs de `tile` × `tile` fils."""
    a, b = _floats(a), _floats(b)
    out = np.full((a.shape[0], b.shape[1]), POISON, "float32")
    return _report(trace(kernel, *geometry(out.shape, (tile, tile)), out, a, b), out)


def _report(seen, out):
    """Ce qui revient d’une trace ; None si rien n’a été lu ni écrit."""
    if not seen.accesses:
        return None
    inputs = list(seen.shapes)[1:]
    per_thread = {}
    for access in seen.of(READ):
        if access.array in inputs and not is_shared(access.array):
            who = access.block, access.thread
            per_thread[who] = per_thread.get(who, 0) + 1
    written = seen.writes(list(seen.shapes)[0])
    return {
        "sortie": out,
        "lectures": sum(per_thread.values()),
        "par_fil": max(per_thread.values(), default=0),
        "ecritures": written,
        "courses": [str(race) for race in seen.races()[:3]],
    }


def _floats(value):
    return np.array(value, "float32")
