"""Exercice 01, la règle de chaînage : vérifications publiques.

Cinq questions : `derivee` (q1), `passe_avant` (q2), `passe_arriere` (q3), `somme_des_chemins` (q4),
`meilleur_pas` (q5). Les tolérances séparent une dérivée exacte d’une différence finie : la liste
des réponses fausses est dans `tests/course/grading/answers/ex01.py`.
"""

import math

from course.grading.checks import Exercise, close, expect
from course.grading.exercises import functions01
from course.grading.learner import Own, Shipped

exercise = Exercise("01_regle_de_chainage")
check, verifier = exercise.check, exercise.verifier


# q1 -------------------------------------------------------------------------------------------

_Q1 = dict(
    hints=(
        "Nommez les étages : v = x², u = sin v, y = exp u. Écrivez la dérivée de chacun.",
        "Le résultat est un produit de trois facteurs, chacun pris au point que l'étage "
        "précédent lui donne : exp(u), cos(v) et 2x.",
    ),
    review="La règle de Leibniz, à la main",
)


def _derivative(x):
    return math.exp(math.sin(x * x)) * math.cos(x * x) * 2 * x


@check("q1", points=0.5, **_Q1)
def derivative_at_zero(learner, draw):
    "En x = 0, la dérivée est nulle ; en 0,1, elle ne l’est plus"
    missing = "Il manque la dérivée de x², qui vaut 2x."
    close(learner.derivee(0.0), 0.0, likely=[(1.0, missing)])
    close(learner.derivee(0.1), _derivative(0.1), rel=0.1)


@check("q1", points=1, **_Q1)
def derivative_near_one(learner, draw):
    "Entre 0,5 et 1,5, la valeur est la bonne à un millième près"
    low = draw.choice((0.5, 1.1))  # pas trop près de 1 : x et x² s’y confondraient
    x = round(draw.uniform(low, low + 0.4), 3)
    top = math.exp(math.sin(x * x))
    close(
        learner.derivee(x),
        _derivative(x),
        rel=1e-3,
        near=1e-3,
        likely=[
            (top * math.cos(x * x), "Il manque le facteur 2x, la dérivée de x²."),
            (top * math.cos(x) * 2 * x, "Le cosinus doit être pris en x², pas en x."),
            (top * 2 * x, "Il manque la dérivée du sinus."),
            (math.cos(x * x) * 2 * x, "Il manque la dérivée de l'exponentielle."),
            (top, "C'est la valeur de la fonction, pas sa dérivée."),
            (-_derivative(x), "Seul le signe est faux : la dérivée du sinus est + cosinus."),
        ],
    )


@check("q1", points=0.5, **_Q1)
def derivative_exact(learner, draw):
    "Elle est exacte : la règle de chaînage, pas une différence finie"
    for _ in range(8):
        x = round(draw.uniform(-2, 2), 3)
        got, exact = learner.derivee(x), _derivative(x)
        nearly = isinstance(got, float) and math.isclose(got, exact, rel_tol=1e-3, abs_tol=1e-3)
        approximate = "L'écart est celui d'une différence finie : il faut la formule."
        likely = [(got, approximate)] if nearly else []
        close(got, exact, rel=1e-12, near=1e-13, likely=likely)


# q2 et q3 : le neurone -------------------------------------------------------------------------

_Q2 = dict(
    hints=(
        "Calculez dans l'ordre, une ligne par étage : z, puis a, puis le coût.",
        "`z = w * x + b`, puis `a = math.tanh(z)`, puis le carré de l'écart entre `a` et "
        "`cible` ; rendez les trois.",
    ),
    review="Trois étages à la file",
)

_Q3 = dict(
    hints=(
        "Partez du coût et remontez : effet de a sur le coût, puis de z sur a, puis de w et de b "
        "sur z.",
        "La dérivée de tanh en z vaut 1 − tanh²(z), c'est-à-dire 1 − a² : la passe avant l'a déjà "
        "presque calculée.",
    ),
    review="La règle de Leibniz, à la main",
)


def _neuron(draw):
    x, w, b, target = (round(draw.uniform(-1.5, 1.5), 2) for _ in range(4))
    return x or 0.5, w, b, target


def _forward(x, w, b, target):
    z = w * x + b
    a = math.tanh(z)
    return [z, a, (a - target) ** 2]


