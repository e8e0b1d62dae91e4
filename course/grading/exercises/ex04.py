"""Exercice 04, l’optimisation du graphe : vérifications publiques.

Cinq questions : `log_somme_exp` (q1), `perte_stable` (q2), `regles_employees` (q3), `motif` (q4),
`log_d_une_puissance` (q5). Les expressions et les règles sont compilées chez l’élève par les sondes
de `probes04` ; seuls des nombres et des noms reviennent. Les réponses essayées, justes et fausses,
sont dans `tests/course/grading/answers/ex04.py`.
"""

import math

from course.grading.checks import Exercise, close, equal, expect
from course.grading.exercises import probes04
from course.grading.learner import Own

exercise = Exercise("04_optimisation_du_graphe")
check, verifier, probe = exercise.check, exercise.verifier, exercise.probe


# q1 -------------------------------------------------------------------------------------------

_Q1 = dict(
    hints=(
        "Mettez le plus grand terme en facteur : avec m = max(z), la somme vaut "
        "exp(m) · Σ exp(z − m).",
        "Le logarithme d'un produit est une somme : `m = max(z)`, puis "
        "`m + math.log(sum(math.exp(v - m) for v in z))`.",
    ),
    review="Réparer à la main",
)


def _log_sum_exp(z):
    top = max(z)
    return top + math.log(sum(math.exp(v - top) for v in z))


def _scores(draw, centre, count):
    return [round(centre + draw.uniform(-2, 2), 3) for _ in range(count)]


def _log_sum(learner, z):
    exact, top = _log_sum_exp(z), max(z)
    close(
        learner.log_somme_exp(z),
        exact,
        likely=[
            (math.inf, "Une exponentielle a débordé : mettez d'abord le plus grand en facteur."),
            (-math.inf, "Toutes les exponentielles se sont arrondies à 0 : mettez d'abord le plus "
             "grand en facteur, avec son signe."),
            (exact - top, "Il ne reste qu'à rajouter le maximum que vous avez retranché."),
            (exact - math.log(len(z)), "C'est le logarithme de la moyenne : on veut la somme."),
            (sum(z), "C'est la somme des scores : log et exp ne se défont pas à travers une "
             "somme."),
            (top, "C'est le maximum seul : les autres termes comptent aussi."),
        ],
    )  # fmt: skip


@check("q1", points=0.5, **_Q1)
def sum_of_small_scores(learner, draw):
    "De petits scores : c’est bien le logarithme de la somme des exponentielles"
    _log_sum(learner, _scores(draw, 0, 3))
    _log_sum(learner, _scores(draw, 1, 1))


@check("q1", points=1, **_Q1)
def sum_of_large_scores(learner, draw):
    "Des scores voisins de 1000 : rien ne déborde"
    _log_sum(learner, _scores(draw, 1000, 4))


@check("q1", points=0.5, **_Q1)
def sum_of_very_negative_scores(learner, draw):
    "Des scores voisins de −1000, puis de tous les signes"
    _log_sum(learner, _scores(draw, -1000, 3))
    _log_sum(learner, [*_scores(draw, -900, 2), *_scores(draw, 800, 2)])


# q2 -------------------------------------------------------------------------------------------

_Q2 = dict(
    hints=(
        "Développez pour une seule étiquette : si y = 1 la perte est −log σ(z), qui vaut "
        "log(1 + exp(−z)) ; si y = 0, elle vaut log(1 + exp(z)).",
        "`T.nnet.softplus(z)` est log(1 + exp(z)), sûr des deux côtés ; et "
        "softplus(−z) = softplus(z) − z. Il reste une moyenne.",
    ),
    review="La perte d’un classifieur",
)


def _softplus(z):
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def _sigmoid(z):
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def _loss(z, y):
    return _softplus(z) - y * z


def _loss_value(learner, scores, labels, *, likely=(), **tolerances):
    each = [_loss(z, y) for z, y in zip(scores, labels, strict=True)]
    expected = sum(each) / len(each)
    got = learner.run(probe("loss_value"), Own("perte_stable"), scores, labels)
    if isinstance(got, float):
        expect(not math.isnan(got), "la perte est `nan` : un infini y rencontre un zéro ou un "
               "autre infini.")  # fmt: skip
        expect(not math.isinf(got), "la perte est infinie : un logarithme reçoit 0, ou une "
               "exponentielle déborde.")  # fmt: skip
    turned = [_loss(z, 1 - y) for z, y in zip(scores, labels, strict=True)]
    usual = [
        (-expected, "Le signe est à changer : on veut un coût, à rendre petit."),
        (sum(each), "C'est la somme : on veut la moyenne."),
        (sum(turned) / len(turned), "Les étiquettes 0 et 1 sont échangées."),
    ]
    close(got, expected, "la perte", likely=[*likely, *usual], **tolerances)


