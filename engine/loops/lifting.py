"""Calculer pour tous les pas à la fois ce qu’une boucle calcule pas à pas.

Une variable du dedans est « levée » quand une variable du dehors porte ses valeurs de tous les pas,
le temps en axe 0 ; elle est « fixe » quand elle ne change pas d’un pas à l’autre. Chaque règle dit
comment un op s’applique à des entrées levées : `dot(x_t, W)` devient le produit de toutes les
lignes par W, une grande multiplication au lieu de T petites.

Ordre de lecture : `lift_node`, les règles, puis `total` (la somme sur le temps).
"""

from math import prod

from engine import tensor
from engine.core.elemwise import Elemwise, elemwise, scalar_name
from engine.core.rewriting import scalar_value
from engine.core.types import TensorConstant, constant
from engine.ops.index import IncSubtensor, Subtensor
from engine.ops.nnet import LogSoftmax, LogSoftmaxGrad, Softmax, SoftmaxGrad
from engine.ops.products import Dot
from engine.ops.reduce import Reduce
from engine.ops.shape import Alloc, DimShuffle, Join, MakeVector, Reshape, ShapeAxis
from engine.ops.sum_to import SumTo

_WHOLE = ("s", False, False, False)
_RULES = {}


def _rule(*op_classes):
    def register(function):
        for op_class in op_classes:
            _RULES[op_class] = function
        return function

    return register


def lift_node(node, arguments, lifted, steps):
    """Rend (variable du dehors, levée ?) pour la sortie d’un nœud, ou None s’il n’a pas de règle.

    Paramètres
        arguments : les entrées, vues du dehors.
        lifted : pour chacune, porte-t-elle l’axe du temps ?
        steps : le nombre de pas.
    """
    if len(node.outputs) != 1:
        return None
    if not any(lifted):
        return node.op(*arguments), False
    if isinstance(node.op, ShapeAxis):
        return ShapeAxis(node.op.axis + 1)(arguments[0]), False
    rule = _RULES.get(type(node.op))
    result = rule(node, arguments, lifted, steps) if rule is not None else None
    return None if result is None else (result, True)


def _align(argument, is_lifted, ndim):
    """Met les axes manquants entre le temps et les autres, là où la diffusion les ajouterait."""
    missing = ndim + 1 - argument.ndim
    if not is_lifted or missing <= 0:
        return argument
    return argument.dimshuffle(0, *["x"] * missing, *range(1, argument.ndim))


@_rule(Elemwise)
def _elemwise(node, arguments, lifted, steps):
    ndim = node.out.ndim
    return node.op(*(_align(a, up, ndim) for a, up in zip(arguments, lifted, strict=True)))


@_rule(DimShuffle)
def _dimshuffle(node, arguments, lifted, steps):
    order = ("x" if axis == "x" else axis + 1 for axis in node.op.order)
    return arguments[0].dimshuffle(0, *order)


@_rule(Reduce)
def _reduce(node, arguments, lifted, steps):
    return Reduce(node.op.reduction, tuple(axis + 1 for axis in node.op.axes))(*arguments)


@_rule(Softmax, SoftmaxGrad, LogSoftmax, LogSoftmaxGrad)
def _along_axis(node, arguments, lifted, steps):
    return node.op(*arguments) if all(lifted) and node.op.axis < 0 else None


@_rule(Dot)
def _dot(node, arguments, lifted, steps):
    (x, y), (x_up, y_up) = arguments, lifted
    x_ndim, y_ndim = x.ndim - x_up, y.ndim - y_up
    if x_up and y_up:
        if (x_ndim, y_ndim) == (1, 1):
            return (x * y).sum(axis=1)
        return tensor.batched_dot(x, y) if x_ndim == y_ndim == 2 else None
    if x_up:
        return _rows_dot(x, y)
    if y_ndim == 1:
        return _rows_dot(y, x.T)
    product = _rows_dot(y.dimshuffle(0, 2, 1), x.T)
    return product.dimshuffle(0, 2, 1) if x_ndim == 2 else product


def _rows_dot(x, y):
    """x (T, ..., n) par y : une seule multiplication, toutes les lignes de tous les pas."""
    if x.ndim == 2:
        return x.dot(y)
    flat = x.reshape((x.shape[0] * x.shape[1], x.shape[2])).dot(y)
    lengths = (x.shape[0], x.shape[1], y.shape[1])[: flat.ndim + 1]
    return flat.reshape(lengths, ndim=flat.ndim + 1)


@_rule(Subtensor)
def _subtensor(node, arguments, lifted, steps):
    template, (x, *indices), (x_up, *index_up) = node.op.template, arguments, lifted
    if not any(index_up):
        plain = "a" not in template or all(item == "a" for item in template)
        return Subtensor((_WHOLE, *template))(x, *indices) if plain else None
    if not x_up:
        return Subtensor(("a",))(x, *indices) if template in (("i",), ("a",)) else None
    if template == ("i",):
        return Subtensor(("a", "a"))(x, tensor.arange(steps), *indices)
    if set(template) == {"a"} and all(entry.ndim == 1 for entry in node.inputs[1:]):
        return Subtensor(("a", *template))(x, tensor.arange(steps).dimshuffle(0, "x"), *indices)
    return None


@_rule(Alloc)
def _alloc(node, arguments, lifted, steps):
    value, *lengths = arguments
    return None if any(lifted[1:]) else Alloc()(_align(value, True, node.out.ndim), steps, *lengths)


@_rule(Reshape)
def _reshape(node, arguments, lifted, steps):
    x, shape = arguments
    if lifted[1]:
        return None
    return Reshape(node.op.ndim + 1)(x, MakeVector()(steps, *_lengths(shape, x, node.op.ndim)))


