"""Les apprentissages des leçons sur le périphérique, à taille de jouet, comparés au processeur.

Le même programme tourne deux fois : seul `config.device` change. Sans GPU, c’est le simulateur qui
calcule : juste, et lent, d’où les tailles.
"""

import math
import pickle
import warnings

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine import config, function, shared
from engine.core.errors import BadValueError, ShapeError
from engine.gpu.compiling.transfers import OnDevice, ToDevice, ToHost
from engine.gpu.kernels.machines import machine
from engine.look.debug import DebugMode, NanGuardMode
from engine.loops import until
from engine.nn import LSTM, Convolution, Dense, Dropout, Embedding, Pooling
from engine.nn.gradients import clip_by_global_norm
from engine.nn.optimizers import adam, momentum, sgd
from engine.nn.schedules import cosine_decay, iteration_counter

pytest.importorskip("numba")


def on(device, build):
    """Ce que rend `build()` quand tout se calcule là."""
    with config.change_flags(device=device, floatX="float32"):
        return build()


def check_same(build, tolerance=1e-5):
    """Compare les nombres que rend `build` ici et là ; rend la fonction compilée là-bas."""
    expected, _ = on("cpu", build)
    obtained, compiled = on("cuda", build)
    for wanted, found in zip(expected, obtained, strict=True):
        assert type(found) is np.ndarray and found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, tolerance, tolerance)
    return compiled


def trained(lesson):
    """Ce que `check_same` compare : les coûts d’un apprentissage, puis les paramètres appris."""

    def build():
        f, batches, parameters = lesson()
        costs = [f(*batch) for batch in batches]
        return [*costs, *(p.get_value() for p in parameters)], f

    return build


def softmax_regression():
    """Leçon 06 : la fonction d’un pas, des lots, ce qui s’apprend."""
    rng = np.random.default_rng(0)
    x, y = T.matrix("x"), T.ivector("y")
    W, b = shared(np.zeros((5, 3), "float32"), "W"), shared(np.zeros(3, "float32"), "b")
    p = T.nnet.softmax(T.dot(x, W) + b)
    cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y]) + 0.01 * (W**2).sum()
    f = function([x, y], cost, updates=sgd(cost, [W, b], 0.1))
    batches = [
        (rng.normal(size=(4, 5)).astype("float32"), np.array([0, 2, 1, 2], "int32"))
        for _ in range(3)
    ]
    return f, batches, [W, b]


def lenet():
    """Leçon 07."""
    rng = np.random.default_rng(0)
    x, y = T.tensor4("x"), T.ivector("y")
    first = Convolution(1, 2, 3, activation=T.tanh, name="c1", generator=rng)
    second = Convolution(2, 2, 2, activation=T.tanh, name="c2", generator=rng)
    dense = Dense(8, 4, activation=T.tanh, name="d", generator=rng)
    out = Dense(4, 3, name="s", generator=rng)
    layers = [first, second, dense, out]
    h = Pooling(2)(second(Pooling(2)(first(x))))
    p = T.nnet.softmax(out(dense(h.flatten(2))))
    cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y])
    parameters = [parameter for layer in layers for parameter in layer.parameters]
    f = function([x, y], cost, updates=momentum(cost, parameters, 0.1))
    images = rng.normal(size=(2, 1, 12, 12)).astype("float32")
    return f, [(images, np.array([0, 2], "int32"))] * 2, parameters


def character_lstm():
    """Leçon 09 : plongement, LSTM masqué, abandon, softmax, gradient borné, adam."""
    rng = np.random.default_rng(0)
    table = Embedding(5, 2, name="plongement", generator=rng)
    lstm = LSTM(2, 3, name="lstm", generator=rng)
    dropout = Dropout(0.5, rng, name="abandon")
    out = Dense(3, 5, name="sortie", generator=rng)
    parameters = [p for layer in (table, lstm, out) for p in layer.parameters]
    x, mask, turn = T.lmatrix("x"), T.matrix("masque"), iteration_counter()
    scores = out(dropout(lstm(table(x[:-1]), mask[1:]), train=True))
    p = T.nnet.softmax(scores.reshape((-1, scores.shape[2])))
    nats = -T.log(p)[T.arange(p.shape[0]), x[1:].flatten()]
    cost = T.sum(nats * mask[1:].flatten()) / T.sum(mask[1:]) / math.log(2)
    grads = clip_by_global_norm(engine.grad(cost, parameters), 1.0)
    rules = adam(grads, parameters, cosine_decay(turn, 0.008, 10)) | {turn: turn + 1}
    f = function([x, mask], cost, updates=rules)
    letters = np.array([[1, 1], [2, 3], [4, 0], [1, 0]])
    present = np.array([[1, 1], [1, 1], [1, 0], [1, 0]], "float32")
    return f, [(letters, present)] * 2, [*parameters, *dropout.states]


