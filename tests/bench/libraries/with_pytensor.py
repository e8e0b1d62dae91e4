"""PyTensor, tel qu’il s’installe : il compile avec Numba."""

import time

import pytensor
import pytensor.tensor as pt

from tests.bench.protocol import Contestant

pytensor.config.floatX = "float32"


def descent(problem, build):
    """`build(paramètres)` rend (entrées, coût)."""
    parameters = [pytensor.shared(array.copy()) for array in problem.initial]
    begin = time.perf_counter()
    inputs, cost = build(parameters)
    grads = pt.grad(cost, parameters)
    updates = [(v, v - problem.rate * g) for v, g in zip(parameters, grads, strict=True)]
    train = pytensor.function(inputs, cost, updates=updates)
    train(*problem.batch(0))
    seconds = time.perf_counter() - begin

    def reset():
        for parameter, start in zip(parameters, problem.initial, strict=True):
            parameter.set_value(start)

    return Contestant(
        step=lambda index: train(*problem.batch(index)),
        results=lambda: [parameter.get_value() for parameter in parameters],
        reset=reset,
        version=pytensor.__version__,
        compile_seconds=seconds,
    )


def mapping(problem, build):
    """`build()` rend (entrées, sortie)."""
    begin = time.perf_counter()
    compute = pytensor.function(*build())
    last = [compute(*problem.batch(0))]
    seconds = time.perf_counter() - begin

    def step(index):
        last[0] = compute(*problem.batch(index))

    return Contestant(
        step=step,
        results=lambda: last,
        reset=lambda: None,
        version=pytensor.__version__,
        compile_seconds=seconds,
    )
