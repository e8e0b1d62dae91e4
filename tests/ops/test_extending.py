"""Étendre le moteur : une op faite d’une fonction Python, un gradient changé au passage."""

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine.core.errors import DisconnectedInputError, DomainError, InputError
from engine.gradient import disconnected_grad, grad_clip, zero_grad


@engine.as_op(itypes=[T.dmatrix, T.lscalar], otypes=[T.dvector])
def column(x, rank):
    return x[:, rank]


@engine.as_op(
    itypes=[T.dvector], otypes=[T.dscalar, T.dvector], infer_shape=lambda n, s: [(), s[0]]
)
def largest_and_sorted(x):
    return x.max(), np.sort(x)


def test_a_python_function_becomes_an_op():
    x, rank = T.dmatrix("x"), T.lscalar("rang")
    f = engine.function([x, rank], column(x * 2, rank) + 1)
    assert np.array_equal(f(np.eye(3), 1), [1, 3, 1])
    assert "(NumPy)" in engine.debugprint(f, file="str")


def test_a_result_never_shares_the_memory_of_an_input():
    x, rank = T.dmatrix("x"), T.lscalar("rang")
    f = engine.function([x, rank], column(x, rank))
    value = np.eye(3)
    f(value, 0)[:] = 7
    assert np.array_equal(value, np.eye(3))


def test_several_outputs_and_a_shape_without_computing():
    x = T.dvector("x")
    top, ordered = largest_and_sorted(x)
    f = engine.function([x], [top, ordered, ordered.shape[0]])
    values = f([3.0, 1.0, 2.0])
    assert values[0] == 3
    assert np.array_equal(values[1], [1, 2, 3])
    length = engine.function([x], ordered.shape[0])
    assert all("as_op" not in str(node.op) for node in length.fgraph.toposort())


def test_inputs_of_another_type_are_refused():
    with pytest.raises(InputError, match="types annoncés"):
        column(T.dvector("v"), T.lscalar("i"))


def test_gradients_changed_on_the_way():
    x = T.dvector("x")
    value = np.array([0.1, 3.0, -4.0])
    clipped = engine.grad((grad_clip(x, -1, 2) ** 2).sum(), x)
    assert np.array_equal(clipped.eval({x: value}), np.clip(2 * value, -1, 2))
    half = engine.grad((zero_grad(x) * x).sum(), x)
    assert np.array_equal(half.eval({x: value}), value)
    assert np.array_equal(engine.grad(zero_grad(x).sum(), x).eval({x: value}), np.zeros(3))
    with pytest.raises(DisconnectedInputError):
        engine.grad(disconnected_grad(x).sum(), x)


def test_bounds_out_of_order_are_refused():
    with pytest.raises(DomainError, match="bornes"):
        grad_clip(T.dscalar("x"), 1, -1)
