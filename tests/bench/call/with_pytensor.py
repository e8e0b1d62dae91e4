"""Avec PyTensor."""

import pytensor
import pytensor.tensor as pt

from tests.bench.libraries import with_pytensor


def make(problem):
    def build():
        x, (W, b) = pt.fmatrix("x"), map(pytensor.shared, problem.initial)
        return [x], pt.sigmoid(x @ W + b)

    return with_pytensor.mapping(problem, build)
