"""Exercice 09, le LSTM : vérifications publiques.

Cinq questions : `perte_masquee` (q1), `temperer` (q2), `orthogonale` (q3), `borner` (q4),
`un_pas_couple` (q5). Les sondes de `probes09` compilent et tirent chez l’élève ; seuls des nombres
reviennent. Les réponses essayées, justes et fausses, sont dans `tests/course/grading/answers/ex09.py`.
"""

import numpy as np

from course.grading.checks import Exercise, close, decimals, equal, expect
from course.grading.learner import Own

exercise = Exercise("09_lstm")
check, verifier, probe = exercise.check, exercise.verifier, exercise.probe

_FLOAT32 = dict(rel=1e-4, near=1e-5)  # de la place pour le calcul en float32


def _probabilities(draw, *shape):
    """Des probabilités sur le dernier axe."""
    if len(shape) > 1:
        return [_probabilities(draw, *shape[1:]) for _ in range(shape[0])]
    parts = [draw.uniform(0.05, 1) for _ in range(shape[0])]
    return [round(part / sum(parts), 4) for part in parts]


# q1 -------------------------------------------------------------------------------------------

_Q1 = dict(
    hints=(
        "Réunissez le temps et le lot : `p.reshape((-1, p.shape[2]))`, `cibles.flatten()`, "
        "`masque.flatten()`. Vous voilà devant la matrice de la leçon 06.",
        "Pour chaque ligne, le logarithme de la bonne colonne ; multipliez par le masque, "
        "additionnez, et divisez par la somme du masque.",
    ),
    review="Des suites de toutes longueurs",
)


def _batch(draw, lengths, characters):
    """(p, cibles, masque) d’un lot de suites de ces longueurs ; le bord a des cibles nulles."""
    steps = max(lengths)
    mask = [[1.0 if t < n else 0.0 for n in lengths] for t in range(steps)]
    targets = [[draw.randrange(1, characters) if m else 0 for m in row] for row in mask]
    return _probabilities(draw, steps, len(lengths), characters), targets, mask


def _chosen(p, targets):
    return np.take_along_axis(np.array(p), np.array(targets)[:, :, None], axis=2)[:, :, 0]


def _masked_loss(learner, p, targets, mask):
    m, logs = np.array(mask), np.log(_chosen(p, targets))
    expected = -float((logs * m).sum() / m.sum())
    got = learner.run(probe("masked_loss_value"), Own("perte_masquee"), p, targets, mask)
    close(
        got,
        expected,
        **_FLOAT32,
        likely=[
            (-expected, "Le signe est à changer : on veut un coût, à rendre petit."),
            (-float(logs.mean()), "Le bord compte : multipliez par le masque."),
            (-float((logs * m).mean()), "Divisez par la somme du masque, pas par toutes les cases."),
            (-float((logs * m).sum()), "C'est la somme : divisez-la par la somme du masque."),
            (
                -float((logs * m).sum() / m.shape[1]),
                "Vous divisez par le nombre de suites : divisez par celui des caractères vrais.",
            ),
            (
                -float(((logs * m).sum(axis=0) / m.sum(axis=0)).mean()),
                "Vous moyennez suite par suite : chaque caractère vrai doit peser autant.",
            ),
            (expected / np.log(2), "C'est en bits : cette question demande des nats."),
        ],
    )


@check("q1", points=1, **_Q1)
def loss_without_padding(learner, draw):
    "Des suites de même longueur : la moyenne sur tous les caractères"
    _masked_loss(learner, *_batch(draw, [1], 3))
    _masked_loss(learner, *_batch(draw, [3, 3], 4))


@check("q1", points=1, **_Q1)
def loss_with_padding(learner, draw):
    "Des suites de longueurs différentes : le bord ne compte pas"
    _masked_loss(learner, *_batch(draw, [4, 1, 2], 3))
    _masked_loss(learner, *_batch(draw, [2, 6], 5))