def _examples(draw, spread, count):
    scores = [round(draw.choice((-1, 1)) * draw.uniform(*spread), 2) for _ in range(count)]
    labels = [float(draw.random() < 0.5) for _ in range(count)]
    labels[:2] = [0.0, 1.0]
    return scores, labels


@check("q2", points=1, **_Q2)
def loss_of_ordinary_scores(learner, draw):
    "Scores ordinaires : la même perte que l’écriture naïve"
    _loss_value(learner, *_examples(draw, (0.3, 4), 4))


@check("q2", points=1, **_Q2)
def loss_of_extreme_scores(learner, draw):
    "Scores de plusieurs centaines : ni infini, ni nan, ni plafond"
    _, labels = _examples(draw, (0.3, 4), 4)
    scores = [round((900 if y == 0 else -900) + draw.uniform(-50, 50), 1) for y in labels]
    _loss_value(learner, scores, labels)
    _loss_value(learner, [-z for z in scores], labels)


@check("q2", points=0.5, **_Q2)
def loss_keeps_its_small_values(learner, draw):
    "Un exemple bien classé : la perte est minuscule, pas nulle"
    z = round(draw.uniform(-45, -32), 1)
    rounded = "1 + exp(z) s'est arrondi : pensez à `T.log1p`, ou à `T.nnet.softplus`."
    likely = [(0.0, rounded), (math.log(1 + math.exp(z)), rounded)]
    _loss_value(learner, [z], [0.0], rel=1e-6, near=0.0, likely=likely)


@check("q2", points=0.5, **_Q2)
def loss_can_be_differentiated(learner, draw):
    "La pente est σ(z) − y, divisée par le nombre d’exemples, même loin de zéro"
    ordinary, labels = _examples(draw, (0.3, 4), 4)
    misplaced = [(1 - 2 * y) * (720 + 40 * abs(z)) for z, y in zip(ordinary, labels, strict=True)]
    for scores in ordinary, misplaced:
        expected = [(_sigmoid(z) - y) / len(labels) for z, y in zip(scores, labels, strict=True)]
        got = learner.run(
            probe("loss_slope"),
            Own("perte_stable"),
            scores,
            labels,
            shown=f"grad(perte_stable(z, y), z), z = {scores}, y = {labels}",
        )
        close(got, expected, "la pente")


# q3 -------------------------------------------------------------------------------------------

_Q3 = dict(
    hints=(
        "`f.fgraph.log` est une liste ; chaque ligne a un champ `reason`, le nom de la règle.",
        "`dict.fromkeys(noms)` garde chaque nom une fois, dans l'ordre ; `list(...)` en refait "
        "une liste.",
    ),
    review="Le journal",
)


def _names(learner, *ranks):
    reasons = [row.reason for row in probes04.compiled_sum(ranks).fgraph.log]
    once = list(dict.fromkeys(reasons))
    got = learner.run(
        probe("names_found"), Own("regles_employees"), list(ranks), shown="regles_employees(f)"
    )
    expect(isinstance(got, list), f"j'attendais une liste de noms, j'ai reçu `{got!r}`.")
    equal(
        got,
        once,
        likely=[
            (reasons, "Un même nom revient : chacun ne doit figurer qu'une fois."),
            (once[::-1], "L'ordre est celui des applications, de la première à la dernière."),
            (sorted(once), "L'ordre est celui des applications, pas celui de l'alphabet."),
        ],
    )


@check("q3", points=1, **_Q3)
def names_of_one_expression(learner, draw):
    "Une expression, et les règles qui l’ont réécrite"
    _names(learner, draw.randrange(4))
    _names(learner, 0)


@check("q3", points=1, **_Q3)
def names_of_several_expressions(learner, draw):
    "Plusieurs expressions : chaque nom une fois, dans l’ordre ; aucune : une liste vide"
    count = len(probes04.EXPRESSIONS)
    for _ in range(3):
        _names(learner, *draw.sample(range(count), 4))
    _names(learner)


# q4 -------------------------------------------------------------------------------------------

_Q4 = dict(
    hints=(
        "Deux `lambda a, b:`. La première écrit ce que l'on cherche, avec les fonctions du moteur ; "
        "la seconde, ce que l'on met à la place.",
        "`(lambda a, b: T.exp(a) * T.exp(b), lambda a, b: ...)` : un produit d'exponentielles est "
        "l'exponentielle d'une somme.",
    ),
    review="Écrire sa propre règle",
)


def _opposites(draw):
    left = [round(draw.choice((-1, 1)) * draw.uniform(720, 900), 2) for _ in range(3)]
    return left, [round(draw.uniform(0.2, 2) - a, 2) for a in left]


