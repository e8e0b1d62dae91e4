"""Jouer un exercice comme une personne qui le découvre, et écrire ce qu’elle lit.

    python -m tests.course.grading.transcript 06                 l’exercice 06, à l’écran
    python -m tests.course.grading.transcript                    tous, dans build/transcriptions/
    python -m tests.course.grading.transcript --dossier DIR 01 06 ceux-là, dans le dossier DIR

Dans un vrai noyau Jupyter, cellule par cellule : le carnet tel qu’il s’ouvre, de haut en bas ;
puis, à chaque question, une réponse fausse (la première que donne `WRONG`, dans
tests/course/grading/answers/exNN.py) et la solution, chacune suivie de sa vérification ; enfin le
carnet résolu.
"""

import argparse
import runpy
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from course.grading.execute import ROOT, kernel_environment

ANSWERS = Path(__file__).resolve().parent / "answers"
TIMEOUT = 600  # secondes par cellule


def slug_of(number):
    """Le nom de l’exercice `number`, sans son suffixe."""
    (path,) = (ROOT / "exercises").glob(f"{number}_*.ipynb")
    return path.stem


def transcript(slug):
    """Le texte, morceau par morceau, de la séance sur l’exercice `slug`."""
    notebook = nbformat.read(ROOT / "exercises" / f"{slug}.ipynb", as_version=4)
    solutions = _answers(nbformat.read(ROOT / "solutions" / f"{slug}.ipynb", as_version=4))
    wrong = runpy.run_path(str(ANSWERS / f"ex{slug[:2]}.py"))["WRONG"]
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        allow_errors=True,
        store_widget_state=False,
        resources={"metadata": {"path": str(ROOT / "exercises")}},
    )
    with client.setup_kernel(env=kernel_environment()):
        yield f"# Exercices {slug}\n\n## Le carnet tel qu’il s’ouvre\n"
        yield from _run_all(client)
        for question, solution in solutions.items():
            name, (_, answer, *_) = next(w for w in wrong.items() if w[1][0] == question)
            yield f"## {question}, réponse fausse : {name}\n"
            yield from _answer(client, question, answer)
            yield f"## {question}, la solution\n"
            yield from _answer(client, question, solution)
        yield "## Le carnet résolu\n"
        yield from _run_all(client)


def _answers(notebook):
    """Les réponses d’un carnet, par question."""
    marked = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    return {cell.metadata.nbgrader.grade_id: cell.source for cell in marked}


def _run_all(client):
    for rank, cell in enumerate(client.nb.cells):
        if cell.cell_type == "code":
            yield from _shown(client, rank)


def _answer(client, question, source):
    """Écrit `source` dans la cellule de la question, l’exécute, puis sa vérification."""
    ranks = {c.metadata.nbgrader.grade_id: k for k, c in enumerate(client.nb.cells) if _marked(c)}
    client.nb.cells[ranks[question]].source = source
    yield _fenced(source, "python")
    yield from _shown(client, ranks[question])
    yield from _shown(client, ranks[f"{question}-verif"])


def _marked(cell):
    return "nbgrader" in cell.metadata


def _shown(client, rank):
    """Exécute la cellule `rank` ; ce qu’elle montre, si elle montre quelque chose."""
    cell = client.execute_cell(client.nb.cells[rank], rank)
    text = "".join(_text(output) for output in cell.outputs).rstrip()
    if text:
        yield f"Cellule `{cell.id}` :\n\n{_fenced(text)}"


def _text(output):
    if output.output_type == "stream":
        return output.text
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}\n"
    return output.data.get("text/plain", "") + "\n"


def _fenced(text, language="text"):
    return f"```{language}\n{text}\n```\n"


def main(arguments=None):
    """La commande ; voir l’en-tête du module."""
    parser = argparse.ArgumentParser(prog="python -m tests.course.grading.transcript")
    parser.add_argument("numeros", nargs="*", help="ceux des exercices (tous sinon)")
    parser.add_argument("--dossier", type=Path, help="où écrire un fichier par exercice")
    options = parser.parse_args(arguments)
    numbers = options.numeros or sorted(p.name[:2] for p in (ROOT / "exercises").glob("*.ipynb"))
    folder = options.dossier or (None if options.numeros else ROOT / "build" / "transcriptions")
    for slug in map(slug_of, numbers):
        if folder is None:
            for piece in transcript(slug):
                print(piece, flush=True)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{slug}.md"
            path.write_text("\n".join(transcript(slug)), encoding="utf-8")
            print(path, flush=True)


if __name__ == "__main__":
    main()