@check("q1", points=1, **_Q1)
def loss_is_differentiable(learner, draw):
    "On peut la dériver : le bord ne reçoit aucun gradient"
    p, targets, mask = _batch(draw, [3, 1], 3)
    expected = np.zeros(np.shape(p))
    chosen, total = _chosen(p, targets), np.sum(mask)
    for t, k in np.argwhere(mask):
        expected[t, k, targets[t][k]] = -1 / (total * chosen[t, k])
    got = learner.run(
        probe("masked_loss_gradient"),
        Own("perte_masquee"),
        p,
        targets,
        mask,
        shown=f"grad(perte_masquee(p, cibles, masque), p), masque = {mask}",
    )
    close(got, expected.tolist(), "le gradient", **_FLOAT32)


# q2 -------------------------------------------------------------------------------------------

_Q2 = dict(
    hints=(
        "Passez d'abord en double précision : `p.astype('float64')`. Puis les logarithmes, divisés "
        "par la température.",
        "Avant l'exponentielle, retranchez le plus grand : `np.exp(logs - logs.max())` ne peut "
        "plus s'annuler partout. Enfin, divisez par la somme.",
    ),
    review="Faire écrire",
)


def _tempered(learner, p, temperature):
    got = learner.run(
        probe("tempered"),
        Own("temperer"),
        p,
        temperature,
        shown=f"temperer({p}, {temperature})",
    )
    expect(got["intact"], "la fonction a modifié `p` : calculez sur une copie.")
    return got


@check("q2", points=1, **_Q2)
def temperature_sharpens(learner, draw):
    "Froid, le plus probable l’emporte ; chaud, les écarts se réduisent"
    for temperature in (0.5, 1.0, draw.choice((1.5, 2.0, 3.0))):
        p = _probabilities(draw, draw.randint(3, 5))
        q = np.array(p)
        right = q ** (1 / temperature) / (q ** (1 / temperature)).sum()
        likely = (
            (q ** (1 / temperature), "Il manque la division par la somme."),
            ((q / q.max()) ** (1 / temperature), "Il manque la division par la somme."),
            (q**temperature / (q**temperature).sum(), "La température est à l'envers."),
            (
                np.exp(q / temperature) / np.exp(q / temperature).sum(),
                "Divisez les logarithmes des probabilités, pas les probabilités.",
            ),
            (q / temperature, "Divisez les logarithmes des probabilités, pas les probabilités."),
        )
        close(
            _tempered(learner, p, temperature)["p"],
            right.tolist(),
            rel=1e-5,
            near=1e-6,
            likely=[(value.tolist(), text) for value, text in likely],
        )


@check("q2", points=1, **_Q2)
def temperature_sums_to_one(learner, draw):
    "La somme vaut 1 à la précision de float64"
    got = _tempered(learner, _probabilities(draw, 40), draw.choice((0.7, 1.0, 1.3)))
    equal(got["dtype"], "float64", "le dtype")
    close(float(np.sum(got["p"])), 1.0, "la somme", rel=1e-13)


@check("q2", points=1, **_Q2)
def temperature_near_zero(learner, draw):
    "Très froid, ou avec une probabilité nulle : pas de division par zéro"
    n = draw.randint(150, 200)
    flat = [1 / n] * n
    got = _tempered(learner, flat, 0.005)["p"]
    expect(
        bool(np.isfinite(got).all()),
        f"{n} probabilités égales, température 0,005 : toutes les puissances tombent à zéro, et "
        "zéro divisé par zéro n'est pas un nombre.",
    )
    close(got, flat, rel=1e-5, near=1e-9)
    close(_tempered(learner, [0.75, 0.25, 0.0], 1.0)["p"], [0.75, 0.25, 0.0], **_FLOAT32)


# q3 -------------------------------------------------------------------------------------------

_Q3 = dict(
    hints=(
        "Tirez une matrice au hasard : `hasard.normal(size=(n, n))`. Ses colonnes ne sont pas "
        "encore orthogonales.",
        "`np.linalg.qr` rend deux matrices ; la première, `q`, est orthogonale.",
    ),
    review="Bien partir : des matrices orthogonales",
)


