"""Refaire les poids livrés par les cellules mêmes de la leçon : `remake`.

Une leçon dont l’entraînement est long contient la ligne `REFAIRE = False` et, plus bas, une cellule
qui apprend et appelle `zoo.save` si `REFAIRE` est vrai, `zoo.load` sinon. Ici, la même leçon est
jouée avec `REFAIRE = True`, jusqu’à la dernière cellule qui parle de `zoo.save` ; le carnet rangé
n’est pas modifié.
"""

import copy

from nbclient import NotebookClient
from tqdm import tqdm

from course.grading.execute import kernel_environment, read
from engine.core.errors import EngineError

OFF, ON = "REFAIRE = False", "REFAIRE = True"
HOURS = 6  # au plus, par cellule


def prepare(notebook):
    """La copie de `notebook` à jouer, coupée après la dernière cellule qui range des poids.

    Lève
        EngineError : le carnet n’a pas d’entraînement à refaire.
    """
    notebook = copy.deepcopy(notebook)
    saving = [k for k, cell in enumerate(notebook.cells) if "zoo.save(" in cell.source]
    switches = [cell for cell in notebook.cells if cell.source.startswith(OFF)]
    if not saving or not switches:
        raise EngineError(
            "zoo : ce carnet n'a pas d'entraînement à refaire",
            expected=f"une cellule qui commence par {OFF}, une autre qui appelle zoo.save",
        )
    for cell in switches:
        cell.source = cell.source.replace(OFF, ON, 1)
    notebook.cells = notebook.cells[: saving[-1] + 1]
    return notebook


def remake(path):
    """Joue la leçon `path` et laisse ses cellules ranger leurs poids dans `datasets/modeles`."""
    notebook = prepare(read(path))
    client = NotebookClient(
        notebook,
        timeout=HOURS * 3600,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    with (
        tqdm(total=len(notebook.cells), desc=path.stem, unit="cellule") as bar,
        client.setup_kernel(env=kernel_environment()),
    ):
        for rank, cell in enumerate(notebook.cells):
            client.execute_cell(cell, rank)
            bar.update()
            for output in cell.get("outputs", ()):
                if output.output_type == "stream":
                    bar.write(output.text.rstrip())
