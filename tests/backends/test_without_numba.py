"""Sans Numba, tout marche, par NumPy seul.

Les fonctions `every_op` et `train` tournent dans un processus où importer Numba échoue.
"""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine import Mode
from engine.core.elemwise import Elemwise
from engine.look.testing import check_op
from engine.ops.reduce import REDUCTIONS, Reduce
from tests.bench.works import WORKS, make_problem
from tests.ops import test_ops_generic as generic

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_NUMBA = "import sys; sys.modules['numba'] = None\n"
HERE = "from tests.backends.test_without_numba import *\n"
NETS = ("lenet_20_50", "lstm_50")


def run_without_numba(program, *arguments):
    """Exécute un programme ; rend ce qu’il écrit, et ses avertissements."""
    done = subprocess.run(
        [sys.executable, "-c", f"{WITHOUT_NUMBA}{program}", *map(str, arguments)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def every_op():
    """Compare à la référence, en FAST_RUN, chaque exemple de chaque op ; rend leur nombre."""
    cases = [case.values for case in generic.CASES if not case.values[0].destroy_map]
    cases += [(Elemwise(row), generic._rows_arguments(row, "float64")) for row in generic.ROWS]
    cube = np.random.default_rng(0).uniform(1, 2, (2, 3, 4))
    cases += [(Reduce(row, axes), [cube]) for row in REDUCTIONS.values() for axes in generic.AXES]
    for op, values in cases:
        with np.errstate(all="ignore"):
            check_op(op, [np.asarray(value) for value in values], [Mode()])
    return len(cases)


def train(name):
    """Les paramètres d’un petit réseau après trois pas."""
    work = WORKS[name]
    net = importlib.import_module(f"tests.bench.{work.folder}.with_engine")
    contestant = net.make(make_problem(work.folder, work.tiny))
    for index in range(3):
        contestant.step(index)
    return contestant.results()


def test_every_op_is_computed_by_numpy():
    out, _ = run_without_numba(f"{HERE}print(); print(Mode().linker, every_op())")
    linker, count = out.split()[-2:]
    assert linker == "numpy"
    assert int(count) > len(generic.ROWS) + len(generic.CASES) / 2


@pytest.mark.parametrize("name", NETS)
def test_a_net_is_trained_by_numpy(name, tmp_path):
    path = tmp_path / "parameters.npz"
    run_without_numba(f"{HERE}np.savez(sys.argv[1], *train(sys.argv[2]))", path, name)
    for obtained, expected in zip(np.load(path).values(), train(name), strict=True):
        np.testing.assert_allclose(obtained, expected, 1e-4, 1e-6)


def test_the_user_is_told_once():
    compiled = """
import engine
x = engine.tensor.dvector("x")
for _ in range(2):
    assert engine.function([x], x * 2)([1]) == 2
"""
    _, err = run_without_numba(compiled)
    assert err == (
        "<string>:6: UserWarning: Numba ne se charge pas : tout se calcule par NumPy, juste mais "
        "plus lent (pour l’installer : pip install numba)\n"
    )
    assert run_without_numba(compiled.replace(")([", ", mode='FAST_COMPILE')([")) == ("", "")


def test_asking_for_numba_is_refused():
    refusal = """
from engine import Mode
from engine.core.errors import ModeError
try:
    Mode("numba")
except ModeError as error:
    print(error)
"""
    assert "numba ne se charge pas" in run_without_numba(refusal)[0]
