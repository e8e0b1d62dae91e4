"""Softmax, son logarithme et leurs gradients sur le GPU : un bloc par ligne.

Une ligne est ce que l’axe parcourt, les autres indices fixés. Chaque fil s’occupe des éléments
t, t + BLOCK, … ; deux réductions en mémoire partagée donnent le maximum et la somme (une seule
pour les gradients).

Ordre de lecture : `_ROWS`, `_along_axis`.
"""

import math

import numpy as np

from engine.backends.cuda.arrays import empty
from engine.backends.cuda.compiling import make_kernel
from engine.backends.cuda.machines import machine
from engine.backends.cuda.registry import device_kernel
from engine.backends.cuda.views import contiguous
from engine.ops.nnet import LogSoftmax, LogSoftmaxGrad, Softmax, SoftmaxGrad

# op -> (tableaux lus, passes : (nom, départ, terme, réunion), résultat)
_ROWS = {
    Softmax: (
        "z",
        [("top", "LOWEST", "z[o]", "max({a}, {b})"),
         ("total", "ZERO", "math.exp(z[o] - top)", "{a} + {b}")],
        "math.exp(z[o] - top) / total",
    ),
    LogSoftmax: (
        "z",
        [("top", "LOWEST", "z[o]", "max({a}, {b})"),
         ("total", "ZERO", "math.exp(z[o] - top)", "{a} + {b}")],
        "z[o] - top - math.log(total)",
    ),
    SoftmaxGrad: ("gp", [("total", "ZERO", "g[o] * p[o]", "{a} + {b}")], "p[o] * (g[o] - total)"),
    LogSoftmaxGrad: ("gp", [("total", "ZERO", "g[o]", "{a} + {b}")], "g[o] - p[o] * total"),
}  # fmt: skip


def _along_axis(node):
    dtype, axis = node.outputs[0].dtype, node.op.axis
    if dtype not in ("float32", "float64"):
        return None
    names, passes, result = _ROWS[type(node.op)]
    block = machine().reduction_block
    lines = [
        f"part = cuda.shared.array({block}, np.{dtype})",
        "t = cuda.threadIdx.x",
        "i = cuda.blockIdx.x",
        f"ZERO = {dtype}(0.0)",
        f"LOWEST = {dtype}(-np.inf)",
        "start = (i // after) * n * after + i % after",
    ]
    for name, first, term, join in passes:
        lines += [
            f"{name} = {first}",
            f"for k in range(t, n, {block}):",
            "    o = start + k * after",
            f"    {name} = {join.format(a=name, b=term)}",
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
    lines += [
        f"for k in range(t, n, {block}):",
        "    o = start + k * after",
        f"    out[o] = {result}",
    ]
    parameters = ", ".join(["out", *names, "n", "after"])
    body = f"def kernel({parameters}):\n" + "".join(f"    {line}\n" for line in lines)
    signature = (*[f"{dtype}*"] * (1 + len(names)), "int64", "int64")
    compiled = make_kernel("softmax", f"{node.op} : {dtype}", body, signature, block)

    def call(*inputs):
        shape = inputs[0].shape
        if any(x.shape != shape for x in inputs):
            node.op.perform(node, [x.to_host() for x in inputs], [[None]])  # lève l’erreur
        n, after = shape[axis], math.prod(shape[len(shape) + axis + 1 :])
        out = empty(shape, dtype)
        rows = out.size // n if n else 0
        if rows:
            arrays = map(contiguous, inputs)
            compiled.launch(rows, out, *arrays, np.int64(n), np.int64(after))
        return out

    return call


for _op in _ROWS:
    device_kernel(_op)(_along_axis)
