"""Exercice 05, l’approche modulaire : vérifications publiques.

Quatre questions : `poids_de_depart` (q1), `couche_a_porte` (q2), `inertie` (q3), `contribution`
(q4). Les sondes de `probes05` tirent, compilent et dérivent chez l’élève ; seuls des nombres
reviennent. Les réponses essayées, justes et fausses, sont dans `tests/course/grading/answers/ex05.py`.
"""

import math

import numpy as np

from course.grading.checks import Exercise, close, decimals, equal, expect
from course.grading.learner import Own

exercise = Exercise("05_approche_modulaire")
check, verifier, probe = exercise.check, exercise.verifier, exercise.probe


# q1 -------------------------------------------------------------------------------------------

_Q1 = dict(
    hints=(
        "La leçon donne la variance : 2 / (entrées + sorties) pour tanh, 2 / entrées pour relu. "
        "L'écart type en est la racine carrée.",
        "`generateur.normal(0, ecart_type, (n_in, n_out))`, où `ecart_type = math.sqrt(2 / n)` et "
        "`n` dépend de `activation`.",
    ),
    review="Des poids à la bonne échelle",
)


def _drawn(learner, n_in, n_out, activation, seed):
    return learner.run(
        probe("drawn_weights"),
        Own("poids_de_depart"),
        n_in,
        n_out,
        activation,
        seed,
        shown=f"poids_de_depart({n_in}, {n_out}, '{activation}', default_rng({seed}))",
    )


def _sizes(draw):
    return draw.randint(300, 400), draw.randint(60, 100)


def _scale(learner, draw, activation, variance):
    """Compare l’écart type des poids tirés à la racine de `variance(n_in, n_out)`."""
    n_in, n_out = _sizes(draw)
    got = _drawn(learner, n_in, n_out, activation, draw.randrange(1000))
    right = math.sqrt(variance(n_in, n_out))
    expect(
        abs(got["mean"]) < right / 10,
        f"la moyenne des poids vaut `{got['mean']:.3g}` : elle doit être voisine de zéro.",
    )
    close(
        got["std"],
        right,
        "l'écart type des poids",
        rel=0.02,  # 18 000 tirages au moins le donnent à 0,5 % près
        likely=[
            (right**2, "C'est la variance : il manque la racine carrée."),
            (right / math.sqrt(3), "Une loi uniforme sur [-a, a] a pour écart type a / √3."),
            (1 / math.sqrt(n_in), "C'est 1 / √entrées : relisez la règle de cette activation."),
            (1 / math.sqrt(n_out), "C'est 1 / √sorties : relisez la règle de cette activation."),
            (math.sqrt(2 / n_out), "Échangez le rôle des entrées et des sorties."),
            (math.sqrt(2 / n_in), "C'est la règle de relu."),
            (math.sqrt(2 / (n_in + n_out)), "C'est la règle de tanh."),
        ],
    )


@check("q1", points=1, **_Q1)
def weights_are_drawn(learner, draw):
    "La bonne forme, des poids tous différents, et tirés du générateur reçu"
    n_in, n_out = _sizes(draw)
    seed = draw.randrange(1000)
    got = _drawn(learner, n_in, n_out, "tanh", seed)
    swapped = "Une ligne par entrée, une colonne par sortie."
    equal(got["shape"], [n_in, n_out], "la forme", likely=[([n_out, n_in], swapped)])
    expect(got["distinct"] > 0.9, "des poids sont égaux : les unités resteraient jumelles.")
    again, other = (_drawn(learner, n_in, n_out, "tanh", s) for s in (seed, seed + 1))
    expect(
        got["first"] == again["first"],
        "la même graine n'a pas redonné les mêmes poids : tirez-les de `generateur`, et de lui "
        "seul.",
    )
    expect(
        got["first"] != other["first"],
        "deux graines différentes ont donné les mêmes poids : tirez-les de `generateur`.",
    )


