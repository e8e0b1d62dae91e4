"""Le même noyau sur plusieurs cœurs : chaque fil prend sa part du premier axe.

Les noyaux partagés libèrent le verrou de Python (`nogil`) ; rien d’autre n’est demandé à Numba,
dont les boucles parallèles se compilent bien plus lentement. Le fil appelant prend la première
part.
"""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor, wait

from numba import config

BLOCK = 64  # éléments : les coupes d’un vecteur tombent entre deux tours de la boucle vectorielle

_pools = {}
if hasattr(os, "register_at_fork"):  # les fils ne survivent pas à un fork
    os.register_at_fork(after_in_child=_pools.clear)


def slices(length, least=1, unit=1):
    """Découpe `range(length)` en autant de tranches que de fils, de `least` au moins.

    Les coupes sont à des multiples de `unit`.
    """
    count = max(1, min(config.NUMBA_NUM_THREADS, length // least))
    inside = (length * k // count // unit * unit for k in range(1, count))
    return list(itertools.pairwise([0, *inside, length]))


def run_parts(function, parts):
    """Appelle `function(*part)` pour chaque part, en même temps."""
    first, *others = parts
    if not others:
        function(*first)
        return
    pool = _pools.get("pool") or _pools.setdefault(
        "pool", ThreadPoolExecutor(max(1, config.NUMBA_NUM_THREADS - 1), "noyau")
    )
    running = [pool.submit(function, *part) for part in others]
    try:
        function(*first)
    finally:  # même interrompu : l’appel suivant écrit dans la même mémoire
        wait(running)
    for future in running:
        future.result()


def run_sliced(function, arrays, moving, least):
    """Appelle `function(*arrays)`, chaque fil sur sa tranche du premier axe.

    Paramètres
        moving : lesquels de ces tableaux se découpent, le dernier en est ; les autres vont entiers.
        least : éléments du dernier, par fil, au moins.
    """
    rows, size = len(arrays[-1]), arrays[-1].size
    parts = [
        [x[a:b] if cut else x for x, cut in zip(arrays, moving, strict=True)]
        for a, b in slices(rows, max(1, least * rows // size), BLOCK if rows == size else 1)
    ]
    run_parts(function, parts)
