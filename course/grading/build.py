"""Fabriquer `exercises/` à partir de `solutions/`, octet pour octet.

    python -m course.grading.build               refait solutions exécutées et exercices
    python -m course.grading.build --verifier    échoue si un exercice ne suit plus sa solution

Les carnets de `solutions/` sont la seule source. Pour chacun, les préprocesseurs de nbgrader
retirent ce qui est entre les marques de solution (il reste « À vous de jouer » et `return None`),
verrouillent les cellules de vérification et calculent leurs sommes de contrôle ; le carnet blanc
est ensuite exécuté, pour que ses sorties soient celles que verra l’élève.
"""

import argparse
import copy
import sys
from pathlib import Path

try:
    from nbgrader.preprocessors import (
        ClearHiddenTests,
        ClearOutput,
        ClearSolutions,
        ComputeChecksums,
        LockCells,
    )
except ImportError:
    ClearSolutions = None

from course.grading.execute import ROOT, NotebookFailed, normalise, read, run, save, text_of
from course.typography import typeset

STUB = "# À vous de jouer\nreturn None"


def blank(solution):
    """Le carnet de l’élève, non exécuté, tiré du carnet `solution` (qui reste intact)."""
    notebook = copy.deepcopy(solution)
    steps = (
        LockCells(),
        ClearSolutions(code_stub={"python": STUB}),
        ClearOutput(),
        ClearHiddenTests(),
        ComputeChecksums(),
    )
    for step in steps:
        notebook, _ = step.preprocess(notebook, {})
    return normalise(notebook)


def build(source, target):
    """Exécute `source` (la solution) et range à sa place, puis fabrique `target`."""
    solution = run(read(source), source.parent)
    exercise = run(blank(solution), source.parent)
    save(solution, source)
    save(exercise, target)


def drifted(source, target):
    """Dit si `target` diffère, d’un octet, de ce que `source` donnerait."""
    expected = text_of(run(blank(read(source)), source.parent))
    return not target.exists() or target.read_text(encoding="utf-8") != expected


def main(arguments=None):
    """La commande ; voir l’en-tête du module."""
    parser = argparse.ArgumentParser(prog="python -m course.grading.build")
    parser.add_argument("--verifier", action="store_true", help="comparer sans rien écrire")
    parser.add_argument("carnets", nargs="*", type=Path, help="solutions à traiter (toutes sinon)")
    options = parser.parse_args(arguments)
    if ClearSolutions is None:
        sys.exit(typeset("nbgrader manque : installez le verrou `teacher` ou `dev`."))
    sources = options.carnets or sorted((ROOT / "solutions").glob("*.ipynb"))
    pairs = [(path, ROOT / "exercises" / path.name) for path in sources]
    orphans = {p.name for p in (ROOT / "exercises").glob("*.ipynb")} - {
        p.name for p in (ROOT / "solutions").glob("*.ipynb")
    }
    try:
        if options.verifier:
            stale = [target for source, target in pairs if drifted(source, target)]
            stale += [ROOT / "exercises" / name for name in sorted(orphans)]
            if stale:
                names = "\n  ".join(str(path.relative_to(ROOT)) for path in stale)
                sys.exit(typeset(f"À refaire par python -m course.grading.build :\n  {names}"))
            print(typeset(f"{len(pairs)} exercices conformes à leur solution."))
        else:
            for source, target in pairs:
                build(source, target)
                print(typeset(f"{source.stem} : solution et exercice refaits."))
    except NotebookFailed as error:
        sys.exit(typeset(f"Rien n'est écrit pour ce carnet.\n{error}"))


if __name__ == "__main__":
    main()
