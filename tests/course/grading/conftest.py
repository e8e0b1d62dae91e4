"""Jouer l’élève : exécuter sa réponse, et la faire vérifier avec un tirage reproductible."""

import importlib
import linecache
from pathlib import Path

import nbformat
import pytest

from course.grading.learner import LocalLearner

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def assess():
    """assess("ex01", "q1", réponse) : le bilan ; la réponse est un texte ou un dictionnaire."""

    def run(module, question, answer, seed=0):
        exercise = importlib.import_module(f"course.grading.exercises.{module}").exercise
        namespace = answer if isinstance(answer, dict) else _executed([answer])
        return exercise.evaluate(question, LocalLearner(namespace), seed)

    return run


@pytest.fixture
def namespace_of():
    """namespace_of("solutions/01_….ipynb") : les noms que définit le carnet."""

    def load(path):
        notebook = nbformat.read(ROOT / path, as_version=4)
        cells = [c for c in notebook.cells if c.cell_type == "code"]
        return _executed(c.source for c in cells if not c.metadata.get("nbgrader", {}).get("grade"))

    return load


def _executed(sources):
    namespace = {}
    for number, source in enumerate(sources):
        where = f"<cellule {number}, {hash(source)}>"  # une fonction y retrouve son texte
        linecache.cache[where] = len(source), None, source.splitlines(True), where
        exec(compile(source, where, "exec"), namespace)
    return namespace
