"""Les optimiseurs : des fonctions qui rendent des mises à jour, et qui se composent.

Chacune prend un coût (ou la liste des gradients, bornés par exemple) et les paramètres, et rend un
`OrderedDict` variable partagée -> nouvelle valeur, à passer à `function(..., updates=)`. L’élan
s’ajoute à n’importe lequel : `apply_momentum(rmsprop(cost, parameters), parameters)`.

Les réglages sont des nombres ou des scalaires symboliques (une variable partagée que l’on change en
route, une expression de `engine.nn.schedules`) ; ils sont convertis au dtype de chaque paramètre,
si bien que des paramètres float32 le restent. Les états (vitesses, moyennes) sont des variables
partagées nommées d’après leur paramètre, présentes parmi les clés : rien n’est caché.

Ordre de lecture : `sgd`, `apply_momentum`, `adagrad`, `adam`.

Le dessin est celui de `lasagne.updates` (Dieleman et coll., 2015).
"""

import math
from collections import OrderedDict

import numpy as np

from engine import SharedVariable, grad, shared
from engine import tensor as T
from engine.core.errors import DomainError, GradientError, UpdateError


def sgd(cost_or_grads, parameters, learning_rate):
    """La descente de gradient : p <- p - η g.

    Paramètres
        cost_or_grads : coût scalaire, ou liste des gradients, un par paramètre.
        parameters : liste de variables partagées flottantes.
        learning_rate : le pas η, nombre ou scalaire symbolique.

    Renvoie
        `OrderedDict` paramètre -> expression.

    Lève
        GradientError : pas autant de gradients que de paramètres.
        UpdateError : un paramètre n’est pas une variable partagée.

    Source : Robbins et Monro, « A Stochastic Approximation Method », 1951.

    Exemple
        >>> from engine import function
        >>> w = shared(2.0, name="w")
        >>> step = function([], w**2, updates=sgd(w**2, [w], learning_rate=0.25))
        >>> step(), w.get_value()
        (array(4.), array(1.))
    """
    updates = OrderedDict()
    for p, g in _pairs(cost_or_grads, parameters):
        updates[p] = p - _like(p, learning_rate) * g
    return updates


def apply_momentum(updates, parameters, momentum=0.9):
    """Ajoute un élan à des mises à jour quelconques : v <- μ v + (p' - p), p <- p + v.

    p' est la nouvelle valeur que `updates` proposait ; v part de zéro.

    Paramètres
        updates : mises à jour de n’importe quel optimiseur ; elles ne sont pas modifiées.
        parameters : les paramètres qui prennent de l’élan (non les états de l’optimiseur).
        momentum : μ, nombre ou scalaire symbolique, entre 0 et 1.

    Renvoie
        Un nouvel `OrderedDict`, avec les vitesses.

    Lève
        UpdateError : un paramètre n’a pas de mise à jour.

    Source : Polyak, « Some methods of speeding up the convergence of iteration methods », 1964.

    Exemple
        >>> w = shared(2.0, name="w")
        >>> [str(v) for v in apply_momentum(sgd(w**2, [w], 0.1), [w])]
        ['w', 'w.velocity']
    """
    updates = OrderedDict(updates)
    for p in _listed(parameters):
        velocity = _state(p, "velocity")
        step = _like(p, momentum) * velocity + _proposed(updates, p) - p
        updates[velocity] = step
        updates[p] = p + step
    return updates


def momentum(cost_or_grads, parameters, learning_rate, momentum=0.9):
    """La descente de gradient avec élan : v <- μ v - η g, p <- p + v.

    Paramètres, renvoi et erreurs : ceux de `sgd` et de `apply_momentum`.

    Exemple
        >>> from engine import function
        >>> w = shared(2.0, name="w")
        >>> step = function([], updates=momentum(w**2, [w], 0.25, momentum=0.5))
        >>> step(), w.get_value(), step(), w.get_value()
        ([], array(1.), [], array(0.))
    """
    return apply_momentum(sgd(cost_or_grads, parameters, learning_rate), parameters, momentum)


