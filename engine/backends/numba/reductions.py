"""Les réductions : le tableau est vu comme (avant, réduit, après)."""

import ast
import re

import numpy as np
from numba import types

from engine.backends.numba.compiling import (
    compile_kernel,
    contiguous,
    numba_dtype,
)
from engine.backends.scalar_text import convert, literal
from engine.core.contract import perform_call
from engine.core.registry import kernel
from engine.ops.reduce import Reduce


@kernel(Reduce, "numba")
def reduce_kernel(node, reuse):
    (x,), (out,), axes = node.inputs, node.outputs, node.op.axes
    contiguous_axes = axes == tuple(range(axes[0], axes[0] + len(axes))) if axes else False
    if not contiguous_axes:
        return None
    reduction = node.op.reduction
    last = axes[-1] == x.ndim - 1
    wide = "float64" if out.dtype == "float32" and reduction.name in ("sum", "prod") else out.dtype
    first = reduction.start == "first"
    start = "{item}" if first else literal(ast.literal_eval(reduction.start), wide)
    code = re.sub(r"\ba\b", "{acc}", re.sub(r"\bx\b", "{item}", reduction.code))
    update = convert(f"({code})", None, wide)
    if last:
        item = convert("x[i, j]", x.dtype, wide)
        begin = start.format(item=convert("x[i, 0]", x.dtype, wide))
        body = f"""def kernel(x, out):
    for i in range(x.shape[0]):
        acc = {begin}
        for j in range(x.shape[1]):
            acc = {update.format(acc="acc", item=item)}
        out[i] = {convert("acc", wide, out.dtype)}
"""
    else:
        item = convert("x[i, j, k]", x.dtype, wide)
        begin = start.format(item=convert("x[i, 0, k]", x.dtype, wide))
        body = f"""def kernel(x, out):
    acc = np.empty(x.shape[2], np.{"bool_" if wide == "bool" else wide})
    for i in range(x.shape[0]):
        for k in range(x.shape[2]):
            acc[k] = {begin}
        for j in range(x.shape[1]):
            for k in range(x.shape[2]):
                acc[k] = {update.format(acc="acc[k]", item=item)}
        for k in range(x.shape[2]):
            out[i, k] = {convert("acc[k]", wide, out.dtype)}
"""
    view = types.Array(numba_dtype(x.dtype), 2 if last else 3, "C", readonly=True)
    result = types.Array(numba_dtype(out.dtype), 1 if last else 2, "C")
    compiled = compile_kernel(
        "reduce", f"{node.op} : {x.dtype}", body, (view, result), "'contract', 'reassoc'"
    )
    slow, dtype, memory = perform_call(node), out.type.numpy_dtype, [np.empty(0, out.dtype)]
    before, after = axes[0], axes[-1] + 1

    def call(x):
        shape = x.shape
        outer, inner = shape[:before], shape[after:]
        if x.size == 0:
            return slow(x)
        x = contiguous(x)
        result = memory[0]
        if not reuse or result.shape != outer + inner:
            result = memory[0] = np.empty(outer + inner, dtype)
        n_outer = int(np.prod(outer)) if outer else 1
        if last:
            compiled(x.reshape(n_outer, -1), result.reshape(n_outer))
        else:
            n_inner = int(np.prod(inner))
            compiled(x.reshape(n_outer, -1, n_inner), result.reshape(n_outer, n_inner))
        return result

    return call
