"""Une couche convolutive d’un seul tenant sur le GPU, et son gradient.

- rapide : le texte de `direct_convolutions`, dont chaque fil termine lui-même ses carrés 2 × 2 ;
- lisible : la convolution, puis un noyau qui fait les carrés, le biais et l’activation.

Le gradient des filtres d’une première couche se calcule sans écrire celui de la convolution : les
fils y lisent les rangs.

Ordre de lecture : `conv_pool_kernel`, `given_back_kernel`, `given_filters_kernel`, et leurs textes.
"""

import functools
import math
import re
from typing import NamedTuple

import numpy as np

from engine.core.dtypes import widened
from engine.core.scalars import SCALARS
from engine.core.types import TensorType
from engine.gpu.compiling.conv_pool import ConvolutionPool, PoolGivenBack, PoolGivenFilters
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.convolutions import (
    DTYPES,
    convolution_kernel,
    correlation,
    correlation_work,
    direct_kernel,
    forward_work,
    grad_filters_kernel,
)
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.poolings import square_launch
from engine.gpu.kernels.positions import NARROW, WIDE
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.spatial import indented, unravelled
from engine.gpu.kernels.square_poolings import BY_POSITION, first_maximum
from engine.gpu.kernels.tiers import choose
from engine.gpu.kernels.views import contiguous

_REACH = 2**31


@device_kernel(ConvolutionPool)
def conv_pool_kernel(node):
    op, dtype = node.op, node.outputs[0].dtype
    if {entry.dtype for entry in node.inputs} != {dtype} or dtype not in DTYPES:
        return None
    kinds = [entry.type() for entry in node.inputs[:2]]
    convolve = convolution_kernel(op.convolution.make_node(*kinds))
    function = _activation(op.activation, widened(dtype))

    def readable(x, w, b, shape):
        return _squares_of(convolve(x, w), b, shape, dtype, function)

    fast = functools.partial(_fast, op.convolution, dtype, function)
    launch = choose(fast=fast, readable=readable)

    def call(x, w, b):
        op.convolution.check(x.shape, w.shape)
        shape = op.out_shape(x.shape, w.shape)
        return launch(x, w, contiguous(b), shape)

    call.tier = launch.tier
    return call


def _activation(name, real):
    """Le texte de l’activation, fonction de v."""
    if name is None:
        return "v"
    scalar = SCALARS[name]
    code = scalar.code32 if real == "float32" and scalar.code32 else scalar.code
    return re.sub(r"\bx\b", "v", code)


