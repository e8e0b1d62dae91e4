"""Chaque carnet, rejoué dans un noyau neuf, rend les sorties qui sont rangées avec lui.

La comparaison est celle de nbval, sans complaisance : seul `sanitize.cfg` dit ce qui peut varier.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LIMIT = 180  # secondes : la promesse faite à l’élève pour une leçon entière, sur deux cœurs


@pytest.mark.notebooks
@pytest.mark.slow
def test_outputs_are_reproduced(notebook_path, record_duration):
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env"]
    command += ["--nbval-sanitize-with", str(HERE / "sanitize.cfg")]
    command += ["--nbval-cell-timeout", str(LIMIT), "-o", "addopts=", "--noconftest"]
    command += ["-p", "no:cacheprovider", "--rootdir", str(ROOT), str(notebook_path)]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=notebook_path.parent,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    seconds = time.perf_counter() - start
    record_duration(f"{notebook_path.parent.name}/{notebook_path.name}", seconds)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert seconds < LIMIT
