"""Avec PyTorch."""

import torch

from tests.bench.libraries import with_torch


def make(problem, compiled=False):
    def compute(value):
        for _ in range(problem.sizes["links"]):
            value = torch.tanh(value) * torch.sigmoid(value) + 0.5 * value
        return value

    return with_torch.mapping(problem, torch.compile(compute) if compiled else compute)
