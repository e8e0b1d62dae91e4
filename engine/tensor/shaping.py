"""Changer de forme, assembler, indexer."""

import numpy as np

from engine.core.dtypes import upcast
from engine.core.errors import DtypeError, ShapeError
from engine.core.graph import Variable
from engine.core.types import FLOATS, TensorConstant, as_tensor_variable
from engine.ops.arguments import as_length, normalize_axes
from engine.ops.index import IncSubtensor, Subtensor, split_index
from engine.ops.shape import Alloc, DimShuffle, Join, MakeVector, Reshape, Shape, SpecifyShape


def shape(x):
    """La forme de x : un vecteur symbolique d’entiers."""
    return Shape()(x)


def dimshuffle(x, *order):
    """Permute les axes et en ajoute de longueur 1 là où l’ordre dit `"x"`."""
    x = as_tensor_variable(x)
    order = order[0] if len(order) == 1 and isinstance(order[0], list | tuple | range) else order
    order = tuple(
        axis % x.ndim if isinstance(axis, int) and -x.ndim <= axis < 0 else axis for axis in order
    )
    return x if order == tuple(range(x.ndim)) else DimShuffle(order)(x)


def transpose(x, axes=None):
    """Renverse l’ordre des axes, ou les range dans l’ordre donné."""
    x = as_tensor_variable(x)
    return dimshuffle(x, *(reversed(range(x.ndim)) if axes is None else axes))


def reshape(x, newshape, ndim=None):
    """Donne aux éléments de x une autre forme ; une longueur peut valoir -1.

    Paramètres
        newshape : suite d’entiers (symboliques ou non), ou vecteur symbolique d’entiers.
        ndim : nombre d’axes, à donner si `newshape` est un vecteur de longueur inconnue.
    """
    x = as_tensor_variable(x)
    if isinstance(newshape, int):
        newshape = (newshape,)
    if isinstance(newshape, list | tuple):
        if sum(isinstance(n, int) and n == -1 for n in newshape) > 1:
            raise ShapeError(
                "reshape : une seule longueur peut se déduire des autres",
                expected="un -1 au plus",
                received=str(tuple(newshape)),
                hint="écrivez les autres longueurs, ou lisez-les : x.shape[0]",
            )
        target = MakeVector()(*(as_length(length) for length in newshape)) if newshape else None
        return Reshape(len(newshape))(x, _empty_shape() if target is None else target)
    target = as_tensor_variable(newshape)
    if target.ndim == 0:
        return reshape(x, (target,))
    known = target.type.shape[0]
    if known is None and ndim is None:
        raise ShapeError(
            "reshape : nombre d'axes inconnu",
            received=str(target),
            hint="précisez ndim=...",
            expected="une suite de longueurs, ou un vecteur de longueur connue",
        )
    return Reshape(ndim if known is None else known)(x, target)


def _empty_shape():
    return as_tensor_variable([]).astype("int64")


def specify_shape(x, shape):
    """x, dont la forme est vérifiée à l’exécution ; les longueurs connues entrent dans son type.

    Paramètres
        shape : suite d’entiers (symboliques ou non) ou vecteur d’entiers, un par axe ; None pour
            une longueur quelconque.

    Lève
        ShapeError : à l’exécution, x n’a pas cette forme ; dès la construction si on le sait.

    Exemple
        >>> specify_shape(as_tensor_variable([1.0, 2.0]), (2,)).eval()
        array([1., 2.])
    """
    x = as_tensor_variable(x)
    if isinstance(shape, list | tuple):
        shape = [x.shape[axis] if n is None else n for axis, n in enumerate(shape)]
        shape = MakeVector()(*map(as_length, shape)) if shape else _empty_shape()
    return SpecifyShape()(x, as_tensor_variable(shape))


def flatten(x, ndim=1, outdim=None):
    """Garde les `ndim - 1` premiers axes et réunit les autres ; `outdim` : ancien nom de `ndim`."""
    x, ndim = as_tensor_variable(x), ndim if outdim is None else outdim
    if not 1 <= ndim <= max(x.ndim, 1):
        raise ShapeError(
            "flatten : nombre d'axes impossible",
            expected=f"de 1 à {max(x.ndim, 1)}, le nombre d'axes de {x}",
            received=str(ndim),
            hint="pour ajouter un axe : x.dimshuffle(0, 1, 'x')",
        )
    if ndim == 1:
        return reshape(x, [-1])
    *kept, last = [x.shape[axis] for axis in range(ndim)]
    for axis in range(ndim, x.ndim):  # et non -1 : zéro ligne n’en dirait pas la longueur
        last = last * x.shape[axis]
    return reshape(x, [*kept, last])


