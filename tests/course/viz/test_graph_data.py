"""Les données d’un dessin : valeurs, nœuds allumés, graphes contenus, portées, rejeu."""

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine import nn
from engine.core.errors import InputError
from engine.core.trace import scope
from engine.printing import graph_data


def softmax_cost():
    x = T.dmatrix("x")
    w = engine.shared(np.ones((3, 2)), name="W")
    cost = -T.log(T.nnet.softmax(T.dot(x, w) * 2 + 1))[0, 0]
    return x, w, cost


def by_label(data):
    return {node["label"]: node for node in data["nodes"]}


@pytest.mark.parametrize("key", ["name", "variable"])
def test_values_of_intermediates_are_those_of_the_function(key):
    x, w, cost = softmax_cost()
    f = engine.function([x], [cost, engine.grad(cost, w)])
    value = np.arange(6.0).reshape(2, 3)
    expected = f(value)
    data = graph_data(f, values={"x" if key == "name" else x: value})
    outputs = [node["value"] for node in data["nodes"] if node["kind"] == "output"]
    texts = [np.array2string(one, precision=4).replace("\n", "") for one in expected]
    assert outputs == texts
    assert all(node["value"] for node in data["nodes"])
    assert all("value" in edge for edge in data["edges"])


def test_values_stop_where_an_input_is_missing():
    x, y = T.dscalars("xy")
    found = by_label(graph_data(T.exp(x) + T.sqrt(y), values={"y": 9.0}))
    assert found["sqrt"]["value"] == "3."
    assert found["exp"]["value"] is None and found["add"]["value"] is None


def test_an_unknown_input_is_named():
    x = T.dscalar("x")
    with pytest.raises(InputError, match=r"z n.est pas une entrée"):
        graph_data(T.exp(x), values={"z": 1.0})


def test_an_op_in_place_does_not_spoil_the_value_before_it():
    x = T.dvector("x")
    f = engine.function([x], T.exp(T.cumsum(x)))
    found = graph_data(f, values={"x": [1.0, 2.0]})
    (sums,) = [n for n in found["nodes"] if "Cum" in n["detail"] or "cumsum" in n["label"]]
    assert sums["value"] == "[1. 3.]"


def test_lit_variables_light_their_node():
    x = T.dscalar("x")
    inside = T.exp(x)
    data = graph_data(inside + 1, lit=[inside, x])
    assert {n["label"] for n in data["nodes"] if n.get("lit")} == {"exp", "x"}
    assert not any(n.get("lit") for n in graph_data(inside + 1)["nodes"])


def test_a_fused_loop_shows_its_steps():
    x = T.dvector("x")
    f = engine.function([x], T.exp(x * 2 + 1))
    fused = by_label(graph_data(f))["Composite"]
    labels = [node["label"] for node in fused["inner"]["nodes"] if node["kind"] == "apply"]
    assert labels == ["mul", "add", "exp"]


def test_a_pool_keeps_the_identifiers():
    x = T.dscalar("x")
    inside, pool = T.exp(x), {}
    first = graph_data(inside + 1, pool=pool)
    second = graph_data(inside * 2, pool=pool)
    assert by_label(first)["exp"]["id"] == by_label(second)["exp"]["id"]
    assert len({node["id"] for data in (first, second) for node in data["nodes"]}) == len(pool)


def test_a_scope_and_its_gradient_are_groups():
    x = T.dscalar("x")
    with scope("couche 1"), scope("porte"):
        y = T.tanh(3 * x)
    groups = {node["group"] for node in graph_data(engine.grad(y * 2, x))["nodes"]}
    assert {"couche 1/porte (gradient)", "couche 1/porte"} <= groups


def test_the_layers_of_a_chain_are_groups():
    generator = np.random.default_rng(0)
    model = nn.chain(
        nn.Dense(3, 2, activation=T.tanh, name="h", generator=generator),
        T.nnet.softmax,
        nn.Dense(2, 2, W=np.eye(2)),
    )
    data = graph_data(model(T.dmatrix("x")))
    groups = [node["group"] for node in data["nodes"] if node["kind"] == "apply"]
    assert list(dict.fromkeys(groups)) == ["h", "softmax 2", "Dense 3"]


def test_formulas_stay_short_on_a_deep_graph():
    x = T.dscalar("x")
    y = x
    for _ in range(2000):
        y = T.tanh(y) + y
    formulas = [node["formula"] or "" for node in graph_data(y)["nodes"]]
    assert max(map(len, formulas)) < 200


def test_rewriting_can_be_replayed_under_watch():
    x, w, cost = softmax_cost()
    f = engine.function([x], engine.grad(cost, w))
    fgraph, seen = f.original_graph(), []
    fgraph.on_replace = seen.append
    f.rewrite(fgraph)
    assert [row.reason for row in seen] == [row.reason for row in f.fgraph.log]
    assert engine.debugprint(fgraph, file="str") == engine.debugprint(f.fgraph, file="str").replace(
        " (NumPy)", ""
    )


def test_a_loop_and_both_branches_of_a_choice_show_their_graphs():
    x, n = T.dvector("x"), T.iscalar("n")
    states, _ = engine.scan(lambda h: T.tanh(h) * 2, outputs_info=x, n_steps=n, name="boucle")
    loop = by_label(graph_data(states[-1]))["scan{boucle}"]
    assert {"tanh", "mul"} <= {node["label"] for node in loop["inner"]["nodes"]}
    f = engine.function([x, n], engine.ifelse.ifelse(n > 0, T.exp(x), T.sqrt(x)))
    choices = [node for node in graph_data(f)["nodes"] if node["detail"] == "LazyIfElse"]
    inside = {node["label"] for choice in choices for node in choice["inner"]["nodes"]}
    assert {"exp", "sqrt"} <= inside
