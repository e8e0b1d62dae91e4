"""Les couches récurrentes contre NumPy, pas à pas ; masques, sens, départ, gradient."""

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine.look.testing import check_grads
from engine.nn import GRU, LSTM, Recurrent, losses, optimizers

N_IN, N, STEPS, BATCH = 3, 4, 5, 2


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def recurrent_step(row, states, U):
    return [np.tanh(row + states[0] @ U)]


def lstm_step(row, states, U):
    h, c = states
    i, f, o, g = np.split(row + h @ U, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def gru_step(row, states, U):
    (h,) = states
    a, b, w = np.split(row, 3, axis=1)
    Uz, Ur, Uh = np.split(U, 3, axis=1)
    z, r = sigmoid(a + h @ Uz), sigmoid(b + h @ Ur)
    return [z * h + (1 - z) * np.tanh(w + (r * h) @ Uh)]


CASES = {Recurrent: (recurrent_step, 1), LSTM: (lstm_step, 2), GRU: (gru_step, 1)}


def by_hand(layer, x, mask, states):
    """Les états, pas à pas, en NumPy."""
    step, _ = CASES[type(layer)]
    W, U, b = (parameter.get_value() for parameter in layer.parameters)
    history = []
    for row, present in zip(x, mask, strict=True):
        new = step(row @ W + b, states, U)
        keep = present[:, None]
        states = [keep * a + (1 - keep) * b for a, b in zip(new, states, strict=True)]
        history.append(states)
    return [np.array(values) for values in zip(*history, strict=True)]


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    mask = np.array([[1, 1], [1, 1], [1, 1], [1, 0], [1, 0]], dtype="float64")
    return rng.normal(size=(STEPS, BATCH, N_IN)), mask


def make(kind, **options):
    return kind(N_IN, N, generator=np.random.default_rng(0), name="couche", **options)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_like_numpy(kind, data):
    value, mask = data
    layer = make(kind)
    start = [np.random.default_rng(7 + k).normal(size=(BATCH, N)) for k in range(layer.n_states)]
    x, m = T.dtensor3("x"), T.dmatrix("m")
    begin = [T.constant(s) for s in start]
    f = engine.function([x, m], layer.unfold(x, m, begin))
    for obtained, expected in zip(f(value, mask), by_hand(layer, value, mask, start), strict=True):
        np.testing.assert_allclose(obtained, expected, rtol=1e-12)
    plain = engine.function([x], layer(x))(value)
    zeros = [np.zeros((BATCH, N))] * layer.n_states
    expected = by_hand(layer, value, np.ones_like(mask), zeros)[0]
    np.testing.assert_allclose(plain, expected, rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_the_padding_spoils_nothing(kind, mode, bad, data):
    """Ni les états, ni le gradient des paramètres ou de x, quoi que porte le bord."""
    value, mask = data
    layer = make(kind)
    x, m = T.dtensor3("x"), T.dmatrix("m")
    states = layer(x, m)
    gradients = T.grad((states**2).sum(), [x, *layer.parameters])
    f = engine.function([x, m], [states, *gradients], mode=mode)
    clean = [np.array(result) for result in f(value, mask)]
    value[mask == 0] = bad
    for obtained, expected in zip(f(value, mask), clean, strict=True):
        np.testing.assert_allclose(obtained, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_backwards_reads_from_the_end(kind, data):
    value, mask = data
    layer = make(kind, backwards=True)
    x, m = T.dtensor3("x"), T.dmatrix("m")
    obtained = engine.function([x, m], layer(x, m))(value, mask)
    zeros = [np.zeros((BATCH, N))] * layer.n_states
    expected = by_hand(layer, value[::-1], mask[::-1], zeros)[0][::-1]
    np.testing.assert_allclose(obtained, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_gradients(kind, data):
    value, mask = data

    start = [parameter.get_value() for parameter in make(kind).parameters]

    def states(x, W, U, b):
        layer = make(kind)
        layer.W, layer.U, layer.b = W, U, b
        return T.stack(layer.unfold(x, T.constant(mask)))

    check_grads(states, [value, *start], order=1, rtol=1e-5)


def test_the_forget_gate_starts_open():
    b = make(LSTM).b.get_value()
    np.testing.assert_array_equal(b.reshape(4, N).sum(axis=1), [0, N, 0, 0])


def test_float32_stays_float32(data):
    engine.config.floatX = "float32"
    value, mask = data
    for kind in CASES:
        layer, x, m = make(kind), T.ftensor3("x"), T.fmatrix("m")
        cost = layer(x, m).sum()
        f = engine.function([x, m], [cost, *T.grad(cost, layer.parameters)])
        assert {r.dtype.name for r in f(value.astype("f4"), mask.astype("f4"))} == {"float32"}


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_learns_to_remember_the_first_symbol(kind):
    """Dire, après six pas de bruit, lequel de deux symboles ouvrait la suite."""
    rng = np.random.default_rng(0)
    answers = rng.integers(0, 2, 64)
    value = rng.normal(size=(6, 64, 2)) * 0.1
    value[0, :, 0] += 2.0 * answers - 1
    layer = kind(2, 8, generator=rng)
    V = engine.shared(rng.normal(size=(8, 2)) * 0.1)
    x, y = T.dtensor3("x"), T.lvector("y")
    p = T.nnet.softmax(T.dot(layer(x)[-1], V))
    cost = losses.categorical_crossentropy(p, y).mean()
    updates = optimizers.adam(cost, [*layer.parameters, V], 0.02)
    train = engine.function([x, y], cost, updates=updates)
    costs = [float(train(value, answers)) for _ in range(60)]
    assert costs[0] > 0.6 and costs[-1] < 0.1, costs[::10]