@check("q1", points=1, **_Q1)
def weights_for_tanh(learner, draw):
    "Pour tanh, la règle de Glorot et Bengio"
    _scale(learner, draw, "tanh", lambda n_in, n_out: 2 / (n_in + n_out))


@check("q1", points=1, **_Q1)
def weights_for_relu(learner, draw):
    "Pour relu, la règle de He"
    _scale(learner, draw, "relu", lambda n_in, n_out: 2 / n_in)


# q2 -------------------------------------------------------------------------------------------

_Q2 = dict(
    hints=(
        "Deux temps, comme le constructeur et l'appel d'une couche : créez les quatre variables "
        "partagées, puis définissez à l'intérieur une fonction `appliquer(x)` qui rend "
        "l'expression.",
        "`porte = T.nnet.sigmoid(T.dot(x, V) + c)`, puis `porte * T.tanh(T.dot(x, W) + b) + "
        "(1 - porte) * x` ; à la fin, `return [W, b, V, c], appliquer`.",
    ),
    review="La passe arrière que l’on n’écrit plus",
)


def _gate(x, values):
    W, b, V, c = map(np.asarray, values)
    gate = 1 / (1 + np.exp(-(x @ V + c)))
    return gate, np.tanh(x @ W + b)


def _gated(x, values):
    gate, candidate = _gate(x, values)
    return gate * candidate + (1 - gate) * x


def _gate_values(draw, n):
    return [decimals(draw, n, n), decimals(draw, n), decimals(draw, n, n), decimals(draw, n)]


@check("q2", points=1, **_Q2)
def gate_starts_closed(learner, draw):
    "Quatre paramètres, dans l’ordre W, b, V, c, et leurs valeurs de départ"
    n, seed = draw.randint(40, 60), draw.randrange(1000)
    shown = f"couche_a_porte({n}, default_rng({seed}))"
    got = learner.run(probe("gate_start"), Own("couche_a_porte"), n, seed, shown=shown)
    shapes = [list(np.shape(value)) for value in got]
    equal(shapes, [[n, n], [n], [n, n], [n]], "les formes des paramètres")
    W, b, V, c = map(np.array, got)
    close(b.tolist(), [0.0] * n, "b au départ")
    open_gate = "La porte serait à moitié ouverte : c part de −2."
    close(c.tolist(), [-2.0] * n, "c au départ", likely=[([0.0] * n, open_gate)])
    for name, value in (("W", W), ("V", V)):
        close(float(value.std()), 1 / math.sqrt(n), f"l'écart type de {name}", rel=0.15)
    expect(not np.array_equal(W, V), "W et V sont égaux : tirez-les l'un après l'autre.")


@check("q2", points=2, **_Q2)
def gate_mixes(learner, draw):
    "La sortie mêle tanh(x W + b) et x, dans la proportion que dit la porte"
    for n, examples in ((1, 1), (3, 4)):
        values, x = _gate_values(draw, n), decimals(draw, examples, n)
        entry = np.array(x)
        gate, candidate = _gate(entry, values)
        likely = (
            ((1 - gate) * candidate + gate * entry, "La porte est montée à l'envers."),
            (candidate, "Il manque la porte."),
            (gate * candidate, "Il manque ce que la porte laisse de x : (1 − porte) × x."),
            (gate * candidate + entry, "x doit être multiplié par (1 − porte)."),
            (gate, "C'est la porte seule : elle sert à mêler tanh(x W + b) et x."),
        )
        got = learner.run(
            probe("gate_output"),
            Own("couche_a_porte"),
            values,
            x,
            shown=f"appliquer({x}), [W, b, V, c] = {values}",
        )
        close(
            got,
            _gated(entry, values).tolist(),
            rel=1e-6,
            near=1e-9,
            likely=[(value.tolist(), text) for value, text in likely],
        )


