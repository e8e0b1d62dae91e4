"""Avec PyTorch."""

import torch
from torch.nn.functional import conv2d, cross_entropy, max_pool2d

from tests.bench.libraries import with_torch


def loss(parameters, x, y):
    """Le coût d’un minilot."""
    W1, b1, W2, b2, W3, b3, W4, b4 = parameters
    h = torch.tanh(max_pool2d(conv2d(x, W1, b1), 2))
    h = torch.tanh(max_pool2d(conv2d(h, W2, b2), 2))
    h = torch.tanh(h.flatten(1) @ W3 + b3)
    return cross_entropy(h @ W4 + b4, y)


def make(problem, compiled=False):
    return with_torch.descent(problem, torch.compile(loss) if compiled else loss)
