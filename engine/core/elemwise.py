"""Les opérations terme à terme : une fonction scalaire de la table, étendue aux tableaux.

`Elemwise(scalar)` applique une ligne de `scalars.SCALARS` avec la diffusion de NumPy (les
axes manquants sont à gauche). `Composite` est une fonction scalaire faite de plusieurs autres : la
fusion de boucles en fabrique.

Ordre de lecture : `Elemwise`, `SumTo` (l’inverse de la diffusion), `Composite`.
"""

from contextlib import nullcontext
from functools import reduce
from typing import NamedTuple

import numpy as np

from engine.core.dtypes import in_float32, widened
from engine.core.errors import InputError, ShapeError
from engine.core.graph import Apply, Op, Variable
from engine.core.scalars import SCALARS, cast_scalar, find_scalar
from engine.core.trace import inherit
from engine.core.types import (
    FLOATS,
    TensorConstant,
    TensorType,
    add_methods,
    as_tensor_variable,
    axis_clash,
    constant,
)

MAX_FORMULA = 200  # caractères


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
            raise _mismatch(self, arrays, clash=clash) from error
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
        return [self.scalar.graph()] if isinstance(self.scalar, Composite) else []

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


def _mismatch(name, arrays, where=None, clash=""):
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
    if node is None or not isinstance(node.op, Elemwise) or isinstance(node.op.scalar, Composite):
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
    return grad if same_shape else sum_to(grad, entry)


def sum_to(grad, target):
    """Somme `grad` sur les axes que la diffusion avait ajoutés ou étirés pour `target`."""
    extra = grad.ndim - target.ndim
    stretched = [
        axis
        for axis in range(extra, grad.ndim)
        if target.type.shape[axis - extra] == 1 and grad.type.shape[axis] != 1
    ]
    if stretched:
        grad = grad.sum(axis=stretched, keepdims=True)
    if extra > 0:
        grad = grad.sum(axis=tuple(range(extra)))
    if extra < 0:  # gradient constant, plus petit que l’entrée
        return grad + target.zeros_like(dtype=grad.dtype)
    unsure = any(
        wanted != 1 and (wanted is None or wanted != found)
        for wanted, found in zip(target.type.shape, grad.type.shape, strict=True)
    )
    return SumTo()(grad, target.shape) if unsure else grad


class SumTo(Op):
    """Somme un gradient sur les axes étirés à l’exécution ; ne coûte rien quand il n’y en a pas.

    Entrées : le gradient et la forme voulue (vecteur d’entiers). La sortie partage la mémoire du
    gradient quand les formes sont déjà égales.
    """

    view_map = {0: [0]}

    def __str__(self):
        return "sum_to"

    def make_node(self, grad, shape):
        grad, shape = as_tensor_variable(grad), as_tensor_variable(shape)
        return Apply(self, [grad, shape], [TensorType(grad.dtype, shape=(None,) * grad.ndim)()])

    def infer_shape(self, node, input_shapes):
        return [tuple(node.inputs[1][axis] for axis in range(node.out.ndim))]

    def infer_dims(self, node):
        return [node.inputs[0].dims]

    @in_float32
    def perform(self, node, inputs, output_storage):
        grad, shape = inputs
        output_storage[0][0] = sum_to_shape(grad, tuple(shape.tolist()))

    def L_op(self, inputs, outputs, output_grads):
        grad = inputs[0]
        return [output_grads[0] + grad.zeros_like(), None]

    def samples(self):
        ones = np.arange(6.0).reshape(2, 3)
        return [[ones, np.array([2, 3])], [ones, np.array([1, 3])], [ones, np.array([2, 1])]]


def sum_to_shape(grad, shape):
    """Somme le tableau `grad` sur les axes où `shape` vaut 1 et lui davantage."""
    if grad.shape == shape:
        return grad
    axes = tuple(
        a for a, (have, want) in enumerate(zip(grad.shape, shape, strict=True)) if want == 1 != have
    )
    result = grad.sum(axis=axes, keepdims=True, dtype=grad.dtype)
    if result.shape != shape:  # le gradient était constant le long d’un axe
        result = np.broadcast_to(result, shape).copy()
    return result


class Step(NamedTuple):
    """Une instruction d’un `Composite` : une ligne de la table, ses arguments, ses dtypes.

    `args` : couples ("in", i), ("step", j) ou ("const", valeur). `computes` : le dtype dans lequel
    convertir chaque argument ; `dtype` : celui du résultat.
    """

    scalar: object
    args: tuple
    computes: tuple
    dtype: str