@check("q2", points=1, **_Q2)
def gate_learns(learner, draw):
    "Appelée deux fois de suite, elle se dérive par rapport à ses quatre paramètres"
    n = 2
    values, x = _gate_values(draw, n), decimals(draw, 3, n)
    got = learner.run(
        probe("gate_gradients"),
        Own("couche_a_porte"),
        values,
        x,
        shown="grad((appliquer(appliquer(x)) ** 2).sum(), [W, b, V, c])",
    )
    for name, slope, expected in zip("WbVc", got, _gate_slopes(values, np.array(x)), strict=True):
        close(slope, expected.tolist(), f"le gradient de {name}", rel=1e-6, near=1e-9)


def _gate_slopes(values, x):
    """Les gradients attendus, par pas complexe : exacts, sans écrire une dérivée."""
    slopes = []
    for rank, value in enumerate(values):
        slope = np.zeros(np.shape(value))
        for place in np.ndindex(slope.shape):
            pushed = [np.array(v, dtype=complex) for v in values]
            pushed[rank][place] += 1e-30j
            slope[place] = (_gated(_gated(x, pushed), pushed) ** 2).sum().imag / 1e-30
        slopes.append(slope)
    return slopes


# q3 -------------------------------------------------------------------------------------------

_Q3 = dict(
    hints=(
        "Pour chaque paramètre, une variable partagée de plus : sa vitesse, de la même forme, "
        "partie de zéro. `engine.shared(0 * p.get_value())` en fabrique une.",
        "`nouvelle = mu * v - taux * g`, puis deux couples : `(v, nouvelle)` et "
        "`(p, p + nouvelle)`.",
    ),
    review="Un optimiseur est une règle",
)


def _slopes(values, centres):
    return [2 * (value - centre) for value, centre in zip(values, centres, strict=True)]


def _rolled(start, centres, rate, mu, steps, *, ahead=0.0, damping=1.0):
    """Les paramètres après `steps` pas ; `ahead` = mu donne Nesterov."""
    values, speeds = list(start), [0 * value for value in start]
    for _ in range(steps):
        slopes = _slopes(values, centres)
        old = speeds
        speeds = [mu * v - damping * rate * g for v, g in zip(old, slopes, strict=True)]
        values = [
            p + v if not ahead else p - rate * g + ahead * v
            for p, v, g in zip(values, speeds, slopes, strict=True)
        ]
    return values


def _late(start, centres, rate, mu, steps):
    """Ce que donne l’ancienne vitesse employée dans la mise à jour du paramètre."""
    values, speeds = list(start), [0 * value for value in start]
    for _ in range(steps):
        slopes = _slopes(values, centres)
        values = [p + v for p, v in zip(values, speeds, strict=True)]
        speeds = [mu * v - rate * g for v, g in zip(speeds, slopes, strict=True)]
    return values


def _roll(learner, draw, shapes, steps, mu):
    rate = draw.choice((0.05, 0.1, 0.15))
    start, centres = ([decimals(draw, *shape) for shape in shapes] for _ in range(2))
    names = ", ".join("abc"[: len(shapes)])
    got = learner.run(
        probe("momentum_steps"),
        Own("inertie"),
        centres,
        start,
        rate,
        mu,
        steps,
        shown=f"inertie(cout, [{names}], {rate}, {mu}), {steps} pas",
    )
    rule = [np.array(v) for v in start], [np.array(v) for v in centres], rate, mu, steps
    backwards = [rule[0], rule[1], -rate, mu, steps]
    mistakes = (
        (rule[0], "Le paramètre n'a pas bougé."),
        (_late(*rule), "Le paramètre emploie l'ancienne vitesse : prenez l'expression nouvelle."),
        (_rolled(*backwards), "Il monte la pente : la vitesse retranche taux × gradient."),
        (_rolled(*rule[:2], 1.0, mu, steps), "Le taux d'apprentissage n'est pas appliqué."),
        (_rolled(*rule[:3], 0.0, steps), "C'est la descente sans inertie : mu × v manque."),
        (_rolled(*rule, ahead=mu), "C'est l'inertie de Nesterov : ici, p ← p + v."),
        (_rolled(*rule, damping=1 - mu), "Le gradient n'est pas à multiplier par 1 − mu."),
    )
    for rank, (name, value) in enumerate(zip("abc", got, strict=False)):
        close(
            value,
            _rolled(*rule)[rank].tolist(),
            f"{name} après {steps} pas",
            rel=1e-6,
            near=1e-9,
            likely=[(wrong[rank].tolist(), text) for wrong, text in mistakes],
        )


