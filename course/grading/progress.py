"""La progression de l’élève : le meilleur bilan public de chaque question, gardé sur sa machine.

`verifier` appelle `record` ; la première page montre `progression()`. Tout tient dans un petit
fichier JSON du dossier que le système réserve aux données de l’utilisateur, ou dans celui que nomme
la variable d’environnement `CHAINAGE_PROGRESSION` ; « aucune » ne lit et n’écrit rien (les tests et
la fabrication des carnets s’en servent). Le fichier s’écrit à côté puis se renomme, et porte son
empreinte. Abîmé, il est mis de côté et l’on repart de zéro, en le disant ; illisible un moment, il
reste tel quel. Aucun incident n’arrête une vérification.

Ordre de lecture : `location`, `load`, `record`, `progression`, `Row`, `Progress`.
"""

import hashlib
import html
import importlib
import importlib.util
import json
import math
import os
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from course import book
from course.grading.feedback import number_text, points_text
from course.typography import typeset
from engine.io.files import locked, write_whole

VARIABLE, NONE = "CHAINAGE_PROGRESSION", "aucune"
_BAR = 10  # signes de la barre, en texte


def location():
    """Le fichier de la progression, ou None si elle n’est pas gardée."""
    named = os.environ.get(VARIABLE)
    if named:
        return None if named == NONE else Path(named)
    if sys.platform == "win32":
        base = os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "chainage" / "progression.json"


def load():
    """Les meilleurs points, {carnet: {question: points}} ; vide si rien n’est (bien) rangé."""
    try:
        path = location()
        return _read(path) if path else {}
    except (OSError, RuntimeError) as error:
        _say(f"Votre progression n'a pas pu être lue ({_reason(error)}).")
        return {}


def _read(path):
    """Les points de ce fichier ; abîmé, il est mis de côté.

    Lève
        OSError : il est illisible, ce qui ne dit pas qu’il soit abîmé.
    """
    try:
        return _checked(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):  # pas du texte, pas du JSON, pas des points
        return _set_aside(path)


def record(slug, report):
    """Garde les points publics de `report` s’ils battent ceux de la question ; ne lève rien."""
    earned = sum(outcome.earned for outcome in report.outcomes if not outcome.hidden)
    if not earned or os.environ.get(VARIABLE) == NONE:
        return
    try:
        with locked(location()):  # un autre carnet peut gagner un point au même moment
            best = _read(location())
            if earned <= best.get(slug, {}).get(report.question, 0):
                return
            best.setdefault(slug, {})[report.question] = earned
            text = json.dumps(best | {_seal(best): {}}, ensure_ascii=False, indent=1) + "\n"
            write_whole(location(), text.encode())
    except (OSError, RuntimeError) as error:
        _say(f"Ces points comptent, mais n'ont pas pu être gardés ({_reason(error)}).")


def _seal(best):
    """L’empreinte des points, rangée comme un carnet sans question."""
    text = json.dumps(best, sort_keys=True)
    return f"sha256 {hashlib.sha256(text.encode()).hexdigest()}"


def _checked(found):
    """Les points de `found`, si c’est bien {carnet: {question: points}} et que rien n’a changé."""
    if not isinstance(found, dict):
        raise ValueError("pas un dictionnaire")
    best = {slug: questions for slug, questions in found.items() if questions != {}}
    if len(best) < len(found) and _seal(best) not in found:  # un fichier ancien n’en a pas
        raise ValueError("une empreinte qui n'est pas la leur")
    for questions in best.values():
        if not isinstance(questions, dict):
            raise ValueError("pas un dictionnaire")
        for points in questions.values():
            number = isinstance(points, int | float) and not isinstance(points, bool)
            if not (number and 0 <= points < math.inf):  # NaN n’y est pas
                raise ValueError("pas un nombre de points")
    return best


def _set_aside(path):
    """Met de côté le fichier abîmé et repart de zéro."""
    aside = path.with_name(f"{path.stem}-abimee-{uuid.uuid4().hex[:8]}.json")
    try:
        path.replace(aside)
        kept = f"il est gardé à côté, sous le nom {aside.name}"
    except OSError as error:
        kept = f"il n'a pas pu être mis de côté : {_reason(error)}"
    _say(f"Le fichier de votre progression est abîmé ; {kept}. On repart de zéro.")
    return {}


def _reason(error):
    return getattr(error, "strerror", None) or error


def _say(text):
    print(typeset(text), file=sys.stderr)


