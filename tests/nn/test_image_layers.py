"""Convolution, pooling, dropout, normalisation par lot : formules, bruit, moyennes, erreurs."""

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine.core.errors import DomainError, DtypeError, EngineError, ShapeError, UpdateError
from engine.nn import (
    BatchNormalization,
    Convolution,
    Dense,
    Dropout,
    Pooling,
    chain,
    initializers,
    optimizers,
    running_updates,
)


def generator():
    return np.random.default_rng(0)


# ---- convolution et pooling --------------------------------------------------------------


@pytest.mark.parametrize("floatX", ["float32", "float64"])
def test_convolution_computes_its_formula(floatX):
    engine.config.floatX = floatX
    layer = Convolution(3, 4, (2, 3), T.tanh, "half", b=initializers.normal, generator=generator())
    x = T.tensor4("x")
    value = np.random.default_rng(1).normal(size=(2, 3, 6, 5)).astype(floatX)
    result, product = engine.function(
        [x], [layer(x), T.nnet.conv2d(x, layer.W, border_mode="half")]
    )(value)
    b = layer.b.get_value()[:, np.newaxis, np.newaxis]
    np.testing.assert_allclose(result, np.tanh(product + b), rtol=1e-6, atol=1e-7)
    assert result.dtype == floatX and result.shape == (2, 4, 7, 5)
    assert [p.get_value().shape for p in layer.parameters] == [(4, 3, 2, 3), (4,)]


@pytest.mark.parametrize("size", [1, 2, 3, 4, (2, 5)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_keeps_the_size(size, dilation, stride):
    options = {"border_mode": "same", "stride": stride, "dilation": dilation}
    layer = Convolution(1, 2, size, b=None, generator=generator(), **options)
    shape = layer(T.zeros((1, 1, 13, 10))).eval().shape
    assert shape == (1, 2, -(-13 // stride), -(-10 // stride))


def test_layers_of_volumes():
    layer = Convolution(1, 2, (2, 3, 3), border_mode="same", generator=generator())
    volumes = layer(T.zeros((1, 1, 4, 6, 6)))
    assert volumes.eval().shape == (1, 2, 4, 6, 6)
    assert Pooling((2, 2, 3))(volumes).eval().shape == (1, 2, 2, 3, 2)


def test_pooling_passes_its_settings_on():
    image = np.arange(9.0).reshape(1, 1, 3, 3)
    layer = Pooling(2, stride=1, mode="average_exc_pad", ignore_border=True)
    np.testing.assert_array_equal(layer(image).eval(), [[[[2, 3], [5, 6]]]])
    assert Pooling(2, ignore_border=False)(image).eval().shape == (1, 1, 2, 2)


# ---- dropout -----------------------------------------------------------------------------


@pytest.mark.parametrize("floatX", ["float32", "float64"])
def test_dropout_keeps_the_mean_and_the_dtype(floatX):
    engine.config.floatX = floatX
    x = T.matrix("x")
    f = engine.function([x], Dropout(0.25, generator())(x, train=True))
    ones = np.ones((200, 500), floatX)
    first, second = f(ones), f(ones)
    assert first.dtype == floatX
    np.testing.assert_allclose(np.unique(first), [0, 4 / 3], rtol=1e-6)
    assert (first == 0).mean() == pytest.approx(0.25, abs=0.01)
    assert (first != second).mean() == pytest.approx(2 * 0.25 * 0.75, abs=0.01)
    again = engine.function([x], Dropout(0.25, generator())(x, train=True))
    np.testing.assert_array_equal(again(ones), first)


def test_dropout_gives_its_gradient_to_what_it_kept():
    x = T.dmatrix("x")
    out = Dropout(0.5, generator())(x, train=True)
    value, slope = engine.function([x], [out, engine.grad(out.sum(), x)])(np.ones((4, 6)))
    np.testing.assert_array_equal(value, slope)


def test_dropout_does_nothing_after():
    x = T.dmatrix("x")
    assert Dropout(0.5, generator())(x) is x
    assert Dropout(0, generator())(x, train=True) is x


# ---- normalisation -----------------------------------------------------------------------


def test_running_averages_reach_those_of_the_data():
    rng = np.random.default_rng(0)
    layer, x = BatchNormalization(2, name="n"), T.dmatrix("x")
    out = layer(x, train=True)
    train = engine.function([x], out, updates=running_updates(out))
    for _ in range(100):
        train(rng.normal([3, -1], [2, 0.5], (200, 2)))
    np.testing.assert_allclose(layer.mean.get_value(), [3, -1], atol=0.1)
    np.testing.assert_allclose(layer.var.get_value(), [4, 0.25], rtol=0.1)
    fresh = engine.function([x], layer(x))(rng.normal([3, -1], [2, 0.5], (1000, 2)))
    np.testing.assert_allclose([fresh.mean(axis=0), fresh.std(axis=0)], [[0, 0], [1, 1]], atol=0.1)


@pytest.mark.parametrize("floatX", ["float32", "float64"])
def test_a_normalised_network_learns_in_the_given_precision(floatX):
    engine.config.floatX = floatX
    seeded = generator()
    model = chain(
        Convolution(1, 3, 3, border_mode="same", b=None, name="c", generator=seeded),
        BatchNormalization(3, name="n"),
        T.nnet.relu,
        chain(Dropout(0.2, seeded), lambda x: x.mean(axis=(2, 3))),
        Dense(3, 1, name="o", generator=seeded),
    )
    assert [p.name for p in model.parameters] == ["c.W", "n.gamma", "n.beta", "o.W", "o.b"]
    assert [p.name for p in model.states] == ["n.mean", "n.var"]
    x, y = T.tensor4("x"), T.vector("y")
    cost = ((model(x, train=True).flatten() - y) ** 2).mean()
    updates = optimizers.adam(cost, model.parameters, 0.02) | running_updates(cost)
    train = engine.function([x, y], cost, updates=updates)
    test = engine.function([x, y], ((model(x).flatten() - y) ** 2).mean())
    rng = np.random.default_rng(2)
    images = rng.normal(size=(64, 1, 6, 6)).astype(floatX)
    wanted = np.abs(np.diff(images, axis=3)).mean(axis=(1, 2, 3))
    before = float(test(images, wanted))
    for _ in range(150):
        train(images, wanted)
    assert float(test(images, wanted)) < before / 20
    assert test(images, wanted) == test(images, wanted)
    assert all(p.get_value().dtype == floatX for p in model.parameters + model.states[:2])


# ---- erreurs -----------------------------------------------------------------------------


def test_mistakes_are_told():
    with pytest.raises(EngineError, match="taille de filtre"):
        Convolution(1, 1, (3,), generator=generator())
    with pytest.raises(ShapeError, match=r"c\.b n’a pas la forme"):
        Convolution(1, 2, 3, b=np.zeros(3), name="c", generator=generator())
    with pytest.raises(DomainError, match="probabilité"):
        Dropout(1, generator())
    with pytest.raises(EngineError, match="le générateur manque"):
        Dropout(0.5)
    with pytest.raises(DtypeError, match="flottants"):
        Dropout(0.5, generator())(T.imatrix("x"), train=True)
    layer, x = BatchNormalization(2, name="n"), T.dmatrix("x")
    with pytest.raises(UpdateError, match=r"n\.mean recevrait deux"):
        running_updates(layer(x, train=True).sum() + layer(2 * x, train=True).sum())
