"""Les boucles faites d’un seul noyau : celles qui doivent l’être le sont, et rendent la même chose.

Les valeurs et les gradients de nombreux programmes sont vérifiés par `test_scan` dans tous les
modes ; ici, que le noyau a vraiment servi, et ses cas à lui.
"""

import signal
import threading
import time
from contextlib import contextmanager

import numba
import numpy as np
import pytest

from engine import function, scan
from engine import tensor as T
from engine.backends.numba import looping
from engine.core.errors import ShapeError
from engine.core.modes import Mode
from engine.loops.loop_op import Scan
from engine.nn.layers import GRU, LSTM, Recurrent

RNG = np.random.default_rng(0)


@contextmanager
def no_python():
    """Interdit à une boucle de tourner en Python."""

    def refuse(*args):
        raise AssertionError("la boucle n’est pas faite d’un noyau")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scan, "run", refuse)
        yield


def matrix(name, dtype="float64"):
    return T.TensorType(dtype, shape=(None, None))(name)


def agree(inputs, outputs, *values):
    """Le noyau et la référence rendent la même chose."""
    with no_python():
        found = function(inputs, outputs, on_unused_input="ignore")(*values)
    wanted = function(inputs, outputs, mode=Mode("numpy", None), on_unused_input="ignore")(*values)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(
            one, other, rtol=1e-4, atol=1e-6 if one.dtype == "float32" else 1e-13
        )
    return found


@pytest.mark.parametrize("layer", [Recurrent, LSTM, GRU])
@pytest.mark.parametrize("backwards", [False, True])
def test_recurrent_layers_forward_and_backward(layer, backwards):
    model = layer(4, 3, backwards=backwards, generator=RNG)
    x, mask = T.dtensor3("x"), T.dmatrix("mask")
    cost = (model(x, mask) ** 2).sum()
    gradients = T.grad(cost, [x, *model.parameters])
    f = function([x, mask], [cost, *gradients])
    with no_python():
        f(RNG.normal(size=(5, 2, 4)), np.ones((5, 2)))


