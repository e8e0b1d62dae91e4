"""Softmax, son logarithme et leurs gradients, sur le dernier axe."""

import numpy as np
from numba import types

from engine.backends.numba.compiling import compile_kernel, contiguous, numba_dtype
from engine.backends.numba.recycling import recycler
from engine.backends.numba.threads import run_sliced
from engine.core.contract import perform_call
from engine.core.registry import kernel
from engine.ops.nnet import LogSoftmax, LogSoftmaxGrad, Softmax, SoftmaxGrad

MIN_SHARED = 1 << 17  # éléments par fil
_FLAGS = "'contract', 'reassoc'"

_SOFTMAX = {
    Softmax: """def kernel(z, out):
    for i in range(z.shape[0]):
        top = z[i, 0]
        for j in range(z.shape[1]):
            top = max(top, z[i, j])
        total = float64(0)
        for j in range(z.shape[1]):
            e = {exp}(z[i, j] - top)
            out[i, j] = e
            total += e
        scale = {dtype}(1 / total)
        for j in range(z.shape[1]):
            out[i, j] *= scale
""",
    LogSoftmax: """def kernel(z, out):
    for i in range(z.shape[0]):
        top = z[i, 0]
        for j in range(z.shape[1]):
            top = max(top, z[i, j])
        total = float64(0)
        for j in range(z.shape[1]):
            total += {exp}(z[i, j] - top)
        shift = {dtype}(math.log(total))
        for j in range(z.shape[1]):
            out[i, j] = (z[i, j] - top) - shift
""",
    SoftmaxGrad: """def kernel(g, p, out):
    for i in range(g.shape[0]):
        total = float64(0)
        for j in range(g.shape[1]):
            total += g[i, j] * p[i, j]
        mean = {dtype}(total)
        for j in range(g.shape[1]):
            out[i, j] = p[i, j] * (g[i, j] - mean)
""",
    LogSoftmaxGrad: """def kernel(g, p, out):
    for i in range(g.shape[0]):
        total = float64(0)
        for j in range(g.shape[1]):
            total += g[i, j]
        mean = {dtype}(total)
        for j in range(g.shape[1]):
            out[i, j] = g[i, j] - p[i, j] * mean
""",
}


def softmax_kernel(node, reuse):
    """La famille softmax, sur le dernier axe : le tableau est lu ligne par ligne."""
    (out,) = node.outputs
    if node.op.axis != -1 or any(v.dtype != out.dtype for v in node.inputs):
        return None
    exp = "exp32" if out.dtype == "float32" else "math.exp"
    body = _SOFTMAX[type(node.op)].format(exp=exp, dtype=out.dtype)
    rows = types.Array(numba_dtype(out.dtype), 2, "C", readonly=True)
    result_type = types.Array(numba_dtype(out.dtype), 2, "C")
    signature = (*[rows] * len(node.inputs), result_type)
    compiled = compile_kernel("softmax", str(node.op), body, signature, _FLAGS, nogil=True)
    take = recycler(out.type.numpy_dtype)
    slow, dtype, memory = perform_call(node), out.type.numpy_dtype, [np.empty(0, out.dtype)]

    def call(*inputs):
        shape = inputs[0].shape
        if inputs[0].size == 0 or inputs[-1].shape != shape:
            return slow(*inputs)
        if inputs[0].size >= 2 * MIN_SHARED:
            result = take(shape)
            arrays = [contiguous(x).reshape(-1, shape[-1]) for x in (*inputs, result)]
            run_sliced(compiled, arrays, [True] * len(arrays), MIN_SHARED)
            return result
        result = memory[0]
        if not reuse or result.shape != shape:
            result = memory[0] = np.empty(shape, dtype)
        if len(shape) == 2:
            compiled(*map(contiguous, inputs), result)
        else:
            compiled(
                *(contiguous(x).reshape(-1, shape[-1]) for x in inputs),
                result.reshape(-1, shape[-1]),
            )
        return result

    return call


for _class in _SOFTMAX:
    kernel(_class, "numba")(softmax_kernel)
