"""Ce dont l’écriture naïve échoue : `python -m tests.rewriting.naive_forms` l’imprime.

Chaque ligne donne l’expression, le point, ce que NumPy rend pour l’écriture naïve (même dtype), ce
que rend la fonction compilée, la valeur exacte (mpmath, 60 chiffres), l’erreur relative et l’erreur
en ulp de la nôtre. L’expression compilée est écrite naïvement : ce sont les réécritures qui la
sauvent.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import mpmath
import numpy as np

import engine.tensor as T
from engine import function, grad
from engine.core.types import TensorType

mpmath.mp.dps = 60


@dataclass(frozen=True)
class Form:
    """Une expression naïve : la même formule pour T, NumPy et, récrite si besoin, mpmath."""

    text: str
    write: Callable  # (module, variable) -> expression ; module vaut T, puis NumPy
    point: object
    exact: Callable  # (nombre ou liste de nombres mpmath) -> valeur exacte
    slope: bool = False  # la dérivée de l’expression, et non sa valeur
    naive_slope: Callable | None = None  # la dérivée que l’on écrirait, en NumPy
    dtype: str = "float64"
    ulps: float = 4.0


def sigmoid(m, x):
    return 1 / (1 + m.exp(-x))


def softmax(m, z):
    return m.exp(z) / m.exp(z).sum()


def exact_softmax(z, rank):
    return mpmath.exp(z[rank]) / sum(map(mpmath.exp, z))


def log_sum(z):
    return mpmath.log(sum(map(mpmath.exp, z)))


def exact_sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


LOGITS = [0.0, 800.0, 790.0]
FORMS = [
    Form("log(1 + x)", lambda m, x: m.log(1 + x), 1e-17, mpmath.log1p),
    Form("log(1 - x)", lambda m, x: m.log(1 - x), 1e-17, lambda x: mpmath.log1p(-x)),
    Form("log(1 + x), float32", lambda m, x: m.log(1 + x), 3e-8, mpmath.log1p, dtype="float32"),
    Form("exp(x) - 1", lambda m, x: m.exp(x) - 1, 1e-12, mpmath.expm1),
    Form("1 - exp(x)", lambda m, x: 1 - m.exp(x), 1e-12, lambda x: -mpmath.expm1(x)),
    Form("log(1 + exp(x))", lambda m, x: m.log(1 + m.exp(x)), 800.0,
         lambda x: x + mpmath.log1p(mpmath.exp(-x))),
    Form("log(1 + exp(x))", lambda m, x: m.log(1 + m.exp(x)), -40.0,
         lambda x: mpmath.log1p(mpmath.exp(x))),
    Form("log(1 - exp(x))", lambda m, x: m.log(1 - m.exp(x)), -40.0,
         lambda x: mpmath.log1p(-mpmath.exp(x))),
    Form("log(1 - exp(x))", lambda m, x: m.log(1 - m.exp(x)), -1e-17,
         lambda x: mpmath.log(-mpmath.expm1(x))),
    Form("log(exp(x))", lambda m, x: m.log(m.exp(x)), 800.0, lambda x: x),
    Form("log(1 / (1 + exp(-x)))", lambda m, x: m.log(sigmoid(m, x)), -800.0,
         lambda x: -mpmath.log1p(mpmath.exp(-x))),
    Form("log(1 - 1 / (1 + exp(-x)))", lambda m, x: m.log(1 - sigmoid(m, x)), 40.0,
         lambda x: -mpmath.log1p(mpmath.exp(x))),
    Form("1 - 1 / (1 + exp(-x))", lambda m, x: 1 - sigmoid(m, x), 40.0,
         lambda x: exact_sigmoid(-x)),
    Form("tanh écrite avec exp", lambda m, x: (m.exp(x) - m.exp(-x)) / (m.exp(x) + m.exp(-x)),
         800.0, mpmath.tanh),
    Form("exp(x) - exp(-x)", lambda m, x: m.exp(x) - m.exp(-x), 1e-12,
         lambda x: 2 * mpmath.sinh(x)),
    Form("(exp(x) - 1) / (exp(x) + 1)", lambda m, x: (m.exp(x) - 1) / (m.exp(x) + 1), 800.0,
         lambda x: mpmath.tanh(x / 2)),
    Form("sqrt(x**2 + y**2)", lambda m, x: m.sqrt(x[0] ** 2 + x[1] ** 2),
         [3e200, 4e200], lambda x: mpmath.hypot(*x)),
    Form("log(Σ exp(z))", lambda m, z: m.log(m.exp(z).sum()), LOGITS, log_sum),
    Form("log(Σ exp(z))", lambda m, z: m.log(m.exp(z).sum()), [-800.0, -801.0], log_sum),
    Form("log(moyenne de exp(z))", lambda m, z: m.log(m.exp(z).mean()), LOGITS,
         lambda z: log_sum(z) - mpmath.log(3)),
    Form("log(exp(x) + exp(y))", lambda m, z: m.log(m.exp(z[0]) + m.exp(z[1])), [1000.0, 999.0],
         log_sum),
    Form("exp(z)[2] / Σ exp(z)", lambda m, z: softmax(m, z)[2], LOGITS,
         lambda z: exact_softmax(z, 2), ulps=8),
    Form("log(exp(z) / Σ exp(z))[0]", lambda m, z: m.log(softmax(m, z))[0], LOGITS,
         lambda z: z[0] - log_sum(z)),
    Form("log(exp(z) / Σ exp(z))[0], float32", lambda m, z: m.log(softmax(m, z))[0],
         [0.0, 120.0], lambda z: z[0] - log_sum(z), dtype="float32"),
    Form("entropie croisée, y = 0", lambda m, x: -m.log(1 - sigmoid(m, x)), 800.0,
         lambda x: mpmath.log1p(mpmath.exp(x))),
    Form("d/dx log(1 + exp(x))", lambda m, x: m.log(1 + m.exp(x)), 800.0, exact_sigmoid,
         slope=True, naive_slope=lambda x: np.exp(x) / (1 + np.exp(x))),
    Form("d/dx 1 / (1 + exp(-x))", sigmoid, -700.0,
         lambda x: exact_sigmoid(x) * exact_sigmoid(-x), slope=True,
         naive_slope=lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
    Form("d/dx log(1 / (1 + exp(-x)))", lambda m, x: m.log(sigmoid(m, x)), -800.0,
         lambda x: exact_sigmoid(-x), slope=True,
         naive_slope=lambda x: np.exp(-x) / (1 + np.exp(-x))),
    Form("d/dz[2] log(Σ exp(z))", lambda m, z: m.log(m.exp(z).sum()), LOGITS,
         lambda z: exact_softmax(z, 2), slope=True, ulps=8,
         naive_slope=lambda z: np.exp(z)[2] / np.exp(z).sum()),
    Form("d/dz[2] log(softmax(z))[0]", lambda m, z: m.log(m.nnet.softmax(z))[0, 0], LOGITS,
         lambda z: -exact_softmax(z, 2), slope=True, ulps=8,
         naive_slope=lambda z: -np.exp(z)[2] / np.exp(z).sum()),
    Form("1 - erf(x)", lambda m, x: 1 - m.erf(x), 6.0, mpmath.erfc, ulps=8),
    Form("log(1 - erf(x))", lambda m, x: m.log(1 - m.erf(x)), 30.0,
         lambda x: mpmath.log(mpmath.erfc(x))),
]  # fmt: skip


def ours(form, mode=None):
    """Ce que rend la fonction compilée (par défaut, avec toutes les réécritures)."""
    value = np.asarray(form.point, dtype=form.dtype)
    x = TensorType(form.dtype, shape=(None,) * value.ndim)("x")
    expression = form.write(T, x)
    if form.slope:
        expression = grad(expression, x)
        expression = expression[2] if value.ndim else expression
    return function([x], expression, mode=mode)(value)


def naive(form):
    """Ce que rend NumPy pour l’écriture naïve, dans le même dtype."""
    value = np.asarray(form.point, dtype=form.dtype)
    value = value if value.ndim else value[()]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if form.naive_slope:
            return form.naive_slope(value)
        return form.write(WithErf, value)


class WithErf:
    """NumPy, et la fonction erf qui lui manque."""

    exp, log, sqrt = np.exp, np.log, np.sqrt
    erf = staticmethod(lambda x: np.float64(mpmath.erf(float(x))))


def exact(form):
    """La valeur exacte au point même, tel que le dtype l’arrondit."""
    value = np.asarray(form.point, dtype=form.dtype).astype("float64")
    if value.ndim:
        return form.exact([mpmath.mpf(float(item)) for item in value])
    return form.exact(mpmath.mpf(float(value)))


def error_in_ulps(form, value):
    """L’écart à la valeur exacte, en écarts entre flottants voisins de celle-ci."""
    wanted = exact(form)
    spacing = np.spacing(abs(np.asarray(float(wanted), dtype=form.dtype)))
    return float(abs(mpmath.mpf(float(value)) - wanted) / mpmath.mpf(float(spacing)))


def relative_error(form, value):
    """L’écart à la valeur exacte, rapporté à elle."""
    if not np.isfinite(value):
        return float("inf")
    wanted = exact(form)
    return float(abs((mpmath.mpf(float(value)) - wanted) / wanted))


def table():
    """Le tableau, une ligne par expression."""
    heads = ("expression", "point", "naïf", "erreur", "le nôtre", "exact", "erreur", "ulp")
    rows = [heads]
    for form in FORMS:
        found, written = float(ours(form)), float(naive(form))
        rows.append((
            form.text, str(form.point), f"{written:.10g}", f"{relative_error(form, written):.1e}",
            f"{found:.17g}", mpmath.nstr(exact(form), 17), f"{relative_error(form, found):.1e}",
            f"{error_in_ulps(form, found):.2f}",
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    print(table())
