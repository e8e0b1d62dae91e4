"""Là où une dérivée pourrait s’écrire de plusieurs façons : égalités d’un maximum, zéros d’un
produit.

À égalité, le premier reçoit tout (voir `engine.ops.reduce`), dans chaque op et chaque mode. Les
dérivées d’un produit, à tous les ordres, n’ont rien à diviser : elles sont exactes où x est nul.
"""

import itertools

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine import grad
from engine.look.testing import check_grads
from engine.tensor.signal.pool import pool_2d

MODES = ["FAST_RUN", "FAST_COMPILE", "DebugMode"]
AXES = [axes for n in (1, 2, 3) for axes in itertools.combinations(range(3), n)]
TIED = np.array([[[1.0, 1], [1, 0], [1, 1]], [[0, 2], [2, 0], [2, 2]]])


def _first(values, axes, pick):
    """Un 1 à la première place qu’`argmax` trouve le long des axes, en NumPy."""
    kept = [axis for axis in range(values.ndim) if axis not in axes]
    moved = values.transpose(*kept, *axes)
    rows = moved.reshape(*moved.shape[: len(kept)], -1)
    mask = np.arange(rows.shape[-1]) == pick(rows, axis=-1)[..., None]
    back = np.argsort([*kept, *axes])
    return mask.reshape(moved.shape).transpose(*back).astype(float)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["max", "min"])
def test_the_first_of_a_tie_receives_all(name, mode):
    x = T.dtensor3("x")
    pick = {"max": np.argmax, "min": np.argmin}[name]
    gradients = [grad(getattr(x, name)(axis=axes).sum(), x) for axes in AXES]
    f = engine.function([x], gradients, mode=mode)
    nan = TIED.copy()
    nan[0, 1, 1] = nan[1, 2, 0] = np.nan
    for values in (TIED, -TIED, np.zeros((2, 3, 2)), nan, TIED[:, :, ::-1]):
        for axes, found in zip(AXES, f(values), strict=True):
            np.testing.assert_array_equal(found, _first(values, axes, pick), err_msg=str(axes))


@pytest.mark.parametrize("mode", MODES)
def test_elementwise_and_pooling_agree_with_reductions(mode):
    x, y = T.dvectors("x", "y")
    image = T.dmatrix("image")
    both = [*grad(T.maximum(x, y).sum(), [x, y]), *grad(T.minimum(x, y).sum(), [x, y])]
    values = np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])
    found = engine.function([x, y], both, mode=mode)(*values)
    np.testing.assert_array_equal(found, [[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1]])
    pooled = grad(pool_2d(image, (2, 2), ignore_border=True).sum(), image)
    f = engine.function([image], [pooled, grad(image.max(), image)], mode=mode)
    for window in ([[1.0, 1.0], [1.0, 1.0]], [[0.0, 5.0], [5.0, 5.0]], [[0.0, 0.0], [1.0, 1.0]]):
        by_pool, by_reduction = f(np.array(window))
        np.testing.assert_array_equal(by_pool, by_reduction)
        assert by_pool.sum() == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("zeros", range(5))
@pytest.mark.parametrize("name", ["prod", "cumprod"])
def test_second_derivatives_with_zeros(name, zeros, mode):
    """Le polynôme est connu : sa hessienne se compte en NumPy, produit par produit."""
    x, weights = T.dvector("x"), np.array([0.3, -1.0, 2.0, 0.7])
    cost = x.prod() if name == "prod" else (T.cumprod(x) * weights).sum()
    slope = grad(cost, x)
    f = engine.function([x], [slope, *(grad(slope[i], x) for i in range(4))], mode=mode)
    values = np.array([1.5, -2.0, 0.5, 3.0])
    values[:zeros] = 0
    values = values[[2, 0, 3, 1]]
    parts = [(range(4), 1.0)] if name == "prod" else [(range(m + 1), weights[m]) for m in range(4)]

    def without(*left):
        return sum(
            weight * np.prod([values[j] for j in ranks if j not in left])
            for ranks, weight in parts
            if set(left) <= set(ranks)
        )

    first, *second = f(values)
    np.testing.assert_allclose(first, [without(i) for i in range(4)], atol=1e-12)
    wanted = [[without(i, j) if i != j else 0 for j in range(4)] for i in range(4)]
    np.testing.assert_allclose(second, wanted, atol=1e-12)


@pytest.mark.parametrize("axes", AXES, ids=str)
def test_products_along_axes(axes):
    point = np.random.default_rng(0).integers(-1, 3, (2, 3, 2)).astype(float)
    check_grads(lambda x: x.prod(axis=axes), [point])


def test_products_of_nothing():
    x = T.dmatrix("x")
    f = engine.function([x], [grad(x.prod(axis=1).sum(), x), grad(T.cumprod(x, axis=1).sum(), x)])
    for shape in ((3, 0), (0, 3), (2, 1)):
        for found in f(np.ones(shape)):
            np.testing.assert_array_equal(found, np.ones(shape))
