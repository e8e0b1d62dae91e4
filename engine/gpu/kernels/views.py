"""Ce qui ne calcule rien : changer de forme, d’axes, prendre une tranche ; et remplir.

Les vues ne copient pas : elles changent la forme et les pas d’un `DeviceArray`.

Ordre de lecture : `contiguous`, puis une fabrique par op.
"""

import numpy as np

from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.writing import spread
from engine.ops.gradient_views import GradientView
from engine.ops.shape import Alloc, DimShuffle, Join, Reshape
from engine.ops.targets import CheckedTarget


def contiguous(x):
    """x lui-même s’il est contigu, sinon une copie qui l’est."""
    return x if x.is_contiguous else x.copy()


def flat(x):
    """Les éléments de x, contigus, sur un seul axe."""
    return contiguous(x).reshape((x.size,))


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


@device_kernel(CheckedTarget, host=lambda node: tuple(range(1, len(node.inputs))))
def target_kernel(node):
    def call(x, *lengths):
        if x.shape != tuple(map(int, lengths)):
            node.op.perform(node, [x, *lengths], [[None]])  # lève l’erreur, avec les formes
        return x

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
    return lambda x, *lengths: _stretched(node, x, lengths).copy()


def _stretched(node, x, lengths):
    """Une vue de x étirée à ces longueurs : un pas nul où il se répète."""
    shape = [int(length) for length in lengths]
    missing = len(shape) - x.ndim
    if any(n not in (1, shape[missing + axis]) for axis, n in enumerate(x.shape)):
        node.op.perform(node, [np.empty(x.shape, x.dtype), *lengths], [[None]])  # lève l’erreur
    return spread(x, shape)


@device_kernel(GradientView)
def gradient_view_kernel(node):
    return lambda x: x


@device_kernel(Join)
def join_kernel(node):
    axis, dtype = node.op.axis, node.outputs[0].dtype

    def call(*items):
        rests = {(*item.shape[:axis], *item.shape[axis + 1 :]) for item in items}
        if len(rests) > 1:
            node.op.perform(node, [np.empty(item.shape) for item in items], [[None]])
        shape = list(items[0].shape)
        shape[axis] = sum(item.shape[axis] for item in items)
        result, start = empty(shape, dtype), 0
        for item in items:
            stop = start + item.shape[axis]
            result[(*[slice(None)] * axis, slice(start, stop))].become(item)
            start = stop
        return result

    return call
