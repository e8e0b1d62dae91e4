"""Rejouer des carnets comme nbval, et chronométrer chaque cellule.

    python -m tests.course.notebooks.durations                         la table de toutes les leçons
    python -m tests.course.notebooks.durations notebooks/06_*.ipynb ... celle de ces carnets

`replay(path)` rend un `Replay` : ce que nbval a conclu, la durée du tout, celle de chaque cellule.
`lines_of(name, replay)` en fait les lignes d’un rapport. Les durées ne valent promesse que mesurées
sur une machine qui ne fait rien d’autre.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import nbformat

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
LIMIT = 180  # secondes : la promesse faite à l’élève pour une leçon entière, sur deux cœurs
CELL_LIMIT = 60  # secondes : et pour une cellule
WORTH_SAYING = 1.0  # secondes : une cellule plus rapide n’est pas nommée dans le rapport
AT_MOST = 4  # cellules nommées par carnet


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


class Cell(NamedTuple):
    """Une cellule de code rejouée : son numéro pour l’élève, sa première ligne, sa durée."""

    number: int
    first_line: str
    seconds: float


class Replay(NamedTuple):
    """Un carnet rejoué : le code de retour de nbval, ce qu’il a dit, et les durées."""

    returncode: int
    output: str
    seconds: float
    cells: tuple


def replay(path):
    """Rejoue le carnet `path` dans un noyau neuf et compare ses sorties à celles qu’il contient."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "durees.xml")
        command = [sys.executable, "-c", NBVAL, "-q", "--nbval", "--nbval-current-env"]
        command += ["--nbval-sanitize-with", str(HERE / "sanitize.cfg")]
        command += ["--nbval-cell-timeout", str(LIMIT), "-o", "addopts=", "--noconftest"]
        command += ["--junitxml", str(report), "-o", "junit_duration_report=call"]
        command += ["-p", "no:cacheprovider", "--rootdir", str(ROOT), str(path)]
        python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        start = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=path.parent,
            env={**os.environ, "PYTHONPATH": python_path},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        seconds = time.perf_counter() - start
        cells = _timed(path, report) if report.exists() else ()
    said = done.stdout[-6000:] + done.stderr[-2000:]
    return Replay(done.returncode, said, seconds, cells)


def _timed(path, report):
    """Les cellules de code de `path`, avec la durée que le rapport JUnit de nbval leur donne."""
    found = [float(case.get("time")) for case in ElementTree.parse(report).iter("testcase")]
    cells = nbformat.read(path, as_version=4).cells
    firsts = [cell.source.strip().split("\n")[0] for cell in cells if cell.cell_type == "code"]
    pairs = zip(firsts, found, strict=False)  # nbval s’arrête là où le noyau meurt
    return tuple(Cell(number, *pair) for number, pair in enumerate(pairs, 1))


def slow_cells(cells):
    """Celles qui passent la limite d’une cellule."""
    return [cell for cell in cells if cell.seconds > CELL_LIMIT]


def lines_of(name, seconds, cells):
    """Une ligne pour le carnet, puis une par cellule lente, la plus lente d’abord."""
    yield f"{seconds:7.1f} s  {name}"
    for cell in sorted(cells, key=lambda cell: -cell.seconds)[:AT_MOST]:
        if cell.seconds >= WORTH_SAYING:
            yield f"{cell.seconds:17.1f} s  [{cell.number}] {cell.first_line[:60]}"


def main(paths):
    """La table de durées des carnets `paths`, et leur somme."""
    paths = [Path(p).resolve() for p in paths] or sorted((ROOT / "notebooks").glob("*.ipynb"))
    total, failed = 0.0, []
    for path in paths:
        done = replay(path)
        total += done.seconds
        failed += [path.name] if done.returncode else []
        for line in lines_of(f"{path.parent.name}/{path.name}", done.seconds, done.cells):
            print(line, flush=True)
    print(f"{total:7.1f} s  en tout, pour {len(paths)} carnets")
    if failed:
        sys.exit(f"sorties non reproduites : {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
