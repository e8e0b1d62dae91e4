"""Avec PyTorch."""

import torch

from tests.bench.libraries import with_torch


def make(problem, compiled=False):
    W, b = map(torch.as_tensor, problem.initial)

    def compute(x):
        return torch.sigmoid(torch.addmm(b, x, W))

    return with_torch.mapping(problem, torch.compile(compute) if compiled else compute)
