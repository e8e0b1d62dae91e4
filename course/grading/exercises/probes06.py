"""Sondes de l’exercice 06 : elles compilent, chez l’élève, ce que rendent ses fonctions.

Une expression symbolique ne se recopie pas d’un processus à l’autre ; ses valeurs, si. Chaque sonde
reçoit la fonction de l’élève et des nombres, construit le graphe, le compile, et rend des nombres.
Elle rend None quand la réponse est encore vide.
"""

import numpy as np

import engine
import engine.tensor as T


def likelihood_value(build, p, y):
    """La valeur de `build(p, y)` pour ces probabilités et ces étiquettes."""
    probabilities, labels, cost = _cost(build)
    if cost is None:
        return None
    evaluate = engine.function([probabilities, labels], cost, on_unused_input="ignore")
    return evaluate(_floats(p), np.array(y, dtype="int64"))


def likelihood_gradient(build, p, y):
    """La dérivée de `build(p, y)` par rapport à chaque probabilité."""
    probabilities, labels, cost = _cost(build)
    if cost is None:
        return None
    slope = engine.grad(cost, probabilities)
    evaluate = engine.function([probabilities, labels], slope, on_unused_input="ignore")
    return evaluate(_floats(p), np.array(y, dtype="int64"))


def regression_steps(build, data, start, rate, steps):
    """Les valeurs [w, b] après `steps` mises à jour d’une régression linéaire sur data = [x, t]."""
    x, target = map(_floats, data)
    w, b = (engine.shared(_floats(value), name=name) for value, name in zip(start, "wb", strict=True))
    cost = T.mean((T.dot(x, w) + b - target) ** 2)
    return _descend(build, cost, [w, b], rate, steps)


def bowl_steps(build, centres, start, rate, steps):
    """Les valeurs des paramètres après `steps` mises à jour ; le coût est la somme des carrés."""
    parameters = [engine.shared(_floats(value)) for value in start]
    squares = [
        T.sum((parameter - _floats(centre)) ** 2)
        for parameter, centre in zip(parameters, centres, strict=True)
    ]
    return _descend(build, sum(squares), parameters, rate, steps)


def _cost(build):
    probabilities, labels = T.matrix("p"), T.lvector("y")
    return probabilities, labels, build(probabilities, labels)


def _descend(build, cost, parameters, rate, steps):
    updates = build(cost, list(parameters), rate)
    if updates is None:
        return None
    step = engine.function([], [], updates=updates)
    for _ in range(steps):
        step()
    return [parameter.get_value() for parameter in parameters]


def _floats(value):
    return np.array(value, dtype=engine.config.floatX)
