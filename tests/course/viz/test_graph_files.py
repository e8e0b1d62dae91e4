"""`pydotprint` : trois formats, sans rien installer, et ses options."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

import engine
import engine.tensor as T
from course.viz import rewriting_image
from course.viz.graph_files import render
from engine.core.errors import InputError
from engine.printing import graph_data, pydotprint

STARTS = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF"}


@pytest.fixture
def f():
    x, w = T.dvector("x"), engine.shared([1.0, 2.0], name="w")
    return engine.function([x], T.exp(x * w + 1).sum())


@pytest.mark.parametrize("format", STARTS)
def test_every_format_is_written(f, format, tmp_path, capsys):
    path = tmp_path / f"graphe.{format}"
    assert pydotprint(f, path) is None
    assert path.read_bytes().startswith(STARTS[format])
    assert str(path) in capsys.readouterr().out
    image = pydotprint(f, format=format, return_image=True)
    assert image.startswith(STARTS[format])


def test_the_default_file_is_a_png_here(f, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pydotprint(f, print_output_file=False)
    assert [p.name for p in tmp_path.iterdir()] == ["graphe.png"]
    assert capsys.readouterr().out == ""


def test_an_svg_file_has_plain_colours(f):
    text = pydotprint(f, format="svg", return_image=True).decode()
    ElementTree.fromstring(text)
    assert "var(" not in text and "#2E8FC9" in text


def test_labels_follow_the_options(f):
    plain = pydotprint(f, format="svg", return_image=True).decode()
    dressed = pydotprint(
        f, format="svg", return_image=True, with_ids=True, colorCodes={"Composite": "purple"},
        var_with_name_simple=True, high_contrast=False,
    ).decode()  # fmt: skip
    assert "Composite [0]" in dressed and "Composite [0]" not in plain
    assert 'stroke="purple"' in dressed
    assert "float64 (?,)</text>" in plain
    assert not re.search(r">x</text><text[^>]*>float64", dressed)


def test_intermediates_become_boxes_when_not_compact():
    x = T.dscalar("x")
    data = graph_data(T.exp(x) + 1, compact=False)
    assert [n["kind"] for n in data["nodes"]].count("intermediate") == 1
    text = pydotprint(T.exp(x) + 1, compact=False, format="svg", return_image=True).decode()
    assert "intermédiaire" in text


def test_inner_graphs_are_written_beside(f, tmp_path):
    pydotprint(f, tmp_path / "g.svg", scan_graphs=True, print_output_file=False)
    assert {p.name for p in tmp_path.iterdir()} == {"g.svg", "g_Composite_0.svg"}


def test_wrong_requests_are_refused(f):
    with pytest.raises(InputError, match="gif"):
        pydotprint(f, "graphe.gif")
    with pytest.raises(InputError, match="cond_highlight"):
        pydotprint(f, cond_highlight="x", return_image=True)


@pytest.mark.parametrize("format", STARTS)
def test_lit_and_folded_nodes_are_drawn_in_every_format(format):
    x = T.dscalar("x")
    inside = T.exp(x)
    data = graph_data(T.sqrt(inside), lit=[inside])
    root = next(n["id"] for n in data["nodes"] if n["label"] == "sqrt")
    assert render(data, format, folds=[root]) != render(data, format, folds=[])


def test_before_and_after_light_what_changed():
    x = T.dscalar("x")
    before, after = rewriting_image(engine.function([x], T.log(1 + T.exp(x)))).pictures
    assert "3 nœuds modifiés (exp, add, log)" in before.alt
    assert "1 nœud modifié (softplus)" in after.alt
    assert "nœud modifié</text>" in after.content.decode()


def test_importing_the_engine_does_not_load_matplotlib():
    code = "import engine, sys; print({'matplotlib', 'IPython'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