def _pieces(name, tensors):
    if not isinstance(tensors, list | tuple) or not tensors:
        raise ShapeError(
            f"{name} : des tableaux à assembler",
            expected=f"une liste d'au moins un tableau : {name}([x, y])",
            received="une liste vide" if isinstance(tensors, list | tuple) else str(tensors),
            hint="mettez les tableaux entre crochets, et l'axe après",
        )
    return [as_tensor_variable(item) for item in tensors]


def concatenate(tensors, axis=0):
    """Met des tableaux bout à bout le long d’un axe."""
    items = _pieces("concatenate", tensors)
    (axis,) = normalize_axes(axis, items[0].ndim, "concatenate")
    return Join(axis)(*items) if len(items) > 1 else items[0]


def stack(tensors, *others, axis=0):
    """Empile des tableaux de même forme le long d’un nouvel axe.

    `stack([x, y], axis)`, ou comme autrefois `stack(x, y)`, le long de l’axe 0.

    Exemple
        >>> x, y = as_tensor_variable([1, 2]), as_tensor_variable([3, 4])
        >>> stack([x, y], 1).eval().tolist(), stack(x, y).eval().tolist()
        ([[1, 3], [2, 4]], [[1, 2], [3, 4]])
    """
    if isinstance(tensors, Variable):
        tensors = (tensors, *others)
    elif others:
        (axis,) = others
    items = _pieces("stack", tensors)
    (axis,) = normalize_axes(axis, items[0].ndim + 1, "stack")
    if items[0].ndim == 0:
        return MakeVector()(*items)
    positions = range(items[0].ndim)
    order = [*positions[:axis], "x", *positions[axis:]]
    return concatenate([item.dimshuffle(*order) for item in items], axis=axis)


def getitem(x, index):
    """x[index], avec les indices de NumPy."""
    template, inputs = split_index(index)
    return Subtensor(template)(x, *inputs)


def set_subtensor(place, value):
    """Rend le tableau dont `place` est une indexation, avec `value` à cet endroit.

    Exemple
        >>> x = as_tensor_variable([1.0, 2.0, 3.0])
        >>> set_subtensor(x[1:], 0.0).eval()
        array([1., 0., 0.])
    """
    return _write(place, value, True)


def inc_subtensor(place, value):
    """Rend le tableau dont `place` est une indexation, avec `value` ajoutée à cet endroit."""
    return _write(place, value, False)


def _is_new(x):
    """Dit si x est un tableau neuf, rempli d’une constante dont seul le dtype a décidé du sien."""
    return (
        x.owner is not None
        and isinstance(x.owner.op, Alloc)
        and (isinstance(x.owner.inputs[0], TensorConstant))
    )


def _write(place, value, set_instead):
    if place.owner is None or not isinstance(place.owner.op, Subtensor):
        raise ShapeError(
            "set_subtensor attend une indexation",
            expected="x[indice]",
            received=str(place),
            hint="set_subtensor(x[0], 1.0) rend un nouveau tableau ; x ne change pas",
        )
    x, *indices = place.owner.inputs
    value = as_tensor_variable(value)
    value = _held(value, x) if isinstance(value, TensorConstant) else value
    if {x.dtype, value.dtype}.isdisjoint(FLOATS) and _is_new(x):
        x = x.astype(upcast(x.dtype, value.dtype))
    return IncSubtensor(place.owner.op.template, set_instead)(x, value, *indices)


def _held(value, x):
    """La constante au dtype de x.

    Lève
        DtypeError : un tableau de ce dtype ne peut pas la contenir.
    """
    data = value.data
    with np.errstate(all="ignore"):
        found = data.astype(x.type.numpy_dtype)
        lost = np.isfinite(data) & ~np.isfinite(found) if x.dtype in FLOATS else found != data
    if lost.any():
        raise DtypeError(
            f"un tableau {x.dtype} ne peut pas contenir cette valeur",
            expected=f"une valeur de {x.dtype}",
            received=str(data[lost][0]),
            hint="convertissez le tableau : x.astype('float64'), ou la valeur",
        )
    return value if value.dtype == x.dtype else value.astype(x.dtype)