# -- ce que montre la première page -------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """Une leçon de la table : ses points, et la première question qui n’a pas tous les siens."""

    lesson: book.Lesson
    earned: float
    available: float
    next_question: str | None

    @property
    def score(self):
        if not self.available:
            return ""
        return f"{number_text(self.earned)} / {number_text(self.available)}"

    @property
    def advice(self):
        """Ce qu’il reste à faire, en deux ou trois mots."""
        if not self.available:
            return "à lire"
        if self.next_question is None:
            return "terminé"
        if not self.earned:
            return "à commencer"
        return f"reprendre à la question {self.next_question.removeprefix('q')}"


class Progress:
    """La table de la progression : du HTML dans un carnet, du texte ailleurs."""

    def __init__(self, rows):
        self.rows = tuple(rows)

    @property
    def earned(self):
        return sum(row.earned for row in self.rows)

    @property
    def available(self):
        return sum(row.available for row in self.rows)

    def _heading(self):
        total = f"Votre progression : {number_text(self.earned)} / {points_text(self.available)}"
        return typeset(total)

    def _next(self):
        """La première leçon où il reste des points, après la dernière commencée si elle est finie.

        Qui commence par la leçon 06 n’est donc pas renvoyé à la leçon 00.
        """
        begun = [rank for rank, row in enumerate(self.rows) if row.earned]
        rest = self.rows[begun[-1] if begun else 0 :]
        return next((row for row in (*rest, *self.rows) if row.next_question), None)

    def __repr__(self):
        lines = [self._heading()]
        for row in self.rows:
            filled = round(_BAR * row.earned / row.available) if row.available else 0
            bar = "█" * filled + "░" * (_BAR - filled) if row.available else " " * _BAR
            score = f"{bar} {row.score:>9}  {row.advice}"
            lines.append(f"  {row.lesson.number:02} {score:<48} {row.lesson.question}")
        return "\n".join(lines)

    def _repr_html_(self):
        body = "".join(_html_row(row, row is self._next()) for row in self.rows)
        head = "".join(
            f'<th scope="{scope}" style="text-align: left">{title}</th>'
            for scope, title in (
                ("col", "leçon"),
                ("col", "la question"),
                ('colgroup" colspan="2', "points"),
                ("col", "la suite"),
            )
        )
        return (
            '<table style="color: var(--jp-ui-font-color1, inherit)">'
            f'<caption style="text-align: left"><strong>{self._heading()}</strong></caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def _html_row(row, is_next):
    lesson = row.lesson
    name = f'<a href="../notebooks/{lesson.file}">{lesson.heading}</a>'
    bar, todo = "", html.escape(row.advice)
    if row.available:
        said = f"Leçon {lesson.number:02}\u00a0: {number_text(row.earned)} sur "
        bar = (
            f'<progress value="{row.earned:g}" max="{row.available:g}" '
            f'aria-label="{said}{points_text(row.available)}"></progress>'
        )
    if row.next_question:
        todo = f'<a href="../exercises/{lesson.file}">{todo}</a>'
    if is_next:
        todo = f"→ <strong>{todo}</strong>"
    score = row.score.replace(" ", "\u00a0")
    cells = (html.escape(lesson.question), score, bar, todo)
    rest = "".join(f'<td style="text-align: left">{cell}</td>' for cell in cells)
    weight = "" if is_next else "; font-weight: normal"
    return f'<tr><th scope="row" style="text-align: left{weight}">{name}</th>{rest}</tr>'


def progression():
    """La table de votre progression, leçon par leçon.

    Renvoie
        Un objet `Progress`, que le carnet affiche ; les points sont ceux des vérifications
        publiques, les meilleurs obtenus sur cette machine.

    Exemple
        >>> progression().earned
        0
    """
    best = load()
    return Progress(_row(lesson, best.get(lesson.stem, {})) for lesson in book.written())


def _row(lesson, best):
    available = _points_of(lesson)
    earned = {question: min(best.get(question, 0), top) for question, top in available.items()}
    left = (question for question, top in available.items() if earned[question] < top)
    return Row(lesson, sum(earned.values()), sum(available.values()), next(left, None))


def _points_of(lesson):
    """{question: points publics} de l’exercice d’une leçon ; vide si elle n’en a pas."""
    name = f"course.grading.exercises.ex{lesson.number:02}"
    if importlib.util.find_spec(name) is None:
        return {}
    available = {}
    for check in importlib.import_module(name).exercise.checks:
        available[check.question] = available.get(check.question, 0) + check.points
    return available
