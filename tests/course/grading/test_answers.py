"""Une réponse juste a tous ses points ; une fausse en perd, et le retour dit pourquoi.

Les réponses sont dans `answers/exNN.py`, un fichier par exercice, fait de tables :

POINTS   {question : points}
RIGHT    {nom : (question, réponse)}, plusieurs formulations par question
WRONG    {nom : (question, réponse, points au plus, ce que doit dire le retour)}
         « a|b » : le retour dit a ou b
SEEDS    les graines des tirages ; à défaut, 0, 1 et 2
DTYPES   {graine : floatX} pour les réponses justes ; à défaut, le floatX des réglages
"""

import runpy
from pathlib import Path

import pytest

import engine
from engine.rewriting import REWRITES

FILES = sorted((Path(__file__).parent / "answers").glob("ex*.py"))
TABLES = {path.stem: runpy.run_path(str(path)) for path in FILES}


def cases(kind):
    """Chaque réponse de la table `kind`, à chaque graine de son exercice."""
    return [
        pytest.param(exercise, name, seed, id=f"{exercise}-{name}-{seed}")
        for exercise, tables in TABLES.items()
        for name in tables[kind]
        for seed in tables.get("SEEDS", range(3))
    ]


@pytest.mark.parametrize(("exercise", "name", "seed"), cases("RIGHT"))
def test_right_answers_pass(assess, exercise, name, seed):
    tables = TABLES[exercise]
    question, answer = tables["RIGHT"][name]
    dtype = tables.get("DTYPES", {}).get(seed, engine.config.floatX)
    with engine.config.change_flags(floatX=dtype):
        report = assess(exercise, question, answer, seed)
    assert report.earned == report.available == tables["POINTS"][question], report


@pytest.mark.parametrize(("exercise", "name", "seed"), cases("WRONG"))
def test_wrong_answers_fail(assess, exercise, name, seed):
    tables = TABLES[exercise]
    question, answer, at_most, said = tables["WRONG"][name]
    report = assess(exercise, question, answer, seed)
    assert report.earned <= at_most < tables["POINTS"][question], report
    if seed == 0:
        assert any(words in repr(report) for words in said.split("|")), report


def test_learner_cannot_alter_the_arrows_kept_by_the_check(assess, namespace_of):
    honest = namespace_of("solutions/01_regle_de_chainage.ipynb")["somme_des_chemins"]

    def emptying(arrows, start, end):
        result = honest(arrows, start, end) + 1
        arrows.clear()
        return result

    assert assess("ex01", "q4", {"somme_des_chemins": emptying}).earned == 0


def test_rules_of_the_learner_do_not_stay_in_the_engine(assess):
    right, wrong, before = TABLES["ex04"]["RIGHT"], TABLES["ex04"]["WRONG"], dict(REWRITES)
    for name in ("fonctions de T", "la règle"):
        assess("ex04", *right[name])
    for name in ("sans owner", "une expression au lieu d’une fonction"):
        assess("ex04", *wrong[name][:2])
    assert before == REWRITES


@pytest.mark.parametrize(
    ("question", "call"),
    [
        ("q2", "mon_noyau(s, x, y, a)"),
        ("q3", "somme_du_bloc(s, x)"),
        ("q4", "produit_tuile(c, a, b)"),
    ],
)
def test_an_untouched_kernel_is_no_mistake(assess, question, call):
    answer = f"{TABLES['ex10']['HEAD']}def {call}:\n    return None"
    report = assess("ex10", question, answer)
    assert report.untouched and report.earned == 0
