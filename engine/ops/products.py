"""Les produits de matrices."""

import numpy as np

from engine.core.dtypes import in_float32, upcast
from engine.core.errors import ShapeError
from engine.core.graph import Apply, Op
from engine.core.types import TensorType, as_tensor_variable, axis_clash


class Dot(Op):
    """Produit de deux tableaux d’un ou deux axes : matrice-matrice, matrice-vecteur, scalaire."""

    def make_node(self, x, y):
        x, y = as_tensor_variable(x), as_tensor_variable(y)
        if x.ndim not in (1, 2) or y.ndim not in (1, 2):
            raise ShapeError(
                "dot : des vecteurs ou des matrices sont attendus",
                expected="un ou deux axes de chaque côté",
                received=f"{x} : {x.short()} et {y} : {y.short()}",
                hint="utilisez engine.tensor.dot ou tensordot, qui acceptent davantage d'axes",
            )
        inner, outer = x.type.shape[-1], y.type.shape[0]
        if None not in (inner, outer) and inner != outer:
            clash = axis_clash(x, -1, inner, y, 0, outer)
            raise _mismatch(f"{x} : {x.short()}", f"{y} : {y.short()}", clash)
        dtype = upcast(x.dtype, y.dtype)
        return Apply(
            self, [x, y], [TensorType(dtype, shape=x.type.shape[:-1] + y.type.shape[1:])()]
        )

    def infer_shape(self, node, input_shapes):
        left, right = input_shapes
        return [left[:-1] + right[1:]]

    def infer_dims(self, node):
        x, y = node.inputs
        return [x.dims[:-1] + y.dims[1:]]

    @in_float32
    def perform(self, node, inputs, output_storage):
        x, y = inputs
        if x.shape[-1] != y.shape[0]:
            left, right = node.inputs
            clash = axis_clash(left, -1, x.shape[-1], right, 0, y.shape[0])
            raise _mismatch(f"forme {x.shape}", f"forme {y.shape}", clash)
        output_storage[0][0] = np.asarray(np.dot(x, y), dtype=node.out.dtype)

    def L_op(self, inputs, outputs, output_grads):
        x, y = inputs
        (g,) = output_grads
        if x.ndim == 2 and y.ndim == 2:
            return [g.dot(y.T), x.T.dot(g)]
        if x.ndim == 2:
            return [g.dimshuffle(0, "x") * y, x.T.dot(g)]
        if y.ndim == 2:
            return [y.dot(g), x.dimshuffle(0, "x") * g]
        return [g * y, g * x]

    def samples(self):
        matrix, other = np.arange(6.0).reshape(2, 3) - 2.5, np.arange(12.0).reshape(3, 4) / 7
        vector = np.array([0.5, -1.0, 2.0])
        return [[matrix, other], [matrix, vector], [vector, other], [vector, vector]]

    def __str__(self):
        return "dot"


def _mismatch(left, right, clash):
    return ShapeError(
        f"dot : formes incompatibles{clash}",
        expected="la dernière longueur du premier, égale à la première du second",
        received=f"{left}, puis {right}",
        hint="transposez l'un des deux (.T), ou échangez les arguments",
    )
