"""JAX, compilé par `jit`."""

import time

import jax
import jax.numpy as jnp
import numpy as np

from tests.bench.protocol import Contestant


def _arrays(problem):
    """Les minilots, copiés un à un à la place des tableaux, qui ne comptent pas deux fois."""
    for index, batch in enumerate(problem.batches):
        problem.batches[index] = tuple(jnp.array(array) for array in batch)
    return problem.batches


def descent(problem, loss):
    """`loss(paramètres, *minilot)` rend le coût ; les anciens paramètres donnent leur place."""
    batches, state = _arrays(problem), {}

    def update(parameters, *batch):
        cost, grads = jax.value_and_grad(loss)(parameters, *batch)
        return [v - problem.rate * g for v, g in zip(parameters, grads, strict=True)], cost

    update = jax.jit(update, donate_argnums=0)

    def reset():
        state["p"] = [jnp.array(array) for array in problem.initial]

    def step(index):
        state["p"], _ = update(state["p"], *batches[index % len(batches)])

    reset()
    begin = time.perf_counter()
    step(0)
    jax.block_until_ready(state["p"])
    return Contestant(
        step=step,
        results=lambda: [np.asarray(value) for value in jax.block_until_ready(state["p"])],
        reset=reset,
        version=jax.__version__,
        compile_seconds=time.perf_counter() - begin,
    )


def mapping(problem, compute):
    """`compute(*minilot)` rend la sortie."""
    batches, last = _arrays(problem), [None]
    compute = jax.jit(compute)

    def step(index):
        last[0] = compute(*batches[index % len(batches)])

    begin = time.perf_counter()
    step(0)
    jax.block_until_ready(last)
    return Contestant(
        step=step,
        results=lambda: [np.asarray(value) for value in jax.block_until_ready(last)],
        reset=lambda: None,
        version=jax.__version__,
        compile_seconds=time.perf_counter() - begin,
    )
