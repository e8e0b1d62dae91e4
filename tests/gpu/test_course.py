"""Les fonctions des leçons 04, 05 et 08 sur le périphérique : les nombres du processeur, et rien
d’oublié sur l’hôte.

Celles des leçons 06, 07 et 09 sont dans `test_training`.
"""

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine import config, function, grad, scan, shared
from engine.look.printing import debugprint
from engine.loops import until
from engine.nn import Dense, losses, optimizers, regularization
from tests.gpu.test_training import check_same

LESSONS = {}


def lesson(build):
    """Une fonction d’une leçon : rend (fonction compilée, listes d’arguments)."""
    LESSONS[build.__name__] = build
    return build


@lesson
def l04_softplus():
    x = T.vector("x")
    y = T.log(1 + T.exp(x))
    return function([x], [y, grad(y.sum(), x)]), [[np.float32([1000, -40, 0])]]


@lesson
def l04_loss():
    z, y = T.matrix("z"), T.lvector("y")
    loss = -T.log(T.nnet.softmax(z))[T.arange(y.shape[0]), y].mean()
    given = [[np.float32([[1000, 0], [1, 2]]), np.array([1, 0])]]
    return function([z, y], [loss, grad(loss, z)]), given


@lesson
def l04_chain_apart():
    v = T.vector("v")
    mode = engine.Mode().excluding("fusion", "inplace")
    return function([v], ((v + 1) * v - 2) * v + 3, mode=mode), [[np.float32([1, -2, 3])]]


@lesson
def l04_predict():
    M = T.matrix("M")
    W, b = shared(np.float32([0.5, -1, 0.25]), "W"), shared(np.float32(0), "b")
    return function([M], T.nnet.sigmoid(T.dot(M, W) + b)), [[np.ones((2, 3), "float32")]]


@lesson
def l04_fast_compile():
    u = T.fvector("u")
    return function([u], T.log(1 + T.exp(u)).mean(), mode="FAST_COMPILE"), [[np.float32([1, 2])]]


def network():
    rng = np.random.default_rng(0)
    hidden = Dense(2, 3, activation=T.tanh, generator=rng)
    return hidden, Dense(3, 2, activation=T.nnet.softmax, generator=rng)


def trained_by(rule):
    def build():
        hidden, output = network()
        x, y = T.matrix("x"), T.lvector("y")
        parameters = [*hidden.parameters, *output.parameters]
        loss = losses.categorical_crossentropy(output(hidden(x)), y).mean()
        cost = loss + 1e-4 * regularization.l2([p for p in parameters if p.ndim == 2])
        step = function([x, y], cost, updates=rule(cost, parameters))
        points = np.random.default_rng(1).normal(size=(2, 2)).astype("float32")
        return step, [[points, np.array([0, 1])]] * 2

    return build


LESSONS["l05_momentum"] = trained_by(
    lambda cost, ps: optimizers.apply_momentum(optimizers.sgd(cost, ps, 0.1), ps, momentum=0.9)
)
LESSONS["l05_adam"] = trained_by(lambda cost, ps: optimizers.adam(cost, ps, 0.05))


@lesson
def l05_misclassified():
    hidden, output = network()
    x, y = T.matrix("x"), T.lvector("y")
    missed = T.neq(T.argmax(output(hidden(x)), axis=1), y).sum()
    return function([x, y], missed), [[np.ones((3, 2), "float32"), np.array([0, 1, 0])]]


@lesson
def l08_powers():
    A, k = T.vector("A"), T.lscalar("k")
    powers, _ = scan(lambda p, A: p * A, outputs_info=T.ones_like(A), non_sequences=A, n_steps=k)
    return function([A, k], powers), [[np.float32([1, 2, 3]), n] for n in (3, 2)]


@lesson
def l08_terms():
    c, x = T.vector("c"), T.scalar("x")
    ranks = T.arange(c.shape[0])
    terms, _ = scan(lambda c, i, x: c * x**i, sequences=[c, ranks], non_sequences=x)
    return function([c, x], terms.sum()), [[np.float32([1, 0, 2]), np.float32(3)]]


@lesson
def l08_horner():
    c, x = T.vector("c"), T.scalar("x")
    states, _ = scan(lambda c, s, x: s * x + c, c, T.constant(np.float32(0)), x, go_backwards=True)
    return function([c, x], [states[-1], grad(states[-1], c)]), [
        [np.float32([1, 0, 2]), np.float32(3)]
    ]


@lesson
def l08_fibonacci():
    start, k = T.vector("départ"), T.lscalar("k")
    rabbits, _ = scan(
        lambda before, last: before + last,
        outputs_info={"initial": start, "taps": [-2, -1]}, n_steps=k,
    )  # fmt: skip
    return function([start, k], rabbits), [[np.float32([1, 1]), 5]]


@lesson
def l08_until():
    rate = T.scalar("taux")

    def year(capital, rate):
        capital = capital * (1 + rate)
        return capital, until(capital >= 2)

    capitals, _ = scan(year, None, T.constant(np.float32(1)), rate, n_steps=20)
    return function([rate], capitals), [[np.float32(0.3)], [np.float32(0.1)]]


@lesson
def l08_truncated():
    x, w = T.vector("x"), T.scalar("w")
    h, _ = scan(lambda v, h, w: w * h + v, x, T.constant(np.float32(0)), w, truncate_gradient=2)
    return function([x, w], grad(h[-1], x)), [[np.zeros(4, "float32"), np.float32(0.8)]]


@pytest.mark.parametrize("name", LESSONS)
def test_a_function_of_the_course(name):
    def build():
        f, calls = LESSONS[name]()
        found = [f(*arguments) for arguments in calls]
        return [
            v for result in found for v in (result if isinstance(result, list) else [result])
        ], f

    f = check_same(build)
    assert not (f.fgraph.device and f.fgraph.device.left_on_host)  # FAST_COMPILE reste sur l’hôte


def test_debugprint_shows_the_last_text_of_each_node():
    with config.change_flags(device="cuda", floatX="float32"):
        x = T.matrix("x")
        f = function([x], 2 * T.nnet.softmax(x))
        assert "appelez la fonction" in debugprint(f, file="str", text=True)
        f(np.ones((2, 3), "float32"))
    shown = debugprint(f, file="str", text=True)
    assert "---- 1, gpu{softmax}" in shown and "def softmax_rows(out, x):" in shown
    assert "each(x0[i])" in shown and "appelez" not in shown
    assert "---- " not in debugprint(f, file="str")
