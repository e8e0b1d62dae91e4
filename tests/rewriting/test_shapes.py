"""Les formes supposées : rien à sommer quand rien n’est étiré, et le bon résultat sinon."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import function, scan, shared
from engine import tensor as T
from engine.core.fgraph import FunctionGraph
from engine.core.modes import Mode
from engine.ops.index import IncSubtensor
from engine.ops.shape import Join
from engine.ops.sum_to import SumTo
from engine.rewriting.speed.lengths import Lengths, computed, value_of


def count(f, op_class):
    return sum(isinstance(node.op, op_class) for node in f.fgraph.toposort())


def test_no_sum_is_left_and_a_guard_says_why():
    x, y = T.dmatrices("xy")
    f = function([x, y], T.grad((T.tanh(x * y) + y).sum(), [x, y]))
    assert count(f, SumTo) == 0
    assert "if (x.shape, y.shape,) not in formes_vérifiées" in f.source
    careful = function([x, y], f._recipe[1], mode=Mode().excluding("formes_supposées"))
    assert count(careful, SumTo) > 0
    assert "formes_vérifiées" not in careful.source


SHAPES = [((3, 4), (3, 4)), ((1, 4), (3, 4)), ((3, 1), (1, 4)), ((1, 1), (3, 4)), ((1, 1), (1, 1))]


@pytest.mark.parametrize("order", [SHAPES, SHAPES[::-1]], ids=["égales d’abord", "étirées d’abord"])
def test_a_stretched_call_gets_its_sums_back(order):
    x, y = T.dmatrices("xy")
    f = function([x, y], T.grad((x**2 * T.sin(y)).sum(), [x, y]))
    rng = np.random.default_rng(0)
    for left, right in order + order:
        a, b = rng.normal(size=left), rng.normal(size=right)
        whole = np.broadcast_arrays(a, b)
        g_a, g_b = 2 * whole[0] * np.sin(whole[1]), whole[0] ** 2 * np.cos(whole[1])
        for obtained, expected, point in zip(f(a, b), (g_a, g_b), (a, b), strict=True):
            axes = tuple(axis for axis in (0, 1) if point.shape[axis] == 1)
            assert obtained.shape == point.shape
            np.testing.assert_allclose(obtained, expected.sum(axis=axes, keepdims=True))


def test_shared_variables_and_updates_of_a_stretched_call():
    """La longueur d’une variable partagée peut changer : la garde la lit à chaque appel."""
    x, b = T.dmatrix("x"), shared(np.zeros((2, 3)), name="b")
    f = function([x], updates=[(b, b - T.grad((x * b).sum() + (b**2).sum(), b))])
    ones = np.ones((2, 3))
    f(ones)
    np.testing.assert_array_equal(b.get_value(), -ones)
    b.set_value(np.zeros((1, 3)))
    f(ones)
    np.testing.assert_array_equal(b.get_value(), [[-2, -2, -2]])


def test_inside_a_loop():
    x, mask, h0 = T.dtensor3("x"), T.dmatrix("m"), T.dmatrix("h0")
    W = shared(np.random.default_rng(0).normal(size=(3, 3)), name="W")

    def step(row, present, h):
        new = T.tanh(T.dot(h, W) + row)
        keep = present.dimshuffle(0, "x")
        return keep * new + (1 - keep) * h

    h, _ = scan(step, [x, mask], h0)
    outputs = T.grad((h**2).sum(), [x, mask, h0, W])
    f = function([x, mask, h0], outputs)
    reference = function([x, mask, h0], outputs, mode=Mode("numpy", None))
    loops = [node.op for node in f.fgraph.toposort() if hasattr(node.op, "n_sequences")]
    inner = [node for op in loops for node in FunctionGraph(*op.inner_graphs()[0]).toposort()]
    assert not [node for node in inner if isinstance(node.op, SumTo)]
    rng = np.random.default_rng(1)
    for width, lot in [(2, 2), (1, 2), (2, 2), (1, 1)]:  # un masque commun à tout le lot
        arguments = rng.normal(size=(4, lot, 3)), rng.uniform(size=(4, width)), np.zeros((lot, 3))
        for obtained, expected in zip(f(*arguments), reference(*arguments), strict=True):
            np.testing.assert_allclose(obtained, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("width", [12, 11, 5])
def test_gates_are_put_side_by_side(width):
    """Le gradient de quatre tranches est leur mise bout à bout, fussent-elles trop courtes."""
    z = T.dmatrix("z")
    parts = [z[:, :3], z[:, 3:6], z[:, 6:9], z[:, 9:]]
    cost = sum((T.sin(part) * (rank + 1)).sum() for rank, part in enumerate(parts))
    f = function([z], T.grad(cost, z))
    assert (count(f, Join), count(f, IncSubtensor)) == (1, 0)
    value = np.random.default_rng(0).normal(size=(2, width))
    factors = np.repeat([1.0, 2, 3, 4], 3)[:width]
    np.testing.assert_allclose(f(value), np.cos(value) * factors)


def test_a_missing_slice_leaves_zeros():
    z = T.dmatrix("z")
    f = function([z], T.grad(T.sin(z[:, :3]).sum() + T.sin(z[:, 6:]).sum(), z))
    value = np.ones((2, 9))
    expected = np.cos(value) * [1, 1, 1, 0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(f(value), expected)


@given(
    length=st.integers(0, 6),
    extra=st.integers(0, 3),
    bounds=st.tuples(*[st.none() | st.integers(-7, 7)] * 2),
    step=st.sampled_from([None, 1, -1, 2]),
)
@settings(max_examples=200, deadline=None)
def test_the_key_of_a_slice_is_its_length(length, extra, bounds, step):
    x = T.dvector("x")
    lengths = Lengths()
    key = computed("slice", computed("add", lengths.of(x)[0], extra), *bounds, step)
    expected = len(np.zeros(length + extra)[slice(*bounds, step)])
    assert value_of(key, {x: (length,)}) == expected


def test_keys_of_shapes_made_of_others():
    x, W = T.dmatrix("x"), T.dmatrix("W")
    graph = [
        T.dot(x, W), x.reshape((-1, 2)), T.concatenate([x, x], axis=1), x[1:, None], x.sum(axis=0),
        T.zeros((x.shape[0] * 3, W.shape[1])), T.nnet.softmax(x).T, W[T.lvector("i")],
    ]  # fmt: skip
    fgraph = FunctionGraph([x, W, *[v for v in graph[-1].owner.inputs[1:]]], graph)
    lengths = Lengths()
    for node in fgraph.toposort():
        for output in node.outputs:
            lengths.of(output)
    values = [np.zeros((4, 6)), np.zeros((6, 5)), np.zeros(7, dtype="int64")]
    shapes = dict(zip(fgraph.inputs, (v.shape for v in values), strict=True))
    run = function(fgraph.inputs, fgraph.outputs, mode=Mode("numpy", None))
    for output, result in zip(fgraph.outputs, run(*values), strict=True):
        assert tuple(value_of(key, shapes) for key in lengths.of(output)) == result.shape


def test_a_constant_that_is_read_is_not_taken_for_lengths():
    """La ligne d’une matrice constante, un flottant dont on fait une longueur."""
    x, w = T.dvector("x"), T.dvector("w")
    table = T.constant(np.array([[1.5, 2.0], [3.0, 4.5]]))
    rows, _ = scan(lambda v: v * table[T.argmax(w)], x)
    length = (table[0][0] * 2).astype("int64")
    f = function([x, w], [rows, x[:length], T.zeros((length,)) + x[:length]])
    found, three, same = f([1.0, 2.0, 5.0, 7.0], [0.0, 1.0])
    np.testing.assert_array_equal(found[1], [6.0, 9.0])
    assert three.shape == same.shape == (3,)
