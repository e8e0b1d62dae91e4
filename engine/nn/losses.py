"""Les coûts : ce qu’une prédiction perd, exemple par exemple.

Chaque fonction rend **une valeur par exemple**, un vecteur de longueur n ; la moyenne s’écrit là où
l’on s’en sert : `categorical_crossentropy(p, y).mean()`. Quand un exemple a plusieurs composantes,
leurs pertes sont additionnées. Les cibles sont converties au dtype des prédictions : des étiquettes
entières ne changent pas un calcul float32 en float64. Une cible qui n’a pas autant d’axes que la
prédiction est refusée (`ShapeError`) : (n, 1) et (n,) seraient diffusées en (n, n).

« Scores » désigne ce qui précède softmax ou la sigmoïde. Les deux écritures donnent les mêmes
nombres : le moteur réécrit `log(softmax(z))` et `log(sigmoid(z))` sous une forme exacte.

Ordre de lecture : `categorical_crossentropy`, `squared_error`, `hinge`.
"""

from engine import tensor as T
from engine.core.errors import ShapeError
from engine.tensor.nnet.functions import labelled, log_likelihood


def categorical_crossentropy(probabilities, targets):
    """L’entropie croisée : -log p[y], ou -Σ vrai log(p) si les cibles sont des probabilités.

    Paramètres
        probabilities : probabilités prédites, forme (n, classes), lignes de somme 1.
        targets : étiquettes entières, forme (n,), ou probabilités, forme (n, classes).

    Renvoie
        Un vecteur (n,), en nats.

    Exemple
        >>> import numpy as np
        >>> p = T.constant([[0.5, 0.5], [0.25, 0.75]])
        >>> (categorical_crossentropy(p, [0, 0]) / np.log(2)).eval()
        array([1., 2.])
    """
    probabilities, targets = T.as_tensor_variable(probabilities), T.as_tensor_variable(targets)
    return _coded(T.log(probabilities), targets)


def categorical_crossentropy_from_scores(scores, targets):
    """L’entropie croisée de softmax(scores), sans passer par les probabilités.

    Paramètres
        scores : réels, forme (n, classes).
        targets : étiquettes entières, forme (n,), ou probabilités, forme (n, classes).

    Renvoie
        Un vecteur (n,), en nats.

    Exemple
        >>> categorical_crossentropy_from_scores(T.constant([[1000.0, 0.0]]), [1]).eval()
        array([1000.])
    """
    return _coded(T.nnet.logsoftmax(scores), T.as_tensor_variable(targets))


def binary_crossentropy(probabilities, targets):
    """L’entropie croisée binaire : -Σ (t log p + (1 - t) log(1 - p)).

    Paramètres
        probabilities : probabilités prédites, forme (n, ...).
        targets : 0, 1 ou probabilités, de la même forme.

    Renvoie
        Un vecteur (n,), en nats.

    Exemple
        >>> binary_crossentropy(T.constant([[0.5, 0.5]]), [[0, 1]]).eval().round(6)
        array([1.386294])
    """
    probabilities = T.as_tensor_variable(probabilities)
    return _per_sample(T.nnet.binary_crossentropy(probabilities, _targets(targets, probabilities)))


def binary_crossentropy_from_scores(scores, targets):
    """L’entropie croisée binaire de sigmoid(scores), sans passer par les probabilités.

    Paramètres
        scores : réels, forme (n, ...).
        targets : 0, 1 ou probabilités, de la même forme.

    Renvoie
        Un vecteur (n,), en nats.

    Exemple
        >>> binary_crossentropy_from_scores(T.constant([1000.0, 1000.0]), [0, 1]).eval()
        array([1000.,    0.])
    """
    scores = T.as_tensor_variable(scores)
    return _per_sample(T.nnet.sigmoid_binary_crossentropy(scores, _targets(targets, scores)))


def squared_error(predictions, targets):
    """Le carré de la distance : Σ (prédiction - cible)².

    Paramètres
        predictions : réels, forme (n, ...).
        targets : réels, de la même forme.

    Renvoie
        Un vecteur (n,).

    Exemple
        >>> squared_error(T.constant([[1.0, 2.0], [0.0, 0.0]]), [[0, 0], [3, 0]]).eval()
        array([5., 9.])
    """
    predictions = T.as_tensor_variable(predictions)
    return _per_sample((predictions - _targets(targets, predictions)) ** 2)


def binary_hinge(scores, targets, margin=1.0):
    """La perte charnière à deux classes : Σ max(0, marge - s × score), s = ±1.

    Paramètres
        scores : réels, forme (n, ...), positifs pour la classe 1.
        targets : 0 ou 1, de la même forme.
        margin : marge demandée.

    Renvoie
        Un vecteur (n,).

    Source : Cortes et Vapnik, « Support-Vector Networks », 1995.

    Exemple
        >>> binary_hinge(T.constant([2.0, 0.5, 0.5]), [1, 1, 0]).eval()
        array([0. , 0.5, 1.5])
    """
    scores = T.as_tensor_variable(scores)
    signs = 2 * _targets(targets, scores) - 1
    return _per_sample(T.maximum(T.constant(margin, dtype=scores.dtype) - signs * scores, 0))


def hinge(scores, targets, margin=1.0):
    """La perte charnière à plusieurs classes : max(0, marge + max_{j ≠ y} score_j - score_y).

    Paramètres
        scores : réels, forme (n, classes).
        targets : étiquettes entières, forme (n,).
        margin : écart demandé entre le score juste et le meilleur des autres.

    Renvoie
        Un vecteur (n,).

    Source : Crammer et Singer, « On the Algorithmic Implementation of Multiclass Kernel-based
    Vector Machines », JMLR 2, 2001.

    Exemple
        >>> hinge(T.constant([[3.0, 1.0, 0.0], [3.0, 1.0, 0.0]]), [0, 1]).eval()
        array([0., 3.])
    """
    scores, targets = T.as_tensor_variable(scores), T.as_tensor_variable(targets)
    classes = T.arange(scores.shape[1])
    right = T.eq(classes.dimshuffle("x", 0), targets.dimshuffle(0, "x"))
    lowest = T.constant(float("-inf"), dtype=scores.dtype)
    best_other = T.max(T.switch(right, lowest, scores), axis=1)
    excess = T.constant(margin, dtype=scores.dtype) + best_other - labelled(scores, targets)
    return T.maximum(excess, 0)


def _targets(targets, predictions):
    targets = T.as_tensor_variable(targets)
    if targets.ndim != predictions.ndim:  # (n, 1) et (n,) seraient diffusés en (n, n)
        raise _wrong_axes(targets, predictions, f"{predictions.ndim} axe(s), comme la prédiction")
    return T.cast(targets, predictions.dtype)


def _wrong_axes(targets, predictions, expected):
    return ShapeError(
        "coût : la cible n'a pas les axes de la prédiction",
        expected=expected,
        received=f"prédiction {predictions.short()}, cible {targets.short()}",
        hint="si l'une des deux a un axe de longueur 1 de trop, .flatten() l'ôte",
    )


def _coded(log_p, targets):
    if targets.ndim == log_p.ndim:
        targets = _targets(targets, log_p)
    return -log_likelihood(log_p, targets)


def _per_sample(loss):
    return loss if loss.ndim <= 1 else T.sum(loss, axis=tuple(range(1, loss.ndim)))
