"""Écrire autrement ce qui, écrit naïvement, déborde ou s’annule.

Le programme écrit `log(softmax(z))` ou `log(1 + exp(x))` ; les règles de ce fichier en font des
formes exactes, dans la passe avant comme dans le gradient.
"""

import math

from engine.dead_gradients import is_filled_with_zeros
from engine.ops.elemwise import Elemwise, elemwise, mask, scalar_name, unmask
from engine.ops.index import IncSubtensor
from engine.ops.nnet import LogSoftmax, LogSoftmaxGrad, LogSumExp, Softmax, SoftmaxGrad
from engine.ops.reduce import Reduce
from engine.ops.shape import Alloc, DimShuffle, ShapeAxis
from engine.rewriting.core import fit, pattern, rewrite, scalar_value
from engine.types import FLOATS

ERFC_IS_SMALL = {"float32": 8.0, "float64": 25.0}  # au-delà, la série suffit à log(erfc(x))

# ---- log, exp, et ce qui se perd entre les deux ------------------------------------------

pattern(
    "log_sigmoïde",
    "stabilize",
    lambda x: x.sigmoid().log(),
    lambda x: -(-x).softplus(),
    "sigmoid(x) s'arrondit à 0, son logarithme à moins l'infini",
)
pattern(
    "log_un_plus",
    "stabilize",
    lambda x: (1 + x).log(),
    lambda x: x.log1p(),
    "1 + x perd les petits x",
)
pattern(
    "log_un_moins",
    "stabilize",
    lambda x: (1 - x).log(),
    lambda x: (-x).log1p(),
    "1 - x perd les petits x",
)
pattern(
    "log1p_exp",
    "stabilize",
    lambda x: x.exp().log1p(),
    lambda x: x.softplus(),
    "exp(x) déborde quand x est grand",
)
pattern(
    "log1p_moins_sigmoïde",
    "stabilize",
    lambda x: (-x.sigmoid()).log1p(),
    lambda x: -x.softplus(),
    "1 - sigmoid(x) s'arrondit à 0",
)
pattern(
    "exp_moins_un",
    "stabilize",
    lambda x: x.exp() - 1,
    lambda x: x.expm1(),
    "exp(x) - 1 perd les petits x",
)
pattern(
    "un_moins_exp",
    "stabilize",
    lambda x: 1 - x.exp(),
    lambda x: -x.expm1(),
    "1 - exp(x) perd les petits x",
)
pattern("log_exp", "stabilize", lambda x: x.exp().log(), lambda x: x, "exp(x) déborde")
pattern("log1p_expm1", "stabilize", lambda x: x.expm1().log1p(), lambda x: x, "exp(x) déborde")
pattern(
    "log_exp_plus_exp",
    "stabilize",
    lambda x, y: (x.exp() + y.exp()).log(),
    lambda x, y: x.maximum(y) + (-abs(x - y)).softplus(),
    "exp déborde, ou s'arrondit à 0",
)
pattern(
    "exp_moins_exp_opposée",
    "stabilize",
    lambda x: x.exp() - (-x).exp(),
    lambda x: x.sinh() * 2,
    "les deux exp se ressemblent près de 0",
)
pattern(
    "tanh_écrite",
    "stabilize",
    lambda x: x.sinh() * 2 / (x.exp() + (-x).exp()),
    lambda x: x.tanh(),
    "les deux exp débordent : infini sur infini",
)
pattern(
    "tanh_de_la_moitié",
    "stabilize",
    lambda x: x.expm1() / (1 + x.exp()),
    lambda x: (x * 0.5).tanh(),
    "les deux exp débordent : infini sur infini",
)
pattern(
    "un_moins_erf", "stabilize", lambda x: 1 - x.erf(), lambda x: x.erfc(), "erf(x) s'arrondit à 1"
)
pattern(
    "un_moins_erfc",
    "stabilize",
    lambda x: 1 - x.erfc(),
    lambda x: x.erf(),
    "erfc(x) s'arrondit à 1",
)


@rewrite(
    "log_un_moins_exp",
    "stabilize",
    ["log", "log1p"],
    "selon que x est près de 0 ou loin, c'est exp(x) ou 1 - exp(x) qui s'arrondit",
)
def log_of_one_minus_exp(node):
    """log(1 - exp(x)), écrit log(-expm1(x)) ou log1p(-exp(x)) ; x est négatif.

    Référence : M. Mächler, « Accurately Computing log(1 - exp(-abs(a))) », 2012.
    """
    inner = "expm1" if str(node.op.scalar) == "log" else "exp"
    negated = _argument(node.inputs[0], "neg")
    x = _argument(negated, inner)
    if x is None or (x.owner is not None and str(x.owner.op) in ("maximum", "minimum")):
        return None
    near, far = x.maximum(-math.log(2)), x.minimum(-math.log(2))
    return [x.gt(-math.log(2)).switch((-near.expm1()).log(), (-far.exp()).log1p())]


