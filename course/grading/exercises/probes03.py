"""Sondes de l’exercice 03 : elles construisent les graphes et les compilent, chez l’élève.

Une expression symbolique ne se recopie pas d’un processus à l’autre ; ses valeurs, si. Une sonde
rend None quand la réponse est encore vide.
"""

import numpy as np

import engine
import engine.tensor as T
from engine.core.compiler import Function
from engine.tensor import nlinalg

a, b, c = T.dscalars("abc")
shared_sum = a + b


def double(x):
    return x + x


EXPRESSIONS = {
    "a": a,
    "tanh(exp(sin(a)))": T.tanh(T.exp(T.sin(a))),
    "a + exp(b * sin(c))": a + T.exp(b * T.sin(c)),
    "(a + b) * exp(a + b)": shared_sum * T.exp(shared_sum),
    "doubler(doubler(doubler(a)))": double(double(double(a))),
    "q + r, où q, r = qr(X)": T.add(*nlinalg.qr(T.dmatrix("X"))),
}


def distances_value(build, x, centre):
    """La valeur de `build(x, centre)`."""
    rows, point = T.dmatrix("x"), T.dvector("centre")
    answer = build(rows, point)
    if answer is None:
        return None
    return engine.function([rows, point], answer, on_unused_input="ignore")(x, centre)


def node_count(count, text):
    """Ce que `count` rend pour l’une des `EXPRESSIONS`."""
    return count(EXPRESSIONS[text])


def ask_one(build, kind, rank, data, weights):
    """Les résultats de la fonction `rank` de l’élève, pour chaque jeu de poids (W, b)."""
    x, y = T.dmatrix("x"), T.dvector("y")
    W, bias = engine.shared(np.zeros(3), name="W"), engine.shared(0.0, name="b")
    score = T.dot(x, W) + bias
    out = T.nnet.sigmoid(score) if kind == "sigmoïde" else T.tanh(score)
    cost = ((out - y) ** 2).sum() if kind == "sigmoïde" else abs(out - y).mean()
    functions = build(x, y, out, cost)
    if functions is None:
        return None
    if not isinstance(functions, (tuple, list)) or len(functions) != 3:
        raise TypeError("trois_fonctions doit rendre trois fonctions : predire, suivre, juger")
    function = _callable(functions[rank])
    names = ("x",), ("x", "y"), ("out", "y")
    results = []
    for w, value in weights:
        W.set_value(np.array(w))
        bias.set_value(value)
        results.append(function(*(data[name] for name in names[rank])))
    return results


def train_steps(build, data, start, rate, steps):
    """{coûts, w, b, compteur} après `steps` appels de la fonction d’entraînement de l’élève."""
    x, y = T.dmatrix("x"), T.dvector("y")
    W, bias = (engine.shared(np.array(value), name=n) for value, n in zip(start, "Wb", strict=True))
    counter = engine.shared(0, name="compteur")
    cost = ((T.dot(x, W) + bias - y) ** 2).sum()
    step = build(x, y, cost, [W, bias], counter, rate)
    if step is None:
        return None
    costs = [_callable(step)(*data) for _ in range(steps)]
    return dict(costs=costs, w=W.get_value(), b=bias.get_value(), count=counter.get_value())


def swap(build, first, second):
    """Les valeurs [u, v] : au départ, après un appel, après deux, après un changement de u."""
    u, v = (
        engine.shared(np.array(value), name=n)
        for value, n in zip((first, second), "uv", strict=True)
    )
    step = build(u, v)
    if step is None:
        return None
    if not isinstance(step, Function):
        raise TypeError(f"j'attendais ce que rend engine.function, j'ai reçu {type(step).__name__}")
    stages = {}
    for stage in ("start", "once", "twice", "changed"):
        if stage == "changed":
            u.set_value(np.array([9.0, 8.0]))
        if stage != "start":
            step()
        stages[stage] = [u.get_value(), v.get_value()]
    return stages


def _callable(function):
    if not callable(function):
        raise TypeError(f"j'attendais une fonction compilée, j'ai reçu {type(function).__name__}")
    return function