def _triplet(learner, *args):
    got = learner.passe_avant(*args)
    right = isinstance(got, list) and len(got) == 3
    expect(right, "j'attendais trois nombres, `(z, a, cout)`.")
    return got


@check("q2", points=1, **_Q2)
def forward_intermediates(learner, draw):
    "Les intermédiaires z et a sont rendus, et justes"
    x, w, b, target = _neuron(draw)
    z, a, _ = _forward(x, w, b, target)
    got = _triplet(learner, x, w, b, target)
    close(got[0], z, "z", likely=[(w * x, "Il manque le biais b."), (w + x, "w multiplie x.")])
    close(got[1], a, "a", likely=[(z, "C'est z : appliquez-lui la tangente hyperbolique.")])


@check("q2", points=1, **_Q2)
def forward_cost(learner, draw):
    "Le coût est le carré de l’écart à la cible"
    for _ in range(3):
        args = _neuron(draw)
        _, a, cost = _forward(*args)
        target = args[-1]
        close(
            _triplet(learner, *args)[2],
            cost,
            "le coût",
            likely=[
                (a - target, "Il manque le carré."),
                (abs(a - target), "Prenez le carré plutôt que la valeur absolue."),
                (cost / 2, "Il y a un facteur 1/2 de trop."),
            ],
        )


def _pair(learner, *args):
    got = learner.passe_arriere(*args)
    right = isinstance(got, list) and len(got) == 2
    expect(right, "j'attendais deux nombres, `(dcout_dw, dcout_db)`.")
    return got


@check("q3", points=1, **_Q3)
def backward_bias(learner, draw):
    "L’effet du biais b sur le coût"
    x, w, b, target = _neuron(draw)
    z, a, _ = _forward(x, w, b, target)
    slope = 1 - a * a
    close(
        _pair(learner, x, target, z, a)[1],
        2 * (a - target) * slope,
        "la dérivée par rapport à b",
        likely=[
            (2 * (a - target), "Il manque l'étage tanh : multipliez par 1 − a²."),
            ((a - target) * slope, "Il manque le facteur 2 qui vient du carré."),
            (2 * (target - a) * slope, "Seul le signe est faux : l'écart est a − cible."),
            (2 * (a - target) * (1 - z * z), "La dérivée de tanh est 1 − a², pas 1 − z²."),
        ],
    )


@check("q3", points=1, **_Q3)
def backward_weight(learner, draw):
    "L’effet du poids w sur le coût"
    x, w, b, target = _neuron(draw)
    z, a, _ = _forward(x, w, b, target)
    by_bias = 2 * (a - target) * (1 - a * a)
    close(
        _pair(learner, x, target, z, a)[0],
        by_bias * x,
        "la dérivée par rapport à w",
        likely=[
            (by_bias, "C'est l'effet de b : w agit sur z à travers x, il manque ce facteur."),
            (by_bias * w, "Le dernier facteur est dz/dw, qui vaut x et non w."),
        ],
    )


@check("q3", points=1, **_Q3)
def backward_from_intermediates(learner, draw):
    "Les deux dérivées suivent les intermédiaires reçus, en plusieurs points"
    for _ in range(5):
        x, w, b, target = _neuron(draw)
        z, a, _ = _forward(x, w, b, target)
        by_bias = 2 * (a - target) * (1 - a * a)
        got = _pair(learner, x, target, z, a)
        close(got, [by_bias * x, by_bias], "les deux dérivées", rel=1e-10)


# q4 -------------------------------------------------------------------------------------------

_Q4 = dict(
    hints=(
        "Le long d'un chemin, on multiplie ; d'un chemin à l'autre, on additionne.",
        "Récursion : si le départ est l'arrivée, la réponse est 1. Sinon, pour chaque flèche qui "
        "part du départ, sa dérivée fois la réponse depuis son autre bout ; faites la somme.",
    ),
    review="Plusieurs chemins",
)


def _paths(edges, start, end):
    if start == end:
        return 1.0
    return sum(d * _paths(edges, after, end) for before, after, d in edges if before == start)


def _numbers(draw, count):
    return [round(draw.uniform(0.5, 3), 1) * draw.choice((-1, 1)) for _ in range(count)]


def _follow(learner, edges, start, end, **options):
    close(learner.somme_des_chemins(edges, start, end), _paths(edges, start, end), **options)


