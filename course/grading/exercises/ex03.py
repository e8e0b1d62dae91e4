"""Exercice 03, le graphe de calcul : vérifications publiques.

Cinq questions : `distances` (q1), `compter_noeuds` (q2), `trois_fonctions` (q3), `entrainement`
(q4), `echange` (q5). Les sondes de `probes03` construisent les graphes et les compilent chez
l’élève ; seuls des nombres reviennent. Les réponses essayées, justes et fausses, sont dans
`tests/course/grading/answers/ex03.py`.
"""

import numpy as np

from course.grading.checks import Exercise, close, decimals, equal, expect
from course.grading.learner import Own

exercise = Exercise("03_graphe_de_calcul")
check, verifier, probe = exercise.check, exercise.verifier, exercise.probe


# q1 -------------------------------------------------------------------------------------------

_Q1 = dict(
    hints=(
        "Écrivez le sens des axes : x est (jour, mesure), centre est (mesure,). Que reste-t-il "
        "quand on additionne sur les mesures ?",
        "`((x - centre) ** 2).sum(axis=1)` est un nombre par jour ; il reste `T.sqrt`.",
    ),
    review="4. Construire, puis remonter",
)


def _distances(learner, draw, days, measures):
    x, centre = decimals(draw, days, measures), decimals(draw, measures)
    squares = (np.array(x) - np.array(centre)) ** 2
    expected = np.sqrt(squares.sum(axis=1))
    close(
        learner.run(probe("distances_value"), Own("distances"), x, centre),
        expected.tolist(),
        likely=[
            ((expected**2).tolist(), "Ce sont les carrés des distances : il manque la racine."),
            (
                np.sqrt(squares.sum(axis=0)).tolist(),
                "Vous additionnez sur les jours : il faut additionner sur les mesures.",
            ),
            (
                np.sqrt(squares).sum(axis=1).tolist(),
                "La racine se prend après la somme, pas avant.",
            ),
            (
                np.sqrt(squares.mean(axis=1)).tolist(),
                "C'est une moyenne sur les mesures : on veut la somme.",
            ),
        ],
    )


@check("q1", points=1, **_Q1)
def one_distance_a_day(learner, draw):
    "Un nombre par jour, sur un tableau carré puis sur un autre"
    _distances(learner, draw, 3, 3)
    _distances(learner, draw, 5, 2)


@check("q1", points=1, **_Q1)
def any_number_of_days(learner, draw):
    "La même expression, d’un seul jour à une longue saison"
    _distances(learner, draw, 1, 4)
    _distances(learner, draw, 40, 3)


# q2 -------------------------------------------------------------------------------------------

_Q2 = dict(
    hints=(
        "Gardez les nœuds déjà rencontrés dans un ensemble (`set`) et les variables à visiter "
        "dans une liste, qui commence par `[v]`.",
        "Tant qu'il reste une variable à visiter, prenez son `owner` ; s'il n'est ni None ni déjà "
        "vu, rangez-le dans l'ensemble et ajoutez ses `inputs` à la liste. La réponse est la "
        "taille de l'ensemble.",
    ),
    review="1. La plus petite expression",
)


def _count(learner, text, expected, likely=()):
    """`text` : l’une des expressions de `probes03`, telle qu’on l’écrirait."""
    got = learner.run(
        probe("node_count"), Own("compter_noeuds"), text, shown=f"compter_noeuds({text})"
    )
    equal(got, expected, likely=likely)


@check("q2", points=1, **_Q2)
def count_along_a_chain(learner, draw):
    "Une source, puis une chaîne"
    _count(learner, "a", 0, [(1, "`a` n'a pas d'`owner` : c'est une variable, pas un nœud.")])
    _count(
        learner,
        "tanh(exp(sin(a)))",
        3,
        [
            (4, "Vous comptez des variables : `a` n'est pas un nœud."),
            (2, "Le dernier nœud rencontré compte aussi."),
        ],
    )


@check("q2", points=1, **_Q2)
def count_every_input(learner, draw):
    "Toutes les entrées d’un nœud sont suivies, pas seulement la première"
    _count(
        learner,
        "a + exp(b * sin(c))",
        4,
        [
            (1, "Vous ne suivez que la première entrée de chaque nœud."),
            (7, "Vous comptez aussi les sources a, b et c : ce sont des variables."),
        ],
    )


