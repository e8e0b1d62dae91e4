"""Écrire, relire, copier une fonction compilée ou une expression : les états ne se mêlent pas."""

import copy
import pickle

import numpy as np
import pytest

import engine
import engine.tensor as T


def counter():
    x, total = T.dscalar("x"), engine.shared(0.0, name="total")
    f = engine.function([x], {"avant": total * 1, "x": T.exp(x)}, updates=[(total, total + x)])
    return f, total


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))])
def test_a_copy_has_a_state_of_its_own(duplicate):
    f, total = counter()
    f(2.0)
    g = duplicate(f)
    assert g(1.0)["avant"] == 2.0
    assert g(1.0)["avant"] == 3.0
    assert total.get_value() == 2.0
    assert f(1.0)["avant"] == 2.0


def test_functions_written_together_share_what_they_shared():
    x, w = T.dscalar("x"), engine.shared(1.0, name="w")
    pair = engine.function([x], [], updates=[(w, w + x)]), engine.function([], w * 1)
    add, read = pickle.loads(pickle.dumps(pair))
    add(4.0)
    assert read() == 5.0
    assert w.get_value() == 1.0


def test_an_expression_is_written_with_its_gradient():
    x = T.dvector("x")
    y = T.log(1 + T.exp(x)).sum()
    x2, y2, g2 = pickle.loads(pickle.dumps((x, y, engine.grad(y, x))))
    value = np.array([-800.0, 0.0, 800.0])
    assert np.allclose(g2.eval({x2: value}), [0.0, 0.5, 1.0])
    assert y2.owner is not None


def test_a_long_chain_is_written_without_recursion():
    x = T.dscalar("x")
    y = x
    for _ in range(20_000):
        y = y + 1
    f = engine.function([x], y, mode=engine.Mode("numpy", None))
    assert pickle.loads(pickle.dumps(f))(0.0) == 20_000
