"""Écrire autrement ce qui, écrit naïvement, déborde ou s’annule.

Le programme écrit `log(softmax(z))` ou `log(1 + exp(x))` ; les règles de ce fichier en font des
formes exactes, dans la passe avant comme dans le gradient.
"""

import math

from engine.core.dead_gradients import is_zeros
from engine.core.elemwise import cast, elemwise, mask, scalar_name, unmask
from engine.core.rewriting import Domain, fit, pattern, rewrite, scalar_value
from engine.core.types import FLOATS
from engine.ops.index import IncSubtensor, Subtensor
from engine.ops.nnet import LogSoftmax, LogSoftmaxGrad, LogSumExp, Softmax, SoftmaxGrad
from engine.ops.reduce import Reduce
from engine.ops.shape import Alloc, DimShuffle, MakeVector, Reshape, ShapeAxis
from engine.ops.sum_to import SumTo

ERFC_IS_SMALL = {"float32": 8.0, "float64": 25.0}  # au-delà, la série suffit à log(erfc(x))

# ---- log, exp, et ce qui se perd entre les deux ------------------------------------------

pattern(
    "log_sigmoïde",
    "stabilize",
    lambda x: x.sigmoid().log(),
    lambda x: -(-x).softplus(),
    "sigmoid(x) s'arrondit à 0, son logarithme à moins l'infini",
    Domain(),
)
pattern(
    "log_un_plus",
    "stabilize",
    lambda x: (1 + x).log(),
    lambda x: x.log1p(),
    "1 + x perd les petits x",
    Domain(),
)
pattern(
    "log_un_moins",
    "stabilize",
    lambda x: (1 - x).log(),
    lambda x: (-x).log1p(),
    "1 - x perd les petits x",
    Domain(),
)
pattern(
    "log1p_exp",
    "stabilize",
    lambda x: x.exp().log1p(),
    lambda x: x.softplus(),
    "exp(x) déborde quand x est grand",
    Domain(),
)
pattern(
    "log1p_moins_sigmoïde",
    "stabilize",
    lambda x: (-x.sigmoid()).log1p(),
    lambda x: -x.softplus(),
    "1 - sigmoid(x) s'arrondit à 0",
    Domain(),
)
pattern(
    "exp_moins_un",
    "stabilize",
    lambda x: x.exp() - 1,
    lambda x: x.expm1(),
    "exp(x) - 1 perd les petits x",
    Domain(),
)
pattern(
    "un_moins_exp",
    "stabilize",
    lambda x: 1 - x.exp(),
    lambda x: -x.expm1(),
    "1 - exp(x) perd les petits x",
    Domain(),
)
pattern(
    "log_exp",
    "stabilize",
    lambda x: x.exp().log(),
    lambda x: x,
    "exp(x) déborde",
    Domain(),
)
pattern(
    "log1p_expm1",
    "stabilize",
    lambda x: x.expm1().log1p(),
    lambda x: x,
    "exp(x) déborde",
    Domain(),
)
pattern(
    "log_exp_plus_exp",
    "stabilize",
    lambda x, y: (x.exp() + y.exp()).log(),
    elemwise("logaddexp"),
    "exp déborde, ou s'arrondit à 0",
    Domain(),
)
pattern(
    "exp_moins_exp_opposée",
    "stabilize",
    lambda x: x.exp() - (-x).exp(),
    lambda x: x.sinh() * 2,
    "les deux exp se ressemblent près de 0",
    Domain(),
)
pattern(
    "tanh_écrite",
    "stabilize",
    lambda x: x.sinh() * 2 / (x.exp() + (-x).exp()),
    lambda x: x.tanh(),
    "les deux exp débordent : infini sur infini",
    Domain(exact="isfinite(x)", changes="à l'infini, la limite, 1 ou -1, au lieu de NaN"),
)
pattern(
    "tanh_de_la_moitié",
    "stabilize",
    lambda x: x.expm1() / (1 + x.exp()),
    lambda x: (x * 0.5).tanh(),
    "les deux exp débordent : infini sur infini",
    Domain(exact="isfinite(x)", changes="à l'infini, la limite, 1 ou -1, au lieu de NaN"),
)
pattern(
    "un_moins_erf",
    "stabilize",
    lambda x: 1 - x.erf(),
    lambda x: x.erfc(),
    "erf(x) s'arrondit à 1",
    Domain(),
)
pattern(
    "un_moins_erfc",
    "stabilize",
    lambda x: 1 - x.erfc(),
    lambda x: x.erf(),
    "erfc(x) s'arrondit à 1",
    Domain(),
)


