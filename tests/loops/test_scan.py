"""Les boucles : chaque programme est comparé à la même récurrence écrite pas à pas, à la main.

La valeur, le gradient, le gradient du gradient et le produit jacobienne-vecteur, dans tous les
modes : sans réécriture, réécrit, avec noyaux, et sous l’œil de `DebugMode`.
"""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from engine import function, scan, shared
from engine import tensor as T
from engine.core.errors import EngineError, ShapeError, UpdateError
from engine.core.graph import toposort
from engine.core.modes import Mode
from engine.gradient import Rop, hessian, jacobian
from engine.loops import until
from engine.loops.loop_op import Scan
from engine.ops.products import Dot
from engine.tensor.cloning import clone
from engine.tensor.shared_randomstreams import RandomStreams

MODES = {
    "sans réécriture": Mode("numpy", None),
    "FAST_COMPILE": "FAST_COMPILE",
    "numpy": Mode("numpy"),
    "FAST_RUN": "FAST_RUN",
}


def unroll(fn, sequences=(), outputs_info=(), n_steps=4, non_sequences=()):
    """La même récurrence, un pas après l’autre : la référence, écrite sans `scan`."""
    pasts, results = [], [[] for _ in outputs_info]
    for info in outputs_info:
        if info is None:
            pasts.append(None)
        elif isinstance(info, dict):
            taps = info["taps"]
            pasts.append((taps, [info["initial"][row] for row in range(-min(taps))]))
        else:
            pasts.append(([-1], [info]))
    for t in range(n_steps):
        arguments = [
            s["input"][t + tap - min(*s["taps"], 0)] if isinstance(s, dict) else s[t]
            for s in sequences
            for tap in (s["taps"] if isinstance(s, dict) else [0])
        ]
        for past in pasts:
            arguments += [past[1][tap] for tap in past[0]] if past else []
        new = fn(*arguments, *non_sequences)
        new = new if isinstance(new, list | tuple) else [new]
        for place, value in enumerate(new):
            results[place].append(value)
            if pasts[place]:
                pasts[place][1].append(value)
    return [T.stack(values) for values in results]


