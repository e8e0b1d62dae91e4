"""Le livre : la table des treize leçons, dont viennent le sommaire et toute la navigation.

    python -m course.book               récrit navigation, questions suivantes et sommaire
    python -m course.book --verifier    échoue si un carnet ne suit plus la table

Un carnet qui n’est pas encore écrit n’est lié nulle part : relancer la commande quand il paraît.
Rien d’autre que ces lignes ne change dans les carnets.

Ordre de lecture : `LESSONS`, `Lesson`, `lesson_navigation`, `exercise_navigation`, `summary`,
`expected`, `main`.
"""

import argparse
import json
import re
import sys
from dataclasses import dataclass

from course.places import ROOT
from course.typography import typeset
from engine.io.files import write_whole

_HOME, _GLOSSARY = "00_bienvenue.ipynb", "glossaire.md"
_NEXT = re.compile(r"(\*\*Leçon suivante\*\*[ \u00a0]: )(?:\[\*[^]]+\*\]\([^)]*\)|\*[^*]+\*)")
_SUMMARY = "| leçon | la question |"
_HOURS = {60: "une heure", 75: "une heure et quart", 90: "une heure et demie"}


@dataclass(frozen=True)
class Lesson:
    """Une leçon : son numéro, son carnet, sa question, sa durée en minutes, ce qu’elle suppose."""

    number: int
    stem: str
    title: str
    question: str
    minutes: int
    prerequisites: tuple

    @property
    def file(self):
        return f"{self.stem}.ipynb"

    @property
    def heading(self):
        return f"Leçon {self.number:02} : {self.title}".replace(" :", "\u00a0:")

    @property
    def duration(self):
        """Sa durée en toutes lettres, au quart d’heure près au-delà d’une heure."""
        return _HOURS.get(self.minutes, f"{self.minutes}\u00a0minutes")


_TABLE = (
    (0, "bienvenue", "bienvenue", "Pourquoi ne pas tout écrire soi-même ?", 45, ()),
    (1, "regle_de_chainage", "la règle de chaînage",
     "Quel est l'effet d'une perturbation de ce paramètre sur le coût ?", 60, ()),
    (2, "ordre_des_jacobiennes", "l'ordre des jacobiennes",
     "Dans quel ordre multiplier ?", 60, (1,)),
    (3, "graphe_de_calcul", "le graphe de calcul", "Que contient une expression ?", 50, (1,)),
    (4, "optimisation_du_graphe", "l'optimisation du graphe",
     "Pourquoi ln(1 + eˣ) explose-t-il ?", 60, (1, 3)),
    (5, "approche_modulaire", "l'approche modulaire", "Qu'est-ce qu'un module ?", 60, (1, 3)),
    (6, "regression_logistique", "la régression logistique",
     "Que voit un classifieur linéaire ?", 60, (1, 3)),
    (7, "reseau_convolutif", "le réseau convolutif",
     "Comment voir le même motif partout ?", 75, (5, 6)),
    (8, "boucles_scan", "les boucles et scan",
     "Comment boucler dans un graphe sans cycle ?", 60, (1, 3)),
    (9, "lstm", "le LSTM", "Comment se souvenir ?", 75, (6, 8)),
    (10, "du_blas_au_gpu", "du BLAS au GPU", "Qui calcule vraiment ?", 75, (3, 4)),
    (11, "deboguer_et_mesurer", "déboguer et mesurer", "D'où vient cette erreur ?", 60,
     (3, 4, 6)),
    (12, "de_la_recherche_a_la_production", "de la recherche à la production",
     "Et maintenant ?", 60, (6,)),
)  # fmt: skip
LESSONS = tuple(
    Lesson(number, f"{number:02}_{stem}", typeset(title), typeset(question), minutes, needs)
    for number, stem, title, question, minutes, needs in _TABLE
)


def lesson(number):
    """La leçon de ce numéro.

    Exemple
        >>> lesson(2).question.replace("\\u202f", " ")
        'Dans quel ordre multiplier ?'
    """
    return LESSONS[number]


def written(folder="notebooks", root=ROOT):
    """Les leçons dont le carnet existe dans ce dossier, dans l’ordre."""
    return [each for each in LESSONS if (root / folder / each.file).exists()]