def apply_nesterov_momentum(updates, parameters, momentum=0.9):
    """Ajoute l’élan de Nesterov : v <- μ v + (p' - p), p <- p' + μ v.

    Le paramètre gardé est le point d’où l’on regarde devant soi : le gradient se calcule là, sans
    évaluation de plus.

    Paramètres
        updates, parameters, momentum : ceux de `apply_momentum`.

    Renvoie
        Un nouvel `OrderedDict`, avec les vitesses.

    Lève
        UpdateError : un paramètre n’a pas de mise à jour.

    Sources : Nesterov, 1983 ; Sutskever et coll., « On the importance of initialization and
    momentum in deep learning », ICML, 2013 ; la forme est celle de Bengio, Boulanger-Lewandowski et
    Pascanu, « Advances in optimizing recurrent networks », 2013, équation 7.

    Exemple
        >>> w = shared(2.0, name="w")
        >>> [str(v) for v in apply_nesterov_momentum(sgd(w**2, [w], 0.1), [w])]
        ['w', 'w.velocity']
    """
    updates = OrderedDict(updates)
    for p in _listed(parameters):
        velocity = _state(p, "velocity")
        proposed = _proposed(updates, p)
        step = _like(p, momentum) * velocity + proposed - p
        updates[velocity] = step
        updates[p] = proposed + _like(p, momentum) * step
    return updates


def nesterov_momentum(cost_or_grads, parameters, learning_rate, momentum=0.9):
    """La descente de gradient avec l’élan de Nesterov : v <- μ v - η g, p <- p - η g + μ v.

    Paramètres, renvoi et erreurs : ceux de `sgd` et de `apply_nesterov_momentum`.

    Exemple
        >>> from engine import function
        >>> w = shared(2.0, name="w")
        >>> step = function([], updates=nesterov_momentum(w**2, [w], 0.25, momentum=0.5))
        >>> step(), w.get_value()
        ([], array(0.5))
    """
    updates = sgd(cost_or_grads, parameters, learning_rate)
    return apply_nesterov_momentum(updates, parameters, momentum)


def adagrad(cost_or_grads, parameters, learning_rate=0.01, epsilon=1e-8):
    """Adagrad : s <- s + g², p <- p - η g / (√s + ε).

    Paramètres
        cost_or_grads, parameters, learning_rate : ceux de `sgd`.
        epsilon : ε, évite 0 / 0.

    Renvoie
        `OrderedDict`, avec les sommes s.

    Source : Duchi, Hazan et Singer, « Adaptive Subgradient Methods for Online Learning and
    Stochastic Optimization », JMLR 12, 2011.

    Exemple
        >>> from engine import function
        >>> w = shared(2.0, name="w")
        >>> step = function([], updates=adagrad(w**2, [w], 0.5))
        >>> step(), float(w.get_value().round(6))
        ([], 1.5)
    """
    updates = OrderedDict()
    for p, g in _pairs(cost_or_grads, parameters):
        total = _state(p, "squares")
        updates[total] = total + g**2
        updates[p] = p - _like(p, learning_rate) * g / (T.sqrt(updates[total]) + _like(p, epsilon))
    return updates


def rmsprop(cost_or_grads, parameters, learning_rate=0.001, rho=0.9, epsilon=1e-8):
    """RMSProp : s <- ρ s + (1 - ρ) g², p <- p - η g / (√s + ε).

    Paramètres
        cost_or_grads, parameters, learning_rate : ceux de `sgd`.
        rho : ρ, mémoire de la moyenne des carrés.
        epsilon : ε, évite 0 / 0.

    Renvoie
        `OrderedDict`, avec les moyennes s.

    Source : Tieleman et Hinton, cours « Neural Networks for Machine Learning », leçon 6.5, 2012.

    Exemple
        >>> from engine import function
        >>> w = shared(2.0, name="w")
        >>> step = function([], updates=rmsprop(w**2, [w], 0.5, rho=0.75))
        >>> step(), float(w.get_value().round(6))
        ([], 1.0)
    """
    updates = OrderedDict()
    for p, g in _pairs(cost_or_grads, parameters):
        mean = _state(p, "mean_square")
        updates[mean] = _average(p, rho, mean, g**2)
        updates[p] = p - _like(p, learning_rate) * g / (T.sqrt(updates[mean]) + _like(p, epsilon))
    return updates


