"""`ifelse` : la bonne branche, son gradient, et elle seule."""

import numpy as np
import pytest

from engine import function
from engine import tensor as T
from engine.core.errors import GradientError, ShapeError
from engine.core.modes import Mode
from engine.loops import ifelse, scan
from engine.loops.branches import LazyIfElse
from engine.ops.from_python import as_op

MODES = [Mode("numpy", None), "FAST_COMPILE", "FAST_RUN"]


def counting(calls):
    """Une op qui note qu’on l’a calculée."""

    def work(x):
        calls.append(x.shape)
        return x * 2

    return as_op(itypes=[T.dvector], otypes=[T.dvector])(work)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
def test_the_other_branch_is_not_computed(mode):
    condition, x = T.dscalar("c"), T.dvector("x")
    left, right = [], []
    chosen = ifelse(condition > 0, counting(left)(x).sum(), counting(right)(x + 1).sum())
    f = function([condition, x], chosen, mode=mode)
    assert (f(1.0, np.ones(3)), f(-1.0, np.ones(3))) == (6, 12)
    assert (len(left), len(right)) == (1, 1)


def test_what_both_branches_need_is_computed_once():
    condition, x, calls = T.dscalar("c"), T.dvector("x"), []
    common = counting(calls)(x)
    f = function([condition, x], ifelse(condition > 0, common + 1, common - 1))
    np.testing.assert_array_equal(f(1.0, np.ones(2)), [3, 3])
    assert len(calls) == 1


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_values_and_gradients(mode):
    condition, x, y = T.dscalar("c"), T.dvector("x"), T.dvector("y")
    a, b = ifelse(condition > 0, [x**2, y], [T.sin(x), x * y])
    cost = a.sum() + (b**2).sum()
    f = function([condition, x, y], [a, b, *T.grad(cost, [x, y])], mode=mode)
    point, other = np.array([0.5, 2.0]), np.array([3.0, -1.0])
    for obtained, expected in zip(
        f(1.0, point, other), [point**2, other, 2 * point, 2 * other], strict=True
    ):
        np.testing.assert_allclose(obtained, expected)
    expected = [
        np.sin(point), point * other,
        np.cos(point) + 2 * point * other**2, 2 * other * point**2,
    ]  # fmt: skip
    for obtained, wanted in zip(f(-1.0, point, other), expected, strict=True):
        np.testing.assert_allclose(obtained, wanted)


def test_a_result_never_aliases_an_input_or_the_next_result():
    condition, x = T.dscalar("c"), T.dvector("x")
    f = function([condition, x], ifelse(condition > 0, x, x * 3))
    value = np.ones(2)
    same, triple = f(1.0, value), f(-1.0, value)
    assert not np.shares_memory(same, value)
    f(-1.0, np.zeros(2))
    np.testing.assert_array_equal(triple, [3, 3])


def test_nested_and_inside_a_loop():
    x, calls = T.dvector("x"), []
    double = counting(calls)

    def step(v, total):
        small = ifelse(v < 0, v, ifelse(v > 10, double(v.dimshuffle("x")).sum(), v * 100))
        return total + small

    totals, _ = scan(step, x, T.constant(0.0))
    np.testing.assert_array_equal(function([x], totals)([-1.0, 2.0, 3.0]), [-1, 199, 499])
    assert not calls
    with pytest.raises(GradientError, match=r"(?s)n’a pas de gradient.*test_ifelse\.py"):
        T.grad(totals[-1], x)


def test_gradient_of_a_choice_inside_a_loop():
    x = T.dvector("x")
    totals, _ = scan(lambda v, s: s + ifelse(v < 0, v, v**2), x, T.constant(0.0))
    gradient = function([x], T.grad(totals[-1], x))([-1.0, 2.0, 3.0])
    np.testing.assert_array_equal(gradient, [1, 4, 6])


def test_nodes_become_graphs_of_the_branch():
    condition, x = T.dscalar("c"), T.dvector("x")
    f = function([condition, x], ifelse(condition > 0, T.exp(x) + 1, T.log(x)))
    (node,) = [node for node in f.fgraph.toposort() if isinstance(node.op, LazyIfElse)]
    assert len(f.fgraph.toposort()) == 2  # la comparaison et le choix
    assert [len(outputs) for _, outputs in node.op.inner_graphs()] == [1, 1]


def test_errors():
    x = T.dvector("x")
    with pytest.raises(ShapeError, match="condition scalaire"):
        ifelse(x > 0, x, x)
    with pytest.raises(ShapeError, match="ne se correspondent pas"):
        ifelse(x.sum() > 0, x, x.sum())