def _fast(op, dtype, function, x, w, b, shape):
    """Un seul noyau ; None si les places ne se rangent pas par carrés, ou si la tuile déborde."""
    x, places = contiguous(x), op.output_shape(x.shape, w.shape)
    work = forward_work(op, dtype, x, w.shape, places)._replace(pooled=function)
    kernel, tile = direct_kernel(work)
    if kernel is None or not math.prod(shape) or not x.size * w.size:
        return None
    if max(x.size, w.size, math.prod(places)) >= _REACH:
        return None
    out, winners = empty(shape, dtype), empty(shape, "uint8")
    blocks = math.prod(tile.blocks(work)) * -(-shape[0] // tile.images)
    kernel.launch(blocks, out, x, contiguous(w), b, winners, np.uint32(shape[0]))
    return [out, winners]


def _squares_of(y, b, shape, dtype, function):
    """Les carrés 2 × 2 d’une convolution : un fil, un carré."""
    out, winners = empty(shape, dtype), empty(shape, "uint8")
    real = widened(dtype)
    cells = {"x0": "at", "x1": "at + 1", "x2": "at + width", "x3": "at + width + 1"}
    inside = [
        *unravelled("t", ["plane", "i", "j"], ["rows", "columns"], "uint32"),
        "at = uint32(uint32(uint32(plane * height) + uint32(i * uint32(2))) * width)",
        "at = uint32(at + uint32(j * uint32(2)))",
        *(f"{name} = {loaded(f'y[{place}]', dtype)}" for name, place in cells.items()),
        *first_maximum(list(cells)),
        f"v = {real}(best + {loaded('bias[uint32(plane % filters)]', dtype)})",
        f"v = {real}({function})",
        f"out[t] = {stored('v', dtype)}",
        "winners[t] = position",
    ]
    numbers = ["count", "filters", "height", "width", "rows", "columns"]
    lengths = (out.size, shape[1], *y.shape[2:], *shape[2:])
    _launched("carrés d’une convolution", ["out", "winners", "y", "bias"], [out, winners, y, b],
              numbers, lengths, inside, function)  # fmt: skip
    return [out, winners]


@device_kernel(PoolGivenBack)
def given_back_kernel(node):
    op, dtype = node.op, node.outputs[0].dtype
    if dtype not in DTYPES or node.inputs[1].dtype != dtype:
        return None

    def call(winners, g, x, w):
        shape = op.convolution.output_shape(x.shape, w.shape)
        op.pool.check_gradient(g.shape, shape)
        winners, g = contiguous(winners), contiguous(g)
        if not any(length % 2 for length in shape[2:]) and math.prod(shape) < _REACH:
            return square_launch(BY_POSITION, dtype, shape, [g, winners], shape[3], {"k": "uint8"})
        return _given_back(winners, g, shape, dtype)

    return call


@device_kernel(PoolGivenFilters, host=lambda node: tuple(range(3, len(node.inputs))))
def given_filters_kernel(node):
    op, dtype = node.op, node.outputs[0].dtype
    x, winners, g, *lengths = node.inputs
    if {x.dtype, g.dtype} != {dtype} or dtype not in DTYPES:
        return None
    whole = TensorType(dtype, (False,) * 4)()  # des filtres, ou le gradient de la convolution
    back = PoolGivenBack(op.gradient, op.pool).make_node(winners, g, x, whole)
    give_back = given_back_kernel(back)
    two_steps = grad_filters_kernel(op.gradient.make_node(x, whole, *lengths))

    def readable(x, winners, g, shape):
        return two_steps(x, give_back(winners, g, x, _Shape(shape)), *shape[2:])

    def fast(x, winners, g, shape):
        places = op.gradient.output_shape(x.shape, shape)
        if any(length % 2 for length in places[2:]):
            return None
        x, winners, g = contiguous(x), contiguous(winners), contiguous(g)
        work = correlation_work(op.gradient, dtype, x, g, shape)
        aligned = work.aligned and winners.offset % 4 == 0
        work = work._replace(places=tuple(places[2:]), aligned=aligned, pooled=True)
        return correlation(work, [x, g, winners], shape)

    launch = choose(fast=fast, readable=readable)

    def call(x, winners, g, *lengths):
        shape = op.filters_shape(x.shape, g.shape, lengths)
        places = op.gradient.output_shape(x.shape, shape)
        op.pool.check_gradient(g.shape, places)
        return launch(x, winners, g, shape)

    call.tier = launch.tier
    return call


class _Shape(NamedTuple):
    """Des filtres dont seule la forme est lue."""

    shape: tuple


def _given_back(winners, g, shape, dtype):
    """Un fil, un pixel : il retrouve son carré ; la ligne ou la colonne en trop n’en a pas."""
    out, zero = empty(shape, dtype), f"{widened(dtype)}(0.0)"
    inside = [
        *unravelled("t", ["plane", "h", "k"], ["height", "width"], "uint32"),
        "i = uint32(h // uint32(2))",
        "j = uint32(k // uint32(2))",
        f"given = {zero}",
        "if i < rows and j < columns:",
        "    at = uint32(uint32(uint32(uint32(plane * rows) + i) * columns) + j)",
        "    if winners[at] == uint8(uint32(uint32(h % uint32(2)) * uint32(2)) + k % uint32(2)):",
        f"        given = {loaded('g[at]', dtype)}",
        f"out[t] = {stored('given', dtype)}",
    ]
    numbers = ["count", "height", "width", "rows", "columns"]
    lengths = (out.size, *shape[2:], *g.shape[2:])
    _launched(
        "rendre à un pixel",
        ["out", "winners", "g"],
        [out, winners, g],
        numbers,
        lengths,
        inside,
    )
    return out


def _launched(doc, names, arrays, numbers, lengths, inside, function=""):
    """Lance un fil par élément du premier tableau."""
    word = NARROW if max(array.size for array in arrays) < _REACH else WIDE
    lines = [
        f"def kernel({', '.join([*names, *numbers])}):",
        "    t = uint32(cuda.grid(1))",
        "    if t < count:",
        *indented(inside, 2),
    ]
    body = "\n".join(lines).replace(NARROW, word) + "\n"  # les mêmes lignes, en 64 bits
    signature = (*[f"{array.dtype}*" for array in arrays], *[word] * len(numbers))
    doc = f"{doc} {function}, {arrays[0].dtype}"
    compiled = make_kernel("pool", doc, body, signature)
    compiled(arrays[0].size, *arrays, *map(np.dtype(word).type, lengths))