@rewrite(
    "log_un_moins_exp",
    "stabilize",
    ["log", "log1p"],
    "selon que x est près de 0 ou loin, c'est exp(x) ou 1 - exp(x) qui s'arrondit",
    Domain(),
    [lambda x: (-x.expm1()).log(), lambda x: (-x.exp()).log1p()],
)
def log_of_one_minus_exp(node):
    """log(1 - exp(x)), écrit log(-expm1(x)) ou log1p(-exp(x)) ; x est négatif.

    Référence : M. Mächler, « Accurately Computing log(1 - exp(-abs(a))) », 2012.
    """
    inner = "expm1" if scalar_name(node) == "log" else "exp"
    negated = _argument(node.inputs[0], "neg")
    x = _argument(negated, inner)
    if x is None or scalar_name(x.owner) in ("maximum", "minimum"):
        return None
    x = cast(x, node.out.dtype)  # un entier déborderait, ou changerait le dtype du résultat
    border = x.type.number(-math.log(2))
    near, far = x.maximum(border), x.minimum(border)
    return [x.gt(border).switch((-near.expm1()).log(), (-far.exp()).log1p())]


def _argument(variable, name):
    """L’argument de la fonction scalaire `name` dont `variable` est le résultat, sinon None."""
    node = None if variable is None else variable.owner
    return node.inputs[0] if scalar_name(node) == name else None


@rewrite(
    "hypoténuse",
    "stabilize",
    ["sqrt"],
    "un carré déborde, ou s'arrondit à 0, avant la racine",
    Domain(exact="~isnan(x) & ~isnan(y)", changes="infini et NaN : infini au lieu de NaN"),
    [lambda x, y: (x.sqr() + y * y).sqrt(), lambda x, y: (x**2 + y.sqr()).sqrt()],
)
def hypotenuse(node):
    total = node.inputs[0]
    if scalar_name(total.owner) != "add":
        return None
    sides = [_squared(entry) for entry in total.owner.inputs]
    return None if None in sides else [fit(elemwise("hypot")(*sides), node.outputs[0])]


def _squared(variable):
    """x si `variable` est x², écrit x ** 2, x * x ou sqr(x) ; sinon None."""
    if variable.owner is None or variable.dtype not in FLOATS:
        return None
    entries, name = variable.owner.inputs, scalar_name(variable.owner)
    square = (
        name == "sqr"
        or (name == "mul" and entries[0] is entries[1])
        or (name == "pow" and scalar_value(entries[1]) == 2)
    )
    return entries[0] if square and entries[0].dtype == variable.dtype else None


@rewrite(
    "log_erfc",
    "stabilize",
    ["log"],
    "erfc(x) s'arrondit à 0 dès 27, son logarithme à -infini",
    Domain(),
    [lambda x: x.erfc().log()],
)
def log_of_erfc(node):
    """Loin, par la série de erfc(x) x exp(x²) racine(pi) en 1/x² ; près de 0, par 1 - erf(x)."""
    x = _argument(node.inputs[0], "erfc")
    if x is None or scalar_name(x.owner) == "minimum" or node.out.dtype not in ERFC_IS_SMALL:
        return None
    x = cast(x, node.out.dtype)
    small = ERFC_IS_SMALL[x.dtype]
    far = x.maximum(small)
    t = 0.5 / far.sqr()
    series = -t * (1 - 3 * t * (1 - 5 * t * (1 - 7 * t)))
    asymptotic = series.log1p() - far.sqr() - far.log() - x.type.number(0.5 * math.log(math.pi))
    near = x.lt(0.5).switch((-x.erf()).log1p(), x.minimum(small).erfc().log())
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
        elif scalar_name(variable.owner) == "add" and any(_is_zeros_like(e, z) for e in entries):
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
        and _are_lengths(node.inputs[1:], z)
    )


def _are_lengths(lengths, z):
    """Dit si ces longueurs sont celles des axes de z, dans l’ordre."""
    return len(lengths) == z.ndim and all(
        scalar_value(length) == z.type.shape[axis]
        if z.type.shape[axis] is not None
        else length.owner is not None
        and length.owner.op == ShapeAxis(axis)
        and length.owner.inputs[0] is z
        for axis, length in enumerate(lengths)
    )


def _is_zeros_like(variable, z):
    return _filled_like(variable, z) and is_zeros(variable)


def _sum_of_exp(variable):
    """(z, axes) si `variable` est la somme des exp(z) le long d’axes, sinon None."""
    node = variable.owner
    if node is None or not isinstance(node.op, Reduce) or node.op.reduction.name != "sum":
        return None
    z = _argument(node.inputs[0], "exp")
    return None if z is None else (z, node.op.axes)


