"""Avec notre moteur."""

import engine
import engine.tensor as T
from tests.bench.libraries import with_engine


def make(problem):
    def build():
        x, (W, b) = T.matrix("x"), map(engine.shared, problem.initial)
        return [x], T.nnet.sigmoid(T.dot(x, W) + b)

    return with_engine.mapping(problem, build)