@check("q3", points=1, **_Q3)
def first_step(learner, draw):
    "Au premier pas, la vitesse part de zéro : c’est une descente de gradient"
    _roll(learner, draw, ((2,),), 1, draw.choice((0.5, 0.8, 0.9)))


@check("q3", points=1, **_Q3)
def next_steps(learner, draw):
    "Aux pas suivants, la vitesse s’accumule"
    for steps in (2, 3, 6):
        _roll(learner, draw, ((2,),), steps, draw.choice((0.5, 0.8, 0.9)))


@check("q3", points=1, **_Q3)
def any_parameters(learner, draw):
    "Trois paramètres de formes différentes, chacun sa vitesse ; mu nul, aussi"
    for mu in (draw.choice((0.7, 0.9)), 0.0):
        _roll(learner, draw, ((2, 3), (3,), ()), 4, mu)


# q4 -------------------------------------------------------------------------------------------

_Q4 = dict(
    hints=(
        "Si x bouge de dx, y bouge de dy, et l'équation reste vraie : dy + 3 y² dy = dx.",
        "dy/dx = 1 / (1 + 3 y²) : multipliez par `g`, l'effet de y sur le coût.",
    ),
    review="Une op nouvelle, écrite en Python",
)


def _root_slopes(learner, y, weights):
    """Les deux dérivées rendues par l’élève, au point x = y + y³, et les attendues."""
    x = y + y**3
    points = [round(float(value), 6) for value in x]
    got = learner.run(
        probe("root_slopes"),
        Own("contribution"),
        x.tolist(),
        weights.tolist(),
        shown=f"contribution(x, y, g), x = {points}, g = {weights.tolist()}",
    )
    expect(isinstance(got, list) and len(got) == 2, "j'attendais une expression.")
    slope = 1 / (1 + 3 * y**2)
    mistakes = (
        (weights / slope, "C'est dx/dy : prenez l'inverse."),
        (weights / (3 * y**2), "La dérivée de y, dans y + y³, vaut 1 : elle manque."),
        (weights / (1 + 3 * x**2), "La pente se prend en y, la solution, et non en x."),
        (slope, "Il manque g, l'effet de y sur le coût."),
        (-weights * slope, "Seul le signe est faux."),
        (weights, "L'op n'est pas l'identité : il manque sa dérivée."),
    )
    likely = [(value.tolist(), text) for value, text in mistakes]
    close(got[0], (weights * slope).tolist(), "l'effet de x", rel=1e-6, near=1e-9, likely=likely)
    return got[1], -6 * weights * y * slope**3


@check("q4", points=1, **_Q4)
def implicit_slope(learner, draw):
    "En un point, puis en plusieurs : la dérivée de la solution"
    for count in (1, 4):
        y = np.array([draw.choice((-1, 1)) * draw.uniform(0.3, 1.5) for _ in range(count)])
        _root_slopes(learner, y, np.round([draw.uniform(2, 3) for _ in range(count)], 2))


@check("q4", points=1, **_Q4)
def implicit_second(learner, draw):
    "C’est une expression : on peut la dériver encore une fois"
    y = np.array([draw.uniform(0.3, 1.5) for _ in range(3)])
    got, expected = _root_slopes(learner, y, np.array([1.0, 2.0, -1.0]))
    close(got, expected.tolist(), "la dérivée seconde", rel=1e-6, near=1e-9)