def _lengths(shape, x, ndim):
    """Les longueurs demandées par un reshape de chaque x_t ; -1, qui ne se devine plus sur zéro
    pas, y est remplacé par ce qu’il vaut.
    """
    lengths = [shape[axis] for axis in range(ndim)]
    if isinstance(shape, TensorConstant):
        lengths = [constant(length) for length in shape.data]
    elif shape.owner is not None and isinstance(shape.owner.op, MakeVector):
        lengths = list(shape.owner.inputs)
    places = [place for place, length in enumerate(lengths) if scalar_value(length) == -1]
    for place in places:
        whole = prod([x.shape[axis] for axis in range(1, x.ndim)])
        lengths[place] = whole // prod(lengths[:place] + lengths[place + 1 :])
    return lengths


@_rule(SumTo)
def _sum_to(node, arguments, lifted, steps):
    grad, shape = arguments
    return None if lifted[1] else SumTo()(grad, Join(0)(MakeVector()(steps), shape))


@_rule(Join)
def _join(node, arguments, lifted, steps):
    return Join(node.op.axis + 1)(*arguments) if all(lifted) else None


# ---- somme sur le temps ------------------------------------------------------------------


def total(variable, resolve, steps, inside, top=True):
    """Rend Σ_t variable_t, vu du dehors, ou None s’il vaut mieux additionner dans la boucle.

    Paramètres
        resolve : variable du dedans -> (variable du dehors, levée ?).
        steps : le nombre de pas.
        top : la variable est ce que la boucle additionne ; recueillir une valeur de la taille d’un
            poids à chaque pas coûterait plus que de l’additionner.
    """
    node, linear = variable.owner, None
    if node is not None and (top or variable not in inside):
        linear = _linear_total(variable, node, resolve, steps, inside, top)
    if linear is not None or top:
        return linear
    value, lifted = resolve(variable)
    return value.sum(axis=0) if lifted else value * steps.astype(value.dtype)


def _linear_total(variable, node, resolve, steps, inside, top):
    op, inputs = node.op, node.inputs
    if isinstance(op, Elemwise):
        return _elemwise_total(node, resolve, steps, inside, top)
    if isinstance(op, DimShuffle):
        inner = total(inputs[0], resolve, steps, inside, top)
        return None if inner is None else inner.dimshuffle(*op.order)
    if isinstance(op, SumTo):
        shape, lifted = resolve(inputs[1])
        return None if lifted else SumTo()(total(inputs[0], resolve, steps, inside, False), shape)
    if isinstance(op, Reduce) and op.reduction.name == "sum":
        return op(total(inputs[0], resolve, steps, inside, False))
    if isinstance(op, Dot):
        return _dot_total(inputs, resolve, steps)
    if isinstance(op, IncSubtensor) and not op.set_instead:
        return _write_total(node, resolve, steps, inside)
    return None


def _elemwise_total(node, resolve, steps, inside, top):
    name = scalar_name(node)
    if name in ("add", "sub"):
        parts = [total(entry, resolve, steps, inside, top) for entry in node.inputs]
        return None if None in parts else elemwise(name)(*parts)
    if name == "neg":
        part = total(node.inputs[0], resolve, steps, inside, top)
        return None if part is None else -part
    if name == "mul" and len(node.inputs) == 2:
        for column, row in (node.inputs, node.inputs[::-1]):
            if _order(column) == (0, "x") and (row.ndim == 1 or _order(row) == ("x", 0)):
                u, v = column.owner.inputs[0], row if row.ndim == 1 else row.owner.inputs[0]
                (u, u_up), (v, v_up) = resolve(u), resolve(v)
                return u.T.dot(v) if u_up and v_up else None
    return None


def _order(variable):
    node = variable.owner
    return node.op.order if node is not None and isinstance(node.op, DimShuffle) else None


def _dot_total(inputs, resolve, steps):
    x, y = inputs
    transposed = _order(x) == (1, 0)
    (left, left_up), (right, right_up) = resolve(x.owner.inputs[0] if transposed else x), resolve(y)
    if left_up and right_up and x.ndim == y.ndim == 2:
        flat = right.reshape((right.shape[0] * right.shape[1], right.shape[2]))
        if transposed:
            rows = left.reshape((left.shape[0] * left.shape[1], left.shape[2])).T
        else:
            turned = left.dimshuffle(1, 0, 2)
            rows = turned.reshape((turned.shape[0], turned.shape[1] * turned.shape[2]))
        return rows.dot(flat)
    if left_up != right_up:
        left = left.sum(axis=0) if left_up else left
        right = right.sum(axis=0) if right_up else right
        return (left.T if transposed else left).dot(right)
    return None


def _write_total(node, resolve, steps, inside):
    zeros, value, *indices = node.inputs
    made = zeros.owner
    if made is None or not isinstance(made.op, Alloc) or made.inputs[0].ndim:
        return None
    fill = made.inputs[0]
    if getattr(fill, "data", None) is None or fill.data != 0:
        return None
    (start, start_up), found = resolve(zeros), [resolve(index) for index in indices]
    if start_up:
        return None
    if not any(up for _, up in found):
        return node.op(
            start, total(value, resolve, steps, inside, False), *(index for index, _ in found)
        )
    rows, rows_up = resolve(value)
    whole = value.ndim == node.out.ndim - 1 + node.inputs[2].ndim  # rien à étirer
    if whole and node.op.template in (("i",), ("a",)) and rows_up:
        return IncSubtensor(("a",), set_instead=False)(start, rows, found[0][0])
    return None
