"""Mettre le graphe sous forme simple : formes, éléments neutres, facteurs qui se simplifient.

Ordre de lecture : les formes, les éléments neutres, les axes, puis `cancel_factors`.
"""

from engine.core.elemwise import Elemwise, cast, elemwise, scalar_name
from engine.core.rewriting import Domain, fit, pattern, rewrite, scalar_value
from engine.core.scalars import cast_scalar
from engine.core.types import FLOATS, constant
from engine.ops.index import Subtensor
from engine.ops.shape import Alloc, DimShuffle, MakeVector, Reshape, Shape, ShapeAxis

MAX_FACTORS = 16


# ---- formes ------------------------------------------------------------------------------


@rewrite(
    "forme_connue",
    "canonicalize",
    [ShapeAxis],
    "une longueur se déduit des entrées, sans rien calculer",
    Domain("tous", changes="ce dont on ne lit que la forme n'est pas calculé, même s'il échouait"),
    [
        lambda x: ShapeAxis(1)(x.exp()),
        lambda x: ShapeAxis(0)(x.T),
        lambda x: ShapeAxis(1)(x.sgn() * 2),
    ],
)
def length_from_inputs(node):
    (x,), axis = node.inputs, node.op.axis
    if x.type.shape[axis] is not None:
        return [constant(x.type.shape[axis], dtype="int64")]
    if x.owner is None:
        return None
    input_shapes = [
        tuple(ShapeAxis(k)(entry) for k in range(entry.ndim)) for entry in x.owner.inputs
    ]
    shape = x.owner.op.infer_shape(x.owner, input_shapes)[x.index]
    if shape is None or shape[axis] is None:
        return None
    return [cast(shape[axis], "int64")]


@rewrite(
    "forme_en_longueurs",
    "canonicalize",
    [Shape],
    "une forme est le vecteur de ses longueurs",
    Domain("tous"),
    [lambda x: x.shape, lambda x: x.sum().shape],
)
def shape_as_lengths(node):
    (x,) = node.inputs
    if x.ndim == 0:
        return [constant([], dtype="int64")]
    return [MakeVector()(*(ShapeAxis(axis)(x) for axis in range(x.ndim)))]


@rewrite(
    "élément_de_vecteur",
    "canonicalize",
    [Subtensor],
    "l'élément d'un vecteur assemblé est son terme",
    Domain("tous"),
    [
        lambda x: MakeVector()(ShapeAxis(0)(x), ShapeAxis(1)(x))[1],
        lambda x: MakeVector()(ShapeAxis(0)(x), ShapeAxis(1)(x))[-2],
        lambda x: MakeVector()(x.sum(), ShapeAxis(0)(x))[0],
    ],
)
def item_of_vector(node):
    x, *indices = node.inputs
    if node.op.template != ("i",) or x.owner is None or not isinstance(x.owner.op, MakeVector):
        return None
    position = scalar_value(indices[0])
    if position is None or not -len(x.owner.inputs) <= position < len(x.owner.inputs):
        return None
    return [cast(x.owner.inputs[int(position)], x.dtype)]


# ---- éléments neutres --------------------------------------------------------------------


def _neutral(name, op, position, value, sample):
    @rewrite(name, "canonicalize", [op], f"{value} est neutre pour {op}", Domain("tous"), [sample])
    def apply(node):
        if scalar_value(node.inputs[position]) != value:
            return None
        return _keep(node, node.inputs[1 - position])


def _keep(node, variable):
    """`variable` à la place du nœud, si sa forme est sûrement celle du résultat."""
    others = [entry for entry in node.inputs if entry is not variable]
    if all(
        entry.ndim <= variable.ndim and entry.type.broadcastable.count(False) == 0
        for entry in others
    ):
        return [cast(variable, node.outputs[0].dtype)]
    return None


_neutral("zéro_plus_x", "add", 0, 0, lambda x: 0 + x)
_neutral("x_plus_zéro", "add", 1, 0, lambda x: x + 0)
_neutral("x_moins_zéro", "sub", 1, 0, lambda x: x - 0)
_neutral("un_fois_x", "mul", 0, 1, lambda x: 1 * x)
_neutral("x_fois_un", "mul", 1, 1, lambda x: x * 1)
_neutral("x_sur_un", "true_div", 1, 1, lambda x: x / 1)
_neutral("x_puissance_un", "pow", 1, 1, lambda x: x**1)