@rewrite(
    "log_somme_exp",
    "stabilize",
    ["log"],
    "exp(z) déborde, ou tous s'arrondissent à 0",
    Domain(ulps=64),  # log de la moyenne : une différence, quand elle est près de 0
    [
        lambda x: x.exp().sum(axis=1).log(),
        lambda x: x.exp().sum(axis=0, keepdims=True).log(),
        lambda x: x.exp().sum().log(),
        lambda x: (x.exp().sum(axis=1) / 3).log(),
    ],
)
def log_of_sum_of_exp(node):
    """log Σ exp(z), et le logarithme de leur moyenne."""
    total, count = node.inputs[0], None
    if scalar_name(total.owner) == "true_div":
        total, count = total.owner.inputs
    total, order = _bare(total)
    found = _sum_of_exp(total)
    if found is None:
        return None
    z, axes = found
    result = LogSumExp(axes)(cast(z, node.out.dtype)).dimshuffle(*order)
    if count is not None:  # un entier étroit donnerait un logarithme en float32
        result = result - cast(count, node.out.dtype).log()
    return [fit(result, node.outputs[0])]


@rewrite(
    "softmax_écrit",
    "stabilize",
    ["true_div"],
    "exp(z) déborde : infini sur infini",
    Domain(
        exact="isfinite(x)",
        changes="des exp tous nuls ou infinis : leur rapport, au lieu de NaN",
        ulps=400,  # exp(z - max z) : la différence s’arrondit
    ),
    [
        lambda x: x.exp() / x.exp().sum(axis=1, keepdims=True),
        lambda x: x.exp() / x.exp().sum(axis=0),
    ],
)
def written_softmax(node):
    """exp(z) / Σ exp(z)."""
    power, below = node.inputs
    z = _argument(power, "exp")
    axis = None if z is None else _softmax_axis(z, below, tuple(range(below.ndim)))
    return None if axis is None else [fit(Softmax(axis)(cast(z, node.out.dtype)), node.outputs[0])]


def _softmax_axis(z, below, outer):
    """L’axe (compté depuis la fin) le long duquel `below`, lu par `outer`, somme les exp(z)."""
    total, inner = _bare(below)
    found = _sum_of_exp(total)
    if found is None or found[0] is not z or len(found[1]) != 1:
        return None
    (axis,) = found[1]
    order = tuple("x" if k == "x" else inner[k] for k in outer)
    kept = (*range(axis), "x", *range(axis, z.ndim - 1))
    order = ("x",) * (z.ndim - len(order)) + order  # la diffusion ajoute les axes de gauche
    return axis - z.ndim if order == kept else None


@rewrite(
    "gradient_log_somme_exp",
    "stabilize",
    ["mul"],
    "exp(z) déborde : infini fois l'inverse de l'infini",
    Domain(exact="isfinite(x)", changes="comme softmax_écrit", ulps=400),
    [
        lambda x: (3.0 / x.exp().sum(axis=1, keepdims=True)) * x.exp(),
        lambda x: x.exp() * (x.max(axis=0, keepdims=True) / x.exp().sum(axis=0, keepdims=True)),
    ],
)
def gradient_of_log_of_sum_of_exp(node):
    """(g / Σ exp(z)) exp(z), la dérivée de g log Σ exp(z)."""
    for power, other in (node.inputs, reversed(node.inputs)):
        z = _argument(power, "exp")
        if z is None:
            continue
        quotient, outer = _bare(other, z)
        if scalar_name(quotient.owner) != "true_div":
            continue
        g, below = quotient.owner.inputs
        axis = _softmax_axis(z, below, outer)
        if axis is None or (g.ndim != quotient.ndim and not all(g.broadcastable)):
            continue
        g = g.dimshuffle() if all(g.broadcastable) else g.dimshuffle(*outer)
        return [fit(g * Softmax(axis)(cast(z, node.out.dtype)), node.outputs[0])]
    return None


@rewrite(
    "gradient_log_exp_plus_exp",
    "stabilize",
    ["mul"],
    "exp déborde, ou s'arrondit à 0 : infini sur infini, 0 sur 0",
    Domain(exact="isfinite(x) & isfinite(y)", changes="la limite au lieu de NaN", ulps=64),
    [
        lambda x, y: 3.0 / (x.exp() + y.exp()) * x.exp(),
        lambda x, y: y.exp() * (x / (x.exp() + y.exp())),
    ],
)
def gradient_of_log_of_two_exponentials(node):
    """g / (exp(x) + exp(y)) exp(x), la dérivée de g log(exp(x) + exp(y)), même diffusée."""
    for power, factor in (node.inputs, reversed(node.inputs)):
        z, shape, other = _argument(power, "exp"), None, factor
        if z is not None and other.owner is not None and isinstance(other.owner.op, SumTo):
            other, shape = other.owner.inputs
            if not isinstance(shape.owner and shape.owner.op, MakeVector):
                continue
            if not _are_lengths(shape.owner.inputs, z):
                continue
        if z is None or scalar_name(other.owner) != "true_div":
            continue
        g, below = other.owner.inputs
        if scalar_name(below.owner) != "add":
            continue
        first, second = (_argument(term, "exp") for term in below.owner.inputs)
        if z not in (first, second) or None in (first, second):
            continue
        other = second if z is first else first
        new = g * (cast(z, node.out.dtype) - cast(other, node.out.dtype)).sigmoid()
        return [fit(new if shape is None else SumTo()(new, shape), node.outputs[0])]
    return None


