"""La table des fonctions scalaires : une ligne une fonction, une source pour tous les dos de
calcul.

Chaque ligne donne le nom, la fonction NumPy (la référence), l’expression scalaire en Python (que
Numba compile pour le processeur et pour CUDA), sa variante float32, le gradient, la règle du dtype
et des exemples, bords compris.

Ordre de lecture : `Scalar`, les règles de dtype, puis la table `SCALARS`.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from engine.core.dtypes import FLOATS, upcast
from engine.core.errors import DtypeError
from engine.core.polynomials import digamma64, polygamma64
from engine.core.settings import config
from engine.core.types import TensorConstant


def _float(*dtypes):
    dtype = upcast(*dtypes)
    if dtype in FLOATS:
        return dtype
    return "float32" if dtype in ("bool", "int8", "int16", "uint8", "uint16") else "float64"


def _quotient(*dtypes):
    dtype = upcast(*dtypes)
    return dtype if dtype in FLOATS else config.floatX


def _number(*dtypes):
    dtype = upcast(*dtypes)
    return "int8" if dtype == "bool" else dtype


def _branches(condition, *dtypes):
    return upcast(*dtypes)


def _boolean(*dtypes):
    return "bool"


def _logical(*dtypes):
    dtype = upcast(*dtypes)
    if dtype in FLOATS:
        raise DtypeError(
            "opération sur des bits", expected="des booléens ou des entiers", received=dtype,
            hint="comparez d'abord : (x > 0) & (y > 0)",
        )  # fmt: skip
    return dtype


@dataclass(frozen=True, eq=False)
class Scalar:
    """Une fonction scalaire de la table.

    Paramètres
        name : son nom, celui de `engine.tensor`.
        numpy : la fonction NumPy de référence (tableaux -> tableau).
        code, code32 : expression Python des arguments x, y, z ; la seconde pour float32.
        grad : (x, [y, z], sortie, g) -> contribution(s) ; None, dérivée nulle presque partout.
        dtype : dtypes des entrées -> dtype de la sortie.
        compute : dtype dans lequel on calcule : "output", celui de la sortie ; "upcast", le commun
            aux entrées ; "own", chaque entrée garde le sien.
        symbol : écriture infixe ou préfixe, pour l’impression.
        commutative : les deux arguments s’échangent.
        samples : valeurs d’essai, par argument.
    """

    name: str
    numpy: object
    code: str
    code32: str | None = None
    grad: object = None
    dtype: object = _float
    compute: str = "output"
    symbol: str | None = None
    commutative: bool = False
    samples: tuple = ()

    @property
    def nin(self):
        """Nombre d’arguments."""
        return len(self.samples)

    @property
    def is_comparison(self):
        """Vrai si le résultat est un booléen issu d’une comparaison."""
        return self.dtype is _boolean and self.nin == 2

    def compute_dtypes(self, dtypes, output):
        """Le dtype dans lequel chaque argument doit être converti avant le calcul."""
        if self.compute == "own":
            return list(dtypes)
        if self.compute == "condition":
            return ["bool", output, output]
        return [upcast(*dtypes) if self.compute == "upcast" else output] * len(dtypes)

    def __reduce__(self):
        return find_scalar, (self.name,)  # la table n’est pas copiée : une ligne y est unique

    def __str__(self):
        return self.name

    __repr__ = __str__


# Valeurs d’essai : signes, zéros, grandes et petites valeurs.
REAL = (-3.0, -1.0, -0.5, -0.0, 0.0, 0.25, 1.0, 2.5)
WIDE = (*REAL, -90.0, -20.0, 20.0, 88.0)
POSITIVE = (1e-6, 0.5, 1.0, 2.5, 1e6)
AT_LEAST_0 = (0.0, *POSITIVE)
ABOVE_MINUS_1 = (-0.999, -0.5, -1e-7, 0.0, 1e-7, 0.5, 3.0, 1e6)
NONZERO = (-2.5, -1.0, 0.25, 1.0, 3.0)
INSIDE = (-0.99, -0.5, 0.0, 0.3, 0.99)
ABOVE_1 = (1.01, 1.5, 2.0, 20.0)
HALVES = (-2.5, -1.5, -0.5, -0.0, 0.4, 0.5, 1.5, 2.5, 2.75)
SMALL_POWER = (-1.0, 0.0, 0.5, 2.0, 3.0)
FLAGS = (0, 1, 0, 1)
EDGES = (-np.inf, -1.5, 0.0, np.nan, np.inf)


def _np_sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def _np_softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _np_each(function):
    """La version tableau d’une fonction qui prend et rend un nombre : un élément à la fois."""

    def on_arrays(*arrays):
        arrays = np.broadcast_arrays(*(np.asarray(x) for x in arrays))
        columns = (x.astype("float64").ravel() for x in arrays)
        values = [function(*row) for row in zip(*columns, strict=True)]
        with np.errstate(over="ignore"):
            return np.array(values, dtype="float64").reshape(arrays[0].shape)

    return on_arrays


def _lgamma(x):
    if x <= 0 and (math.isinf(x) or x == math.floor(x)):
        return math.inf
    try:
        return math.lgamma(x)
    except OverflowError:
        return math.inf


def _np_round_away(x):
    whole = np.trunc(x)
    return whole + np.where(np.abs(x - whole) >= 0.5, np.sign(x), 0)


def _arctan2_grad(x, y, o, g):
    x, y = x.astype(o.dtype), y.astype(o.dtype)  # le carré d’un entier étroit repasserait par zéro
    return g * y / (x.sqr() + y.sqr()), -g * x / (x.sqr() + y.sqr())


def _pow_grad(x, y, z, g):
    x = x.astype(z.dtype)  # le log d’un entier étroit ne serait calculé qu’en float32
    safe = x.gt(0).switch(x, x.ones_like())  # log(0) n’apparaît pas quand seul x est dérivé
    slope = g * y * x ** (y - 1)
    if not (isinstance(y, TensorConstant) and y.data.all()):
        slope = y.neq(0).switch(slope, 0)  # x**0 vaut 1 partout : en 0, sans 0 * 0**-1
    return slope, g * z * safe.log()


_ROWS = [
    # nom, NumPy, expression, float32, gradient
    Scalar("neg", np.negative, "-x", None, lambda x, o, g: -g, _number, symbol="-", samples=(REAL,)),
    Scalar("abs", np.abs, "abs(x)", None, lambda x, o, g: g * x.sgn(), _number, samples=(REAL,)),
    Scalar("sgn", np.sign, "x if x != x else (1 if x > 0 else 0) - (1 if x < 0 else 0)",
           "x if x != x else float32((1 if x > 0 else 0) - (1 if x < 0 else 0))", None, _number, samples=(REAL,)),
    Scalar("sqr", np.square, "x * x", None, lambda x, o, g: g * x * 2, _number, samples=(REAL,)),
    Scalar("sqrt", np.sqrt, "math.sqrt(x)", "np.sqrt(x)", lambda x, o, g: g / o * 0.5, samples=(AT_LEAST_0,)),
    Scalar("exp", np.exp, "math.exp(x)", "exp32(x)", lambda x, o, g: g * o, samples=(WIDE,)),
    Scalar("expm1", np.expm1, "math.expm1(x)", "expm1_32(x)", lambda x, o, g: g * x.exp(), samples=(WIDE,)),
    Scalar("exp2", np.exp2, "2.0 ** x", "float32(2.0) ** x", lambda x, o, g: g * o * o.type.number(np.log(2)), samples=(WIDE,)),
    Scalar("log", np.log, "math.log(x)", "log32(x)", lambda x, o, g: g / x, samples=(POSITIVE,)),
    Scalar("log2", np.log2, "np.log2(x)", None, lambda x, o, g: g / (x * o.type.number(np.log(2))), samples=(POSITIVE,)),
    Scalar("log10", np.log10, "np.log10(x)", None, lambda x, o, g: g / (x * o.type.number(np.log(10))), samples=(POSITIVE,)),
    Scalar("log1p", np.log1p, "math.log1p(x)", "log1p32(x)", lambda x, o, g: g / (x + 1), samples=(ABOVE_MINUS_1,)),
    Scalar("sin", np.sin, "math.sin(x)", None, lambda x, o, g: g * x.cos(), samples=(REAL,)),
    Scalar("cos", np.cos, "math.cos(x)", None, lambda x, o, g: -g * x.sin(), samples=(REAL,)),
    Scalar("tan", np.tan, "math.tan(x)", None, lambda x, o, g: g * (o.sqr() + 1), samples=(INSIDE,)),
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
    Scalar("tanh", np.tanh, "math.tanh(x)", "tanh32(x)", lambda x, o, g: g * (1 - o.sqr()), samples=(WIDE,)),
    Scalar("sigmoid", _np_sigmoid, "sigmoid64(x)", "sigmoid32(x)", lambda x, o, g: g * o * (1 - o), samples=(WIDE,)),
    Scalar("softplus", _np_softplus, "softplus64(x)", "softplus32(x)", lambda x, o, g: g * x.sigmoid(), samples=(WIDE,)),
    Scalar("logaddexp", np.logaddexp, "x + 0.6931471805599453 if x == y else max(x, y) + math.log1p(math.exp(-abs(x - y)))",
           "x + float32(0.6931471805599453) if x == y else max(x, y) + log1p32(exp32(-abs(x - y)))",
           lambda x, y, o, g: (g * (x - y).sigmoid(), g * (y - x).sigmoid()), commutative=True, samples=(WIDE, REAL)),
    Scalar("erf", _np_each(math.erf), "math.erf(x)", None,
           lambda x, o, g: g * o.type.number(2 / np.sqrt(np.pi)) * (-x.sqr()).exp(), samples=(REAL,)),
    Scalar("erfc", _np_each(math.erfc), "math.erfc(x)", None,
           lambda x, o, g: -g * o.type.number(2 / np.sqrt(np.pi)) * (-x.sqr()).exp(), samples=(REAL,)),
    Scalar("gammaln", _np_each(_lgamma), "math.lgamma(x)", None, lambda x, o, g: g * x.psi(), samples=(POSITIVE,)),
    Scalar("psi", _np_each(digamma64), "digamma64(x)", None, lambda x, o, g: g * (x.zeros_like() + 1).polygamma(x),
           samples=(POSITIVE[1:],)),
    Scalar("polygamma", _np_each(polygamma64), "polygamma64(x, y)", None,
           lambda x, y, o, g: (None, g * (x + 1).polygamma(y)), samples=((1.0, 2.0, 3.0), POSITIVE[1:4])),
    Scalar("round_half_to_even", np.rint, "np.rint(x)", samples=(HALVES,)),
    Scalar("round_half_away_from_zero", _np_round_away,
           "np.trunc(x) + (math.copysign(1.0, x) if abs(x - np.trunc(x)) >= 0.5 else 0.0)",
           "np.trunc(x) + (math.copysign(float32(1.0), x) if abs(x - np.trunc(x)) >= float32(0.5) else float32(0.0))",
           samples=(HALVES,)),
    Scalar("floor", np.floor, "np.floor(x)", samples=(REAL,)),
    Scalar("ceil", np.ceil, "np.ceil(x)", samples=(REAL,)),
    Scalar("trunc", np.trunc, "np.trunc(x)", samples=(REAL,)),
    Scalar("add", np.add, "x + y", None, lambda x, y, o, g: (g, g), upcast, symbol="+", commutative=True,
           samples=(REAL, REAL)),
    Scalar("sub", np.subtract, "x - y", None, lambda x, y, o, g: (g, -g), _number, symbol="-", samples=(REAL, REAL)),
    Scalar("mul", np.multiply, "x * y", None, lambda x, y, o, g: (g * y, g * x), upcast, symbol="*",
           commutative=True, samples=(REAL, REAL)),
    Scalar("true_div", np.true_divide, "x / y", None, lambda x, y, o, g: (g / y, -g * o / y), _quotient, symbol="/",
           samples=(REAL, NONZERO)),
    Scalar("int_div", np.floor_divide, "x // y", None, None, _number, symbol="//", samples=(REAL, NONZERO)),
    Scalar("mod", np.mod, "x % y", None, lambda x, y, o, g: (g, -g * x.int_div(y)), _number, symbol="%",
           samples=(REAL, NONZERO)),
    Scalar("pow", np.power, "x ** y", None, _pow_grad, _number, symbol="**", samples=(POSITIVE[1:4], SMALL_POWER)),
    Scalar("maximum", np.maximum, "x if x >= y or x != x else y", None,
           lambda x, y, o, g: (x.ge(y).switch(g, 0), x.lt(y).switch(g, 0)), upcast, commutative=True, samples=(REAL, REAL)),
    Scalar("minimum", np.minimum, "x if x <= y or x != x else y", None,
           lambda x, y, o, g: (x.le(y).switch(g, 0), x.gt(y).switch(g, 0)), upcast, commutative=True, samples=(REAL, REAL)),
    Scalar("lt", np.less, "x < y", dtype=_boolean, compute="upcast", symbol="<", samples=(REAL, REAL)),
    Scalar("gt", np.greater, "x > y", dtype=_boolean, compute="upcast", symbol=">", samples=(REAL, REAL)),
    Scalar("le", np.less_equal, "x <= y", dtype=_boolean, compute="upcast", symbol="<=", samples=(REAL, REAL)),
    Scalar("ge", np.greater_equal, "x >= y", dtype=_boolean, compute="upcast", symbol=">=", samples=(REAL, REAL)),
    Scalar("eq", np.equal, "x == y", dtype=_boolean, compute="upcast", symbol="==", commutative=True,
           samples=(REAL, REAL)),
    Scalar("neq", np.not_equal, "x != y", dtype=_boolean, compute="upcast", symbol="!=", commutative=True,
           samples=(REAL, REAL)),
    Scalar("isnan", np.isnan, "x != x", dtype=_boolean, compute="own", samples=(EDGES,)),
    Scalar("isinf", np.isinf, "abs(x) == np.inf", dtype=_boolean, compute="own", samples=(EDGES,)),
    Scalar("and_", np.bitwise_and, "x & y", dtype=_logical, symbol="&", commutative=True, samples=(FLAGS, FLAGS)),
    Scalar("or_", np.bitwise_or, "x | y", dtype=_logical, symbol="|", commutative=True, samples=(FLAGS, FLAGS)),
    Scalar("xor", np.bitwise_xor, "x ^ y", dtype=_logical, symbol="^", commutative=True, samples=(FLAGS, FLAGS)),
    Scalar("invert", np.invert, "np.invert(x)", dtype=_logical, symbol="~", samples=(FLAGS,)),
    Scalar("switch", np.where, "y if x else z", None, lambda x, y, z, o, g: (None, x.switch(g, 0), x.switch(0, g)),
           _branches, compute="condition", samples=(FLAGS, REAL[:4], REAL[4:])),
    Scalar("second", lambda x, y: np.broadcast_arrays(x, y)[1], "y", None, lambda x, y, o, g: (None, g), _branches,
           compute="own", samples=(REAL, REAL)),
]  # fmt: skip

SCALARS = {row.name: row for row in _ROWS}


@cache
def cast_scalar(dtype):
    """La ligne de la conversion vers `dtype` : une par dtype, faite à la demande."""
    gradient = (
        (lambda x, o, g: g.astype(x.dtype) if x.dtype in FLOATS else None)
        if dtype in FLOATS
        else None
    )
    return Scalar(
        f"cast[{dtype}]",
        lambda x: np.asarray(x).astype(dtype),
        "x",
        grad=gradient,
        dtype=lambda *dtypes: dtype,
        compute="own",
        samples=(REAL,),
    )


def find_scalar(name):
    """La ligne de ce nom ; celle d’une conversion est faite au besoin."""
    return SCALARS[name] if name in SCALARS else cast_scalar(name.split("[")[1].rstrip("]"))
