"""Softmax, son logarithme, leurs gradients et log Σ exp sur le GPU.

Une ligne est ce que l’axe parcourt, les autres indices fixés. Le niveau rapide fait les lignes qui
se suivent en mémoire : tenues dans les registres d’un warp ou d’un bloc, ou relues par le bloc si
elles sont longues (voir `rows`). Le niveau lisible est le softmax de la leçon 10 ; pour les autres
ops, et pour un axe quelconque, un bloc par ligne.

Ordre de lecture : `_ROWS`, `along_axis`, `_held`, `_long`, `_general`, puis `log_sum_exp_kernel`.
"""

import math
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from engine.core.dtypes import widened
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.joining import EACH
from engine.gpu.kernels.lessons import lesson_kernel
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import WIDE, numbers, place_lines, place_names, place_words
from engine.gpu.kernels.readable.softmaxes import softmax_rows
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.rows import (
    WORDS,
    body,
    each_held,
    fold,
    header,
    load,
    online,
    rows_for,
    sweep,
    write,
)
from engine.gpu.kernels.tiers import choose
from engine.gpu.kernels.views import contiguous
from engine.ops.nnet import LogSoftmax, LogSoftmaxGrad, LogSumExp, Softmax, SoftmaxGrad

KINDS = ("float32", "float64", "float16", "bfloat16")
_REACH = 2**31  # éléments au-delà desquels les places ne tiennent plus en 32 bits


class Row(NamedTuple):
    """Une op : ses tableaux, ce qu’elle réunit sur la ligne, et son résultat par élément.

    `maximum` : le maximum `top` et, de là, e = exp(z - top), viennent d’abord. `term` : ce dont
    `total` est la somme. `once` : un calcul par ligne.
    """

    arrays: str
    maximum: bool
    term: str
    once: tuple
    result: str


_ROWS = {
    Softmax: Row("z", True, "e", ("share = ONE / total",), "e * share"),
    LogSoftmax: Row("z", True, "e", ("shift = top + math.log(total)",), "z - shift"),
    SoftmaxGrad: Row("gp", False, "g * p", (), "p * (g - total)"),
    LogSoftmaxGrad: Row("gp", False, "g", (), "g - p * total"),
}
_EXPONENTIAL = "e = math.exp(z - top)"


def along_axis(node):
    """La fabrique des quatre ops de `_ROWS`."""
    dtype, axis, row = node.outputs[0].dtype, node.op.axis, _ROWS[type(node.op)]
    if any(v.dtype != dtype for v in node.inputs):
        return None
    fast = _fast(row, str(node.op), dtype) if axis == -1 else "les lignes ne se suivent pas"
    call = choose(fast=fast, readable=_readable(node, row, dtype, axis))

    def checked(*inputs):
        shape = inputs[0].shape
        if any(x.shape != shape for x in inputs):
            node.op.perform(node, [x.to_host() for x in inputs], [[None]])  # lève l’erreur
        out = empty(shape, dtype)
        return call(out, *map(contiguous, inputs)) if out.size else out

    checked.tier = call.tier
    return checked


for _op in _ROWS:
    device_kernel(_op)(along_axis)


# ---- le niveau rapide --------------------------------------------------------------------


def is_aligned(*arrays):
    """Dit si quatre éléments se lisent d’un accès depuis le début de ces tableaux."""
    return all(x.offset % EACH == 0 for x in arrays)


