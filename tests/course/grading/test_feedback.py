"""Le retour : HTML statique, échappé, étiqueté ; un texte stable ; les cachées restent cachées."""

import re
from html.parser import HTMLParser

import pytest

from course.grading import hidden
from course.grading.checks import Exercise, equal
from course.grading.exercises import ex01
from course.grading.learner import LocalLearner

ALLOWED = {"section", "p", "strong", "ul", "li", "span", "code", "details", "summary", "a"}


@pytest.fixture
def exercise():
    exercise = Exercise("01_regle_de_chainage")

    @exercise.check("q1", points=1.5, hints=("Lisez `x`", "a < b"), review="Début")
    def same(learner, draw):
        "Répéter"
        equal(learner.repeter("<b>"), "<b>")

    return exercise


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes = set(), set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_html_is_static_and_escaped(exercise):
    def evil(x):
        return "<script>alert(1)</script>` onload=x"

    page = exercise.evaluate("q1", LocalLearner({"repeter": evil}))._repr_html_()
    parser = Tags()
    parser.feed(page)
    assert parser.tags <= ALLOWED
    assert parser.attributes <= {"style", "aria-label", "aria-hidden", "href"}
    assert "&lt;script&gt;" in page
    assert page.count("<details") == page.count("<summary") == 2
    assert "vérifications publiques" in page
    assert "a &lt; b" in page and "<code>x</code>" in page
    assert 'href="../notebooks/01_regle_de_chainage.ipynb"' in page


def test_html_says_more_than_colours(exercise):
    failed = exercise.evaluate("q1", LocalLearner({"repeter": lambda x: x + x}))._repr_html_()
    passed = exercise.evaluate("q1", LocalLearner({"repeter": lambda x: x}))._repr_html_()
    assert "✘" in failed and "à revoir" in failed
    assert "✔" in passed and "réussie" in passed and "<details" not in passed


def test_every_colour_follows_the_theme_with_a_readable_fallback(exercise):
    page = exercise.evaluate("q1", LocalLearner({"repeter": lambda x: 0}))._repr_html_()
    for colour in re.findall(r"(?<!-)color: ([^;\"]+)", page):
        assert re.fullmatch(r"var\(--jp-[\w-]+, (inherit|#[0-9a-f]{6})\)", colour)


def luminance(colour):
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_fallback_colours_stand_out_on_white_and_on_dark(exercise):
    pages = [
        exercise.evaluate("q1", LocalLearner({"repeter": answer}))._repr_html_()
        for answer in (lambda x: 0, lambda x: x, lambda x: None)
    ]
    for colour in set(re.findall(r"#[0-9a-f]{6}", "".join(pages))):
        for ground in ("#ffffff", "#111111"):
            light, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 3, (colour, ground)


def test_text_is_stable(exercise):
    assert repr(exercise.evaluate("q1", LocalLearner({"repeter": lambda x: x}))) == (
        "Question q1, vérifications publiques\u00a0: 1,5 / 1,5 point. "
        "Bravo, tout est juste\u202f!\n  ✔ Répéter (1,5 point)"
    )
    assert repr(exercise.evaluate("q1", LocalLearner({"repeter": lambda x: None}))) == (
        "Question q1, vérifications publiques\u00a0: 0 / 1,5 point. "
        "À vous de jouer\u00a0: la réponse est encore vide."
    )


def test_unknown_question_is_said_kindly(exercise):
    assert "Aucune vérification" in repr(exercise.evaluate("q7", LocalLearner({})))


def test_verifier_reads_the_caller():
    namespace = {"verifier": ex01.verifier}
    exec("def derivee(x): return None\nr = verifier('q1', graine=1)", namespace)
    assert namespace["r"].untouched


# Les vérifications cachées ----------------------------------------------------------------------

EXAMPLE = "course/grading/exercises/exemple_cachees.py"


@pytest.fixture
def teacher_folder(tmp_path, request):
    text = (request.config.rootpath / EXAMPLE).read_text(encoding="utf-8")
    (tmp_path / "01_regle_de_chainage.py").write_text(text, encoding="utf-8")
    return tmp_path


def test_hidden_checks_come_from_the_named_folder(teacher_folder, monkeypatch, namespace_of):
    public = ex01.exercise
    assert hidden.load(public) is public
    monkeypatch.setenv(hidden.VARIABLE, str(teacher_folder))
    exercise = hidden.load(public)
    assert len(exercise.checks) == len(public.checks) + 2
    assert [c.hidden for c in exercise.checks[-2:]] == [True, True]
    assert not any(c.hidden for c in public.checks)
    learner = LocalLearner(namespace_of("solutions/01_regle_de_chainage.ipynb"))
    for question in ("q1", "q4"):
        report = exercise.evaluate(question, learner)
        assert report.earned == report.available


def test_hidden_checks_show_nothing(teacher_folder):
    exercise = hidden.load(ex01.exercise, teacher_folder)
    report = exercise.evaluate("q1", LocalLearner({"derivee": lambda x: 3.0}))
    for text in (repr(report), report._repr_html_()):
        assert "Vérification de l’enseignant" in text
        assert "impaire" not in text
        assert "derivee(-" not in text.rpartition("Vérification de")[2]


def test_bad_teacher_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="introuvable"):
        hidden.load(ex01.exercise, tmp_path / "absent")
    assert hidden.load(ex01.exercise, tmp_path) is ex01.exercise
    (tmp_path / "01_regle_de_chainage.py").write_text("x = 1")
    with pytest.raises(ValueError, match="il faut"):
        hidden.load(ex01.exercise, tmp_path)
