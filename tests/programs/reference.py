"""Les mêmes calculs en NumPy (float64), gradients écrits à la main : la référence des programmes.

Chaque couche est un couple (aller, retour) : l’aller rend la sortie, le retour reçoit la dérivée du
coût par rapport à la sortie et rend celles par rapport aux entrées.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_cost(z, y):
    """L’entropie croisée moyenne de softmax(z), et sa dérivée par rapport à z."""
    p = softmax(z)
    rows = np.arange(len(y))
    dz = p.copy()
    dz[rows, y] -= 1
    return -np.log(p[rows, y]).mean(), dz / len(y)


def classify(x, W, b):
    return (x @ W + b).argmax(axis=1)


def convolve(x, filters):
    """Convolution « valid » : la somme des produits avec les filtres retournés."""
    windows = sliding_window_view(x, filters.shape[2:], axis=(2, 3))
    return np.einsum("bchwuv,ocuv->bohw", windows, filters[:, :, ::-1, ::-1])


def convolve_back(x, filters, g):
    """Les dérivées par rapport à x et aux filtres."""
    height, width = filters.shape[2:]
    windows = sliding_window_view(x, (height, width), axis=(2, 3))
    d_filters = np.einsum("bchwuv,bohw->ocuv", windows, g)[:, :, ::-1, ::-1]
    dx = np.zeros_like(x)
    flipped = filters[:, :, ::-1, ::-1]
    for u in range(height):
        for v in range(width):
            place = dx[:, :, u : u + g.shape[2], v : v + g.shape[3]]
            place += np.einsum("bohw,oc->bchw", g, flipped[:, :, u, v])
    return dx, d_filters


def max_pool(x):
    """Le maximum de chaque fenêtre 2 × 2, et la place d’où il vient."""
    b, c, h, w = x.shape
    blocks = x.reshape(b, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    blocks = blocks.reshape(b, c, h // 2, w // 2, 4)
    return blocks.max(axis=-1), blocks.argmax(axis=-1)


def max_pool_back(places, g):
    b, c, h, w = g.shape
    blocks = np.zeros((*g.shape, 4))
    np.put_along_axis(blocks, places[..., None], g[..., None], axis=-1)
    blocks = blocks.reshape(b, c, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return blocks.reshape(b, c, 2 * h, 2 * w)


def autoencode(x, noisy, W, b, b_prime):
    """Le coût d’un auto-encodeur à poids liés, et les dérivées de W, b et b_prime."""
    hidden = sigmoid(noisy @ W + b)
    z = sigmoid(hidden @ W.T + b_prime)
    cost = -(x * np.log(z) + (1 - x) * np.log(1 - z)).sum(axis=1).mean()
    d_out = (z - x) / len(x)
    d_in = d_out @ W * hidden * (1 - hidden)
    return cost, (d_out.T @ hidden + noisy.T @ d_in, d_in.sum(axis=0), d_out.sum(axis=0))


def step(params, grads, rate):
    """Un pas de descente de gradient, sur place."""
    for param, grad in zip(params, grads, strict=True):
        param[...] -= rate * grad
