"""Un modèle de caractères : une table de vecteurs, une couche LSTM, un softmax par caractère.

Les suites ont des longueurs différentes : un masque garde l’état au-delà de la fin, et le coût n’y
compte pas. Ordre des blocs : i, f, o, g.

Opérations comptées : le produit de l’entrée, celui de l’état, celui du softmax, et deux fois autant
pour les gradients. Octets, par pas, exemple et unité : les quatre portes écrites et relues, leurs
gradients de même, h et c écrits et lus à l’aller, lus au retour : 22 nombres.
"""

import numpy as np

from tests.bench.protocol import Problem
from tests.bench.references import descend, output_gradient

SYMBOLS, VECTOR = 50, 50


def make_problem(units=50, batch=100, length=100, n_batches=5, steps=5, checked=10):
    generator = np.random.default_rng(0)
    batches = []
    for _ in range(n_batches):
        text = generator.integers(0, SYMBOLS, (length + 1, batch))
        ends = generator.integers(length // 2, length + 1, batch)
        mask = (np.arange(length)[:, None] < ends).astype("float32")
        batches.append((text[:-1].copy(), text[1:].copy(), mask))
    shapes = [(SYMBOLS, VECTOR), (VECTOR, 4 * units), (units, 4 * units), (4 * units,)]
    shapes += [(units, SYMBOLS), (SYMBOLS,)]
    initial = []
    for shape in shapes:
        high = np.sqrt(6 / sum(shape)) if len(shape) == 2 else 0.0
        initial.append(generator.uniform(-high, high, shape).astype("float32"))
    initial[3][units : 2 * units] = 1  # au départ, la cellule se souvient
    rows = length * batch
    return Problem(
        title=f"LSTM de {units} unités, minilot de {batch}, {length} pas",
        batches=batches,
        flop=3 * 2 * rows * sum(initial[i].size for i in (1, 2, 4)),
        moved=4 * 22 * rows * units,
        reference=lambda count: _reference(initial, batches, count),
        initial=initial,
        checked=checked,
        warm_up=1,
        steps=steps,
        sizes={"units": units, "batch": batch},
    )


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _reference(initial, batches, count, rate=0.1):
    parameters = [value.astype("float64") for value in initial]
    table, W, U, b, V, d = parameters
    for index in range(count):
        x, y, mask = batches[index % len(batches)]
        steps, state = _forward(table[x] @ W + b, mask, U)
        output = np.stack(state[1:])[:, 0]
        grad = output_gradient((output @ V + d).reshape(-1, SYMBOLS), y.ravel())
        grad = (grad * (mask / mask.sum()).reshape(-1, 1)).reshape(*y.shape, SYMBOLS)
        inner, gU = _backward(steps, state, mask, U, grad @ V.T)
        gV = np.tensordot(output, grad, ((0, 1), (0, 1)))
        gd = grad.sum(axis=(0, 1))
        gW = np.tensordot(table[x], inner, ((0, 1), (0, 1)))
        gtable = np.zeros_like(table)
        np.add.at(gtable, x, inner @ W.T)
        grads = [gtable, gW, gU, inner.sum(axis=(0, 1)), gV, gd]
        descend(parameters, grads, rate)
    return parameters


def _forward(projected, mask, U):
    """Les portes de chaque pas, et les états (h, c), celui de départ compris."""
    n = len(U)
    steps, state = [], [np.zeros((2, projected.shape[1], n))]
    for row, present in zip(projected, mask[:, :, None], strict=True):
        h, c = state[-1]
        scores = row + h @ U
        i, f, o = (_sigmoid(scores[:, k * n : (k + 1) * n]) for k in range(3))
        g = np.tanh(scores[:, 3 * n :])
        new_c = f * c + i * g
        steps.append((i, f, o, g, new_c))
        new = np.stack([o * np.tanh(new_c), new_c])
        state.append(present * new + (1 - present) * state[-1])
    return steps, state


def _backward(steps, state, mask, U, output_grad):
    """Le gradient par rapport aux scores de chaque pas, et par rapport à U."""
    dh, dc = np.zeros_like(state[0])
    inner, gU = np.zeros((*output_grad.shape[:2], U.shape[1])), np.zeros_like(U)
    for t in reversed(range(len(steps))):
        i, f, o, g, new_c = steps[t]
        present, (h, c) = mask[t][:, None], state[t]
        dh = dh + output_grad[t]
        new_dh, new_dc = present * dh, present * dc
        squashed = np.tanh(new_c)
        new_dc = new_dc + new_dh * o * (1 - squashed**2)
        inner[t] = np.concatenate(
            [
                new_dc * g * i * (1 - i),
                new_dc * c * f * (1 - f),
                new_dh * squashed * o * (1 - o),
                new_dc * i * (1 - g**2),
            ],
            axis=1,
        )
        gU += h.T @ inner[t]
        dh = (1 - present) * dh + inner[t] @ U.T
        dc = (1 - present) * dc + new_dc * f
    return inner, gU
