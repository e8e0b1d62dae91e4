"""Les fonctions mathématiques : terme à terme, réductions, produits.

Les fonctions terme à terme viennent du cœur, une ligne de `scalars.SCALARS`
chacune : `exp`, `log`, `tanh`, `add`, `lt`, `switch`...
"""

import numpy as np

from engine.core.dtypes import HALVES, widened
from engine.core.elemwise import ELEMENTWISE, cast
from engine.core.errors import ShapeError
from engine.core.settings import config
from engine.core.types import FLOATS, as_tensor_variable
from engine.ops import special  # noqa: F401  ses lignes sont dans la table
from engine.ops.arguments import normalize_axes, normalize_axis
from engine.ops.linear_algebra import BatchedDot
from engine.ops.products import Dot
from engine.ops.reduce import REDUCTIONS, ArgReduce, Reduce, restore_axes

globals().update(ELEMENTWISE)
__all__ = [  # noqa: PLE0604
    *ELEMENTWISE,
    *("abs_", "all", "any", "argmax", "argmin", "clip", "dot", "max", "max_and_argmax", "mean"),
    *("batched_tensordot", "floor_div", "min", "prod", "square", "std", "sum", "tensordot", "var"),
    "where",
]

abs_ = ELEMENTWISE["abs"]
square = ELEMENTWISE["sqr"]
where = ELEMENTWISE["switch"]
floor_div = ELEMENTWISE["int_div"]
true_div, switch, mul = ELEMENTWISE["true_div"], ELEMENTWISE["switch"], ELEMENTWISE["mul"]


def clip(x, low, high):
    """Ramène chaque élément de x entre `low` et `high`.

    Exemple
        >>> clip(as_tensor_variable([-2.0, 0.5, 3.0]), 0, 1).eval()
        array([0. , 0.5, 1. ])
    """
    return ELEMENTWISE["minimum"](ELEMENTWISE["maximum"](x, low), high)


def _reduce(name, x, axis, keepdims):
    x = as_tensor_variable(x)
    axes = normalize_axes(axis, x.ndim, name)
    result = Reduce(REDUCTIONS[name], axes)(x)
    return restore_axes(result, axes, x.ndim) if keepdims else result


def sum(x, axis=None, dtype=None, keepdims=False, acc_dtype=None):
    """Somme le long des axes donnés (tous par défaut). Les entiers sont sommés en int64."""
    x = as_tensor_variable(x)
    return _reduce("sum", x if dtype is None else cast(x, dtype), axis, keepdims)


def prod(x, axis=None, dtype=None, keepdims=False, acc_dtype=None, no_zeros_in_input=False):
    """Produit le long des axes donnés (tous par défaut)."""
    return _reduce("prod", x if dtype is None else cast(x, dtype), axis, keepdims)


def max(x, axis=None, keepdims=False):
    """Plus grand élément le long des axes donnés ; NaN se propage."""
    return _reduce("max", x, axis, keepdims)


def min(x, axis=None, keepdims=False):
    """Plus petit élément le long des axes donnés ; NaN se propage."""
    return _reduce("min", x, axis, keepdims)


def all(x, axis=None, keepdims=False):
    """Vrai si tous les éléments sont non nuls."""
    return _reduce("all", x, axis, keepdims)


def any(x, axis=None, keepdims=False):
    """Vrai si un élément au moins est non nul."""
    return _reduce("any", x, axis, keepdims)


def _count(x, axes, dtype):
    total = None
    for axis in axes:
        total = x.shape[axis] if total is None else total * x.shape[axis]
    return cast(1 if total is None else total, dtype)


def mean(x, axis=None, dtype=None, keepdims=False):
    """Moyenne le long des axes donnés (tous par défaut) ; floatX pour des entiers.

    Exemple
        >>> mean(as_tensor_variable([1.0, 2.0, 6.0])).eval()
        array(3.)
    """
    x = as_tensor_variable(x)
    dtype = dtype or (x.dtype if x.dtype in FLOATS else config.floatX)
    axes = normalize_axes(axis, x.ndim, "mean")
    # une somme peut sortir des bornes, d’un demi-flottant ou d’un int64, pas une moyenne
    wide = widened(dtype)
    summed = "float64" if x.dtype in ("int64", "uint64") else widened(x.dtype)
    total = sum(cast(x, summed), axis=axes, keepdims=keepdims)
    return cast(true_div(cast(total, wide), _count(x, axes, wide)), dtype)


def var(x, axis=None, ddof=0, keepdims=False):
    """Variance : moyenne des carrés des écarts à la moyenne (divisée par n - ddof)."""
    x = as_tensor_variable(x)
    axes, wide = normalize_axes(axis, x.ndim, "var"), cast(x, widened(x.dtype))
    centered = wide - mean(wide, axis=axes, keepdims=True)
    total = sum(centered.sqr(), axis=axes, keepdims=keepdims)
    count = _count(x, axes, total.dtype)
    result = total / ((count - ddof).maximum(0) if ddof else count)
    return cast(result, x.dtype) if x.dtype in HALVES else result