@check("q2", points=1, **_Q2)
def count_shared_nodes_once(learner, draw):
    "Un nœud qui sert plusieurs fois, ou qui a plusieurs sorties, ne compte qu’une fois"
    _count(
        learner,
        "(a + b) * exp(a + b)",
        3,
        [(4, "Un nœud est compté deux fois : a + b, la même variable, sert deux fois.")],
    )
    _count(
        learner,
        "doubler(doubler(doubler(a)))",
        3,
        [(7, "Un même nœud est compté à chacun de ses emplois : un graphe n'est pas un arbre.")],
    )
    _count(
        learner,
        "q + r, où q, r = qr(X)",
        2,
        [(3, "Vous comptez des variables : un seul nœud rend ici deux sorties.")],
    )


# q3 -------------------------------------------------------------------------------------------

_Q3 = dict(
    hints=(
        "Une fonction par ligne : `engine.function(entrées, sorties)`. Pour deux résultats, "
        "demandez une liste de deux sorties.",
        "La troisième part du milieu : `engine.function([out, y], cout)`. Le graphe est coupé à "
        "`out`, tout ce qui est en amont disparaît.",
    ),
    review="8. Compiler : quatre fonctions, un seul graphe",
)


def _squash(kind, x, w, b):
    score = np.array(x) @ np.array(w) + b
    return 1 / (1 + np.exp(-score)) if kind == "sigmoïde" else np.tanh(score)


def _cost(kind, out, y):
    gap = np.array(out) - np.array(y)
    return float((gap**2).sum() if kind == "sigmoïde" else np.abs(gap).mean())


def _ask(learner, draw, kind, rank, what):
    """L’appel de la fonction `rank` de l’élève avec ce qu’elle demande, et les données tirées."""
    data = dict(x=decimals(draw, 4, 3), y=decimals(draw, 4), out=decimals(draw, 4))
    weights = [(decimals(draw, 3), decimals(draw)) for _ in range(2)]
    got = learner.run(
        probe("ask_one"),
        Own("trois_fonctions"),
        kind,
        rank,
        data,
        weights,
        shown=f"{what}, une fois rendue par trois_fonctions(x, y, out, cout)",
    )
    outs = [_squash(kind, data["x"], w, b) for w, b in weights]
    return got, data, outs


@check("q3", points=1, **_Q3)
def first_predicts(learner, draw):
    "La première va de x à out, et suit les poids quand ils changent"
    for kind in ("sigmoïde", "tanh"):
        got, _, outs = _ask(learner, draw, kind, 0, "predire(x)")
        close(got[0], outs[0].tolist(), "out")
        close(
            got[1],
            outs[1].tolist(),
            "out après un changement des poids",
            likely=[(outs[0].tolist(), "Les anciens poids ont été gardés.")],
        )


@check("q3", points=1, **_Q3)
def second_gives_both(learner, draw):
    "La deuxième rend la liste [out, cout]"
    for kind in ("sigmoïde", "tanh"):
        got, data, outs = _ask(learner, draw, kind, 1, "suivre(x, y)")
        for pair, out in zip(got, outs, strict=True):
            expect(
                isinstance(pair, list) and len(pair) == 2,
                "j'attendais une liste de deux résultats, out puis cout.",
            )
            close(pair[0], out.tolist(), "out")
            close(pair[1], _cost(kind, out, data["y"]), "cout")


@check("q3", points=1, **_Q3)
def third_starts_in_the_middle(learner, draw):
    "La troisième juge des prédictions venues d’ailleurs"
    for kind in ("sigmoïde", "tanh"):
        got, data, outs = _ask(learner, draw, kind, 2, "juger(out, y)")
        close(got[0], _cost(kind, data["out"], data["y"]), "le coût des prédictions données")


# q4 -------------------------------------------------------------------------------------------

_Q4 = dict(
    hints=(
        "`engine.grad(cout, parametres)` rend un gradient par paramètre ; chaque mise à jour est "
        "un couple (variable partagée, nouvelle expression).",
        "Une seule liste : un couple `(p, p - taux * g)` par paramètre, plus "
        "`(compteur, compteur + 1)` ; puis `engine.function([x, y], cout, updates=liste)`.",
    ),
    review="8. Compiler : quatre fonctions, un seul graphe",
)


def _descend(x, y, w, b, rate):
    """(coût avant, w après, b après) d’un pas, pour la somme des carrés de x w + b − y."""
    gap = x @ w + b - y
    return float((gap**2).sum()), w - rate * 2 * x.T @ gap, b - rate * 2 * gap.sum()


