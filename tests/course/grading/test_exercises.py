"""Ce que tout exercice doit tenir : solution, carnet blanc, points, indices, signatures."""

import importlib
from pathlib import Path

import nbformat
import pytest

from course.grading.learner import LocalLearner
from course.typography import typeset

ROOT = Path(__file__).resolve().parents[3]
SLUGS = sorted(path.stem for path in (ROOT / "solutions").glob("*.ipynb"))


def exercise_of(slug):
    return importlib.import_module(f"course.grading.exercises.ex{slug[:2]}").exercise


def questions_of(slug):
    """{question: points} selon le carnet."""
    notebook = nbformat.read(ROOT / "exercises" / f"{slug}.ipynb", as_version=4)
    cells = [c.metadata.nbgrader for c in notebook.cells if "nbgrader" in c.metadata]
    return {c.grade_id.removesuffix("-verif"): c.points for c in cells if c.grade}


@pytest.mark.parametrize("slug", SLUGS)
def test_solution_has_every_point(slug, namespace_of):
    learner = LocalLearner(namespace_of(f"solutions/{slug}.ipynb"))
    for question, points in questions_of(slug).items():
        for seed in range(5):
            report = exercise_of(slug).evaluate(question, learner, seed)
            assert report.earned == report.available == points, report


@pytest.mark.parametrize("slug", SLUGS)
def test_blank_notebook_has_none_and_says_so(slug, namespace_of):
    learner = LocalLearner(namespace_of(f"exercises/{slug}.ipynb"))
    for question in questions_of(slug):
        report = exercise_of(slug).evaluate(question, learner)
        assert report.earned == 0
        assert report.untouched
        assert "À vous de jouer" in repr(report)


@pytest.mark.parametrize("slug", SLUGS)
def test_untouched_cells_return_none(slug):
    notebook = nbformat.read(ROOT / "exercises" / f"{slug}.ipynb", as_version=4)
    answers = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("solution")]
    assert 3 <= len(answers) <= 6
    for cell in answers:
        assert "# À vous de jouer\n    return None" in cell.source
        assert "SOLUTION" not in cell.source


@pytest.mark.parametrize("slug", SLUGS)
def test_checks_belong_to_questions_and_help(slug):
    exercise = exercise_of(slug)
    assert exercise.slug == slug
    assert {check.question for check in exercise.checks} == set(questions_of(slug))
    for check in exercise.checks:
        assert len(check.hints) == 2, check.title
        assert check.review and check.points > 0


@pytest.mark.parametrize("slug", SLUGS)
def test_committed_solution_shows_success_everywhere(slug):
    notebook = nbformat.read(ROOT / "solutions" / f"{slug}.ipynb", as_version=4)
    checks = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade")]
    for cell in checks:
        assert "Bravo, tout est juste" in cell.outputs[0].data["text/plain"], cell.id


@pytest.mark.parametrize("slug", SLUGS)
def test_what_to_read_again_exists_in_the_lesson(slug):
    lesson = ROOT / "notebooks" / f"{slug}.ipynb"
    if lesson.exists():  # l’exercice peut précéder sa leçon
        cells = nbformat.read(lesson, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        headings = {line.lstrip("# ").strip() for line in text.splitlines() if line[:1] == "#"}
        wanted = {typeset(check.review) for check in exercise_of(slug).checks}
        assert wanted <= headings, f"titres absents de la leçon : {wanted - headings}"
