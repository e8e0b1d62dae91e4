"""Avec JAX."""

import jax
import jax.numpy as jnp

from tests.bench.libraries import with_jax


def make(problem):
    W, b = map(jnp.array, problem.initial)
    return with_jax.mapping(problem, lambda x: jax.nn.sigmoid(x @ W + b))
