"""JAX, compilé par `jit`."""

import time

import jax
import jax.numpy as jnp
import numpy as np

from tests.bench.protocol import Contestant
from tests.bench.softmax_regression.work import (
    BATCH,
    CLASSES,
    N_BATCHES,
    PIXELS,
    RATE,
    batch,
    data,
)


def make(threads):
    pixels, labels = data()
    batches = [tuple(map(jnp.asarray, batch(pixels, labels, index))) for index in range(N_BATCHES)]

    def loss(parameters, x, y):
        W, b = parameters
        log_p = jax.nn.log_softmax(x @ W + b)
        return -log_p[jnp.arange(BATCH), y].mean()

    @jax.jit
    def update(parameters, x, y):
        cost, grads = jax.value_and_grad(loss)(parameters, x, y)
        return [v - RATE * g for v, g in zip(parameters, grads, strict=True)], cost

    state = {}

    def reset():
        state["p"] = [jnp.zeros((PIXELS, CLASSES)), jnp.zeros(CLASSES)]

    def step(index):
        x, y = batches[index % N_BATCHES]
        state["p"], cost = update(state["p"], x, y)
        return cost

    reset()
    begin = time.perf_counter()
    step(0)
    state["p"][0].block_until_ready()
    seconds = time.perf_counter() - begin
    return Contestant(
        step=step,
        parameters=lambda: [np.asarray(value) for value in state["p"]],
        reset=reset,
        version=jax.__version__,
        compile_seconds=seconds,
    )
