"""La table des fonctions scalaires : une ligne une fonction, une source pour tous les dos de
calcul.

Chaque ligne donne le nom, la fonction NumPy (la référence), l’expression scalaire en Python (que
Numba compile pour le processeur et pour CUDA), sa variante float32, le gradient, la règle du dtype
et des exemples, bords compris.

Ordre de lecture : `Scalar`, les règles de dtype, puis la table `SCALARS`.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from engine.core.dtypes import FLOATS, upcast
from engine.core.errors import DtypeError
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


def boolean(*dtypes):
    """Le dtype d’une comparaison."""
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
    is_composite = False

    @property
    def nin(self):
        """Nombre d’arguments."""
        return len(self.samples)

    @property
    def is_comparison(self):
        """Vrai si le résultat est un booléen issu d’une comparaison."""
        return self.dtype is boolean and self.nin == 2

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
STEPS = (-2.5, -1.5, -0.5, -0.0, 0.4, 0.5, 1.5, 2.5, 2.75)
SMALL_POWER = (-1.0, 0.0, 0.5, 2.0, 3.0)
BITS = (0, 1, 0, 1)
EDGES = (-np.inf, -1.5, 0.0, np.nan, np.inf)


def _np_sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def _np_pow(x, y):
    if x.dtype.kind == "f":
        return np.power(x, y)
    small = np.where(abs(x) == 1, np.where(y % 2, x, 1), 0)  # 1, -1 ou 0 : y est négatif
    return np.where(y < 0, small, np.power(x, np.maximum(y, 0))).astype(x.dtype)


def _np_softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _pow_grad(x, y, z, g):
    x = x.astype(z.dtype)  # le log d’un entier étroit ne serait calculé qu’en float32
    safe = x.gt(0).switch(x, 1)  # log(0) n’apparaît pas quand seul x est dérivé
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
    Scalar("log", np.log, "math.log(x)", "log32(x)", lambda x, o, g: g / x, samples=(POSITIVE,)),
    Scalar("log1p", np.log1p, "math.log1p(x)", "log1p32(x)", lambda x, o, g: g / (x + 1), samples=(ABOVE_MINUS_1,)),
    Scalar("sin", np.sin, "math.sin(x)", None, lambda x, o, g: g * x.cos(), samples=(REAL,)),
    Scalar("cos", np.cos, "math.cos(x)", None, lambda x, o, g: -g * x.sin(), samples=(REAL,)),
    Scalar("tan", np.tan, "math.tan(x)", None, lambda x, o, g: g * (o.sqr() + 1), samples=(INSIDE,)),
    Scalar("tanh", np.tanh, "math.tanh(x)", "tanh32(x)", lambda x, o, g: g * (1 - o.sqr()), samples=(WIDE,)),
    Scalar("sigmoid", _np_sigmoid, "sigmoid64(x)", "sigmoid32(x)", lambda x, o, g: g * o * (1 - o), samples=(WIDE,)),
    Scalar("softplus", _np_softplus, "softplus64(x)", "softplus32(x)", lambda x, o, g: g * x.sigmoid(), samples=(WIDE,)),
    Scalar("round_half_to_even", np.rint, "np.rint(x)", "rint32(x)", samples=(STEPS,)),
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
    Scalar("pow", _np_pow, "x ** y", None, _pow_grad, _number, symbol="**", samples=(POSITIVE[1:4], SMALL_POWER)),
    Scalar("maximum", np.maximum, "x if x >= y or x != x else y", None,
           lambda x, y, o, g: (x.ge(y).switch(g, 0), x.lt(y).switch(g, 0)), upcast, commutative=True, samples=(REAL, REAL)),
    Scalar("minimum", np.minimum, "x if x <= y or x != x else y", None,
           lambda x, y, o, g: (x.le(y).switch(g, 0), x.gt(y).switch(g, 0)), upcast, commutative=True, samples=(REAL, REAL)),
    Scalar("lt", np.less, "x < y", dtype=boolean, compute="upcast", symbol="<", samples=(REAL, REAL)),
    Scalar("gt", np.greater, "x > y", dtype=boolean, compute="upcast", symbol=">", samples=(REAL, REAL)),
    Scalar("le", np.less_equal, "x <= y", dtype=boolean, compute="upcast", symbol="<=", samples=(REAL, REAL)),
    Scalar("ge", np.greater_equal, "x >= y", dtype=boolean, compute="upcast", symbol=">=", samples=(REAL, REAL)),
    Scalar("eq", np.equal, "x == y", dtype=boolean, compute="upcast", symbol="==", commutative=True,
           samples=(REAL, REAL)),
    Scalar("neq", np.not_equal, "x != y", dtype=boolean, compute="upcast", symbol="!=", commutative=True,
           samples=(REAL, REAL)),
    Scalar("isnan", np.isnan, "x != x", dtype=boolean, compute="own", samples=(EDGES,)),
    Scalar("and_", np.bitwise_and, "x & y", dtype=_logical, symbol="&", commutative=True, samples=(BITS, BITS)),
    Scalar("or_", np.bitwise_or, "x | y", dtype=_logical, symbol="|", commutative=True, samples=(BITS, BITS)),
    Scalar("xor", np.bitwise_xor, "x ^ y", dtype=_logical, symbol="^", commutative=True, samples=(BITS, BITS)),
    Scalar("invert", np.invert, "np.invert(x)", dtype=_logical, symbol="~", samples=(BITS,)),
    Scalar("switch", np.where, "y if x else z", None, lambda x, y, z, o, g: (None, x.switch(g, 0), x.switch(0, g)),
           _branches, compute="condition", samples=(BITS, REAL[:4], REAL[4:])),
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