def adadelta(cost_or_grads, parameters, learning_rate=1.0, rho=0.95, epsilon=1e-6):
    """Adadelta : s <- ρ s + (1 - ρ) g², δ = g √(d + ε) / √(s + ε), p <- p - η δ,
    d <- ρ d + (1 - ρ) δ².

    Paramètres
        cost_or_grads, parameters, learning_rate : ceux de `sgd` (l’article prend η = 1).
        rho : ρ, mémoire des deux moyennes.
        epsilon : ε ; il fixe aussi la taille des premiers pas.

    Renvoie
        `OrderedDict`, avec les moyennes s et d.

    Source : Zeiler, « ADADELTA: An Adaptive Learning Rate Method », arXiv, 2012, algorithme 1.

    Exemple
        >>> w = shared(2.0, name="w")
        >>> [str(v) for v in adadelta(w**2, [w])]
        ['w.mean_square', 'w', 'w.mean_square_step']
    """
    updates = OrderedDict()
    for p, g in _pairs(cost_or_grads, parameters):
        mean, mean_step = _state(p, "mean_square"), _state(p, "mean_square_step")
        epsilon_p = _like(p, epsilon)
        updates[mean] = _average(p, rho, mean, g**2)
        step = g * T.sqrt(mean_step + epsilon_p) / T.sqrt(updates[mean] + epsilon_p)
        updates[p] = p - _like(p, learning_rate) * step
        updates[mean_step] = _average(p, rho, mean_step, step**2)
    return updates


