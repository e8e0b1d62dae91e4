"""Exercice 08, les boucles et scan : vérifications publiques.

Quatre questions : `lissage` (q1), `oscillateur` (q2), `heron` (q3), `effet_de_w` (q4). Les trois
premières rendent des expressions : les sondes de `probes08` les compilent chez l’élève, et seuls
des nombres reviennent. Les réponses essayées, justes et fausses, sont dans
`tests/course/grading/answers/ex08.py`.
"""

import math

from course.grading.checks import Exercise, close, expect
from course.grading.learner import Own

exercise = Exercise("08_boucles_scan")
check, verifier, probe = exercise.check, exercise.verifier, exercise.probe


def _values(draw, count):
    return [round(draw.uniform(0.5, 3), 2) * draw.choice((-1, 1)) for _ in range(count)]


# q1 -------------------------------------------------------------------------------------------

_Q1 = dict(
    hints=(
        "La suite x se lit un élément par tour : c'est une séquence. m passe d'un tour au "
        "suivant : c'est un état, qui part de 0.",
        "`engine.scan(un_tour, sequences=x, outputs_info=T.constant(0.0), non_sequences=alpha)` ; "
        "`un_tour(v, m, alpha)` rend la nouvelle valeur de m. Ne rendez que les sorties.",
    ),
    review="Lire une suite",
)


def _smoothed(x, alpha, m=0.0):
    rows = []
    for value in x:
        m = alpha * m + (1 - alpha) * value
        rows.append(m)
    return rows


def _smoothing(learner, x, alpha, **options):
    close(learner.run(probe("smoothing_values"), Own("lissage"), x, alpha), _smoothed(x, alpha),
          **options)  # fmt: skip


@check("q1", points=1, **_Q1)
def smoothing_of_three(learner, draw):
    "Trois valeurs : un peu de mémoire, un peu de nouveau"
    x, alpha = _values(draw, 3), draw.choice((0.6, 0.7, 0.8, 0.9))
    running = [sum(x[: t + 1]) for t in range(3)]
    likely = [
        (_smoothed(x, 1 - alpha), "alpha multiplie la mémoire m, et 1 − alpha la valeur lue."),
        (_smoothed(x, alpha, x[0]), "m part de 0, pas de la première valeur lue."),
        ([(1 - alpha) * v for v in x], "m n'est pas portée d'un tour au suivant."),
        (running, "C'est la somme cumulée : il manque alpha et 1 − alpha."),
    ]
    _smoothing(learner, x, alpha, likely=likely)


@check("q1", points=1, **_Q1)
def smoothing_of_any_length(learner, draw):
    "Des suites d’autres longueurs, d’autres alpha"
    for length in (1, draw.randint(4, 8), draw.randint(20, 40)):
        _smoothing(learner, _values(draw, length), round(draw.uniform(0.1, 0.9), 2))


@check("q1", points=1, **_Q1)
def smoothing_can_be_derived(learner, draw):
    "On peut la dériver : plus une valeur est ancienne, moins elle pèse"
    x, alpha = _values(draw, draw.randint(4, 7)), round(draw.uniform(0.3, 0.9), 2)
    expected = [(1 - alpha) * alpha ** (len(x) - 1 - t) for t in range(len(x))]
    got = learner.run(probe("smoothing_gradient"), Own("lissage"), x, alpha)
    close(got, expected, "l'effet de chaque valeur sur la dernière")


# q2 -------------------------------------------------------------------------------------------

_Q2 = dict(
    hints=(
        "L'état regarde deux tours en arrière : `dict(initial=depart, taps=[-2, -1])`.",
        "Avec `taps=[-2, -1]`, la fonction du pas reçoit d'abord l'avant-dernier terme, puis le "
        "dernier, puis c. Le nombre de tours n est symbolique : il va dans `n_steps`.",
    ),
    review="Regarder plus loin en arrière",
)


def _oscillation(start, c, n):
    terms = list(start)
    for _ in range(n):
        terms.append(c * terms[-1] - terms[-2])
    return terms[2:]


