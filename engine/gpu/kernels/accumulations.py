"""Les cumuls sur le GPU : un bloc par ligne, qui avance par tranches d’un élément par fil.

Dans une tranche, chaque fil ajoute à son élément celui d’il y a 1, 2, 4… places : au bout de
quelques tours, il tient leur somme depuis le premier. Ce qui précède la tranche s’y ajoute ensuite,
compensé (Kahan) pour des flottants.

Référence : W. D. Hillis et G. L. Steele, « Data Parallel Algorithms », 1986.
"""

import math

import numpy as np

from engine.core.dtypes import widened
from engine.core.types import FLOATS
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import merged, unravelled, word_for
from engine.gpu.kernels.registry import device_kernel
from engine.ops.traversals import Cumulate

_TEXT = """def kernel(out, x, n):
    part = cuda.shared.array({block}, np.{real})
    t, row = {word}(cuda.threadIdx.x), {word}(cuda.blockIdx.x)
{where}
    total, lost = {real}({start}), {real}(0)
    base = {word}(0)
    while base < n:
        j = {word}(base + t)
        item = {real}({start})
        if j < n:
            item = {real}({item})
        part[t] = item
        cuda.syncthreads()
        step = {word}(1)
        while step < {block}:
            before = {real}({start})
            if t >= step:
                before = part[{word}(t - step)]
            cuda.syncthreads()
            part[t] = {real}(before {sign} part[t])
            cuda.syncthreads()
            step = {word}(step * {word}(2))
        if j < n:
            value = {real}(total {sign} part[t])
            out[{place}] = {value}
        whole = part[{block} - 1]
        cuda.syncthreads()
        {carry}
        base = {word}(base + {word}({block}))
"""
_COMPENSATED = """y = whole - lost
        s = total + y
        lost = (s - total) - y
        if lost != lost:  # un infini ne perd rien
            lost = {real}(0)
        total = s"""


@device_kernel(Cumulate)
def cumulate_kernel(node):
    (out,), axis = node.outputs, node.op.axis
    sign, start = ("+", 0) if node.op.which == "sum" else ("*", 1)
    real, block = widened(out.dtype), machine().reduction_block
    carry = f"total = {real}(total {sign} whole)"
    if sign == "+" and real in FLOATS:
        carry = _COMPENSATED.format(real=real)

    def call(x):
        result = empty(x.shape, out.dtype)
        if not x.size:
            return result
        kept = [a for a in range(x.ndim) if a != axis]
        arrays = result, x
        lengths, *steps = merged(
            [x.shape[a] for a in kept], *([y.strides[a] for a in kept] for y in arrays)
        )
        shape = (*lengths, x.shape[axis])
        views = [
            y.view(shape, (*outside, y.strides[axis]))
            for y, outside in zip(arrays, steps, strict=True)
        ]
        word, names = word_for((x.size,)), [f"k{a}" for a in range(len(lengths))]
        place = ", ".join([*names, "j"])
        counts = [f"{word}(x.shape[{a}])" for a in range(1, len(lengths))]
        text = _TEXT.format(
            block=block, real=real, word=word, start=start, sign=sign, place=place, carry=carry,
            item=loaded(f"x[{place}]", str(x.dtype)), value=stored("value", out.dtype),
            where="\n".join(f"    {line}" for line in unravelled("row", names, counts, word)),
        )  # fmt: skip
        axes = ", ".join([":"] * len(shape))
        signature = (f"{out.dtype}[{axes}]", f"{x.dtype}[{axes}]", word)
        kernel = make_kernel("cumulate", f"cumul ({sign}), {x.dtype}", text, signature, block)
        kernel.launch(math.prod(lengths), *views, np.dtype(word).type(x.shape[axis]))
        return result

    return call
