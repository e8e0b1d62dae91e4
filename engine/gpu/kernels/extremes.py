"""La place d’un extrême sur le GPU : des couples (valeur, rang) que l’on réunit.

Chaque fil garde le meilleur couple de ce qu’il a lu ; le groupe les réunit comme les sommes de
`reductions`. À égalité, le plus petit rang ; un NaN l’emporte sur tout, comme dans NumPy. Quand ce
sont les axes gardés qui se suivent en mémoire, un fil fait seul son résultat : des fils voisins
lisent alors des places voisines.

Ordre de lecture : `arg_reduce_kernel`, `_make`, `_alone`.
"""

import math
from functools import cache, partial

import numpy as np

from engine.core.errors import ShapeError
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.combining import rule_for
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.elements import loaded
from engine.gpu.kernels.joining import blocks_for, group_lines, join_lines, lanes_for
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import (
    NARROW,
    WIDE,
    merged,
    numbers,
    place_lines,
    place_names,
    place_words,
    word_for,
)
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.tiers import choose
from engine.ops.reduce import REDUCTIONS, ArgReduce


@device_kernel(ArgReduce)
def arg_reduce_kernel(node):
    (x,), op = node.inputs, node.op
    if x.dtype == "uint64":
        fast = "les échanges entre fils n'ont pas d'entiers de 64 bits sans signe"
    else:
        fast = _fast(op, x)
    call = choose(fast=fast, readable=_alone(op, x))

    def checked(x):
        if math.prod(x.shape[a] for a in _reduced(op, x.ndim)) == 0:
            raise ShapeError(f"arg{op.which} d'un tableau vide", received=f"forme {x.shape}")
        result = empty([x.shape[a] for a in _kept(op, x.ndim)], "int64")
        return call(result, x) if result.size else result

    checked.tier = call.tier
    return checked


def _reduced(op, ndim):
    return list(range(ndim)) if op.axis is None else [op.axis]


def _kept(op, ndim):
    reduced = _reduced(op, ndim)
    return [axis for axis in range(ndim) if axis not in reduced]


def _fast(op, x):
    make = cache(partial(_make, op.which, str(x.dtype)))

    def call(result, x):
        if word_for(x.shape, x.strides) != NARROW:
            return None
        kept, reduced = (
            merged(*([row[a] for a in axes] for row in (x.shape, x.strides)))
            for axes in (_kept(op, x.ndim), _reduced(op, x.ndim))
        )
        n = math.prod(reduced[0])
        side_by_side = kept[0][-1] > 1 and abs(kept[1][-1]) < abs(reduced[1][-1])
        lanes = 1 if side_by_side and result.size >= machine().block else lanes_for(n)
        kernel = make(len(kept[0]), len(reduced[0]))
        kernel.launch(
            blocks_for(result.size, lanes), result, x,
            *map(np.uint32, (result.size, n, lanes)),
            *numbers(NARROW, kept[0] + reduced[0], kept[1] + reduced[1]),
        )  # fmt: skip
        return result

    return call


def _make(which, dtype, kept, reduced):
    """Le fil `lane` d’un groupe lit les éléments lane, lane + lanes, … de sa ligne."""
    rule = rule_for(REDUCTIONS[which], dtype, dtype)
    first, second = list(range(kept)), list(range(kept, kept + reduced))
    sign = ">" if which == "max" else "<"
    same = "other_best == best or (other_best != other_best and best != best)"
    lines = [
        *group_lines(),
        *place_lines("p", "row", first, 0, NARROW).splitlines(),
        f"best = {rule.start}",
        f"position = int32({2**31 - 1})",
        "j = lane",
        "while j < n:",
        *place_lines("q", "j", second, 4, NARROW).splitlines(),
        f"    item = {rule.item('x[p + q]', dtype)}",
        f"    if best == best and (item {sign} best or item != item or position == {2**31 - 1}):",
        "        best = item",
        "        position = int32(j)",
        "    j = uint32(j + lanes)",
        *join_lines(
            {"best": rule.wide, "position": "int32"},
            [
                f"wins = best == best and (other_best {sign} best or other_best != other_best)",
                f"if wins or (other_position < position and ({same})):",
                "    best = other_best",
                "    position = other_position",
            ],
        ),
        "if inside and lane == 0:",
        "    out[row] = int64(position)",
    ]
    names = ["out", "x", "m", "n", "lanes", *place_names(first + second)]
    body = f"def kernel({', '.join(names)}):\n" + "".join(f"    {line}\n" for line in lines)
    words = ("int64*", f"{dtype}*", *[NARROW] * 3, *place_words(NARROW, kept + reduced))
    return make_kernel(
        "argreduce", f"place du {which}, {dtype}", body, words, machine().reduction_block
    )


def _alone(op, x):
    """Le niveau lisible : un fil par résultat, en 64 bits et par les pas."""
    kept, axes = _kept(op, x.ndim), _reduced(op, x.ndim)
    sign = ">" if op.which == "max" else "<"
    item = f"int32({loaded('{}', x.dtype)})" if x.dtype == "bool" else loaded("{}", x.dtype)
    body = f"""def kernel({", ".join(["out", "x", "m", "n", *place_names(range(x.ndim))])}):
    i = cuda.grid(1)
    if i < m:
{place_lines("p", "i", kept, 8)}        best = {item.format("x[p]")}
        position = int64(0)
        j = int64(1)
        while j < n:
{place_lines("q", "j", axes, 12)}            item = {item.format("x[p + q]")}
            if best == best and (item {sign} best or item != item):
                best = item
                position = j
            j += 1
        out[i] = position
"""
    words = ("int64*", f"{x.dtype}*", NARROW, WIDE, *place_words(WIDE, x.ndim))
    compiled = make_kernel("argreduce", f"{op} : {x.dtype}", body, words)

    def call(result, x):
        n = math.prod(x.shape[a] for a in axes)
        compiled(
            result.size, result, x, np.uint32(result.size), np.int64(n),
            *numbers(WIDE, x.shape, x.strides),
        )  # fmt: skip
        return result

    return call
