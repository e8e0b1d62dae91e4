"""L’arbitre : une expression du moteur, évaluée en décimal, avec assez de chiffres pour que 1 + x
garde le plus petit des x.

Rien n’est emprunté au moteur que la liste des nœuds. None veut dire « on ne sait pas » : une
exponentielle trop grande pour être écrite, une fonction qui n’est pas ici.
"""

import decimal
from decimal import Decimal

import numpy as np

from engine.core.elemwise import Elemwise, scalar_name
from engine.core.graph import Constant, toposort
from engine.ops.index import Subtensor
from engine.ops.nnet import LogSoftmax, Softmax, SoftmaxGrad
from engine.ops.reduce import Reduce
from engine.ops.shape import Alloc, DimShuffle, MakeVector, Reshape, Shape, ShapeAxis

DIGITS = {"float64": 400, "float32": 200, "bfloat16": 200, "float16": 200}
LARGEST_EXPONENT = Decimal(10) ** 9  # au-delà, exp(x) ne s’écrit plus
ONE, HALF = Decimal(1), Decimal("0.5")


class UnknownError(Exception):
    """Une op que l’arbitre ne connaît pas."""


def context(digits):
    """Un contexte où rien ne lève : 0 sur 0 vaut NaN, comme en virgule flottante."""
    return decimal.Context(prec=digits, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[])


def _plus(x, y):
    """La somme ; None si le plus petit s’y perd tout entier : il faudrait plus de chiffres."""
    if x and y and x.is_finite() and y.is_finite():
        if abs(x.adjusted() - y.adjusted()) > decimal.getcontext().prec - 25:
            return None
    return x + y


def _log1p(x):
    total = _plus(ONE, x)
    return None if total is None else total.ln()


def _exp(x):
    if x.is_finite() and abs(x) > LARGEST_EXPONENT:
        return None
    return x.exp()


def _log(x):
    return x.ln()


def _erf_series(x):
    total, term, n = x, x, 0
    while abs(term) > abs(total).scaleb(-decimal.getcontext().prec):
        n += 1
        term = -term * x * x / n
        total += term / (2 * n + 1)
    return 2 * total / _pi().sqrt()


def _pi():
    """Machin : π = 16 arctan(1/5) - 4 arctan(1/239)."""

    def arctan_inverse(n):
        total = term = ONE / n
        k = 1
        while abs(term) > ONE.scaleb(-decimal.getcontext().prec - 2):
            term = -term / (n * n)
            k += 2
            total += term / k
        return total

    return 16 * arctan_inverse(5) - 4 * arctan_inverse(239)


def _erfc(x):
    """La série près de 0, une fraction continue au loin."""
    if x.is_nan():
        return x
    if x < 0:
        other = _erfc(-x)
        return None if other is None else _plus(Decimal(2), -other)
    if x.is_infinite():
        return Decimal(0)
    if x > 10**4:
        return None
    if x < 5:
        with decimal.localcontext() as ctx:
            ctx.prec += 30
            return 1 - _erf_series(x)
    fraction = x
    for k in range(2000 if x < 20 else 400, 0, -1):
        fraction = x + (Decimal(k) / 2) / fraction
    return (-x * x).exp() / (fraction * _pi().sqrt())


def _erf(x):
    if x.is_finite() and abs(x) < 5:
        return _erf_series(x) if x else x
    other = _erfc(x)
    return None if other is None else _plus(ONE, -other)


def _sigmoid(x):
    power = _exp(-abs(x))
    below = None if power is None else _plus(ONE, power)
    return None if below is None else (ONE if x >= 0 else power) / below


def _softplus(x):
    power = _exp(-abs(x))
    tail = None if power is None else _log1p(power)
    return None if tail is None else _plus(max(x, Decimal(0)), tail)


def _hyperbolic(x, sign):
    up, down = _exp(x), _exp(-x)
    total = None if up is None or down is None else _plus(up, sign * down)
    return None if total is None else total / 2


def _tanh(x):
    if x.is_infinite():
        return Decimal(1).copy_sign(x)
    up = _exp(-2 * abs(x))
    if up is None or _plus(ONE, up) is None:
        return None
    return ((1 - up) / (1 + up)).copy_sign(x)


def _pow(x, y):
    if y == y.to_integral_value() and abs(y) < 10 and not (x == 0 and y <= 0):
        return x ** int(y)
    if y == HALF:
        return Decimal("Infinity") if x == Decimal("-Infinity") else x.sqrt()
    return None


def _extreme(x, y, least):
    if x.is_nan() or y.is_nan():
        return Decimal("NaN")
    return min(x, y) if least else max(x, y)


def _divide(x, y):
    if y == 0 and x != 0 and not x.is_nan():
        return Decimal("Infinity").copy_sign(x) * (1 if not y.is_signed() else -1)
    return x / y


