"""Avec JAX."""

import jax
import jax.numpy as jnp

from tests.bench.libraries import with_jax


def make(problem):
    def compute(value):
        for _ in range(problem.sizes["links"]):
            value = jnp.tanh(value) * jax.nn.sigmoid(value) + 0.5 * value
        return value

    return with_jax.mapping(problem, compute)
