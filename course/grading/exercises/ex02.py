"""Exercice 02, l’ordre des jacobiennes : vérifications publiques.

Cinq questions : `deux_couts` (q1), `exemple` (q2), `jacobienne_par_lop` (q3), `jacobienne_par_rop`
(q4), `meilleur_ordre` (q5). Les expressions de q3 et q4 sont compilées par les sondes de `probes02`.
"""

from functools import cache

import numpy as np

from course.grading.checks import Exercise, close, equal, expect
from course.grading.learner import Own, Shipped

exercise = Exercise("02_ordre_des_jacobiennes")
check, verifier = exercise.check, exercise.verifier


# q1 -------------------------------------------------------------------------------------------

_Q1 = dict(
    hints=(
        "Un produit de formes `(p, q)` et `(q, r)` coûte p·q·r multiplications et rend une matrice "
        "de forme `(p, r)`.",
        "Pour (AB)C : d'abord A B, de forme `(p, r)`, puis ce résultat fois C. Chaque parenthésage "
        "est une somme de deux produits de trois nombres.",
    ),
    review="Ce que coûte un produit",
)


def _both(p, q, r, s):
    return [p * q * r + p * r * s, q * r * s + p * q * s]


def _sizes(draw, count):
    return draw.sample(range(2, 60), count)


@check("q1", points=1, **_Q1)
def cost_from_the_left(learner, draw):
    "Le coût de (AB)C"
    p, q, r, s = _sizes(draw, 4)
    got = _two(learner, p, q, r, s)
    equal(
        got[0],
        _both(p, q, r, s)[0],
        "le coût de (AB)C",
        likely=[
            (p * q * r, "Il manque le second produit, (AB) fois C."),
            (p * q * r * s, "Les coûts des deux produits s'ajoutent."),
            (p * q * r + q * r * s, "AB est de forme `(p, r)` : c'est p·r·s qu'il faut ajouter."),
            (_both(p, q, r, s)[1], "C'est le coût de A(BC) : l'ordre du couple est inversé."),
            (2 * _both(p, q, r, s)[0], "Comptez les multiplications seules, pas les additions."),
        ],
    )


@check("q1", points=1, **_Q1)
def cost_from_the_right(learner, draw):
    "Le coût de A(BC), et plusieurs formes"
    for _ in range(5):
        p, q, r, s = _sizes(draw, 4)
        likely = [
            (q * r * s, "Il manque le second produit, A fois (BC)."),
            (q * r * s + p * q * r, "BC est de forme `(q, s)` : c'est p·q·s qu'il faut ajouter."),
        ]
        left, right = _both(p, q, r, s)
        got = _two(learner, p, q, r, s)
        equal(got[1], right, "le coût de A(BC)", likely=likely)
        equal(got[0], left, "le coût de (AB)C")


def _two(learner, *sizes):
    got = learner.deux_couts(*sizes)
    right = isinstance(got, list) and len(got) == 2
    expect(right, "j'attendais deux nombres, le coût de (AB)C puis celui de A(BC).")
    return got


# q2 -------------------------------------------------------------------------------------------

_Q2 = dict(
    hints=(
        "Faites de A une seule ligne : p = 1. Que coûtent alors les deux ordres, si q = r = s ?",
        "Avec p = 1 et q = r = s = n, (AB)C coûte 2n² et A(BC) coûte n³ + n² : le rapport vaut "
        "(n + 1) / 2. Choisissez n d'après `facteur`.",
    ),
    review="L’ordre compte",
)


def _show(learner, factor):
    got = learner.exemple(factor)
    whole = isinstance(got, list) and len(got) == 4 and all(type(n) is int for n in got)
    expect(whole, f"j'attendais quatre entiers (p, q, r, s), obtenu `{got!r}`.")
    expect(min(got) >= 1, f"une longueur vaut au moins 1, obtenu `{got!r}`.")
    left, right = _both(*got)
    reason = ""
    if left >= factor * right:
        reason = " C'est l'inverse : ici, c'est A(BC) qui est le moins cher."
    elif left == right:
        reason = " Des longueurs toutes égales ne départagent rien."
    expect(
        right >= factor * left,
        f"avec `{tuple(got)}`, (AB)C coûte `{left}` et A(BC) `{right}` : le rapport n'est que de "
        f"`{right / left:.3g}`, il en fallait `{factor}`.{reason}",
    )


