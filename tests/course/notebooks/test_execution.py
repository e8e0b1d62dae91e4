"""Chaque carnet, rejoué dans un noyau neuf, rend les sorties qui sont rangées avec lui.

La comparaison est celle de nbval, sans complaisance : seul `sanitize.cfg` dit ce qui peut varier.
"""

import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from course.grading import execute
from tests.course.notebooks.durations import LIMIT, Cell, lines_of, replay, slow_cells


@pytest.mark.notebooks
@pytest.mark.slow
def test_outputs_are_reproduced(notebook_path, record_durations):
    done = replay(notebook_path)
    record_durations(f"{notebook_path.parent.name}/{notebook_path.name}", done)
    assert done.returncode == 0, done.output
    assert done.seconds < LIMIT
    assert not slow_cells(done.cells)


@pytest.mark.notebooks
def test_cells_are_numbered_as_the_learner_sees_them(tmp_path):
    path = tmp_path / "01_essai.ipynb"
    lines = ["1", "get_ipython().execution_count", "get_ipython().execution_count"]
    nbformat.write(new_notebook(cells=[new_code_cell(line) for line in lines]), path)
    execute.main([path])
    assert '"3"' in path.read_text(encoding="utf-8")
    done = replay(path)
    assert done.returncode == 0, done.output


@pytest.mark.notebooks
def test_a_changed_output_is_seen(tmp_path):
    path = tmp_path / "01_essai.ipynb"
    lines = ["print('12 ms', object())", "40 + 2"]
    nbformat.write(new_notebook(cells=[new_code_cell(line) for line in lines]), path)
    execute.main([path])
    assert replay(path).returncode == 0, "durées et adresses peuvent varier"
    path.write_text(path.read_text(encoding="utf-8").replace('"42"', '"43"'), encoding="utf-8")
    assert replay(path).returncode == 1


@pytest.mark.notebooks
def test_every_cell_is_timed(tmp_path):
    path = tmp_path / "01_essai.ipynb"
    lines = ["import time", "time.sleep(1.2)\n'fait'"]
    nbformat.write(new_notebook(cells=[new_code_cell(line) for line in lines]), path)
    execute.main([path])
    start = time.perf_counter()
    done = replay(path)
    quick, slept = done.cells
    assert quick[:2] == (1, "import time") and slept[:2] == (2, "time.sleep(1.2)")
    assert 1.2 <= slept.seconds <= done.seconds <= time.perf_counter() - start


def test_report_names_the_slowest_cells_first():
    cells = [Cell(1, "a = 1", 0.2), Cell(2, "b = 2", 5.04), Cell(3, "c = 3", 61.0)]
    assert list(lines_of("notebooks/x.ipynb", 66.5, cells)) == [
        "   66.5 s  notebooks/x.ipynb",
        "             61.0 s  [3] c = 3",
        "              5.0 s  [2] b = 2",
    ]
    assert slow_cells(cells) == cells[2:]