@rewrite(
    "zéro_fois_x",
    "canonicalize",
    ["mul"],
    "0 absorbe le produit",
    Domain("tous", exact="isfinite(x)", changes="0 fois l'infini, ou NaN : 0 au lieu de NaN"),
    [lambda x: x * 0, lambda x: 0.0 * x],
)
def zero_times(node):
    zeros = [entry for entry in node.inputs if scalar_value(entry) == 0]
    return [node.outputs[0].zeros_like()] if zeros else None


@rewrite(
    "zéro_diffusé",
    "canonicalize",
    ["mul", "true_div"],
    "un tableau de zéros absorbe le produit",
    Domain(exact="isfinite(x) & (x != 0)", changes="0 fois l'infini, 0 sur 0, ou NaN : 0"),
    [lambda x: x.zeros_like() * x, lambda x: x.zeros_like() / x],
)
def zeros_times(node):
    first = node.inputs[0]
    filled = first.owner is not None and isinstance(first.owner.op, Alloc)
    if filled and scalar_value(first.owner.inputs[0]) == 0 and node.outputs[0].dtype in FLOATS:
        return [node.outputs[0].zeros_like()]
    return None


@rewrite(
    "plus_zéros",
    "canonicalize",
    ["add"],
    "un tableau de zéros ne fait que donner sa forme",
    Domain("tous"),
    [lambda x: x.zeros_like() + 3, lambda x: x.max() + x.zeros_like()],
)
def plus_zeros(node):
    for position, entry in enumerate(node.inputs):
        filled = entry.owner is not None and isinstance(entry.owner.op, Alloc)
        if not filled or scalar_value(entry.owner.inputs[0]) != 0:
            continue
        other = node.inputs[1 - position]
        if other.ndim == 0 or not any(length != 1 for length in other.type.shape):
            value = other.dimshuffle() if other.ndim else other
            if entry.ndim >= other.ndim:
                return [Alloc()(cast(value, node.outputs[0].dtype), *entry.owner.inputs[1:])]
    return None


pattern(
    "moins_moins_x",
    "canonicalize",
    lambda x: x.neg().neg(),
    lambda x: x,
    "deux signes s'annulent",
    Domain("tous"),
)
pattern(
    "x_moins_x",
    "canonicalize",
    lambda x: x - x,
    lambda x: x.zeros_like(),
    "x - x vaut 0",
    Domain("tous", exact="isfinite(x)", changes="infini moins infini, ou NaN : 0 au lieu de NaN"),
)
pattern(
    "x_plus_moins_y",
    "canonicalize",
    lambda x, y: x + (-y),
    lambda x, y: x - y,
    "une soustraction suffit",
    Domain("tous"),
)
pattern(
    "x_moins_moins_y",
    "canonicalize",
    lambda x, y: x - (-y),
    lambda x, y: x + y,
    "une addition suffit",
    Domain("tous"),
)


@rewrite(
    "conversion_inutile",
    "canonicalize",
    [f"cast[{dtype}]" for dtype in FLOATS],
    "le dtype est déjà le bon",
    Domain(),
    [lambda x: Elemwise(cast_scalar(x.dtype))(x)],
)
def useless_cast(node):
    return [node.inputs[0]] if node.inputs[0].dtype == node.outputs[0].dtype else None


@rewrite(
    "second_sans_valeur",
    "canonicalize",
    ["second"],
    "seule la forme du premier argument compte",
    Domain("tous", changes="le premier argument n'est pas calculé, même s'il échouait"),
    [
        lambda x: elemwise("second")(x, x.max()),
        lambda x: elemwise("second")(x.max(), x),
        lambda x, y: elemwise("second")(x.exp(), y),
    ],
)
def second_needs_only_shape(node):
    shape_giver, value = node.inputs
    if value.ndim == 0 and shape_giver.ndim:
        return [Alloc()(value, *(ShapeAxis(axis)(shape_giver) for axis in range(shape_giver.ndim)))]
    if shape_giver.ndim == 0:
        return [value]
    producer = shape_giver.owner
    if producer is not None and isinstance(producer.op, Elemwise) and len(producer.inputs) == 1:
        return [elemwise("second")(producer.inputs[0], value)]
    return None


# ---- axes --------------------------------------------------------------------------------


