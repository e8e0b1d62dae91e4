"""Le livre : chaque carnet suit la table de `course.book`, et chaque leçon a la même charpente."""

import json
import re
import shutil

import nbformat
import pytest

from course import book

LESSONS = book.written()
EXERCISES = book.written("solutions")
BOLD_DURATION = re.compile(
    r"\*\*Durée\*\*\u00a0: environ (une heure(?: et quart| et demie)?|\d+[ \u00a0]minutes)"
)


def prose(folder, lesson):
    """Le premier texte, puis tout le texte d’un carnet, les liens réduits à ce qu’on y lit."""
    cells = nbformat.read(book.ROOT / folder / lesson.file, as_version=4).cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    return texts[0], "\n\n".join(texts)


def named(lesson):
    return lesson.stem


def test_every_notebook_follows_the_table():
    stale = [
        str(path.relative_to(book.ROOT))
        for path in book.notebooks()
        if path.read_text(encoding="utf-8") != book.expected(path)
    ]
    assert not stale, "python -m course.book"


def test_no_lesson_is_outside_the_table():
    known = {lesson.file for lesson in book.LESSONS}
    for folder in ("notebooks", "solutions", "exercises"):
        assert {path.name for path in (book.ROOT / folder).glob("*.ipynb")} <= known
    assert [lesson.number for lesson in book.LESSONS] == list(range(13))
    for lesson in book.LESSONS:
        assert all(needed < lesson.number for needed in lesson.prerequisites)


@pytest.mark.parametrize("lesson", LESSONS, ids=named)
def test_head_of_a_lesson(lesson):
    head, _ = prose("notebooks", lesson)
    navigation, empty, title, _, question, _, hook, *_ = head.splitlines()
    assert navigation == book.lesson_navigation(lesson.number) and not empty
    assert title == f"# {lesson.heading}"
    assert question == f"**{lesson.question}**"
    assert len(hook) > 40 and hook[:1] != "*", "une accroche après la question"
    assert "**À la fin, vous saurez**" in head
    found = BOLD_DURATION.search(head)
    in_minutes = f"{lesson.minutes} minutes"
    assert found and found[1].replace("\u00a0", " ") in {lesson.duration, in_minutes}
    objectives = head.partition("**À la fin, vous saurez**")[2]
    assert 3 <= len(re.findall(r"^(?:-|\d\.) ", objectives, re.MULTILINE)) <= 7


@pytest.mark.parametrize("lesson", LESSONS, ids=named)
def test_prerequisites_are_those_of_the_table(lesson):
    head, _ = prose("notebooks", lesson)
    stated = head.partition("**Prérequis**")[2].partition("**")[0]
    assert stated, "un paragraphe **Prérequis**"
    stated = re.sub(r"\]\([^)]*\)", "]", stated)
    numbers = {int(number) for number in re.findall(r"\b(\d\d)\b", stated)}
    assert numbers == set(lesson.prerequisites)


@pytest.mark.parametrize("lesson", LESSONS, ids=named)
def test_foot_of_a_lesson(lesson):
    _, text = prose("notebooks", lesson)
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[-3:] == ["Ce que vous savez faire maintenant", "À vous de jouer", "Sources"]
    *_, foot = text.partition("\n## Ce que vous savez faire maintenant")
    assert len(re.findall(r"^(?:-|\d\.) ", foot.partition("\n## ")[0], re.MULTILINE)) >= 3
    if lesson in EXERCISES:
        assert f"](../exercises/{lesson.file})" in foot
    if book.following(lesson.number):
        assert f"**Leçon suivante**\u00a0: {book.next_question(lesson.number)}" in foot
    last = foot.rstrip().splitlines()[-1]
    assert not last.startswith("["), "la navigation est en tête, pas au pied"


@pytest.mark.parametrize("exercise", EXERCISES, ids=named)
def test_head_of_an_exercise(exercise):
    head, text = prose("solutions", exercise)
    navigation, _, title, *_ = head.splitlines()
    assert navigation == book.exercise_navigation(exercise.number)
    assert title == f"# {exercise.heading.replace('Leçon', 'Exercices')}"
    assert BOLD_DURATION.search(head) and "**À la fin, vous saurez**" in head
    assert "## Ce que vous savez faire maintenant" in text


@pytest.fixture
def small_book(tmp_path):
    """Un livre de deux leçons et d’un exercice, dans un dossier à part."""
    for folder, numbers in {"notebooks": (1, 2), "solutions": (1,), "exercises": (1,)}.items():
        (tmp_path / folder).mkdir()
        for number in numbers:
            lesson = book.lesson(number)
            shutil.copy(book.ROOT / folder / lesson.file, tmp_path / folder)
    return tmp_path


def test_command_links_what_exists_and_only_that(small_book, capsys):
    with pytest.raises(SystemExit, match=r"01_regle_de_chainage"):
        book.main(["--verifier"], small_book)
    book.main([], small_book)
    book.main(["--verifier"], small_book)
    assert "Tous les carnets suivent la table" in capsys.readouterr().out
    head = json.loads((small_book / "notebooks" / book.lesson(2).file).read_text("utf-8"))
    line = head["cells"][0]["source"][0]
    assert line.startswith("[← Leçon 01") and "→" not in line and "Exercices" not in line
    assert book.next_question(2, small_book).startswith("*")
    assert book.next_question(1, small_book).startswith("[*")
    shown = book.summary(small_book)
    assert shown.count("(à venir)") == 11 and shown.count("](../exercises/") == 1


def test_navigation_takes_the_place_of_whatever_came_before_the_title(small_book):
    path = small_book / "notebooks" / book.lesson(1).file
    notebook = json.loads(path.read_text(encoding="utf-8"))
    source = notebook["cells"][0]["source"]
    notebook["cells"][0]["source"] = source[2:]  # le titre d’abord, sans navigation
    path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    book.main([], small_book)
    again = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
    assert again[1:] == source[1:] and again[0].startswith("[Sommaire]")
