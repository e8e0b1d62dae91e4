"""Les opérations terme à terme : une fonction scalaire de la table, étendue aux tableaux.

`Elemwise(scalar)` applique une ligne de `scalars.SCALARS` avec la diffusion de NumPy (les
axes manquants sont à gauche).

Ordre de lecture : `Elemwise`, `SumTo` (l’inverse de la diffusion), `Composite`.
"""

from functools import reduce

import numpy as np

from engine.core.dtypes import widened
from engine.core.errors import InputError, ShapeError
from engine.core.graph import Apply, Op, Variable
from engine.core.scalars import SCALARS, cast_scalar, find_scalar
from engine.core.types import (
    FLOATS,
    TensorConstant,
    TensorType,
    add_methods,
    as_tensor_variable,
    axis_clash,
    constant,
)


def broadcast_static(inputs, name):
    """Forme (connue ou non) du résultat de la diffusion.

    Lève
        ShapeError : deux longueurs connues, différentes et toutes deux autres que 1.
    """
    types = [entry.type for entry in inputs]
    ndim = max(type_.ndim for type_ in types)
    shape = []
    for axis in range(-ndim, 0):
        lengths = {type_.shape[axis] for type_ in types if type_.ndim >= -axis}
        known = lengths - {None, 1}
        if len(known) > 1:
            raise ShapeError(
                f"{name} : formes incompatibles{_clash(inputs, [t.shape for t in types])}",
                expected=f"des longueurs égales (ou 1) sur l'axe {ndim + axis}",
                received=", ".join(entry.short() for entry in inputs),
                hint="pour diffuser, ajoutez un axe de longueur 1 avec dimshuffle",
            )
        shape.append(known.pop() if known else None if None in lengths else 1)
    return shape


