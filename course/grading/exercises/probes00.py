"""Sondes de l’exercice 00 : elles font calculer, chez l’élève, ce que rendent ses fonctions.

Chacune rend des nombres ; None quand la réponse est encore vide ; {"kind": type} quand elle n’est
pas de la sorte attendue.
"""

import engine
import engine.tensor as T

_GRAPHS = {
    "x**3": lambda x: x**3,
    "sin(2 * x)": lambda x: T.sin(2 * x),
    "exp(x) / 2": lambda x: T.exp(x) / 2,
    "x**2 + 5 * x": lambda x: x**2 + 5 * x,
}


def graph_value(build, value):
    """La valeur de `build(x)` en x = value."""
    return _evaluated(build, value, lambda x, y: y)


def graph_slope(build, value):
    """La dérivée de `build(x)` en x = value."""
    return _evaluated(build, value, lambda x, y: engine.grad(y, x, disconnected_inputs="ignore"))


def program_values(build, formula, values):
    """Ce que rend, en chaque valeur, la fonction compilée `build(x, y)`, y étant nommé."""
    x = T.dscalar("x")
    program = build(x, _GRAPHS[formula](x))
    if program is None:
        return None
    if not callable(program):
        return {"kind": type(program).__name__}
    return [program(value) for value in values]


def _evaluated(build, value, result):
    x = T.dscalar("x")
    y = build(x)
    if y is None:
        return None
    if not isinstance(y, T.Variable):
        return {"kind": type(y).__name__}
    return engine.function([x], result(x, y), on_unused_input="ignore")(value)
