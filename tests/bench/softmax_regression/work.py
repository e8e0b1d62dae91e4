"""La régression softmax de la leçon 6 : un pas de descente sur un minilot de 500 images.

Ici les données et les constantes ; à côté, un fichier par bibliothèque.
"""

import numpy as np

NAME = "softmax_regression"
TITLE = "Régression softmax, minilot de 500, float32"
BATCH, PIXELS, CLASSES, RATE = 500, 784, 10, 0.13
N_BATCHES = 100
WARM_UP, STEPS = 20, 300
FLOP = 4 * BATCH * PIXELS * CLASSES  # un produit à l’aller, un pour le gradient de W
BYTES = 2 * BATCH * PIXELS * 4 + 3 * PIXELS * CLASSES * 4  # x lu deux fois, W lu, gradient, W écrit


def data():
    """Des pixels et des étiquettes au hasard, les mêmes pour tous."""
    generator = np.random.default_rng(0)
    x = generator.random((N_BATCHES * BATCH, PIXELS), dtype=np.float32)
    x *= x > 0.8  # comme des chiffres : surtout du fond
    return x, generator.integers(0, CLASSES, N_BATCHES * BATCH)


def batch(x, y, index):
    rows = slice(index % N_BATCHES * BATCH, (index % N_BATCHES + 1) * BATCH)
    return x[rows], y[rows]


def reference_parameters(steps):
    """Les paramètres après `steps` pas, en NumPy float64."""
    x, y = data()
    weights, bias = np.zeros((PIXELS, CLASSES)), np.zeros(CLASSES)
    for index in range(steps):
        images, labels = batch(x, y, index)
        images = images.astype("float64")
        scores = images @ weights + bias
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(BATCH), labels] -= 1
        p /= BATCH
        weights -= RATE * images.T @ p
        bias -= RATE * p.sum(axis=0)
    return weights, bias


CONTENDERS = {  # nom -> (module, options)
    "engine": ("with_engine", {}),
    "torch": ("with_torch", {}),
    "torch_compile": ("with_torch", {"compiled": True}),
    "jax": ("with_jax", {}),
}
