"""L’indexation par des vecteurs d’entiers, un par axe : lire, poser, accumuler.

Un indice hors du tableau fait retomber sur NumPy, qui dira lequel.
"""

import numpy as np
from numba import types

from engine.backends.numba.compiling import array_type, compile_kernel, contiguous, numba_dtype
from engine.backends.numba.threads import run_parts, slices
from engine.core.contract import perform_call
from engine.core.registry import kernel
from engine.ops.index import IncSubtensor, Subtensor

MIN_SHARED = 1 << 17  # nombres déplacés par un fil, au moins


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
    x, *indices = node.inputs
    (out,) = node.outputs
    if _takes_rows(node, indices):
        return _row_gather(node, reuse)
    if not _gathers(node, 1):
        return None
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


# ---- des lignes entières ---------------------------------------------------------------------


def _takes_rows(node, indices):
    """Vrai pour x[a] : des lignes entières, à des rangs entiers."""
    return (
        node.op.template == ("a",)
        and node.inputs[0].ndim > 1
        and indices[0].dtype in ("int32", "int64")
        and indices[0].ndim > 0
    )


def _adds_rows(node):
    """Vrai pour x[a] += y, par lignes entières."""
    x, y, *indices = node.inputs
    return (
        not node.op.set_instead
        and _takes_rows(node, indices)
        and y.ndim == indices[0].ndim + x.ndim - 1
        and y.dtype == x.dtype
    )


_PLACE = "j = a[i] + x.shape[0] * (a[i] < 0)"
_READ = f"""def kernel(x, y, a, first, last):
    for i in range(first, last):
        {_PLACE}
        for k in range(x.shape[1]):
            y[i, k] = x[j, k]
"""
_ADD = f"""def kernel(x, y, a, first, last):
    for i in range(first, last):
        {_PLACE}
        for k in range(x.shape[1]):
            x[j, k] += y[i, k]
"""


def _row_kernel(node, name, text):
    """Le noyau ; x est la table, y les lignes, a leurs rangs."""
    dtype, positions = numba_dtype(node.outputs[0].dtype), numba_dtype(node.inputs[-1].dtype)
    x, y = (types.Array(dtype, 2, "C", readonly=array == name) for array in "xy")
    a = types.Array(positions, 1, "C", readonly=True)
    signature = (x, y, a, types.int64, types.int64)
    family = "gather_rows" if name == "x" else "scatter_rows"
    return compile_kernel(family, str(node.op), text, signature, nogil=True)


def inside(x, index):
    """Dit si tous ces rangs sont ceux de lignes de x."""
    return not index.size or (index.min() >= -len(x) and index.max() < len(x))


def _row_gather(node, reuse):
    compiled = _row_kernel(node, "x", _READ)
    slow, memory = perform_call(node), [np.empty(0, node.outputs[0].dtype)]

    def call(x, index):
        if not inside(x, index):
            return slow(x, index)  # NumPy dira lequel est hors du tableau
        shape, result = index.shape + x.shape[1:], memory[0]
        if not reuse or result.shape != shape:
            result = memory[0] = np.empty(shape, x.dtype)
        if result.size:
            positions, width = contiguous(index).reshape(-1), result.size // index.size
            arrays = contiguous(x).reshape(len(x), width), result.reshape(-1, width), positions
            parts = slices(index.size, MIN_SHARED // width + 1)
            run_parts(compiled, [(*arrays, *part) for part in parts])
        return result

    return call


def _row_scatter(node):
    compiled = _row_kernel(node, "y", _ADD)
    slow, inplace = perform_call(node), node.op.inplace

    def call(x, y, index):
        if y.shape != index.shape + x.shape[1:] or not inside(x, index):
            return slow(x, y, index)
        result = x if inplace and x.flags.c_contiguous else np.array(x, order="C")
        if y.size:
            positions, width = contiguous(index).reshape(-1), y.size // index.size
            arrays = result.reshape(len(x), width), contiguous(y).reshape(-1, width), positions
            compiled(*arrays, 0, index.size)  # deux lignes de y peuvent aller à la même de x
        return result

    return call
