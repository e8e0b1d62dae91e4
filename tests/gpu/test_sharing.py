"""Deux appels, deux variables, deux propriétaires d’une même mémoire : rien ne se mêle."""

import threading

import numpy as np
import pytest

import engine.tensor as T
from engine import config, function, shared
from engine.gpu.kernels import products
from engine.gpu.kernels.arrays import upload
from engine.gpu.kernels.machines import Simulator, machine
from engine.loops import ifelse
from tests.gpu.test_plans import Blas

pytestmark = pytest.mark.skipif(
    not isinstance(machine(), Simulator), reason="un GPU est là : c'est lui que l'on essaie"
)


@pytest.fixture(autouse=True)
def _on_device():
    with config.change_flags(device="cuda", floatX="float32"):
        yield


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


LINE = np.arange(1, 7, dtype="float32")
WRITES = {  # ce qui se copie, d’une variable
    "un élément sur deux": lambda v: T.set_subtensor(v[::2], v[:3]),
    "à l’envers": lambda v: T.set_subtensor(v[2::-1], v[2:5]),
    "deux colonnes": lambda v: T.join(1, v[:4].reshape((2, 2)), v[2:].reshape((2, 2))),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_copy_with_other_strides_stays(name):
    v = shared(LINE)
    f = function([], T.exp(WRITES[name](v) * np.float32(0.1)))
    first = f()
    assert np.array_equal(f(), first) and np.array_equal(f(), first)


def test_what_is_read_backwards_is_not_overwritten():
    base, w, m = shared(normal(16, seed=1)), shared(normal(4)), shared(normal(4, 4))
    ones, e, s = shared(np.ones((16, 2), "float32")), T.exp(base), T.dot(w, m)
    f = function([], [e.sum(), s.sum(), T.dot(e[::-1], ones), T.set_subtensor(e[8:12], s)])
    first = f()
    for found in (f(), f()):
        assert all(map(np.array_equal, found, first))


@pytest.mark.parametrize("loss", [lambda x, w: T.dot(x, w) + x, lambda x, w: 2 * T.dot(x, w)])
def test_a_product_never_lands_on_its_factor(loss, monkeypatch):
    monkeypatch.setattr(products, "find", lambda device: (Blas(), "essai"))
    v, w = shared(normal(2, 3)), shared(normal(3, 3, seed=1))
    with config.change_flags(gpu_tier="library"):
        f = function([], T.dot(loss(T.tanh(v), w), w))
        first = f()
        assert np.array_equal(f(), first) and np.array_equal(f(), first)


def test_two_variables_updated_alike_stay_two():
    a, b = shared(normal(2), "a"), shared(normal(2), "b")
    both, one = function([], updates=[(a, a * 2), (b, a * 2)]), function([], updates=[(a, a + 1)])
    one()
    for _ in range(3):
        both()
    kept = b.get_value()
    for _ in range(4):
        one()
        assert np.array_equal(b.get_value(), kept)
    b.set_value(normal(2, seed=5))
    assert np.array_equal(a.get_value(), kept + 4)


def test_a_borrowed_array_is_read_not_taken():
    w, x = shared(np.zeros(4, "float32"), "w"), upload(np.arange(8, dtype="float32"))
    f = function([], w.sum(), updates=[(w, w + 1)])
    for _ in range(3):
        f()
    w.set_value(x[4:], borrow=True)
    assert [float(f()) for _ in range(5)] == [22, 26, 30, 34, 38]
    assert np.array_equal(x.to_host(), np.arange(8))
    w.set_value(x[:4], borrow=True)
    w.set_value(np.ones(4, "float32"))
    assert np.array_equal(x.to_host(), np.arange(8))


def test_two_variables_on_one_memory_then_on_two():
    a, b = shared(normal(3), "a"), shared(normal(3), "b")
    f = function([], a + 2 * b)
    x, y = upload(np.ones(3, "float32")), upload(np.full(3, 5, "float32"))
    a.set_value(x, borrow=True)
    b.set_value(x, borrow=True)
    assert f()[0] == f()[0] == 3
    b.set_value(y, borrow=True)
    assert f()[0] == 11


@pytest.mark.parametrize("replay", ["on", "off"])
def test_an_update_does_not_keep_the_array_of_the_caller(replay):
    w, x = shared(np.zeros(2, "float32"), "w"), T.vector("x")
    with config.change_flags(gpu_replay=replay):
        f = function([x], updates=[(w, x[1:3])])
        for _ in range(3):
            given = upload(np.arange(4, dtype="float32"))
            f(given)
            given[...] = np.float32(9)
            assert np.array_equal(w.get_value(), [1, 2])


def test_a_view_kept_step_by_step_is_not_where_a_plan_writes():
    w, x = shared(np.zeros(2, "float32"), "w"), T.vector("x")
    add = function([], w.sum(), updates=[(w, w + 1)])
    y = T.exp(x)
    positive = y[(y > 0).nonzero()]
    look = function([x], updates=[(w, positive[1:3])])  # un masque : elle ne se rejoue pas
    add()
    look(np.zeros(3, "float32"))
    look(np.zeros(3, "float32"))
    add()
    look(np.zeros(3, "float32"))
    assert [float(add()) for _ in range(6)] == [2, 4, 6, 8, 10, 12]


def test_lengths_belong_to_the_caller():
    c, x = T.lscalar("c"), T.vector("x")
    y = ifelse(c > 0, x[:2], x)
    f = function([c, x], [T.exp(y), y.shape[0]])
    for _ in range(3):
        length = f(1, normal(3))[1]
        assert length == 2
        length += 10


def test_two_threads_take_turns():
    x = T.vector("x")
    functions = function([x], T.exp(x)), function([x], T.tanh(x) + 1)
    wanted = np.exp(LINE), np.tanh(LINE) + 1
    wrong = []

    def many(f, expected):
        for _ in range(6):
            if not np.allclose(f(LINE), expected, 1e-5):
                wrong.append(expected)

    threads = [threading.Thread(target=many, args=a) for a in zip(functions, wanted, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
