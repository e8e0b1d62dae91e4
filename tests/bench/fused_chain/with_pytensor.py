"""Avec PyTensor."""

import pytensor.tensor as pt

from tests.bench.libraries import with_pytensor


def make(problem):
    def build():
        x = value = pt.fvector("x")
        for _ in range(problem.sizes["links"]):
            value = pt.tanh(value) * pt.sigmoid(value) + 0.5 * value
        return [x], value

    return with_pytensor.mapping(problem, build)