class Elemwise(Op):
    """Applique une fonction scalaire terme à terme.

    `inplace` : rang de l’entrée dont la mémoire reçoit le résultat, ou None.
    """

    __props__ = ("scalar", "inplace")

    def __init__(self, scalar, inplace=None):
        self.scalar = scalar
        self.inplace = inplace
        self.destroy_map = {} if inplace is None else {0: [inplace]}

    @property
    def is_comparison(self):
        """Vrai pour `<`, `==`... : leur résultat n’a pas de valeur de vérité."""
        return self.scalar.is_comparison

    def make_node(self, *inputs):
        beside = any(isinstance(entry, Variable) for entry in inputs)
        inputs = [
            as_tensor_variable(entry) if beside or not isinstance(entry, float) else constant(entry)
            for entry in inputs
        ]
        if len(inputs) != self.scalar.nin:
            raise InputError(
                f"{self} ne prend pas ce nombre d'arguments",
                expected=f"{self.scalar.nin} argument(s)",
                received=f"{len(inputs)} : {', '.join(map(str, inputs))}",
                hint="un tableau par argument ; pour le long d'un axe, max, sum, mean(axis=0)",
            )
        dtype = self.scalar.dtype(*(entry.dtype for entry in inputs))
        shape = broadcast_static(inputs, self)
        return Apply(self, inputs, [TensorType(dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        shape = []
        for axis in range(-node.outputs[0].ndim, 0):
            present = [
                (entry.type.shape[axis], lengths[axis])
                for entry, lengths in zip(node.inputs, input_shapes, strict=True)
                if entry.ndim >= -axis
            ]
            wide = [length for known, length in present if known != 1]
            unsure = len(wide) > 1 and all(known is None for known, _ in present if known != 1)
            if unsure and any(length is not wide[0] for length in wide):
                shape.append(None)  # l’un vaut peut-être 1 : il faut calculer pour savoir
                continue
            sure = [length for known, length in present if known not in (None, 1)]
            shape.append((sure or wide or [present[0][1]])[0])
        return [tuple(shape)] * len(node.outputs)

    def infer_dims(self, node):
        names = []
        for axis in range(-node.outputs[0].ndim, 0):
            found = {entry.dims[axis] for entry in node.inputs if entry.ndim >= -axis} - {None}
            names.append(found.pop() if len(found) == 1 else None)
        return [names] * len(node.outputs)

    def perform(self, node, inputs, output_storage):
        if len(node.outputs) > 1:
            for cell, result in zip(output_storage, self.scalar.numpy(*inputs), strict=True):
                cell[0] = result.copy()
            return
        dtype = node.outputs[0].dtype
        wanted = self.scalar.compute_dtypes([entry.dtype for entry in node.inputs], dtype)
        arrays = [
            np.asarray(value).astype(widened(kind), copy=False)
            for value, kind in zip(inputs, wanted, strict=True)
        ]
        try:
            with np.errstate(all="ignore"):
                result = np.asarray(self.scalar.numpy(*arrays))
                result = result.astype(
                    dtype, order="C", copy=False
                )  # les noyaux suivants y comptent
        except ShapeError:
            raise
        except ValueError as error:
            clash = _clash(node.inputs, [array.shape for array in arrays])
            raise mismatch(self, arrays, clash=clash) from error
        place = None if self.inplace is None else inputs[self.inplace]
        # les noyaux suivants comptent sur un résultat contigu
        if place is not None and place.shape == result.shape and place.flags.c_contiguous:
            place[...] = result
            result = place
        elif any(np.may_share_memory(result, value) for value in inputs):
            result = result.copy()
        output_storage[0][0] = result

    def L_op(self, inputs, outputs, output_grads):
        (output,), (g,) = outputs, output_grads
        if self.scalar.grad is None or output.dtype not in FLOATS:
            grads = [entry.zeros_like(dtype="floatX") for entry in inputs]
        else:
            masks, g = unmask(g)
            grads = self.scalar.grad(*inputs, output, g)
            grads = [
                None if grad is None else mask(_in_dtype(grad, entry), masks)
                for grad, entry in zip(
                    grads if self.scalar.nin > 1 else [grads], inputs, strict=True
                )
            ]
        return [
            None
            if grad is None
            else _like_input(grad, entry, [other for other in inputs if other is not entry])
            for grad, entry in zip(grads, inputs, strict=True)
        ]

    def inner_graphs(self):
        return [self.scalar.graph()] if self.scalar.is_composite else []

    @classmethod
    def variants(cls):
        return [cls(row) for row in SCALARS.values()]

    def samples(self):
        ranges = [np.array(values) for values in self.scalar.samples]
        length = max(map(len, ranges))
        return [[np.resize(values, (2, length)) for values in ranges]]

    def __str__(self):
        return f"{self.scalar}" + ("" if self.inplace is None else f"{{sur place {self.inplace}}}")


def _clash(inputs, shapes):
    """Les deux premiers axes qui ne s’accordent pas, s’ils ont un nom."""
    for axis in range(-1, -max(entry.ndim for entry in inputs) - 1, -1):
        present = [
            (entry, axis, shape[axis])
            for entry, shape in zip(inputs, shapes, strict=True)
            if entry.ndim >= -axis and shape[axis] not in (None, 1)
        ]
        for other in present[1:]:
            if other[2] != present[0][2]:
                return axis_clash(*present[0], *other)
    return ""


def mismatch(name, arrays, where=None, clash=""):
    """L’erreur de tableaux que la diffusion n’accorde pas."""
    return ShapeError(
        f"{name} : formes incompatibles{clash}",
        expected="des longueurs égales (ou 1), axe par axe en partant du dernier",
        received=", puis ".join(f"forme {array.shape}" for array in arrays),
        where=where,
        hint="pour diffuser, ajoutez un axe de longueur 1 avec dimshuffle ou keepdims=True",
    )


def elemwise(name):
    """L’op terme à terme de nom `name` dans la table."""
    return Elemwise(SCALARS[name])


def cast(x, dtype):
    """Convertit `x` en `dtype` ; rend `x` lui-même s’il l’est déjà."""
    x = as_tensor_variable(x)
    dtype = TensorType(dtype).dtype
    return x if x.dtype == dtype else Elemwise(cast_scalar(dtype))(x)


def scalar_name(node):
    """Le nom de la ligne de la table qu’un nœud applique ; None si ce n’en est pas une.

    L’op d’un utilisateur peut s’imprimer « add » : ce n’est pas une addition pour autant.
    """
    if node is None or not isinstance(node.op, Elemwise) or node.op.scalar.is_composite:
        return None
    name = node.op.scalar.name
    known = name in SCALARS or name.startswith("cast[")
    return name if known and find_scalar(name) is node.op.scalar else None


def unmask(grad):
    """Un gradient nul d’office par endroits : ([(condition, où elle est vraie)], le reste).

    `switch(c, g, 0)` est nul où c est faux, quoi qu’il y ait plus bas. Multiplié par une dérivée
    infinie, il ferait NaN : la branche que le programme n’a pas prise gâterait l’autre. `Elemwise`
    dérive donc le reste, puis remet les masques.
    """
    masks = []
    while grad.owner is not None:
        entries, name = grad.owner.inputs, scalar_name(grad.owner)
        if name == "switch" and _is_zero(entries[2]):
            masks.append((entries[0], True))
            grad = entries[1]
        elif name == "switch" and _is_zero(entries[1]):
            masks.append((entries[0], False))
            grad = entries[2]
        elif name == "mul" and "bool" in (entries[0].dtype, entries[1].dtype):
            kept, condition = entries if entries[1].dtype == "bool" else reversed(entries)
            masks.append((condition, True))
            grad = kept
        elif name == "neg" or (name or "").startswith("cast["):
            below, inner = unmask(entries[0])
            return masks + below, grad.owner.op(inner) if below else grad
        else:
            break
    return masks, grad


def mask(grad, masks):
    """L’inverse de `unmask`."""
    for condition, kept in reversed(masks):
        grad = condition.switch(grad, 0) if kept else condition.switch(0, grad)
    return grad


def _is_zero(variable):
    return isinstance(variable, TensorConstant) and not variable.data.any()


def _in_dtype(grad, entry):
    """Le gradient dans le dtype (flottant) de l’entrée."""
    return cast(grad, entry.dtype) if entry.dtype in FLOATS else grad


def _like_input(grad, entry, others):
    """Ramène un gradient au dtype (flottant) et à la forme de l’entrée."""
    grad = _in_dtype(grad, entry)
    same_shape = grad.ndim == entry.ndim and all(
        other.ndim <= entry.ndim and all(other.broadcastable) for other in others
    )
    return grad if same_shape else grad.sum_to(entry)


# ---- les fonctions, et ce qu’une variable en reçoit ----------------------------------------


def _elementwise_function(row):
    op = Elemwise(row)
    n_ary = row.name in ("add", "mul")  # `add(x, y, z)`, comme dans Theano

    def function(*args, name=None):
        if n_ary and len(args) > 2:
            args = (reduce(op, args[:-1]), args[-1])
        return op(*args, name=name)

    function.__name__ = function.__qualname__ = row.name
    formula = row.code if row.nin > 1 or row.symbol else f"{row.name}(x)"
    function.__doc__ = f"""Terme à terme : `{formula}`, avec la diffusion de NumPy.

    Paramètres
        {", ".join("xyz"[: row.nin])} : tableaux symboliques ou nombres, de formes diffusables.

    Renvoie
        Un tableau de la forme diffusée.
    """
    return function


ELEMENTWISE = {}  # nom -> la fonction


def declare(*rows):
    """Ajoute des lignes à la table : chacune est une fonction, et une méthode des variables."""
    for row in rows:
        SCALARS[row.name] = row
        ELEMENTWISE[row.name] = function = _elementwise_function(row)
        add_methods(**{row.name: function})


declare(*SCALARS.values())


def __getattr__(name):  # `pickle` retrouve ainsi la fonction de n’importe quelle ligne
    if name in ELEMENTWISE:
        return ELEMENTWISE[name]
    raise AttributeError(name)


OPERATORS = {
    **{"add": "add", "sub": "sub", "mul": "mul", "truediv": "true_div", "floordiv": "int_div"},
    **{"mod": "mod", "pow": "pow", "and": "and_", "or": "or_", "xor": "xor"},
}


def reflected(function):
    """L’opérateur dont la variable est à droite : `2 - x`."""
    return lambda self, other: function(other, self)


add_methods(
    **{f"__{symbol}__": ELEMENTWISE[name] for symbol, name in OPERATORS.items()},
    **{f"__r{symbol}__": reflected(ELEMENTWISE[name]) for symbol, name in OPERATORS.items()},
    **{
        f"__{name}__": ELEMENTWISE[name]
        for name in ("lt", "le", "gt", "ge", "neg", "abs", "invert")
    },
    astype=cast,
)
