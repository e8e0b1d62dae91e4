"""Compter sur le GPU : où sont les éléments non nuls d’un tableau.

La longueur du résultat dépend des valeurs. Trois noyaux :

1. chaque bloc compte les siens ;
2. un seul bloc cumule ces nombres : le rang du premier élément de chaque bloc, et le total ;
3. chaque bloc range les siens, à partir de ce rang, dans l’ordre du tableau.

Entre 2 et 3, l’hôte lit le total, huit octets, pour prendre la place qu’il faut : il attend donc le
périphérique, et l’appel ne peut pas se rejouer.

Ordre de lecture : `nonzero_kernel`, `flat_positions`, `positions`.
"""

import numpy as np

from engine.core.dtypes import widened
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.elements import loaded
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import word_for
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.views import contiguous
from engine.ops.traversals import NonZero

_ROUNDS = 8  # tranches d’un bloc
# le cumul d’un bloc : à la fin, part[t] est la somme des part[0] à part[t] d’avant
_CUMULATE = """{margin}cuda.syncthreads()
{margin}step = 1
{margin}while step < {block}:
{margin}    left = part[t - step] if t >= step else part[t] - part[t]
{margin}    cuda.syncthreads()
{margin}    part[t] += left
{margin}    cuda.syncthreads()
{margin}    step *= 2
"""
_COUNT = """def kernel(starts, x, n):
    part = cuda.shared.array({block}, np.int32)
    t = cuda.threadIdx.x
    i = int64(cuda.blockIdx.x) * {chunk} + t
    last = min(n, (int64(cuda.blockIdx.x) + 1) * {chunk})
    total = int32(0)
    while i < last:
        if {is_set}:
            total += int32(1)
        i += {block}
    part[t] = total
{cumulate}    if t == {block} - 1:
        starts[cuda.blockIdx.x] = part[t]
"""
_SCAN = """def kernel(starts, blocks):
    part = cuda.shared.array({block}, np.int64)
    t = cuda.threadIdx.x
    before = int64(0)
    first = int64(0)
    while first < blocks:
        part[t] = starts[first + t] if first + t < blocks else int64(0)
        mine = part[t]
{cumulate}        if first + t < blocks:
            starts[first + t] = before + part[t] - mine
        before += part[{block} - 1]
        first += {block}
        cuda.syncthreads()
    if t == 0:
        starts[blocks] = before
"""
_WRITE = """def kernel(out, starts, x, n):
    part = cuda.shared.array({block}, np.int32)
    t = cuda.threadIdx.x
    place = starts[cuda.blockIdx.x]
    first = int64(cuda.blockIdx.x) * {chunk}
    last = min(n, first + {chunk})
    while first < last:
        i = first + t
        part[t] = int32(0)
        if i < last:
            if {is_set}:
                part[t] = int32(1)
        mine = part[t]
{cumulate}        if mine:
            out[place + part[t] - 1] = i
        place += part[{block} - 1]
        first += {block}
        cuda.syncthreads()
"""


@device_kernel(NonZero)
def nonzero_kernel(node):
    if node.inputs[0].ndim == 0:
        return None  # NumPy refuse, et le dit
    return lambda x: coordinates(flat_positions(x), x.shape)


def positions(mask):
    """Les rangs, axe par axe, des éléments vrais d’un masque : un vecteur par axe."""
    found = coordinates(flat_positions(mask), mask.shape)
    return [found[axis] for axis in range(mask.ndim)]


def flat_positions(x):
    """Les rangs des éléments non nuls de x, vu à plat, en ordre croissant ; attend le périphérique.

    Un bloc s’occupe de `_ROUNDS` tranches voisines ; dans chacune, le fil t regarde l’élément t.
    """
    count, scan, write = _kernels(str(x.dtype), machine().reduction_block)
    x, n = contiguous(x), np.int64(x.size)
    blocks = -(-x.size // (count.block * _ROUNDS))
    starts = empty((blocks + 1,), "int64")
    if blocks:
        count.launch(blocks, starts, x, n)
    scan.launch(1, starts, np.int64(blocks))
    out = empty((int(starts[blocks].to_host()),), "int64")
    if out.size:
        write.launch(blocks, out, starts, x, n)
    return out


def _kernels(dtype, block):
    """Les trois noyaux : compter, cumuler, ranger."""
    zero = "" if dtype == "bool" else f" != {widened(dtype)}(0)"
    words = {"block": block, "chunk": block * _ROUNDS, "is_set": loaded("x[i]", dtype) + zero}

    def made(doc, text, signature, margin):
        cumulate = _CUMULATE.format(block=block, margin=" " * margin)
        return make_kernel(
            "nonzero", doc, text.format(cumulate=cumulate, **words), signature, block
        )

    x = f"{dtype}*"
    return (
        made(f"compter les non nuls, {dtype}", _COUNT, ("int64*", x, "int64"), 4),
        made("cumuler les nombres des blocs", _SCAN, ("int64*", "int64"), 8),
        made(f"ranger les non nuls, {dtype}", _WRITE, ("int64*", "int64*", x, "int64"), 8),
    )


def coordinates(flat, shape):
    """Les rangs à plat changés en rangs par axe : une ligne par axe. Un fil, un élément."""
    if len(shape) == 1:
        return flat.reshape((1, flat.size))
    word = word_for(shape)
    lines = [f"r = {word}(flat[i])"]
    for axis in reversed(range(len(shape))):
        lines += [f"out[{axis} * n + i] = int64(r % d{axis})", f"r = {word}(r // d{axis})"]
    names = [f"d{axis}" for axis in range(len(shape))]
    body = f"def kernel(out, flat, n, {', '.join(names)}):\n    i = int64(cuda.grid(1))\n"
    body += "    if i < n:\n" + "".join(f"        {line}\n" for line in lines)
    signature = ("int64*", "int64*", "int64", *[word] * len(shape))
    kernel = make_kernel("nonzero", f"des rangs à plat aux axes, {len(shape)}", body, signature)
    out = empty((len(shape), flat.size), "int64")
    kernel(flat.size, out, flat, np.int64(flat.size), *map(getattr(np, word), shape))
    return out
