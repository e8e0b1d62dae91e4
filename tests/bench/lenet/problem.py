"""LeNet comme dans les deux cours : deux convolutions 5 × 5, chacune suivie d’un maximum 2 × 2, une
couche de 500 tanh, un softmax ; images de 28 × 28.

Convention des filtres : corrélation, comme PyTorch et JAX ; notre `conv2d` les retourne. Les pixels
sont tirés sans zéros : un fond uni ferait des ex æquo dans les maximums, que chaque bibliothèque
départage à sa façon.

Opérations comptées : aller, gradient des poids, gradient des entrées sauf celui des images.
Octets : les images lues deux fois ; chaque valeur après le maximum écrite et lue deux fois, son
gradient écrit et lu deux fois ; chaque paramètre lu, son gradient écrit, le paramètre écrit.
"""

import numpy as np

from tests.bench.protocol import Problem
from tests.bench.references import descend, output_gradient

SIDE, FILTER, CLASSES = 28, 5, 10


def make_problem(maps=(20, 50), batch=500, hidden=500, n_batches=10, steps=5, checked=10):
    generator = np.random.default_rng(0)
    batches = [
        (
            generator.random((batch, 1, SIDE, SIDE), dtype=np.float32),
            generator.integers(0, CLASSES, batch),
        )
        for _ in range(n_batches)
    ]
    first, second = maps
    shapes = [(first, 1, FILTER, FILTER), (second, first, FILTER, FILTER)]
    shapes += [(16 * second, hidden), (hidden, CLASSES)]
    initial = []
    for shape in shapes:
        n_in, n_out = (shape[1] * 25, shape[0] * 25 / 4) if len(shape) == 4 else shape
        high = np.sqrt(6 / (n_in + n_out))
        initial.append(generator.uniform(-high, high, shape).astype("float32"))
        initial.append(np.zeros(shape[0] if len(shape) == 4 else shape[1], "float32"))
    pixels = [24 * 24, 8 * 8, 1, 1]
    products = [2 * batch * n * W.size for n, W in zip(pixels, initial[::2], strict=True)]
    values = batch * (first * 12 * 12 + second * 4 * 4 + hidden)
    return Problem(
        title=f"LeNet {first}/{second}, minilot de {batch}",
        batches=batches,
        flop=3 * sum(products) - products[0],
        moved=4 * (2 * batch * SIDE**2 + 6 * values + 3 * sum(p.size for p in initial)),
        reference=lambda count: _reference(initial, batches, count),
        initial=initial,
        checked=checked,
        steps=steps,
    )


def _reference(initial, batches, count, rate=0.1):
    parameters = [value.astype("float64") for value in initial]
    W1, b1, W2, b2, W3, b3, W4, b4 = parameters
    for index in range(count):
        x, y = batches[index % len(batches)]
        n = len(y)
        rows1, maps1 = _convolve(x.astype("float64"), W1, b1)
        where1, h1 = _pool(maps1)
        rows2, maps2 = _convolve(h1, W2, b2)
        where2, h2 = _pool(maps2)
        flat = h2.reshape(n, -1)
        h3 = np.tanh(flat @ W3 + b3)
        g4 = output_gradient(h3 @ W4 + b4, y) / n
        g3 = g4 @ W4.T * (1 - h3**2)
        g2 = _unpool((g3 @ W3.T).reshape(h2.shape) * (1 - h2**2), where2)
        g1 = _unpool(_unconvolve(g2, W2, h1.shape) * (1 - h1**2), where1)
        grads = [
            *_filter_gradient(g1, rows1, W1.shape),
            *_filter_gradient(g2, rows2, W2.shape),
            flat.T @ g3,
            g3.sum(axis=0),
            h3.T @ g4,
            g4.sum(axis=0),
        ]
        descend(parameters, grads, rate)
    return parameters


def _convolve(x, W, b):
    """Les fenêtres de x, une par ligne, et la corrélation de x avec W."""
    windows = np.lib.stride_tricks.sliding_window_view(x, W.shape[2:], axis=(2, 3))
    n, _, height, width = windows.shape[:4]
    rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * height * width, -1)
    maps = rows @ W.reshape(len(W), -1).T + b
    return rows, maps.reshape(n, height, width, len(W)).transpose(0, 3, 1, 2)


def _unconvolve(grad, W, shape):
    """Le gradient de la corrélation par rapport à son entrée."""
    below = np.zeros(shape)
    height, width = grad.shape[2:]
    for i in range(W.shape[2]):
        for j in range(W.shape[3]):
            part = np.einsum("nohw,oc->nchw", grad, W[:, :, i, j], optimize=True)
            below[:, :, i : i + height, j : j + width] += part
    return below


def _filter_gradient(grad, rows, shape):
    by_row = grad.transpose(0, 2, 3, 1).reshape(-1, shape[0])
    return (by_row.T @ rows).reshape(shape), by_row.sum(axis=0)


def _pool(maps):
    """La place du maximum de chaque carré de 2 × 2, et tanh de ce maximum."""
    n, c, height, width = maps.shape
    squares = maps.reshape(n, c, height // 2, 2, width // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    squares = squares.reshape(n, c, height // 2, width // 2, 4)
    return squares.argmax(axis=-1), np.tanh(squares.max(axis=-1))


def _unpool(grad, where):
    n, c, height, width = grad.shape
    squares = (np.arange(4) == where[..., None]) * grad[..., None]
    squares = squares.reshape(n, c, height, width, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return squares.reshape(n, c, 2 * height, 2 * width)
