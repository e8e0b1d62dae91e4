"""Une chaîne de fonctions d’une variable : ses valeurs, ses pentes, l’effet d’une perturbation.

C’est le calcul que le widget de la leçon 01 refait en JavaScript (`static/perturbation.js`, même
table `FUNCTIONS`) ; ici, il sert à l’image fixe et aux tests.

Noms publics : `FUNCTIONS`, `Step`, `EXP_SIN_SQUARE`, `propagate`.
"""

import math
from typing import NamedTuple

FUNCTIONS = {
    # clef : la fonction, sa dérivée, sa dérivée écrite
    "square":   (lambda t: t * t,                   lambda t: 2 * t,                "2{}"),
    "cube":     (lambda t: t**3,                    lambda t: 3 * t * t,            "3{}²"),
    "inverse":  (lambda t: 1 / t,                   lambda t: -1 / (t * t),         "−1/{}²"),
    "sin":      (math.sin,                          math.cos,                       "cos {}"),
    "cos":      (math.cos,                          lambda t: -math.sin(t),         "−sin {}"),
    "exp":      (math.exp,                          math.exp,                       "exp {}"),
    "log":      (math.log,                          lambda t: 1 / t,                "1/{}"),
    "sqrt":     (math.sqrt,                         lambda t: 0.5 / math.sqrt(t),   "1/(2√{})"),
    "tanh":     (math.tanh,                         lambda t: 1 - math.tanh(t)**2, "1 − tanh² {}"),
}  # fmt: skip


class Step(NamedTuple):
    """Un maillon : le nom de la variable, sa formule écrite, la clef de `FUNCTIONS`."""

    name: str
    formula: str
    function: str


EXP_SIN_SQUARE = (
    Step("v", "x²", "square"),
    Step("u", "sin v", "sin"),
    Step("y", "exp u", "exp"),
)


class Propagation(NamedTuple):
    """Ce qu’une perturbation fait le long de la chaîne."""

    values: list
    changes: list
    slopes: list
    product: float
    ratio: float


def propagate(steps, x, dx):
    """Pousse x de dx et suit la perturbation.

    Paramètres
        steps : les maillons (`Step`), dans l’ordre du calcul.
        x, dx : le point et la poussée, dans la même unité.

    Renvoie
        une `Propagation` : valeurs en x, changements exacts, pentes locales en x, leur produit, et
        le rapport mesuré Δy/Δx. Hors du domaine d’une fonction, tout ce qui suit est `nan`.

    Exemple
        >>> round(propagate(EXP_SIN_SQUARE, 1.0, 1e-6).product, 4)
        2.5068
    """
    before, after, slopes = [float(x)], [float(x + dx)], []
    for step in steps:
        function, derivative, _ = FUNCTIONS[step.function]
        slopes.append(_guarded(derivative, before[-1]))
        before.append(_guarded(function, before[-1]))
        after.append(_guarded(function, after[-1]))
    changes = [new - old for old, new in zip(before, after, strict=True)]
    ratio = changes[-1] / changes[0] if changes[0] else math.nan
    return Propagation(before, changes, slopes, math.prod(slopes), ratio)


def _guarded(function, value):
    if math.isnan(value):
        return math.nan
    try:
        return float(function(value))
    except (ValueError, ZeroDivisionError, OverflowError):
        return math.nan