@pytest.mark.parametrize("lesson", [softmax_regression, lenet, character_lstm])
def test_a_lesson_learns_the_same(lesson):
    machine()  # qu’elle soit simulée se dit une fois, et pas ici
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # rien ne retombe sur l’hôte
        f = check_same(trained(lesson))
    assert not f.fgraph.device.left_on_host


def test_shared_values_never_leave_the_device_during_a_step():
    f, _, _ = on("cuda", softmax_regression)
    for node in f.fgraph.toposort():
        if isinstance(node.op, ToDevice):
            (value,) = node.inputs
            assert value.name in ("x", "y") or value.ndim == 0, value
    assert sum(isinstance(node.op, ToHost) for node in f.fgraph.toposort()) == 1  # le coût


# ---- les boucles -------------------------------------------------------------------------


def loop(build):
    """Une épreuve de boucle : `build(x)` rend des expressions d’une matrice."""

    def run():
        x = T.matrix("x")
        f = function([x], build(x), on_unused_input="ignore")
        return f(np.random.default_rng(3).uniform(0.1, 1, (4, 3)).astype("float32")), f

    return run


LOOPS = {
    "à rebours": lambda x: [
        engine.scan(lambda r, h: T.tanh(r + h), x, T.zeros(3), go_backwards=True)[0]
    ],
    "deux retards": lambda x: [
        engine.scan(lambda r, a, b: r + 0.5 * a - b, x, dict(initial=x[:2], taps=[-1, -2]))[0]
    ],
    "le dernier état seul": lambda x: [
        engine.scan(lambda r, a, b: r + 0.5 * a - b, x, dict(initial=x[:2], taps=[-1, -2]))[0][-1]
    ],
    "recueillir": lambda x: [engine.scan(lambda r: (r**2).sum(), x)[0]],
    "retournée": lambda x: [
        engine.scan(lambda r, h: r - h, x[::-1, ::-1], T.zeros(3))[0][::-1] * 2
    ],
    "until": lambda x: [
        engine.scan(lambda r, h: (h + r, until((h + r).sum() > 3)), x, T.zeros(3))[0]
    ],
    "le rang du pas": lambda x: [
        engine.scan(lambda t, x: x[t] * 2, T.arange(4), non_sequences=x)[0]
    ],
    "gradient": lambda x: [
        T.grad(engine.scan(lambda r, h: T.tanh(r * h), x, T.ones(3))[0].sum(), x)
    ],
    "boucle dans une boucle": lambda x: [
        engine.scan(
            lambda r: engine.scan(lambda v, s: s + v, r, T.constant(0.0, dtype="float32"))[0], x
        )[0]
    ],
}


@pytest.mark.parametrize("name", LOOPS)
def test_loop(name):
    check_same(loop(LOOPS[name]))


# ---- ce qu’une fonction promet -------------------------------------------------------------


def test_two_shared_variables_swapped():
    def build():
        a, b = shared(np.ones(2, "float32"), "a"), shared(np.zeros(2, "float32"), "b")
        f = function([], [a, b], updates=[(a, b), (b, a)])
        return [*f(), *f(), a.get_value(), b.get_value()], f

    check_same(build)


def test_values_in_and_out_are_copies():
    value = np.arange(3, dtype="float32")
    a = on("cuda", lambda: shared(value, "a", borrow=True))
    value[0] = 9
    for borrow in (False, True):
        a.get_value(borrow=borrow)[1] = 9
        np.testing.assert_array_equal(a.get_value(borrow=borrow), [0, 1, 2])
    a.set_value(value, borrow=True)
    value[2] = 9
    np.testing.assert_array_equal(a.get_value(), [9, 1, 2])


