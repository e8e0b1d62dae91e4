"""Ce que les références en NumPy float64 ont en commun."""

import numpy as np


def output_gradient(scores, labels):
    """Le gradient, par rapport aux scores, de l’entropie croisée de chaque exemple."""
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return p


def descend(parameters, grads, rate):
    """Un pas de descente de gradient, sur place."""
    for value, grad in zip(parameters, grads, strict=True):
        np.subtract(value, rate * grad, out=value)
