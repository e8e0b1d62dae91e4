"""Avec JAX."""

import jax
import jax.numpy as jnp

from tests.bench.libraries import with_jax


def make(problem):
    shape = problem.sizes["batch"], problem.sizes["units"]

    def loss(parameters, x, y, mask):
        table, W, U, b, V, d = parameters

        def step(state, row_and_mask):
            (h, c), (row, present) = state, row_and_mask
            i, f, o, g = jnp.split(row + h @ U, 4, axis=1)
            new_c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            new_h = jax.nn.sigmoid(o) * jnp.tanh(new_c)
            keep = present[:, None]
            h, c = keep * new_h + (1 - keep) * h, keep * new_c + (1 - keep) * c
            return (h, c), h

        start = jnp.zeros(shape), jnp.zeros(shape)
        _, outputs = jax.lax.scan(step, start, (table[x] @ W + b, mask))
        log_p = jax.nn.log_softmax(outputs @ V + d)
        chosen = jnp.take_along_axis(log_p, y[:, :, None], axis=2)[:, :, 0]
        return -(chosen * mask).sum() / mask.sum()

    return with_jax.descent(problem, loss)