def _drawn(learner, n, seeds):
    return learner.run(
        probe("drawn_matrices"),
        Own("orthogonale"),
        n,
        list(seeds),
        shown=f"orthogonale({n}, default_rng({seeds[0]}))",
    )


@check("q3", points=1, **_Q3)
def matrix_keeps_lengths(learner, draw):
    "Aucune longueur ne change : QᵀQ est l’identité"
    n = draw.randint(5, 9)
    matrix = np.array(_drawn(learner, n, [draw.randrange(1000)])[0])
    equal(list(matrix.shape), [n, n], "la forme")
    vector = np.array(decimals(draw, n))
    for name, image in (("Q v", matrix @ vector), ("v Q", vector @ matrix)):
        before, after = float(np.linalg.norm(vector)), float(np.linalg.norm(image))
        close(after, before, f"la longueur de {name}, avec v = {vector.tolist()}", **_FLOAT32)
    close((matrix.T @ matrix).tolist(), np.eye(n).tolist(), "QᵀQ", **_FLOAT32)


@check("q3", points=1, **_Q3)
def matrix_is_drawn(learner, draw):
    "Elle est tirée au hasard, et du générateur reçu"
    n, seed = draw.randint(6, 9), draw.randrange(1000)
    first, again, other = _drawn(learner, n, [seed, seed, seed + 1])
    expect(
        first == again,
        "la même graine n'a pas redonné la même matrice : tirez de `hasard`, et de lui seul.",
    )
    expect(first != other, "deux graines ont donné la même matrice : tirez-la de `hasard`.")
    largest = float(np.abs(first).max(axis=0).min())
    expect(
        largest < 0.999,
        "elle ne fait que ranger autrement les coordonnées : tirez une matrice qui les mélange.",
    )


# q4 -------------------------------------------------------------------------------------------

_Q4 = dict(
    hints=(
        "La norme est celle de **tous** les gradients mis bout à bout : "
        "`T.sqrt(sum(T.sum(g**2) for g in gradients))`.",
        "Le facteur commun est `borne / T.maximum(norme, borne)` : il vaut 1 tant que la norme est "
        "petite, et ne divise jamais par zéro.",
    ),
    review="Le modèle entier",
)


def _norm(gradients):
    return float(np.sqrt(sum((np.array(g) ** 2).sum() for g in gradients)))


def _clipped(learner, gradients, bound):
    got = learner.run(
        probe("clipped"),
        Own("borner"),
        gradients,
        bound,
        shown=f"borner({gradients}, {bound})",
    )
    expect(len(got) == len(gradients), "il faut rendre autant de gradients qu'on en reçoit.")
    return got


def _gradients(draw):
    return [decimals(draw, 2, 3), decimals(draw, 3), decimals(draw, 2, 2)]


@check("q4", points=1, **_Q4)
def clipping_leaves_small_ones(learner, draw):
    "Sous la borne, rien ne change ; des gradients nuls restent nuls"
    gradients = _gradients(draw)
    bound = round(2 * _norm(gradients), 2)
    always = "Vous ramenez toujours à la borne : ne touchez pas aux gradients assez petits."
    for value, before in zip(_clipped(learner, gradients, bound), gradients, strict=True):
        scaled = (np.array(before) * bound / _norm(gradients)).tolist()
        close(value, before, **_FLOAT32, likely=[(scaled, always)])
    for value, zeros in zip(
        _clipped(learner, [[0.0, 0.0], [0.0]], 1.0), [[0.0, 0.0], [0.0]], strict=True
    ):
        expect(bool(np.isfinite(value).all()), "zéro divisé par zéro n'est pas un nombre.")
        close(value, zeros)


