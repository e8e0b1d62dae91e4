"""Exercice 06, la régression logistique : vérifications publiques.

Trois questions : `log_vraisemblance_negative` (q1), `mises_a_jour` (q2), `iteration_d_arret` (q3).
Les deux premières rendent des expressions : les sondes de `probes06` les compilent chez l’élève, et
seuls des nombres reviennent. Toute écriture juste est donc acceptée ; les réponses essayées,
justes et fausses, sont dans `tests/course/grading/answers/ex06.py`.
"""

import math

import numpy as np

from course.grading.checks import Exercise, close, decimals, equal, expect
from course.grading.learner import Own

exercise = Exercise("06_regression_logistique")
check, verifier, probe = exercise.check, exercise.verifier, exercise.probe

_FLOAT32 = dict(rel=1e-4, near=1e-5)  # de la place pour le calcul en float32


# q1 -------------------------------------------------------------------------------------------

_Q1 = dict(
    hints=(
        "Pour l'exemple i, seule compte la probabilité de la bonne classe : la ligne i de p, "
        "colonne y[i].",
        "`T.log(p)[T.arange(y.shape[0]), y]` prend d'un coup, pour chaque ligne, la bonne colonne ; "
        "restent la moyenne et le signe.",
    ),
    review="La vraisemblance, pièce par pièce",
)


def _predictions(draw, examples, classes):
    rows = [[draw.uniform(0.05, 1) for _ in range(classes)] for _ in range(examples)]
    p = [[round(value / sum(row), 4) for value in row] for row in rows]
    return p, [draw.randrange(classes) for _ in range(examples)]


def _negative_log_likelihood(learner, p, y):
    chosen = [row[label] for row, label in zip(p, y, strict=True)]
    logs = np.log(p)
    expected = -float(np.mean(np.log(chosen)))
    got = learner.run(
        probe("likelihood_value"), Own("log_vraisemblance_negative"), p, y
    )
    close(
        got,
        expected,
        **_FLOAT32,
        likely=[
            (-expected, "Le signe est à changer : on veut un coût, à rendre petit."),
            (expected * len(y), "C'est la somme sur le lot : on veut la moyenne."),
            (-expected * len(y), "C'est la somme, et sans le signe moins."),
            (expected / len(p[0]), "Vous moyennez aussi sur les classes : une seule compte."),
            (-float(np.mean(logs)), "Vous moyennez sur toutes les classes : une seule compte."),
            (float(np.mean(chosen)), "Il manque le logarithme."),
            (-float(np.mean(chosen)), "Il manque le logarithme."),
            (-math.log(np.mean(chosen)), "Le logarithme se prend avant la moyenne."),
            (
                -float(np.mean(logs.max(axis=1))),
                "Vous prenez la classe la plus probable : il faut la bonne classe, y.",
            ),
        ],
    )


@check("q1", points=1, **_Q1)
def likelihood_of_one(learner, draw):
    "Un seul exemple : moins le logarithme d’une probabilité"
    p, y = _predictions(draw, 1, 3)
    _negative_log_likelihood(learner, p, y)


@check("q1", points=1, **_Q1)
def likelihood_of_batch(learner, draw):
    "Un minilot : la moyenne sur les exemples"
    p, y = _predictions(draw, 4, 3)
    y[:2] = [0, 2]  # des étiquettes variées, pour qu’un indiçage retourné se voie
    _negative_log_likelihood(learner, p, y)
    _negative_log_likelihood(learner, *_predictions(draw, 7, 10))


@check("q1", points=1, **_Q1)
def likelihood_is_differentiable(learner, draw):
    "On peut la dériver : seule la bonne classe de chaque ligne reçoit un gradient"
    p, y = _predictions(draw, 3, 4)
    expected = [[0.0] * 4 for _ in p]
    for row, label in enumerate(y):
        expected[row][label] = -1 / (len(y) * p[row][label])
    got = learner.run(
        probe("likelihood_gradient"),
        Own("log_vraisemblance_negative"),
        p,
        y,
        shown=f"grad(log_vraisemblance_negative(p, y), p), p = {p}, y = {y}",
    )
    close(got, expected, "le gradient", **_FLOAT32)


