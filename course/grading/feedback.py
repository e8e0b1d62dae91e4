"""Le retour que lit l’élève : du HTML statique dans le carnet, du texte ailleurs.

`Outcome` : l’issue d’une vérification. `Report` : celles d’une question ; Jupyter l’affiche par
`_repr_html_`, le terminal par `__repr__`. Aucun JavaScript : les indices sont des `<details>`, qui
se déplient même dans un carnet auquel Jupyter ne fait pas encore confiance. Les couleurs sont
celles du thème de JupyterLab, et ne disent jamais seules ce qu’une marque ou un mot ne dit aussi.

Dans les textes, ce qui est entre accents graves est du code ; le reste passe par `typeset`.
"""

import html
import re
from dataclasses import dataclass

from course.typography import typeset

PASSED, FAILED, EMPTY = "passed", "failed", "empty"

_MARKS = {PASSED: "✔", FAILED: "✘", EMPTY: "…"}
_WORDS = {PASSED: "réussie", FAILED: "à revoir", EMPTY: "à faire"}
_COLOURS = {
    PASSED: "var(--jp-success-color1, #2e7d32)",
    FAILED: "var(--jp-error-color1, #c62828)",
    EMPTY: "var(--jp-ui-font-color2, #616161)",
}
_INSIDE = 'style="margin: 0.2em 0 0.2em 1.4em"'


@dataclass(frozen=True)
class Outcome:
    """L’issue d’une vérification : son état, ses points, et de quoi aider."""

    title: str
    state: str
    points: float
    message: str = ""
    hints: tuple = ()
    review: str = ""
    hidden: bool = False

    @property
    def earned(self):
        return self.points if self.state == PASSED else 0


@dataclass(frozen=True)
class Report:
    """Le bilan d’une question ; `earned` sur `available` points."""

    question: str
    outcomes: tuple
    lesson: str = ""

    @property
    def earned(self):
        return sum(outcome.earned for outcome in self.outcomes)

    @property
    def available(self):
        return sum(outcome.points for outcome in self.outcomes)

    @property
    def untouched(self):
        return bool(self.outcomes) and all(o.state == EMPTY for o in self.outcomes)

    def __repr__(self):
        lines = [_heading(self) + ". " + _encouragement(self)]
        for outcome in () if self.untouched else self.outcomes:
            lines.append(
                f"  {_MARKS[outcome.state]} {_title(outcome)} ({points_text(outcome.points)})"
            )
            if _detail(outcome):
                lines.append("      " + typeset(outcome.message))
        return "\n".join(lines)

    def _repr_html_(self):
        state = EMPTY if self.untouched else PASSED if self.earned == self.available else FAILED
        items = "" if self.untouched else "".join(_items(self.outcomes, self.lesson))
        body = f'<ul style="list-style: none; padding-left: 0.2em">{items}</ul>' if items else ""
        return (
            f'<section aria-label="{html.escape(_heading(self))}" style="border-left: 4px solid '
            f'{_COLOURS[state]}; padding: 0.3em 0.8em; color: var(--jp-ui-font-color1, inherit)">'
            f"<p><strong>{_rich(_heading(self))}</strong>. {_rich(_encouragement(self))}</p>"
            f"{body}</section>"
        )


def _heading(report):
    return (
        f"Question {report.question}, vérifications publiques : "
        f"{number_text(report.earned)} / {points_text(report.available)}"
    ).replace(" :", "\u00a0:")


def _encouragement(report):
    if not report.outcomes:
        return typeset("Aucune vérification ne porte ce nom : voyez le titre de la question.")
    if report.untouched:
        return typeset("À vous de jouer : la réponse est encore vide.")
    if report.earned == report.available:
        return typeset("Bravo, tout est juste !")
    if report.earned:
        return typeset("Une partie est déjà juste ; continuez.")
    return typeset("Pas encore : lisez ce qui est revenu, puis dépliez un indice.")


def _title(outcome):
    return typeset("Vérification de l'enseignant" if outcome.hidden else outcome.title)


def _detail(outcome):
    """Une vérification cachée ne dit ni ses entrées ni ce qu’elle attendait."""
    return outcome.state != PASSED and not outcome.hidden


def _items(outcomes, lesson):
    """Une ligne par vérification ; les mêmes indices ne se répètent pas d’une ligne à l’autre."""
    given = set()
    for outcome in outcomes:
        help_ = (outcome.hints, outcome.review)
        yield _item(outcome, lesson, with_help=help_ not in given)
        if _detail(outcome):
            given.add(help_)


def _item(outcome, lesson, *, with_help):
    mark = (
        f'<span aria-hidden="true" style="color: {_COLOURS[outcome.state]}; font-weight: bold">'
        f"{_MARKS[outcome.state]}</span>"
    )
    parts = [
        f"{mark} {_rich(_title(outcome))} ({points_text(outcome.points)}, {_WORDS[outcome.state]})"
    ]
    if _detail(outcome):
        parts.append(f"<p {_INSIDE}>{_rich(outcome.message)}</p>")
    if _detail(outcome) and with_help:
        parts += [
            f"<details {_INSIDE}><summary>Indice {rank}</summary>{_rich(hint)}</details>"
            for rank, hint in enumerate(outcome.hints, 1)
        ]
        parts.append(_review(outcome, lesson))
    return "<li>" + "".join(parts) + "</li>"


def _review(outcome, lesson):
    if not outcome.review:
        return ""
    link = f'<a href="../notebooks/{html.escape(lesson)}.ipynb">leçon {html.escape(lesson[:2])}</a>'
    heading = f"« {outcome.review} »"
    return f"<p {_INSIDE}>À relire\u00a0: {link}, {_rich(heading)}.</p>"


def _rich(text):
    """Échappe tout, puis rend au code entre accents graves sa balise."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(typeset(text)))


def number_text(value):
    return f"{value:g}".replace(".", ",")


def points_text(value):
    return f"{number_text(value)} point{'s' if value >= 2 else ''}"
