"""Exercice 11, déboguer et mesurer : vérifications publiques.

Quatre questions, trois fonctions malades à réparer et un coupable à nommer : `cout_colonne` (q1),
`distance_moyenne` (q2), `entrainement` (q3), `naissance_du_nan` (q4). Les sondes de `probes11`
compilent chez l’élève ; seuls des nombres et des noms reviennent. Les réponses essayées, justes et
fausses, sont dans `tests/course/grading/answers/ex11.py`.
"""

import math

import numpy as np

from course.grading.checks import Exercise, close, decimals, equal, expect
from course.grading.learner import Own

exercise = Exercise("11_deboguer_et_mesurer")
check, verifier, probe = exercise.check, exercise.verifier, exercise.probe


# q1 -------------------------------------------------------------------------------------------

_Q1 = dict(
    hints=(
        "Écrivez les formes : `sortie` est (lot,), `y` est (lot, 1). Que donne la diffusion, qui "
        "aligne par la droite ? Un `Print`, ou une valeur d'essai, vous le montrera.",
        "Retirez l'axe de trop, `y[:, 0]`, ou ajoutez-le en face, `sortie.dimshuffle(0, 'x')`.",
    ),
    review="La faute qui ne dit rien",
)


def _column_cost(learner, draw, count):
    out, y = decimals(draw, count), decimals(draw, count)
    got = learner.run(
        probe("column_cost"), Own("cout_colonne"), out, y,
        shown=f"cout_colonne(sortie, y), sortie = {out}, y = la colonne {y}",
    )  # fmt: skip
    gap = np.array(out) - np.array(y)
    crossed = np.subtract.outer(out, y)
    return got, gap, crossed


@check("q1", points=1, **_Q1)
def column_is_compared_row_by_row(learner, draw):
    "Chaque sortie est comparée à sa réponse, et à elle seule"
    for count in (1, 4, 7):
        got, gap, crossed = _column_cost(learner, draw, count)
        close(
            got["cost"],
            float((gap**2).mean()),
            "le coût",
            likely=[
                (float((crossed**2).mean()), "Chaque sortie est encore comparée à toutes les "
                 "réponses."),
                (float((gap**2).sum()), "C'est la somme : on veut la moyenne sur le lot."),
                (float(np.abs(gap).mean()), "Il manque le carré."),
            ],
        )  # fmt: skip


@check("q1", points=1, **_Q1)
def column_slope_is_that_of_one_row(learner, draw):
    "La dérivée par rapport à une sortie ne dépend que de sa réponse"
    got, gap, _ = _column_cost(learner, draw, 5)
    close(got["slope"], (2 * gap / gap.size).tolist(), "la dérivée")


# q2 -------------------------------------------------------------------------------------------

_Q2 = dict(
    hints=(
        "La pente de √s est 1 / (2 √s). Que vaut-elle en s = 0, et que devient-elle quand la règle "
        "de chaînage la multiplie par la pente de s, qui est nulle ?",
        "Il suffit que la racine ne voie jamais zéro : ajoutez un très petit nombre **dans** la "
        "racine, `T.sqrt(carres + 1e-12)`.",
    ),
    review="Le NaN",
)


def _distance(learner, a, b):
    got = learner.run(
        probe("mean_distance"), Own("distance_moyenne"), a, b,
        shown=f"distance_moyenne(a, b), a = {a}, b = {b}",
    )  # fmt: skip
    gap = np.array(a) - np.array(b)
    lengths = np.sqrt((gap**2).sum(axis=1))
    safe = np.where(lengths > 0, lengths, 1.0)
    return got, lengths, gap / safe[:, None] / len(lengths)


def _points(draw, rows, columns):
    return [
        [[round(draw.choice((-1, 1)) * draw.uniform(0.3, 2), 2) for _ in range(columns)]
         for _ in range(rows)]
        for _ in "ab"
    ]  # fmt: skip