def _train(learner, draw, steps):
    data, start = (decimals(draw, 4, 2), decimals(draw, 4)), (decimals(draw, 2), decimals(draw))
    rate = draw.choice((0.02, 0.03, 0.05))
    got = learner.run(
        probe("train_steps"),
        Own("entrainement"),
        data,
        start,
        rate,
        steps,
        shown=f"entrainement(x, y, cout, [W, b], compteur, {rate}), appelée {steps} fois",
    )
    history = [(0.0, *map(np.array, start))]
    for _ in range(steps):
        history.append(_descend(*map(np.array, data), *history[-1][1:], rate))
    return got, history, rate


@check("q4", points=0.5, **_Q4)
def step_returns_the_cost_before(learner, draw):
    "Chaque appel rend le coût d’avant le pas"
    got, history, _ = _train(learner, draw, 3)
    close(got["costs"], [cost for cost, _, _ in history[1:]], "les coûts", rel=1e-6, near=1e-9)


@check("q4", points=1, **_Q4)
def step_moves_every_parameter(learner, draw):
    "Chaque appel déplace tous les paramètres, contre leur gradient"
    got, ((_, w, b), (_, w1, b1)), rate = _train(learner, draw, 1)
    for name, value, before, after in (("W", got["w"], w, w1), ("b", got["b"], b, b1)):
        close(
            value,
            after.tolist(),
            f"{name} après un pas",
            rel=1e-6,
            near=1e-9,
            likely=[
                (before.tolist(), "Il n'a pas bougé : il lui faut son couple."),
                ((2 * before - after).tolist(), "Il a monté la pente : retranchez le gradient."),
                ((before + (after - before) / rate).tolist(), "Le taux n'est pas appliqué."),
            ],
        )
    got, history, _ = _train(learner, draw, 4)
    close(got["w"], history[-1][1].tolist(), "W après quatre pas", rel=1e-6, near=1e-9)


@check("q4", points=0.5, **_Q4)
def step_counts_itself(learner, draw):
    "Le compteur avance d’un à chaque appel"
    steps = draw.randint(3, 6)
    got, _, _ = _train(learner, draw, steps)
    equal(
        got["count"],
        steps,
        "le compteur",
        likely=[(0, "Il n'a pas bougé : c'est une variable partagée comme une autre.")],
    )


# q5 -------------------------------------------------------------------------------------------

_Q5 = dict(
    hints=(
        "Les nouvelles valeurs sont toutes calculées avec les anciennes, puis toutes écrites : il "
        "n'y a besoin d'aucune variable provisoire.",
        "`engine.function([], [], updates=[(u, ...), (v, ...)])` : que faut-il à la place des "
        "points ?",
    ),
    review="8. Compiler : quatre fonctions, un seul graphe",
)


def _swap(learner, first, second):
    got = learner.run(
        probe("swap"),
        Own("echange"),
        first,
        second,
        shown=f"echange(u, v), avec u = {first} et v = {second}",
    )
    expect(
        got["start"] == [first, second],
        "les valeurs ont changé avant le premier appel : compilez la mise à jour, sans l'exécuter.",
    )
    return got


@check("q5", points=1, **_Q5)
def one_call_swaps(learner, draw):
    "Un appel échange deux vecteurs, puis deux de longueurs différentes"
    for lengths in ((3, 3), (2, 4)):
        u, v = (decimals(draw, length) for length in lengths)
        equal(
            _swap(learner, u, v)["once"],
            [v, u],
            "[u, v] après un appel",
            likely=[
                ([u, v], "Rien n'a bougé : il faut deux mises à jour, `u` reçoit `v` et "
                 "`v` reçoit `u`."),
                ([v, v], "`u` a été copiée, mais `v` n'a rien reçu."),
                ([u, u], "`v` a été copiée, mais `u` n'a rien reçu."),
            ],
        )  # fmt: skip


@check("q5", points=1, **_Q5)
def calls_swap_current_values(learner, draw):
    "Deux appels ramènent au départ, et un changement de valeur est suivi"
    u, v = decimals(draw, 3), decimals(draw, 3)
    got = _swap(learner, u, v)
    equal(got["twice"], [u, v], "[u, v] après deux appels")
    equal(
        got["changed"],
        [v, [9.0, 8.0]],
        "[u, v] après u.set_value([9, 8]), puis un appel",
        likely=[([v, u], "L'ancienne valeur de u a été gravée dans la fonction : employez `u` "
                 "elle-même.")],
    )  # fmt: skip
