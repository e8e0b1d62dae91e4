"""PyTorch, pas à pas ou compilé."""

import time

import torch

from tests.bench.protocol import Contestant

VERSION = torch.__version__.split("+")[0]


def _tensors(problem):
    return [tuple(torch.as_tensor(array) for array in batch) for batch in problem.batches]


def descent(problem, loss):
    """`loss(paramètres, *minilot)` rend le coût."""
    batches = _tensors(problem)
    parameters = [torch.tensor(array, requires_grad=True) for array in problem.initial]

    def step(index):
        cost = loss(parameters, *batches[index % len(batches)])
        grads = torch.autograd.grad(cost, parameters)
        with torch.no_grad():
            for parameter, grad in zip(parameters, grads, strict=True):
                parameter.add_(grad, alpha=-problem.rate)

    def reset():
        with torch.no_grad():
            for parameter, start in zip(parameters, problem.initial, strict=True):
                parameter.copy_(torch.as_tensor(start))

    begin = time.perf_counter()
    step(0)
    return Contestant(
        step=step,
        results=lambda: [parameter.detach().numpy() for parameter in parameters],
        reset=reset,
        version=VERSION,
        compile_seconds=time.perf_counter() - begin,
    )


def mapping(problem, compute):
    """`compute(*minilot)` rend la sortie ; rien ne s’apprend, rien n’est retenu pour dériver."""
    batches = _tensors(problem)
    last = [None]

    @torch.inference_mode()
    def step(index):
        last[0] = compute(*batches[index % len(batches)])

    begin = time.perf_counter()
    step(0)
    return Contestant(
        step=step,
        results=lambda: [value.numpy() for value in last],
        reset=lambda: None,
        version=VERSION,
        compile_seconds=time.perf_counter() - begin,
    )