def adam(cost_or_grads, parameters, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """Adam : m <- β₁ m + (1 - β₁) g, s <- β₂ s + (1 - β₂) g²,
    p <- p - η (m / (1 - β₁ᵗ)) / (√(s / (1 - β₂ᵗ)) + ε).

    1 - βᵗ est calculé par -expm1(t log β), exact même en float32 quand β est proche de 1.

    Paramètres
        cost_or_grads, parameters, learning_rate : ceux de `sgd`.
        beta1, beta2 : mémoires des deux moyennes, nombres ou scalaires symboliques, entre 0 et 1
            exclus.
        epsilon : ε, évite 0 / 0.

    Renvoie
        `OrderedDict`, avec le nombre de pas t et les moyennes m et s.

    Source : Kingma et Ba, « Adam: A Method for Stochastic Optimization », ICLR, 2015, algorithme 1.

    Exemple
        >>> from engine import function
        >>> w = shared(2.0, name="w")
        >>> step = function([], updates=adam(w**2, [w], 0.5))
        >>> step(), float(w.get_value().round(6))
        ([], 1.5)
    """
    return adamw(cost_or_grads, parameters, learning_rate, beta1, beta2, epsilon, weight_decay=0)


def adamw(
    cost_or_grads,
    parameters,
    learning_rate=0.001,
    beta1=0.9,
    beta2=0.999,
    epsilon=1e-8,
    weight_decay=0.01,
):
    """AdamW : le pas d’Adam, et une décroissance des poids qui ne passe pas par le gradient,
    p <- p - η (pas d’Adam + λ p).

    Paramètres
        cost_or_grads, ... epsilon : ceux de `adam`.
        weight_decay : λ, nombre ou scalaire symbolique.

    Renvoie
        `OrderedDict`, avec le nombre de pas t et les moyennes m et s.

    Source : Loshchilov et Hutter, « Decoupled Weight Decay Regularization », ICLR, 2019.

    Exemple
        >>> from engine import function
        >>> w = shared(2.0, name="w")
        >>> step = function([], updates=adamw(w**2, [w], 0.5, weight_decay=0.1))
        >>> step(), float(w.get_value().round(6))
        ([], 1.4)
    """
    updates = OrderedDict()
    steps = shared(np.int64(0), name="steps")  # un entier : un float32 n’avance plus après 2**24
    updates[steps] = steps + 1
    for p, g in _pairs(cost_or_grads, parameters):
        mean, mean_square = _state(p, "mean"), _state(p, "mean_square")
        updates[mean] = _average(p, beta1, mean, g)
        updates[mean_square] = _average(p, beta2, mean_square, g**2)
        unbiased = updates[mean] / _bias(p, beta1, updates[steps])
        spread = T.sqrt(updates[mean_square] / _bias(p, beta2, updates[steps]))
        direction = unbiased / (spread + _like(p, epsilon))
        if not (isinstance(weight_decay, int | float) and weight_decay == 0):
            direction = direction + _like(p, weight_decay) * p
        updates[p] = p - _like(p, learning_rate) * direction
    return updates


def _pairs(cost_or_grads, parameters):
    """Les couples (paramètre, gradient), chaque gradient au dtype de son paramètre."""
    parameters = _listed(parameters)
    for p in parameters:
        if not isinstance(p, SharedVariable):
            raise UpdateError(
                "un optimiseur ne met à jour que des variables partagées",
                expected="une liste de paramètres créés par shared",
                received=f"{p} : {type(p).__name__}",
                hint="donnez les paramètres de la couche : layer.parameters",
            )
    if isinstance(cost_or_grads, list | tuple):
        grads = list(cost_or_grads)
    else:
        grads = grad(cost_or_grads, parameters)
    if len(grads) != len(parameters):
        raise GradientError(
            "optimiseur : il faut un gradient par paramètre",
            expected=f"{len(parameters)} gradient(s)",
            received=f"{len(grads)}",
            hint="grad(cost, parameters) les rend dans l'ordre des paramètres",
        )
    return [(p, T.cast(g, p.dtype)) for p, g in zip(parameters, grads, strict=True)]


def _listed(parameters):
    return [parameters] if isinstance(parameters, T.TensorVariable) else list(parameters)


def _proposed(updates, p):
    if p not in updates:
        raise UpdateError(
            f"l'élan de {p} n'a rien à suivre",
            expected="une mise à jour de ce paramètre",
            received=", ".join(map(str, updates)) or "aucune mise à jour",
            hint="passez à l'optimiseur les paramètres que vous passez ici",
        )
    return updates[p]


def _state(p, role):
    """Une variable partagée de zéros, de la forme et du dtype de p."""
    name = None if p.name is None else f"{p.name}.{role}"
    zeros = np.zeros_like(p.get_value(borrow=True))
    return shared(zeros, name=name, broadcastable=p.broadcastable)


def _like(p, value):
    """Un réglage, nombre ou scalaire symbolique, au dtype du paramètre."""
    if isinstance(value, T.TensorVariable):
        return T.cast(value, p.dtype)
    return T.constant(value, dtype=p.dtype)


def _average(p, rho, old, new):
    """La moyenne glissante ρ × old + (1 - ρ) × new."""
    return _like(p, rho) * old + _like(p, 1 - rho) * new


def _bias(p, beta, steps):
    """1 - β**steps, ce qui manque à une moyenne partie de zéro."""
    if not isinstance(beta, T.TensorVariable) and not 0 < beta < 1:
        raise DomainError(
            "adam : beta1 et beta2 sont les mémoires de deux moyennes glissantes",
            expected="un nombre entre 0 et 1, exclus",
            received=repr(beta),
            hint="beta1=0.9, beta2=0.999",
        )
    log_beta = T.log(beta) if isinstance(beta, T.TensorVariable) else math.log(beta)
    return -T.expm1(T.cast(steps, p.dtype) * _like(p, log_beta))
