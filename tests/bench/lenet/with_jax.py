"""Avec JAX."""

import jax
import jax.numpy as jnp
from jax import lax

from tests.bench.libraries import with_jax


def make(problem):
    def layer(x, W, b):
        maps = lax.conv_general_dilated(x, W, (1, 1), "VALID") + b[:, None, None]
        return jnp.tanh(
            lax.reduce_window(maps, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        )

    def loss(parameters, x, y):
        W1, b1, W2, b2, W3, b3, W4, b4 = parameters
        h = layer(layer(x, W1, b1), W2, b2)
        h = jnp.tanh(h.reshape(len(h), -1) @ W3 + b3)
        return -jax.nn.log_softmax(h @ W4 + b4)[jnp.arange(len(y)), y].mean()

    return with_jax.descent(problem, loss)
