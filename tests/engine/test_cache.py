"""Le cache des noyaux : le second démarrage ne compile rien, et rien n’y est jamais abîmé."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import warnings
import numpy as np
import engine, engine.tensor as T
from engine.backends.cache import Counters
x = T.fmatrix("x")
W = engine.shared(np.ones((4, 3), "float32"), name="W")
cost = T.log(T.nnet.softmax(T.dot(x, W)))[:, 0].mean()
f = engine.function([x], cost, updates=[(W, W - np.float32(0.1) * engine.grad(cost, W))])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    g = engine.function([x], T.tanh(x).sum())
    assert abs(float(f(np.ones((2, 4), "float32"))) + np.log(3)) < 1e-6
    assert abs(float(g(np.ones((2, 4), "float32"))) - 8 * np.tanh(1)) < 1e-5
print(Counters.hits, Counters.misses)
"""


def start(folder, *, wait=True):
    """Lance le programme dans un processus neuf, avec ce dossier de cache."""
    environment = {**os.environ, "ENGINE_FLAGS": f"cache_dir={folder}", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return counters(process) if wait else process


def counters(process):
    """(chargés, compilés, ce que le processus a écrit sur l’erreur)."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    hits, misses = map(int, out.split())
    return hits, misses, err


def test_the_second_start_compiles_nothing(tmp_path):
    hits, misses, _ = start(tmp_path)
    assert misses > 3
    assert hits == 0
    again, none, _ = start(tmp_path)
    print(f"premier démarrage : {misses} compilés ; second : {again} chargés, {none} compilés")
    assert (again, none) == (misses, 0)
    assert not list(tmp_path.glob("*.tmp"))


def test_two_processes_may_start_together(tmp_path):
    pair = [start(tmp_path, wait=False) for _ in range(2)]
    for process in pair:
        counters(process)
    hits, misses, _ = start(tmp_path)
    assert hits > 3
    assert misses == 0


def test_a_folder_that_cannot_be_written_costs_a_warning_only(tmp_path):
    blocked = tmp_path / "fichier"
    blocked.write_text("un fichier là où il faudrait un dossier")
    hits, misses, err = start(blocked / "cache")
    assert hits == 0
    assert misses > 3
    assert err.count("cache des noyaux inaccessible en écriture") == 1


@pytest.mark.skipif(os.name == "nt", reason="les droits d'un dossier se disent autrement")
@pytest.mark.skipif(os.name != "nt" and os.geteuid() == 0, reason="root écrit partout")
def test_a_read_only_folder_is_still_read(tmp_path):
    _, misses, _ = start(tmp_path)
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    hits, none, err = start(tmp_path)
    assert (hits, none) == (misses, 0), err


def test_a_truncated_kernel_is_compiled_again(tmp_path):
    _, misses, _ = start(tmp_path)
    for path in (tmp_path / "__pycache__").glob("*.nbc"):
        path.write_bytes(path.read_bytes()[:100])
    _, again, _ = start(tmp_path)
    assert again >= 1
    hits, none, _ = start(tmp_path)
    assert (hits, none) == (misses, 0)
