"""PyTorch, pas à pas ou compilé."""

import time

import torch

from tests.bench.protocol import Contestant
from tests.bench.softmax_regression.work import CLASSES, PIXELS, RATE, batch, data


def make(threads, compiled=False):
    torch.set_num_threads(threads)
    pixels, labels = (torch.from_numpy(array) for array in data())
    W = torch.zeros((PIXELS, CLASSES), requires_grad=True)
    b = torch.zeros(CLASSES, requires_grad=True)

    def loss(x, y):
        return torch.nn.functional.cross_entropy(x @ W + b, y)

    begin = time.perf_counter()
    forward = torch.compile(loss) if compiled else loss

    def step(index):
        x, y = batch(pixels, labels, index)
        cost = forward(x, y)
        gW, gb = torch.autograd.grad(cost, [W, b])
        with torch.no_grad():
            W.sub_(RATE * gW)
            b.sub_(RATE * gb)
        return cost

    step(0)

    def reset():
        with torch.no_grad():
            W.zero_()
            b.zero_()

    seconds = time.perf_counter() - begin
    return Contestant(
        step=step,
        parameters=lambda: [W.detach().numpy(), b.detach().numpy()],
        reset=reset,
        version=torch.__version__.split("+")[0],
        compile_seconds=seconds,
    )
