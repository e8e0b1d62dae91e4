"""Sondes de l’exercice 05 : elles emploient, chez l’élève, ce que rendent ses fonctions.

Un générateur, une couche, une op ne se recopient pas d’un processus à l’autre : chaque sonde les
fabrique sur place, et rend des nombres. Elle rend None quand la réponse est encore vide.
"""

import numpy as np

import engine
import engine.tensor as T
from course.grading.exercises.probes06 import bowl_steps


def drawn_weights(build, n_in, n_out, activation, seed):
    """La forme, la moyenne, l’écart type et les premières valeurs des poids tirés par `build`."""
    weights = build(n_in, n_out, activation, np.random.default_rng(seed))
    if weights is None:
        return None
    weights = np.asarray(weights, dtype=float)
    return {
        "shape": weights.shape,
        "mean": weights.mean(),
        "std": weights.std(),
        "distinct": len(np.unique(weights)) / weights.size,
        "first": weights.ravel()[:5],
    }


def gate_start(build, n, seed):
    """Les valeurs de départ des paramètres de la couche."""
    layer = _gate(build, n, seed)
    return None if layer is None else [parameter.get_value() for parameter in layer[0]]


def gate_output(build, values, x):
    """La sortie de la couche, ses paramètres valant `values`."""
    layer = _gate_of(build, values)
    if layer is None:
        return None
    entry = T.dmatrix("x")
    return engine.function([entry], layer[1](entry))(np.array(x))


def gate_gradients(build, values, x):
    """Les gradients de la somme des carrés de deux appels enchaînés, paramètre par paramètre."""
    layer = _gate_of(build, values)
    if layer is None:
        return None
    parameters, apply = layer
    entry = T.dmatrix("x")
    cost = (apply(apply(entry)) ** 2).sum()
    return engine.function([entry], engine.grad(cost, parameters))(np.array(x))


def momentum_steps(build, centres, start, rate, mu, steps):
    """Les paramètres après `steps` pas avec inertie ; le coût est la somme des carrés des écarts."""

    def with_inertia(cost, parameters, rate):
        return build(cost, parameters, rate, mu)

    return bowl_steps(with_inertia, centres, start, rate, steps)


def root_slopes(build, points, weights):
    """Les dérivées première et seconde de la somme de weights × y, où y + y³ = x."""
    x = T.dvector("x")
    if build(x, Root(build)(x), T.ones_like(x)) is None:
        return None
    slope = engine.grad((Root(build)(x) * np.array(weights)).sum(), x)
    second = engine.grad(slope.sum(), x, disconnected_inputs="ignore")
    return engine.function([x], [slope, second])(np.array(points))


class Root(engine.Op):
    """y tel que y + y³ = x, terme à terme ; `contribution` est l’effet que l’élève rend."""

    __props__ = ("contribution",)

    def __init__(self, contribution):
        self.contribution = contribution

    def make_node(self, x):
        return engine.Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        (x,) = inputs
        y = np.zeros_like(x)
        for _ in range(100):  # Newton ; la pente vaut au moins 1
            y = y - (y + y**3 - x) / (1 + 3 * y**2)
        output_storage[0][0] = y

    def L_op(self, inputs, outputs, output_grads):
        return [self.contribution(*inputs, *outputs, *output_grads)]


def _gate(build, n, seed=0):
    layer = build(n, np.random.default_rng(seed))
    if layer is None:
        return None
    parameters, apply = layer
    for parameter in parameters:
        if not isinstance(parameter, engine.SharedVariable):
            raise TypeError("un paramètre est une variable partagée (engine.shared)")
    return list(parameters), apply


def _gate_of(build, values):
    layer = _gate(build, len(values[0]))
    if layer is not None:
        for parameter, value in zip(layer[0], values, strict=True):
            parameter.set_value(np.array(value))
    return layer
