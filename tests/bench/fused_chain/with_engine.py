"""Avec notre moteur."""

import engine.tensor as T
from tests.bench.libraries import with_engine


def make(problem):
    def build():
        x = value = T.vector("x")
        for _ in range(problem.sizes["links"]):
            value = T.tanh(value) * T.nnet.sigmoid(value) + 0.5 * value
        return [x], value

    return with_engine.mapping(problem, build)