def _applied(learner, name, expression, left, right):
    shown = f"{expression}, a = {left}, b = {right}"
    return learner.run(probe(name), Own("motif"), left, right, shown=shown)


@check("q4", points=1, **_Q4)
def product_becomes_one_exponential(learner, draw):
    "e^a · e^b n’est plus qu’une exponentielle, et ne déborde plus"
    left, right = _opposites(draw)
    got = _applied(learner, "product_rule", "exp(a) * exp(b)", left, right)
    still = "la règle ne s'est pas déclenchée : il reste deux exponentielles."
    expect(got["exponentials"] < 2, still)
    exact = [math.exp(a + b) for a, b in zip(left, right, strict=True)]
    summed = [a + b for a, b in zip(left, right, strict=True)]
    likely = [(summed, "Il manque l'exponentielle autour de la somme.")]
    close(got["values"], exact, "le produit", likely=likely)


@check("q4", points=0.5, **_Q4)
def product_inside_an_expression(learner, draw):
    "Dans l’autre ordre, et au milieu d’une expression"
    left, right = _opposites(draw)
    expression = "log(exp(b) * exp(a)) - a"
    got = _applied(learner, "flipped_product_rule", expression, left, right)
    close(got["values"], right, "cette expression, qui vaut b,", rel=1e-7)


@check("q4", points=0.5, **_Q4)
def product_leaves_the_rest_alone(learner, draw):
    "Ce qui ne ressemble pas au motif reste intact"
    left, right = ([round(draw.uniform(-2, 2), 2) for _ in range(3)] for _ in range(2))
    expression = "(exp(a) + exp(b)) * (a * exp(b))"
    got = _applied(learner, "foreign_rule", expression, left, right)
    pairs = zip(left, right, strict=True)
    exact = [(math.exp(a) + math.exp(b)) * a * math.exp(b) for a, b in pairs]
    close(got["values"], exact, "cette expression")


# q5 -------------------------------------------------------------------------------------------

_Q5 = dict(
    hints=(
        "`noeud.inputs[0]` est l'argument du log. A-t-il un `owner`, et cet `owner` est-il un "
        "`pow` ? Sinon, rendez None.",
        "`x, n = noeud.inputs[0].owner.inputs`, puis `valeur = scalar_value(n)`. None : on "
        "s'abstient ; pair : `[n * T.log(abs(x))]` ; sinon `[n * T.log(x)]`.",
    ),
    review="Quand il faut une condition",
)


def _power(learner, exponent, points):
    got = learner.run(
        probe("power_rule"),
        Own("log_d_une_puissance"),
        exponent,
        points,
        shown=f"log(x ** {exponent}), x = {points}",
    )
    expect(got["applied"] > 0, "la règle ne s'est pas déclenchée.")
    expect(
        not any(map(math.isnan, got["values"])),
        "un résultat est `nan` : pour un exposant pair, x peut être négatif, pas son logarithme.",
    )
    exact = [exponent * math.log(abs(x)) for x in points]
    plain = [math.log(abs(x)) for x in points]
    usual = [(plain, "Il manque l'exposant devant le logarithme.")]
    close(got["values"], exact, "le logarithme", likely=usual)


@check("q5", points=1, **_Q5)
def odd_power(learner, draw):
    "Exposant impair, ou fractionnaire : log(xⁿ) devient n log x, sans déborder"
    big = [round(draw.uniform(1, 9), 2) * 10.0 ** draw.randint(150, 250) for _ in range(2)]
    _power(learner, draw.choice((3, 5, 7)), [*big, round(draw.uniform(0.1, 3), 2)])
    _power(learner, 2.5, big)


@check("q5", points=1, **_Q5)
def even_power(learner, draw):
    "Exposant pair : le signe de x ne compte pas"
    points = [round(draw.choice((-1, 1)) * draw.uniform(0.5, 9), 2) for _ in range(2)]
    _power(learner, draw.choice((2, 4, 6)), [*points, -3e200])


@check("q5", points=1, **_Q5)
def power_rule_abstains(learner, draw):
    "La règle s’abstient quand l’exposant n’est pas une constante, et devant un autre log"
    points = [round(draw.uniform(0.5, 3), 2) for _ in range(3)]
    cases = {
        "power_of_variable_rule": ("log(x ** x)", [x * math.log(x) for x in points]),
        "other_logarithms_rule": ("log(x) + log(3 * x)", [math.log(3 * x * x) for x in points]),
    }
    for name, (expression, exact) in cases.items():
        shown = f"{expression}, x = {points}"
        got = learner.run(probe(name), Own("log_d_une_puissance"), points, shown=shown)
        expect(got["applied"] == 0, "la règle devait s'abstenir, c'est-à-dire rendre None.")
        close(got["values"], exact, "l'expression")
