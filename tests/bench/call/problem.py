"""L’appel d’une fonction minuscule : sigmoid(x W + b), x de forme (1, 4), W (4, 3), b (3,).

Ce qui se mesure est le coût d’un appel ; les W et b sont partagés, là où la bibliothèque sait.
"""

import numpy as np

from tests.bench.protocol import Problem


def make_problem(steps=20_000):
    generator = np.random.default_rng(0)
    x, W, b = (generator.standard_normal(s, dtype=np.float32) for s in ((1, 4), (4, 3), 3))

    def reference(count):
        return [1 / (1 + np.exp(-(x.astype("float64") @ W + b)))]

    return Problem(
        title="Appel de sigmoid(x W + b), 4 × 3",
        batches=[(x,)],
        flop=2 * W.size,
        moved=4 * (x.size + W.size + 2 * b.size),
        reference=reference,
        initial=[W, b],
        checked=1,
        warm_up=1000,
        steps=steps,
    )
