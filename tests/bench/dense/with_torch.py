"""Avec PyTorch."""

import torch

from tests.bench.libraries import with_torch


def make(problem, compiled=False):
    def loss(parameters, x, y):
        for W, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            x = torch.tanh(x @ W + b)
        return torch.nn.functional.cross_entropy(x @ parameters[-2] + parameters[-1], y)

    return with_torch.descent(problem, torch.compile(loss) if compiled else loss)