def _oscillate(learner, start, c, *counts):
    shown = f"oscillateur({start}, {c:.6g}, {' puis '.join(map(str, counts))})"
    return learner.run(
        probe("oscillator_values"), Own("oscillateur"), start, c, list(counts), shown=shown
    )


@check("q2", points=1, **_Q2)
def first_term(learner, draw):
    "Un seul tour : le terme qui suit les deux premiers"
    (before, last), c = draw.sample([0.5, 1.0, 2.0, 3.0, 5.0], 2), draw.choice((1.5, 2.5, 4.0))
    close(
        _oscillate(learner, [before, last], c, 1)[0],
        [c * last - before],
        likely=[
            ([c * before - last], "Les deux termes sont échangés : c multiplie le plus récent."),
            ([c * last + before], "Le terme d'avant se retranche."),
            ([c * last], "Il manque le terme d'encore avant."),
            ([before, last, c * last - before], "Les deux termes de départ ne sont pas à rendre."),
        ],
    )


@check("q2", points=1, **_Q2)
def several_terms(learner, draw):
    "Plusieurs tours, dans l’ordre"
    for _ in range(3):
        start, c, n = _values(draw, 2), round(draw.uniform(-1.9, 1.9), 2), draw.randint(4, 9)
        close(_oscillate(learner, start, c, n)[0], _oscillation(start, c, n), near=1e-9)


@check("q2", points=1, **_Q2)
def cosine_without_cosine(learner, draw):
    "Une seule fonction compilée, plusieurs n : avec c = 2 cos θ, elle rend cos 2θ, cos 3θ…"
    angle, counts = round(draw.uniform(0.2, 1.2), 2), (2, draw.randint(5, 9), 20)
    rows = _oscillate(learner, [1.0, math.cos(angle)], 2 * math.cos(angle), *counts)
    for row, n in zip(rows, counts, strict=True):
        close(row, [math.cos((t + 2) * angle) for t in range(n)], f"pour n = {n}", near=1e-9)


# q3 -------------------------------------------------------------------------------------------

_LIMIT = 50
_Q3 = dict(
    hints=(
        "La fonction du pas rend deux choses : la nouvelle valeur de r, et `until(condition)`.",
        "Calculez d'abord `r = (r + a / r) / 2`, puis rendez "
        "`r, until(abs(r**2 - a) <= precision * a)` : la condition porte sur la nouvelle valeur. "
        "Sans séquence, `n_steps=50` dit le nombre de tours à ne pas dépasser.",
    ),
    review="S’arrêter au bon moment",
)


def _approximations(a, precision):
    values = [a]
    while True:
        values.append((values[-1] + a / values[-1]) / 2)
        if abs(values[-1] ** 2 - a) <= precision * a:
            return values[1:]


def _case(draw, low=2.0, high=50.0, *, telling=False):
    """Un nombre et une précision tels que l’arrondi ne puisse changer le tour de l’arrêt.

    `telling` : et que la précision absolue ne donne pas le même tour que la précision relative.
    """
    while True:
        a = round(math.exp(draw.uniform(math.log(low), math.log(high))), 3)
        precision = 10.0 ** -draw.randint(2, 9)
        gaps = [abs(r * r - a) / precision for r in _approximations(a, precision)]
        same = gaps[-1] <= 1 and all(gap > 1 for gap in gaps[:-1])
        if telling and same:
            continue
        if all(not 0.99 < gap / a < 1.01 for gap in gaps):
            return a, precision


def _approximate(learner, a, precision):
    got = learner.run(probe("heron_values"), Own("heron"), a, precision)
    right = isinstance(got, list) and got and all(isinstance(r, float) for r in got)
    expect(right, "j'attendais la suite des valeurs de r, un vecteur.")
    return got


@check("q3", points=1, **_Q3)
def root_is_found(learner, draw):
    "La dernière valeur est la racine carrée, à la précision demandée"
    a, precision = _case(draw)
    last = _approximate(learner, a, precision)[-1]
    close(last, math.sqrt(a), "la dernière valeur", rel=precision,
          likely=[(a, "C'est a : r n'a pas bougé.")])  # fmt: skip


