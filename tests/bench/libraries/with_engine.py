"""Notre moteur."""

import time
from importlib.metadata import version

import engine
from tests.bench.protocol import Contestant


def _start():
    engine.config.floatX = "float32"
    engine.Mode()  # charge Numba : importer n’est pas compiler
    return time.perf_counter()


def descent(problem, build, export=list):
    """`build()` rend (entrées, coût, paramètres) ; `export` remet les tableaux à la convention."""
    begin = _start()
    inputs, cost, parameters = build()
    starts = [parameter.get_value() for parameter in parameters]
    grads = engine.grad(cost, parameters)
    updates = [(v, v - problem.rate * g) for v, g in zip(parameters, grads, strict=True)]
    train = engine.function(inputs, cost, updates=updates)
    train(*problem.batch(0))
    seconds = time.perf_counter() - begin

    def reset():
        for parameter, start in zip(parameters, starts, strict=True):
            parameter.set_value(start)

    return Contestant(
        step=lambda index: train(*problem.batch(index)),
        results=lambda: export([parameter.get_value() for parameter in parameters]),
        reset=reset,
        version=f"numba {version('numba')}",
        compile_seconds=seconds,
    )


def mapping(problem, build):
    """`build()` rend (entrées, sortie)."""
    begin = _start()
    compute = engine.function(*build())
    last = [compute(*problem.batch(0))]
    seconds = time.perf_counter() - begin

    def step(index):
        last[0] = compute(*problem.batch(index))

    return Contestant(
        step=step,
        results=lambda: last,
        reset=lambda: None,
        version=f"numba {version('numba')}",
        compile_seconds=seconds,
    )
