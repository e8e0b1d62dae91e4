"""Chaque carnet, rejoué dans un noyau neuf, rend les sorties qui sont rangées avec lui.

La comparaison est celle de nbval, sans complaisance : seul `sanitize.cfg` dit ce qui peut varier.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from engine.grading import execute

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LIMIT = 180  # secondes : la promesse faite à l’élève pour une leçon entière, sur deux cœurs


# nbval exécute sans historique : toute cellule y serait la cellule 1. Or un message d’erreur et un
# dessin citent le numéro de la cellule où un nœud est né ; il doit être celui que voit l’élève.
NBVAL = """
import sys, pytest
from nbval.kernel import RunningKernel

def execute_cell_input(self, source, allow_stdin=None):
    return self.kc.execute(source, allow_stdin=bool(allow_stdin), stop_on_error=False)

RunningKernel.execute_cell_input = execute_cell_input
sys.exit(pytest.main(sys.argv[1:]))
"""


def replay(path):
    """Le compte rendu de nbval sur le carnet `path`."""
    command = [sys.executable, "-c", NBVAL, "-q", "--nbval", "--nbval-current-env"]
    command += ["--nbval-sanitize-with", str(HERE / "sanitize.cfg")]
    command += ["--nbval-cell-timeout", str(LIMIT), "-o", "addopts=", "--noconftest"]
    command += ["-p", "no:cacheprovider", "--rootdir", str(ROOT), str(path)]
    python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        command,
        cwd=path.parent,
        env={**os.environ, "PYTHONPATH": python_path},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.notebooks
@pytest.mark.slow
def test_outputs_are_reproduced(notebook_path, record_duration):
    start = time.perf_counter()
    done = replay(notebook_path)
    seconds = time.perf_counter() - start
    record_duration(f"{notebook_path.parent.name}/{notebook_path.name}", seconds)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert seconds < LIMIT


@pytest.mark.notebooks
def test_cells_are_numbered_as_the_learner_sees_them(tmp_path):
    path = tmp_path / "01_essai.ipynb"
    lines = ["1", "get_ipython().execution_count", "get_ipython().execution_count"]
    nbformat.write(new_notebook(cells=[new_code_cell(line) for line in lines]), path)
    execute.main([path])
    assert '"3"' in path.read_text(encoding="utf-8")
    done = replay(path)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.notebooks
def test_a_changed_output_is_seen(tmp_path):
    path = tmp_path / "01_essai.ipynb"
    lines = ["print('12 ms', object())", "40 + 2"]
    nbformat.write(new_notebook(cells=[new_code_cell(line) for line in lines]), path)
    execute.main([path])
    assert replay(path).returncode == 0, "durées et adresses peuvent varier"
    path.write_text(path.read_text(encoding="utf-8").replace('"42"', '"43"'), encoding="utf-8")
    assert replay(path).returncode == 1
