"""Avec PyTorch."""

import torch

from tests.bench.libraries import with_torch


def loss(parameters, x, y):
    """Le coût d’un minilot."""
    for W, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = torch.tanh(x @ W + b)
    return torch.nn.functional.cross_entropy(x @ parameters[-2] + parameters[-1], y)


def make(problem, compiled=False):
    return with_torch.descent(problem, torch.compile(loss) if compiled else loss)
