"""Sondes de l’exercice 08 : elles compilent, chez l’élève, les boucles que rendent ses fonctions.

Chaque sonde reçoit la fonction de l’élève et des nombres, construit le graphe une seule fois, et
rend des nombres. Elle rend None quand la réponse est encore vide.
"""

import engine
import engine.tensor as T
from course.typography import typeset


def smoothing_values(build, x, alpha):
    """Les valeurs de `build(x, alpha)`."""
    return _value(build, [T.dvector("x"), T.dscalar("alpha")], x, alpha)


def smoothing_gradient(build, x, alpha):
    """L’effet de chaque élément de x sur la dernière valeur de `build(x, alpha)`."""
    series, rate = T.dvector("x"), T.dscalar("alpha")
    result = _expression(build, [series, rate])
    if result is None:
        return None
    slope = engine.grad(result[-1], series)
    return engine.function([series, rate], slope, on_unused_input="ignore")(x, alpha)


def oscillator_values(build, start, c, counts):
    """Les valeurs de `build(start, c, n)` pour chaque n de `counts` : une seule compilation."""
    inputs = [T.dvector("depart"), T.dscalar("c"), T.lscalar("n")]
    return _values(build, inputs, [(start, c, n) for n in counts])


def heron_values(build, a, precision):
    """Les valeurs successives de `build(a, precision)`."""
    return _value(build, [T.dscalar("a"), T.dscalar("precision")], a, precision)


def _value(build, inputs, *call):
    values = _values(build, inputs, [call])
    return values and values[0]


def _values(build, inputs, calls):
    result = _expression(build, inputs)
    if result is None:
        return None
    f = engine.function(inputs, result, on_unused_input="ignore")
    return [f(*call) for call in calls]


def _expression(build, inputs):
    result = build(*inputs)
    if isinstance(result, tuple):
        raise TypeError(
            typeset(
                "la réponse est un couple ; scan rend (sorties, mises à jour) : ne gardez que les "
                "sorties"
            )
        )
    return result
