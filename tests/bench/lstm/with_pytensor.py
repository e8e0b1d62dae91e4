"""Avec PyTensor."""

import pytensor
import pytensor.tensor as pt

from tests.bench.libraries import with_pytensor


def make(problem):
    n, batch = problem.sizes["units"], problem.sizes["batch"]

    def step(row, present, h, c, U):
        scores = row + h @ U
        i, f, o = (pt.sigmoid(scores[:, k * n : (k + 1) * n]) for k in range(3))
        new_c = f * c + i * pt.tanh(scores[:, 3 * n :])
        keep = present[:, None]
        return keep * o * pt.tanh(new_c) + (1 - keep) * h, keep * new_c + (1 - keep) * c

    def build(parameters):
        table, W, U, b, V, d = parameters
        x, y, mask = pt.lmatrix("x"), pt.lmatrix("y"), pt.fmatrix("mask")
        start = pt.zeros((batch, n), dtype="float32")
        outputs = pytensor.scan(
            step, [table[x] @ W + b, mask], [start, start], [U], strict=True, return_updates=False
        )[0]
        labels, weights = y.flatten(), mask.flatten()
        scores = outputs.reshape((-1, n)) @ V + d
        log_p = pt.special.log_softmax(scores, axis=1)[pt.arange(labels.shape[0]), labels]
        return [x, y, mask], -(log_p * weights).sum() / weights.sum()

    return with_pytensor.descent(problem, build)
