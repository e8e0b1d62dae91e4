"""La commande de mesure marche, et le moteur y trouve les paramètres d’un calcul en float64."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_bench_runs_without_its_peers(tmp_path):
    command = [sys.executable, "-m", "tests.bench", "--rounds", "1", "--peers", str(tmp_path / "x")]
    out = subprocess.check_output(command, cwd=ROOT, text=True)
    print(out)
    rows = {line.split()[0]: line.split() for line in out.splitlines()[2:]}
    assert float(rows["engine"][-1]) < 1e-5
    assert "absent" in rows["torch"][1]
    assert "absent" in rows["jax"][1]
