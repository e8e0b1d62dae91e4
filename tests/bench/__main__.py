"""Mesurer le moteur à côté des autres bibliothèques : `python -m tests.bench` depuis la racine.

Chaque concurrent tourne dans son propre processus, avec le même nombre de fils, le même dtype, les
mêmes données et les mêmes paramètres de départ. Le pilote leur donne la parole à tour de rôle,
plusieurs fois, pour que le bruit de la machine tombe sur tous ; il imprime la médiane de chacun, le
rapport au meilleur des autres, le rapport au plancher physique mesuré dans la même course (produit
de matrices, copie ; ce que l’on compte est dit dans le `problem.py` de chaque travail), le temps de
compilation à froid et à chaud, la mémoire au plus haut et l’écart à un calcul en float64.

Les autres bibliothèques vivent dans leurs propres environnements (`build/peers`,
`build/pytensor` : voir `verrous/peers.txt` et `verrous/pytensor.txt`) ; celles qui manquent sont
dites absentes.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

from tests.bench.measure import ROOT, Home, floors, measure
from tests.bench.sweeps import SWEEPS, draw_sweep
from tests.bench.works import RIVALS, WORKS, make_problem

SMALLEST = 1e-6  # secondes : au-dessous, un plancher ne dit rien


def table(problem, rows, rates):
    """Rend le tableau à imprimer."""
    present = [row for row in rows if row.times]
    others = [row.median for row in present if row.name not in ("engine", "before")]
    before = next((row.times for row in present if row.name == "before"), None)
    floor = problem.flop / rates[0] / 1e9 + problem.moved / rates[1] / 1e9
    lines = [
        f"{problem.title} ; plancher {floor * 1e3:.4g} ms "
        f"({problem.flop / 1e9:.3g} GFLOP à {rates[0]:.0f} GFLOP/s, "
        f"{problem.moved / 1e6:.3g} Mo à {rates[1]:.0f} Go/s)",
        f"{'':14}{'version':14}{'ms/pas':>11}{'de':>11}{'à':>11}{'/meilleur':>10}{'/plancher':>10}"
        f"{'compile':>9}{'à chaud':>9}{'Mo':>7}{'écart':>9}",
    ]
    for row in rows:
        if row.absent:
            lines.append(f"{row.name:14}{row.absent}")
            continue
        own = row.name == "engine"
        ratio = f"{row.median / min(others):.2f}" if own and others else ""
        warm = "" if row.warm is None else f"{row.warm:.2f} s"
        above = f"{row.median / floor:.1f}" if floor > SMALLEST else ""
        times = (row.median, min(row.times), max(row.times))
        lines.append(
            f"{row.name:14}{row.version:14}"
            + "".join(f"{seconds * 1e3:11.4f}" for seconds in times)
            + f"{ratio:>10}{above:>10}"
            f"{row.cold:7.2f} s{warm:>9}{row.memory:7.0f}{row.gap:9.1e}"
        )
        if own and before:
            ratios = sorted(new / old for new, old in zip(row.times, before, strict=True))
            lines.append(
                f"{'':14}/avant, tour par tour : {statistics.median(ratios):.3f} "
                f"(de {ratios[0]:.3f} à {ratios[-1]:.3f})"
            )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "works",
        nargs="*",
        metavar="travail",
        help=f"parmi {', '.join(WORKS)} (tous par défaut) ; avec --sweeps, {', '.join(SWEEPS)}",
    )
    binaries = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    for home in ("peers", "pytensor"):
        parser.add_argument(f"--{home}", default=str(ROOT / "build" / home / binaries))
    parser.add_argument(
        "--avant", metavar="dossier", help="une autre version du dépôt, mesurée dans la même course"
    )
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, default=list(RIVALS))
    parser.add_argument("--tiny", action="store_true", help="tailles minuscules : vérifier l’écart")
    parser.add_argument("--sweeps", action="store_true", help="les balayages, en figures")
    options = parser.parse_args()
    homes = {
        "engine": Home(sys.executable),
        "peers": Home(options.peers),
        "pytensor": Home(options.pytensor),
    }
    if options.avant:
        homes["before"] = Home(sys.executable, Path(options.avant).resolve())
    names = [name for name in options.rivals if RIVALS[name].home in homes]
    run = (homes, options.threads, options.rounds)
    known = SWEEPS if options.sweeps else WORKS
    for name in options.works:
        if name not in known:
            parser.error(f"{name} : inconnu ; choisir parmi {', '.join(known)}")
    for name in options.works or known:
        if options.sweeps:
            print(draw_sweep(SWEEPS[name], *run), flush=True)
            continue
        work = WORKS[name]
        sizes = work.tiny if options.tiny else work.sizes
        rates = floors(options.threads)
        rows = measure(work.folder, sizes, names, *run)
        print(table(make_problem(work.folder, sizes), rows, rates), flush=True)


if __name__ == "__main__":
    main()
