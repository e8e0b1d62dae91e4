"""Ce qui se rejoue d’un bloc : les mêmes nombres qu’à l’appel nœud par nœud, et rien de perdu.

Le simulateur rejoue le même journal qu’un GPU, aux mêmes places d’une arène remplie de NaN.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("numba")

import engine.tensor as T
from engine import config, function, scan, shared
from engine.core.errors import ShapeError
from engine.gpu.kernels import plans, products
from engine.gpu.kernels.arrays import DeviceArray
from engine.gpu.kernels.calls import DeviceError
from engine.gpu.kernels.layouts import layout
from engine.gpu.kernels.machines import Simulator, machine
from engine.gpu.kernels.storage import holders
from engine.loops import until
from tests.gpu.test_training import character_lstm, lenet, softmax_regression
from tests.random_programs import loops
from tests.random_programs.campaign import Counts

pytestmark = [
    pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaPerformanceWarning"),
    pytest.mark.skipif(
        not isinstance(machine(), Simulator), reason="un GPU est là : c'est lui que l'on essaie"
    ),
]


@pytest.fixture(autouse=True)
def _on_device():
    with config.change_flags(device="cuda", floatX="float32"):
        yield


def section_of(f):
    """La section d’une fonction, ou None."""
    return f._written.replayer


def floats(*values):
    return np.array(values, "float32")


@pytest.mark.parametrize("lesson", [softmax_regression, lenet, character_lstm])
def test_a_replayed_lesson_gives_the_same_bits(lesson):
    learnt = []
    for replay in ("off", "on"):
        with config.change_flags(gpu_replay=replay):
            f, batches, parameters = lesson()
            costs = [f(*batches[0]) for _ in range(4)]
            learnt.append([*costs, *(p.get_value() for p in parameters)])
            assert section_of(f).replays == (3 if replay == "on" else 0)
    for one, other in zip(*learnt, strict=True):
        assert np.array_equal(one, other)


@pytest.fixture
def replayed_at_once(monkeypatch):
    """Tout ce qui se note se rejoue aussitôt, deux fois, et donne les mêmes bits."""
    first, counts = plans.Section._first, []

    def both(self, key, uploaded, host, resident):
        found = first(self, key, uploaded, host, resident)
        plan = self.plans.get(key)
        if plan is not None:
            counts.append(len(plan.events))
            expected = [*found[0], *(x.to_host() for x in found[1])]
            for _ in range(2):
                brought, updated, _ = plan.replay(uploaded, resident, self.storages)
                again = [*brought, *(x.to_host() for x in updated)]
                for one, other in zip(expected, again, strict=True):
                    np.testing.assert_array_equal(one, other)
        return found

    monkeypatch.setattr(plans.Section, "_first", both)
    return counts


def test_random_loops_are_right_and_replayed(replayed_at_once):
    """Contre NumPy, et contre eux-mêmes : un état, un résultat logent à leur ligne."""
    for seed in range(80):
        loops.check(loops.make(seed).loop, ["FAST_RUN"], Counts())
    assert len(replayed_at_once) > 60


def test_a_minibatch_number_is_data():
    """Les 700 lots d’une époque : un plan, et un second pour le dernier lot, plus court."""
    size, count = 3, 700
    rng = np.random.default_rng(0)
    values = rng.normal(size=(size * count - 1, 2)).astype("float32")
    labels = rng.integers(0, 5, len(values)).astype("int32")
    x, y = shared(values, "x"), shared(labels, "y")
    i, w = T.lscalar("i"), shared(floats(1, 2), "w")
    part = slice(i * size, (i + 1) * size)
    cost = (T.dot(x[part], w) * y[part]).sum() + x[i].sum()
    f = function([i], cost, updates=[(w, w + 0.5 * x[part].sum(axis=0))])
    expected = floats(1, 2)
    for k in [*range(count), -1, 5, count + 9]:  # au-delà, une tranche vide
        here = slice(k * size, (k + 1) * size)
        if k >= len(values):
            continue
        wanted = (values[here] @ expected * labels[here]).sum() + values[k].sum()
        np.testing.assert_allclose(f(k), wanted, 1e-4, 1e-4)
        expected = expected + np.float32(0.5) * values[here].sum(axis=0)
        w.set_value(expected)
    assert len(section_of(f).plans) == 3  # trois lignes, deux à la fin, aucune
    with pytest.raises(ShapeError, match="out of bounds"):
        f(len(values))


class Blas:
    """Une bibliothèque de produits, comme cuBLAS sur un GPU ; NumPy calcule."""

    def multiply(self, out, a, b, tf32=False):
        machine().call(self._multiply, out, a, b)
        return out

    def _multiply(self, out, a, b):
        seen = [
            np.lib.stride_tricks.as_strided(
                x.buffer[x.offset :], x.shape, [x.dtype.itemsize * step for step in x.strides]
            )
            for x in (out, a, b)
        ]
        assert not any(np.shares_memory(seen[0], x) for x in seen[1:])  # cuBLAS lit en écrivant
        seen[0][...] = seen[1] @ seen[2]


def test_with_a_library_a_step_of_lstm_is_three_launches(monkeypatch):
    """Un produit, sa somme avec x W, les portes ; les bits sont les mêmes."""
    monkeypatch.setattr(products, "find", lambda device: (Blas(), "essai"))
    learnt = []
    for replay in ("off", "on"):
        with config.change_flags(gpu_replay=replay, gpu_tier="library"):
            f, batches, parameters = character_lstm()
            costs = [f(*batches[0]) for _ in range(3)]
            learnt.append([*costs, *(p.get_value() for p in parameters)])
    for one, other in zip(*learnt, strict=True):
        assert np.array_equal(one, other)
    (plan,) = section_of(f).plans.values()
    products_at = [position for position, event in enumerate(plan.events) if event.method == "call"]
    assert list(np.diff(products_at[1:4])) == [3, 3]


def test_a_loop_copies_nothing_at_each_step():
    """États, résultats et jonctions s’écrivent à leur place."""
    x, U = T.matrix("x"), shared(np.float32([[0.1], [0.2], [-0.3], [0.4]]).repeat(2, 1), "U")

    def step(row, h):
        return T.tanh(T.dot(T.concatenate([row * h, row + h], axis=0), U))

    h, _ = scan(step, x, T.zeros((2,)))
    f = function([x], T.grad(h.sum(), U))
    for length in (5, 9):
        found = [f(np.ones((length, 2), "float32")) for _ in range(3)]
        assert all(np.array_equal(found[0], other) for other in found)
    few, many = (
        sum(event.method == "copy" for event in plan.events)
        for plan in section_of(f).plans.values()
    )
    assert few == many


def test_other_values_and_other_shapes_have_their_say():
    x, w = T.vector("x"), shared(floats(1, 2, 3), "w")
    f = function([x], (w * x).sum() + w.sum(), updates=[(w, w - 0.5 * x)])
    value = floats(1, 2, 3)
    rng = np.random.default_rng(0)
    for _ in range(5):
        given = rng.normal(size=3).astype("float32")
        np.testing.assert_allclose(f(given), (value * given).sum() + value.sum(), 1e-5)
        value = value - np.float32(0.5) * given
        np.testing.assert_allclose(w.get_value(), value, 1e-6)
    g = function([x], T.exp(x).sum())
    for length in (2, 3, 2, 3, 3):
        given = rng.normal(size=length).astype("float32")
        np.testing.assert_allclose(g(given), np.exp(given).sum(), 1e-5)
    assert section_of(f).replays == 4 and section_of(g).replays == 3


def test_a_host_number_that_changes_has_its_own_plan():
    data, i = shared(np.arange(12, dtype="float32").reshape(6, 2), "données"), T.lscalar("i")
    total = function([i], T.alloc(data[0], i, 2).sum())
    assert [float(total(k)) for k in (1, 2, 3, 1, 2, 3)] == [1, 2, 3] * 2
    assert section_of(total).replays == 3


def test_two_functions_share_a_variable():
    w, x = shared(floats(1, 1), "w"), T.vector("x")
    add = function([x], updates=[(w, w + x)])
    double = function([], w.sum(), updates=[(w, w * 2)])
    value = floats(1, 1)
    for k in range(6):
        add(floats(k, 1))
        value = value + floats(k, 1)
        assert double() == value.sum()
        value = value * 2
        if k == 3:
            w.set_value(floats(5, 7))
            value = floats(5, 7)
    assert np.array_equal(w.get_value(), value)


def test_a_step_by_step_update_keeps_the_places_a_plan_knows():
    """Une fonction qui ne se rejoue pas écrit w entre deux appels de celle qui se rejoue."""
    w, x = shared(floats(1, 2), "w"), T.vector("x")
    read = function([x], (w * x).sum(), updates=[(w, w + 1)])
    with config.change_flags(gpu_replay="off"):
        add = function([x], updates=[(w, w + x)])
    value = floats(1, 2)
    for k in range(6):
        assert read(floats(1, 1)) == value.sum()
        value = value + 1
        with config.change_flags(gpu_replay="off"):
            add(floats(k, 0))
        value = value + floats(k, 0)
    (plan,) = section_of(read).plans.values()
    assert np.array_equal(w.get_value(), value) and len(plan.bound) <= 2


def test_numbers_that_never_come_back_are_not_planned(monkeypatch):
    monkeypatch.setattr(plans, "MAX_PLANS", 3)
    monkeypatch.setattr(plans, "MAX_WASTED", 2)
    data, i = shared(np.arange(12, dtype="float32"), "données"), T.lscalar("i")
    f = function([i], data[i:].sum())
    for k in range(10):
        assert f(k) == np.arange(k, 12).sum()
    assert "chaque appel" in f.replay and not section_of(f).plans


def test_what_the_driver_cannot_capture_is_replayed_line_by_line(monkeypatch):
    def refused(self, run):
        raise DeviceError("GPU : finir une capture a échoué", received="ESSAI (901)")

    monkeypatch.setattr(Simulator, "captured", refused)
    x = T.vector("x")
    f = function([x], T.exp(x).sum())
    for k in range(3):
        np.testing.assert_allclose(f(floats(k, 1)), np.exp(floats(k, 1)).sum(), 1e-6)
    assert f.replay.startswith("2 appel") and f.replay.endswith("ESSAI (901)")


def test_swapped_and_repeated_variables():
    a, b, c = (shared(floats(k, k), name) for k, name in enumerate("abc"))
    swap = function([], updates=[(a, b), (b, a), (c, a + b)])
    same = function([], [a * 1, a * 1], updates=[(b, a + 1), (c, a + 1)])
    for _ in range(3):
        before = [v.get_value() for v in (a, b)]
        swap()
        after = [v.get_value() for v in (a, b, c)]
        assert np.array_equal(after, [before[1], before[0], before[0] + before[1]])
    for _ in range(3):
        one, two = same()
        assert np.array_equal(one, two) and np.array_equal(b.get_value(), c.get_value())


def test_a_value_kept_by_the_caller_does_not_change():
    x, w = T.vector("x"), shared(floats(1, 1), "w")
    f = function([x], [x * w, w], updates=[(w, w + 1)])
    results = [f(floats(k, k)) for k in range(4)]
    for k, (product, before) in enumerate(results):
        assert np.array_equal(product, floats(k, k) * (k + 1))
        assert np.array_equal(before, floats(k + 1, k + 1))


def test_a_fault_in_a_replay_changes_nothing():
    w, n, i = shared(floats(1, 2, 3), "w"), shared(np.int64(0), "n"), T.ivector("i")
    f = function([i], w[i].sum(), updates=[(w, w + 1), (n, n + 1)])
    good, bad = np.array([0, 1], "int32"), np.array([0, 9], "int32")
    f(good), f(good)
    with pytest.raises(ShapeError, match="index 9"):
        f(bad)
    assert np.array_equal(w.get_value(), floats(3, 4, 5)) and n.get_value() == 2
    assert f(good) == 7 and section_of(f).replays == 2  # l’appel fautif ne compte pas


def test_an_interrupted_replay_changes_nothing(monkeypatch):
    w, n = shared(floats(1, 2), "w"), shared(np.int64(0), "n")
    f = function([], w.sum(), updates=[(w, w * 2), (n, n + 1)])
    f(), f()

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Simulator, "download", interrupted)
        with pytest.raises(KeyboardInterrupt):
            f()
    assert np.array_equal(w.get_value(), floats(4, 8)) and n.get_value() == 2
    assert f() == 12 and np.array_equal(w.get_value(), floats(8, 16))


def test_a_loop_is_replayed_and_one_that_must_look_is_not():
    x, h = T.matrix("x"), shared(floats(0, 0), "h")
    rows, _ = scan(lambda row, past: T.tanh(row + past), sequences=x, outputs_info=h)
    f = function([x], rows, updates=[(h, rows[-1])])
    for k in range(3):
        given, past, wanted = np.full((3, 2), k, "float32"), h.get_value(), []
        for row in given:
            past = np.tanh(row + past)
            wanted.append(past)
        np.testing.assert_allclose(f(given), wanted, 1e-5)
    assert section_of(f).replays == 2
    powers, _ = scan(lambda p: (2 * p, until(p.sum() > 8)), outputs_info=h + 1, n_steps=20)
    g = function([], powers)
    assert (np.array_equal(g(), g()) and section_of(g) is None) or section_of(g).why


def test_memory_is_named_and_values_outlive_set_value():
    w = shared(floats(1, 2), "poids")
    f = function([], w.sum(), updates=[(w, w + 1)])
    f(), f()
    w.set_value(floats(10, 20))
    assert f() == 30 and f() == 32
    assert dict(holders())["poids"] == 16  # deux zones de deux float32


def test_the_program_shows_its_section():
    f, _, _ = softmax_regression()
    assert "def sur_le_gpu(" in f.source and "rejouer(" in f.source
    assert "sur_le_gpu" not in function([], T.constant(1) + 1).source


def test_an_array_of_the_device_is_an_input(monkeypatch):
    x = T.vector("x")
    f = function([x], (2 * x).sum())
    section, given = section_of(f), floats(1, 2, 3)
    place = DeviceArray(machine().allocate(3, "float32"), (3,), "float32")
    machine().write(place, given)
    for _ in range(3):
        (total,), _, _ = section((place,), (), ())
        assert total == 12


lives = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 8), st.integers(1, 5000)), max_size=30
)


@given(lives)
def test_zones_alive_together_never_touch(rows):
    spans = {k: (first, first + more) for k, (first, more, _) in enumerate(rows)}
    sizes = [size for *_, size in rows]
    offsets, total = layout(spans, sizes, 1024)
    for k, (first, last) in spans.items():
        assert offsets[k] >= 1024 and offsets[k] + sizes[k] <= total
        for other, (start, end) in spans.items():
            if other != k and start <= last and first <= end:
                apart = offsets[other] + sizes[other] <= offsets[k]
                assert apart or offsets[k] + sizes[k] <= offsets[other]
