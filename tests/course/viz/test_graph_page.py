"""La page d’un graphe : un seul fichier, ses images, ses valeurs, son profil ; et `d3write`."""

import json
import re

import numpy as np
import pytest

import engine
import engine.tensor as T
from course.viz.graph_page import graph_document, graph_page
from course.viz.history import history
from engine.core.trace import scope
from engine.look.d3viz import d3viz, d3write


@pytest.fixture
def f():
    x, w = T.dvector("x"), engine.shared(np.ones(2), name="w")
    with scope("couche"):
        cost = T.log(1 + T.exp(x * w)).sum()
    return engine.function([x], cost, updates=[(w, w - engine.grad(cost, w))], profile=True)


def document_of(page):
    text = re.search(r'id="donnees">(.*?)</script>', page, re.DOTALL).group(1)
    return json.loads(text)


def nodes_of(document, rank):
    return [document["nodes"][i] for i in document["frames"][rank]["nodes"]]


def test_the_page_is_one_file_that_asks_for_nothing(f, tmp_path):
    d3viz(f, tmp_path / "f.html")
    assert [path.name for path in tmp_path.iterdir()] == ["f.html"]
    text = (tmp_path / "f.html").read_text(encoding="utf-8")
    asked = re.findall(r"""(?:src|href)=["']([^"']{0,40})|url\(([^)]*)\)|@import""", text)
    assert {(a or b).split(",")[0] for a, b in asked} <= {
        "data:image/svg+xml;base64",
        "#fleche",
        "#chainage-arrow",
    }
    assert "$" not in re.sub(r"\$\{|<script.*?</script>", "", text, flags=re.DOTALL)


def test_frames_go_from_the_written_graph_to_the_rewritten_one(f):
    document = graph_document(f)
    frames = history(f)
    assert len(document["frames"]) == len(frames) == len(f.fgraph.log) + 1
    first = [n["label"] for n in nodes_of(document, 0) if n["kind"] == "apply"]
    last = [n["label"] for n in nodes_of(document, -1) if n["kind"] == "apply"]
    assert {"log", "exp"} <= set(first) and "log" not in last
    assert [str(node.op).partition("{")[0] for node in f.fgraph.toposort()] == [
        label.partition("{")[0] for label in last
    ]
    assert document["reasons"]["log1p_exp"]


def test_a_node_keeps_its_identifier_from_frame_to_frame(f):
    document = graph_document(f)
    for node in nodes_of(document, 0):
        if node["kind"] in ("input", "shared"):
            assert node["id"] in {other["id"] for other in nodes_of(document, -1)}


def test_frames_are_fewer_than_replacements_when_the_graph_is_large(f):
    frames = history(f, limit=2)
    assert len(frames) <= 4
    assert sum(len(frame.reasons) for frame in frames) == len(f.fgraph.log)


def test_a_failure_to_draw_is_not_taken_for_a_failed_rewrite(f, monkeypatch):
    drawn = []

    def fail_twice(*args, **kwargs):
        drawn.append(args)
        if len(drawn) == 2:
            raise KeyError("dessin")
        return {"nodes": [], "edges": []}

    monkeypatch.setattr("course.viz.history.graph_data", fail_twice)
    with pytest.raises(KeyError, match="dessin"):
        history(f)


def test_updates_are_named(f):
    labels = [n["label"] for n in nodes_of(graph_document(f), -1) if n["kind"] == "output"]
    assert labels == ["sortie", "w, mise à jour"]


def test_measured_times_are_on_the_nodes(f):
    assert not graph_document(f)["profiled"]
    f([1.0, 2.0])
    document = graph_document(f)
    shares = [n["share"] for n in nodes_of(document, -1) if n["kind"] == "apply"]
    assert document["profiled"] and sum(shares) == pytest.approx(1)
    assert 'id="profil"' in graph_page(f)


def test_values_are_those_given(f):
    document = graph_document(f, values={"x": [0.0, 0.0]})
    (output,) = [n for n in nodes_of(document, -1) if n["label"] == "sortie"]
    assert output["value"] == "1.3863"
    x = T.dscalar("x")
    values = {n["label"]: n["value"] for n in graph_document(x * x, {"x": 3.0})["nodes"]}
    assert values["sortie"] == "9."


def test_text_from_the_graph_is_never_markup():
    x = T.dscalar("</script><b>&")
    page = graph_page(T.exp(x), title="<i>")
    body = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "<b>" not in body and "<i>" not in body
    assert page.count("</script>") == 2
    assert "</script><b>&" in [n["label"] for n in document_of(page)["nodes"]]


def test_a_large_function_keeps_a_bounded_number_of_drawn_nodes():
    x = T.dvector("x")
    y = x
    for _ in range(300):
        y = T.tanh(y * 1 + 0)
    f = engine.function([x], y, mode="FAST_COMPILE")
    drawn = sum(len(frame["nodes"]) for frame in graph_document(f)["frames"])
    assert drawn < 250_000


def test_dot_file(tmp_path):
    d3write(T.exp(T.dscalar('a"b')), tmp_path / "g.dot")
    text = (tmp_path / "g.dot").read_text(encoding="utf-8")
    assert text.startswith("digraph {") and '"a\\"b"' in text
