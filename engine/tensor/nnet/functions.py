"""Activations, softmax et entropies croisées."""

from engine.ops.elemwise import elemwise
from engine.ops.index import Subtensor
from engine.ops.nnet import LogSoftmax, Softmax
from engine.ops.shape import ARange, ShapeAxis
from engine.types import FLOATS, as_tensor_variable, constant


def sigmoid(x):
    """1 / (1 + exp(-x)), terme à terme."""
    return elemwise("sigmoid")(x)


def softplus(x):
    """log(1 + exp(x)), terme à terme, sans débordement."""
    return elemwise("softplus")(x)


def relu(x, alpha=0):
    """max(x, 0) ; `alpha` : pente du côté négatif."""
    x = as_tensor_variable(x)
    return (
        x.maximum(0)
        if isinstance(alpha, int | float) and alpha == 0
        else (x > 0).switch(x, x * alpha)
    )


def hard_sigmoid(x):
    """La sigmoïde en trois segments : 0, puis 0,2 x + 0,5, puis 1."""
    x = as_tensor_variable(x)
    return (x * _number(0.2, x) + 0.5).maximum(0.0).minimum(1.0)


def ultra_fast_sigmoid(x):
    """La sigmoïde approchée par des fractions et des segments, à 0,02 près.

    Source : `theano.tensor.nnet.sigm.UltraFastScalarSigmoid`.
    """
    x = as_tensor_variable(x)
    half = 0.5 * (x >= 0).switch(x, -x)  # abs n’a pas de dérivée en 0, la sigmoïde si
    below = 1.5 * half / (1 + half)
    values = (1.7, 0.935409070603099, 0.0458812946797165, 0.99505475368673)
    bend, start, slope, end = (_number(value, x) for value in values)
    middle = start + slope * (half - bend)
    size = (half < bend).switch(below, (half < 3).switch(middle, end))
    return 0.5 * ((x >= 0).switch(size, -size) + 1)


def elu(x, alpha=1):
    """x s’il est positif, sinon alpha (exp(x) - 1)."""
    x = as_tensor_variable(x)
    return (x > 0).switch(x, alpha * x.minimum(0).expm1())


def selu(x):
    """`elu` à l’échelle qui garde moyenne nulle et variance unité d’une couche à l’autre.

    Source : Klambauer et coll., « Self-Normalizing Neural Networks », NeurIPS 2017.
    """
    x = as_tensor_variable(x)
    scale, alpha = _number(1.0507009873554804934, x), _number(1.6732632423543772848, x)
    return scale * elu(x, alpha)


def _number(value, x):
    """Le nombre `value` au dtype de x, ou floatX si x est entier."""
    return x.type.number(value) if x.dtype in FLOATS else constant(value)


def softsign(x):
    """x / (1 + abs(x))."""
    x = as_tensor_variable(x)
    return x / (1 + abs(x))


def softmax(x, axis=-1):
    """exp(x) / Σ exp(x) le long de l’axe ; un vecteur devient une matrice à une ligne.

    Exemple
        >>> softmax(as_tensor_variable([[0.0, 0.0]])).eval()
        array([[0.5, 0.5]])
    """
    x = as_tensor_variable(x)
    return Softmax(_from_the_end(axis, x))(_at_least_2d(x))


def logsoftmax(x, axis=-1):
    """log(softmax(x)), sans passer par softmax."""
    x = as_tensor_variable(x)
    return LogSoftmax(_from_the_end(axis, x))(_at_least_2d(x))


def _from_the_end(axis, x):
    return axis if axis < 0 else axis - max(x.ndim, 1)


def _at_least_2d(x):
    return x.dimshuffle("x", 0) if x.ndim == 1 else x


def categorical_crossentropy(coding_dist, true_dist):
    """-Σ vrai × log(prédit), ligne par ligne.

    Paramètres
        coding_dist : probabilités prédites, forme (n, classes).
        true_dist : étiquettes entières, forme (n,), ou probabilités, forme (n, classes).

    Renvoie
        Un vecteur de longueur n, en nats.
    """
    coding_dist, true_dist = as_tensor_variable(coding_dist), as_tensor_variable(true_dist)
    log_p = coding_dist.log()
    if true_dist.ndim == coding_dist.ndim:
        return -(true_dist * log_p).sum(axis=-1)
    zero, one = constant(0).astype("int64"), constant(1).astype("int64")
    rows = ARange("int64")(zero, ShapeAxis(0)(true_dist), one)
    return -Subtensor(("a", "a"))(log_p, rows, true_dist)


def binary_crossentropy(output, target):
    """-(cible log p + (1 - cible) log(1 - p)), terme à terme."""
    output, target = as_tensor_variable(output), as_tensor_variable(target)
    return -(target * output.log() + (1 - target) * (1 - output).log())


def sigmoid_binary_crossentropy(logits, target):
    """L’entropie croisée binaire de sigmoid(logits), sans passer par la sigmoïde."""
    logits, target = as_tensor_variable(logits), as_tensor_variable(target)
    return softplus(logits) - logits * target