def values_of(variables, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {0: (), 1: (3,), 2: (2, 3), 3: (4, 2, 3)}
    return [rng.uniform(-1, 1, getattr(v.tag, "shape", shapes[v.ndim])) for v in variables]


def named(kind, name, *shape):
    variable = getattr(T, f"d{kind}")(name)
    variable.tag.shape = shape
    return variable


class Program:
    """Une boucle et sa référence, sur les mêmes entrées."""

    def __init__(self, inputs, fn, sequences=(), outputs_info=(), **options):
        self.inputs = inputs
        steps = options.pop("reference_steps", 4)
        outputs, updates = scan(
            fn, list(sequences), list(outputs_info), return_list=True, **options
        )
        assert not updates
        self.pair = outputs, unroll(fn, sequences, outputs_info, steps)

    def check(self, mode, order=2):
        arguments, rng = values_of(self.inputs), np.random.default_rng(1)
        both = []
        for outputs in self.pair:
            wanted = list(outputs)
            if order:
                cost = sum(
                    (T.sin(output) * (rank + 1)).sum() for rank, output in enumerate(outputs)
                )
                first = T.grad(cost, self.inputs, disconnected_inputs="ignore")
                directions = [T.constant(rng.normal(size=a.shape)) for a in arguments]
                rng = np.random.default_rng(1)
                wanted += [cost, *first, *Rop(outputs, self.inputs, directions)]
            if order > 1:
                again = sum((gradient**2).sum() for gradient in first)
                wanted += T.grad(again, self.inputs, disconnected_inputs="ignore")
            compiled = function(self.inputs, wanted, mode=mode, on_unused_input="ignore")
            both.append(compiled(*arguments))
        for obtained, expected in zip(*both, strict=True):
            np.testing.assert_allclose(obtained, expected, rtol=1e-9, atol=1e-12)


def rnn():
    x, h0 = named("tensor3", "x", 4, 2, 3), named("matrix", "h0", 2, 3)
    W, U, b = named("matrix", "W", 3, 3), named("matrix", "U", 3, 3), named("vector", "b", 3)
    return Program([x, h0, W, U, b], lambda v, h: T.tanh(T.dot(v, W) + T.dot(h, U) + b), [x], [h0])


def vector_rnn():
    """Un seul exemple à la fois : le gradient d’un poids est un produit extérieur."""
    x, h0 = named("matrix", "x", 4, 3), named("vector", "h0", 3)
    W, U = named("matrix", "W", 3, 3), named("matrix", "U", 3, 3)

    def step(v, h):
        h = T.tanh(T.dot(v, W) + T.dot(U, h))
        return h, T.nnet.softmax(T.dot(h, W))

    return Program([x, h0, W, U], step, [x], [h0, None])


def lstm():
    n = 2
    x, h0, c0 = (named(*spec) for spec in [
        ("tensor3", "x", 4, 2, 3), ("matrix", "h0", 2, n), ("matrix", "c0", 2, n)])  # fmt: skip
    W, U, b = named("matrix", "W", 3, 4 * n), named("matrix", "U", n, 4 * n), T.dvector("b")
    mask, V = named("matrix", "mask", 4, 2), named("matrix", "V", n, 3)
    b.tag.shape = (4 * n,)

    def step(v, m, h, c):
        z = T.dot(v, W) + T.dot(h, U) + b
        i, f, o, g = (z[:, k * n : (k + 1) * n] for k in range(4))
        new = T.nnet.sigmoid(f) * c + T.nnet.sigmoid(i) * T.tanh(g)
        new = m[:, None] * new + (1 - m[:, None]) * c
        h = m[:, None] * T.nnet.sigmoid(o) * T.tanh(new) + (1 - m[:, None]) * h
        return h, new, T.log(T.nnet.softmax(T.dot(h, V)))

    return Program([x, mask, h0, c0, W, U, b, V], step, [x, mask], [h0, c0, None])


def taps():
    x, start = named("vector", "x", 6), named("vector", "s", 3)
    return Program(
        [x, start], lambda a, b, far, near: a * far + T.sin(b * near),
        [{"input": x, "taps": [-1, 1]}], [{"initial": start, "taps": [-3, -1]}],
    )  # fmt: skip


def swapped_states():
    """Chaque état devient l’autre : lire avant d’écrire."""
    x, a, b = named("matrix", "x", 4, 3), named("vector", "a", 3), named("vector", "b", 3)
    return Program([x, a, b], lambda v, p, q: (q, p * v), [x], [a, b])


def nested():
    x, W = named("tensor3", "x", 4, 2, 3), named("vector", "W", 3)

    def row(v, total):
        inner, _ = scan(lambda u, s: T.tanh(s + u * W), [v], [total * W])
        return inner[-1].sum() + total

    def row_unrolled(v, total):
        inner = total * W
        for position in range(2):
            inner = T.tanh(inner + v[position] * W)
        return inner.sum() + total

    program = Program([x, W], row, [x], [T.constant(0.5)])
    program.pair = program.pair[0], unroll(row_unrolled, [x], [T.constant(0.5)])
    return program


def gradient_inside():
    """Une descente de gradient déroulée dans la boucle, puis dérivée par rapport à son départ."""
    start, W = named("vector", "start", 3), named("matrix", "W", 3, 3)

    def step(x):
        return x - 0.1 * T.grad((T.sin(T.dot(W, x)) ** 2).sum(), x)

    return Program([start, W], step, [], [start], n_steps=4)


def accumulator():
    """Des sommes de toutes sortes, dont seule la fin est lue."""
    x, W, E = named("tensor3", "x", 4, 2, 3), named("matrix", "W", 3, 2), named("matrix", "E", 5, 3)

    def step(v, total, table):
        return total + T.dot(v, W).sum(axis=0), table + T.dot(v.T, v) * W.sum()

    program = Program([x, W], step, [x], [T.zeros(2), T.zeros((3, 3))])
    program.pair = tuple([output[-1] for output in outputs] for outputs in program.pair)
    del E
    return program


def independent_steps():
    """Rien ne passe d’un pas au suivant : la boucle disparaît."""
    x, W = named("tensor3", "x", 4, 2, 3), named("matrix", "W", 3, 3)
    return Program(
        [x, W], lambda v: (T.nnet.softmax(T.dot(v, W)), T.dot(v[0], W) + v.max()), [x], [None, None]
    )


def constant_output():
    x, W = named("vector", "x", 4), named("vector", "W", 3)
    return Program([x, W], lambda v, s: (s + v, W * 2), [x], [T.constant(0.0), None])


PROGRAMS = [
    rnn, vector_rnn, lstm, taps, swapped_states, nested, gradient_inside, accumulator,
    independent_steps, constant_output,
]  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_like_unrolled(program, mode):
    heavy = program is lstm and mode != "FAST_RUN"
    program().check(MODES[mode], order=1 if heavy else 2)


@pytest.mark.parametrize("program", [rnn, taps, nested], ids=lambda p: p.__name__)
def test_under_debug_mode(program):
    program().check("DebugMode", order=1)


@given(
    taps=st.lists(st.integers(-4, -1), min_size=1, max_size=3, unique=True),
    reads=st.lists(st.integers(-2, 2), min_size=1, max_size=2, unique=True),
    backwards=st.booleans(),
    n_steps=st.integers(1, 5),
)
@settings(max_examples=15, deadline=None)
def test_any_taps(taps, reads, backwards, n_steps):
    x, start = named("vector", "x", 9), named("vector", "s", 4)

    def step(*items):
        return sum((rank + 1) * T.sin(item) for rank, item in enumerate(items))

    out, _ = scan(
        step, [{"input": x, "taps": reads}],
        [start[0] if taps == [-1] else {"initial": start, "taps": taps}],
        go_backwards=backwards, n_steps=n_steps,
    )  # fmt: skip
    x_value, s_value = values_of([x, start])
    past, expected = list(s_value[: -min(taps)]), []
    low, high = min(*reads, 0), max(*reads, 0)
    for t in range(n_steps):
        place = (len(x_value) - 1 - high - t) if backwards else t - low
        items = [x_value[place + read] for read in reads] + [past[tap] for tap in taps]
        past.append(sum((rank + 1) * np.sin(item) for rank, item in enumerate(items)))
        expected.append(past[-1])
    gradient = T.grad(out.sum(), [x, start], disconnected_inputs="ignore")
    f = function([x, start], [out, *gradient], mode="FAST_COMPILE")
    obtained, g_x, g_s = f(x_value, s_value)
    np.testing.assert_allclose(obtained, expected, rtol=1e-12)
    for rank, (point, g) in enumerate([(x_value, g_x), (s_value, g_s)]):
        direction, arguments = (
            np.random.default_rng(rank).normal(size=point.shape),
            [x_value, s_value],
        )
        ends = []
        for sign in (1, -1):
            arguments[rank] = point + sign * 1e-6 * direction
            ends.append(f(*arguments)[0].sum())
        assert (g * direction).sum() == pytest.approx(
            (ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-6
        )


# ---- les exemples de la documentation de Theano --------------------------------------------


def test_power():
    k, A = T.iscalar("k"), T.vector("A")
    result, updates = scan(
        fn=lambda prior, A: prior * A,
        outputs_info=T.ones_like(A),
        non_sequences=A,
        n_steps=k,
    )
    power = function([A, k], result[-1], updates=updates)
    np.testing.assert_array_equal(power(range(10), 2), np.arange(10.0) ** 2)
    np.testing.assert_array_equal(power(range(10), 4), np.arange(10.0) ** 4)


def test_polynomial():
    coefficients, x = T.vector("coefficients"), T.scalar("x")
    terms, _ = scan(
        lambda coefficient, power, free: coefficient * free**power,
        sequences=[coefficients, T.arange(10000)],
        outputs_info=None,
        non_sequences=x,
    )
    assert function([coefficients, x], terms.sum())([1.0, 0.0, 2.0], 3.0) == 19.0


def test_until_stops_after_the_step_that_meets_the_condition():
    limit = T.scalar("limit")
    values, _ = scan(
        lambda previous, limit: (previous * 2, until(previous * 2 > limit)),
        outputs_info=T.constant(1.0),
        non_sequences=limit,
        n_steps=1024,
    )
    np.testing.assert_array_equal(function([limit], values)(45), [2, 4, 8, 16, 32, 64])
    gradient = T.grad(values[-1], limit, disconnected_inputs="ignore")
    assert function([limit], gradient, on_unused_input="ignore")(45) == 0


def test_gradient_through_until():
    x, limit = T.dscalar("x"), T.dscalar("limit")
    values, _ = scan(
        lambda p: (p * x, until(p * x > limit)), outputs_info=T.constant(1.0), n_steps=100
    )
    f = function([x, limit], [values[-1], T.grad(values[-1], x), T.grad(values.sum(), x)])
    last, g, g_sum = f(2.0, 20.0)  # 2, 4, 8, 16, 32 = x**5
    assert (last, g, g_sum) == (32, 5 * 2**4, sum(n * 2 ** (n - 1) for n in range(1, 6)))


def test_updates_of_a_shared_variable():
    counter = shared(0, name="compteur")
    values, updates = scan(lambda: (counter * 2, {counter: counter + 1}), n_steps=5)
    f = function([], values, updates=updates)
    np.testing.assert_array_equal(f(), [0, 2, 4, 6, 8])
    assert counter.get_value() == 5
    np.testing.assert_array_equal(f(), [10, 12, 14, 16, 18])


@pytest.mark.parametrize("form", ["paires", "dictionnaire", "seules"])
def test_every_form_of_updates(form):
    total = shared(0.0)
    returned = {
        "paires": lambda v: (v, [(total, total + v)]),
        "dictionnaire": lambda v: ([v], {total: total + v}),
        "seules": lambda v: [(total, total + v)],
    }[form]
    x = T.dvector("x")
    outputs, updates = scan(returned, x)
    assert (outputs is None) == (form == "seules")
    function([x], outputs, updates=updates)([1.0, 2.0, 3.0])
    assert total.get_value() == 6.0


def test_draws_inside_change_at_each_step_and_from_call_to_call():
    stream = RandomStreams(7)
    values, updates = scan(lambda: stream.uniform((3,)), n_steps=4)
    f = function([], values, updates=updates)
    first, second = f(), f()
    drawn = np.concatenate([first, second])
    assert drawn.shape == (8, 3) and len(np.unique(drawn)) == 24
    stream.seed(7)
    np.testing.assert_array_equal(f(), first)


def test_draws_advance_without_their_updates_and_in_nested_loops():
    stream = RandomStreams(7)

    def rows():
        values, _ = scan(lambda: stream.uniform(()), n_steps=3)
        return values

    values, _ = scan(rows, n_steps=2)
    f = function([], values)
    drawn = np.stack([f(), f()])
    assert drawn.shape == (2, 2, 3) and len(np.unique(drawn)) == 12


def test_draws_made_outside_are_the_same_at_each_step():
    stream = RandomStreams(7)
    mask, x = stream.binomial((3,), p=0.5), T.dmatrix("x")
    values, updates = scan(lambda row: row * mask, x)
    assert not updates
    rows = function([x], values)(np.ones((5, 3)))
    assert (rows == rows[0]).all()


@pytest.mark.parametrize("mode", MODES)
def test_draws_copied_into_a_loop_advance_with_it(mode):
    """Un tirage dont la taille dépend de la ligne, et celui d’une condition d’arrêt."""
    alone = RandomStreams(7)
    one = function([], [alone.uniform((3,)), alone.uniform(())])
    draws = [one() for _ in range(40)]
    stream, x, rows = RandomStreams(7), T.dvector("x"), T.dmatrix("rows")
    drawn = x * stream.uniform(x.shape)
    values, _ = scan(lambda row: clone(drawn, {x: row}), rows)
    f = function([rows], values, mode=MODES[mode])
    for start in (0, 4):
        expected = [row for row, _ in draws[start : start + 4]]
        np.testing.assert_allclose(f(np.ones((4, 3))), expected)
    values, _ = scan(lambda: (T.constant(1.0), until(stream.uniform(()) > 0.8)), n_steps=40)
    stops = next(rank for rank, (_, number) in enumerate(draws) if number > 0.8)
    assert stops
    assert len(function([], values, mode=MODES[mode])()) == stops + 1


def test_the_gradient_sees_the_draws_of_the_forward_loop():
    stream, w = RandomStreams(3), T.dscalar("w")
    values, updates = scan(lambda: stream.normal(()) * w, n_steps=6)
    outputs = function([w], [values.sum(), T.grad(values.sum(), w)], updates=updates)
    for _ in range(2):
        total, gradient = outputs(2.0)
        assert gradient == pytest.approx(total / 2)


def test_map_reduce_fold():
    x, y = T.dvector("x"), T.dvector("y")
    products, _ = engine.map(lambda a, b: a * b, [x, y])
    summed, _ = engine.reduce(lambda a, s: a + s, x, T.constant(0.0))
    left, _ = engine.foldl(lambda a, s: a - s, x, T.constant(0.0))
    right, _ = engine.foldr(lambda a, s: a - s, x, T.constant(0.0))
    results = function([x, y], [products, summed, left, right])([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    np.testing.assert_array_equal(results[0], [4, 10, 18])
    assert results[1:] == [6, 2, 2]


def test_no_step_at_all():
    n, x = T.lscalar("n"), T.dvector("x")
    values, _ = scan(lambda s: s * x, outputs_info=T.ones(3), n_steps=n)
    f = function([n, x], [values, T.grad(values.sum(), x)])
    nothing, gradient = f(0, np.ones(3))
    assert nothing.shape == (0, 3)
    np.testing.assert_array_equal(gradient, np.zeros(3))


def test_jacobian_and_hessian():
    x, W = T.dvector("x"), T.dmatrix("W")
    y = T.tanh(T.dot(W, x))
    values = [np.array([0.1, -0.3, 0.7]), np.random.default_rng(0).normal(size=(2, 3))]
    J, H = jacobian(y, x), hessian(y.sum(), x)
    obtained = function([x, W], [J, H])(*values)
    inside = np.tanh(values[1] @ values[0])
    slope = 1 - inside**2
    np.testing.assert_allclose(obtained[0], slope[:, None] * values[1])
    curve = -2 * inside * slope
    np.testing.assert_allclose(obtained[1], np.einsum("k,ki,kj", curve, values[1], values[1]))
    assert [v.ndim for v in jacobian(y, [x, W])] == [2, 3]


def test_truncated_gradient():
    """Un état x_t = w x_{t-1} + 1 : le gradient de x_T n’additionne que les derniers pas."""
    w = T.dscalar("w")
    for truncate in (1, 2, 5, -1):
        values, _ = scan(
            lambda s: w * s + 1, outputs_info=T.constant(1.0), n_steps=5, truncate_gradient=truncate
        )
        gradient = T.grad(values[-1], w)
        states = [1.0]
        for _ in range(5):
            states.append(0.5 * states[-1] + 1)
        reach = 5 if truncate == -1 else truncate
        expected = sum(0.5**k * states[4 - k] for k in range(reach))
        for mode in ("FAST_COMPILE", "FAST_RUN"):
            assert function([w], gradient, mode=mode)(0.5) == pytest.approx(expected)


def test_states_of_length_one_need_no_unbroadcast():
    x = T.dmatrix("x")
    values, _ = scan(lambda row, h: h + row.sum(), x, outputs_info=T.zeros((1, 1)))
    assert function([x], values)(np.ones((3, 2))).tolist() == [[[2.0]], [[4.0]], [[6.0]]]


def test_an_integer_start_takes_the_dtype_of_the_step():
    n = T.lvector("n")
    values, _ = scan(lambda v, total: total + v, n, outputs_info=T.constant(0))
    assert values.dtype == "int64"
    np.testing.assert_array_equal(function([n], values)([1, 2, 300]), [1, 3, 303])


def test_stable_inside_the_loop():
    """log(softmax) d’un pas, et le gradient, là où la forme naïve donne -inf puis NaN."""
    z = T.fmatrix("z")
    (_, rows), _ = scan(
        lambda row, s: (-s, T.log(T.nnet.softmax(row + s))),
        z, [T.zeros((3,), "float32"), None],
    )  # fmt: skip
    loss = -rows[:, 0, 0].mean()
    values = np.array([[-200.0, 0.0, 5.0], [3.0, 1.0, 300.0]], dtype="float32")
    obtained, gradient = function([z], [loss, T.grad(loss, z)])(values)
    exact = values.astype("float64")
    shifted = exact - exact.max(1, keepdims=True)
    exact = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    assert obtained == pytest.approx(-exact[:, 0].mean(), rel=1e-6)
    assert np.isfinite(gradient).all()


# ---- structure ---------------------------------------------------------------------------


def loops(f):
    return [node for node in f.fgraph.toposort() if isinstance(node.op, Scan)]


def count(node, op_class):
    return sum(isinstance(inner.op, op_class) for inner in toposort(node.op.outputs))


def test_only_the_recurrent_product_stays_in_the_loops():
    """W x sort avant l’aller ; au retour, un seul produit reste ; les poids sont dérivés dehors."""
    program = rnn()
    cost = (program.pair[0][0] ** 2).sum()
    f = function(program.inputs, T.grad(cost, program.inputs))
    forward, backward = loops(f)
    assert (count(forward, Dot), count(backward, Dot)) == (1, 1)
    outside = [node for node in f.fgraph.toposort() if isinstance(node.op, Dot)]
    assert len(outside) == 4  # x W, puis les gradients de x, W et U


def test_a_loop_without_recurrence_disappears():
    program = independent_steps()
    assert not loops(function(program.inputs, program.pair[0]))


def test_only_the_last_state_is_kept():
    n, x = T.lscalar("n"), T.dvector("x")
    values, _ = scan(lambda s: T.tanh(s + x), outputs_info=T.zeros(3), n_steps=n)
    whole, last = function([n, x], values), function([n, x], values[-1])
    assert [loop.op.keep for loop in loops(whole) + loops(last)] == [(True,), (False,)]
    np.testing.assert_array_equal(whole(7, np.ones(3))[-1], last(7, np.ones(3)))


def test_the_same_loop_written_twice_runs_once():
    x = T.dvector("x")
    first, _ = scan(lambda v, s: T.sin(s + v), x, T.constant(0.0))
    second, _ = scan(lambda v, s: T.sin(s + v), x, T.constant(0.0))
    assert len(loops(function([x], [first, second]))) == 1


def test_one_gradient_pass_per_loop():
    """La remontée est une seule boucle, quel que soit le nombre de variables dérivées."""
    program = lstm()
    cost = program.pair[0][0].sum()
    f = function(program.inputs, T.grad(cost, program.inputs, disconnected_inputs="ignore"),
                 on_unused_input="ignore")  # fmt: skip
    assert len(loops(f)) == 2


def profiled(mode):
    x = T.dvector("x")
    values, _ = scan(lambda v, s: T.sin(s + v), x, T.constant(0.0))
    f = function([x], values, mode=mode, profile=True)
    f(np.ones(5))
    rows = f.profile.by_node()
    assert sum(f.profile.share(row) for row in rows) == pytest.approx(1)
    return rows


def test_profile_counts_the_nodes_of_a_python_loop_once():
    assert max(row.calls for row in profiled(Mode("numpy"))) == 5


def test_profile_measures_a_loop_made_of_one_kernel_as_it_runs():
    assert max(row.calls for row in profiled("FAST_RUN")) == 1


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))])
def test_copies_and_pickles(clone):
    program = lstm()
    f = function(program.inputs, T.grad(program.pair[0][2].sum(), program.inputs))
    arguments = values_of(program.inputs)
    for obtained, expected in zip(clone(f)(*arguments), f(*arguments), strict=True):
        np.testing.assert_array_equal(obtained, expected)