# ---- softmax -----------------------------------------------------------------------------


@rewrite(
    "log_softmax",
    "stabilize",
    ["log"],
    "softmax s'arrondit à 0, son logarithme à moins l'infini",
    Domain(),
    [
        lambda x: Softmax(-1)(x).log(),
        lambda x: Softmax(-2)(x).log(),
        lambda x: Softmax(-1)(x)[:, 0].log(),
        lambda x: Softmax(-1)(x)[[0, 0], [0, 0]].log(),
        lambda x: Softmax(-1)(x).T[0:1].log(),
    ],
)
def log_of_softmax(node):
    """Le logarithme traverse ce qui ne fait que déplacer : indice, axes, forme."""
    moves, (p,) = [], node.inputs
    while p.owner is not None and isinstance(p.owner.op, DimShuffle | Reshape | Subtensor):
        moves.append(p.owner)
        p = p.owner.inputs[0]
    if p.owner is None or not isinstance(p.owner.op, Softmax):
        return None
    result = LogSoftmax(p.owner.op.axis)(p.owner.inputs[0])
    for move in reversed(moves):
        result = move.op(result, *move.inputs[1:])
    return [result]


@rewrite(
    "exp_log_softmax",
    "stabilize",
    ["exp"],
    "exp et log se défont",
    Domain(),
    [lambda x: LogSoftmax(-1)(x).exp(), lambda x: LogSoftmax(-2)(x).exp()],
)
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
    Domain(exact="(y > 0)", changes="divisé par p nul puis multiplié par p : 0 au lieu de NaN"),
    [
        lambda x, y: SoftmaxGrad(-1)(x / y, y),
        lambda x, y: SoftmaxGrad(-2)(-(x / y), y),
        lambda x, y: SoftmaxGrad(-1)(x / y + x, y),
    ],
)
def gradient_of_log_softmax(node):
    """SoftmaxGrad(h / p, p) = LogSoftmaxGrad(h, p), et les deux sont linéaires."""
    g, p = node.inputs
    over, rest = _split(g, lambda variable: variable is p)
    if over is None:
        return None
    over = over + p.zeros_like() if over.ndim != p.ndim else over
    result = LogSoftmaxGrad(node.op.axis)(cast(over, node.out.dtype), p)
    return [result if rest is None else result + node.op(cast(rest, node.out.dtype), p)]


def _split(g, is_divisor):
    """(h, reste) tels que g = h / diviseur + reste ; None où il n’y a rien."""
    masks, g = unmask(g)
    name, entries = scalar_name(g.owner), g.owner.inputs if g.owner is not None else ()
    if name == "true_div" and is_divisor(entries[1]):
        over, rest = entries[0], None
        masks = [(c, kept) for c, kept in masks if not (kept and _says_where(c, over))]
    elif name == "neg":
        over, rest = (part if part is None else -part for part in _split(entries[0], is_divisor))
    elif name == "add":
        pairs = zip(*(_split(entry, is_divisor) for entry in entries), strict=True)
        over, rest = (b if a is None else a if b is None else a + b for a, b in pairs)
    elif _is_written(g) and is_zeros(entries[0]):  # h posé parmi des zéros
        zeros, value, *index = entries
        read = Subtensor(g.owner.op.template)

        def is_read(q):
            node = q.owner
            return (
                node is not None
                and node.op == read
                and is_divisor(node.inputs[0])
                and node.inputs[1:] == index
            )

        over, rest = (
            part if part is None else g.owner.op(zeros, part, *index)
            for part in _split(value, is_read)
        )
    else:
        over, rest = None, g
    return tuple(part if part is None else mask(part, masks) for part in (over, rest))


def _is_written(variable):
    node = variable.owner
    return node is not None and isinstance(node.op, IncSubtensor) and not node.op.set_instead


def _says_where(condition, written):
    """Dit si `condition` ne fait que montrer où `written`, nul ailleurs, a été écrit."""
    marks = condition.owner.inputs[0].owner if scalar_name(condition.owner) == "neq" else None
    return (
        marks is not None
        and _is_written(written)
        and marks.op == written.owner.op
        and marks.inputs[2:] == written.owner.inputs[2:]
        and is_zeros(written.owner.inputs[0])
    )
