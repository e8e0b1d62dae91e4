"""Le même noyau sur plusieurs cœurs : chaque fil prend sa part du premier axe.

Les noyaux partagés libèrent le verrou de Python (`nogil`) ; rien d’autre n’est demandé à Numba,
dont les boucles parallèles se compilent bien plus lentement. Le fil appelant prend la première
part.
"""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor

from numba import config

_pools = {}
if hasattr(os, "register_at_fork"):  # les fils ne survivent pas à un fork
    os.register_at_fork(after_in_child=_pools.clear)


def slices(length, least=1):
    """Découpe `range(length)` en autant de tranches que de fils, de `least` au moins."""
    count = max(1, min(config.NUMBA_NUM_THREADS, length // least))
    ends = [length * rank // count for rank in range(count + 1)]
    return list(itertools.pairwise(ends))


def run_parts(function, parts):
    """Appelle `function(*part)` pour chaque part, en même temps."""
    first, *others = parts
    if not others:
        function(*first)
        return
    if "pool" not in _pools:
        _pools["pool"] = ThreadPoolExecutor(max(1, config.NUMBA_NUM_THREADS - 1), "noyau")
    running = [_pools["pool"].submit(function, *part) for part in others]
    function(*first)
    for future in running:
        future.result()