# q2 -------------------------------------------------------------------------------------------

_Q2 = dict(
    hints=(
        "`engine.grad(cout, parametres)` rend un gradient par paramètre, dans le même ordre.",
        "Un couple par paramètre : `(parametre, parametre - taux * gradient)`. `zip` les met face "
        "à face.",
    ),
    review="Une mise à jour par paramètre",
)


def _linear_gradient(x, target, w, b):
    residual = x @ w + b - target
    return 2 * x.T @ residual / residual.size, 2 * residual.sum(axis=0) / residual.size


def _step_mistakes(before, rate, slope):
    """Ce que donnerait chaque erreur classique, avec son explication."""
    return [
        (value.tolist(), text)
        for value, text in (
            (before, "Il n'a pas bougé : chaque paramètre a besoin de son couple."),
            (before + rate * slope, "Il a monté la pente : il faut retrancher le gradient."),
            (before - slope, "Le taux d'apprentissage n'est pas appliqué."),
            (-rate * slope, "C'est le pas seul : retranchez-le de l'ancienne valeur."),
            (rate * slope, "C'est le pas seul : retranchez-le de l'ancienne valeur."),
            (slope, "C'est le gradient seul : il faut la nouvelle valeur."),
        )
    ]


def _regression(learner, draw, steps):
    """Les paramètres [w, b] de l’élève et les attendus après `steps` pas, et de quoi expliquer."""
    x, target, rate = decimals(draw, 5, 2), decimals(draw, 5, 3), draw.choice((0.1, 0.2, 0.3))
    start = [decimals(draw, 2, 3), decimals(draw, 3)]
    got = learner.run(
        probe("regression_steps"),
        Own("mises_a_jour"),
        [x, target],
        start,
        rate,
        steps,
        shown=f"mises_a_jour(cout, [w, b], {rate})",
    )
    expect(isinstance(got, list) and len(got) == 2, "il faut deux paramètres.")
    w, b = before = [np.array(value) for value in start]
    for _ in range(steps):
        slopes = _linear_gradient(np.array(x), np.array(target), w, b)
        w, b = w - rate * slopes[0], b - rate * slopes[1]
    mistakes = [_step_mistakes(v, rate, s) for v, s in zip(before, slopes, strict=True)]
    return got, [w.tolist(), b.tolist()], mistakes


@check("q2", points=1, **_Q2)
def updates_move_the_weights(learner, draw):
    "Un pas déplace les poids w contre leur gradient"
    got, expected, mistakes = _regression(learner, draw, 1)
    close(got[0], expected[0], "w après le pas", **_FLOAT32, likely=mistakes[0])


@check("q2", points=1, **_Q2)
def updates_move_the_bias(learner, draw):
    "Le même pas déplace aussi le biais b"
    got, expected, mistakes = _regression(learner, draw, 1)
    close(got[1], expected[1], "b après le pas", **_FLOAT32, likely=mistakes[1])


@check("q2", points=1, **_Q2)
def updates_for_any_list(learner, draw):
    "Trois pas de suite, avec un, deux ou trois paramètres"
    got, expected, _ = _regression(learner, draw, 3)
    close(got[0], expected[0], "w après trois pas", **_FLOAT32)
    close(got[1], expected[1], "b après trois pas", **_FLOAT32)
    for shapes in ((2,),), ((2, 2), (3,), ()):
        start = [decimals(draw, *shape) for shape in shapes]
        centres = [decimals(draw, *shape) for shape in shapes]
        after = learner.run(
            probe("bowl_steps"),
            Own("mises_a_jour"),
            centres,
            start,
            0.25,
            2,
            shown=f"mises_a_jour(cout, [{', '.join('abc'[: len(shapes)])}], 0.25)",
        )
        expect(len(after) == len(shapes), "il faut un couple par paramètre.")
        for value, first, centre in zip(after, start, centres, strict=True):
            close(value, (np.array(first) / 4 + np.array(centre) * 3 / 4).tolist(), **_FLOAT32)


