"""Mesurer le moteur à côté des autres bibliothèques : `python -m tests.bench` depuis la racine.

Chaque concurrent tourne dans son propre processus, avec le même nombre de fils, le même dtype et
les mêmes données. Le pilote leur donne la parole à tour de rôle, plusieurs fois, pour que le bruit
de la machine tombe sur tous ; il imprime la médiane de chacun, le rapport au meilleur des autres,
le rapport au plancher physique mesuré dans la même course (produit de matrices, copie), le temps de
compilation à froid et à chaud, la mémoire au plus haut et l’écart des paramètres après 50 pas à un
calcul en float64.

Les autres bibliothèques vivent dans leur propre environnement (`build/peers`, voir
`verrous/peers.txt`) ; celles qui manquent sont dites absentes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.bench.softmax_regression import work as softmax_regression

ROOT = Path(__file__).resolve().parents[2]
WORKS = {softmax_regression.NAME: softmax_regression}


class Contender:
    """Un concurrent dans son processus : on lui envoie une ligne, il répond une ligne JSON."""

    def __init__(self, work, name, python, threads, cache):
        self.name = name
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        environment = {**os.environ, **{key: str(threads) for key in names}}
        environment |= {"ENGINE_FLAGS": f"cache_dir={cache}", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [python, "-m", "tests.bench.worker", work, name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        self.start = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def ask(self, question):
        """Envoie une question et attend la réponse ; None si le processus s’est arrêté."""
        print(question, file=self.process.stdin, flush=True)
        return self._answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def floors(threads):
    """Débits mesurés ici et maintenant : GFLOP/s du produit float32, Go/s de la copie."""
    code = (
        "import numpy as np, timeit\n"
        "a=np.ones((1024,1024),'f4'); b=np.ones(2**25,'f4'); c=np.empty_like(b)\n"
        "t=min(timeit.repeat(lambda: a@a, number=3, repeat=7))/3\n"
        "u=min(timeit.repeat(lambda: np.copyto(c,b), number=1, repeat=7))\n"
        "print(2*1024**3/t/1e9, 2*b.nbytes/u/1e9)\n"
    )
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**os.environ, **{key: str(threads) for key in names}}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return [float(value) for value in answer.stdout.split()]


def measure(work, peers_python, threads, rounds):
    """Fait courir tous les concurrents d’un travail et rend une ligne par concurrent."""
    rows, cache = [], tempfile.mkdtemp(prefix="noyaux-")
    contenders = []
    for name in work.CONTENDERS:
        python = sys.executable if name.startswith("engine") else peers_python
        contender = (
            Contender(work.NAME, name, python, threads, cache) if Path(python).exists() else None
        )
        if contender is None or contender.start is None:
            rows.append({"name": name, "absent": True})
        else:
            contenders.append(contender)
    warm = Contender(work.NAME, "engine", sys.executable, threads, cache)
    warm_seconds = warm.start["compile_s"]
    warm.close()
    exact = work.reference_parameters(50)
    accuracy = {c.name: c.ask("parameters 50") for c in contenders}
    times = {c.name: [] for c in contenders}
    for _ in range(rounds):
        for contender in contenders:
            times[contender.name].append(contender.ask("run")["step_s"])
    for contender in contenders:
        gap = max(
            float(np.abs(np.asarray(found) - wanted).max() / np.abs(wanted).max())
            for found, wanted in zip(accuracy[contender.name]["parameters"], exact, strict=True)
        )
        final = contender.ask("memory")
        rows.append({
            "name": contender.name, "version": contender.start["version"], "gap": gap,
            "median": statistics.median(times[contender.name]),
            "low": min(times[contender.name]), "high": max(times[contender.name]),
            "compile": contender.start["compile_s"], "memory": final["peak_mb"],
            "warm": warm_seconds if contender.name == "engine" else None,
        })  # fmt: skip
        contender.close()
    return rows


def table(work, rows, rates):
    """Rend le tableau à imprimer."""
    present = [row for row in rows if "median" in row]
    others = [row["median"] for row in present if row["name"] != "engine"]
    best = min(others) if others else None
    floor = work.FLOP / rates[0] / 1e9 + work.BYTES / rates[1] / 1e9
    lines = [
        f"{work.TITLE} ; plancher {floor * 1e3:.3f} ms "
        f"(sgemm {rates[0]:.0f} GFLOP/s, copie {rates[1]:.0f} Go/s)",
        f"{'':16}{'version':14}{'ms/pas':>9}{'de':>9}{'à':>9}{'/meilleur':>10}{'/plancher':>10}"
        f"{'compile':>9}{'à chaud':>9}{'Mo':>7}{'écart':>9}",
    ]
    for row in rows:
        if "absent" in row:
            lines.append(f"{row['name']:16}absent (voir verrous/peers.txt)")
            continue
        ratio = "" if best is None or row["name"] != "engine" else f"{row['median'] / best:.2f}"
        warm = "" if row["warm"] is None else f"{row['warm']:.2f} s"
        lines.append(
            f"{row['name']:16}{row['version']:14}{row['median'] * 1e3:9.3f}{row['low'] * 1e3:9.3f}"
            f"{row['high'] * 1e3:9.3f}{ratio:>10}{row['median'] / floor:10.1f}"
            f"{row['compile']:7.2f} s{warm:>9}{row['memory']:7.0f}{row['gap']:9.1e}"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("works", nargs="*", help=f"parmi {', '.join(WORKS)} (tous par défaut)")
    binaries = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    parser.add_argument("--peers", default=str(ROOT / "build" / "peers" / binaries))
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    for name in options.works or WORKS:
        rates = floors(options.threads)
        rows = measure(WORKS[name], options.peers, options.threads, options.rounds)
        print(table(WORKS[name], rows, rates), flush=True)


if __name__ == "__main__":
    main()
