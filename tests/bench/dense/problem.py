"""Des couches denses et un softmax : la régression softmax de la leçon 6 n’a pas de couche cachée.

Opérations comptées : un produit à l’aller, un pour le gradient de chaque W, un pour celui de chaque
entrée sauf les images. Octets : les images lues deux fois ; chaque activation cachée écrite et lue
deux fois, son gradient écrit et lu deux fois ; W lu, son gradient écrit, W écrit.
"""

import itertools

import numpy as np

from tests.bench.protocol import Problem
from tests.bench.references import descend, output_gradient

PIXELS, CLASSES = 784, 10


def make_problem(batch=500, hidden=(), rate=0.13, n_batches=100, steps=300, checked=50):
    generator = np.random.default_rng(0)
    batches = []
    for _ in range(n_batches):
        x = generator.random((batch, PIXELS), dtype=np.float32)
        x *= x > 0.8  # comme des chiffres : surtout du fond
        batches.append((x, generator.integers(0, CLASSES, batch)))
    widths = [PIXELS, *hidden, CLASSES]
    initial = []
    for n_in, n_out in itertools.pairwise(widths):
        high = np.sqrt(6 / (n_in + n_out)) if len(initial) < 2 * len(hidden) else 0.0
        initial.append(generator.uniform(-high, high, (n_in, n_out)).astype("float32"))
        initial.append(np.zeros(n_out, "float32"))
    products = [2 * batch * W.size for W in initial[::2]]
    return Problem(
        title=f"Régression softmax, minilot de {batch}"
        if not hidden
        else f"{len(hidden)} couches denses de {hidden[0]}, minilot de {batch}",
        batches=batches,
        flop=3 * sum(products) - products[0],
        moved=4 * (2 * batch * PIXELS + 6 * batch * sum(hidden) + 3 * sum(p.size for p in initial)),
        reference=lambda count: _reference(initial, batches, rate, count),
        initial=initial,
        rate=rate,
        checked=checked,
        warm_up=min(20, steps),
        steps=steps,
        sizes={"batch": batch},
    )


def _reference(initial, batches, rate, count):
    parameters = [value.astype("float64") for value in initial]
    for index in range(count):
        x, y = batches[index % len(batches)]
        values = [x.astype("float64")]
        for W, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            values.append(np.tanh(values[-1] @ W + b))
        grad = output_gradient(values[-1] @ parameters[-2] + parameters[-1], y) / len(y)
        for layer in reversed(range(len(values))):
            W, b = parameters[2 * layer : 2 * layer + 2]
            below = grad @ W.T * (1 - values[layer] ** 2) if layer else None
            descend((W, b), (values[layer].T @ grad, grad.sum(axis=0)), rate)
            grad = below
    return parameters