def _fast(row, name, dtype):
    make = cache(partial(_by_rows, row, name, dtype))

    def call(out, *inputs):
        if out.size >= _REACH:
            return None
        n = out.shape[-1]
        rows = rows_for(n, is_aligned(out, *inputs), dtype, len(inputs))
        rows.launch(make(rows.text), out.size // n, n, out, *inputs)
        return out

    return call


def _by_rows(row, name, dtype, rows):
    return (_held if rows.held else _long)(row, name, dtype, rows)


def _held(row, name, dtype, rows):
    """Le fil `lane` d’un groupe tient les éléments lane, lane + lanes, … de sa ligne."""
    lines = [f"ONE = {widened(dtype)}(1)", *header(dtype)]
    for array in row.arrays:
        lines += load(array, rows, dtype, "LOWEST" if row.maximum else "ZERO")
    if row.maximum:
        lines += ["top = LOWEST", *each_held(rows, "z", ["top = max(top, z)"])]
        lines += fold(["top"], dtype, {"top": "max"})
    lines += _sums_held(row, rows, dtype)
    lines += row.once
    result = row.result.replace("e *", "z *")  # l’exponentielle a pris la place de z
    lines += write("out", rows, dtype, row.arrays, result)
    return _make(row, name, dtype, lines)


def _sums_held(row, rows, dtype):
    terms = [f"total = total + {row.term}"]
    if row.maximum and "e *" in row.result:
        terms = ["z = math.exp(z - top)", "total = total + z"]
    elif row.maximum:
        terms = [_EXPONENTIAL, *terms]
    return ["total = ZERO", *each_held(rows, row.arrays, terms), *fold(["total"], dtype)]


def _long(row, name, dtype, rows):
    """Le bloc relit sa ligne : le fil t en fait les éléments t, t + BLOCK, …"""
    lines = [f"ONE = {widened(dtype)}(1)", *header(dtype)]
    if row.maximum:
        lines += online(rows, dtype, "z")
    else:
        terms = [f"total = total + {row.term}"]
        lines += ["total = ZERO", *sweep(rows, dtype, row.arrays, terms), *fold(["total"], dtype)]
    lines += row.once
    again = [_EXPONENTIAL] if "e *" in row.result else []
    lines += sweep(rows, dtype, row.arrays, again, "out", row.result)
    return _make(row, name, dtype, lines)


def _make(row, name, dtype, lines):
    words = (*[f"{dtype}*"] * (1 + len(row.arrays)), *WORDS)
    text = body(["out", *(f"{array}_" for array in row.arrays)], lines)
    doc = f"{name} par lignes : {dtype}"
    return make_kernel("softmax", doc, text, words, machine().reduction_block)


# ---- le niveau lisible -------------------------------------------------------------------


def _readable(node, row, dtype, axis):
    general = _general(node, row, dtype, axis)
    if not (isinstance(node.op, Softmax) and axis == -1 and dtype in ("float32", "float64")):
        return general
    block = machine().reduction_block
    lesson = lesson_kernel(softmax_rows, (f"{dtype}[:,:]",) * 2, block, THREADS=block)

    def call(out, z):
        if z.ndim != 2:
            return general(out, z)
        lesson.launch(len(z), block, out, z)
        return out

    return call


def _general(node, row, dtype, axis):
    """Un axe quelconque : un bloc par ligne, le fil t fait les éléments t, t + BLOCK, …"""
    block, real = machine().reduction_block, widened(dtype)
    folds = [("top", "LOWEST", "z", "max({a}, {b})")] if row.maximum else []
    folds += [("total", "ZERO", row.term, "{a} + {b}")]
    reads = [f"{name} = {loaded(f'{name}_[o]', dtype)}" for name in row.arrays]
    lines = [
        f"part = cuda.shared.array({block}, np.{real})",
        "t = cuda.threadIdx.x",
        "i = cuda.blockIdx.x",
        f"ZERO, ONE, LOWEST = {real}(0), {real}(1), {real}(-np.inf)",
        "start = (i // after) * n * after + i % after",
    ]

    def loop(*actions):
        found = [f"for k in range(t, n, {block}):", "    o = start + k * after"]
        return found + [f"    {action}" for action in [*reads, *actions]]

    for name, start, term, join in folds:
        exponential = [_EXPONENTIAL] if term == "e" else []
        lines += [
            f"{name} = {start}",
            *loop(*exponential, f"{name} = {join.format(a=name, b=term)}"),
            f"part[t] = {name}",
            "cuda.syncthreads()",
            f"half = {block // 2}",
            "while half > 0:",
            "    if t < half:",
            f"        part[t] = {join.format(a='part[t]', b='part[t + half]')}",
            "    cuda.syncthreads()",
            "    half //= 2",
            f"{name} = part[0]",
            "cuda.syncthreads()",
        ]
    lines += row.once
    again = [_EXPONENTIAL] if "e *" in row.result else []
    lines += loop(*again, f"out[o] = {stored(row.result, dtype)}")
    parameters = ", ".join(["out", *(f"{name}_" for name in row.arrays), "n", "after"])
    text = f"def kernel({parameters}):\n" + "".join(f"    {line}\n" for line in lines)
    signature = (*[f"{dtype}*"] * (1 + len(row.arrays)), WIDE, WIDE)
    compiled = make_kernel("softmax", f"{node.op} : {dtype}", text, signature, block)

    def call(out, *inputs):
        n, after = out.shape[axis], math.prod(out.shape[len(out.shape) + axis + 1 :])
        compiled.launch(out.size // n, out, *inputs, np.int64(n), np.int64(after))
        return out

    return call


# ---- log Σ exp ---------------------------------------------------------------------------


@device_kernel(LogSumExp)
def log_sum_exp_kernel(node):
    """Les derniers axes par lignes ; d’autres axes, un fil par résultat."""
    (z,), dtype, axes = node.inputs, node.outputs[0].dtype, node.op.axes
    last = axes == tuple(range(z.ndim - len(axes), z.ndim))
    fast = _log_sum_exp_rows(dtype, axes) if last else "les lignes ne se suivent pas"
    return choose(fast=fast, readable=_log_sum_exp_alone(node, dtype, axes))


_FINITE = ["if not (top > LOWEST and top < -LOWEST):", "    top = ZERO"]
_LOGARITHM = [
    "if total > ZERO:",
    "    result = math.log(total) + top",
    "else:",
    "    result = LOWEST if total == total else total",
]


def _log_sum_exp_rows(dtype, axes):
    make = cache(partial(_log_sum_exp_make, dtype))

    def call(z):
        if z.size >= _REACH or not z.size:
            return None
        n = math.prod(z.shape[len(z.shape) - len(axes) :])
        z, out = contiguous(z), empty(z.shape[: len(z.shape) - len(axes)], dtype)
        rows = rows_for(n, is_aligned(z), dtype)
        rows.launch(make(rows.text), out.size, n, out, z)
        return out

    return call


def _log_sum_exp_make(dtype, rows):
    if rows.held:
        lines = [*load("z", rows, dtype, "LOWEST"), "top = LOWEST"]
        lines += each_held(rows, "z", ["top = max(top, z)"])
        lines += [*fold(["top"], dtype, {"top": "max"}), *_FINITE, "total = ZERO"]
        lines += each_held(rows, "z", ["total = total + math.exp(z - top)"])
    else:
        lines = ["top = LOWEST", *sweep(rows, dtype, "z", ["top = max(top, z)"])]
        lines += [*fold(["top"], dtype, {"top": "max"}), *_FINITE, "total = ZERO"]
        lines += sweep(rows, dtype, "z", ["total = total + math.exp(z - top)"])
    lines = [*header(dtype), *lines, *fold(["total"], dtype), *_LOGARITHM]
    lines += ["if inside and lane == 0:", f"    out[row] = {stored('result', dtype)}"]
    return make_kernel("logsumexp", f"par lignes : {dtype}", body(["out", "z_"], lines),
                       (f"{dtype}*", f"{dtype}*", *WORDS), machine().reduction_block)  # fmt: skip


def _log_sum_exp_alone(node, dtype, axes):
    """Le niveau lisible : un fil par résultat, le maximum d’abord, puis la somme."""
    ndim, real = node.inputs[0].ndim, widened(dtype)
    kept = [axis for axis in range(ndim) if axis not in axes]
    item = loaded("x[p + q]", dtype)
    ends = "".join(f"        {line}\n" for line in _LOGARITHM)
    finite = "".join(f"        {line}\n" for line in _FINITE)
    text = f"""def kernel({", ".join(["out", "x", "m", "n", *place_names(range(ndim))])}):
    ZERO, LOWEST = {real}(0), {real}(-np.inf)
    i = cuda.grid(1)
    if i < m:
{place_lines("p", "i", kept, 8)}        top = LOWEST
        for j in range(n):
{place_lines("q", "j", axes, 12)}            item = {item}
            if item > top or item != item:
                top = item
{finite}        total = ZERO
        for j in range(n):
{place_lines("q", "j", axes, 12)}            total += math.exp({item} - top)
{ends}        out[i] = {stored("result", dtype)}
"""
    words = (f"{dtype}*", f"{dtype}*", WIDE, WIDE, *place_words(WIDE, ndim))
    compiled = make_kernel("logsumexp", f"{node.op} : {dtype}", text, words)

    def call(x):
        result = empty([x.shape[axis] for axis in kept], dtype)
        n = math.prod(x.shape[axis] for axis in axes)
        compiled(result.size, result, x, *map(np.int64, (result.size, n)),
                 *numbers(WIDE, x.shape, x.strides))  # fmt: skip
        return result

    return call