@check("q4", points=1, **_Q4)
def one_path(learner, draw):
    "Un seul chemin : le produit de ses dérivées"
    p, q, r = _numbers(draw, 3)
    edges = [["x", "v", p], ["v", "u", q], ["u", "y", r]]
    _follow(
        learner,
        edges,
        "x",
        "y",
        likely=[(p + q + r, "Le long d'un chemin, les dérivées se multiplient.")],
    )


@check("q4", points=1, **_Q4)
def two_paths(learner, draw):
    "Deux chemins : la somme des deux produits"
    p, q, r, s = _numbers(draw, 4)
    edges = [["x", "u", p], ["x", "v", q], ["u", "y", r], ["v", "y", s]]
    _follow(
        learner,
        edges,
        "x",
        "y",
        likely=[
            (p * q * r * s, "C'est le produit de toutes les flèches : séparez les chemins."),
            (p * r, "C'est l'effet d'un seul chemin ; il y en a deux."),
            (q * s, "C'est l'effet d'un seul chemin ; il y en a deux."),
            (max(p * r, q * s), "Les chemins s'ajoutent tous, pas seulement le plus fort."),
        ],
    )


@check("q4", points=1, **_Q4)
def any_graph(learner, draw):
    "Flèches doubles (y = x·x), impasses, graphes tirés au hasard"
    (p, q) = _numbers(draw, 2)
    _follow(learner, [["x", "y", p], ["x", "y", q]], "x", "y")
    _follow(learner, [["x", "u", p], ["v", "y", q]], "x", "y")
    names = ["x", "a", "b", "c", "d", "y"]
    for _ in range(4):
        edges = [
            [before, after, _numbers(draw, 1)[0]]
            for rank, before in enumerate(names)
            for after in names[rank + 1 :]
            if draw.random() < 0.6
        ]
        draw.shuffle(edges)
        _follow(learner, edges, "x", "y")


# q5 -------------------------------------------------------------------------------------------

_Q5 = dict(
    hints=(
        "Essayez chaque pas de la liste, mesurez l'écart absolu à la dérivée exacte, gardez le "
        "pas du plus petit écart.",
        "`min(pas, key=erreur)` rend l'élément de `pas` pour lequel `erreur` est la plus petite.",
    ),
    review="Mesurer sans dériver",
)
_FORMULAS = {"exponential": "exp", "ripple": "sin(1000 x)", "plateau": "10⁶ + x²"}
_STEPS = [10.0**-k for k in range(1, 16)]


def _error(name, x, exact, step):
    function = getattr(functions01, name)
    return abs((function(x + step) - function(x)) / step - exact)


def _best_step(learner, name, x, exact):
    step = learner.run(
        Own("meilleur_pas"),
        Shipped(f"course.grading.exercises.functions01:{name}"),
        x,
        exact,
        shown=f"meilleur_pas({_FORMULAS[name]}, {x}, {exact:.6g})",
    )
    expect(isinstance(step, float) and step > 0, f"j'attendais un pas positif, obtenu `{step!r}`.")
    error = _error(name, x, exact, step)
    least, best = min((_error(name, x, exact, other), other) for other in _STEPS)
    if error <= 10 * least + 1e-15 * abs(exact):
        return
    side = (
        "La tangente n'est pas encore atteinte : le pas est trop grand."
        if step > best
        else "f(x + h) et f(x) se ressemblent trop, l'arrondi l'emporte : le pas est trop petit."
    )
    expect(
        False,
        f"avec h = `{step:g}`, la différence finie se trompe de `{error:.1e}` ; un autre pas de la "
        f"liste ne se trompe que de `{least:.1e}`. {side}",
    )


@check("q5", points=1, **_Q5)
def step_for_exponential(learner, draw):
    "Une fonction ordinaire : exp"
    for _ in range(4):
        x = round(draw.uniform(0.5, 1.5), 3)
        _best_step(learner, "exponential", x, math.exp(x))


@check("q5", points=1, **_Q5)
def step_depends_on_function(learner, draw):
    "Le meilleur pas dépend de la fonction : sin(1000 x), puis 10⁶ + x²"
    x = round(draw.uniform(0.5, 1.5), 3)
    _best_step(learner, "ripple", x, 1000 * math.cos(1000 * x))
    _best_step(learner, "plateau", x, 2 * x)