def lesson_navigation(number, root=ROOT):
    """La ligne en tête d’une leçon : la précédente, le sommaire, les exercices, la suivante."""
    here, existing = lesson(number), written(root=root)
    links = []
    if number and lesson(number - 1) in existing:
        links.append(_link(f"← {lesson(number - 1).heading}", lesson(number - 1).file))
    links.append(_link("Sommaire", _HOME) if number else _link("Glossaire", _GLOSSARY))
    if here in written("solutions", root):
        links.append(_link(f"Exercices {number:02}", f"../exercises/{here.file}"))
    if following(number) in existing:
        links.append(_link(f"{following(number).heading} →", following(number).file))
    return " · ".join(links)


def exercise_navigation(number, root=ROOT):
    """La ligne en tête d’un exercice : sa leçon, le sommaire, les exercices voisins."""
    links, here = [], lesson(number)
    if here in written(root=root):
        links.append(_link(here.heading, f"../notebooks/{here.file}"))
    links.append(_link("Sommaire", f"../notebooks/{_HOME}"))
    others = written("solutions", root)
    before = [other for other in others if other.number < number]
    after = [other for other in others if other.number > number]
    if before:
        links.append(_link(f"← Exercices {before[-1].number:02}", before[-1].file))
    if after:
        links.append(_link(f"Exercices {after[0].number:02} →", after[0].file))
    return " · ".join(links)


def following(number):
    """La leçon d’après, ou None après la dernière."""
    return LESSONS[number + 1] if number + 1 < len(LESSONS) else None


def next_question(number, root=ROOT):
    """La question de la leçon d’après, en italique ; un lien si son carnet existe."""
    after = following(number)
    shown = f"*{after.question}*"
    return _link(shown, after.file) if after in written(root=root) else shown


def summary(root=ROOT):
    """Le tableau Markdown du sommaire : leçon, question, durée, exercices."""
    lines = [_SUMMARY + " durée | exercices |", "| --- | --- | --- | --- |"]
    existing, exercises = written(root=root), written("solutions", root)
    for each in LESSONS:
        name = each.heading.removeprefix("Leçon ")
        shown = _link(name, each.file) if each in existing else f"{name} (à venir)"
        practice = f"{each.number:02}"
        practice = _link(practice, f"../exercises/{each.file}") if each in exercises else ""
        lines.append(f"| {shown} | {each.question} | {each.duration} | {practice} |")
    return "\n".join(lines)


def _link(text, target):
    return f"[{text}]({target})"


# -- les carnets --------------------------------------------------------------------------------


def expected(path, root=ROOT):
    """Le texte que devrait avoir le carnet `path` : le sien, navigation remise à jour."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    number, is_lesson = int(path.stem[:2]), path.parent.name == "notebooks"
    navigation = lesson_navigation if is_lesson else exercise_navigation
    for rank, cell in enumerate(notebook["cells"]):
        before = source = "".join(cell["source"])
        if rank == 0:
            source = _with_navigation(source, navigation(number, root))
        if cell["cell_type"] == "markdown" and is_lesson and following(number):
            link = next_question(number, root)
            source = _NEXT.sub(lambda found, link=link: found[1] + link, source)
        if cell["cell_type"] == "markdown" and source.startswith(_SUMMARY):
            source = summary(root)
        if source != before:
            cell["source"] = source.splitlines(keepends=True)
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def _with_navigation(source, line):
    """Le texte de la première cellule, `line` à la place de tout ce qui précède le titre."""
    return line + "\n\n" + source[source.index("# ") :]


def notebooks(root=ROOT):
    """Les carnets du livre : leçons, solutions, exercices."""
    folders = ("notebooks", "solutions", "exercises")
    return [root / name / each.file for name in folders for each in written(name, root)]


def main(arguments=None, root=ROOT):
    """La commande ; voir l’en-tête du module."""
    parser = argparse.ArgumentParser(prog="python -m course.book")
    parser.add_argument("--verifier", action="store_true", help="comparer sans rien écrire")
    options = parser.parse_args(arguments)
    stale = [
        (path, text)
        for path, text in ((path, expected(path, root)) for path in notebooks(root))
        if path.read_text(encoding="utf-8") != text
    ]
    names = "\n  ".join(str(path.relative_to(root)) for path, _ in stale)
    if options.verifier and stale:
        sys.exit(typeset(f"À refaire par python -m course.book :\n  {names}"))
    for path, text in stale:
        write_whole(path, text.encode())
    print(typeset(f"Refaits :\n  {names}" if stale else "Tous les carnets suivent la table."))


if __name__ == "__main__":
    main()