@check("q2", points=1, **_Q2)
def distance_value_is_kept(learner, draw):
    "La valeur reste la distance moyenne, même entre points confondus"
    a, b = _points(draw, 4, 3)
    a[1] = list(b[1])
    got, lengths, _ = _distance(learner, a, b)
    close(
        got["cost"],
        float(lengths.mean()),
        "le coût",
        rel=1e-4,
        near=1e-4,
        likely=[
            (float((lengths**2).mean()), "C'est la moyenne des carrés : il manque la racine."),
            (float(lengths.sum()), "C'est la somme : on veut la moyenne."),
        ],
    )


@check("q2", points=1, **_Q2)
def distance_slope_is_kept(learner, draw):
    "Entre points distincts, la dérivée est la bonne"
    a, b = _points(draw, 3, 2)
    got, _, slope = _distance(learner, a, b)
    close(got["slope"], slope.tolist(), "la dérivée", rel=1e-4, near=1e-5)


@check("q2", points=1, **_Q2)
def distance_slope_is_finite(learner, draw):
    "Entre points confondus, la dérivée est finie, et les autres lignes sont justes"
    a, b = _points(draw, 3, 2)
    a[0] = list(b[0])
    got, _, slope = _distance(learner, a, b)
    flat = [value for row in got["slope"] for value in row]
    expect(
        all(map(math.isfinite, flat)),
        "la dérivée contient encore un NaN ou un infini : la valeur est guérie, pas la pente.",
    )
    close(got["slope"], slope.tolist(), "la dérivée", rel=1e-4, near=1e-5)


# q3 -------------------------------------------------------------------------------------------

_Q3 = dict(
    hints=(
        "Le message de l'`UpdateError` nomme la première ligne devenue float64 : float32 et int32 "
        "ne tiennent ensemble qu'en float64. Convertissez `epoque` à la source.",
        "Une fois compilée, regardez le coût sur trois pas : il monte. Puis regardez `b` : quel "
        "gradient reçoit-il ?",
    ),
    review="Le float64 qui s’infiltre",
)
_CLOSE = dict(rel=1e-4, near=1e-5)


def _train(learner, draw, epochs):
    """Ce que rend l’élève, et l’histoire attendue : (coût, W, b, gW, gb) avant chaque pas."""
    x, y, start = decimals(draw, 5, 2), decimals(draw, 5), (decimals(draw, 2), decimals(draw))
    got = learner.run(
        probe("train_steps"), Own("entrainement"), x, y, start, epochs,
        shown=f"entrainement(x, y, W, b, epoque), appelée aux époques {epochs}",
    )  # fmt: skip
    w, b = map(np.array, start)
    history = []
    for epoch in (*epochs, 0):
        gap = np.array(x) @ w + b - np.array(y)
        slopes = 2 * np.array(x).T @ gap / gap.size, 2 * gap.mean()
        history.append((float((gap**2).mean()), w, b, *slopes))
        rate = 0.1 / (1 + epoch)
        w, b = w - rate * slopes[0], b - rate * slopes[1]
    return got, history


@check("q3", points=1, **_Q3)
def training_compiles_and_tells_the_cost(learner, draw):
    "La fonction se compile, et rend le coût d’avant le pas"
    got, history = _train(learner, draw, [0])
    close(got["costs"], [history[0][0]], "le coût", **_CLOSE)


@check("q3", points=1, **_Q3)
def training_moves_the_weights_down(learner, draw):
    "Les poids descendent la pente"
    got, ((_, before, _, slope, _), (_, after, *_)) = _train(learner, draw, [0])
    close(
        got["w"],
        after.tolist(),
        "W après un pas",
        **_CLOSE,
        likely=[
            ((before + 0.1 * slope).tolist(), "Il monte encore la pente : le signe est à changer."),
            (before.tolist(), "Il n'a pas bougé."),
        ],
    )