STEPS = {
    "produit et biais": lambda s, h, c, W: [T.tanh(s + T.dot(h, W)), c + h],
    "deux produits": lambda s, h, c, W: [T.dot(h, W) + T.dot(c, W), T.dot(s, W.T)],
    "produit qui change": lambda s, h, c, W: [T.dot(h.T, c) / 9, T.dot(W, c) / 9],
    "transposées": lambda s, h, c, W: [h.T * W, T.dot(c.T, W.T) / 9],
    "tranches": lambda s, h, c, W: [
        T.concatenate([h[:, 1:], s[:, :1]], axis=1),
        T.concatenate([c[1:] * 2, c[:1]], axis=0),
    ],
    "axe ôté": lambda s, h, c, W: [
        h + c[:, 2:3].dimshuffle(0).dimshuffle(0, "x"),
        c * h[1:2, :].dimshuffle(1),
    ],
    "axe ajouté, ligne choisie": lambda s, h, c, W: [
        h * c[1][:, None] + s[None, 2, :],
        c - h[:, 0][None, :] * W[2, 1],
    ],
    "échange": lambda s, h, c, W: [c, h],
    "entrée gardée": lambda s, h, c, W: [s, W],
    "vecteur fois matrice": lambda s, h, c, W: [
        h + T.dot(s.T[:, 1:2].dimshuffle(0), W),
        c + T.dot(W, s[:, 0:1].dimshuffle(0)),
    ],
    "choix": lambda s, h, c, W: [T.switch(T.gt(s, 0), h, c), T.maximum(h, s)],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", STEPS)
def test_steps(name, dtype):
    s = T.TensorType(dtype, shape=(None, None, None))("s")
    h, c, W = (matrix(label, dtype) for label in "hcW")
    (hs, cs), _ = scan(STEPS[name], s, [h, c], W)
    rng = np.random.default_rng(1)
    values = [rng.normal(size=shape).astype(dtype) for shape in [(4, 3, 3)] + [(3, 3)] * 3]
    agree([s, h, c, W], [hs, cs, hs[-1]], *values)


def test_collected_values_and_taps():
    s, h = T.dmatrix("s"), T.dmatrix("h")
    (hs, extra), _ = scan(
        lambda row, old, last: (row + old - last, T.exp(last).dimshuffle("x", 0)),
        s,
        [{"initial": h, "taps": [-2, -1]}, None],
    )
    agree([s, h], [hs, extra, hs[-1]], RNG.normal(size=(5, 3)), RNG.normal(size=(2, 3)))


def test_integers_and_booleans():
    s, n, seen = T.lvector("s"), T.lscalar("n"), T.TensorType("bool", shape=(None,))("seen")
    (ns, flags), _ = scan(
        lambda k, n, seen: [n * 2 + k, seen | T.gt(n, k)],
        s,
        [n, seen],
    )
    found = agree([s, n, seen], [ns, flags], np.arange(4), 1, np.array([True, False]))
    assert [one.dtype.name for one in found] == ["int64", "bool"]


def test_the_number_of_threads_changes_nothing(monkeypatch):
    model = LSTM(6, 5, generator=RNG)
    x = T.dtensor3("x")
    h = model(x)
    f = function([x], [h, *T.grad((h**3).sum(), model.parameters)])
    value = RNG.normal(size=(7, 41, 6))
    found = []
    monkeypatch.setattr(looping, "MIN_WORK", 0)
    monkeypatch.setattr(looping, "MIN_ROWS", 1)
    for threads in (1, 2, 3):
        monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", threads)
        for loop in kernels(f):
            loop.plans.clear()
        with no_python():
            found.append(f(value))
        for loop in kernels(f):
            ((_, parts, _),) = loop.plans.values()
            assert len(parts) == threads
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def kernels(f):
    """Les noyaux de boucle d’une fonction."""
    cells = [
        cell.cell_contents
        for value in f._program.__globals__.values()
        for cell in getattr(value, "__closure__", None) or ()
    ]
    return [value for value in cells if isinstance(value, looping._Loop)]


@pytest.mark.parametrize("stretch", [1, 100, 1000])
def test_any_stretch_of_steps_gives_the_same(monkeypatch, stretch):
    """Le noyau s’arrête de temps en temps pour que Ctrl-C soit entendu ; rien ne s’y perd."""
    s, h = T.dmatrix("s"), T.dmatrix("h")
    (a, b), _ = scan(
        lambda row, far, near, u: (far + row * T.tanh(near), u * 0.5 + row),
        s, [{"initial": h, "taps": [-2, -1]}, T.zeros(3)],
    )  # fmt: skip
    wanted = [a, b[-1]]
    values = RNG.normal(size=(50, 3)), RNG.normal(size=(2, 3))
    whole = function([s, h], wanted)(*values)
    monkeypatch.setattr(looping, "STRETCH", stretch)
    with no_python():
        parts = function([s, h], wanted)(*values)
    for one, other in zip(parts, whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_interruption_is_heard_inside_a_long_loop():
    n = T.lscalar("n")
    hs, _ = scan(lambda a: T.tanh(a * 1.01), outputs_info=T.ones((100,)), n_steps=n)
    f = function([n], hs[-1])
    f(2)
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    start = time.monotonic()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # pytest-xdist l’ignore
    try:
        timer.start()
        with no_python(), pytest.raises(KeyboardInterrupt):
            f(50_000_000)  # une minute
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - start < 20


def test_a_stretched_row_is_left_to_python():
    s, h = T.dtensor3("s"), T.dmatrix("h")
    hs, _ = scan(lambda row, h: row + h, s, h)
    f = function([s, h], hs)
    whole, state = RNG.normal(size=(4, 2, 3)), np.ones((2, 3))
    for value in (whole, whole[:, :1], whole):
        np.testing.assert_allclose(f(value, state), state + np.cumsum(value, axis=0))


def test_no_step_and_wrong_shapes():
    s, h, W = T.dtensor3("s"), T.dmatrix("h"), T.dmatrix("W")
    hs, _ = scan(lambda row, h, W: row + T.dot(h, W), s, h, W)
    f = function([s, h, W], hs)
    assert f(np.zeros((0, 2, 3)), np.ones((2, 3)), np.ones((3, 3))).shape == (0, 2, 3)
    with pytest.raises(ShapeError, match="dot"):
        f(np.zeros((4, 2, 3)), np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ShapeError, match="change de forme"):
        f(np.zeros((4, 2, 5)), np.ones((2, 3)), np.ones((3, 5)))


def test_results_kept_by_the_caller_do_not_change():
    s, h = T.dmatrix("s"), T.dvector("h")
    hs, _ = scan(lambda row, h: row + h, s, h)
    f = function([s, h], hs)
    first = f(np.ones((3, 2)), np.zeros(2))
    kept = first.copy()
    f(np.full((3, 2), 5.0), np.zeros(2))
    np.testing.assert_array_equal(first, kept)
