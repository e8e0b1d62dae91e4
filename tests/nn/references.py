"""Les optimiseurs en NumPy float64, écrits d’après les articles et sans rien du moteur.

Chaque référence est un générateur : on lui envoie un gradient, il rend le nouveau point.
"""

import numpy as np


def sgd(p, lr):
    while True:
        g = yield p
        p = p - lr * g


def momentum(p, lr, mu):
    v = np.zeros_like(p)
    while True:
        g = yield p
        v = mu * v - lr * g
        p = p + v


def nesterov(p, lr, mu):
    buffer = np.zeros_like(p)  # écrit comme le fait PyTorch, sans la vitesse signée
    while True:
        g = yield p
        buffer = mu * buffer + g
        p = p - lr * (g + mu * buffer)


def adagrad(p, lr, eps):
    s = np.zeros_like(p)
    while True:
        g = yield p
        s = s + g * g
        p = p - lr * g / (np.sqrt(s) + eps)


def rmsprop(p, lr, rho, eps):
    s = np.zeros_like(p)
    while True:
        g = yield p
        s = rho * s + (1 - rho) * g * g
        p = p - lr * g / (np.sqrt(s) + eps)


def adadelta(p, lr, rho, eps):
    s, d = np.zeros_like(p), np.zeros_like(p)
    while True:
        g = yield p
        s = rho * s + (1 - rho) * g * g
        delta = np.sqrt(d + eps) / np.sqrt(s + eps) * g
        d = rho * d + (1 - rho) * delta * delta
        p = p - lr * delta


def adamw(p, lr, beta1, beta2, eps, decay):
    m, s, t = np.zeros_like(p), np.zeros_like(p), 0
    while True:
        g = yield p
        t += 1
        p = p * (1 - lr * decay)
        m = beta1 * m + (1 - beta1) * g
        s = beta2 * s + (1 - beta2) * g * g
        p = p - lr * (m / (1 - beta1**t)) / (np.sqrt(s / (1 - beta2**t)) + eps)
