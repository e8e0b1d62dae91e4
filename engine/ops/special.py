"""Les fonctions moins courantes : des lignes de plus à la table des fonctions scalaires."""

import math

import numpy as np

from engine.core.elemwise import declare
from engine.core.scalars import (
    ABOVE_1,
    EDGES,
    INSIDE,
    NONZERO,
    POSITIVE,
    REAL,
    STEPS,
    WIDE,
    Scalar,
    boolean,
)


def one_by_one(function):
    """La version tableau d’une fonction qui prend et rend un nombre : un élément à la fois."""

    def on_arrays(*arrays):
        arrays = np.broadcast_arrays(*(np.asarray(x) for x in arrays))
        columns = (x.astype("float64").ravel() for x in arrays)
        values = [function(*row) for row in zip(*columns, strict=True)]
        with np.errstate(over="ignore"):
            return np.array(values, dtype="float64").reshape(arrays[0].shape)

    return on_arrays


def _np_round_away(x):
    whole = np.trunc(x)
    return whole + np.where(np.abs(x - whole) >= 0.5, np.sign(x), 0)


def _arctan2_grad(x, y, o, g):
    x, y = x.astype(o.dtype), y.astype(o.dtype)  # le carré d’un entier étroit repasserait par zéro
    return g * y / (x.sqr() + y.sqr()), -g * x / (x.sqr() + y.sqr())


def _lgamma(x):
    if x <= 0 and (math.isinf(x) or x == math.floor(x)):
        return math.inf
    try:
        return math.lgamma(x)
    except OverflowError:
        return math.inf


def digamma64(x):
    """Dérivée de log Γ : ψ(x) = ψ(x + 1) - 1/x jusqu’à 10, puis la série asymptotique.

    Source : Abramowitz et Stegun, « Handbook of Mathematical Functions », 6.3.5 et 6.3.18.
    """
    if x == 0.0:
        return -math.copysign(np.inf, x)
    if not x > -1000.0 or (x <= 0.0 and x == np.floor(x)):
        return np.nan
    total = 0.0
    while x < 10.0:
        total -= 1.0 / x
        x += 1.0
    z = 1.0 / (x * x)
    series = z * (
        1 / 12 - z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z * (1 / 132 - z * (691 / 32760)))))
    )
    return total + math.log(x) - 0.5 / x - series


def polygamma64(n, x):
    """Dérivée n-ième (n entier ≥ 1) de ψ, pour x > 0 : (-1)**(n+1) n ! ζ(n+1, x).

    Source : la formule d’Euler-Maclaurin pour ζ ; Abramowitz et Stegun, 6.4.10 et 23.2.
    """
    if not (x > -1000.0 and 1.0 <= n < 100.0 and n == np.floor(n)):
        return np.nan
    sign = 1.0 if n % 2.0 == 1.0 else -1.0
    if x == 0.0:
        return sign * np.inf
    if x < 0.0 and x == np.floor(x):
        return np.nan
    s = n + 1.0
    total = 0.0
    while x < 30.0:
        total += x**-s
        x += 1.0
    total += x ** (1.0 - s) / n + 0.5 * x**-s
    term = s * x ** (-s - 1.0)
    total += term / 12
    term *= (s + 1) * (s + 2) / (x * x)
    total -= term / 720
    term *= (s + 3) * (s + 4) / (x * x)
    total += term / 30240
    term *= (s + 5) * (s + 6) / (x * x)
    total -= term / 1209600
    return sign * math.gamma(s) * total


