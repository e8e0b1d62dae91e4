"""Des identités qui changent le gradient qui les traverse.

`disconnected_grad`, `zero_grad`, `grad_clip` et `grad_scale` rendent leur argument tel quel ;
seule la passe arrière voit la différence.
"""

import numpy as np

from engine.core.errors import DomainError
from engine.core.graph import Apply, Op
from engine.core.types import add_methods, as_tensor_variable


class GradientView(Op):
    """L’identité, avec un gradient à soi.

    `kind` : "disconnected" (aucun lien), "zero" (nul), "clip" (ramené entre deux bornes), "scale"
    (multiplié) ; `settings` : les bornes, ou le facteur.
    """

    __props__ = ("kind", "settings")
    view_map = {0: [0]}

    def __init__(self, kind, *settings):
        self.kind = kind
        self.settings = settings

    def make_node(self, x):
        x = as_tensor_variable(x)
        return Apply(self, [x], [x.type()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    def infer_dims(self, node):
        return [node.inputs[0].dims]

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0]

    def L_op(self, inputs, outputs, output_grads):
        (x,), (g,) = inputs, output_grads
        if self.kind == "disconnected":
            return [None]
        if self.kind == "zero":
            return [x.zeros_like()]
        if self.kind == "scale":
            return [g * self.settings[0]]
        return [g.clip(*self.settings)]

    @classmethod
    def variants(cls):
        return [cls("clip", -1e6, 1e6)]

    def samples(self):
        return [[np.array([[1.0, -2.0], [0.5, 3.0]])]] if self.kind == "clip" else []

    def __str__(self):
        return f"gradient_{self.kind}" + (f" {list(self.settings)}" if self.settings else "")


def disconnected_grad(x):
    """Rend x, qu’aucun gradient ne traverse : une dérivée qui n’a que ce chemin est sans lien."""
    return GradientView("disconnected")(x)


def zero_grad(x):
    """Rend x, comme une constante pour la dérivation : le gradient y devient nul."""
    return GradientView("zero")(x)


def grad_clip(x, lower_bound, upper_bound):
    """Rend x ; le gradient qui le traverse est ramené entre les deux bornes.

    Lève
        DomainError : bornes en désordre.

    Exemple
        >>> from engine import grad, tensor as T
        >>> x = T.dscalar("x")
        >>> grad(grad_clip(x, -1, 1) ** 2, x).eval({x: 3.0})
        array(1.)
    """
    if not lower_bound <= upper_bound:
        raise DomainError(
            "grad_clip : bornes en désordre",
            expected="lower_bound <= upper_bound",
            received=f"{lower_bound}, {upper_bound}",
        )
    return GradientView("clip", lower_bound, upper_bound)(x)


def grad_scale(x, multiplier):
    """Rend x ; le gradient qui le traverse est multiplié par un nombre.

    Source : Y. Ganin et coll., « Domain-Adversarial Training of Neural Networks », 2016 (facteur
    négatif).

    Exemple
        >>> from engine import grad, tensor as T
        >>> x = T.dscalar("x")
        >>> grad(grad_scale(x, -2) ** 2, x).eval({x: 3.0})
        array(-12.)
    """
    return GradientView("scale", multiplier)(x)


add_methods(disconnected_grad=disconnected_grad)
