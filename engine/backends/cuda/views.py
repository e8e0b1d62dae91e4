"""Ce qui ne calcule rien : changer de forme, d’axes, prendre une tranche ; et remplir.

Les vues ne copient pas : elles changent la forme et les pas d’un `DeviceArray`.

Ordre de lecture : `contiguous`, puis une fabrique par op.
"""

import numpy as np

from engine.backends.cuda.arrays import empty
from engine.backends.cuda.compiling import make_kernel
from engine.backends.cuda.registry import device_kernel
from engine.backends.cuda.writing import write_into
from engine.ops.gradient_views import GradientView
from engine.ops.shape import Alloc, DimShuffle, Join, Reshape


def contiguous(x):
    """x lui-même s’il est contigu, sinon une copie qui l’est."""
    return x if x.is_contiguous else copied(x)


def copied(x):
    """Une copie contiguë de x."""
    names = [f"{kind}{axis}" for kind in "ds" for axis in range(x.ndim)]
    lines = ["i = cuda.grid(1)", "if i < n:", "    r = int64(i)"]
    for axis in reversed(range(x.ndim)):
        lines += [f"    i{axis} = r % d{axis}", f"    r = r // d{axis}"]
    place = " + ".join(f"i{axis} * s{axis}" for axis in range(x.ndim)) or "0"
    lines.append(f"    out[i] = x[{place}]")
    body = f"def kernel(out, x, n, {', '.join(names)}):\n" + "".join(f"    {t}\n" for t in lines)
    signature = (f"{x.dtype}*", f"{x.dtype}*", "uint32", *["int64"] * len(names))
    copy = make_kernel("copy", f"copie contiguë, {x.ndim} axes", body, signature)
    out = empty(x.shape, x.dtype)
    copy(x.size, out, x, np.uint32(x.size), *map(np.int64, (*x.shape, *x.strides)))
    return out


@device_kernel(DimShuffle)
def dimshuffle_kernel(node):
    order = node.op.order

    def call(x):
        kept = [axis for axis in order if axis != "x"]
        dropped = sorted(set(range(x.ndim)) - set(kept))
        if any(x.shape[axis] != 1 for axis in dropped):
            node.op.perform(node, [x], [[None]])  # lève l’erreur, avec les formes
        shape = [1 if axis == "x" else x.shape[axis] for axis in order]
        strides = [0 if axis == "x" else x.strides[axis] for axis in order]
        return x.view(shape, strides)

    return call


@device_kernel(Reshape, host=lambda node: (1,))
def reshape_kernel(node):
    def call(x, shape):
        lengths = [int(length) for length in shape]
        if -1 in lengths:
            known = int(np.prod([length for length in lengths if length != -1]))
            lengths[lengths.index(-1)] = x.size // known if known else 0
        return contiguous(x).reshape(lengths)

    return call


@device_kernel(Alloc, host=lambda node: tuple(range(1, len(node.inputs))))
def alloc_kernel(node):
    value, dtype = node.inputs[0], node.outputs[0].dtype
    if value.ndim:
        return lambda x, *lengths: copied(_stretched(node, x, lengths))
    body = "def kernel(out, x, n):\n    i = cuda.grid(1)\n    if i < n:\n        out[i] = x[0]\n"
    fill = make_kernel("alloc", "remplir", body, (f"{dtype}*", f"{dtype}*", "uint32"))

    def call(x, *lengths):
        out = empty([int(length) for length in lengths], dtype)
        fill(out.size, out, x, np.uint32(out.size))
        return out

    return call


def _stretched(node, x, lengths):
    """Une vue de x étirée à ces longueurs : un pas nul où il se répète."""
    shape = [int(length) for length in lengths]
    missing = len(shape) - x.ndim
    if any(n not in (1, shape[missing + axis]) for axis, n in enumerate(x.shape)):
        node.op.perform(node, [np.empty(x.shape, x.dtype), *lengths], [[None]])  # lève l’erreur
    strides = [0 if n == 1 else s for n, s in zip(x.shape, x.strides, strict=True)]
    return x.view(shape, [0] * missing + strides)


@device_kernel(GradientView)
def gradient_view_kernel(node):
    return lambda x: x


@device_kernel(Join)
def join_kernel(node):
    axis, dtype = node.op.axis, node.outputs[0].dtype
    if "float16" in {dtype, *(entry.dtype for entry in node.inputs)}:
        return None

    def call(*items):
        rests = {(*item.shape[:axis], *item.shape[axis + 1 :]) for item in items}
        if len(rests) > 1:
            node.op.perform(node, [np.empty(item.shape) for item in items], [[None]])
        shape = list(items[0].shape)
        shape[axis] = sum(item.shape[axis] for item in items)
        result, start = empty(shape, dtype), 0
        for item in items:
            stop = start + item.shape[axis]
            write_into(result[(*[slice(None)] * axis, slice(start, stop))], item)
            start = stop
        return result

    return call
