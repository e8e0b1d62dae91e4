"""Ajouter des lignes à des rangs donnés : le gradient d’une table de vecteurs, en Numba."""

import numpy as np
import pytest

from engine import function
from engine import tensor as T
from engine.core.errors import ShapeError


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("shape", [(7,), (3, 4), (0,)])
def test_like_numpy(dtype, shape):
    table, ranks = T.tensor3("x", dtype), T.TensorType("int64", (False,) * len(shape))("i")
    rows = T.TensorType(dtype, (False,) * (len(shape) + 2))("y")
    f = function([table, rows, ranks], T.inc_subtensor(table[ranks], rows))
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9, (5, 2, 3)).astype(dtype)
    y, i = rng.integers(0, 9, (*shape, 2, 3)).astype(dtype), rng.integers(-5, 5, shape)
    expected = x.copy()
    np.add.at(expected, i, y)
    before = x.copy()
    np.testing.assert_array_equal(f(x, y, i), expected)
    np.testing.assert_array_equal(x, before)
    turned = np.ascontiguousarray(y.T).T
    np.testing.assert_array_equal(f(x, turned, i), expected)


def test_a_rank_outside_is_refused_and_changes_nothing():
    table, ranks = T.dmatrix("x"), T.lvector("i")
    f = function([table, ranks], T.inc_subtensor(table[ranks], T.ones((2, 3))))
    x = np.zeros((4, 3))
    with pytest.raises(ShapeError, match="indice hors du tableau"):
        f(x, [0, 4])
    assert not x.any()


def test_gradient_of_a_table():
    W, i = T.dmatrix("W"), T.lmatrix("i")
    gradient = function([W, i], T.grad((W[i] ** 2).sum(), W))
    value, ranks = np.arange(12.0).reshape(4, 3), np.array([[0, 3, 3], [3, 0, 1]])
    counts = np.bincount(ranks.ravel(), minlength=4)[:, None]
    np.testing.assert_array_equal(gradient(value, ranks), 2 * value * counts)
