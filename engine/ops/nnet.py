"""Softmax, son logarithme et leurs gradients, le long d’un axe.

Les quatre soustraient d’abord le maximum : aucun exp ne déborde.
"""

import numpy as np

from engine.core.dtypes import in_float32
from engine.core.errors import DtypeError, ShapeError
from engine.core.graph import Apply, Op
from engine.core.types import FLOATS, TensorType, as_tensor_variable
from engine.ops.arguments import normalize_axes

_SAMPLES = [np.array([[1.0, 2.0, -3.0], [0.0, 500.0, -500.0], [4.0, 4.0, 4.0]])]


class _AlongAxis(Op):
    """Ce que les quatre ops partagent : un axe (compté depuis la fin), la forme de l’entrée."""

    __props__ = ("axis",)

    def __init__(self, axis=-1):
        self.axis = axis

    def make_node(self, *inputs):
        inputs = [as_tensor_variable(entry) for entry in inputs]
        normalize_axes(self.axis, inputs[0].ndim, self.label)
        if len({entry.ndim for entry in inputs}) > 1:
            raise ShapeError(
                f"{self} : les entrées n'ont pas le même nombre d'axes",
                received=", ".join(entry.short() for entry in inputs),
            )
        if inputs[0].dtype not in FLOATS:
            raise DtypeError(
                f"{self} attend des flottants",
                expected="float32 ou float64",
                received=inputs[0].dtype,
            )
        return Apply(self, inputs, [TensorType(inputs[0].dtype, shape=inputs[0].type.shape)()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    def infer_dims(self, node):
        return [node.inputs[0].dims]

    @in_float32
    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = self.compute(*inputs).astype(node.out.dtype, copy=False)

    @classmethod
    def variants(cls):
        return [cls(-1), cls(-2)]

    def __str__(self):
        return self.label + ("" if self.axis == -1 else f"{{axis={self.axis}}}")


class Softmax(_AlongAxis):
    """exp(z) / Σ exp(z), le long de l’axe."""

    label = "softmax"

    def compute(self, z):
        e = np.exp(z - z.max(axis=self.axis, keepdims=True, initial=-np.inf))
        return e / e.sum(axis=self.axis, keepdims=True)

    def L_op(self, inputs, outputs, output_grads):
        return [SoftmaxGrad(self.axis)(output_grads[0], outputs[0])]

    def samples(self):
        return [_SAMPLES]


class SoftmaxGrad(_AlongAxis):
    """Gradient de softmax : p (g - Σ g p), pour p = softmax(z) et g le gradient reçu."""

    label = "softmax_grad"

    def compute(self, g, p):
        return p * (g - (g * p).sum(axis=self.axis, keepdims=True))

    def L_op(self, inputs, outputs, output_grads):
        (g, p), (v,) = inputs, output_grads
        mean_g, mean_v = ((t * p).sum(axis=self.axis, keepdims=True) for t in (g, v))
        return [p * (v - mean_v), v * (g - mean_g) - g * mean_v]

    def samples(self):
        p = Softmax().compute(_SAMPLES[0])
        return [[np.array([[1.0, -2.0, 0.5], [0.0, 1.0, 3.0], [0.1, 0.2, 0.3]]), p]]


class LogSoftmax(_AlongAxis):
    """log(softmax(z)) = z - max(z) - log Σ exp(z - max(z)), le long de l’axe."""

    label = "log_softmax"

    def compute(self, z):
        shifted = z - z.max(axis=self.axis, keepdims=True, initial=-np.inf)
        return shifted - np.log(np.exp(shifted).sum(axis=self.axis, keepdims=True))

    def L_op(self, inputs, outputs, output_grads):
        return [LogSoftmaxGrad(self.axis)(output_grads[0], outputs[0].exp())]

    def samples(self):
        return [_SAMPLES]


class LogSoftmaxGrad(_AlongAxis):
    """Gradient de log_softmax : g - p Σ g, pour p = softmax(z) et g le gradient reçu."""

    label = "log_softmax_grad"

    def compute(self, g, p):
        return g - p * g.sum(axis=self.axis, keepdims=True)

    def L_op(self, inputs, outputs, output_grads):
        (g, p), (v,) = inputs, output_grads
        total = g.sum(axis=self.axis, keepdims=True)
        return [v - (v * p).sum(axis=self.axis, keepdims=True), -v * total]

    def samples(self):
        return SoftmaxGrad().samples()


class LogSumExp(Op):
    """log Σ exp(z) le long de `axes` (tuple trié), qui disparaissent du résultat."""

    __props__ = ("axes",)

    def __init__(self, axes=(0,)):
        self.axes = tuple(axes)

    def make_node(self, z):
        z = as_tensor_variable(z)
        normalize_axes(self.axes, z.ndim, "log_sum_exp")
        shape = [length for axis, length in enumerate(z.type.shape) if axis not in self.axes]
        return Apply(self, [z], [TensorType(z.dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        (shape,) = input_shapes
        return [tuple(length for axis, length in enumerate(shape) if axis not in self.axes)]

    @in_float32
    def perform(self, node, inputs, output_storage):
        (z,) = inputs
        top = z.max(axis=self.axes, keepdims=True, initial=-np.inf)
        top[~np.isfinite(top)] = 0  # que des -inf, ou un +inf : exp dira de lui-même ce qu’il faut
        with np.errstate(divide="ignore"):
            total = np.log(np.exp(z - top).sum(axis=self.axes))
        output_storage[0][0] = np.asarray(total + top.squeeze(self.axes), dtype=node.out.dtype)

    def L_op(self, inputs, outputs, output_grads):
        (z,), (out,), (g,) = inputs, outputs, output_grads
        kept = iter(range(out.ndim))
        order = ["x" if axis in self.axes else next(kept) for axis in range(z.ndim)]
        return [g.dimshuffle(*order) * (z - out.dimshuffle(*order)).exp()]

    @classmethod
    def variants(cls):
        return [cls((0,)), cls((1,)), cls((0, 1))]

    def samples(self):
        return [_SAMPLES]

    def __str__(self):
        return f"log_sum_exp{{axes={list(self.axes)}}}"
