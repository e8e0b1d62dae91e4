"""Une chaîne de fonctions terme à terme : tanh(x) sigmoid(x) + x / 2, répétée `links` fois.

Octets comptés : x lu, le résultat écrit, une fois pour toute la chaîne.
"""

import numpy as np

from tests.bench.protocol import Problem


def make_problem(size=10_000_000, links=1, steps=3):
    generator = np.random.default_rng(0)
    x = generator.standard_normal(size, dtype=np.float32)

    def reference(count):
        value = x.astype("float64")
        for _ in range(links):
            value = np.tanh(value) / (1 + np.exp(-value)) + 0.5 * value
        return [value]

    return Problem(
        title=f"Chaîne de {links} fois tanh(x) sigmoid(x) + x/2, {size} éléments",
        batches=[(x,)],
        flop=0,
        moved=2 * x.nbytes,
        reference=reference,
        checked=1,
        steps=steps,
        sizes={"links": links},
    )
