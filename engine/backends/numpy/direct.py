"""Les appels NumPy directs, pour les ops où `perform` ferait un détour.

Ils valent pour tous les dos de calcul du processeur.
"""

import numpy as np

from engine.core.contract import perform_call
from engine.core.registry import kernel
from engine.ops.products import Dot
from engine.ops.shape import DimShuffle, MakeVector, ShapeAxis
from engine.ops.targets import CheckedTarget


@kernel(Dot, "numpy")
def dot_kernel(node, reuse):
    x, y = node.inputs
    (out,) = node.outputs
    if x.dtype != y.dtype or out.dtype not in ("float32", "float64"):
        return None
    perform, memory = node.op.perform, [np.empty(0, out.dtype)]

    def call(x, y):
        if x.shape[-1] != y.shape[0]:
            perform(node, (x, y), [[None]])  # lève l’erreur, avec les formes
        if not reuse or x.ndim + y.ndim < 4:
            return np.asarray(np.dot(x, y))
        shape = (x.shape[0], y.shape[1])
        result = memory[0]
        if result.shape != shape:
            result = memory[0] = np.empty(shape, result.dtype)
        return np.dot(x, y, out=result)

    return call


@kernel(ShapeAxis, "numpy")
def length_kernel(node, reuse):
    axis, array = node.op.axis, np.array
    return lambda x: array(x.shape[axis])


@kernel(MakeVector, "numpy")
def vector_kernel(node, reuse):
    dtype, array = node.outputs[0].type.numpy_dtype, np.array
    return lambda *items: array([item.item() for item in items], dtype=dtype)


@kernel(CheckedTarget, "numpy")
def target_kernel(node, reuse):
    if len(node.inputs) > 2:
        return None
    slow = perform_call(node)
    return lambda target, rows: target if len(target) == rows else slow(target, rows)


@kernel(DimShuffle, "numpy")
def dimshuffle_kernel(node, reuse):
    order, axes = node.op.order, list(range(node.inputs[0].ndim))
    used = [axis for axis in order if axis != "x"]
    if sorted(used) != axes:
        return None  # un axe disparaît : `perform` vérifie sa longueur
    if order == (1, 0):
        return lambda x: x.T
    index = (*(None if axis == "x" else slice(None) for axis in order), ...)
    if used == axes:
        return lambda x: x[index]
    return lambda x: x.transpose(used)[index]
