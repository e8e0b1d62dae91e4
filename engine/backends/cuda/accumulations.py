"""Les cumuls, les sommes qui rendent une forme, sur le GPU.

Ordre de lecture : une fabrique par op.
"""

import numpy as np

from engine.backends.cuda.arrays import empty
from engine.backends.cuda.compiling import make_kernel
from engine.backends.cuda.positions import place_lines
from engine.backends.cuda.reductions import reduce_kernel
from engine.backends.cuda.registry import device_kernel
from engine.backends.cuda.views import contiguous, copied
from engine.backends.cuda.writing import spread
from engine.ops.elemwise import SumTo
from engine.ops.extra import Cumulate
from engine.ops.nnet import LogSumExp
from engine.ops.reduce import REDUCTIONS, Reduce

_REAL = ("float32", "float64")


@device_kernel(Cumulate)
def cumulate_kernel(node):
    """Un fil, une ligne ; les sommes float32 sont compensées (Kahan), sans calcul en double."""
    (x,), (out,), axis = node.inputs, node.outputs, node.op.axis
    if "float16" in (x.dtype, out.dtype):
        return None
    compensated = node.op.which == "sum" and out.dtype in _REAL
    step = (
        "y = item - lost\n            s = total + y\n            lost = (s - total) - y\n"
        "            total = s"
        if compensated
        else f"total = {out.dtype}(total {'+' if node.op.which == 'sum' else '*'} item)"
    )
    body = f"""def kernel(out, x, m, n, after):
    i = cuda.grid(1)
    if i < m:
        o = (i // after) * n * after + i % after
        total = {out.dtype}({0 if node.op.which == "sum" else 1})
        lost = {out.dtype}(0)
        for k in range(n):
            item = {out.dtype}(x[o])
            {step}
            out[o] = total
            o += after
"""
    signature = (f"{out.dtype}*", f"{x.dtype}*", "int64", "int64", "int64")
    compiled = make_kernel("cumulate", f"{node.op} : {x.dtype}", body, signature)

    def call(x):
        result = empty(x.shape, out.dtype)
        n, after = x.shape[axis], int(np.prod(x.shape[axis + 1 :], dtype="int64"))
        rows = result.size // n if n else 0
        compiled(rows, result, contiguous(x), *map(np.int64, (rows, n, max(after, 1))))
        return result

    return call


@device_kernel(LogSumExp)
def log_sum_exp_kernel(node):
    """Un fil, un résultat : le maximum d’abord, puis la somme des exponentielles."""
    (z,), dtype, axes = node.inputs, node.outputs[0].dtype, node.op.axes
    if dtype not in _REAL:
        return None
    kept = [axis for axis in range(z.ndim) if axis not in axes]
    names = [f"{kind}{axis}" for group in (kept, axes) for kind in "ds" for axis in group]
    body = f"""def kernel({", ".join(["out", "x", "m", "n", *names])}):
    i = cuda.grid(1)
    if i < m:
{place_lines("p", "i", kept, 8)}        top = {dtype}(-np.inf)
        for j in range(n):
{place_lines("q", "j", axes, 12)}            item = x[p + q]
            if item > top or item != item:
                top = item
        if not math.isfinite(top):
            top = {dtype}(0)
        total = {dtype}(0)
        for j in range(n):
{place_lines("q", "j", axes, 12)}            total += math.exp(x[p + q] - top)
        if total > {dtype}(0):
            out[i] = math.log(total) + top
        else:
            out[i] = {dtype}(-np.inf) if total == total else total
"""
    signature = (f"{dtype}*", f"{z.dtype}*", "uint32", "int64", *["int64"] * len(names))
    compiled = make_kernel("logsumexp", f"{node.op} : {dtype}", body, signature)

    def call(x):
        result = empty([x.shape[axis] for axis in kept], dtype)
        n = int(np.prod([x.shape[axis] for axis in axes], dtype="int64"))
        lengths = [row[a] for group in (kept, axes) for row in (x.shape, x.strides) for a in group]
        compiled(
            result.size, result, x, np.uint32(result.size), np.int64(n), *map(np.int64, lengths)
        )
        return result

    return call


@device_kernel(SumTo, host=lambda node: (1,))
def sum_to_kernel(node):
    x = node.inputs[0]
    if x.dtype not in _REAL:
        return None
    ranks = range(x.ndim)

    def call(x, shape):
        shape = tuple(shape.tolist())
        axes = tuple(a for a in ranks if shape[a] == 1 != x.shape[a])
        if axes:
            total = reduce_kernel(Reduce(REDUCTIONS["sum"], axes).make_node(node.inputs[0]))
            x = total(x).reshape([1 if a in axes else n for a, n in enumerate(x.shape)])
        return x if x.shape == shape else copied(spread(x, shape))

    return call
