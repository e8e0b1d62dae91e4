"""Exécuter un carnet pour le ranger : sorties comprises, rien de la machine, rien du moment.

    python -m course.grading.execute notebooks/06_regression_logistique.ipynb ...

`run(notebook, folder)` exécute de haut en bas dans un noyau neuf ; `normalise(notebook)` ne garde
que des métadonnées stables (ni durées, ni version de Python, ni état de widgets) ; `save` le range
en entier. Une cellule qui échoue, ou une sortie qui contient un chemin de la machine,
arrête tout : le carnet reste tel qu’il était.
"""

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from course.grading.progress import NONE, VARIABLE
from course.places import ROOT
from course.typography import typeset
from course.viz import static_output
from engine.io.files import write_whole

TIMEOUT = 600  # secondes par cellule
_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_CELL_KEYS = ("nbgrader", "tags", "deletable", "editable")


class NotebookFailed(Exception):
    """Un carnet qui ne peut pas être rangé, et pourquoi."""


def read(path):
    """Le carnet `path`, au format 4."""
    return nbformat.read(path, as_version=4)


def run(notebook, folder):
    """Exécute `notebook` sur place, depuis `folder`, avec ce moteur-ci ; le rend normalisé.

    Lève
        NotebookFailed : une cellule échoue, ou une sortie nomme un dossier de cette machine.
    """
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        store_widget_state=False,
    )
    try:
        client.execute(env=kernel_environment())
    except CellExecutionError as error:
        raise NotebookFailed(str(error)) from None
    normalise(notebook)
    _refuse_machine_paths(notebook)
    return notebook


def kernel_environment():
    """Les variables d’un noyau qui importe ce moteur-ci, d’où qu’il soit lancé ; la progression de
    l’auteur n’y paraît pas.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, VARIABLE: NONE}


def normalise(notebook):
    """Ramène les métadonnées à ce qui ne dépend ni de la machine ni du moment."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": _KERNEL, "language_info": {"name": "python"}}
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict(
            {key: cell.metadata[key] for key in _CELL_KEYS if key in cell.metadata}
        )
        if cell.cell_type == "code":
            cell.outputs = _merged(cell.outputs)
            for output in cell.outputs:
                output.pop("transient", None)
                if "data" in output:  # la vue d’un widget ne vit pas plus que son noyau
                    output.data = nbformat.from_dict(static_output(output.data))
    return notebook


def _merged(outputs):
    """Recolle les morceaux d’un même flux : leur découpage dépend du moment."""
    merged = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def _refuse_machine_paths(notebook):
    for rank, cell in enumerate(notebook.cells, 1):
        text = str(cell.get("outputs", ""))
        for folder in (ROOT, Path.home(), Path(sys.prefix)):
            if f"{folder}{os.sep}" in text:
                raise NotebookFailed(f"cellule {rank} : la sortie contient le dossier {folder}")


def text_of(notebook):
    """Le texte du fichier, toujours le même pour un même carnet."""
    return nbformat.writes(notebook) + "\n"


def save(notebook, path):
    """Range `notebook` dans le fichier `path`."""
    write_whole(path, text_of(notebook).encode("utf-8"))


def main(paths):
    """Exécute et range chaque carnet ; s’arrête au premier qui échoue."""
    for path in map(Path, paths):
        start = time.perf_counter()
        try:
            save(run(read(path), path.parent), path)
        except NotebookFailed as error:
            sys.exit(typeset(f"{path} : rien n'est écrit.\n{error}"))
        print(typeset(f"{path} : exécuté en {time.perf_counter() - start:.1f} s"))


if __name__ == "__main__":
    main(sys.argv[1:])