def test_copy_swaps_and_forgets_updates():
    def build():
        total, other = (shared(np.float32(v), name) for v, name in ((1, "total"), (5, "autre")))
        f = function([], total, updates=[(total, total + 1)])
        kept, swapped = f.copy(delete_updates=True), f.copy(swap={total: other})
        return [kept(), swapped(), swapped(), f(), total.get_value(), other.get_value()], f

    check_same(build)


def test_a_function_is_pickled_with_its_values():
    def build():
        a = shared(np.ones(3, "float32"), "a")
        x = T.vector("x")
        f = function([x], (a * x).sum(), updates=[(a, a + x)])
        g = pickle.loads(pickle.dumps(f))
        v = np.arange(3, dtype="float32")
        return [f(v), f(v), g(v), g(v)], f

    check_same(build)


def test_givens_and_intermediate_inputs():
    def build():
        x = T.vector("x")
        y = T.exp(x)
        z = (y * 2).sum()
        data = shared(np.ones(3, "float32"), "données")
        given, cut = function([], z, givens={x: data * 2}), function([y], z)
        return [given(), cut(np.ones(4, "float32"))], given

    check_same(build)


def test_an_index_out_of_bounds_names_its_node_and_changes_nothing():
    def build():
        W, i = shared(np.ones((4, 2), "float32"), "W"), T.lvector("i")
        cost = W[i].sum()
        return W, function([i], cost, updates=sgd(cost, [W], 0.1))

    W, f = on("cuda", build)
    with pytest.raises(ShapeError, match="index 7 is out of bounds for axis 0 with size 4"):
        f(np.array([0, 7]))
    np.testing.assert_array_equal(W.get_value(), np.ones((4, 2)))
    f(np.array([0, 3]))
    assert W.get_value()[3, 0] < 1


@pytest.mark.parametrize("mode", [DebugMode, NanGuardMode])
def test_the_watching_modes_watch_the_device(mode):
    def build():
        x, U = T.matrix("x"), shared(np.eye(2, dtype="float32"), "U")
        h, _ = engine.scan(lambda row, h, U: T.log(row + T.dot(h, U)), x, T.ones(2), U)
        return function([x], h.sum(), updates=[(U, 2 * U)], mode=mode())

    f = on("cuda", build)
    assert np.isfinite(f(np.ones((2, 2), "float32")))
    if mode is NanGuardMode:
        with pytest.raises(BadValueError, match="NaN"):
            f(-9 * np.ones((2, 2), "float32"))


def test_every_device_node_shows_in_the_graph():
    f, _, _ = on("cuda", softmax_regression)
    assert any(isinstance(node.op, OnDevice) for node in f.fgraph.toposort())
    text = engine.printing.debugprint(f, file="str")
    assert "gpu{" in text and "vers_l_hôte" in text


def test_what_has_no_kernel_runs_on_the_host_and_says_so():
    def build():
        x = T.matrix("x")
        return function([x], T.nlinalg.matrix_inverse(T.exp(x)) * 2, name="inverse", profile=True)

    with pytest.warns(UserWarning, match=r"inverse : sans noyau du périphérique.*inverse.*ligne"):
        f = on("cuda", build)
    values = np.float32([[2, 1], [0, 3]])
    np.testing.assert_allclose(f(values), 2 * np.linalg.inv(np.exp(values)), 1e-4)
    assert "pas de noyau du périphérique" in str(f.profile)
    assert "pas de noyau du périphérique" in engine.printing.debugprint(f, file="str")


def test_what_the_host_computes_updates_the_device():
    def build():
        x, W = T.matrix("x"), shared(np.eye(2, dtype="float32"), "W")
        f = function([x], (x + W).sum(), updates=[(W, T.nlinalg.matrix_inverse(x + W))])
        one = np.eye(2, dtype="float32")
        return [f(one), f(one), W.get_value()], f

    check_same(build)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN", "DebugMode"])
def test_every_mode_reads_and_updates_what_the_device_stores(mode):
    with config.change_flags(device="cuda"):
        w = shared(np.float32([1, 2, 3]), "w")
        for learnt in (mode, None):  # puis le mode par défaut, sur la même variable
            f = function([], 2 * w, updates=[(w, w + 1)], mode=learnt)
            before = w.get_value()
            assert np.array_equal(f(), 2 * before) and np.array_equal(w.get_value(), before + 1)
        assert w.storage.on_device
