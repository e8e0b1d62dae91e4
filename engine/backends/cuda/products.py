"""Les produits sur le GPU : des tuiles en mémoire partagée, un fil par élément du résultat.

Les deux matrices sont lues par leurs pas : une transposée ne coûte pas de copie.

Ordre de lecture : `dot_kernel`, `_body`.
"""

import numpy as np

from engine.backends.cuda.arrays import empty
from engine.backends.cuda.compiling import make_kernel
from engine.backends.cuda.library import library
from engine.backends.cuda.machines import machine
from engine.backends.cuda.registry import device_kernel
from engine.ops.linalg import Dot


@device_kernel(Dot)
def dot_kernel(node):
    x, y = node.inputs
    dtype = node.outputs[0].dtype
    if {x.dtype, y.dtype} != {dtype} or dtype not in ("float32", "float64") or not x.ndim * y.ndim:
        return None
    if x.ndim > 2 or y.ndim > 2:
        return None
    blas = library()
    tiles = None if blas else by_tiles(dtype)

    def call(x, y):
        if x.shape[-1] != y.shape[0]:
            node.op.perform(node, [np.empty(v.shape, dtype) for v in (x, y)], [[None]])
        a = x if x.ndim == 2 else x.view((1, *x.shape), (0, *x.strides))
        b = y if y.ndim == 2 else y.view((*y.shape, 1), (*y.strides, 0))
        out = empty((*x.shape[:-1], *y.shape[1:]), dtype)
        if out.size and not (blas and blas.multiply(out, a, b)):
            (tiles or by_tiles(dtype))(out, a, b)
        return out

    return call


def by_tiles(dtype):
    """Le produit par tuiles : une fonction de (out, a, b), deux axes chacun sauf `out`."""
    tile = machine().tile
    signature = (*[f"{dtype}*"] * 3, *["int64"] * 7)
    compiled = make_kernel("dot", f"produit, {dtype}", _body(tile, dtype), signature, tile * tile)

    def multiply(out, a, b):
        (m, k), n = a.shape, b.shape[1]
        compiled.launch(
            -(-n // tile) * -(-m // tile), out, a, b,
            *map(np.int64, (m, n, k, *a.strides, *b.strides)),
        )  # fmt: skip

    return multiply


def _body(tile, dtype):
    return f"""def kernel(out, a, b, m, n, k, a0, a1, b0, b1):
    ta = cuda.shared.array({tile * tile}, np.{dtype})
    tb = cuda.shared.array({tile * tile}, np.{dtype})
    across = (n + {tile - 1}) // {tile}
    t = cuda.threadIdx.x
    row, column = t // {tile}, t % {tile}
    i = (cuda.blockIdx.x // across) * {tile} + row
    j = (cuda.blockIdx.x % across) * {tile} + column
    total = {dtype}(0.0)
    for start in range(0, k, {tile}):
        ta[t] = a[i * a0 + (start + column) * a1] if i < m and start + column < k else {dtype}(0.0)
        tb[t] = b[(start + row) * b0 + j * b1] if j < n and start + row < k else {dtype}(0.0)
        cuda.syncthreads()
        for q in range({tile}):
            total += ta[row * {tile} + q] * tb[q * {tile} + column]
        cuda.syncthreads()
    if i < m and j < n:
        out[i * n + j] = total
"""