@check("q2", points=1, **_Q2)
def order_matters(learner, draw):
    "Un exemple où (AB)C coûte deux fois moins que A(BC)"
    _show(learner, 2)


@check("q2", points=1, **_Q2)
def order_matters_as_much_as_wanted(learner, draw):
    "Un exemple pour n’importe quel facteur"
    for factor in (draw.randint(3, 20), draw.randint(50, 500), draw.randint(2000, 5000)):
        _show(learner, factor)


# q3 et q4 -------------------------------------------------------------------------------------

_Q3 = dict(
    hints=(
        "`engine.Lop(y, x, e)` est le produit e J. Avec e = (1, 0, …, 0), c'est la première ligne "
        "de J ; et avec (0, 1, 0, …, 0) ?",
        "Les lignes de `np.eye(m)` sont ces vecteurs. Assemblez les m lignes avec `T.stack`, qui "
        "les empile.",
    ),
    review="Une ligne ou une colonne : Lop et Rop",
)
_Q4 = dict(
    hints=(
        "`engine.Rop(y, x, e)` est le produit J e. Avec les vecteurs de `np.eye(n)`, il donne les "
        "colonnes de J, une par entrée.",
        "`T.stack` empile des lignes ; des colonnes se rangent côte à côte : `T.stack(..., axis=1)`, "
        "ou la transposée `.T`.",
    ),
    review="Une ligne ou une colonne : Lop et Rop",
)


def _compare(learner, name, draw, sizes):
    """Compare la matrice de l’élève à celle de la formule, pour y = B tanh(A x)."""
    inputs, hidden, outputs = sizes
    random = np.random.default_rng(draw.getrandbits(32))
    A, B = random.normal(size=(hidden, inputs)), random.normal(size=(outputs, hidden))
    x = random.normal(size=inputs)
    count, letter = (outputs, "m") if name == "jacobienne_par_lop" else (inputs, "n")
    got = learner.run(
        Shipped("course.grading.exercises.probes02:jacobian_value"),
        *(Own(name), A, B, x, count),
        shown=f"{name}(y, x, {letter}={count}), où y a {outputs} valeurs et x {inputs}",
    )
    exact = B * (1 - np.tanh(A @ x) ** 2) @ A
    wrong = [(exact.T, "c'est la transposée : une ligne par sortie, une colonne par entrée.")]
    if min(inputs, outputs) > 1:
        wrong += [
            (exact.sum(0), "les lignes ont été additionnées : il en faut une par sortie."),
            (exact.sum(1), "les colonnes ont été additionnées : il en faut une par entrée."),
            (exact[0], "c'est la première ligne seulement."),
            (exact[:, 0], "c'est la première colonne seulement."),
        ]
    for value, reason in wrong:
        expect(np.shape(got) != value.shape or not np.allclose(got, value), reason)
    close(got, exact.tolist(), "la jacobienne", near=1e-9)


@check("q3", points=1, **_Q3)
def rows_of_three_outputs(learner, draw):
    "Trois sorties, deux entrées : trois lignes"
    _compare(learner, "jacobienne_par_lop", draw, (2, 4, 3))


@check("q3", points=1, **_Q3)
def rows_of_other_sizes(learner, draw):
    "D’autres longueurs, une seule sortie comprise"
    for sizes in ((5, 3, 2), (4, 2, 1)):
        _compare(learner, "jacobienne_par_lop", draw, sizes)


@check("q4", points=1, **_Q4)
def columns_of_two_inputs(learner, draw):
    "Trois sorties, deux entrées : deux colonnes"
    _compare(learner, "jacobienne_par_rop", draw, (2, 4, 3))


@check("q4", points=1, **_Q4)
def columns_of_other_sizes(learner, draw):
    "D’autres longueurs, une seule entrée comprise"
    for sizes in ((2, 3, 5), (1, 2, 4)):
        _compare(learner, "jacobienne_par_rop", draw, sizes)


# q5 -------------------------------------------------------------------------------------------