# q3 -------------------------------------------------------------------------------------------

_Q3 = dict(
    hints=(
        "Une boucle sur les mesures : `for rang, erreur in enumerate(erreurs, 1)`, et "
        "`i = rang * periode`.",
        "Dans l'ordre : un net progrès allonge la patience (`max(patience, i * augmentation)`) ; "
        "tout progrès met à jour `meilleure` ; enfin, si `patience <= i`, on s'arrête.",
    ),
    review="Quand s’arrêter",
)


def _stopping(errors, period, patience, increase, threshold):
    best = math.inf
    for rank, error in enumerate(errors, 1):
        if error < threshold * best:
            patience = max(patience, rank * period * increase)
        best = min(best, error)
        if patience <= rank * period:
            return rank * period
    return len(errors) * period


def _stops(learner, errors, *rule, likely=()):
    errors = [round(error, 4) for error in errors]
    got = learner.iteration_d_arret(errors, *rule)
    right = _stopping(errors, *rule)
    usual = [
        (right // rule[0], "C'est le rang de la mesure : on veut l'itération."),
        (right + rule[0], "C'est une mesure trop tard : on s'arrête dès que patience <= i."),
        (right - rule[0], "C'est une mesure trop tôt : la première a lieu à i = periode."),
    ]
    equal(got, right, likely=[*likely, *usual])


@check("q3", points=1, **_Q3)
def stop_without_progress(learner, draw):
    "Sans progrès, on s’arrête quand la patience est épuisée"
    period = draw.choice((50, 70, 100))
    patience = period * draw.randint(5, 8) - 10
    _stops(learner, [0.3] * 20, period, patience, 2, 0.995)
    _stops(learner, [0.3] * 20, 1000, 5000, 2, 0.995)


@check("q3", points=1, **_Q3)
def stop_after_clear_progress(learner, draw):
    "Un net progrès allonge la patience ; un progrès précoce ne la raccourcit pas"
    rank = draw.randint(4, 6)
    errors = [0.3] * (rank - 1) + [0.2] * 20
    _stops(
        learner,
        errors,
        100,
        600,
        2,
        0.995,
        likely=[(600, "Le net progrès n'a pas allongé la patience.")],
    )
    _stops(
        learner,
        [0.3, 0.2, *[0.2] * 20],
        100,
        900,
        2,
        0.995,
        likely=[(400, "Un progrès précoce a raccourci la patience : gardez le maximum des deux.")],
    )


@check("q3", points=1, **_Q3)
def stop_despite_tiny_progress(learner, draw):
    "De petits progrès ne suffisent pas, mais ils comptent pour la meilleure erreur"
    first = draw.uniform(0.3, 0.4)
    errors = [first * 0.998**rank for rank in range(30)]
    _stops(
        learner,
        errors,
        100,
        830,
        2,
        0.995,
        likely=[
            (
                3000,
                "La patience s'allonge sans net progrès : comparez au seuil, et à la meilleure "
                "erreur d'avant, même gagnée par un petit progrès.",
            ),
        ],
    )


@check("q3", points=1, **_Q3)
def stop_on_random_curves(learner, draw):
    "Des courbes au hasard, d’autres réglages, et des mesures qui s’épuisent"
    for _ in range(30):
        level = 1.0
        errors = []
        for _ in range(draw.randint(3, 30)):
            level *= draw.choice((0.9, 0.97, 0.99, 0.996, 0.999, 1.0, 1.01))
            errors.append(level)
        rule = draw.choice((50, 100)), draw.choice((400, 1000)), draw.choice((2, 3))
        _stops(learner, errors, *rule, draw.choice((0.98, 0.995)))