def _argument(variable, name):
    """L’argument de la fonction scalaire `name` dont `variable` est le résultat, sinon None."""
    node = None if variable is None else variable.owner
    if node is None or not isinstance(node.op, Elemwise) or str(node.op.scalar) != name:
        return None
    return node.inputs[0]


@rewrite(
    "hypoténuse", "stabilize", ["sqrt"], "un carré déborde, ou s'arrondit à 0, avant la racine"
)
def hypotenuse(node):
    total = node.inputs[0]
    if total.owner is None or str(total.owner.op) != "add":
        return None
    sides = [_squared(entry) for entry in total.owner.inputs]
    return None if None in sides else [fit(elemwise("hypot")(*sides), node.outputs[0])]


def _squared(variable):
    """x si `variable` est x², écrit x ** 2, x * x ou sqr(x) ; sinon None."""
    if variable.owner is None or variable.dtype not in FLOATS:
        return None
    entries, name = variable.owner.inputs, str(variable.owner.op)
    square = (
        name == "sqr"
        or (name == "mul" and entries[0] is entries[1])
        or (name == "pow" and scalar_value(entries[1]) == 2)
    )
    return entries[0] if square and entries[0].dtype == variable.dtype else None


@rewrite(
    "log_erfc", "stabilize", ["log"], "erfc(x) s'arrondit à 0 dès 27, son logarithme à -infini"
)
def log_of_erfc(node):
    """Loin, par la série de erfc(x) x exp(x²) racine(pi) en 1/x²."""
    x = _argument(node.inputs[0], "erfc")
    if x is None or (x.owner is not None and str(x.owner.op) == "minimum"):
        return None
    small = ERFC_IS_SMALL[x.dtype]
    far = x.maximum(small)
    t = 0.5 / far.sqr()
    series = -t * (1 - 3 * t * (1 - 5 * t * (1 - 7 * t)))
    asymptotic = series.log1p() - far.sqr() - far.log() - x.type.number(0.5 * math.log(math.pi))
    near = x.minimum(small).erfc().log()
    return [x.lt(small).switch(near, asymptotic)]


# ---- sommes d’exponentielles -------------------------------------------------------------


def _bare(variable, z=None):
    """Ôte les dimshuffles, et ce qui ne fait que donner la forme de `z`.

    Rend la variable qui reste, et pour chaque axe de la première celui de la seconde ("x" : aucun).
    """
    order = tuple(range(variable.ndim))
    while variable.owner is not None:
        op, entries = variable.owner.op, variable.owner.inputs
        if isinstance(op, DimShuffle):
            order = tuple("x" if axis == "x" else op.order[axis] for axis in order)
            variable = entries[0]
        elif _filled_like(variable, z) and entries[0].ndim == 0:
            order, variable = ("x",) * len(order), entries[0]
        elif str(op) == "add" and any(_is_zeros_like(entry, z) for entry in entries):
            left, right = entries
            kept = right if _is_zeros_like(left, z) else left
            if kept.ndim != variable.ndim:
                break
            variable = kept
        else:
            break
    return variable, order


def _filled_like(variable, z):
    """Dit si `variable` est un `alloc` de la forme de z."""
    node = variable.owner
    return (
        z is not None
        and node is not None
        and isinstance(node.op, Alloc)
        and len(node.inputs) == z.ndim + 1
        and all(
            length.owner is not None
            and length.owner.op == ShapeAxis(axis)
            and length.owner.inputs[0] is z
            for axis, length in enumerate(node.inputs[1:])
        )
    )


def _is_zeros_like(variable, z):
    return _filled_like(variable, z) and scalar_value(variable.owner.inputs[0]) == 0


def _sum_of_exp(variable):
    """(z, axes) si `variable` est la somme des exp(z) le long d’axes, sinon None."""
    node = variable.owner
    if node is None or not isinstance(node.op, Reduce) or node.op.reduction.name != "sum":
        return None
    z = _argument(node.inputs[0], "exp")
    return None if z is None else (z, node.op.axes)


