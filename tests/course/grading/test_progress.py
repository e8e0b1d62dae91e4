"""La progression : ce qui est gardé, ce qui ne l’est pas, et tous les incidents du fichier."""

import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from course import book
from course.grading import progression
from course.grading.checks import Exercise, close
from course.grading.execute import run
from course.grading.exercises import ex01
from course.grading.hidden import load as load_hidden
from course.grading.progress import VARIABLE, load, location, record

ROOT = Path(__file__).resolve().parents[3]
SLUG = "01_regle_de_chainage"
RIGHT = "from math import *\ndef derivee(x): return exp(sin(x*x)) * cos(x*x) * 2*x"
HALF = "from math import *\ndef derivee(x): return exp(sin(x*x)) * cos(x) * 2*x"
CHECK = "\nbilan = verifier('q1')"


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Le fichier d’une progression neuve, à part, dans un dossier qui n’existe pas encore."""
    path = tmp_path / "données" / "progression.json"
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def answer(source):
    """Ce que fait le carnet : la réponse, puis `verifier`."""
    namespace = {"verifier": ex01.verifier}
    exec(source + CHECK, namespace)
    return namespace["bilan"]


def row(number):
    return next(row for row in progression().rows if row.lesson.number == number)


def test_the_best_score_of_a_question_is_kept(saved):
    assert row(1).advice == "à commencer"
    assert answer(HALF).earned == 0.5
    assert row(1).earned == 0.5 and row(1).advice == "reprendre à la question 1"
    assert answer(RIGHT).earned == 2
    answer(HALF)  # un essai moins bon n’enlève rien
    assert json.loads(saved.read_text("utf-8"))[SLUG] == {"q1": 2} and load() == {SLUG: {"q1": 2}}
    assert row(1).score == "2 / 12"
    assert row(1).advice == "reprendre à la question 2"
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_an_empty_answer_writes_nothing(saved):
    assert answer("def derivee(x): return None").untouched
    assert not saved.exists() and progression().earned == 0


def test_nothing_is_read_or_written_when_the_variable_says_none(saved, monkeypatch):
    answer(RIGHT)
    monkeypatch.setenv(VARIABLE, "aucune")
    assert progression().earned == 0 and location() is None
    answer(RIGHT)


def test_hidden_checks_are_not_counted(saved, tmp_path):
    folder = tmp_path / "cachees"
    folder.mkdir()
    (folder / f"{SLUG}.py").write_text(
        "from course.grading.checks import Exercise\n"
        f"exercise = Exercise({SLUG!r})\n"
        "@exercise.check('q1', points=5)\ndef always(learner, draw):\n    'Rien'\n",
        encoding="utf-8",
    )
    whole = load_hidden(Exercise(SLUG, ex01.exercise.checks), folder)
    namespace = {"verifier": whole.verifier}
    exec(RIGHT + CHECK, namespace)
    assert namespace["bilan"].earned == 7
    assert load() == {SLUG: {"q1": 2}}


DAMAGED = {
    "coupé": b'{"01_regle_de_chainage": {"q1"',
    "vide": b"",
    "pas du texte": b"\xff\xfe\x00\x01",
    "une liste": b"[1, 2]",
    "des mots pour des points": b'{"01_regle_de_chainage": {"q1": "deux"}}',
    "des points sans question": b'{"01_regle_de_chainage": 3}',
    "un puits": b"[" * 100_000,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_kept_aside_and_said(saved, capsys, content):
    saved.parent.mkdir()
    saved.write_bytes(content)
    assert answer(RIGHT).earned == 2
    said = capsys.readouterr().err
    assert "abîmé" in said and "On repart de zéro" in said
    aside = [path for path in saved.parent.iterdir() if path != saved]
    assert len(aside) == 1 and aside[0].read_bytes() == content and aside[0].name in said
    assert load() == {SLUG: {"q1": 2}}
    assert not capsys.readouterr().err


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "plein").write_text("un fichier, pas un dossier")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "plein" / "progression.json"))
    assert answer(RIGHT).earned == 2
    assert "gardés" in capsys.readouterr().err


def test_a_home_that_cannot_be_found_stops_nothing(monkeypatch, capsys):
    def lost():
        raise RuntimeError("pas de dossier personnel")

    for name in (VARIABLE, "XDG_DATA_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lost)
    assert answer(RIGHT).earned == 2
    assert "pas de dossier personnel" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("platform", "variables", "end"),
    [
        ("linux", {"XDG_DATA_HOME": "/d"}, "/d/chainage/progression.json"),
        ("linux", {}, ".local/share/chainage/progression.json"),
        ("darwin", {}, "Library/Application Support/chainage/progression.json"),
        ("win32", {"APPDATA": "/a"}, "/a/chainage/progression.json"),
        ("win32", {}, "AppData/Roaming/chainage/progression.json"),
    ],
)
def test_each_system_has_its_place(monkeypatch, platform, variables, end):
    for name in (VARIABLE, "XDG_DATA_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert location().as_posix().endswith(end)


def test_a_finished_lesson_says_so_and_another_is_proposed(saved):
    done = {}
    for check in ex01.exercise.checks:
        done[check.question] = done.get(check.question, 0) + check.points
    saved.parent.mkdir()
    saved.write_text(json.dumps({SLUG: done, "99_disparu": {"q1": 3}}), encoding="utf-8")
    assert row(1).advice == "terminé" and row(1).next_question is None
    assert progression().earned == row(1).available
    assert page().bold == ["Votre progression", "à commencer"]


def test_more_points_than_the_question_has_are_cut(saved):
    saved.parent.mkdir()
    saved.write_text(json.dumps({SLUG: {"q1": 40}}), encoding="utf-8")
    assert row(1).earned == 2


class Page(HTMLParser):
    """Les liens, les barres et ce qui est en gras dans une page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.bars, self.bold, self.strong = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "a":
            self.links.append(attrs["href"])
        if tag == "progress":
            self.bars.append(attrs)
        self.strong = self.strong or tag == "strong"

    def handle_endtag(self, tag):
        self.strong = self.strong and tag != "strong"

    def handle_data(self, data):
        if self.strong:
            self.bold.append(data.partition("\u00a0:")[0])


