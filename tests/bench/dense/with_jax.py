"""Avec JAX."""

import jax
import jax.numpy as jnp

from tests.bench.libraries import with_jax


def make(problem):
    def loss(parameters, x, y):
        for W, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            x = jnp.tanh(x @ W + b)
        log_p = jax.nn.log_softmax(x @ parameters[-2] + parameters[-1])
        return -log_p[jnp.arange(y.shape[0]), y].mean()

    return with_jax.descent(problem, loss)