@check("q3", points=1, **_Q3)
def training_moves_the_bias_down(learner, draw):
    "Le biais descend sa propre pente"
    got, ((_, _, before, weights, slope), (_, _, after, *_)) = _train(learner, draw, [0])
    close(
        got["b"],
        float(after),
        "b après un pas",
        **_CLOSE,
        likely=[
            (float(before - 0.1 * weights.mean()), "Il reçoit encore la moyenne du gradient de W : "
             "il lui faut le sien."),
            (float(before + 0.1 * slope), "Il monte la pente : le signe est à changer."),
            (float(before), "Il n'a pas bougé."),
        ],
    )  # fmt: skip


@check("q3", points=1, **_Q3)
def training_slows_down(learner, draw):
    "Le taux décroît avec l’époque : 0,1, puis 0,05, puis 0,033…"
    for epochs in ([3], [0, 1, 2, draw.randint(5, 9)]):
        got, history = _train(learner, draw, epochs)
        _, w, b, *_ = history[-1]
        close(got["w"], w.tolist(), "W à la fin", **_CLOSE)
        close(got["b"], float(b), "b à la fin", **_CLOSE)


# q4 -------------------------------------------------------------------------------------------

_Q4 = dict(
    hints=(
        "`toposort([sortie])` rend les nœuds dans l'ordre du calcul ; une seule fonction peut "
        "rendre la valeur de tous : `[noeud.out for noeud in noeuds]`.",
        "Compilez-la avec `mode=engine.Mode(optimizer=None)`, pour parcourir le graphe tel qu'il "
        "est écrit ; puis rendez `str(noeud.op)` au premier `np.isnan(valeur).any()`.",
    ),
    review="La chasse",
)


def _birth(learner, text, value, expected, likely=()):
    got = learner.run(
        probe("birth_of_nan"), Own("naissance_du_nan"), text, value,
        shown=f"naissance_du_nan(x, {text}, {value})",
    )  # fmt: skip
    expect(isinstance(got, str), "j'attendais un nom, celui d'une op, ou la chaîne vide.")
    equal(got, expected, likely=likely)


@check("q4", points=1, **_Q4)
def nan_is_born_in_the_first_bad_node(learner, draw):
    "Le premier nœud qui rend un NaN est nommé, pas les suivants"
    good, bad = round(draw.uniform(1.5, 3), 2), round(draw.uniform(-3, -0.5), 2)
    late = [("sum{axes=[0]}", "C'est le dernier à porter le NaN : on veut le premier.")]
    _birth(learner, "(log(x) * 2).sum()", [good, bad], "log", late)
    _birth(learner, "exp(sqrt(x - 1)).mean()", [good, bad], "sqrt", late)


@check("q4", points=1, **_Q4)
def without_nan_the_name_is_empty(learner, draw):
    "Sans NaN, la réponse est la chaîne vide ; un infini n’est pas un NaN"
    _birth(learner, "(log(x) * 2).sum()", [round(draw.uniform(1, 3), 2), 0.5], "")
    _birth(
        learner,
        "(log(x) * 2).sum()",
        [0.0, round(draw.uniform(1, 3), 2)],
        "",
        [("log", "log(0) est un infini ; on ne cherche ici que les NaN.")],
    )


@check("q4", points=1, **_Q4)
def nan_is_born_of_infinities(learner, draw):
    "Un NaN né de deux infinis est attribué à l’op qui les combine, dans le graphe tel qu’écrit"
    large = round(draw.uniform(800, 900), 1)
    early = [("exp", "exp rend un infini, pas un NaN.")]
    _birth(learner, "(exp(x) - exp(2 * x)).sum()", [0.5, large], "sub", early)
    _birth(
        learner,
        "log(exp(x) / exp(x).sum()).sum()",
        [0.5, large],
        "true_div",
        [
            *early,
            ("", "Le moteur a réécrit le graphe, et guéri le NaN : compilez sans réécriture."),
        ],
    )