@rewrite(
    "dimshuffle_composés",
    "canonicalize",
    [DimShuffle],
    "deux permutations d'axes n'en font qu'une",
    Domain("tous"),
    [
        lambda x: DimShuffle((0, 1))(x.sgn()),
        lambda x: x.T.dimshuffle(1, "x", 0),
        lambda x: x.dimshuffle("x", 1, 0).dimshuffle(2, 1),
    ],
)
def merge_dimshuffles(node):
    (x,), order = node.inputs, node.op.order
    if order == tuple(range(x.ndim)):
        return [x]
    if x.owner is None or not isinstance(x.owner.op, DimShuffle):
        return None
    inner = x.owner.op.order
    return [x.owner.inputs[0].dimshuffle(*("x" if axis == "x" else inner[axis] for axis in order))]


@rewrite(
    "reshape_composés",
    "canonicalize",
    [Reshape],
    "seule la dernière forme compte",
    Domain("tous", changes="une première forme impossible n'est plus refusée"),
    [lambda x: x.reshape((-1,), ndim=1).reshape(x.shape, ndim=2)],
)
def merge_reshapes(node):
    x, shape = node.inputs
    if x.owner is not None and isinstance(x.owner.op, Reshape):
        return [Reshape(node.op.ndim)(x.owner.inputs[0], shape)]
    return None


# ---- sigmoïdes ---------------------------------------------------------------------------

# Avant les facteurs : une fois 1 + exp(-x) simplifié ailleurs, la sigmoïde ne se reconnaît plus.
pattern(
    "sigmoïde",
    "canonicalize",
    lambda x: 1 / (1 + (-x).exp()),
    lambda x: x.sigmoid(),
    "exp(-x) déborde quand x est très négatif",
    Domain(),
)
pattern(
    "sigmoïde_opposée",
    "canonicalize",
    lambda x: 1 / (1 + x.exp()),
    lambda x: (-x).sigmoid(),
    "exp(x) déborde quand x est grand",
    Domain(),
)
pattern(
    "un_moins_sigmoïde",
    "canonicalize",
    lambda x: 1 - x.sigmoid(),
    lambda x: (-x).sigmoid(),
    "1 - sigmoid(x) vaut sigmoid(-x), sans soustraction",
    Domain(),
)


# ---- facteurs ----------------------------------------------------------------------------


def _owner_scalar(variable, dtype):
    """Le nom de la fonction scalaire qui a fait `variable`, si elle est de ce dtype."""
    return scalar_name(variable.owner) if variable.dtype == dtype else None


def _factors(variable, dtype):
    """Rend (numérateurs, dénominateurs, signe) d’un produit, sans entrer dans les sommes."""
    top, bottom, sign = [], [], 1
    pending = [(variable, True)]
    while pending:
        item, above = pending.pop()
        kind = _owner_scalar(item, dtype)
        if kind == "mul":
            pending += [(entry, above) for entry in item.owner.inputs]
        elif kind == "true_div":
            pending += [(item.owner.inputs[0], above), (item.owner.inputs[1], not above)]
        elif kind == "neg":
            sign = -sign
            pending.append((item.owner.inputs[0], above))
        else:
            (top if above else bottom).append(item)
        if len(top) + len(bottom) + len(pending) > MAX_FACTORS:
            return None
    return top, bottom, sign


def _cancel(top, bottom):
    """Ôte les facteurs présents en haut et en bas ; rend vrai s’il y en avait."""
    changed = False
    for item in list(bottom):
        if item in top:
            top.remove(item)
            bottom.remove(item)
            changed = True
            continue
        for power, u in _sums_of_two(item):
            if any(power is candidate for candidate in top):
                top.remove(power)
                bottom.remove(item)
                top.append(u.sigmoid())
                changed = True
                break
    for item in list(top):  # sigmoid(-u) exp(u), l’un des deux étant déjà reconnu
        power = next((other for other in top if _are_opposed(item, other)), None)
        if power is not None and item in top:
            top.remove(item)
            top.remove(power)
            top.append(power.owner.inputs[0].sigmoid())
            changed = True
    return changed


def _are_opposed(sigmoid, power):
    """Dit si les deux variables sont sigmoid(-u) et exp(u), pour un même u."""
    if (scalar_name(sigmoid.owner), scalar_name(power.owner)) != (
        "sigmoid",
        "exp",
    ):
        return False
    u, v = sigmoid.owner.inputs[0], power.owner.inputs[0]
    return any(
        scalar_name(one.owner) == "neg" and one.owner.inputs[0] is other
        for one, other in ((u, v), (v, u))
    )


