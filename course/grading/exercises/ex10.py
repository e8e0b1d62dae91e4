"""Exercice 10, du BLAS au GPU : vérifications publiques.

Quatre questions : `plancher_produit` (q1), puis trois noyaux, `mon_noyau` (q2), `somme_du_bloc`
(q3), `produit_tuile` (q4). Les sondes de `probes10` lancent les noyaux dans le simulateur du
moteur : un indice hors des bornes y est une erreur, et une barrière oubliée, une course.
"""

import numpy as np

from course.grading.checks import Exercise, close, decimals, expect
from course.grading.exercises.probes10 import POISON
from course.grading.learner import Own

exercise = Exercise("10_du_blas_au_gpu")
check, verifier, probe = exercise.check, exercise.verifier, exercise.probe

_FLOAT32 = dict(rel=1e-4, near=1e-4)
THREADS, TILE = 8, 2  # FILS et TUILE dans le carnet


def _never_written(got):
    """Les rangs de la sortie où rien n’a été écrit."""
    counts = np.ravel(got["ecritures"])
    return [int(rank) for rank in np.flatnonzero(counts == 0)]


# q1 -------------------------------------------------------------------------------------------

_Q1 = dict(
    hints=(
        "Deux durées : les opérations divisées par leur débit, les octets divisés par le leur. Le "
        "plancher est la plus longue.",
        "2·m·k·n opérations (une multiplication et une addition à chaque fois) ; m·k + k·n + m·n "
        "nombres, de 4 octets chacun.",
    ),
    review="Le plancher",
)


def _floor(learner, m, k, n, operations, octets):
    got = learner.plancher_produit(m, k, n, operations, octets)
    numbers = m * k + k * n + m * n
    compute, move = 2 * m * k * n / operations, 4 * numbers / octets
    close(
        got,
        max(compute, move),
        rel=1e-6,
        near=0,
        likely=[
            (compute + move, "C'est la somme : les deux se font en même temps, prenez la plus "
             "longue des deux."),
            (min(compute, move), "C'est la plus courte des deux : c'est la plus longue qui tient."),
            (max(compute / 2, move), "Une multiplication et une addition font deux opérations."),
            (max(compute, move / 4), "Un nombre en `float32` occupe quatre octets."),
            (max(compute / 2, move / 4), "Deux opérations par produit, et quatre octets par "
             "nombre."),
            (max(compute, 4 * (m * k + k * n) / octets), "Il faut aussi écrire la sortie."),
            (max(compute, 4 * 2 * m * k * n / octets), "Ce sont les lectures du produit naïf : au "
             "mieux, chaque nombre ne se déplace qu'une fois."),
        ],
    )  # fmt: skip


@check("q1", points=1, **_Q1)
def floor_of_computing(learner, draw):
    "De grandes matrices carrées : le calcul décide"
    side = draw.choice((512, 768, 1024))
    _floor(learner, side, side, side, draw.choice((1e10, 2e10)), draw.choice((1e10, 3e10)))


@check("q1", points=1, **_Q1)
def floor_of_memory(learner, draw):
    "Un vecteur par une matrice : la mémoire décide"
    k, n = draw.choice((500, 800)), draw.choice((300, 1000))
    _floor(learner, 1, k, n, draw.choice((1e11, 2e11)), draw.choice((1e10, 3e10)))


# q2 -------------------------------------------------------------------------------------------

_Q2 = dict(
    hints=(
        "`i = cuda.grid(1)` donne au fil son numéro dans toute la grille ; il s'occupe de "
        "l'élément `i`.",
        "Les fils en trop ne doivent toucher à rien : tout le reste va sous "
        "`if i < sortie.size:`.",
    ),
    review="Des milliers de petits calculateurs",
)


