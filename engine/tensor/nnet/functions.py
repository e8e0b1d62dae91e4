"""Activations, softmax et entropies croisées."""

from engine.core.elemwise import elemwise
from engine.core.errors import DtypeError, ShapeError
from engine.core.types import FLOATS, as_tensor_variable, constant
from engine.ops.arguments import as_length, normalize_axis
from engine.ops.index import Subtensor
from engine.ops.linear_algebra import BatchedDot
from engine.ops.nnet import LogSoftmax, Softmax
from engine.ops.shape import ARange, ShapeAxis
from engine.ops.targets import CheckedTarget


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
    return Softmax(_from_the_end(axis, x, "softmax"))(_at_least_2d(x))


def logsoftmax(x, axis=-1):
    """log(softmax(x)), sans passer par softmax."""
    x = as_tensor_variable(x)
    return LogSoftmax(_from_the_end(axis, x, "logsoftmax"))(_at_least_2d(x))


def h_softmax(
    x, batch_size, n_outputs, n_classes, n_outputs_per_class, W1, b1, W2, b2, target=None
):
    """La softmax hiérarchique : une classe d’abord, puis une sortie dans la classe.

    p(sortie) = softmax(x W1 + b1)[classe] × softmax(x W2[classe] + b2[classe])[sortie]

    Paramètres
        x : forme (batch_size, d).
        n_outputs : nombre de sorties, au plus n_classes × n_outputs_per_class.
        W1, b1 : formes (d, n_classes) et (n_classes,).
        W2, b2 : formes (n_classes, d, n_outputs_per_class) et (n_classes, n_outputs_per_class).
        target : la sortie voulue de chaque exemple (entiers) ; None, toutes les sorties.

    Renvoie
        Les probabilités, forme (batch_size, n_outputs), ou (batch_size,) avec `target`.

    Source
        J. Goodman, « Classes for Fast Maximum Entropy Training », 2001.
    """
    x, W2, b2 = map(as_tensor_variable, (x, W2, b2))
    classes = softmax(x.dot(W1) + b1)
    if target is None:
        flat = x.dot(W2.dimshuffle(1, 0, 2).reshape((W2.shape[1], -1)))
        inside = softmax(flat.reshape((x.shape[0], n_classes, n_outputs_per_class)) + b2)
        return (classes.dimshuffle(0, 1, "x") * inside).flatten(2)[:, :n_outputs]
    target = as_tensor_variable(target).flatten()
    chosen, place = target // n_outputs_per_class, target % n_outputs_per_class
    scores = BatchedDot()(x.dimshuffle(0, "x", 1), W2[chosen]).dimshuffle(0, 2) + b2[chosen]
    return labelled(classes, chosen) * labelled(softmax(scores), place)


def _from_the_end(axis, x, name):
    return normalize_axis(axis, x.ndim, name) - x.ndim


def _at_least_2d(x):
    return x.dimshuffle("x", 0) if x.ndim == 1 else x


def categorical_crossentropy(coding_dist, true_dist):
    """-Σ vrai × log(prédit), ligne par ligne.

    Paramètres
        coding_dist : probabilités prédites, forme (n, classes).
        true_dist : étiquettes entières, forme (n,), ou probabilités, forme (n, classes).

    Renvoie
        Un vecteur de longueur n, en nats.

    Lève
        DtypeError : des étiquettes qui ne sont pas des entiers.
        ShapeError : autant d’étiquettes que de lignes sont attendues ; à l’appel si les longueurs
            ne sont connues que là.
    """
    return -log_likelihood(as_tensor_variable(coding_dist).log(), true_dist)


def log_likelihood(log_p, target):
    """Σ vrai × log_p, ligne par ligne : l’opposé de l’entropie croisée.

    Paramètres
        log_p : logarithmes de probabilités, forme (n, classes).
        target : étiquettes entières, forme (n,), ou probabilités, forme (n, classes).

    Lève
        DtypeError, ShapeError : la cible ne va pas avec log_p.
    """
    target = as_tensor_variable(target)
    if target.ndim == log_p.ndim:
        lengths = [_length(log_p, axis) for axis in range(log_p.ndim)]
        return (CheckedTarget()(target, *lengths) * log_p).sum(axis=-1)
    return labelled(log_p, target)


def labelled(table, labels):
    """`table[i, labels[i]]` pour chaque ligne i : une étiquette par ligne.

    Lève
        DtypeError, ShapeError : les étiquettes ne vont pas avec la table.
    """
    labels = as_tensor_variable(labels)
    if (table.ndim, labels.ndim) != (2, 1):
        raise ShapeError(
            "la cible n'a pas les axes de la prédiction",
            expected="des étiquettes (n,) pour une prédiction (n, classes)",
            received=f"prédiction {table.short()}, cible {labels.short()}",
            hint="labels.flatten() ôte un axe de longueur 1",
        )
    if labels.dtype in FLOATS or labels.dtype == "bool":
        raise DtypeError(
            "des étiquettes sont des entiers",
            expected="int64, int32...",
            received=f"{labels} : {labels.short()}",
            hint="labels.astype('int64')",
        )
    labels = CheckedTarget()(labels, _length(table, 0))
    zero, one = as_length(0), as_length(1)
    rows = ARange("int64")(zero, ShapeAxis(0)(labels), one)
    return Subtensor(("a", "a"))(table, rows, labels)


def _length(x, axis):
    known = x.type.shape[axis]
    return ShapeAxis(axis)(x) if known is None else as_length(known)


def binary_crossentropy(output, target):
    """-(cible log p + (1 - cible) log(1 - p)), terme à terme."""
    output, target = as_tensor_variable(output), as_tensor_variable(target)
    return -(target * output.log() + (1 - target) * (1 - output).log())


def sigmoid_binary_crossentropy(logits, target):
    """L’entropie croisée binaire de sigmoid(logits), sans passer par la sigmoïde."""
    logits, target = as_tensor_variable(logits), as_tensor_variable(target)
    return softplus(logits) - logits * target
