"""`ifelse` sur le périphérique : la branche choisie s’y calcule, rien n’en revient."""

import numpy as np
import pytest

import engine.tensor as T
from engine import config, function, shared
from engine.gpu.compiling.nested import DeviceBranch
from engine.gpu.compiling.transfers import OnDevice, ToHost
from engine.loops import ifelse, scan

X = np.float32([[1, 2], [3, 4]])


@pytest.fixture(autouse=True)
def _on_the_device():
    with config.change_flags(device="cuda", floatX="float32"):
        yield


def test_both_branches_and_an_update():
    c, x = T.scalar("c"), T.matrix("x")
    W = shared(np.ones((2, 2), "float32"), "W")
    a, b = ifelse(c > 0, [T.exp(x) + 1, T.dot(x, W)], [T.sqrt(x), x])
    f = function([c, x], [a, b.sum()], updates=[(W, ifelse(c > 0, W * 2, W))])
    assert not f.fgraph.device.left_on_host
    total, scale = X.sum(), 1.0
    for choice in (1, -1, 1, 1, -1):  # les derniers sont rejoués
        first, second = f(np.float32(choice), X)
        np.testing.assert_allclose(first, np.exp(X) + 1 if choice > 0 else np.sqrt(X), 1e-6)
        assert second == (total * 2 * scale if choice > 0 else total)
        scale *= 2 if choice > 0 else 1
    np.testing.assert_array_equal(W.get_value(), np.full((2, 2), scale))


def test_arrays_stay_there():
    c, x = T.scalar("c"), T.matrix("x")
    f = function([c, x], ifelse(c > 0, T.exp(x), x) * 2)
    nodes = f.fgraph.toposort()
    (choice,) = [node for node in nodes if isinstance(node.op, DeviceBranch)]
    inner = [n for _, outputs in choice.op.inner_graphs() for v in outputs if (n := v.owner)]
    assert all(isinstance(node.op, OnDevice) for node in inner)
    assert sum(isinstance(node.op, ToHost) for node in nodes) == 1


def test_an_index_of_a_branch_stays_on_the_host():
    i, x = T.lscalar("i"), T.matrix("x")
    f = function([i, x], ifelse(i > 0, x[i], x[i + 1] * 2))
    np.testing.assert_array_equal(f(1, X), X[1])
    np.testing.assert_array_equal(f(-1, X), 2 * X[0])


def test_a_condition_computed_there():
    x = T.matrix("x")
    norm = (x**2).sum()
    clip = function([x], ifelse(norm > 3, x / norm, x))
    np.testing.assert_allclose(clip(X), X / 30, 1e-6)
    np.testing.assert_allclose(clip(X / 10), X / 10, 1e-6)


def test_inside_a_loop_with_its_gradient():
    x = T.vector("x")
    totals, _ = scan(lambda v, s: s + ifelse(v < 0, v, v**2), x, T.zeros(()))
    f = function([x], [totals, T.grad(totals[-1], x)])
    found = f(np.float32([-1, 2, 3]))
    np.testing.assert_allclose(found[0], [-1, 3, 12])
    np.testing.assert_allclose(found[1], [1, 4, 6])
