"""Les produits sur le GPU : cuBLAS, ou le noyau de la leçon 10.

Une matrice est lue par ses pas : une transposée ne coûte pas de copie.

Ordre de lecture : `dot_kernel`, `batched_dot_kernel`, `product`, `product_tier`.
"""

from functools import partial

import numpy as np

from engine.core.dtypes import HALVES
from engine.core.settings import config
from engine.core.typeset import typeset
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.blas import find
from engine.gpu.kernels.geometry import MOST
from engine.gpu.kernels.lessons import lesson_kernel
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.readable.products import tiled_product
from engine.gpu.kernels.registry import choose, device_kernel
from engine.gpu.kernels.writing import write_into
from engine.ops.linear_algebra import BatchedDot
from engine.ops.products import Dot

_DTYPES = ("float32", "float64", *HALVES)


def _can(node):
    dtype = node.outputs[0].dtype
    same = {v.dtype for v in node.inputs} == {dtype} and dtype in _DTYPES
    return same and (isinstance(node.op, BatchedDot) or {v.ndim for v in node.inputs} <= {1, 2})


@device_kernel(Dot, when=_can)
def dot_kernel(node):
    dtype = node.outputs[0].dtype
    multiply = product(dtype)

    def call(x, y):
        if x.shape[-1] != y.shape[0]:
            node.op.perform(node, [np.empty(v.shape, dtype) for v in (x, y)], [[None]])
        a = x if x.ndim == 2 else x.view((1, *x.shape), (0, *x.strides))
        b = y if y.ndim == 2 else y.view((*y.shape, 1), (*y.strides, 0))
        out = empty((*x.shape[:-1], *y.shape[1:]), dtype)
        if out.size:
            multiply(out.reshape((a.shape[0], b.shape[1])), a, b)
        return out

    call.tier = multiply.tier
    return call


@device_kernel(BatchedDot, when=_can)
def batched_dot_kernel(node):
    dtype = node.outputs[0].dtype
    multiply = product(dtype)

    def call(x, y):
        if x.shape[0] != y.shape[0] or x.shape[2] != y.shape[1]:
            node.op.perform(node, [np.empty(v.shape, dtype) for v in (x, y)], [[None]])
        out = empty((*x.shape[:2], y.shape[2]), dtype)
        if out.size:
            multiply(out, x, y)
        return out

    call.tier = multiply.tier
    return call


def product(dtype):
    """Le produit de matrices, ou de piles de matrices : une fonction de (out, a, b).

    `out` a au moins un élément, et ses lignes se suivent ; k peut être nul.
    """
    blas, why = find(machine())
    library = partial(blas.multiply, tf32=config.allow_tf32) if blas else why
    return choose(as_in_the_lesson(dtype), library, why)


def product_tier():
    """Dit en français qui calcule les produits, et pourquoi : ce que porte chaque nœud.

    Exemple
        >>> str(product_tier()).split()[0] in ("bibliothèque", "lisible")
        True
    """
    return typeset(str(product("float32").tier))


def as_in_the_lesson(dtype):
    """Le produit de la leçon 10 : un fil, un élément du résultat ; une pile à la fois."""
    tile = machine().tile

    def multiply(out, a, b):
        if a.ndim == 3:
            for k in range(a.shape[0]):
                multiply(out[k], a[k], b[k])
            return out
        if dtype in HALVES:
            wide = empty(out.shape, "float32")
            as_in_the_lesson("float32")(wide, as_wide(a), as_wide(b))
            write_into(out, wide)
            return out
        kernel = lesson_kernel(tiled_product, (f"{dtype}[:,:]",) * 3, (tile, tile), TILE=tile)
        for first in range(0, out.shape[0], MOST * tile):
            rows = slice(first, first + MOST * tile)
            kernel(out[rows].shape, out[rows], a[rows], b)
        return out

    return multiply


def as_wide(x):
    """x, en float32 si c’est un tableau de demi-flottants."""
    if x.dtype.name not in HALVES:
        return x
    wide = empty(x.shape, "float32")
    write_into(wide, x)
    return wide
