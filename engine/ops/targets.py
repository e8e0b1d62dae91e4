"""La cible d’un classifieur, vérifiée."""

import numpy as np

from engine.core.errors import ShapeError
from engine.core.graph import Apply, Op
from engine.core.types import TensorConstant, TensorType, as_tensor_variable
from engine.ops.arguments import as_length


class CheckedTarget(Op):
    """La cible d’un classifieur, telle quelle, si elle a les longueurs de la prédiction.

    Entrées : des étiquettes (n,) ou une distribution (n, classes), puis les longueurs attendues.
    Sans elle, la diffusion accepterait une étiquette pour toutes les lignes.
    """

    view_map = {0: [0]}

    def make_node(self, target, *lengths):
        target, lengths = as_tensor_variable(target), [as_length(length) for length in lengths]
        wanted = [int(n.data) if isinstance(n, TensorConstant) else None for n in lengths]
        pairs = list(zip(wanted, target.type.shape, strict=True))
        if any(None not in pair and pair[0] != pair[1] for pair in pairs):
            raise _unlike(wanted, target.type.shape)
        shape = [b if a is None else a for a, b in pairs]
        return Apply(self, [target, *lengths], [TensorType(target.dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    def infer_dims(self, node):
        return [node.inputs[0].dims]

    def perform(self, node, inputs, output_storage):
        target, *lengths = inputs
        wanted = tuple(map(int, lengths))
        if target.shape != wanted:
            raise _unlike(wanted, target.shape)
        output_storage[0][0] = target

    def L_op(self, inputs, outputs, output_grads):
        return [output_grads[0], *[None] * (len(inputs) - 1)]

    def samples(self):
        t = np.array([[0.0, 1.0, 0.0], [0.25, 0.5, 0.25]])
        return [[np.array([2, 0, 1]), np.array(3)], [t, np.array(2), np.array(3)]]

    def __str__(self):
        return "cible_vérifiée"


def _unlike(wanted, shape):
    if len(wanted) == 1:
        expected, received = f"une étiquette par ligne : {wanted[0]}", f"{shape[0]} étiquette(s)"
    else:
        expected, received = f"la forme de la prédiction : {tuple(wanted)}", f"forme {tuple(shape)}"
    return ShapeError(
        "la cible n'a pas les longueurs de la prédiction", expected=expected, received=received,
        hint="les exemples et les étiquettes d'un lot sont-ils pris aux mêmes rangs ?",
    )  # fmt: skip
