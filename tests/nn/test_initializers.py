"""Les valeurs de départ : forme, dtype, graine, bornes, variance, orthogonalité."""

from functools import partial

import numpy as np
import pytest

from engine import config
from engine.core.errors import ShapeError
from engine.nn import initializers

DRAWN = ["uniform", "normal", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal"]
SHAPES = {(300, 500): (300, 500), (64, 32, 5, 3): (32 * 15, 64 * 15)}


@pytest.mark.parametrize("floatX", ["float32", "float64"])
@pytest.mark.parametrize("name", ["constant", "orthogonal", *DRAWN])
def test_shape_dtype_and_seed(name, floatX):
    config.floatX = floatX
    draw = getattr(initializers, name)
    first, again, other = (draw((4, 6), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (4, 6)
    assert first.dtype == floatX
    np.testing.assert_array_equal(first, again)
    assert (first == other).all() == (name == "constant")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["glorot_uniform", "glorot_normal", "he_uniform", "he_normal"])
def test_variance(name, shape):
    fan_in, fan_out = SHAPES[shape]
    assert initializers.fans(shape) == (fan_in, fan_out)
    expected = 2 / (fan_in + fan_out) if name.startswith("glorot") else 2 / fan_in
    values = getattr(initializers, name)(shape, np.random.default_rng(0))
    assert values.var() == pytest.approx(expected, rel=0.03)
    assert abs(values.mean()) < 4 * np.sqrt(expected / values.size)
    if name.endswith("uniform"):
        assert np.abs(values).max() <= np.sqrt(3 * expected)


def test_gain_multiplies_the_spread():
    draw = lambda **options: initializers.glorot_uniform(  # noqa: E731
        (5, 7), np.random.default_rng(0), **options
    )
    np.testing.assert_allclose(draw(gain=4), 4 * draw())


def test_relu_network_keeps_its_variance_with_he():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 400))
    before = (x**2).mean()
    for _ in range(10):
        x = np.maximum(x @ initializers.he_normal((400, 400), generator), 0)
    assert 0.5 < (x**2).mean() / before < 2


@pytest.mark.parametrize("gain", [1.0, 1.5])
@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (6, 2, 2, 2)], ids=str)
def test_orthogonal(shape, gain):
    W = initializers.orthogonal(shape, np.random.default_rng(0), gain=gain)
    assert W.shape == shape
    flat = W.reshape(shape[0], -1)
    small = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(small, gain**2 * np.eye(len(small)), atol=1e-12)


def test_orthogonal_favours_no_sign():
    generator = np.random.default_rng(0)
    corners = [initializers.orthogonal((2, 2), generator)[0, 0] for _ in range(400)]
    assert abs(np.mean(corners)) < 0.15  # sans le signe de R, la moyenne vaut -0,64


@pytest.mark.parametrize("name", ["glorot_uniform", "he_normal", "orthogonal"])
def test_vector_has_no_fans(name):
    with pytest.raises(ShapeError, match="deux axes"):
        getattr(initializers, name)((3,), np.random.default_rng(0))


def test_options_are_fixed_by_partial():
    draw = partial(initializers.normal, std=2.0, mean=5.0)
    values = draw((200, 200), np.random.default_rng(0))
    assert values.mean() == pytest.approx(5, abs=0.05)
    assert values.std() == pytest.approx(2, rel=0.02)
