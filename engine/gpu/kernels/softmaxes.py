"""Softmax, son logarithme, leurs gradients et log Σ exp sur le GPU : des lignes (voir `rows`).

Le softmax des lignes d’une matrice est celui de la leçon 10.

Ordre de lecture : `_rows`, `along_axis`, puis `log_sum_exp_kernel`.
"""

from functools import cache

from engine.core.dtypes import HALVES, widened
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.lessons import lesson_kernel
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.readable.softmaxes import softmax_rows
from engine.gpu.kernels.registry import choose, device_kernel
from engine.gpu.kernels.rows import Fold, Rows, run, sums
from engine.gpu.kernels.views import contiguous
from engine.ops.nnet import LogSoftmax, LogSoftmaxGrad, LogSumExp, Softmax, SoftmaxGrad

KINDS = ("float32", "float64", *HALVES)
_ROWS = {  # tableaux lus, terme de la somme, calcul par ligne, résultat par élément
    Softmax: ("z", "math.exp(z - top)", (), "math.exp(z - top) / total"),
    LogSoftmax: ("z", "math.exp(z - top)", ("total = top + math.log(total)",), "z - total"),
    SoftmaxGrad: ("gp", "g * p", (), "p * (g - total)"),
    LogSoftmaxGrad: ("gp", "g", (), "g - p * total"),
}


def highest(dtype):
    """Le repli qui garde le plus grand élément de z, `top`."""
    held = (("top", widened(dtype), "-math.inf"),)
    return Fold(held, ("top = max(top, z)",), ("top = max(top, other_top)",))


@cache
def _rows(op_class, doc, dtype):
    arrays, term, once, result = _ROWS[op_class]
    folds = (highest(dtype),) if "top" in term else ()
    folds += (sums(total=(dtype, term)),)
    ins = tuple((name, dtype) for name in arrays)
    return Rows("softmax", doc, ins, folds, once, writes=(("out", dtype, result),))


def along_axis(node):
    """La fabrique des quatre ops de `_ROWS`."""
    op, dtype = node.op, node.outputs[0].dtype
    rows = _rows(type(op), f"{op} : {dtype}", dtype)

    def general(out, *inputs):
        run(rows, [op.axis % out.ndim], [], [out], inputs)
        return out

    call = choose(_lesson(op, dtype, general))

    def checked(*inputs):
        shape = inputs[0].shape
        if any(x.shape != shape for x in inputs):
            op.perform(node, [x.to_host() for x in inputs], [[None]])  # lève l’erreur
        out = empty(shape, dtype)
        return call(out, *inputs) if out.size else out

    checked.tier = call.tier
    return checked


def _same_dtype(node):
    return {v.dtype for v in node.inputs} == {node.outputs[0].dtype}


for _op in _ROWS:
    device_kernel(_op, when=_same_dtype)(along_axis)


def _lesson(op, dtype, general):
    """Le noyau de la leçon pour les lignes d’une matrice, `general` pour le reste."""
    if not (isinstance(op, Softmax) and op.axis == -1 and dtype in ("float32", "float64")):
        return general
    block = machine().reduction_block
    kernel = lesson_kernel(softmax_rows, (f"{dtype}[:,:]",) * 2, block, THREADS=block)

    def call(out, z):
        if z.ndim != 2:
            return general(out, z)
        kernel.launch(len(z), block, out, z)
        return out

    return call


@device_kernel(LogSumExp)
def log_sum_exp_kernel(node):
    """Un maximum infini ne se retranche pas : la somme des exp est alors 0, ou infinie."""
    op, dtype = node.op, node.outputs[0].dtype
    rows = _log_sum_exp(dtype)

    def call(z):
        kept = [length for axis, length in enumerate(z.shape) if axis not in op.axes]
        result = empty(kept, dtype)
        if result.size:
            run(rows, op.axes, [result], [], [contiguous(z)])
        return result

    return call


@cache
def _log_sum_exp(dtype):
    real = widened(dtype)
    finite = f"(top if abs(top) < {real}(math.inf) else {real}(0))"
    once = (
        f"if total > {real}(0):",
        f"    total = math.log(total) + {finite}",
        "elif total == total:",
        f"    total = {real}(-math.inf)",
    )
    folds = highest(dtype), sums(total=(dtype, f"math.exp(z - {finite})"))
    result = (("out", dtype, "total"),)
    return Rows("logsumexp", f"log Σ exp, {dtype}", (("z", dtype),), folds, once, result)