class Composite:
    """Une fonction scalaire faite de plusieurs : le corps d’une boucle fusionnée.

    Paramètres
        steps : les instructions, dans l’ordre.
        input_dtypes : dtype de chaque argument.
        traces : où chaque instruction a été écrite, pour que l’erreur désigne celle qui échoue.
        results : les rangs des instructions rendues ; par défaut, la dernière.
    """

    is_comparison = False

    def __init__(self, steps, input_dtypes, traces=(), results=()):
        self.steps = tuple(steps)
        self.traces = tuple(traces) or (None,) * len(self.steps)
        self.input_dtypes = tuple(input_dtypes)
        self.nin = len(self.input_dtypes)
        self.results = tuple(results) or (len(self.steps) - 1,)
        self._key = (self.steps, self.input_dtypes, self.results)

    def dtype(self, *dtypes):
        """Dtype du résultat."""
        return self.steps[-1].dtype

    def compute_dtypes(self, dtypes, output):
        """Les arguments sont pris tels quels ; chaque instruction convertit les siens."""
        return list(self.input_dtypes)

    def numpy(self, *inputs):
        """La même suite d’instructions, en NumPy ; un tableau, ou une liste s’il y a plusieurs
        résultats.
        """
        values, reached = [], []  # pour chaque instruction, les entrées dont elle dépend
        pick = {"in": inputs, "step": values}
        for step, trace in zip(self.steps, self.traces, strict=True):
            arrays = [
                np.asarray(item if kind == "const" else pick[kind][item]).astype(
                    widened(compute), copy=False
                )
                for (kind, item), compute in zip(step.args, step.computes, strict=True)
            ]
            try:
                result = np.asarray(step.scalar.numpy(*arrays))
            except ValueError as error:
                raise _mismatch(step.scalar, arrays, trace and str(trace)) from error
            values.append(result.astype(step.dtype, copy=False))
            reached.append(
                set().union(
                    *({item} if kind == "in" else reached[item]
                      for kind, item in step.args if kind != "const")
                )
            )  # fmt: skip
        results = [
            np.broadcast_arrays(values[rank], *(inputs[entry] for entry in reached[rank]))[0]
            for rank in self.results
        ]
        return results if len(results) > 1 else results[0]

    def graph(self):
        """Les instructions refaites en graphe de scalaires : (entrées, sorties), à dessiner."""
        inputs = [
            TensorType(dtype, shape=())(f"i{rank}") for rank, dtype in enumerate(self.input_dtypes)
        ]
        results = []
        for step, trace in zip(self.steps, self.traces, strict=True):
            pick = {"in": inputs, "step": results}
            arguments = [
                as_tensor_variable(item) if kind == "const" else pick[kind][item]
                for kind, item in step.args
            ]
            with inherit(trace) if trace else nullcontext():
                results += Apply(
                    Elemwise(step.scalar), arguments, [TensorType(step.dtype, shape=())()]
                ).outputs
        return inputs, [results[rank] for rank in self.results]

    def __eq__(self, other):
        return type(other) is Composite and self._key == other._key

    def __hash__(self):
        return hash(self._key)

    def formula(self, names):
        """La formule, écrite avec les noms donnés aux arguments."""
        texts = []
        for step in self.steps:
            args = [_text(kind, item, names, texts) for kind, item in step.args]
            symbol = step.scalar.symbol
            if symbol and len(args) == 2:
                texts.append(f"({args[0]} {symbol} {args[1]})")
            elif symbol:
                texts.append(f"{symbol}{args[0]}")
            else:
                texts.append(f"{step.scalar}({', '.join(args)})")
            if len(texts[-1]) > MAX_FORMULA:  # une instruction relue souvent la ferait exploser
                texts[-1] = texts[-1][:MAX_FORMULA] + "..."
        return " ; ".join(
            text.removeprefix("(").removesuffix(")") if text.startswith("(") else text
            for text in (texts[rank] for rank in self.results)
        )

    def __str__(self):
        return f"Composite{{{self.formula([f'i{rank}' for rank in range(self.nin)])}}}"

    __repr__ = __str__


def _text(kind, item, names, texts):
    if kind == "const":
        return f"{item:g}" if isinstance(item, float) else str(item)
    return names[item] if kind == "in" else texts[item]


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


ELEMENTWISE = {name: _elementwise_function(row) for name, row in SCALARS.items()}
OPERATORS = {
    **{"add": "add", "sub": "sub", "mul": "mul", "truediv": "true_div", "floordiv": "int_div"},
    **{"mod": "mod", "pow": "pow", "and": "and_", "or": "or_", "xor": "xor"},
}


def reflected(function):
    """L’opérateur dont la variable est à droite : `2 - x`."""
    return lambda self, other: function(other, self)


def match_gradient(self, grad):
    """Ramène `grad` au dtype et à la forme de la variable (pour les gradients des ops)."""
    return sum_to(_in_dtype(grad, self), self)


add_methods(
    **ELEMENTWISE,
    **{f"__{symbol}__": ELEMENTWISE[name] for symbol, name in OPERATORS.items()},
    **{f"__r{symbol}__": reflected(ELEMENTWISE[name]) for symbol, name in OPERATORS.items()},
    **{
        f"__{name}__": ELEMENTWISE[name]
        for name in ("lt", "le", "gt", "ge", "neg", "abs", "invert")
    },
    astype=cast,
    match_gradient=match_gradient,
)
