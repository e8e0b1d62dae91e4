"""La normalisation par lot : sa formule, ses moyennes glissantes, ses dérivées, ses erreurs."""

import numpy as np
import pytest

import engine
from engine import function
from engine import tensor as T
from engine.core.errors import DtypeError, EngineError, ShapeError
from engine.look.testing import check_grads
from engine.tensor.nnet.bn import batch_normalization_test, batch_normalization_train

AXES = [("per-activation", (0,)), ("spatial", (0, 2, 3)), ((0, 1), (0, 1)), ((3,), (3,))]
SHAPE = (4, 3, 5, 2)


def _values(axes, keep_ones, dtype="float64"):
    """Une entrée, puis gamma, beta, moyenne et variance."""
    rng = np.random.default_rng(0)
    shape = [1 if axis in axes else n for axis, n in enumerate(SHAPE)]
    if not keep_ones:
        shape = [n for axis, n in enumerate(SHAPE) if axis not in axes]
    parameters = [rng.uniform(0.5, 2, shape) for _ in range(4)]
    return [v.astype(dtype) for v in (rng.normal(3, 2, SHAPE), *parameters)]


def _variables(values):
    return [T.TensorType(v.dtype, shape=(None,) * v.ndim)() for v in values]


@pytest.mark.parametrize("keep_ones", [True, False])
@pytest.mark.parametrize(("name", "axes"), AXES, ids=str)
def test_train_computes_its_formula(name, axes, keep_ones):
    values = _values(axes, keep_ones)
    variables = _variables(values)
    x, gamma, beta, mean, var = values
    outputs = batch_normalization_train(*variables[:3], name, 1e-3, 0.25, *variables[3:])
    found = function(variables, outputs)(*values)
    wide = [1 if axis in axes else n for axis, n in enumerate(SHAPE)]
    n = x.size // np.prod(wide)
    m, v = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    out = gamma.reshape(wide) * (x - m) / np.sqrt(v + 1e-3) + beta.reshape(wide)
    expected = [
        out,
        m.reshape(gamma.shape),
        (1 / np.sqrt(v + 1e-3)).reshape(gamma.shape),
        0.75 * mean + 0.25 * m.reshape(gamma.shape),
        0.75 * var + 0.25 * n / (n - 1) * v.reshape(gamma.shape),
    ]
    for obtained, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(obtained, wanted, 1e-12)


@pytest.mark.parametrize("keep_ones", [True, False])
@pytest.mark.parametrize(("name", "axes"), AXES, ids=str)
def test_with_given_statistics(name, axes, keep_ones):
    values = _values(axes, keep_ones)
    variables = _variables(values)
    found = function(variables, batch_normalization_test(*variables, name))(*values)
    wide = [1 if axis in axes else n for axis, n in enumerate(SHAPE)]
    x, gamma, beta, mean, var = (v if v.ndim == 4 else v.reshape(wide) for v in values)
    np.testing.assert_allclose(found, (x - mean) / np.sqrt(var + 1e-4) * gamma + beta, 1e-12)


@pytest.mark.parametrize(("name", "axes"), AXES[:2], ids=str)
def test_derivatives(name, axes):
    values = _values(axes, False)
    check_grads(lambda *v: batch_normalization_train(*v, name)[0] ** 2, values[:3])
    check_grads(lambda *v: batch_normalization_test(*v, name), values)


@pytest.mark.parametrize("floatX", ["float32", "float64"])
def test_float32_stays_float32(floatX):
    engine.config.floatX = floatX
    values = _values((0,), False, "float32")
    outputs = batch_normalization_train(*values[:3], running_mean=values[3], running_var=values[4])
    assert {v.dtype for v in outputs} == {"float32"}
    assert batch_normalization_test(*values).dtype == "float32"


def test_constant_activations_have_a_finite_gradient():
    x = T.dmatrix("x")
    out = T.nnet.batch_normalization_train(x, [1.0, 1.0], [0.0, 0.0])[0]
    value, slope = function([x], [out, T.grad((out**2).sum(), x)])(np.full((5, 2), 7.0))
    assert not value.any() and not slope.any()


def test_a_batch_of_one_example_leaves_the_running_variance_finite():
    one = batch_normalization_train([[3.0]], [1.0], [0.0], running_mean=[1.0], running_var=[2.0])
    np.testing.assert_allclose([v.eval() for v in one[3:]], [[1.2], [1.8]])


def test_mistakes_are_told():
    x = T.dmatrix("x")
    for axes in ("espace", (2,), ()):
        with pytest.raises(EngineError, match="axes impossibles"):
            batch_normalization_train(x, [1.0], [0.0], axes)
    with pytest.raises(EngineError, match="epsilon"):
        batch_normalization_train(x, [1.0], [0.0], epsilon=0)
    with pytest.raises(EngineError, match="ne va pas sans la variance"):
        batch_normalization_train(x, [1.0], [0.0], running_mean=[0.0])
    with pytest.raises(ShapeError, match="autant d’axes"):
        batch_normalization_train(x, 1.0, [0.0])
    with pytest.raises(DtypeError, match="flottants"):
        batch_normalization_train(T.imatrix("x"), [1.0], [0.0])