FUNCTIONS = {
    "neg": lambda x: x.copy_negate(),
    "abs": abs,
    "sgn": lambda x: x if x.is_nan() else Decimal((x > 0) - (x < 0)),
    "sqr": lambda x: x * x,
    "sqrt": lambda x: x.sqrt(),
    "exp": _exp,
    "expm1": lambda x: None if _exp(x) is None else _plus(_exp(x), -ONE),
    "log": _log,
    "log1p": _log1p,
    "sinh": lambda x: _hyperbolic(x, -1),
    "cosh": lambda x: _hyperbolic(x, 1),
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "erf": _erf,
    "erfc": _erfc,
    "add": _plus,
    "sub": lambda x, y: _plus(x, -y),
    "mul": lambda x, y: x * y,
    "true_div": _divide,
    "pow": _pow,
    "maximum": lambda x, y: _extreme(x, y, False),
    "minimum": lambda x, y: _extreme(x, y, True),
    "second": lambda x, y: y,
}


def _known(function, *arguments):
    """`function`, d’arguments connus ; None si l’un ne l’est pas."""
    if any(value is None for value in arguments):
        return None
    if any(value.is_nan() for value in arguments) and function is not FUNCTIONS["second"]:
        return Decimal("NaN")
    return function(*arguments)


def _fold(function, x, axes):
    """Une réduction, élément par élément."""
    moved = np.moveaxis(x, axes, range(len(axes)))
    rows = moved.reshape((-1, *moved.shape[len(axes) :]))
    if not len(rows):
        return np.full(rows.shape[1:], Decimal(0), dtype=object)
    result = rows[0]
    for row in rows[1:]:
        result = _each(function, result, row)
    return np.asarray(result, dtype=object)


def _each(function, *arrays):
    each = np.frompyfunc(lambda *values: _known(function, *values), len(arrays), 1)
    return np.asarray(each(*arrays), dtype=object)


def _softmax(z, axis):
    power = _each(FUNCTIONS["exp"], z)
    total = np.expand_dims(_fold(FUNCTIONS["add"], power, (axis % z.ndim,)), axis)
    return _each(FUNCTIONS["true_div"], power, total)


def _compute(node, values):
    op, x = node.op, values[0]
    if isinstance(op, Elemwise):
        name = scalar_name(node) or ""
        if name.startswith("cast["):
            if node.inputs[0].dtype == "float64" and node.outputs[0].dtype != "float64":
                raise UnknownError(name)  # un arrondi au milieu de l’expression
            return x
        if name not in FUNCTIONS:
            raise UnknownError(name)
        return _each(FUNCTIONS[name], *values)
    if isinstance(op, Reduce) and op.reduction.name in ("sum", "max"):
        function = FUNCTIONS["add" if op.reduction.name == "sum" else "maximum"]
        return _fold(function, x, op.axes)
    if isinstance(op, Softmax):
        return _softmax(x, op.axis)
    if isinstance(op, LogSoftmax):
        return _each(_log, _softmax(x, op.axis))
    if isinstance(op, SoftmaxGrad):
        products = _each(FUNCTIONS["mul"], *values)
        total = np.expand_dims(_fold(FUNCTIONS["add"], products, (op.axis % x.ndim,)), op.axis)
        return _each(FUNCTIONS["mul"], values[1], _each(FUNCTIONS["sub"], x, total))
    if isinstance(op, ShapeAxis):
        return np.asarray(Decimal(x.shape[op.axis]), dtype=object)
    if isinstance(op, Shape):
        return np.array([Decimal(length) for length in x.shape], dtype=object)
    if isinstance(op, MakeVector):
        return np.array([value.item() for value in values], dtype=object)
    if isinstance(op, Alloc | DimShuffle | Reshape | Subtensor):
        rest = [np.vectorize(int, otypes=["int64"])(value) for value in values[1:]]
        storage = [[None]]
        op.perform(node, [x, *rest], storage)
        return np.asarray(storage[0][0], dtype=object)
    raise UnknownError(str(op))


def truth(inputs, output, arrays):
    """La valeur exacte, tableau de décimaux (None : inconnue) ; None si l’arbitre se récuse."""
    with decimal.localcontext(context(DIGITS.get(output.dtype, 60))):
        found = {
            variable: np.vectorize(lambda v: Decimal(float(v)), otypes=[object])(array)
            if array.size
            else np.empty(array.shape, dtype=object)
            for variable, array in zip(inputs, arrays, strict=True)
        }

        def value(entry):
            if isinstance(entry, Constant):
                each = np.vectorize(lambda v: Decimal(float(v)), otypes=[object])
                return np.asarray(each(entry.data), dtype=object)
            return found[entry]

        try:
            for node in toposort([output], inputs):
                found[node.outputs[0]] = _compute(node, [value(entry) for entry in node.inputs])
            return value(output)
        except UnknownError:
            return None