_Q5 = dict(
    hints=(
        "Posez la question au dernier produit : où coupe-t-il la chaîne ? Chaque moitié doit être "
        "elle-même parenthésée au mieux, et vaut un couple (coût, ordre).",
        "Une fonction `mieux(i, j)`, gardée en mémoire par `functools.cache`, rend le meilleur "
        "couple pour les étages i + 1 à j : `(0, j)` si j = i + 1, sinon le plus petit, pour k "
        "entre i et j, de coût(k, j) + coût(i, k) + n[j]·n[k]·n[i], avec l'ordre (étages k + 1 à "
        "j, étages i + 1 à k).",
    ),
    review="Le meilleur ordre",
)


def _least(sizes):
    @cache
    def least(i, j):
        cuts = range(i + 1, j)
        return min(
            (least(i, k) + least(k, j) + sizes[i] * sizes[k] * sizes[j] for k in cuts), default=0
        )

    return least(0, len(sizes) - 1)


def _reverse(sizes):
    return sum(sizes[-1] * a * b for a, b in zip(sizes[:-2], sizes[1:-1], strict=True))


def _answer(learner, sizes):
    got = learner.meilleur_ordre(sizes)
    right = isinstance(got, list) and len(got) == 2
    expect(right, "j'attendais un couple `(cout, ordre)`.")
    return got


def _check_cost(learner, sizes):
    least = _least(tuple(sizes))
    equal(
        _answer(learner, sizes)[0],
        least,
        "le coût",
        likely=[
            (_reverse(sizes), "C'est le coût du mode arrière ; ici, un autre ordre fait mieux."),
            (_reverse(sizes[::-1]), "C'est le coût du mode avant ; ici, un autre ordre fait mieux."),
        ],
    )


def _stages(order):
    """Les étages de l’ordre, de gauche à droite ; None si ce n’est pas un emboîtement de couples."""
    if type(order) is int:
        return [order]
    if not isinstance(order, list) or len(order) != 2:
        return None
    sides = [_stages(side) for side in order]
    return None if None in sides else sides[0] + sides[1]


def _cost(order, sizes):
    if isinstance(order, int):
        return 0
    left, right = order
    rows, middle, columns = _stages(left)[0], _stages(right)[0], _stages(right)[-1] - 1
    here = sizes[rows] * sizes[middle] * sizes[columns]
    return here + _cost(left, sizes) + _cost(right, sizes)


def _check_order(learner, sizes):
    order = _answer(learner, sizes)[1]
    stages, wanted = _stages(order), list(range(len(sizes) - 1, 0, -1))
    expect(
        stages is not None,
        f"l'ordre est fait de couples emboîtés, comme `((3, 2), 1)` ; obtenu `{order!r}`.",
    )
    expect(
        stages != wanted[::-1],
        f"obtenu `{order!r}` : la dernière jacobienne s'écrit à gauche, comme dans `((3, 2), 1)`.",
    )
    expect(
        stages == wanted,
        f"chaque étage doit paraître une fois, du dernier au premier ; obtenu `{order!r}`.",
    )
    cost, least = _cost(order, sizes), _least(tuple(sizes))
    expect(
        cost == least,
        f"l'ordre `{order!r}` coûte `{cost}` multiplications ; un autre n'en coûte que `{least}`.",
    )


def _hourglass(draw):
    """Un goulot entre deux bouts larges : ni le mode avant ni le mode arrière n’est le meilleur."""
    return [draw.randint(60, 90), draw.randint(40, 59), draw.randint(2, 5), *_sizes(draw, 1), 80]


@check("q5", points=1, **_Q5)
def cost_of_three_stages(learner, draw):
    "Le coût, pour deux ou trois étages"
    for count in (3, 4, 4):
        _check_cost(learner, _sizes(draw, count))


@check("q5", points=1, **_Q5)
def cost_where_neither_end_wins(learner, draw):
    "Le coût, là où ni le mode avant ni le mode arrière n’est le meilleur"
    _check_cost(learner, _hourglass(draw))
    for count in (6, 7, 8):
        _check_cost(learner, _sizes(draw, count))


@check("q5", points=1, **_Q5)
def order_of_few_stages(learner, draw):
    "L’ordre, et pas seulement son coût"
    _check_order(learner, _hourglass(draw))
    for count in (3, 4, 7):
        _check_order(learner, _sizes(draw, count))


@check("q5", points=1, **_Q5)
def eighteen_stages(learner, draw):
    "Dix-huit étages, plus de cent millions d’ordres"
    sizes = _sizes(draw, 19)
    _check_cost(learner, sizes)
    _check_order(learner, sizes)
