"""Le produit rapide : quelle tuile pour quelles longueurs, en combien de tranches, et le lancement.

Un petit résultat ne donne pas de quoi occuper un GPU : k se coupe alors en tranches, chacune fait
par ses blocs, puis additionnées dans l’ordre par un second noyau. Le résultat est le même à chaque
appel.

Ordre de lecture : `by_registers`, `plan`, `Tiles`.
"""

import functools
from typing import NamedTuple

import numpy as np

from engine.core.settings import config
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.library import LIMIT, matrix
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.panels import Operands, product_body
from engine.gpu.kernels.tiles import CONVERT, QUAD, TensorTile, Tile

BUSY = 264  # blocs : deux par multiprocesseur d’un H200
_TENSOR_CORES, _HOPPER = 80, 90  # les cœurs tensoriels prennent le TF32 depuis sm_80
SHORTEST = 2  # panneaux : en deçà, une tranche de k ne paie pas son addition


class Tiles(NamedTuple):
    """Les tuiles d’une machine : pour un grand résultat, un moyen, un étroit, un plat."""

    big: Tile
    medium: Tile
    narrow: Tile
    flat: Tile


_ON_GPU = {
    "float32": Tiles(
        Tile(128, 128, 8, 2, 2, residents=2),
        Tile(64, 64, 16, 2, 1, residents=4),
        Tile(64, 16, 32, 1, 1, lanes=4),
        Tile(16, 64, 32, 1, 1, lanes=16),
    ),
    "float64": Tiles(
        Tile(64, 64, 8, 1, 1, residents=2),
        Tile(64, 64, 8, 1, 1, residents=2),
        Tile(64, 16, 16, 1, 1, lanes=4),
        Tile(16, 64, 16, 1, 1, lanes=16),
    ),
}
# avant sm_80, le même texte veut deux registres de plus : un bloc à la fois, plutôt qu’un débord
_BEFORE_HOPPER = {
    dtype: tiles._replace(big=tiles.big._replace(residents=1)) for dtype, tiles in _ON_GPU.items()
}
_ON_TENSOR_CORES = Tiles(
    TensorTile(128, 128, 8, 4, 4, residents=2),
    TensorTile(64, 64, 16, 2, 4, residents=4),
    *_ON_GPU["float32"][2:],  # la mémoire y limite, pas le calcul
)
_SIMULATED = Tiles(
    Tile(16, 16, 4, 2, 2, lanes=2),
    Tile(8, 8, 4, 1, 1, lanes=2),
    Tile(8, 4, 4, 1, 1, lanes=1),
    Tile(4, 8, 4, 1, 1, lanes=2),
)


def tiles(dtype, rounded):
    """Les tuiles de la machine de ce processus.

    Paramètres
        dtype : le type des sommes.
        rounded : les facteurs peuvent-ils n’avoir que dix bits de mantisse ?
    """
    if machine().warp != 32:
        return _SIMULATED
    generation = int(machine().architecture.removeprefix("sm_").rstrip("a"))
    if rounded and generation >= _TENSOR_CORES:
        return _ON_TENSOR_CORES
    return (_ON_GPU if generation >= _HOPPER else _BEFORE_HOPPER)[dtype]


def by_registers(dtype):
    """Le produit par tuiles de registres : une fonction de (out, a, b).

    Les deux opérandes ont deux axes, ou trois pour des piles ; `out` est contigu. Elle rend `out`,
    ou None si un tableau est trop grand pour des indices de 32 bits.
    """
    real = "float64" if dtype == "float64" else "float32"
    rounded = dtype in CONVERT or (dtype == "float32" and config.allow_tf32)

    def multiply(out, a, b):
        (a, (a_turned, a_step)), (b, (b_turned, b_step)) = matrix(a), matrix(b)
        (m, k), n = a.shape[-2:], b.shape[-1]
        piles, a_pile, b_pile = (
            (a.shape[0], a.strides[0], b.strides[0]) if a.ndim == 3 else (1, 0, 0)
        )
        if max(_reach(a), _reach(b), m, n) > LIMIT:
            return None
        along = (not a_turned, bool(b_turned))
        aligned = all(
            length % QUAD == 0
            for length in (
                n, k if along[0] else m, k if along[1] else n,
                a_step, b_step, a_pile, b_pile, a.offset, b.offset, out.offset,
            )
        )  # fmt: skip
        tile, parts, depth = plan(m, n, k, piles, tiles(real, rounded))
        stored = real if parts > 1 else dtype
        target = empty((piles, parts, m, n), real) if parts > 1 else out
        across, tall = -(-n // tile.columns), -(-m // tile.rows)
        make_kernel(*_product(tile, Operands(dtype, real, along, aligned), stored)).launch(
            across * tall * parts * piles, target, a, b,
            *map(np.uint32, (m, n, k, a_step, b_step, a_pile, b_pile, across, tall, parts, depth)),
        )  # fmt: skip
        if parts > 1:
            numbers = map(np.uint32, (out.size, m * n, parts))
            make_kernel(*_sum(real, dtype))(out.size, out, target, *numbers)
        return out

    return multiply


def plan(m, n, k, piles, tiles):
    """La tuile, le nombre de tranches de k, et leur longueur.

    Exemple
        >>> on_gpu = _ON_GPU["float32"]
        >>> [plan(n, n, n, 1, on_gpu)[:2] == (on_gpu.big, 1) for n in (4096, 500)]
        [True, False]
        >>> plan(500, 10, 784, 1, on_gpu)[1:]  # la régression logistique des leçons
        (9, 96)
    """
    if n <= tiles.narrow.columns:
        tile = tiles.narrow
    elif m <= tiles.flat.rows:
        tile = tiles.flat
    else:
        tile = tiles.big if 2 * piles * _blocks(m, n, tiles.big) >= BUSY else tiles.medium
    panels = max(-(-k // tile.depth), 1)
    parts = max(min(BUSY // (piles * _blocks(m, n, tile)), panels // SHORTEST), 1)
    depth = -(-panels // parts) * tile.depth
    return tile, max(-(-k // depth), 1), depth


def _blocks(m, n, tile):
    return -(-m // tile.rows) * -(-n // tile.columns)


def _reach(x):
    """Le plus grand indice qu’un noyau calcule, à un panneau près."""
    return sum(length * abs(stride) for length, stride in zip(x.shape, x.strides, strict=True))


@functools.lru_cache(1024)
def _product(tile, operands, stored):
    """Ce que `make_kernel` demande ; le texte ne s’écrit qu’une fois."""
    signature = (f"{stored}*", *[f"{operands.stored}*"] * 2, *["uint32"] * 11)
    body = product_body(tile, operands, stored)
    doc = f"produit par tuiles de {tile.rows} × {tile.columns}, {operands.stored}"
    return "product", doc, body, signature, tile.threads


@functools.cache
def _sum(real, dtype):
    """L’addition des tranches, dans l’ordre : un fil, un élément."""
    body = f"""def kernel(out, x, size, each, parts):
    i = uint32(cuda.grid(1))
    if i < size:
        o = int64(i // each) * parts * each + int64(i % each)
        total = {real}(0)
        for part in range(parts):
            total += x[o]
            o += each
        out[i] = {CONVERT.get(dtype, ("", "{}"))[1].format("total")}
"""
    signature = (f"{dtype}*", f"{real}*", "uint32", "uint32", "uint32")
    return "slices", f"somme des tranches d’un produit, {dtype}", body, signature
