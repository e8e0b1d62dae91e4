"""Les nombres d’un gradient ont la précision du graphe, quel que soit `floatX`."""

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine.core.scalars import SCALARS

NNET = ("sigmoid", "softplus", "elu", "selu", "softsign", "hard_sigmoid", "ultra_fast_sigmoid")
ROWS = [row for row in SCALARS.values() if row.grad is not None and row.nin == 1]


def in_both_settings(build):
    """La valeur calculée en float64 quand floatX vaut float64, puis float32."""
    values = []
    for float_x in ("float64", "float32"):
        with engine.config.change_flags(floatX=float_x):
            x = T.dscalar("x")
            values.append(engine.function([x], build(x), on_unused_input="ignore"))
    return values


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_gradient_of_a_scalar_function(row):
    f, g = in_both_settings(lambda x: engine.grad(getattr(x, row.name)(), x))
    for value in row.samples[0]:
        with np.errstate(all="ignore"):
            assert np.array_equal(f(value), g(value), equal_nan=True), value


@pytest.mark.parametrize("name", NNET)
def test_activation(name):
    f, g = in_both_settings(getattr(T.nnet, name))
    for value in (-5.0, -0.3, 0.1, 1.65, 4.0):
        assert f(value) == g(value), value


def test_log_erfc_far_away():
    values = []
    for float_x in ("float64", "float32"):
        with engine.config.change_flags(floatX=float_x):
            x = T.dscalar("x")
            values.append(engine.function([x], T.log(T.erfc(x)))(30.0))
    assert values[0] == values[1]


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_a_mean_does_not_wrap(dtype):
    values = np.array([[3, 5, np.iinfo(dtype).max], [0, 2, np.iinfo(dtype).max]], dtype)
    x = T.matrix("x", dtype=dtype)
    for axis in (None, 0, 1):
        f = engine.function([x], [x.mean(axis=axis), x.var(axis=axis)])
        for found, known in zip(f(values), (np.mean, np.var), strict=True):
            np.testing.assert_allclose(found, known(values, axis=axis), rtol=1e-12)
