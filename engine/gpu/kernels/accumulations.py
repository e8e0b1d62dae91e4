"""Les cumuls, les sommes qui rendent une forme, sur le GPU.

Ordre de lecture : une fabrique par op.
"""

import math
from functools import cache

import numpy as np

from engine.core.dtypes import widened
from engine.core.types import FLOATS
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.joining import EACH
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.reductions import reduce_kernel
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.tiers import choose
from engine.gpu.kernels.views import contiguous
from engine.gpu.kernels.writing import spread
from engine.ops.reduce import REDUCTIONS, Reduce
from engine.ops.sum_to import SumTo
from engine.ops.traversals import Cumulate

_REACH = 2**31  # éléments au-delà desquels les places ne tiennent plus en 32 bits


@device_kernel(Cumulate)
def cumulate_kernel(node):
    """Un bloc par ligne, ou un fil par ligne quand elles sont nombreuses et côte à côte."""
    (x,), (out,), axis = node.inputs, node.outputs, node.op.axis
    kind = "sum" if node.op.which == "sum" else "product"
    fast = "les échanges entre fils n'ont pas d'entiers de 64 bits sans signe"
    if out.dtype != "uint64":
        fast = _scanned(kind, str(x.dtype), str(out.dtype))
    call = choose(fast=fast, readable=_line_each(kind, str(x.dtype), str(out.dtype)))

    def checked(x):
        result = empty(x.shape, out.dtype)
        if not x.size:
            return result
        n, after = x.shape[axis], math.prod(x.shape[axis + 1 :])
        return call(result, contiguous(x), n, after)

    checked.tier = call.tier
    return checked


_JOINS = {"sum": ("0", "{} + {}"), "product": ("1", "{} * {}")}


def _line_each(kind, source, dtype):
    """Un fil, une ligne ; les sommes sont compensées (Kahan), sans calcul en double."""
    start, join = _JOINS[kind]
    real = widened(dtype)
    step = f"total = {real}({join.format('total', 'item')})"
    if kind == "sum" and dtype in FLOATS:
        step = _COMPENSATED.format(item="item", real=real, margin=" " * 12).lstrip()
    body = f"""def kernel(out, x, m, n, after):
    i = cuda.grid(1)
    if i < m:
        o = (i // after) * n * after + i % after
        total, lost = {real}({start}), {real}(0)
        for k in range(n):
            item = {real}({loaded("x[o]", source)})
            {step}
            out[o] = {stored("total", dtype)}
            o += after
"""
    words = (f"{dtype}*", f"{source}*", "int64", "int64", "int64")
    compiled = make_kernel("cumulate", f"{kind}, ligne par fil : {source}", body, words)

    def call(result, x, n, after):
        rows = result.size // n
        compiled(rows, result, x, *map(np.int64, (rows, n, after)))
        return result

    return call


_COMPENSATED = """{margin}y = {item} - lost
{margin}s = total + y
{margin}lost = (s - total) - y
{margin}if lost != lost:  # un infini ne perd rien
{margin}    lost = {real}(0)
{margin}total = s"""


def _scanned(kind, source, dtype):
    """Un bloc par ligne : il avance par tranches d’un élément par fil.

    Dans un warp, les cumuls se font par échanges : à l’étage d, les fils t et t ^ d se montrent la
    somme de leur moitié, et celui de droite ajoute à son cumul celle de gauche. Puis chaque warp
    ajoute les sommes des warps d’avant, et la tranche, celle des tranches d’avant (compensée).
    """
    (start, join), real = _JOINS[kind], widened(dtype)
    warp, block = machine().warp, machine().reduction_block
    carry = f"total = {real}({join.format('total', 'whole')})"
    if kind == "sum" and dtype in FLOATS:
        carry = _COMPENSATED.format(item="whole", real=real, margin=" " * 8).lstrip()
    body = f"""def kernel(out, x, n, after):
    part = cuda.shared.array({block // warp}, np.{real})
    t = uint32(cuda.threadIdx.x)
    i = uint32(cuda.blockIdx.x)
    first = uint32(uint32(uint32(i // after) * n) * after) + uint32(i % after)
    total, lost = {real}({start}), {real}(0)
    base = uint32(0)
    while base < n:
        k = uint32(base + t)
        o = uint32(first + uint32(k * after))
        item = {real}({start})
        if k < n:
            item = {real}({loaded("x[o]", source)})
        before, whole = {real}({start}), item
        d = uint32(1)
        while d < {warp}:
            other = shuffle_xor(whole, d)
            if t & d:
                before = {real}({join.format("other", "before")})
            whole = {real}({join.format("whole", "other")})
            d = uint32(d * uint32(2))
        if t % uint32({warp}) == 0:
            part[t // uint32({warp})] = whole
        cuda.syncthreads()
        whole = {real}({start})
        for w in range({block // warp}):
            if w == t // uint32({warp}):
                before = {real}({join.format("whole", "before")})
            whole = {real}({join.format("whole", "part[w]")})
        cuda.syncthreads()
        if k < n:
            value = {real}({join.format("before", "item")})
            value = {real}({join.format("total", "value")})
            out[o] = {stored("value", dtype)}
        {carry}
        base = uint32(base + uint32({block}))
"""
    words = (f"{dtype}*", f"{source}*", "uint32", "uint32")
    compiled = make_kernel("cumulate", f"{kind}, ligne par bloc : {source}", body, words, block)

    def call(result, x, n, after):
        rows = result.size // n
        if result.size >= _REACH or n <= 1 or (after > 1 and rows >= machine().block * EACH):
            return None
        compiled.launch(rows, result, x, np.uint32(n), np.uint32(after))
        return result

    return call


@device_kernel(SumTo, host=lambda node: (1,))
def sum_to_kernel(node):
    """La somme des axes étirés, quand il y en a."""
    entry = node.inputs[0]
    if entry.dtype not in FLOATS:
        return None  # une somme d’entiers change de dtype
    positions = range(entry.ndim)

    @cache
    def summing(axes):
        return reduce_kernel(Reduce(REDUCTIONS["sum"], axes).make_node(entry))

    def call(x, shape):
        shape = tuple(shape.tolist())
        axes = tuple(a for a in positions if shape[a] == 1 != x.shape[a])
        if axes:
            x = summing(axes)(x).reshape([1 if a in axes else n for a, n in enumerate(x.shape)])
        return x if x.shape == shape else spread(x, shape).copy()

    return call