def _sums_of_two(variable):
    """Les (exp(u), w) tels que exp(u) divisé par la variable est sigmoid(w)."""
    if scalar_name(variable.owner) != "add":
        return
    for one, other in (variable.owner.inputs, reversed(variable.owner.inputs)):
        if _owner_scalar(other, variable.dtype) == "exp":
            u = other.owner.inputs[0]
            if scalar_value(one) == 1:
                yield other, u
            elif _owner_scalar(one, variable.dtype) == "exp":
                v = one.owner.inputs[0]  # des entiers étroits, soustraits, déborderaient
                yield other, cast(u, variable.dtype) - cast(v, variable.dtype)


def _product(top, bottom, sign, dtype):
    def multiply(items):
        result = None
        for factor in items:
            item = cast(factor, dtype)  # un entier déborderait, un float32 arrondirait
            result = item if result is None else result * item
        return result

    up, down = multiply(top), multiply(bottom)
    result = constant(1, dtype=dtype) if up is None else up
    result = result if down is None else result / down
    return -result if sign < 0 else result


@rewrite(
    "facteurs_simplifiés",
    "canonicalize",
    ["mul", "true_div"],
    "un facteur commun en haut et en bas disparaît",
    Domain(
        exact="isfinite(x) & (x != 0) & isfinite(y) & (y != 0)",
        changes="x / x vaut 1, même en 0, à l'infini, ou pour NaN ; rien ne déborde entre-temps",
        ulps=64,  # exp(x) / (exp(x) + exp(y)) arrondit x - y
    ),
    [
        lambda x: x / x,
        lambda x, y: x * y / x,
        lambda x, y: x / (x * y),
        lambda x, y: -(x * y) / (y * 3),
        lambda x: x.exp() / (1 + x.exp()),
        lambda x: x.exp() * (-x).sigmoid(),
        lambda x, y: x.exp() / (x.exp() + y.exp()),
        lambda x, y: (x / y + y / x) * x,
        lambda x, y: (x / y - x) * y,
    ],
)
def cancel_factors(node):
    (out,) = node.outputs
    if out.dtype not in FLOATS:
        return None
    found = _factors(out, out.dtype)
    if found is None:
        return None
    top, bottom, sign = found
    everything = [*top, *bottom]
    if not _cancel(top, bottom):
        return _distribute(node, top, bottom, sign)
    return [_keep_shape(_product(top, bottom, sign, out.dtype), everything, out)]


def _keep_shape(result, factors, out):
    """Les facteurs simplifiés donnaient peut-être leur forme au produit : la rendre."""
    present = _leaves(result)
    for factor in dict.fromkeys(factors):
        leaves = _leaves(factor)
        if not leaves <= present:
            result = elemwise("second")(factor, result)
            present |= leaves
    return fit(result, out)


def _leaves(variable):
    """Les variables, non terme à terme, dont la diffusion donne sa forme à celle-ci."""
    leaves, pending, seen = set(), [variable], set()
    while pending:
        item = pending.pop()
        if item in seen or item.ndim == 0:
            continue
        seen.add(item)
        node = item.owner
        if node is not None and isinstance(node.op, Elemwise) and len(seen) < MAX_FACTORS:
            pending += node.inputs
        elif not all(item.broadcastable):
            leaves.add(item)
    return leaves


def _distribute(node, top, bottom, sign):
    """(a/x + b/y) x y -> a y + b x, quand cela ôte au moins une division."""
    (out,) = node.outputs
    for total in top:
        kind = _owner_scalar(total, out.dtype)
        if kind not in ("add", "sub"):
            continue
        terms = [_factors(entry, out.dtype) for entry in total.owner.inputs]
        if None in terms:
            continue
        others = [item for item in top if item is not total]
        useful = [item for item in others if any(item in below for _, below, _ in terms)]
        if not useful:
            continue
        rest = list(others)
        for item in useful:
            rest.remove(item)
        products = []
        for above, below, term_sign in terms:
            upper = [*above, *useful]
            _cancel(upper, below)
            rest_of_term = (
                upper[1:] if below else []
            )  # le quotient d’abord : le produit déborderait
            kept = upper[: len(upper) - len(rest_of_term)]
            term = _product(kept, below, term_sign, out.dtype)
            for factor in rest_of_term:
                term = term * cast(factor, out.dtype)
            products.append(term)
        combined = products[0] + products[1] if kind == "add" else products[0] - products[1]
        result = _product([combined, *rest], bottom, sign, out.dtype)
        return [
            _keep_shape(result, [total, *useful], out)
            if combined.ndim < out.ndim
            else fit(result, out)
        ]
    return None
