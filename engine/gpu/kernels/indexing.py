"""L’indexation sur le GPU : des vues pour les tranches, un fil par élément pour les tableaux.

Un indice hors du tableau ne peut pas lever d’erreur depuis un noyau : le noyau le note dans un
drapeau, lu avant de rendre le résultat ; NumPy dit alors lequel.

Ordre de lecture : `subtensor_kernel`, `inc_subtensor_kernel` ; puis `selecting` et `moving`.
"""

import math

import numpy as np

from engine.core.dtypes import widened
from engine.core.errors import ShapeError
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.elements import stored
from engine.gpu.kernels.faults import Site
from engine.gpu.kernels.moving import gather, scatter, summed_as
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.selecting import array_entries, host_positions, select
from engine.gpu.kernels.writing import write_into
from engine.ops.index import IncSubtensor, Subtensor, join_index, out_of_bounds
from engine.ops.shape import ARange


@device_kernel(Subtensor, host=host_positions(1), when=lambda node: _all_have_axes(node, 1))
def subtensor_kernel(node):
    if "a" not in node.op.template:
        return lambda x, *values: _indexed(node, x, values)
    site = Site(node)
    return lambda x, *values: gather(select(node, x, values), site, x.shape)


def _can_write(node):
    adds_flags = not node.op.set_instead and node.inputs[0].dtype == "bool"
    return "a" not in node.op.template or (_all_have_axes(node, 2) and not adds_flags)


@device_kernel(IncSubtensor, host=host_positions(2), when=_can_write)
def inc_subtensor_kernel(node):
    x = node.inputs[0]
    if "a" not in node.op.template:
        return _write_slice(node)
    add = not node.op.set_instead
    site, total = Site(node), summed_as(x.dtype) if add else x.dtype
    distinct = all(entry.dtype == "bool" for entry in array_entries(node, 2))

    def call(x, y, *values):
        result = x.copy() if x.dtype == total else _converted(x, total)
        selection = select(node, result, values)
        _refuse_wider(y, selection.shape)
        if selection.count and y.size:
            scatter(selection, y, x.shape, site, add, distinct)
        return result if x.dtype == total else _converted(result, x.dtype)

    return call


def _converted(x, dtype):
    """x dans un autre dtype."""
    result = empty(x.shape, dtype)
    write_into(result, x)
    return result


def _all_have_axes(node, first):
    """Faux si un booléen seul, sans axe, est dans l’indice : c’est alors l’hôte qui calcule."""
    return all(entry.ndim for entry in array_entries(node, first) if entry.dtype == "bool")


def _write_slice(node):
    """x[tranches] = y, ou += y : une copie de x, dont la place est écrite."""
    add = not node.op.set_instead

    def call(x, y, *values):
        result = x.copy()
        place = _indexed(node, result, values)
        _refuse_wider(y, place.shape)
        write_into(place, y, add)
        return result

    return call


def _refuse_wider(y, region):
    missing = len(region) - y.ndim
    if any(n not in (1, region[missing + axis]) for axis, n in enumerate(y.shape)):
        raise ShapeError(
            "valeur qui ne tient pas à la place indexée",
            expected=str(tuple(region)), received=str(y.shape),
        )  # fmt: skip


@device_kernel(ARange, host=lambda node: (0, 1, 2))
def arange_kernel(node):
    """Un fil, un élément : le premier, plus autant de fois l’écart des deux premiers."""
    dtype = node.outputs[0].dtype
    kind = widened(dtype)
    body = (
        "def kernel(out, first, step, n):\n    i = cuda.grid(1)\n    if i < n:\n"
        f"        out[i] = {stored(f'{kind}(first + {kind}(i) * step)', dtype)}\n"
    )
    signature = (f"{dtype}[::1]", kind, kind, "int64")
    compiled = make_kernel("arange", f"arange, {dtype}", body, signature)
    number = np.dtype(kind).type

    def call(start, stop, step):
        start, stop, step = (value.item() for value in (start, stop, step))
        out = empty((max(math.ceil((stop - start) / step), 0),), dtype)
        first, second = np.array([start, start + step]).astype(dtype).astype(kind)
        compiled(out.size, out, first, number(second - first), np.int64(out.size))
        return out

    return call


def _indexed(node, x, values):
    index = join_index(node.op.template, values)
    try:
        return x[index]
    except IndexError as error:
        raise out_of_bounds(x, index, error) from error
