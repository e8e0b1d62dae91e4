"""Le script du GPU, sans GPU : ses objectifs visent de vraies lignes, son tableau dit vrai, et il
se répète tout entier sur le faux pilote.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.gpu.kernels.machines import Simulator, machine
from tests.device import table
from tests.device.launches import counts
from tests.device.parts import PARTS
from tests.device.programs import ROWS as PROGRAMS
from tests.device.programs import programs
from tests.device.requests import Recorder, using
from tests.device.works import NotHereError

ROOT = Path(__file__).resolve().parents[2]
ROWS = {name: make for part in PARTS.values() for name, make in part().items()}


def rivals(name):
    """Les rivaux d’une ligne, et les autres lignes ; tout, si ce niveau manque ici."""
    with using(Recorder()):
        try:
            return {*ROWS[name](small=True).rivals, *ROWS}
        except NotHereError:
            return {goal.against for goal in table.GOALS}


@pytest.mark.parametrize("goal", table.GOALS, ids=lambda goal: f"{goal.row}, {goal.against}")
def test_a_goal_compares_things_that_are_measured(goal):
    assert goal.ratio > 0
    assert isinstance(goal.against, float) or goal.against in rivals(goal.row)


@pytest.mark.skipif(not isinstance(machine(), Simulator), reason="un GPU : voir tests.device")
@pytest.mark.parametrize("name", [name for name in ROWS if name not in programs()])
def test_a_row_agrees_with_its_reference_in_the_simulator(name):
    """Les programmes, plus longs, le font dans `tests/gpu/test_training`."""
    pytest.importorskip("numba")
    try:
        case = ROWS[name](small=True)
    except NotHereError as why:
        pytest.skip(str(why))
    case.run()
    assert case.gap is None or case.gap() < case.tolerance


def test_a_step_is_few_launches():
    """Ce que dit `python -m tests.device.launches` : il ne doit que baisser."""
    most = {table.LENET: 49, table.LSTM: 640}
    for name, limit in most.items():
        folder, sizes, *_ = PROGRAMS[name]
        assert sum(counts(folder, sizes).values()) <= limit, name


def test_the_table_compares_speeds_and_judges():
    row = {"gpu": "G", "tolérance": 1e-5, "µs": 2.0}
    report = {
        "lignes": {
            "copie, 64 Mio": {**row, "Go/s": 100},
            "SGD, 64 Mio": {**row, "Go/s": 80, "rivaux": {"PyTorch": 6.0}},
            table.LENET: {**row, "écart": 1.0, "rivaux": {"PyTorch": 5.0, "PyTorch, graphe": 1.0}},
            table.LSTM: {"gpu": "G", "tolérance": 0, "échec": "pas de mémoire"},
        }
    }
    text = [line.split() for line in table.render(report)]
    said = "\n".join(" ".join(words) for words in text)
    assert "PyTorch 6.0 3.00" in said
    assert "copie, 64 Mio 1.6 0.80 0.85 MANQUÉ" in said
    assert "PyTorch 5.0 2.50 2.00 atteint" in said
    assert "PyTorch, graphe 1.0 0.50 1.00 MANQUÉ" in said
    assert "FAUX, écart 1.0e+00" in said and "pas de mémoire" in said
    assert table.missed(report) == 2


def test_reports_are_merged_row_by_row(tmp_path):
    path = tmp_path / "device.json"
    for name in "ab":
        table.write({"lignes": {name: {"µs": 1}}, "parties": {name: 3}}, path)
    table.write({"lignes": {"a": {"µs": 2}}}, path)
    assert table.read(path) == {
        "lignes": {"a": {"µs": 2}, "b": {"µs": 1}}, "parties": {"a": 3, "b": 3},
    }  # fmt: skip


@pytest.mark.skipif(
    importlib.util.find_spec("cuda") is None or importlib.util.find_spec("cuda.bindings") is None,
    reason="pilote du GPU : cuda-bindings n’est pas installé (python3 demarrer.py gpu)",
)
@pytest.mark.skipif(sys.platform != "linux", reason="le faux pilote est une bibliothèque Linux")
def test_everything_is_called_on_the_stub_driver(require_program, tmp_path):
    """Une vraie cuBLAS n’y survivrait pas : elle n’est pas ouverte."""
    folder = tmp_path / "nvidia" / "cublas" / "lib"
    folder.mkdir(parents=True)
    source = tmp_path / "cublas.c"
    source.write_text("void abort(void); int cublasCreate_v2(void *h) { abort(); }")
    command = [require_program("cc"), "-shared", "-fPIC", "-w", str(source)]
    subprocess.run([*command, "-o", str(folder / "libcublas.so.13")], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.device", "--dry"],
        capture_output=True, text=True, cwd=ROOT, check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ROWS:
        assert name in done.stdout