def std(x, axis=None, ddof=0, keepdims=False):
    """Écart type : racine de la variance."""
    return ELEMENTWISE["sqrt"](var(x, axis=axis, ddof=ddof, keepdims=keepdims))


def _arg(which, x, axis, keepdims):
    x = as_tensor_variable(x)
    if axis is not None:
        axis = normalize_axis(axis, x.ndim, f"arg{which}")
    result = ArgReduce(which, axis)(x)
    return (
        restore_axes(result, range(x.ndim) if axis is None else (axis,), x.ndim)
        if keepdims
        else result
    )


def argmax(x, axis=None, keepdims=False):
    """Position du plus grand élément le long de l’axe (du tableau aplati sans axe)."""
    return _arg("max", x, axis, keepdims)


def argmin(x, axis=None, keepdims=False):
    """Position du plus petit élément le long de l’axe (du tableau aplati sans axe)."""
    return _arg("min", x, axis, keepdims)


def max_and_argmax(x, axis=None, keepdims=False):
    """Le plus grand élément et sa position."""
    return max(x, axis=axis, keepdims=keepdims), argmax(x, axis=axis, keepdims=keepdims)


def dot(x, y):
    """Produit de matrices, de vecteurs, ou d’un scalaire ; au-delà de 2 axes, comme `numpy.dot`.

    Lève
        ShapeError : x.shape[-1] et y.shape[-2] diffèrent (dès la construction si on les connaît).

    Exemple
        >>> dot(as_tensor_variable([[1.0, 2.0]]), as_tensor_variable([3.0, 4.0])).eval()
        array([11.])
    """
    x, y = as_tensor_variable(x), as_tensor_variable(y)
    if x.ndim == 0 or y.ndim == 0:
        return mul(x, y)
    if x.ndim <= 2 and y.ndim <= 2:
        return Dot()(x, y)
    return tensordot(x, y, axes=[[x.ndim - 1], [0 if y.ndim == 1 else y.ndim - 2]])


def tensordot(x, y, axes=2):
    """Somme des produits le long des axes donnés, comme `numpy.tensordot`."""
    return _contract("tensordot", Dot(), x, y, axes, 0)


def batched_tensordot(x, y, axes=2):
    """Un `tensordot` par exemple : résultat[i] = tensordot(x[i], y[i]).

    Paramètres
        x, y : tableaux de même longueur sur l’axe 0.
        axes : un nombre (les derniers axes de x, les premiers de y après l’axe 0), ou deux listes
            d’axes de x et de y, l’axe 0 compté mais non cité.

    Exemple
        >>> x = as_tensor_variable([[1.0, 2.0], [3.0, 4.0]])
        >>> batched_tensordot(x, x, 1).eval()
        array([ 5., 25.])
    """
    return _contract("batched_tensordot", BatchedDot(), x, y, axes, 1)


def _contract(name, product, x, y, axes, n_batch):
    """`product`, sur des tableaux ramenés à des matrices (des piles de matrices si n_batch)."""
    x, y = as_tensor_variable(x), as_tensor_variable(y)
    if isinstance(axes, int | np.integer):
        axes = [list(range(x.ndim - axes, x.ndim)), list(range(n_batch, n_batch + axes))]
    left, right = (
        list(normalize_each(side, v.ndim, name)) for side, v in zip(axes, (x, y), strict=True)
    )
    batch = list(range(n_batch))
    if len(left) != len(right) or set(batch) & {*left, *right}:
        raise ShapeError(
            f"{name} : axes impossibles",
            expected="autant d'axes de chaque côté" + (", sans l'axe 0" if batch else ""),
            received=str(axes),
            hint="axes=[[1], [0]] est le produit de matrices",
        )
    kept_x = [axis for axis in range(n_batch, x.ndim) if axis not in left]
    kept_y = [axis for axis in range(n_batch, y.ndim) if axis not in right]
    inner_x, inner_y = (_product(_at(v, side)) for v, side in ((x, left), (y, right)))
    outer_x, outer_y = _at(x, kept_x), _at(y, kept_y)
    flat_x = x.dimshuffle(*batch, *kept_x, *left)
    flat_y = y.dimshuffle(*batch, *right, *kept_y)
    result = product(
        flat_x.reshape((*_at(x, batch), _product(outer_x), inner_x)),
        flat_y.reshape((*_at(y, batch), inner_y, _product(outer_y))),
    )
    shape = (*_at(x, batch), *outer_x, *outer_y)
    return result.reshape(shape, ndim=len(shape))


def _at(x, axes):
    """Les longueurs de ces axes."""
    return [x.shape[axis] for axis in axes]


def normalize_each(axes, ndim, name):
    """Les axes, positifs, dans l’ordre donné."""
    axes = [axes] if isinstance(axes, int | np.integer) else axes
    return [normalize_axes(axis, ndim, name)[0] for axis in axes]


def _product(lengths):
    total = 1
    for length in lengths:
        total = length * total
    return total
