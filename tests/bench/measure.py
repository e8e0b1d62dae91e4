"""Faire courir les concurrents d’un travail, à tour de rôle, et rendre leurs mesures.

Ordre de lecture : `measure`, puis ce qu’il emploie, `Contender`, `floors`.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.bench.works import RIVALS, make_problem

ROOT = Path(__file__).resolve().parents[2]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Home(NamedTuple):
    """Où vit un concurrent : son interpréteur, et le dossier dont il lit le code."""

    python: str
    root: Path = ROOT


@dataclass
class Row:
    """Les mesures d’un concurrent ; `absent` dit pourquoi il n’en a pas."""

    name: str
    absent: str = ""
    version: str = ""
    times: list = field(default_factory=list)
    cold: float = 0.0
    warm: float | None = None
    memory: float = 0.0
    gap: float | None = None

    @property
    def median(self):
        """Secondes par pas."""
        return statistics.median(self.times)


class Contender:
    """Un concurrent dans son processus : on lui envoie une ligne, il répond une ligne JSON.

    Attributs
        start : sa première réponse (version, compile_s), ou None ; alors `failure` dit pourquoi.
    """

    def __init__(self, folder, sizes, name, home, threads, cache):
        self.name, self.start, self.failure, self.process = name, None, "", None
        script = home.root / "tests" / "bench" / folder / f"{RIVALS[name].module}.py"
        if not script.exists():
            self.failure = "ne sait pas faire ce travail"
        elif not Path(home.python).exists():
            self.failure = "absent (voir verrous/)"
        else:
            self._launch(folder, sizes, home, threads, cache)

    def _launch(self, folder, sizes, home, threads, cache):
        environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads))}
        environment |= {
            "PYTHONPATH": str(home.root),
            "ENGINE_FLAGS": f"cache_dir={cache}/{RIVALS[self.name].home}",
            "TORCHINDUCTOR_CACHE_DIR": f"{cache}/torch",
            "JAX_COMPILATION_CACHE_DIR": f"{cache}/jax",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "PYTENSOR_FLAGS": f"base_compiledir={cache}/pytensor",
        }
        self._errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [
                home.python,
                "-m",
                "tests.bench.worker",
                folder,
                json.dumps(sizes),
                "engine" if self.name == "before" else self.name,
                str(threads),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=home.root,
            env=environment,
        )
        self.start = self._answer()
        if self.start is None:
            self._errors.seek(0)
            lines = [line for line in self._errors.read().splitlines() if line.strip()]
            self.failure = f"arrêté : {lines[-1] if lines else 'sans un mot'}"

    def _answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def ask(self, question):
        """Envoie une question et attend la réponse ; None si le processus s’est arrêté."""
        print(question, file=self.process.stdin, flush=True)
        return self._answer()

    def close(self):
        """Arrête le processus, s’il y en a un."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
            self._errors.close()


def floors(threads):
    """Débits mesurés ici et maintenant : GFLOP/s du produit float32, Go/s de la copie."""
    code = (
        "import numpy as np, timeit\n"
        "a=np.ones((1024,1024),'f4'); b=np.ones(2**25,'f4'); c=np.empty_like(b)\n"
        "t=min(timeit.repeat(lambda: a@a, number=3, repeat=7))/3\n"
        "u=min(timeit.repeat(lambda: np.copyto(c,b), number=1, repeat=7))\n"
        "print(2*1024**3/t/1e9, 2*b.nbytes/u/1e9)\n"
    )
    environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads))}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return [float(value) for value in answer.stdout.split()]


def measure(folder, sizes, names, homes, threads, rounds, check=True, cache=None):
    """Une ligne (`Row`) par concurrent de `names`.

    Paramètres
        folder, sizes : le travail.
        names : concurrents, parmi `RIVALS`.
        pythons : l’interpréteur de chaque environnement.
        threads, rounds : fils de chacun, tours de parole.
        cache : dossier des noyaux compilés ; None, un dossier neuf, effacé ensuite.
        check : comparer à la référence, et repartir à chaud pour le second temps de compilation.
    """
    with ExitStack() as stack:
        if cache is None:
            cache = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))

        def start(name):
            return Contender(folder, sizes, name, homes[RIVALS[name].home], threads, cache)

        contenders = {name: start(name) for name in names}
        rows = {name: Row(name, absent=c.failure) for name, c in contenders.items()}
        running = {name: c for name, c in contenders.items() if c.start is not None}
        for name, contender in running.items():
            rows[name].version = contender.start["version"]
            rows[name].cold = contender.start["compile_s"]
        if check:
            wanted = _reference(folder, sizes)
            for name, contender in running.items():
                rows[name].gap = _gap(contender, wanted, Path(cache) / f"{name}.npz")
        for _ in range(rounds):
            for name, contender in running.items():
                rows[name].times.append(contender.ask("run")["step_s"])
        for name, contender in running.items():
            rows[name].memory = contender.ask("memory")["peak_mb"]
        for contender in contenders.values():
            contender.close()
        for name in running if check else ():
            again = start(name)
            rows[name].warm = again.start["compile_s"] if again.start else None
            again.close()
    return list(rows.values())


def _reference(folder, sizes):
    problem = make_problem(folder, sizes)
    return problem.reference(problem.checked)


def _gap(contender, wanted, path):
    """Plus grand écart à la référence, rapporté à la plus grande valeur de chaque tableau."""
    contender.ask(f"check {path}")
    with np.load(path) as found:
        pairs = zip([found[key] for key in found], wanted, strict=True)
        return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
