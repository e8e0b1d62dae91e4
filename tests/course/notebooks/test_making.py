"""Fabriquer les carnets : l’exercice suit sa solution, et rien ne s’écrit quand cela échoue."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course.grading import build, execute

ROOT = Path(__file__).resolve().parents[3]
PAIRS = [(p, ROOT / "exercises" / p.name) for p in sorted((ROOT / "solutions").glob("*.ipynb"))]


@pytest.mark.notebooks
@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), PAIRS, ids=lambda p: p.stem)
def test_exercise_follows_its_solution(source, target):
    assert not build.drifted(source, target), "python -m course.grading.build"


@pytest.fixture
def written(tmp_path):
    def write(*cells, name="01_essai.ipynb"):
        path = tmp_path / name
        nbformat.write(new_notebook(cells=list(cells)), path)
        return path

    return write


@pytest.mark.notebooks
def test_failing_cell_writes_nothing(written):
    path = written(new_code_cell("1 / 0"), new_code_cell("2"))
    before = path.read_bytes()
    with pytest.raises(SystemExit, match="ZeroDivisionError"):
        execute.main([path])
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.notebooks
def test_machine_paths_are_refused(written):
    path = written(new_code_cell("import sys\nprint(sys.prefix + '/lib')"))
    with pytest.raises(SystemExit, match="contient le dossier"):
        execute.main([path])


@pytest.mark.notebooks
def test_twice_gives_the_same_bytes_and_no_trace_of_the_moment(written, capsys):
    path = written(
        new_markdown_cell("# Essai"),
        new_code_cell("import sys\nfor k in range(50):\n    print(k, flush=True)"),
        new_code_cell("40 + 2", metadata={"execution": {"iopub.status.busy": "2026"}}),
    )
    execute.main([path])
    first = path.read_bytes()
    execute.main([path])
    assert path.read_bytes() == first
    assert b"iopub" not in first and b"version" not in first and b"widget" not in first
    assert "exécuté en" in capsys.readouterr().out
    assert len(execute.read(path).cells[1].outputs) == 1


def graded(source, name, *, solution):
    marks = {"grade": not solution, "grade_id": name, "locked": not solution}
    marks |= {"schema_version": 3, "solution": solution, "task": False}
    if not solution:
        marks["points"] = 1
    return new_code_cell(source, metadata={"nbgrader": marks}, id=name)


ANSWER = "def f(x):\n    ### BEGIN SOLUTION\n    return x + 1\n    ### END SOLUTION"


@pytest.mark.notebooks
def test_drift_is_seen_down_to_one_byte(written, tmp_path):
    source = written(graded(ANSWER, "q1", solution=True), graded("f(1)", "v1", solution=False))
    target = tmp_path / "exercice.ipynb"
    assert build.drifted(source, target)
    build.build(source, target)
    assert not build.drifted(source, target)
    assert execute.read(source).cells[1].outputs[0].data["text/plain"] == "2"
    exercise = execute.read(target)
    assert exercise.cells[0].source == "def f(x):\n    # À vous de jouer\n    return None"
    assert exercise.cells[1].metadata.editable is False
    assert [c.id for c in exercise.cells] == ["q1", "v1"]
    target.write_text(target.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert build.drifted(source, target)


def test_missing_nbgrader_is_said_in_french(monkeypatch):
    monkeypatch.setattr(build, "ClearSolutions", None)
    with pytest.raises(SystemExit, match="nbgrader manque"):
        build.main(["--verifier"])