@rewrite("log_somme_exp", "stabilize", ["log"], "exp(z) déborde, ou tous s'arrondissent à 0")
def log_of_sum_of_exp(node):
    """log Σ exp(z), et le logarithme de leur moyenne."""
    total, count = node.inputs[0], None
    if total.owner is not None and str(total.owner.op) == "true_div":
        total, count = total.owner.inputs
    total, order = _bare(total)
    found = _sum_of_exp(total)
    if found is None:
        return None
    z, axes = found
    result = LogSumExp(axes)(z).dimshuffle(*order)
    return [fit(result if count is None else result - count.log(), node.outputs[0])]


@rewrite("softmax_écrit", "stabilize", ["true_div"], "exp(z) déborde : infini sur infini")
def written_softmax(node):
    """exp(z) / Σ exp(z)."""
    power, below = node.inputs
    z = _argument(power, "exp")
    axis = None if z is None else _softmax_axis(z, below, tuple(range(below.ndim)))
    return None if axis is None else [fit(Softmax(axis)(z), node.outputs[0])]


def _softmax_axis(z, below, outer):
    """L’axe (compté depuis la fin) le long duquel `below`, lu par `outer`, somme les exp(z)."""
    total, inner = _bare(below)
    found = _sum_of_exp(total)
    if found is None or found[0] is not z or len(found[1]) != 1:
        return None
    (axis,) = found[1]
    order = tuple("x" if rank == "x" else inner[rank] for rank in outer)
    kept = (*range(axis), "x", *range(axis, z.ndim - 1))
    order = ("x",) * (z.ndim - len(order)) + order  # la diffusion ajoute les axes de gauche
    return axis - z.ndim if order == kept else None


@rewrite(
    "gradient_log_somme_exp",
    "stabilize",
    ["mul"],
    "exp(z) déborde : infini fois l'inverse de l'infini",
)
def gradient_of_log_of_sum_of_exp(node):
    """(g / Σ exp(z)) exp(z), la dérivée de g log Σ exp(z)."""
    for power, other in (node.inputs, reversed(node.inputs)):
        z = _argument(power, "exp")
        if z is None:
            continue
        quotient, outer = _bare(other, z)
        if quotient.owner is None or str(quotient.owner.op) != "true_div":
            continue
        g, below = quotient.owner.inputs
        axis = _softmax_axis(z, below, outer)
        if axis is None or (g.ndim != quotient.ndim and not all(g.broadcastable)):
            continue
        g = g.dimshuffle() if all(g.broadcastable) else g.dimshuffle(*outer)
        return [fit(g * Softmax(axis)(z), node.outputs[0])]
    return None


# ---- softmax -----------------------------------------------------------------------------


@rewrite(
    "log_softmax", "stabilize", ["log"], "softmax s'arrondit à 0, son logarithme à moins l'infini"
)
def log_of_softmax(node):
    (p,) = node.inputs
    if p.owner is not None and isinstance(p.owner.op, Softmax):
        return [LogSoftmax(p.owner.op.axis)(p.owner.inputs[0])]
    return None


@rewrite("exp_log_softmax", "stabilize", ["exp"], "exp et log se défont")
def exp_of_log_softmax(node):
    (x,) = node.inputs
    if x.owner is not None and isinstance(x.owner.op, LogSoftmax):
        return [Softmax(x.owner.op.axis)(x.owner.inputs[0])]
    return None


@rewrite(
    "gradient_log_softmax",
    "stabilize",
    [SoftmaxGrad],
    "diviser par p puis multiplier par p, qui peut valoir 0",
)
def gradient_of_log_softmax(node):
    g, p = node.inputs
    masks, g = unmask(g)
    sign = 1
    if scalar_name(g.owner) == "neg":
        sign, g = -1, g.owner.inputs[0]
    if scalar_name(g.owner) != "true_div" or g.owner.inputs[1] is not p:
        return None
    inner = g.owner.inputs[0]
    inner = mask(inner, [(c, kept) for c, kept in masks if not (kept and _says_where(c, inner))])
    if inner.ndim != p.ndim:
        inner = inner + p.zeros_like()
    return [LogSoftmaxGrad(node.op.axis)(inner if sign > 0 else -inner, p)]


def _says_where(condition, written):
    """Dit si `condition` ne fait que montrer où `written`, nul ailleurs, a été écrit."""
    marks = condition.owner.inputs[0].owner if scalar_name(condition.owner) == "neq" else None
    node = written.owner
    return (
        marks is not None
        and node is not None
        and isinstance(node.op, IncSubtensor)
        and marks.op == node.op
        and marks.inputs[2:] == node.inputs[2:]
        and is_filled_with_zeros(node.inputs[0])
    )
