"""Plusieurs résultats en un seul passage : les bonnes valeurs, jamais de cercle."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import function
from engine import tensor as T
from engine.core.elemwise import Elemwise
from engine.core.fgraph import FunctionGraph
from engine.core.modes import Mode
from engine.core.rewriting import rewrite_graph
from engine.loops.nested import reference_step

CAREFUL = Mode("numpy", None)


def loops(f):
    return [node for node in f.fgraph.toposort() if isinstance(node.op, Elemwise)]


def test_a_value_and_its_gradient_share_a_loop():
    x, y = T.dmatrices("xy")
    a, b = T.tanh(x * y), T.nnet.sigmoid(x) * y
    outputs = [a, b, *T.grad((a * b).sum(), [x, y])]
    f = function([x, y], outputs)
    assert [len(node.outputs) for node in loops(f)] == [4]
    arguments = np.random.default_rng(0).normal(size=(2, 3, 4))
    expected = function([x, y], outputs, mode=CAREFUL)(*arguments)
    for obtained, wanted in zip(f(*arguments), expected, strict=True):
        np.testing.assert_allclose(obtained, wanted, rtol=1e-12)


def test_results_are_fresh_at_each_call_and_never_shared():
    x = T.dvector("x")
    f = function([x], [T.exp(x), T.exp(x) * 2, T.exp(x)])
    first = f([0.0, 1.0])
    second = f([2.0, 3.0])
    arrays = [*first, *second]
    for rank, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in arrays[rank + 1 :])
    np.testing.assert_allclose(first[1], 2 * np.exp([0, 1]))


def test_mixed_dtypes():
    x, n = T.fmatrix("x"), T.lmatrix("n")
    f = function([x, n], [x * 2, n + 1, x > n, T.cast(x, "float64") / n])
    reference = function([x, n], [x * 2, n + 1, x > n, T.cast(x, "float64") / n], mode=CAREFUL)
    arguments = np.ones((2, 3), "float32") * 1.5, np.full((2, 3), 2)
    for obtained, expected in zip(f(*arguments), reference(*arguments), strict=True):
        assert obtained.dtype == expected.dtype
        np.testing.assert_allclose(obtained, expected)


def test_a_stretched_call():
    x, y = T.dmatrices("xy")
    f = function([x, y], [x * y, T.exp(x + y), x - 1])
    a, b = np.ones((1, 3)), np.arange(6.0).reshape(2, 3)
    for left, right in [(b, b), (a, b), (b, a), (a, a)]:
        for obtained, expected in zip(
            f(left, right), (left * right, np.exp(left + right), left - 1), strict=True
        ):
            np.testing.assert_allclose(obtained, expected)


def test_what_a_sum_separates_is_not_united():
    x = T.dmatrix("x")
    e = T.exp(x - x.max(axis=1, keepdims=True))
    f = function([x], [e, e / (e.sum(axis=1, keepdims=True) + 1)])
    value = np.random.default_rng(0).normal(size=(3, 4))
    expected = np.exp(value - value.max(axis=1, keepdims=True))
    np.testing.assert_allclose(f(value)[0], expected)
    np.testing.assert_allclose(f(value)[1], expected / (expected.sum(axis=1, keepdims=True) + 1))


UNARY = [T.tanh, T.exp, lambda v: v.T, lambda v: v.sum(axis=0, keepdims=True) + 0 * v, T.sin]
BINARY = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: T.dot(a, b) / 4, T.maximum]


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 99), st.integers(0, 99)), max_size=18))
@settings(max_examples=40, deadline=None)
def test_any_program(instructions):
    """Des programmes au hasard, sommes et produits compris, contre la référence sans réécriture."""
    x, y = T.dmatrices("xy")
    made = [x, y]
    for kind, first, second in instructions:
        left, right = made[first % len(made)], made[second % len(made)]
        new = UNARY[kind](left) if kind < 5 else BINARY[kind - 5](left, right)
        made.append(T.tanh(new))
    outputs = made[2:][-4:] or [x + y]
    arguments = np.random.default_rng(0).normal(size=(2, 3, 3))
    fgraph = FunctionGraph([x, y], outputs)
    fgraph.guards = []
    rewrite_graph(fgraph, Mode("numpy").selects, lambda op: True)
    obtained = reference_step(fgraph.inputs, fgraph.outputs)(*arguments)
    expected = function([x, y], outputs, mode=CAREFUL, on_unused_input="ignore")(*arguments)
    for found, wanted in zip(obtained, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