def page():
    return Page(progression()._repr_html_())


def test_the_table_links_lessons_and_names_its_bars(saved):
    answer(RIGHT)
    shown = page()
    for link in shown.links:
        assert (ROOT / "notebooks" / link).exists(), link
    assert len(shown.bars) == len(book.written("solutions"))
    assert any(bar["aria-label"].endswith("2 sur 12 points") for bar in shown.bars)
    text = repr(progression())
    assert len(text.splitlines()) == 1 + len(book.written())
    assert "██" in text and "2 / 12" in text


def test_two_processes_and_a_replayed_seed_add_up(saved):
    def fresh(source):
        program = (
            "from course.grading.exercises.ex01 import verifier\n"
            f"exec({source!r})\nprint(verifier('q1', graine=3).earned)"
        )
        env = {**os.environ, "PYTHONPATH": str(ROOT), VARIABLE: str(saved)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
        )
        return float(done.stdout)

    assert fresh(HALF) == 0.5 and fresh(RIGHT) == 2
    assert load() == {SLUG: {"q1": 2}}


def test_making_a_notebook_neither_reads_nor_writes_the_author_s(saved):
    answer(RIGHT)
    written = saved.read_bytes()
    source = "from course.grading import progression\n" + RIGHT.replace("2*x", "2*x + 0*x")
    source += "\nfrom course.grading.exercises.ex01 import verifier" + CHECK
    source += "\nprint(bilan.earned == 2, progression().earned)"
    notebook = run(new_notebook(cells=[new_code_cell(source)]), ROOT)
    assert notebook.cells[0].outputs[0].text == "True 0\n"
    assert saved.read_bytes() == written


def test_a_report_of_another_exercise_does_not_mix(saved):
    other = Exercise("06_regression_logistique")

    @other.check("q1", points=1)
    def one(learner, draw):
        "Un"
        close(learner.un(), 1)

    namespace = {"un": lambda: 1, "verifier": other.verifier}
    exec("verifier('q1')", namespace)
    record(SLUG, answer(RIGHT))
    assert load() == {"06_regression_logistique": {"q1": 1}, SLUG: {"q1": 2}}