def test_test_values_flow_through_a_step():
    with engine.config.change_flags(compute_test_value="raise"):
        x = T.dmatrix("x")
        x.tag.test_value = np.ones((4, 3))
        seen = []

        def step(row, s):
            seen.append((row + s).tag.test_value)
            return row + s

        start = T.dvector("s")
        start.tag.test_value = np.zeros(3)
        values, _ = scan(step, x, start)
    np.testing.assert_array_equal(seen[0], np.ones(3))
    assert values.tag.test_value.shape == (4, 3)


def test_test_values_of_a_shared_sequence_and_of_a_gradient():
    x, y = T.vector("x"), shared(np.arange(3.0), name="y")
    x.tag.test_value = np.arange(3.0)
    with engine.config.change_flags(compute_test_value="raise"):
        both, _ = scan(lambda u, v: u + v, [x, y])
        h, _ = scan(lambda p: T.dot(p, np.eye(3)), n_steps=3, outputs_info=x)
        gradient = T.grad(h.sum(), x)
    np.testing.assert_array_equal(both.tag.test_value, [0, 2, 4])
    np.testing.assert_array_equal(gradient.tag.test_value, [3, 3, 3])


# ---- aucun pas, ou trop ------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_no_step_has_the_shapes_of_no_row(mode):
    x, W, start = T.dmatrix("x"), T.dmatrix("W"), T.dvector("s")
    (hs, ys), _ = scan(
        lambda row, h: [T.tanh(h + T.dot(row, W)), T.dot(row, W).cumsum()], x, [start, None]
    )
    gradient = T.grad(hs.sum() + ys.sum(), W)
    f = function([x, W, start], [ys, ys.shape, T.dot(ys, W.T), gradient], mode=MODES[mode])
    values, shape, product, gradient = f(np.ones((0, 5)), np.ones((5, 2)), np.ones(2))
    assert values.shape == tuple(shape) == (0, 2)
    assert product.shape == (0, 5)
    np.testing.assert_array_equal(gradient, np.zeros((5, 2)))


