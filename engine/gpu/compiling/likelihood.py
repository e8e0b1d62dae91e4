"""La vraisemblance d’un softmax, pour un périphérique.

`LogLikelihood` est la perte d’un classifieur et son gradient, d’un seul tenant. Le programme ne
l’écrit pas : pour un périphérique, une réécriture la tire de `log(softmax(z))[arange(n), y]`, ou de
`(t * log(softmax(z))).sum(axis=1)`, et de leurs gradients. Elle vient après les dérivées : elle
n’en a pas.
"""

import numpy as np

from engine.core.dtypes import in_float32
from engine.core.errors import ShapeError
from engine.core.graph import Apply, Op
from engine.core.types import FLOATS, TensorType, as_tensor_variable


class LogLikelihood(Op):
    """Σⱼ tᵢⱼ log softmax(z)ᵢⱼ, une valeur par ligne ; et, par `gradient`, sa dérivée en z.

    Entrées : z, de forme (n, classes) ; la cible, des étiquettes entières (au plus n : une par
    ligne, la distribution vaut 1 à l’étiquette) ou une distribution t de la forme de z ; puis,
    par `gradient`, le gradient g reçu, un nombre ou un vecteur. La seconde sortie vaut alors
    gᵢ (tᵢⱼ - softmax(z)ᵢⱼ Σₖ tᵢₖ), et 0 sur les lignes sans étiquette.
    """

    __props__ = ("gradient",)

    def __init__(self, gradient=False):
        self.gradient = gradient

    def make_node(self, z, target, *received):
        inputs = [as_tensor_variable(entry) for entry in (z, target, *received)]
        z, target = inputs[:2]
        rows = TensorType(z.dtype, shape=target.type.shape[:1])()
        outputs = [rows, TensorType(z.dtype, shape=z.type.shape)()] if self.gradient else [rows]
        return Apply(self, inputs, outputs)

    def infer_shape(self, node, input_shapes):
        z, target = input_shapes[:2]
        return [(target[0],), z][: len(node.outputs)]

    @in_float32
    def perform(self, node, inputs, output_storage):
        z, target, *received = inputs
        shifted = z - z.max(axis=1, keepdims=True, initial=-np.inf)
        p = np.exp(shifted)
        total = p.sum(axis=1, keepdims=True)
        log_p = shifted - np.log(total)
        weighted = node.inputs[1].dtype in FLOATS
        t = target if weighted else _one_hot(target, z)
        count = len(target)
        output_storage[0][0] = (
            (t * log_p).sum(axis=1).astype(z.dtype, copy=False)
            if weighted
            else log_p[np.arange(count), target]
        )
        if self.gradient:
            g = np.zeros((len(z), 1), z.dtype)
            g[:count, 0] = received[0]
            dz = g * (t - p / total * t.sum(axis=1, keepdims=True))
            output_storage[1][0] = dz.astype(z.dtype, copy=False)

    @classmethod
    def variants(cls):
        return [cls(False), cls(True)]

    def samples(self):
        z = np.array([[1.0, 2.0, -3.0], [0.0, 5.0, -5.0], [4.0, 4.0, 4.0]])
        t = np.array([[0.0, 1.0, 0.0], [0.25, 0.5, 0.25], [2.0, 0.0, 1.0]])
        cases = [[z, np.array([2, 0, -1])], [z, t]]
        return [[*case, np.array([1.0, -2.0, 0.5])] if self.gradient else case for case in cases]

    def __str__(self):
        return "log_likelihood" + ("+grad" if self.gradient else "")


def _one_hot(labels, z):
    """Une ligne par ligne de z : 1 à l’étiquette, 0 ailleurs."""
    rows, classes = z.shape
    wrong = labels[(labels < -classes) | (labels >= classes)]
    if wrong.size or len(labels) > rows:
        raise ShapeError(
            "étiquettes impossibles",
            expected=f"au plus {rows} étiquettes, entre {-classes} et {classes - 1}",
            received=f"{len(labels)} étiquettes" + (f", dont {wrong[0]}" if wrong.size else ""),
        )
    t = np.zeros(z.shape, z.dtype)
    t[np.arange(len(labels)), labels] = 1
    return t
