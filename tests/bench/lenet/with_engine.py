"""Avec notre moteur."""

import numpy as np

import engine.tensor as T
from engine.nn.layers import Convolution, Dense, Flatten, Pooling, chain
from tests.bench.libraries import with_engine


def flipped(parameters):
    """Les filtres retournés : de la corrélation à la convolution, et retour."""
    return [np.ascontiguousarray(v[:, :, ::-1, ::-1]) if v.ndim == 4 else v for v in parameters]


def build(problem):
    """(entrées, coût, paramètres)"""
    W1, b1, W2, b2, W3, b3, W4, b4 = flipped(problem.initial)
    x, y = T.tensor4("x"), T.lvector("y")
    model = chain(
        Convolution(1, len(b1), 5, W=W1, b=b1),
        Pooling(2),
        T.tanh,
        Convolution(len(b1), len(b2), 5, W=W2, b=b2),
        Pooling(2),
        T.tanh,
        Flatten(),
        Dense(*W3.shape, activation=T.tanh, W=W3, b=b3),
        Dense(*W4.shape, activation=T.nnet.softmax, W=W4, b=b4),
    )
    cost = -T.mean(T.log(model(x))[T.arange(y.shape[0]), y])
    return [x, y], cost, model.parameters


def make(problem):
    return with_engine.descent(problem, lambda: build(problem), flipped)
