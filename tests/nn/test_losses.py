"""Les coûts contre leurs formules en NumPy, une valeur par exemple ; gradients ; cas extrêmes."""

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine.core.errors import ShapeError
from engine.nn import losses

GENERATOR = np.random.default_rng(0)
SCORES = GENERATOR.normal(size=(6, 4)) * 3
LABELS = np.array([0, 3, 1, 1, 2, 0])
ONE_HOT = np.eye(4)[LABELS]
SOFT = GENERATOR.dirichlet(np.ones(4), size=6)
BITS = GENERATOR.integers(0, 2, size=(6, 4))
SOFTMAX = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
SIGMOID = 1 / (1 + np.exp(-SCORES))
BINARY = -(BITS * np.log(SIGMOID) + (1 - BITS) * np.log(1 - SIGMOID)).sum(axis=1)
OTHERS = np.where(ONE_HOT == 1, -np.inf, SCORES).max(axis=1)

# nom, entrée, cible, valeur attendue pour chaque exemple
ROWS = [
    ("categorical_crossentropy", SOFTMAX, LABELS, -np.log(SOFTMAX[range(6), LABELS])),
    ("categorical_crossentropy", SOFTMAX, SOFT, -(SOFT * np.log(SOFTMAX)).sum(axis=1)),
    ("categorical_crossentropy_from_scores", SCORES, LABELS, -np.log(SOFTMAX[range(6), LABELS])),
    ("categorical_crossentropy_from_scores", SCORES, SOFT, -(SOFT * np.log(SOFTMAX)).sum(axis=1)),
    ("binary_crossentropy", SIGMOID, BITS, BINARY),
    ("binary_crossentropy_from_scores", SCORES, BITS, BINARY),
    ("squared_error", SCORES, BITS, ((SCORES - BITS) ** 2).sum(axis=1)),
    ("squared_error", SCORES[:, 0], BITS[:, 0], (SCORES[:, 0] - BITS[:, 0]) ** 2),
    ("binary_hinge", SCORES, BITS, np.maximum(0, 1 - (2 * BITS - 1) * SCORES).sum(axis=1)),
    ("hinge", SCORES, LABELS, np.maximum(0, 1 + OTHERS - SCORES[range(6), LABELS])),
]
ids = [f"{name}-{target.dtype}-{target.ndim}" for name, _, target, _ in ROWS]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, value, target, expected", ROWS, ids=ids)
def test_loss_is_one_value_per_sample_in_the_dtype_of_predictions(
    name, value, target, expected, dtype
):
    x = T.TensorType(dtype, (False,) * value.ndim)("x")
    y = T.TensorType(str(target.dtype), (False,) * target.ndim)("y")
    loss = getattr(losses, name)(x, y)
    assert loss.ndim == 1
    assert loss.dtype == dtype
    result = engine.function([x, y], loss)(value.astype(dtype), target)
    np.testing.assert_allclose(result, expected, rtol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("name, value, target, expected", ROWS, ids=ids)
def test_gradient_of_the_mean(name, value, target, expected):
    x = T.TensorType("float64", (False,) * value.ndim)("x")
    cost = getattr(losses, name)(x, T.constant(target)).mean()
    f, slope = engine.function([x], cost), engine.function([x], engine.grad(cost, x))
    direction = np.random.default_rng(1).normal(size=value.shape) * 1e-6
    difference = f(value + direction) - f(value - direction)
    np.testing.assert_allclose(2 * (slope(value) * direction).sum(), difference, rtol=1e-4)


def test_extreme_scores_give_finite_losses():
    scores, labels = np.array([[1000.0, 0.0], [-1000.0, 0.0]]), np.array([1, 0])
    z = T.dmatrix("z")
    written = {
        "scores": losses.categorical_crossentropy_from_scores(z, labels),
        "probabilités": losses.categorical_crossentropy(T.nnet.softmax(z), labels),
    }
    for loss in written.values():
        np.testing.assert_allclose(engine.function([z], loss)(scores), [1000, 1000])
    bits = np.array([[0, 1], [1, 1]])
    for loss in (
        losses.binary_crossentropy_from_scores(z, bits),
        losses.binary_crossentropy(T.nnet.sigmoid(z), bits),
    ):
        expected = [1000 + np.log(2), 1000 + np.log(2)]
        np.testing.assert_allclose(engine.function([z], loss)(scores), expected)


@pytest.mark.parametrize("name", ["squared_error", "binary_crossentropy", "binary_hinge"])
def test_target_with_other_axes_is_refused_rather_than_broadcast(name):
    with pytest.raises(ShapeError, match="n’a pas les axes de la prédiction"):
        getattr(losses, name)(T.dmatrix("x"), T.dvector("y"))


def test_categorical_target_is_labels_or_probabilities():
    with pytest.raises(ShapeError, match="n’a pas les axes de la prédiction"):
        losses.categorical_crossentropy(T.dmatrix("x"), T.ltensor3("y"))