@check("q3", points=1, **_Q3)
def stops_at_once(learner, draw):
    "La boucle s’arrête dès que la précision est atteinte, pas après"
    for _ in range(3):
        a, precision = _case(draw)
        got, wanted = _approximate(learner, a, precision), _approximations(a, precision)
        turns = len(got)
        why = f"Au tour {turns}, la précision n'était pas encore atteinte."
        if turns == _LIMIT:
            why = "La condition d'arrêt n'a jamais servi : `fn` rend-elle `until(...)` ?"
        elif turns > len(wanted):
            why = "Elle s'est arrêtée trop tard : la condition porte sur la nouvelle valeur de r."
        expect(
            turns == len(wanted),
            f"attendu `{len(wanted)}` valeur(s), obtenu `{turns}`. {why}",
        )


@check("q3", points=1, **_Q3)
def every_value_is_right(learner, draw):
    "Chaque valeur est juste, pour de petits et de grands nombres"
    for _ in range(4):
        a, precision = _case(draw, 0.01, 5000.0, telling=True)
        close(_approximate(learner, a, precision), _approximations(a, precision), "les valeurs")


# q4 -------------------------------------------------------------------------------------------

_Q4 = dict(
    hints=(
        "Remontez du dernier tour au premier, en gardant l'effet de l'état courant sur le dernier "
        "(il part de 1) et la somme des parts de w.",
        "Au tour t, la pente de tanh est `1 - h[t]**2`. La part de w est effet × pente × "
        "`h[t - 1]` ; puis l'effet est multiplié par pente × `w`.",
    ),
    review="Remonter les tours",
)


def _chain(draw, turns):
    w, h = round(draw.uniform(0.4, 1.6), 2) * draw.choice((-1, 1)), [round(draw.uniform(0.2, 0.9), 2)]
    for _ in range(turns):
        h.append(math.tanh(w * h[-1] + draw.uniform(-0.8, 0.8)))
    return w, h


def _effect(w, h):
    effect, total = 1.0, 0.0
    for t in range(len(h) - 1, 0, -1):
        slope = 1 - h[t] ** 2
        total += effect * slope * h[t - 1]
        effect *= slope * w
    return total


@check("q4", points=1, **_Q4)
def effect_of_one_turn(learner, draw):
    "Un seul tour : une seule part"
    w, h = _chain(draw, 1)
    slope = 1 - h[1] ** 2
    close(
        learner.effet_de_w(w, h),
        slope * h[0],
        likely=[
            (h[0], "Il manque la pente de tanh, `1 - h[t]**2`."),
            (slope * h[1], "w multiplie l'état d'avant : `h[t - 1]`, pas `h[t]`."),
            (slope * w, "C'est l'effet de l'état d'avant ; celui de w est à travers `h[t - 1]`."),
            ((1 - h[0] ** 2) * h[0], "La pente se prend à l'arrivée : `h[t]`, pas `h[t - 1]`."),
        ],
    )


@check("q4", points=1, **_Q4)
def effect_of_two_turns(learner, draw):
    "Deux tours : deux parts qui s’additionnent"
    w, h = _chain(draw, 2)
    first, last = 1 - h[1] ** 2, 1 - h[2] ** 2
    close(
        learner.effet_de_w(w, h),
        _effect(w, h),
        likely=[
            (last * h[1], "C'est la part du dernier tour seul : w sert aussi au premier."),
            (last * w * first * h[0], "C'est la part du premier tour seul : il y en a deux."),
            (last * h[1] + first * h[0], "La part du premier tour traverse aussi le second."),
            (last * h[1] + last * first * h[0], "En remontant, l'effet est aussi multiplié par w."),
            (last * h[1] + w * first * h[0], "En remontant, l'effet est aussi multiplié par la "
             "pente."),
        ],
    )  # fmt: skip


@check("q4", points=1, **_Q4)
def effect_of_many_turns(learner, draw):
    "Autant de tours qu’on veut, ou aucun"
    for turns in (0, 3, draw.randint(4, 9), 30):
        w, h = _chain(draw, turns)
        close(learner.effet_de_w(w, h), _effect(w, h))
