"""Écrire autrement ce qui, écrit naïvement, déborde ou s’annule.

Le programme écrit `log(softmax(z))` ou `log(1 + exp(x))` ; les règles de ce fichier en font des
formes exactes, dans la passe avant comme dans le gradient.
"""

from engine.ops.nnet import LogSoftmax, LogSoftmaxGrad, Softmax, SoftmaxGrad
from engine.rewriting.core import pattern, rewrite

pattern(
    "log_sigmoïde",
    "stabilize",
    lambda x: x.sigmoid().log(),
    lambda x: -(-x).softplus(),
    "sigmoid(x) s'arrondit à 0, son logarithme à moins l'infini",
)
pattern(
    "log_un_plus",
    "stabilize",
    lambda x: (1 + x).log(),
    lambda x: x.log1p(),
    "1 + x perd les petits x",
)
pattern(
    "log_un_moins",
    "stabilize",
    lambda x: (1 - x).log(),
    lambda x: (-x).log1p(),
    "1 - x perd les petits x",
)
pattern(
    "log1p_exp",
    "stabilize",
    lambda x: x.exp().log1p(),
    lambda x: x.softplus(),
    "exp(x) déborde quand x est grand",
)
pattern(
    "log1p_moins_sigmoïde",
    "stabilize",
    lambda x: (-x.sigmoid()).log1p(),
    lambda x: -x.softplus(),
    "1 - sigmoid(x) s'arrondit à 0",
)
pattern(
    "exp_moins_un",
    "stabilize",
    lambda x: x.exp() - 1,
    lambda x: x.expm1(),
    "exp(x) - 1 perd les petits x",
)


@rewrite(
    "log_softmax", "stabilize", ["log"], "softmax s'arrondit à 0, son logarithme à moins l'infini"
)
def log_of_softmax(node):
    (p,) = node.inputs
    if p.owner is not None and isinstance(p.owner.op, Softmax):
        return [LogSoftmax(p.owner.op.axis)(p.owner.inputs[0])]
    return None


@rewrite("exp_log_softmax", "stabilize", ["exp"], "exp et log se défont")
def exp_of_log_softmax(node):
    (x,) = node.inputs
    if x.owner is not None and isinstance(x.owner.op, LogSoftmax):
        return [Softmax(x.owner.op.axis)(x.owner.inputs[0])]
    return None


@rewrite(
    "gradient_log_softmax",
    "stabilize",
    [SoftmaxGrad],
    "diviser par p puis multiplier par p, qui peut valoir 0",
)
def gradient_of_log_softmax(node):
    g, p = node.inputs
    sign = 1
    if g.owner is not None and str(g.owner.op) == "neg":
        sign, g = -1, g.owner.inputs[0]
    if g.owner is None or str(g.owner.op) != "true_div" or g.owner.inputs[1] is not p:
        return None
    inner = g.owner.inputs[0]
    if inner.ndim != p.ndim:
        inner = inner + p.zeros_like()
    return [LogSoftmaxGrad(node.op.axis)(inner if sign > 0 else -inner, p)]
