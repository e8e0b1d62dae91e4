"""L’inverse de la diffusion : sommer un gradient sur les axes étirés.

Ordre de lecture : `sum_to`, puis `SumTo` pour ce qui ne se sait qu’à l’exécution.
"""

import numpy as np

from engine.core.dtypes import FLOATS, in_float32
from engine.core.elemwise import cast
from engine.core.graph import Apply, Op
from engine.core.types import TensorType, add_methods, as_tensor_variable


def sum_to(grad, target):
    """Somme `grad` sur les axes que la diffusion avait ajoutés ou étirés pour `target`."""
    extra = grad.ndim - target.ndim
    stretched = [
        axis
        for axis in range(extra, grad.ndim)
        if target.type.shape[axis - extra] == 1 and grad.type.shape[axis] != 1
    ]
    if stretched:
        grad = grad.sum(axis=stretched, keepdims=True)
    if extra > 0:
        grad = grad.sum(axis=tuple(range(extra)))
    if extra < 0:  # gradient constant, plus petit que l’entrée
        return grad + target.zeros_like(dtype=grad.dtype)
    unsure = any(
        wanted != 1 and (wanted is None or wanted != found)
        for wanted, found in zip(target.type.shape, grad.type.shape, strict=True)
    )
    return SumTo()(grad, target.shape) if unsure else grad


class SumTo(Op):
    """Somme un gradient sur les axes étirés à l’exécution ; ne coûte rien quand il n’y en a pas.

    Entrées : le gradient et la forme voulue (vecteur d’entiers). La sortie partage la mémoire du
    gradient quand les formes sont déjà égales.
    """

    view_map = {0: [0]}

    def __str__(self):
        return "sum_to"

    def make_node(self, grad, shape):
        grad, shape = as_tensor_variable(grad), as_tensor_variable(shape)
        return Apply(self, [grad, shape], [TensorType(grad.dtype, shape=(None,) * grad.ndim)()])

    def infer_shape(self, node, input_shapes):
        return [tuple(node.inputs[1][axis] for axis in range(node.out.ndim))]

    def infer_dims(self, node):
        return [node.inputs[0].dims]

    @in_float32
    def perform(self, node, inputs, output_storage):
        grad, shape = inputs
        output_storage[0][0] = sum_to_shape(grad, tuple(shape.tolist()))

    def L_op(self, inputs, outputs, output_grads):
        grad = inputs[0]
        return [output_grads[0] + grad.zeros_like(), None]

    def samples(self):
        ones = np.arange(6.0).reshape(2, 3)
        return [[ones, np.array([2, 3])], [ones, np.array([1, 3])], [ones, np.array([2, 1])]]


def sum_to_shape(grad, shape):
    """Somme le tableau `grad` sur les axes où `shape` vaut 1 et lui davantage."""
    if grad.shape == shape:
        return grad
    axes = tuple(
        a for a, (have, want) in enumerate(zip(grad.shape, shape, strict=True)) if want == 1 != have
    )
    result = grad.sum(axis=axes, keepdims=True, dtype=grad.dtype)
    if result.shape != shape:  # le gradient était constant le long d’un axe
        result = np.broadcast_to(result, shape).copy()
    return result


def match_gradient(self, grad):
    """Ramène `grad` au dtype et à la forme de la variable (pour les gradients des ops)."""
    return sum_to(cast(grad, self.dtype) if self.dtype in FLOATS else grad, self)


add_methods(sum_to=sum_to, match_gradient=match_gradient)
