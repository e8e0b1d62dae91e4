"""Exercice 00, le premier contact : vérifications publiques.

Trois questions : `mon_premier_graphe` (q1), `valeur_et_derivee` (q2), `un_pas` (q3). Les deux
premières rendent une expression et une fonction compilée : les sondes de `probes00` les font
calculer chez l’élève, et seuls des nombres reviennent. Les réponses essayées, justes et fausses,
sont dans `tests/course/grading/answers/ex00.py`.
"""

import math

from course.grading.checks import Exercise, Failure, close, expect
from course.grading.learner import Own

exercise = Exercise("00_bienvenue")
check, verifier, probe = exercise.check, exercise.verifier, exercise.probe


def _number(draw, low=-3.0, high=3.0):
    return round(draw.uniform(low, high), 2)


# q1 -------------------------------------------------------------------------------------------

_Q1 = dict(
    hints=(
        "`x` est une variable sans valeur : les opérations `*`, `+`, `-` et `**` la combinent comme "
        "un nombre, et rendent une expression.",
        "Le carré s'écrit `x**2`. Rendez toute la formule d'un coup : `return 3 * x**2 - ...`.",
    ),
    review="Une première cellule",
)
_MISTAKES = (
    (lambda x: x**2 - 2 * x + 1, "Il manque le 3 devant x²."),
    (lambda x: 9 * x**2 - 2 * x + 1, "Le carré porte aussi sur le 3 : on veut 3 fois x²."),
    (lambda x: 6 * x - 2 * x + 1, "`x * 2` double ; le carré s'écrit `x**2`."),
    (lambda x: 3 * x**2 + 2 * x + 1, "Le signe de 2x est à changer."),
    (lambda x: 3 * x**2 - 2 * x, "Il manque le + 1."),
    (lambda x: 3 * x**2 - 2 * x - 1, "Le dernier terme est + 1."),
    (lambda x: 6 * x - 2, "C'est la dérivée : on veut la formule elle-même."),
)


def _answered(got):
    """Le nombre rendu par une sonde ; échoue si la réponse n’était pas une expression."""
    if isinstance(got, dict):
        raise Failure(f"j'attendais une expression faite avec x, j'ai reçu `{got['kind']}`.")
    return got


@check("q1", points=1, **_Q1)
def graph_has_the_right_values(learner, draw):
    "Le graphe a les bonnes valeurs"
    for value in (0.0, _number(draw), _number(draw), 10.0):
        got = learner.run(
            probe("graph_value"),
            Own("mon_premier_graphe"),
            value,
            shown=f"mon_premier_graphe(x) en x = {value}",
        )
        close(
            _answered(got),
            3 * value**2 - 2 * value + 1,
            likely=[(mistake(value), text) for mistake, text in _MISTAKES],
        )


@check("q1", points=1, **_Q1)
def graph_has_the_right_slope(learner, draw):
    "Le moteur sait le dériver : 6x − 2"
    for value in (0.0, _number(draw)):
        got = learner.run(
            probe("graph_slope"),
            Own("mon_premier_graphe"),
            value,
            shown=f"grad(mon_premier_graphe(x), x) en x = {value}",
        )
        close(_answered(got), 6 * value - 2)


# q2 -------------------------------------------------------------------------------------------

_Q2 = dict(
    hints=(
        "`engine.grad(y, x)` rend la dérivée de `y` par rapport à `x` : encore une expression.",
        "`engine.function([entrées], [sorties])` : ici une entrée, `x`, et deux sorties.",
    ),
    review="Une première cellule",
)
_FAMILY = {
    "x**3": (lambda x: x**3, lambda x: 3 * x**2),
    "sin(2 * x)": (lambda x: math.sin(2 * x), lambda x: 2 * math.cos(2 * x)),
    "exp(x) / 2": (lambda x: math.exp(x) / 2, lambda x: math.exp(x) / 2),
    "x**2 + 5 * x": (lambda x: x**2 + 5 * x, lambda x: 2 * x + 5),
}


def _pairs(learner, draw, formula):
    """Ce que rend le programme de l’élève, et ce qu’il faut, en trois points."""
    values = [_number(draw) for _ in range(3)]
    got = learner.run(
        probe("program_values"),
        Own("valeur_et_derivee"),
        formula,
        values,
        shown=f"f = valeur_et_derivee(x, y), y = {formula}, puis f({values[0]})",
    )
    expect(
        not isinstance(got, dict),
        "j'attendais une fonction compilée, qui se laisse appeler ; elle est faite par "
        "`engine.function`.",
    )
    for pair in got:
        expect(
            isinstance(pair, list) and len(pair) == 2,
            "la fonction doit rendre deux nombres, la valeur puis la dérivée.",
        )
    value, slope = _FAMILY[formula]
    return got, [[value(x), slope(x)] for x in values]


@check("q2", points=1, **_Q2)
def program_returns_both(learner, draw):
    "La valeur puis la dérivée de x³"
    got, expected = _pairs(learner, draw, "x**3")
    swapped = [pair[::-1] for pair in expected]
    twice = [[pair[0]] * 2 for pair in expected]
    close(
        got,
        expected,
        "les couples (valeur, dérivée) en trois points",
        likely=[
            (swapped, "L'ordre est inversé : la valeur d'abord."),
            (twice, "Le second nombre doit être la dérivée : `engine.grad(y, x)`."),
        ],
    )


@check("q2", points=1, **_Q2)
def program_works_for_any_graph(learner, draw):
    "N’importe quel graphe de x"
    for formula in ("sin(2 * x)", "exp(x) / 2", "x**2 + 5 * x"):
        got, expected = _pairs(learner, draw, formula)
        close(got, expected, f"pour y = {formula}, les couples (valeur, dérivée)")


# q3 -------------------------------------------------------------------------------------------

_Q3 = dict(
    hints=(
        "Si l'effet est positif, augmenter le paramètre ferait monter le coût : il faut donc le "
        "diminuer.",
        "Le déplacement est `taux * effet` ; on le retranche.",
    ),
    review="Le plus petit modèle qui apprend",
)


@check("q3", points=1, **_Q3)
def step_goes_against_the_slope(learner, draw):
    "Un pas, contre la pente"
    for _ in range(3):
        w, slope, rate = _number(draw), _number(draw, 0.5), draw.choice((0.1, 0.2, 0.25))
        slope *= draw.choice((-1, 1))
        close(
            learner.un_pas(w, slope, rate),
            w - rate * slope,
            likely=[
                (w + rate * slope, "Le pas va dans le sens qui fait monter le coût."),
                (w - slope, "Le taux d'apprentissage n'est pas appliqué."),
                (-rate * slope, "C'est le déplacement seul : ajoutez-le au paramètre."),
                (rate * slope, "C'est le déplacement seul : retranchez-le du paramètre."),
                (w * (1 - rate * slope), "On retranche le déplacement, sans multiplier."),
            ],
        )


@check("q3", points=1, **_Q3)
def steps_reach_the_bottom(learner, draw):
    "Quarante pas descendent au fond du creux"
    bottom = _number(draw)
    w = bottom + draw.choice((-4, 4))
    for _ in range(40):
        w = learner.un_pas(w, 2 * (w - bottom), 0.25)
        expect(
            isinstance(w, int | float) and math.isfinite(w) and abs(w) < 1e6,
            "en répétant les pas, le paramètre s'échappe au lieu de descendre.",
        )
    close(w, bottom, f"au bout de quarante pas vers le creux en {bottom}", near=1e-6)