declare(
    Scalar("logaddexp", np.logaddexp, "x + 0.6931471805599453 if x == y else max(x, y) + math.log1p(math.exp(-abs(x - y)))",
           "x + float32(0.6931471805599453) if x == y else max(x, y) + log1p32(exp32(-abs(x - y)))",
           lambda x, y, o, g: (g * (x - y).sigmoid(), g * (y - x).sigmoid()), commutative=True, samples=(WIDE, REAL)),
    Scalar("isinf", np.isinf, "abs(x) == np.inf", dtype=boolean, compute="own", samples=(EDGES,)),
    Scalar("exp2", np.exp2, "2.0 ** x", "float32(2.0) ** x", lambda x, o, g: g * o * o.type.number(np.log(2)), samples=(WIDE,)),
    Scalar("log2", np.log2, "np.log2(x)", None, lambda x, o, g: g / (x * o.type.number(np.log(2))), samples=(POSITIVE,)),
    Scalar("log10", np.log10, "np.log10(x)", None, lambda x, o, g: g / (x * o.type.number(np.log(10))), samples=(POSITIVE,)),
    Scalar("arcsin", np.arcsin, "math.asin(x)", None, lambda x, o, g: g / (1 - x.sqr()).sqrt(), samples=(INSIDE,)),
    Scalar("arccos", np.arccos, "math.acos(x)", None, lambda x, o, g: -g / (1 - x.sqr()).sqrt(), samples=(INSIDE,)),
    Scalar("arctan", np.arctan, "math.atan(x)", None, lambda x, o, g: g / (1 + x.sqr()), samples=(REAL,)),
    Scalar("arctan2", np.arctan2, "math.atan2(x, y)", None,
           _arctan2_grad, samples=(REAL, NONZERO)),
    Scalar("arcsinh", np.arcsinh, "math.asinh(x)", None, lambda x, o, g: g / (1 + x.sqr()).sqrt(), samples=(REAL,)),
    Scalar("arccosh", np.arccosh, "math.acosh(x)", None, lambda x, o, g: g / (x.sqr() - 1).sqrt(), samples=(ABOVE_1,)),
    Scalar("arctanh", np.arctanh, "math.atanh(x)", None, lambda x, o, g: g / (1 - x.sqr()), samples=(INSIDE,)),
    Scalar("hypot", np.hypot, "math.hypot(x, y)", None, lambda x, y, o, g: (g * x / o, g * y / o), samples=(REAL, NONZERO)),
    Scalar("sinh", np.sinh, "math.sinh(x)", None, lambda x, o, g: g * x.cosh(), samples=(REAL,)),
    Scalar("cosh", np.cosh, "math.cosh(x)", None, lambda x, o, g: g * x.sinh(), samples=(REAL,)),
    Scalar("erf", one_by_one(math.erf), "math.erf(x)", None,
           lambda x, o, g: g * o.type.number(2 / np.sqrt(np.pi)) * (-x.sqr()).exp(), samples=(REAL,)),
    Scalar("erfc", one_by_one(math.erfc), "math.erfc(x)", None,
           lambda x, o, g: -g * o.type.number(2 / np.sqrt(np.pi)) * (-x.sqr()).exp(), samples=(REAL,)),
    Scalar("round_half_away_from_zero", _np_round_away,
           "np.trunc(x) + (math.copysign(1.0, x) if abs(x - np.trunc(x)) >= 0.5 else 0.0)",
           "np.trunc(x) + (math.copysign(float32(1.0), x) if abs(x - np.trunc(x)) >= float32(0.5) else float32(0.0))",
           samples=(STEPS,)),
    Scalar("gammaln", one_by_one(_lgamma), "math.lgamma(x)", None, lambda x, o, g: g * x.psi(), samples=(POSITIVE,)),
    Scalar("psi", one_by_one(digamma64), "digamma64(x)", None, lambda x, o, g: g * (x.zeros_like() + 1).polygamma(x),
           samples=(POSITIVE[1:],)),
    Scalar("polygamma", one_by_one(polygamma64), "polygamma64(x, y)", None,
           lambda x, y, o, g: (None, g * (x + 1).polygamma(y)), samples=((1.0, 2.0, 3.0), POSITIVE[1:4])),
)  # fmt: skip
