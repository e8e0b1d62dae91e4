"""L’indexation par des vecteurs d’entiers, un par axe : lire, poser, accumuler.

Un indice hors du tableau fait retomber sur NumPy, qui dira lequel.
"""

import numpy as np
from numba import types

from engine.backends.calls import perform_call
from engine.backends.numba.compiling import array_type, compile_kernel, contiguous, numba_dtype
from engine.backends.registry import kernel
from engine.ops.index import IncSubtensor, Subtensor


def _gathers(node, first):
    """Vrai pour x[a, b, ...] : un vecteur d’entiers par axe."""
    x, indices = node.inputs[0], node.inputs[first:]
    return (
        len(indices) == x.ndim
        and all(item == "a" for item in node.op.template)
        and all(entry.ndim == 1 and entry.dtype in ("int32", "int64") for entry in indices)
    )


def _index_loop(node, n_axes, action, head):
    names = [f"a{axis}" for axis in range(n_axes)]
    checks = "".join(
        f"        j{axis} = {name}[i] + x.shape[{axis}] * ({name}[i] < 0)\n"
        f"        if j{axis} < 0 or j{axis} >= x.shape[{axis}]:\n            return False\n"
        for axis, name in enumerate(names)
    )
    place = ", ".join(f"j{axis}" for axis in range(n_axes))
    return f"""def kernel({head}, {", ".join(names)}):
    for i in range(a0.size):
{checks}        {action.format(place=place)}
    return True
"""


@kernel(Subtensor, "numba")
def gather_kernel(node, reuse):
    if not _gathers(node, 1):
        return None
    x, *indices = node.inputs
    (out,) = node.outputs
    body = _index_loop(node, x.ndim, "out[i] = x[{place}]", "x, out")
    signature = (array_type(x), array_type(out, readonly=False), *map(array_type, indices))
    compiled = compile_kernel("gather", str(node.op), body, signature)
    slow, dtype, memory = perform_call(node), out.type.numpy_dtype, [np.empty(0, out.dtype)]

    def call(x, *indices):
        shape = indices[0].shape
        if any(index.shape != shape for index in indices):
            return slow(x, *indices)
        result = memory[0]
        if not reuse or result.shape != shape:
            result = memory[0] = np.empty(shape, dtype)
        if not compiled(contiguous(x), result, *map(contiguous, indices)):
            return slow(x, *indices)  # un indice hors du tableau : NumPy dira lequel
        return result

    return call


@kernel(IncSubtensor, "numba")
def scatter_kernel(node, reuse):
    if _adds_rows(node):
        return _row_scatter(node)
    if (
        not _gathers(node, 2)
        or node.inputs[1].ndim > 1
        or node.inputs[1].dtype != node.outputs[0].dtype
    ):
        return None
    x, y, *indices = node.inputs
    value = "y[i]" if y.ndim else "y[()]"
    action = f"x[{{place}}] {'=' if node.op.set_instead else '+='} {value}"
    body = _index_loop(node, x.ndim, action, "x, y")
    signature = (array_type(x, readonly=False), array_type(y), *map(array_type, indices))
    compiled = compile_kernel("scatter", str(node.op), body, signature)
    slow, inplace = perform_call(node), node.op.inplace

    def call(x, y, *indices):
        shape = indices[0].shape
        if any(index.shape != shape for index in indices) or y.shape not in ((), shape):
            return slow(x, y, *indices)
        result = x if inplace and x.flags.c_contiguous else np.array(x, order="C")
        before = None if inplace else x
        if not compiled(result, contiguous(y), *map(contiguous, indices)):
            return slow(x if before is None else before, y, *indices)
        return result

    return call


def _adds_rows(node):
    """Vrai pour x[a] += y : des lignes entières, à des rangs entiers."""
    if node.op.template != ("a",) or node.op.set_instead or node.inputs[0].ndim < 2:
        return False
    x, y, index = node.inputs
    return (
        index.dtype in ("int32", "int64")
        and index.ndim > 0
        and y.ndim == index.ndim + x.ndim - 1
        and y.dtype == x.dtype != "float16"
    )


_ROWS = """def kernel(x, y, a):
    width = x.shape[1]
    for i in range(a.size):
        j = a[i] + x.shape[0] * (a[i] < 0)
        if j < 0 or j >= x.shape[0]:
            return False
        for k in range(width):
            x[j, k] += y[i, k]
    return True
"""


def _row_scatter(node):
    x, _, index = node.inputs
    flat = types.Array(numba_dtype(x.dtype), 2, "C")
    signature = (
        flat,
        flat.copy(readonly=True),
        types.Array(numba_dtype(index.dtype), 1, "C", readonly=True),
    )
    compiled = compile_kernel("scatter_rows", str(node.op), _ROWS, signature)
    slow, inplace = perform_call(node), node.op.inplace

    def call(x, y, index):
        if y.shape != index.shape + x.shape[1:]:
            return slow(x, y, index)
        result = x if inplace and x.flags.c_contiguous else np.array(x, order="C")
        width = int(np.prod(x.shape[1:]))
        rows = (result.reshape(len(x), width), contiguous(y).reshape(index.size, width))
        if not compiled(*rows, contiguous(index).reshape(index.size)):
            return slow(x, y, index)  # un indice hors du tableau : NumPy dira lequel
        return result

    return call