@pytest.mark.parametrize("mode", MODES)
def test_the_last_of_no_step_is_refused(mode):
    """Même quand la boucle n’aurait gardé que la fin, ou serait devenue une somme."""
    k, x = T.lscalar("k"), T.dmatrix("x")
    power, _ = scan(lambda p: p * x, outputs_info=T.ones((2, 2)), n_steps=k)
    total, _ = scan(lambda row, t: t + T.dot(row, np.ones((2, 2))), x, T.zeros(2))
    for inputs, outputs, arguments in (
        ([k, x], power, (0, np.ones((2, 2)))),
        ([x], total, (np.ones((0, 2)),)),
    ):
        with pytest.raises(EngineError):
            function(inputs, outputs[-1], mode=MODES[mode])(*arguments)
        sums = function(inputs, outputs[-1:].sum(axis=0), mode=MODES[mode])(*arguments)
        assert not sums.any()


@pytest.mark.parametrize("mode", MODES)
def test_fewer_steps_than_lags(mode):
    """La fin d’une histoire n’y prend pas les valeurs initiales."""
    k, start = T.lscalar("k"), T.dvector("s")
    values, _ = scan(lambda a, b: a + b, [], {"initial": start, "taps": [-2, -1]}, n_steps=k)
    f = function([k, start], values[-2:], mode=MODES[mode])
    for steps, expected in ((3, [5, 8]), (2, [3, 5]), (1, [3]), (0, [])):
        np.testing.assert_array_equal(f(steps, np.array([1.0, 2.0])), expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fn", [lambda v: v * 2, lambda v: T.ones(2), lambda v: v * 2 + T.ones(2)])
def test_no_mode_reads_beyond_a_sequence(mode, fn):
    x, k = T.dvector("x"), T.lscalar("k")
    for steps in (5, k):
        values, _ = scan(fn, x, n_steps=steps)
        f = function([x, k], values, mode=MODES[mode], on_unused_input="ignore")
        assert len(f(np.ones(7), 5)) == 5
        with pytest.raises(ShapeError, match=r"(?s)une ligne par pas.*5 ligne.*3 ligne.*pour x"):
            f(np.ones(3), 5)
    with pytest.raises(ShapeError, match="négatif"):
        f(np.ones(3), -1)


@pytest.mark.parametrize("mode", MODES)
def test_a_dropped_axis_must_be_of_length_one(mode):
    m = T.dmatrix("m")
    values, _ = scan(lambda v, a: a * 0.5 + v.dimshuffle(), m, T.constant(0.0))
    f = function([m], values, mode=MODES[mode])
    np.testing.assert_array_equal(f(np.ones((2, 1))), [1, 1.5])
    with pytest.raises(ShapeError, match="dimshuffle"):
        f(np.ones((2, 2)))


# ---- erreurs -----------------------------------------------------------------------------


def test_errors_say_what_to_do():
    x, W = T.dvector("x"), shared(np.ones(3), name="W")
    with pytest.raises(EngineError, match="combien de pas"):
        scan(lambda s: s, outputs_info=T.constant(0.0))
    with pytest.raises(EngineError, match=r"strict=True.*\n.*\n.*W"):
        scan(lambda v: v * W, x, strict=True)
    scan(lambda v, W: v * W, x, non_sequences=W, strict=True)
    with pytest.raises(EngineError, match="une sortie par élément d’outputs_info"):
        scan(lambda v, s: (v, s), x, T.constant(0.0))
    with pytest.raises(EngineError, match="retards négatifs"):
        scan(lambda v, s: v, x, {"initial": x, "taps": [0]})
    with pytest.raises(EngineError, match="n’a pas d’axe à parcourir"):
        scan(lambda v: v, T.dscalar("scalaire"))
    with pytest.raises(UpdateError, match="le nombre d’axes change"):
        scan(lambda v, s: s + W, x, T.constant(0.0))
    with pytest.raises(ShapeError, match="until"):
        until(x > 0)


def test_a_state_that_becomes_wider_names_the_culprit():
    x, h = T.fmatrix("x"), T.fvector("h")
    wide = T.dvector("large")
    with pytest.raises(UpdateError, match=r"(?s)float64, la variable float32.*large"):
        scan(lambda v, s: s + v * wide, x, h)


def test_a_state_that_changes_shape_is_named():
    x = T.dvector("x")
    x.name = "départ"
    values, _ = scan(lambda s: T.concatenate([s, s]), outputs_info=x, n_steps=3)
    with pytest.raises(ShapeError, match=r"(?s)change de forme au pas 0.*\(2,\).*départ.*\(4,\)"):
        function([x], values)(np.ones(2))


def test_too_many_steps_for_the_sequence():
    x = T.dvector("x")
    values, _ = scan(lambda v: v * 2 + T.sort(x)[0], x, n_steps=5)
    with pytest.raises(ShapeError, match=r"(?s)une ligne par pas.*3 ligne"):
        function([x], values, mode="FAST_COMPILE")(np.ones(3))


def test_an_error_inside_names_the_node_of_the_step():
    x, W = T.dmatrix("x"), T.dmatrix("W")
    values, _ = scan(lambda row, h: T.tanh(T.dot(h, W) + row), x, T.zeros(3))
    with pytest.raises(ShapeError, match=r"(?s)dot.*test_scan\.py"):
        function([x, W], values)(np.ones((2, 3)), np.ones((4, 3)))
