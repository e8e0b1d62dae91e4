"""Les couches : leurs paramètres, leurs formes, leurs erreurs, et un apprentissage de XOR."""

from functools import partial

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine.core.errors import EngineError, ShapeError
from engine.nn import Dense, Embedding, Flatten, chain, initializers, losses, optimizers


def generator():
    return np.random.default_rng(0)


@pytest.mark.parametrize("floatX", ["float32", "float64"])
def test_dense_computes_its_formula(floatX):
    engine.config.floatX = floatX
    layer = Dense(3, 2, activation=T.tanh, b=initializers.normal, generator=generator())
    x = T.matrix("x")
    value = np.random.default_rng(1).normal(size=(5, 3)).astype(floatX)
    result = engine.function([x], layer(x))(value)
    W, b = (p.get_value() for p in layer.parameters)
    assert result.dtype == W.dtype == b.dtype == floatX
    np.testing.assert_allclose(result, np.tanh(value @ W + b), rtol=1e-6, atol=1e-7)


def test_dense_takes_arrays_shared_variables_and_functions():
    table = np.arange(6.0).reshape(3, 2)
    W = engine.shared(table, name="commun")
    assert Dense(3, 2, W=W).parameters[0] is W
    np.testing.assert_array_equal(Dense(3, 2, W=table).W.get_value(), table)
    wide = Dense(300, 200, W=partial(initializers.normal, std=5.0), generator=generator())
    assert wide.W.get_value().std() == pytest.approx(5, rel=0.02)


def test_dense_keeps_other_axes_and_does_without_bias():
    layer = Dense(3, 2, b=None, generator=generator())
    assert [p.name for p in layer.parameters] == ["W"]
    x = T.dtensor3("x")
    value = np.random.default_rng(1).normal(size=(4, 5, 3))
    result = engine.function([x], layer(x))(value)
    np.testing.assert_allclose(result, value @ layer.W.get_value())


def test_embedding_of_a_matrix_of_indices_and_its_gradient():
    layer = Embedding(5, 3, generator=generator(), name="mots")
    indices = T.imatrix("i")
    value = np.array([[0, 4], [4, 4]], dtype="int32")
    result = layer(indices)
    np.testing.assert_array_equal(
        engine.function([indices], result)(value), layer.W.get_value()[value]
    )
    slope = engine.function([indices], engine.grad(result.sum(), layer.W))(value)
    np.testing.assert_array_equal(slope[:, 0], [1, 0, 0, 0, 3])


def test_chain_lists_each_parameter_once_and_takes_functions():
    middle = Dense(4, 4, name="milieu", generator=generator())
    model = chain(Flatten(), middle, T.tanh, chain(middle, T.nnet.softmax))
    assert [p.name for p in model.parameters] == ["milieu.W", "milieu.b"]
    x = T.dtensor3("x")
    result = engine.function([x], model(x))(np.ones((3, 2, 2)))
    assert result.shape == (3, 4)
    np.testing.assert_allclose(result.sum(axis=1), 1)


def test_mistakes_are_told():
    with pytest.raises(ShapeError, match=r"h\.W n’a pas la forme"):
        Dense(3, 2, W=np.zeros((2, 3)), name="h")
    with pytest.raises(EngineError, match="le générateur manque"):
        Dense(3, 2)


@pytest.mark.parametrize("floatX", ["float32", "float64"])
def test_dense_layers_learn_xor(floatX):
    engine.config.floatX = floatX
    seeded = generator()
    model = chain(
        Dense(2, 8, activation=T.tanh, name="h", generator=seeded),
        Dense(8, 1, name="o", generator=seeded),
    )
    x, y = T.matrix("x"), T.ivector("y")
    scores = model(x).flatten()
    cost = losses.binary_crossentropy_from_scores(scores, y).mean()
    updates = optimizers.adam(cost, model.parameters, learning_rate=0.05)
    step = engine.function([x, y], cost, updates=updates)
    points = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=floatX)
    answers = np.array([0, 1, 1, 0], dtype="int32")
    history = [float(step(points, answers)) for _ in range(300)]
    assert history[0] > 0.5
    assert history[-1] < 0.02
    predicted = engine.function([x], scores > 0)(points)
    np.testing.assert_array_equal(predicted, answers)
    assert all(p.get_value().dtype == floatX for p in model.parameters)
