"""Avec PyTensor."""

import pytensor.tensor as pt

from tests.bench.libraries import with_pytensor


def make(problem):
    def build(parameters):
        x, y = pt.fmatrix("x"), pt.lvector("y")
        value = x
        for W, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            value = pt.tanh(value @ W + b)
        log_p = pt.special.log_softmax(value @ parameters[-2] + parameters[-1], axis=1)
        return [x, y], -log_p[pt.arange(y.shape[0]), y].mean()

    return with_pytensor.descent(problem, build)
