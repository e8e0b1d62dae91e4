"""Les réductions sur le GPU, et la place d’un extrême : des lignes que l’on replie (voir `rows`).

Les sommes de float16 s’accumulent en float32. La place d’un extrême est un couple (valeur, rang) :
à égalité, le plus petit rang ; un NaN l’emporte sur tout, comme dans NumPy. La somme d’un tableau
entier est celle de la leçon 10.

Ordre de lecture : `reduce_kernel`, `arg_reduce_kernel`.
"""

import ast
import math
import re
from functools import cache
from typing import NamedTuple

import numpy as np

from engine.backends.scalar_text import literal
from engine.core.dtypes import HALVES, widened
from engine.core.errors import ShapeError
from engine.core.types import FLOATS
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.elements import loaded
from engine.gpu.kernels.lessons import lesson_kernel
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.readable.reductions import block_sums
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.rows import Fold, Rows, parts_of, run
from engine.gpu.kernels.writing import spread
from engine.ops.reduce import REDUCTIONS, ArgReduce, Reduce
from engine.ops.sum_to import SumTo


@device_kernel(Reduce)
def reduce_kernel(node):
    (x,), (out,), op = node.inputs, node.outputs, node.op
    rule = rule_for(op.reduction, x.dtype, out.dtype)
    whole = op.reduction.name == "sum" and len(op.axes) == x.ndim > 0
    lesson = _whole_sum(x.dtype) if whole and x.dtype == out.dtype in _LESSON else None

    def call(x):
        if op.reduction.start == "first" and any(x.shape[axis] == 0 for axis in op.axes):
            raise ShapeError(f"{op.reduction} d'un tableau vide", received=f"forme {x.shape}")
        if lesson and x.size and x.is_contiguous:
            return lesson(x)
        shape = _kept(x, op.axes)
        result = empty(shape, out.dtype)
        if not result.size:
            return result
        # l’ordre des axes réduits est libre : le plus serré d’abord en mémoire
        axes = sorted(op.axes, key=lambda axis: -abs(x.strides[axis]))
        parts = parts_of(result.size, math.prod(x.shape[axis] for axis in axes))
        if parts:
            halfway = empty((*shape, parts), rule.wide)
            run(_reduction(rule, str(x.dtype), rule.wide), axes, [halfway], [], [x], split=parts)
            x, axes = halfway, [len(shape)]
        run(_reduction(rule, str(x.dtype), out.dtype), axes, [result], [], [x])
        return result

    return call


_LESSON = ("float32", "float64")


def _kept(x, axes):
    return [length for axis, length in enumerate(x.shape) if axis not in axes]


@cache
def _reduction(rule, source, target):
    fold = Fold(
        (("acc", rule.wide, rule.start),),
        (
            f"item = {rule.item('x', widened(source))}",
            f"acc = {rule.join.format(a='acc', b='item')}",
        ),
        (f"acc = {rule.join.format(a='acc', b='other_acc')}",),
    )
    result = "acc != 0" if target == "bool" else "acc"
    doc = f"{rule.join.format(a='a', b='b')}, {source} vers {target}"
    return Rows("reduce", doc, (("x", source),), (fold,), results=(("out", target, result),))


def _whole_sum(dtype):
    """La somme d’un tableau, par le noyau de la leçon : des sommes de blocs, puis la leur."""
    block = machine().reduction_block
    sums = lesson_kernel(block_sums, (f"{dtype}[:]",) * 2, block, THREADS=block)

    def call(x):
        values = x.reshape((x.size,))
        while values.size > 1 or values.buffer is x.buffer:
            blocks = min(-(-values.size // block), 4 * machine().multiprocessors, block)
            result = empty((blocks,), dtype)
            sums.launch(blocks, block, result, values)
            values = result
        return values.reshape(())

    return call


@device_kernel(
    SumTo,
    host=lambda node: (1,),
    when=lambda node: node.inputs[0].dtype in FLOATS,  # une somme d’entiers change de dtype
)
def sum_to_kernel(node):
    """La somme des axes étirés, quand il y en a."""
    entry = node.inputs[0]
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


@device_kernel(ArgReduce)
def arg_reduce_kernel(node):
    (x,), op = node.inputs, node.op
    rows = _place(op.which, str(x.dtype))

    def call(x):
        axes = list(range(x.ndim)) if op.axis is None else [op.axis]
        if math.prod(x.shape[a] for a in axes) == 0:
            raise ShapeError(f"arg{op.which} d'un tableau vide", received=f"forme {x.shape}")
        result = empty(_kept(x, axes), "int64")
        if result.size:
            run(rows, axes, [result], [], [x])
        return result

    return call


@cache
def _place(which, dtype):
    """Un couple (valeur, rang) par fil ; un rang négatif : ce fil n’a rien lu."""
    rule, sign = rule_for(REDUCTIONS[which], dtype, dtype), ">" if which == "max" else "<"
    held = (("best", rule.wide, rule.start), ("position", "int64", "-1"))
    each = (
        f"item = {rule.item('x', widened(dtype))}",
        f"if position < 0 or (best == best and (item {sign} best or item != item)):",
        "    best, position = item, int64(j)",
    )
    same = "other_best == best or (other_best != other_best and best != best)"
    join = (
        f"wins = best == best and (other_best {sign} best or other_best != other_best)",
        f"wins = wins or (other_position < position and ({same}))",
        "if other_position >= 0 and (position < 0 or wins):",
        "    best, position = other_best, other_position",
    )
    fold, result = Fold(held, each, join), (("out", "int64", "position"),)
    return Rows("argreduce", f"place du {which}, {dtype}", (("x", dtype),), (fold,), (), result)


# ---- comment s’accumule une réduction ------------------------------------------------------------

_SMALL = ("bool", "int8", "uint8", "int16", "uint16")  # s’accumulent en int32


class Rule(NamedTuple):
    """Comment une réduction s’accumule : le dtype, le départ, la réunion de `{a}` et `{b}`.

    `truth` : d’un élément, seul compte qu’il soit nul ou non.
    """

    wide: str
    start: str
    join: str
    truth: bool = False

    def item(self, text, dtype):
        """Le texte d’un élément de ce dtype, prêt à s’accumuler."""
        value = loaded(text, dtype)
        if self.truth:
            return f"{self.wide}({value} != 0)"
        return value if dtype in (self.wide, *HALVES) else f"{self.wide}({value})"


def rule_for(reduction, x, out):
    """La règle d’une réduction, d’un tableau de dtype `x` vers un autre de dtype `out`."""
    if reduction.name in ("all", "any"):  # le minimum, ou le maximum, de zéros et de uns
        like = REDUCTIONS["min" if reduction.name == "all" else "max"]
        return Rule("int32", f"int32({int(reduction.name == 'all')})", _join(like), True)
    wide = out
    if out in HALVES:
        wide = "float32"
    elif reduction.start == "first":
        wide = "int32" if x in _SMALL else "int64" if x == "uint32" else x
    if reduction.start != "first":
        start = literal(ast.literal_eval(reduction.start), wide)
    elif wide in FLOATS:
        start = literal(-math.inf if reduction.name == "max" else math.inf, wide)
    else:
        bounds = np.iinfo(wide)
        start = f"{wide}({bounds.min if reduction.name == 'max' else bounds.max})"
    return Rule(wide, start, _join(reduction))


def _join(reduction):
    return re.sub(r"\ba\b", "{a}", re.sub(r"\bx\b", "{b}", reduction.code))
