"""Écrire, relire, copier une fonction compilée ou une expression : les états ne se mêlent pas."""

import copy
import pickle

import numpy as np
import pytest

import engine
import engine.tensor as T
from tests.core.test_threads import run_together


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


def again(thing):
    return pickle.loads(pickle.dumps(thing))


both = pytest.mark.parametrize("duplicate", [copy.deepcopy, again], ids=["deepcopy", "pickle"])


@both
@pytest.mark.parametrize(
    "order", [slice(None), slice(None, None, -1)], ids=["h d’abord", "coût d’abord"]
)
def test_variables_of_one_graph_stay_of_one_graph(duplicate, order):
    x = T.dvector("x")
    h = x * 2
    cost = (h**2).sum()
    values = duplicate({"liste": [h, cost][order], "h": h, "encore": (cost, x)})
    cost2, x2 = values["encore"]
    assert {id(v) for v in values["liste"]} == {id(values["h"]), id(cost2)}
    assert values["h"] is not h
    f = engine.function([values["h"]], engine.grad(cost2, values["h"]))
    assert f([1.0, 2.0]).tolist() == [2.0, 4.0]
    assert engine.grad(cost2, x2).eval({x2: [1.0, 2.0]}).tolist() == [8.0, 16.0]


@both
def test_an_object_that_holds_variables(duplicate):
    class_ = engine.nn.Dense(3, 2, T.tanh, generator=np.random.default_rng(0))
    x = T.dmatrix("x")
    out = class_(x)
    layer, x2, out2 = duplicate((class_, x, out))
    assert {*layer.parameters} <= set(engine.core.graph.ancestors([out2]))
    layer.parameters[0].set_value(np.zeros((3, 2)))
    assert np.all(out2.eval({x2: np.ones((1, 3))}) == np.tanh(layer.parameters[1].get_value()))
    assert not np.all(out.eval({x: np.ones((1, 3))}) == 0)


@both
def test_a_function_cut_at_an_intermediate(duplicate):
    x = T.dvector("x")
    h = T.exp(x)
    assert duplicate(engine.function([h], h.sum() * 2))([1.0, 2.0]) == 6.0


@both
def test_default_updates_and_their_cycle(duplicate):
    s = engine.shared(1.0, name="s")
    y = s + 1
    s.default_update = y
    y2, s2 = duplicate((y, s))
    assert s2.default_update is y2 and y2.owner.inputs[0] is s2
    f = engine.function([], s2)
    assert [float(f()), float(f())] == [1.0, 2.0] and s.get_value() == 1.0


@both
def test_draws_loops_and_branches(duplicate):
    x = T.dvector("x")
    draw = T.shared_randomstreams.RandomStreams(1).uniform((2,))
    h, _ = engine.scan(lambda v, past: T.tanh(v + past), x, outputs_info=T.constant(0.0))
    cost = engine.loops.ifelse(h.sum() > 9, x.sum(), h.sum())
    x2, h2, cost2, draw2 = duplicate([x, h, cost, draw])
    value = np.array([0.1, 0.2])
    for old, new in ((h, h2), (cost, cost2)):
        assert np.all(old.eval({x: value}) == new.eval({x2: value}))
    assert np.all(engine.grad(cost2, x2).eval({x2: value}) == engine.grad(cost, x).eval({x: value}))
    f, g = engine.function([], draw), engine.function([], draw2)
    assert [f().tolist() for _ in range(3)] == [g().tolist() for _ in range(3)]


@both
def test_what_a_variable_carries(duplicate):
    x = T.dmatrix("x", dims=("lot", None))
    x.tag.test_value = np.ones((2, 2))
    y = T.exp(x) * T.constant([1.0, 2.0])
    y.name = "y"
    x2, y2 = duplicate((x, y))
    assert (x2.dims, y2.name, y2.owner.trace) == (x.dims, "y", y.owner.trace)
    assert x2.tag.test_value.tolist() == [[1, 1], [1, 1]] and x2.tag is not x.tag
    constant = next(
        v for v in engine.core.graph.ancestors([y2]) if isinstance(v, engine.core.graph.Constant)
    )
    assert not constant.data.flags.writeable
    y.eval({x: np.ones((2, 2))})
    assert duplicate(y).eval is not None


def test_writing_a_thousand_variables_costs_one_graph():
    x = T.dscalar("x")
    chain = [x]
    for _ in range(3_000):
        chain.append(chain[-1] * 1.5)
    one, all_of_them = len(pickle.dumps(chain[-1])), len(pickle.dumps(chain))
    assert all_of_them < 1.2 * one
    assert len(pickle.dumps(chain[::-1])) < 1.2 * one
    copies = pickle.loads(pickle.dumps(chain))
    assert copies[-1].owner.inputs[0] is copies[-2]


@both
def test_a_graph_of_100_000_nodes(duplicate):
    x = T.dscalar("x")
    y = x
    for _ in range(100_000 if duplicate is again else 20_000):
        y = y + 1
    x2, y2 = duplicate((x, y))
    assert x2 in set(engine.core.graph.graph_inputs([y2]))


def test_an_aborted_write_spoils_no_other():
    x = T.dscalar("x")
    y, bad = x * 2, T.exp(x)
    bad.tag.hook = lambda: 0  # ne s’écrit pas
    for _ in range(2):
        with pytest.raises((pickle.PicklingError, AttributeError)):
            pickle.dumps((y, bad + 1))
    x2, y2 = again((x, y))
    assert y2.eval({x2: 3.0}) == 6.0


@both
def test_a_state_is_copied_with_its_function(duplicate):
    x = T.dscalar("x")
    spec = engine.In(x, value=0.0, update=x + 1)
    f, other = engine.function([spec], x), engine.function([spec], x * 10)
    assert [float(f()), float(f()), float(other())] == [0.0, 1.0, 0.0]
    for g in (duplicate(f), f.copy()):
        assert [float(g()), float(g())] == [2.0, 3.0]
    assert f() == 2.0
    assert spec.value == 0.0


def test_functions_of_several_threads_write_their_own_graphs():
    x = T.dscalar("x")
    y = x
    for _ in range(300):
        y = T.tanh(y) + x

    def write():
        return [again((x, y, y)) for _ in range(5)]

    for copies in run_together(write, write, write):
        for x2, y2, y3 in copies:
            assert y2 is y3 and x2 in set(engine.core.graph.graph_inputs([y2]))