def _map_checked(learner, draw, size, block, blocks=None):
    x, y, a = decimals(draw, size, bound=2), decimals(draw, size, bound=2), decimals(draw, bound=2)
    count = blocks or -(-size // block)
    got = learner.run(
        probe("map_run"),
        Own("mon_noyau"),
        x,
        y,
        a,
        block,
        blocks,
        shown=f"mon_noyau[{count}, {block}](sortie, x, y, {a}), avec {size} éléments",
    )
    missing = _never_written(got)
    expect(not missing, f"rien n'est écrit aux rangs {missing[:6]} de la sortie.")
    x, y = np.array(x), np.array(y)
    right = np.maximum(a * x + y, 0)
    close(
        got["sortie"],
        right.tolist(),
        "la sortie",
        **_FLOAT32,
        likely=[
            ((a * x + y).tolist(), "Il manque le maximum avec 0."),
            (np.maximum(a * x, 0).tolist(), "Il manque `y`."),
            (np.maximum(x + y, 0).tolist(), "Il manque le facteur `a`."),
            ((a * np.maximum(x, 0) + y).tolist(), "Le maximum se prend sur toute la somme."),
            (np.minimum(a * x + y, 0).tolist(), "C'est le minimum : on garde le positif."),
        ],
    )
    expect(not got["courses"], f"une course : {(got['courses'] or [''])[0]}.")
    return got


@check("q2", points=1, **_Q2)
def map_in_one_block(learner, draw):
    "Un seul bloc, un fil par élément"
    size = draw.randint(4, 8)
    _map_checked(learner, draw, size, size)


@check("q2", points=1, **_Q2)
def map_in_many_blocks(learner, draw):
    "Plusieurs blocs, qui tombent juste ; chaque fil ne fait que sa part"
    block, blocks = draw.randint(3, 5), draw.randint(2, 4)
    got = _map_checked(learner, draw, block * blocks, block)
    expect(
        got["par_fil"] <= 2,
        f"un fil a lu {got['par_fil']} nombres : il lui en faut un de `x` et un de `y`, puisque "
        "chacun n'a qu'un élément à faire.",
    )


@check("q2", points=1, **_Q2)
def map_with_a_guard(learner, draw):
    "Plus de fils que d’éléments : ceux qui dépassent ne touchent à rien"
    block = draw.randint(4, 6)
    _map_checked(learner, draw, 2 * block + draw.randint(1, block - 1), block)
    _map_checked(learner, draw, draw.randint(1, 3), 4, blocks=3)


# q3 -------------------------------------------------------------------------------------------

_Q3 = dict(
    hints=(
        "Trois temps : chaque fil additionne pour lui `x[t]`, `x[t + FILS]`, … ; il range sa somme "
        "en mémoire partagée ; après une barrière, on additionne les sommes.",
        "`for i in range(t, x.size, FILS)` parcourt la part du fil `t`. Pour finir, un arbre avec "
        "une barrière par étage, ou plus simplement le fil 0 qui additionne tout.",
    ),
    review="Se mettre à plusieurs : la réduction",
)


def _reduction_checked(learner, draw, size):
    x = [round(draw.uniform(0.5, 2), 2) for _ in range(size)]
    got = learner.run(
        probe("reduction_run"),
        Own("somme_du_bloc"),
        x,
        THREADS,
        shown=f"somme_du_bloc[1, {THREADS}](sortie, x), avec {size} éléments",
    )
    by_thread, together = got
    missing = _never_written(by_thread)
    expect(not missing, "rien n'est écrit dans `sortie[0]`.")
    races = by_thread["courses"] or together["courses"]
    race = f" Course : {races[0]}. Une barrière manque-t-elle ?" if races else ""
    first = [sum(x[:THREADS]), sum(x[: size - size % THREADS])]
    values = by_thread["sortie"][0], together["sortie"][0]
    expect(
        all(value == value for value in values),
        "la somme est `nan` : un fil a lu une case de la mémoire partagée où rien n'était encore "
        f"écrit.{race}",
    )
    likely = [
        (POISON + sum(x), "Vous ajoutez à ce que `sortie[0]` contenait : écrivez-le."),
        (x[0], "C'est le premier élément."),
    ]
    if size > THREADS:
        likely += [
            (first[0], "Seuls les premiers éléments sont comptés : un fil a plusieurs éléments."),
            (first[1], "Les derniers éléments, qui ne remplissent pas un tour, manquent."),
            (sum(x[::THREADS]), "C'est la somme du fil 0 : il manque celles des autres."),
        ]
    expect(
        abs(values[0] - values[1]) < 1e-3,
        f"la somme dépend de l’ordre des fils : {values[0]:g} s’ils passent l’un après l’autre, "
        f"{values[1]:g} du même pas.{race}",
    )
    for value in values:
        close(value, sum(x), "la somme", **_FLOAT32, likely=likely)
    expect(not races, f"la somme est juste dans cet ordre, mais il y a une course.{race}")
    return by_thread


@check("q3", points=1, **_Q3)
def reduction_of_one_round(learner, draw):
    "Autant d’éléments que de fils : la somme est juste, quel que soit l’ordre des fils"
    _reduction_checked(learner, draw, THREADS)


@check("q3", points=1, **_Q3)
def reduction_of_any_length(learner, draw):
    "Moins d’éléments que de fils, ou davantage"
    _reduction_checked(learner, draw, draw.randint(1, THREADS - 1))
    _reduction_checked(learner, draw, THREADS * draw.randint(2, 3) + draw.randint(1, THREADS - 1))


@check("q3", points=1, **_Q3)
def reduction_shares_the_work(learner, draw):
    "Le travail est partagé : aucun fil ne lit plus que sa part"
    rounds = draw.randint(3, 5)
    got = _reduction_checked(learner, draw, THREADS * rounds)
    expect(
        got["par_fil"] == rounds,
        f"un fil a lu {got['par_fil']} éléments de `x` ; à {THREADS}, chacun en lit {rounds}.",
    )


# q4 -------------------------------------------------------------------------------------------

_Q4 = dict(
    hints=(
        "Pour chaque tuile : apporter un élément de `a` et un de `b`, barrière, `TUILE` "
        "multiplications-additions dans la mémoire partagée, barrière.",
        "Aux bords, un fil qui dépasse apporte 0 et reste pour les barrières : la garde ne protège "
        "que ses lectures et son écriture finale. La tuile de `a` qui commence en `debut` : "
        "`a[i, debut + colonne]`, si `i < a.shape[0]` et `debut + colonne < a.shape[1]`.",
    ),
    review="Des tuiles",
)


def _product_checked(learner, draw, m, k, n):
    a, b = decimals(draw, m, k, bound=2), decimals(draw, k, n, bound=2)
    got = learner.run(
        probe("product_run"),
        Own("produit_tuile"),
        a,
        b,
        TILE,
        shown=f"produit_tuile(c, a, b), a de forme ({m}, {k}), b de forme ({k}, {n})",
    )
    missing = _never_written(got)
    expect(not missing, f"rien n'est écrit aux rangs {missing[:6]} de `c` mis à plat.")
    race = f" Course : {got['courses'][0]}." if got["courses"] else ""
    values = np.array(got["sortie"])
    expect(
        not np.isnan(values).any(),
        "`c` contient `nan` : un fil a lu une case de la mémoire partagée où rien n'était encore "
        f"écrit.{race}",
    )
    a, b = np.array(a), np.array(b)
    likely = [(np.einsum("ik,kj->ij", a[:, -TILE:], b[-TILE:]).tolist(), "Seule la dernière tuile "
               "compte : additionnez-les."),
              (np.einsum("ik,kj->ij", a[:, :TILE], b[:TILE]).tolist(), "Seule la première tuile "
               "compte : avancez de tuile en tuile.")]  # fmt: skip
    whole = k // TILE * TILE
    if 0 < whole < k:
        likely.append(((a[:, :whole] @ b[:whole]).tolist(), "La dernière tuile, incomplète, est "
                       "oubliée."))  # fmt: skip
    close(got["sortie"], (a @ b).tolist(), "c", **_FLOAT32, likely=likely)
    expect(not got["courses"], f"le produit est juste dans cet ordre, mais il y a une course.{race}")
    return got


@check("q4", points=1, **_Q4)
def product_of_whole_tiles(learner, draw):
    "Des matrices que les tuiles couvrent exactement"
    _product_checked(learner, draw, TILE * draw.randint(1, 2), TILE * 2, TILE * 2)
    _product_checked(learner, draw, TILE * 2, TILE * draw.randint(1, 2), TILE)


@check("q4", points=1, **_Q4)
def product_with_ragged_borders(learner, draw):
    "Des bords qui ne tombent pas juste, dans les trois sens"
    _product_checked(learner, draw, 3, 4, draw.choice((3, 5)))
    _product_checked(learner, draw, 2, draw.choice((3, 5)), 2)
    _product_checked(learner, draw, draw.choice((1, 3)), draw.choice((1, 3)), 1)


@check("q4", points=2, **_Q4)
def product_spares_reads(learner, draw):
    "La mémoire globale est lue une fois par tuile, et sans course"
    m, k, n = (TILE * draw.randint(2, 3) for _ in range(3))
    got = _product_checked(learner, draw, m, k, n)
    naive, tiled = 2 * m * k * n, 2 * m * k * n // TILE
    expect(
        got["lectures"] <= tiled,
        f"{got['lectures']} lectures en mémoire globale ; le produit naïf en fait {naive}, et des "
        f"tuiles de {TILE} suffisent avec {tiled}. Passez par la mémoire partagée.",
    )
