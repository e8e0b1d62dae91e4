"""La commande de mesure marche, et chaque travail y trouve les résultats d’un calcul en float64."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.sweeps import NAMES, SWEEPS, sweep_picture

ROOT = Path(__file__).resolve().parents[1]
GAP = re.compile(r"\d\.\de[-+]\d+|nan|inf")


def gaps(work, tmp_path):
    """Le nom et l’écart de chaque concurrent qui a couru, et le texte imprimé.

    Les autres bibliothèques sont tenues pour absentes ; leur écart est une colonne de la mesure.
    """
    command = [sys.executable, "-m", "tests.bench", work, "--tiny", "--rounds", "1"]
    for home in ("peers", "pytensor"):
        command += [f"--{home}", str(tmp_path / "absent")]
    out = subprocess.check_output(command, cwd=ROOT, text=True)
    print(out)
    rows = [line.split() for line in out.splitlines()[2:]]
    return {row[0]: float(row[-1]) for row in rows if GAP.fullmatch(row[-1])}, out


@pytest.mark.parametrize(
    "work", ["softmax_regression", "lenet_10_25", "lstm_50", "fused_chain", "call"]
)
def test_the_engine_computes_the_work(work, tmp_path):
    found, out = gaps(work, tmp_path)
    assert list(found) == ["engine"]
    assert found["engine"] < 1e-5
    assert out.count("absent") >= 3


@pytest.mark.parametrize("sweep", SWEEPS.values(), ids=SWEEPS)
def test_a_sweep_is_drawn_even_without_a_peer(sweep):
    curves = {name: [] for name in NAMES}
    curves["engine"] = [(value, 0.5 * value) for value in sweep.values]
    picture = sweep_picture(sweep, curves)
    assert picture.content.startswith(b"<?xml")
    assert "Chaînage, de" in picture.alt
    assert "JAX" not in picture.alt
