"""Avec notre moteur."""

import engine.tensor as T
from engine.nn.layers import Dense, chain
from tests.bench.libraries import with_engine


def build(problem):
    """(entrées, coût, paramètres)"""
    x, y = T.matrix("x"), T.lvector("y")
    pairs = list(zip(problem.initial[::2], problem.initial[1::2], strict=True))
    model = chain(
        *(Dense(*W.shape, activation=T.tanh, W=W, b=b) for W, b in pairs[:-1]),
        Dense(*pairs[-1][0].shape, activation=T.nnet.softmax, W=pairs[-1][0], b=pairs[-1][1]),
    )
    cost = -T.mean(T.log(model(x))[T.arange(y.shape[0]), y])
    return [x, y], cost, model.parameters


def make(problem):
    return with_engine.descent(problem, lambda: build(problem))
