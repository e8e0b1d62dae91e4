"""Le dessin d’un graphe : SVG bien formé, textes de remplacement, plis, et l’explorateur."""

import base64
import re
from xml.etree import ElementTree

import pytest

import engine
from course.viz import GraphExplorer, draw_graph, explore, graph_image, static_output
from course.viz.folding import default_folds, fold, group_id
from course.viz.graph_plan import KINDS, describe

SVG = "{http://www.w3.org/2000/svg}"


def node(identifier, kind, **more):
    return {"id": identifier, "kind": kind, "label": identifier, **more}


def linear_layer():
    nodes = [
        node("x", "input", detail="float32 (None, 784)", value="[0 0 1]"),
        node("W", "shared", detail="float32 (784, 10)"),
        node("b", "shared", detail="float32 (10,)"),
        node("deux", "constant", detail="int8 ()", value="2"),
        node("dot", "apply", detail="Dot", group="couche", trace="cellule 7, ligne 2"),
        node("add", "apply", detail="Add", group="couche"),
        node("mul", "apply", detail="Mul"),
        node("y", "output", detail="float32 (None, 10)"),
    ]
    pairs = ("x dot", "W dot", "dot add", "b add", "add mul", "deux mul", "mul y")
    return {"nodes": nodes, "edges": [edge(*pair.split()) for pair in pairs]}


def edge(source, target, label="float32 (None, 10)"):
    return {"source": source, "target": target, "label": label}


def chain(length, group_every=None):
    nodes = [node("x", "input")]
    for i in range(length):
        nodes.append(node(f"n{i}", "apply", group=group_every and f"bloc {i // group_every}"))
    names = [n["id"] for n in nodes]
    return {
        "nodes": nodes,
        "edges": [edge(names[i], names[i + 1], "") for i in range(length)],
    }


def names(view):
    return {n["id"] for n in view["nodes"]}


def test_drawing_is_well_formed_and_names_every_node():
    root = ElementTree.fromstring(draw_graph(linear_layer()))
    drawn = root.findall(f".//{SVG}g[@class='chainage-node']")
    assert {g.get("data-id") for g in drawn} == names(linear_layer())
    titles = {g.get("data-id"): g.find(f"{SVG}title").text for g in drawn}
    assert "origine : cellule 7, ligne 2" in titles["dot"]
    assert titles["W"].startswith("Variable partagée W, float32 (784, 10)")


def test_kinds_differ_without_colour():
    seen = {(kind.form, kind.dash, kind.stroke, kind.double) for kind in KINDS.values()}
    assert len(seen) == len(KINDS)


def test_labels_that_look_like_markup_are_escaped():
    data = {"nodes": [node("<b>&\"'", "input", detail="a<b")], "edges": []}
    ElementTree.fromstring(draw_graph(data))
    ElementTree.fromstring(draw_graph(data, interactive=True))


@pytest.mark.parametrize(
    "edge_text, present, absent",
    [
        ("types", ["float32 (None, 10)", "float32 (None, 784)"], ["[0 0 1]"]),
        ("values", ["[0 0 1]", "2"], []),
        ("none", [], ["[0 0 1]"]),
    ],
)
def test_edges_carry_types_or_values(edge_text, present, absent):
    root = ElementTree.fromstring(draw_graph(linear_layer(), edge_text=edge_text))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert all(text in texts for text in present)
    assert not any(text in texts for text in absent)


def test_argument_ranks_are_written_but_types_are_not_repeated():
    data = linear_layer()
    data["edges"][0] |= {"label": "float32 (None, 784)", "argument": 1}
    texts = [t.text for t in ElementTree.fromstring(draw_graph(data)).iter(f"{SVG}text")]
    assert "→ 1" in texts
    assert texts.count("float32 (None, 784)") == 1


def test_a_function_and_variables_are_drawn_as_they_are():
    x = engine.tensor.fmatrix("x")
    y = engine.tensor.exp(x) + 1
    assert "exp" in graph_image(y).alt
    assert "1 entrée (x)" in explore(engine.function([x], y)).summary


def test_image_carries_its_alternative_text():
    html = graph_image(linear_layer(), "Une couche linéaire.")._repr_html_()
    assert 'alt="Une couche linéaire."' in html
    encoded = re.search(r"base64,([^\"]+)", html).group(1)
    ElementTree.fromstring(base64.b64decode(encoded))
    assert "2 variables partagées (W, b)" in graph_image(linear_layer()).alt


def test_folding_a_node_hides_only_the_ancestors_it_alone_needs():
    view = fold(linear_layer(), ["mul"])
    assert names(view) == {"mul", "y"}
    assert next(n["hidden"] for n in view["nodes"] if n["id"] == "mul") == 6
    shared = linear_layer()
    shared["edges"].append(edge("x", "mul"))
    assert "x" in names(fold(shared, ["dot"]))
    assert names(fold(shared, ["inconnu"])) == names(shared)


def test_folding_a_group_makes_one_node_of_it():
    view = fold(linear_layer(), [group_id("couche")])
    assert group_id("couche") in names(view)
    assert not {"dot", "add"} & names(view)
    ends = {(e["source"], e["target"]) for e in view["edges"]}
    assert ("x", group_id("couche")) in ends and (group_id("couche"), "mul") in ends


def test_a_folded_group_takes_in_the_constants_it_alone_uses():
    data = linear_layer()
    data["edges"].append(edge("deux", "add"))
    assert "deux" in names(fold(data, [group_id("couche")]))  # mul s’en sert aussi
    data["edges"] = [e for e in data["edges"] if e != edge("deux", "mul")]
    assert "deux" not in names(fold(data, [group_id("couche")]))


@pytest.mark.parametrize("group_every", [None, 20])
def test_a_large_graph_opens_folded(group_every):
    data = chain(400, group_every)
    view = fold(data, default_folds(data))
    assert len(view["nodes"]) <= 100
    ElementTree.fromstring(draw_graph(data))


def test_an_empty_graph_is_drawn_and_described():
    empty = {"nodes": [], "edges": []}
    ElementTree.fromstring(draw_graph(empty))
    assert "vide" in describe(empty)


def test_explorer_redraws_when_folded_and_falls_back_to_an_image():
    explorer = explore(linear_layer(), title="Une couche")
    assert repr(explorer) == "<GraphExplorer>"
    assert explorer.svg.count("tabindex") == 8
    explorer.folds = ["mul"]
    assert explorer.svg.count("tabindex") == 2
    assert 'aria-expanded="false"' in explorer.svg
    explorer.edge_text = "values"
    data, _ = explorer._repr_mimebundle_()
    assert 'alt="Une couche' in data["text/html"]
    assert set(static_output(data)) == {"text/plain", "text/html"}
    with pytest.raises(Exception, match="edge_text"):
        GraphExplorer(linear_layer(), edge_text="couleurs")