@check("q4", points=2, **_Q4)
def clipping_keeps_the_direction(learner, draw):
    "Au-dessus, tous sont réduits du même facteur, et la norme vaut la borne"
    gradients = [(10 * np.array(g)).round(1).tolist() for g in _gradients(draw)]
    bound = draw.choice((0.5, 2.0, 3.0))
    norm = _norm(gradients)
    for value, before in zip(_clipped(learner, gradients, bound), gradients, strict=True):
        g = np.array(before)
        likely = (
            (g, "Il n'a pas changé : la norme de l'ensemble dépasse pourtant la borne."),
            (np.clip(g, -bound, bound), "Vous bornez chaque nombre : la direction change."),
            (
                g * bound / _norm([before]),
                "Vous bornez chaque gradient à part : la norme est celle de tous ensemble.",
            ),
            (g / norm, "C'est une norme de 1 : multipliez aussi par la borne."),
            (g * bound / norm**2, "Il manque la racine carrée dans la norme."),
        )
        close(
            value,
            (g * bound / norm).tolist(),
            **_FLOAT32,
            likely=[(mistake.tolist(), text) for mistake, text in likely],
        )


# q5 -------------------------------------------------------------------------------------------

_Q5 = dict(
    hints=(
        "Reprenez `un_pas` de la leçon, avec trois blocs : `i, o, g = (tout[:, k * n : (k + 1) * n] "
        "for k in range(3))`. La porte d'oubli n'a plus de bloc à elle.",
        "`i = T.nnet.sigmoid(i)`, puis `c = (1 - i) * c + i * T.nnet.softsign(g)` ; la sortie est "
        "`T.nnet.sigmoid(o) * T.nnet.softsign(c)`.",
    ),
    review="Une cellule qui se souvient",
)


def _softsign(x):
    return x / (1 + np.abs(x))


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _cell(rows, h, c, U, shape=_softsign, swapped=False, order=(0, 1, 2)):
    """Les histoires de h et de c ; les options sont les erreurs classiques."""
    U, hs, cs = np.array(U), [], []
    for row in np.array(rows):
        blocks = np.split(row + h @ U, 3, axis=1)
        i, o, g = _sigmoid(blocks[order[0]]), _sigmoid(blocks[order[1]]), blocks[order[2]]
        keep, write = (i, 1 - i) if swapped else (1 - i, i)
        c = keep * c + write * shape(g)
        h = o * shape(c)
        hs.append(h)
        cs.append(c)
    return np.array(hs), np.array(cs)


def _cell_data(draw, steps, examples, n):
    scaled = (3 * np.array(decimals(draw, steps, examples, 3 * n))).round(2).tolist()
    return (
        decimals(draw, n, 3 * n),
        scaled,
        decimals(draw, examples, n),
        decimals(draw, examples, n),
    )


def _cells(learner, draw, steps, examples, n):
    U, rows, h, c = _cell_data(draw, steps, examples, n)
    got = learner.run(
        probe("cell_steps"),
        Own("un_pas_couple"),
        U,
        rows,
        h,
        c,
        shown=f"un_pas_couple(projete, h, c, U), projete = {rows}, h = {h}, c = {c}, U = {U}",
    )
    expect(isinstance(got, list) and len(got) == 2, "il faut rendre deux états, h puis c.")
    start = np.array(h), np.array(c), U
    mistakes = (
        (_cell(rows, *start, shape=np.tanh), "C'est tanh : la question demande softsign."),
        (
            _cell(rows, *start, swapped=True),
            "La porte est à l'envers : i dit ce que l'on écrit, 1 − i ce que l'on garde.",
        ),
        (_cell(rows, *start)[::-1], "Les deux états sont échangés : rendez h, puis c."),
        (_cell(rows, *start, order=(1, 0, 2)), "L'ordre des blocs est i, o, g."),
    )
    right = _cell(rows, *start)
    for rank, name in ((1, "la cellule c"), (0, "l'état h")):
        likely = [(mistake[rank].tolist(), text) for mistake, text in mistakes]
        close(got[rank], right[rank].tolist(), name, **_FLOAT32, likely=likely)


@check("q5", points=1, **_Q5)
def one_coupled_step(learner, draw):
    "Un tour, une suite, une unité"
    _cells(learner, draw, 1, 1, 1)


@check("q5", points=2, **_Q5)
def many_coupled_steps(learner, draw):
    "Plusieurs tours de scan, un lot, plusieurs unités"
    _cells(learner, draw, 4, 3, 2)
    _cells(learner, draw, 2, 1, 5)
