"""Sonde de l’exercice 02 : compile, chez l’élève, la jacobienne que sa fonction construit."""

import numpy as np

import engine
import engine.tensor as T


def jacobian_value(build, A, B, x, count):
    """La valeur en x de `build(y, x, count)`, où y = B tanh(A x) ; None si la réponse est vide."""
    variable = T.dvector("x")
    output = T.dot(np.array(B), T.tanh(T.dot(np.array(A), variable)))
    built = build(output, variable, count)
    if built is None:
        return None
    return engine.function([variable], built, on_unused_input="ignore")(np.array(x))
