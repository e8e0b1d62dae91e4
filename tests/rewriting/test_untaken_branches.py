"""Ce qu’un `switch`, un maximum ou un indice n’a pas retenu ne gâte ni le gradient ni le second.

L’attendu est écrit à la main, dérivée par dérivée, sur ce qui a été retenu.
"""

import numpy as np
import pytest

import engine.tensor as T
from engine import Mode, function, grad, scan

MODES = ["FAST_RUN", "FAST_COMPILE", Mode("numpy", None)]
nan, inf = np.nan, np.inf
V = np.array([-1.0, 0.0, 4.0])

# nom : l’expression d’un vecteur, où la dériver, sa dérivée, sa dérivée seconde (diagonale)
ELEMENTWISE = {
    "racine": (lambda x: T.switch(x > 0, T.sqrt(x), 0.0), V, [0, 0, 0.25], [0, 0, -1 / 32]),
    "racine, autre branche": (lambda x: T.switch(x <= 0, 1.0, T.sqrt(x)), V, [0, 0, 0.25], None),
    "x log x": (lambda x: T.switch(x > 0, x * T.log(x), 0), V, [0, 0, np.log(4) + 1], [0, 0, 0.25]),
    "sinus cardinal": (
        lambda x: T.switch(T.eq(x, 0), 1.0, T.sin(x) / x),
        V,
        [(np.cos(t) * t - np.sin(t)) / t**2 if t else 0.0 for t in V],
        None,
    ),
    "inverse": (lambda x: T.where(T.neq(x, 0), 1 / x, x), V, [-1, 1, -1 / 16], [-2, 0, 1 / 32]),
    "puissance": (lambda x: T.switch(x > 0, x**0.5, x), V, [1, 1, 0.25], None),
    "emboîtés": (
        lambda x: T.switch(x > -2, T.switch(x > 0, T.log(x), 3.0), T.sqrt(x)),
        V,
        [0, 0, 0.25],
        [0, 0, -1 / 16],
    ),
    "emboîtés dans l'autre sens": (
        lambda x: T.switch(x > 0, 2 * T.switch(x > 5, x / (x - 4), T.sqrt(x)), T.log(x + 1) * 0),
        np.array([-3.0, 4.0, 6.0]),
        [0, 0.5, -4 * 2 / 4],
        None,
    ),
    "maximum": (lambda x: T.maximum(T.sqrt(x), 1.0), np.array([0.0, 4.0]), [0, 0.25], None),
    "minimum": (lambda x: T.minimum(1 / x, 2.0), np.array([0.0, 4.0]), [0, -1 / 16], None),
    "clip": (lambda x: T.clip(T.log(x), -1.0, 9.0), np.array([0.0, 4.0]), [0, 0.25], None),
    "exp qui déborde": (
        lambda x: T.switch(x < 9, T.exp(x), 0.0),
        np.array([1e4, 0.0]),
        [0, 1],
        [0, 1],
    ),
    "deux emplois": (
        lambda x: T.switch(x > 0, T.sqrt(x) * T.log(T.sqrt(x)), 0.0),
        V,
        [0, 0, (np.log(2) + 1) / 4],
        None,
    ),
    "le carré de ce qui vaut 0": (
        lambda x: T.switch(x > 0, T.log(x), 0.0) ** 2,
        np.array([0.0, 1.0]),
        [0, 0],
        [0, 2],
    ),
    "indice": (lambda x: T.sqrt(x)[1:], np.array([0.0, 4.0]), [0, 0.25], None),
    "indice répété": (lambda x: T.log(x)[np.array([1, 1])], np.array([0.0, 4.0]), [0, 0.5], None),
    "NaN dans l'entrée": (
        lambda x: T.switch(T.isnan(x), 0.0, x * x),
        np.array([nan, 3.0]),
        [0, 6],
        [0, 2],
    ),
    "converti": (
        lambda x: T.switch(x > 0, T.log(x).astype("float32"), 1.0),
        np.array([0.0, 4.0]),
        [0, 0.25],
        None,
    ),
    "condition entière": (
        lambda x: T.switch((x > 0).astype("int8"), T.log(x), x),
        V,
        [1, 1, 0.25],
        None,
    ),
}


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_what_was_not_chosen_spoils_nothing(name, mode):
    build, point, first, second = ELEMENTWISE[name]
    x = T.dvector("x")
    slope = grad(build(x).sum(), x)
    np.testing.assert_allclose(
        function([x], slope, mode=mode)(point), first, rtol=1e-6, atol=1e-300
    )
    if second is not None:
        found = function([x], grad(slope.sum(), x), mode=mode)(point)
        np.testing.assert_allclose(found, second, rtol=1e-6, atol=1e-300)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_norm_that_is_zero(mode):
    """Le masque suit la diffusion, puis la somme : la racine de 0 ne reçoit rien."""
    x = T.dmatrix("x")
    norm = T.sqrt((x * x).sum(axis=1, keepdims=True))
    unit = T.switch(norm > 0, x / norm, 0.0)
    slope = function([x], grad((unit * np.array([1.0, 0.0])).sum(), x), mode=mode)
    found = slope([[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(found, [[0, 0], [16 / 125, -12 / 125]], rtol=1e-12)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("static", [False, True])
def test_a_broadcast_operand(mode, static):
    """Chaque colonne de la branche non prise est sommée : un masque de colonne."""
    x = T.dvector("x") if not static else T.TensorType("float64", shape=(3,))("x")
    c = T.TensorType("bool", (False, False))("c")
    cost = T.switch(c, T.sqrt(x), 1.0).sum()
    f = function([x, c], grad(cost, x), mode=mode)
    chosen = np.array([[True, False, False], [True, False, True]])
    np.testing.assert_allclose(f([4.0, 0.0, 1.0], chosen), [0.5, 0, 0.5])
    row = function([x, c], grad(T.switch(c, T.log(x).dimshuffle("x", 0), 0.0).sum(), x), mode=mode)
    np.testing.assert_allclose(row([4.0, 0.0, 1.0], chosen), [0.5, 0, 1])


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("axis", [0, 1, None])
def test_a_sum_that_was_not_chosen(axis, mode):
    x = T.dmatrix("x")
    total = T.log(x).sum(axis=axis)
    safe = T.switch(T.min(x, axis=axis) > 0, total, 0.0)
    value = np.array([[0.0, 2.0], [4.0, 5.0]])
    wanted = np.where(np.broadcast_to(value.min(axis=axis, keepdims=True) > 0, value.shape),
                      1 / np.where(value > 0, value, 1), 0)  # fmt: skip
    np.testing.assert_allclose(function([x], grad(safe.sum(), x), mode=mode)(value), wanted)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_scalar_condition_goes_through_everything(mode):
    """Un produit de matrices mêle les lignes ; une condition sans axe les vaut toutes."""
    x, c = T.dmatrix("x"), T.dscalar("c")
    cost = T.switch(c > 0, T.dot(T.log(x), np.ones((2, 2))).reshape((4,)).sum(), x.sum())
    f = function([x, c], grad(cost, x), mode=mode)
    value = np.array([[0.0, 2.0], [4.0, 5.0]])
    np.testing.assert_allclose(f(value, -1.0), np.ones((2, 2)))
    np.testing.assert_allclose(f(value + 1, 1.0), 2 / (value + 1))


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_in_a_loop(mode):
    x, start = T.dvector("x"), T.dscalar("start")

    def step(x_t, state):
        return state + T.switch(x_t > 0, T.sqrt(x_t) * state, 0.0)

    states, _ = scan(step, sequences=x, outputs_info=start)
    slopes = function([x, start], grad(states[-1], [x, start]), mode=mode)
    dx, ds = slopes([4.0, 0.0, -1.0, 9.0], 1.0)
    np.testing.assert_allclose(dx, [4 / 4, 0, 0, 3 / 6])  # (1 + racine(a)) (1 + racine(b))
    np.testing.assert_allclose(ds, 12)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_labels_read_one_probability(dtype, mode):
    """L’entropie croisée d’étiquettes ne regarde pas les zéros des autres classes."""
    p, y = T.matrix("p", dtype=dtype), T.lvector("y")
    value = np.array([[0.0, 0.25, 0.75], [1.0, 0.0, 0.0]], dtype)
    for loss in (-T.log(p)[T.arange(2), y], T.nnet.categorical_crossentropy(p, y)):
        cost, slope = function([p, y], [loss.sum(), grad(loss.sum(), p)], mode=mode)(value, [1, 0])
        np.testing.assert_allclose(cost, np.log(4), rtol=1e-6)
        np.testing.assert_allclose(slope, [[0, -4, 0], [-1, 0, 0]], rtol=1e-6)


LABELLED = {
    "log(softmax)[n, y]": lambda z, y: T.log(T.nnet.softmax(z))[T.arange(2), y],
    "log(softmax[n, y])": lambda z, y: T.log(T.nnet.softmax(z)[T.arange(2), y]),
    "categorical_crossentropy": lambda z, y: -T.nnet.categorical_crossentropy(T.nnet.softmax(z), y),
    "deux lectures": lambda z, y: (
        T.log(T.nnet.softmax(z))[T.arange(2), y] / 2 + T.log(T.nnet.softmax(z)[T.arange(2), y]) / 2
    ),
}


@pytest.mark.parametrize("mode", ["FAST_RUN", Mode("numpy")], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LABELLED)
def test_labels_of_a_softmax(name, dtype, mode):
    """Des scores qui écrasent les autres, ou infiniment bas : valeur et gradient exacts."""
    z, y = T.matrix("z", dtype=dtype), T.lvector("y")
    value = LABELLED[name](z, y)
    f = function([z, y], [value, grad(value.sum(), z)], mode=mode)
    scores = np.array([[1000.0, 0.0, -inf], [-inf, 3.0, 3.0]], dtype)
    found, slope = f(scores, [1, 2])
    np.testing.assert_allclose(found, [-1000.0, -np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(slope, [[-1, 1, 0], [0, -0.5, 0.5]], rtol=1e-6)


@pytest.mark.parametrize("mode", ["FAST_RUN", Mode("numpy")], ids=str)
def test_one_column_of_a_softmax(mode):
    z = T.dmatrix("z")
    value = T.log(T.nnet.softmax(z)[:, 0])
    found, slope = function([z], [value, grad(value.sum(), z)], mode=mode)([[0.0, 1000.0]])
    assert found.tolist() == [-1000.0]
    assert slope.tolist() == [[1.0, -1.0]]


@pytest.mark.parametrize("mode", ["FAST_RUN", Mode("numpy")], ids=str)
def test_log_of_two_exponentials(mode):
    x, y = T.dvectors("xy")
    value = T.log(T.exp(x) + T.exp(y))
    f = function([x, y], [value, *grad(value.sum(), [x, y])], mode=mode)
    found, dx, dy = f([1000.0, -1000.0, 2.0, -inf], [999.0, -1001.0, 2.0, 0.0])
    np.testing.assert_allclose(found, [1000.3132616875183, -999.6867383124818, 2 + np.log(2), 0])
    half = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(dx, [half, half, 0.5, 0], rtol=1e-12)
    np.testing.assert_allclose(dy, [1 - half, 1 - half, 0.5, 1], rtol=1e-12)
