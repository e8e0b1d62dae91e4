"""Cumuler, trier, compter, répéter ; matrices particulières.

Presque tout est fait d’indexations et de fonctions déjà là : les dérivées viennent avec.

Ordre de lecture : cumuls et différences ; tris et dénombrements ; répétitions ; matrices.
"""

import numpy as np

from engine.errors import ShapeError
from engine.ops.elemwise import cast, elemwise
from engine.ops.extra import ArgSort, Cumulate, NonZero, SearchSorted, UniqueIndices
from engine.ops.index import IncSubtensor, Subtensor
from engine.ops.reduce import normalize_axes
from engine.ops.shape import Alloc
from engine.settings import config
from engine.tensor.creation import arange, zeros
from engine.tensor.shaping import concatenate
from engine.types import FLOATS, as_length, as_tensor_variable

# ---- cumuls et différences ---------------------------------------------------------------


def _flat_unless(axis, x, name):
    """(x, axe positif) ; sans axe, x est aplati."""
    x = as_tensor_variable(x)
    if axis is None:
        return (x if x.ndim == 1 else x.flatten()), 0
    return x, normalize_axes(axis, x.ndim, name)[0]


def cumsum(x, axis=None):
    """Sommes cumulées le long d’un axe (de x aplati, sans axe).

    Exemple
        >>> cumsum(as_tensor_variable([1.0, 2.0, 3.0])).eval()
        array([1., 3., 6.])
    """
    x, axis = _flat_unless(axis, x, "cumsum")
    return Cumulate("sum", axis)(x)


def cumprod(x, axis=None):
    """Produits cumulés le long d’un axe (de x aplati, sans axe).

    Exemple
        >>> cumprod(as_tensor_variable([1.0, 2.0, 3.0])).eval()
        array([1., 2., 6.])
    """
    x, axis = _flat_unless(axis, x, "cumprod")
    return Cumulate("prod", axis)(x)


def diff(x, n=1, axis=-1):
    """Différences entre voisins, n fois de suite, le long d’un axe.

    Exemple
        >>> diff(as_tensor_variable([1.0, 4.0, 9.0])).eval()
        array([3., 5.])
    """
    x, axis = _flat_unless(axis, x, "diff")
    before = (slice(None),) * axis
    for _ in range(n):
        x = x[(*before, slice(1, None))] - x[(*before, slice(None, -1))]
    return x


# ---- tris et dénombrements ---------------------------------------------------------------


def argsort(x, axis=-1):
    """Les positions qui rangent x en ordre croissant (tri stable) ; axis None : x aplati."""
    x, axis = _flat_unless(axis, x, "argsort")
    return ArgSort(axis)(x)


def sort(x, axis=-1):
    """x rangé en ordre croissant le long d’un axe ; axis None : x aplati.

    Exemple
        >>> sort(as_tensor_variable([3.0, 1.0, 2.0])).eval()
        array([1., 2., 3.])
    """
    x, axis = _flat_unless(axis, x, "sort")
    index = []
    for rank in range(x.ndim):
        order = ["x"] * x.ndim
        order[rank] = 0
        index.append(arange(x.shape[rank]).dimshuffle(*order))
    index[axis] = ArgSort(axis)(x)
    return x[tuple(index)]


def searchsorted(x, v, side="left"):
    """Le rang où insérer chaque élément de v dans le vecteur croissant x.

    Exemple
        >>> searchsorted(as_tensor_variable([1.0, 2.0, 4.0]), 3.0).eval()
        array(2)
    """
    return SearchSorted(side)(x, v)


def unique(x, return_index=False, return_inverse=False, return_counts=False):
    """Les valeurs distinctes de x aplati, en ordre croissant.

    Paramètres
        return_index, return_inverse, return_counts : rendre aussi la première place de chaque
            valeur, le rang de la valeur de chaque élément, le nombre de fois où elle paraît.

    Exemple
        >>> unique(as_tensor_variable([3, 1, 3])).eval()
        array([1, 3], dtype=int8)
    """
    x, _ = _flat_unless(None, x, "unique")
    index, inverse, counts = UniqueIndices()(x)
    asked = zip(
        (return_index, return_inverse, return_counts), (index, inverse, counts), strict=True
    )
    results = [x[index], *(found for wanted, found in asked if wanted)]
    return results[0] if len(results) == 1 else results


def bincount(x, weights=None, minlength=None, assert_nonneg=False):
    """Combien de fois chaque entier 0, 1, ..., max(x) paraît dans x.

    Paramètres
        x : vecteur d’entiers positifs ou nuls.
        weights : vecteur de même longueur, sommé au lieu de compter.
        minlength : longueur minimale du résultat.

    Exemple
        >>> bincount(as_tensor_variable([0, 2, 2])).eval()
        array([1, 0, 2])
    """
    x = cast(x, "int64")
    last = concatenate([x, as_tensor_variable(np.array([-1]))]).max()
    length = last + 1 if minlength is None else (last + 1).maximum(minlength)
    ones = as_tensor_variable(np.int64(1)) if weights is None else as_tensor_variable(weights)
    ones = ones if ones.dtype in (*FLOATS, "int64") else cast(ones, "int64")
    return IncSubtensor(("a",), set_instead=False)(zeros((length,), ones.dtype), ones, x)


def nonzero(x, return_matrix=False):
    """Les positions des éléments non nuls : un vecteur par axe (ou une matrice, axe par ligne).

    Exemple
        >>> nonzero(as_tensor_variable([0.0, 5.0, 6.0]))[0].eval()
        array([1, 2])
    """
    x = as_tensor_variable(x)
    if x.ndim == 0:
        raise ShapeError("nonzero d'un scalaire", expected="au moins un axe", received=str(x))
    found = NonZero()(x)
    return found if return_matrix else tuple(found[axis] for axis in range(x.ndim))


def flatnonzero(x):
    """Les positions des éléments non nuls dans x aplati."""
    x, _ = _flat_unless(None, x, "flatnonzero")
    return nonzero(x)[0]


def nonzero_values(x):
    """Les éléments non nuls de x, dans l’ordre de x aplati."""
    x, _ = _flat_unless(None, x, "nonzero_values")
    return x[nonzero(x)[0]]


# ---- répétitions -------------------------------------------------------------------------


def repeat(x, repeats, axis=None):
    """Répète chaque élément le long d’un axe (de x aplati, sans axe).

    Paramètres
        repeats : un nombre de fois, ou un vecteur, un nombre par élément.

    Exemple
        >>> repeat(as_tensor_variable([1.0, 2.0]), 2).eval()
        array([1., 1., 2., 2.])
    """
    x, axis = _flat_unless(axis, x, "repeat")
    repeats = as_tensor_variable(repeats)
    if repeats.ndim == 0:
        index = arange(x.shape[axis] * as_length(repeats)).int_div(repeats)
    else:
        ends = Cumulate("sum", 0)(repeats)
        index = SearchSorted("right")(ends, arange(repeats.sum()))
    return x[(*(slice(None),) * axis, index)]


def tile(x, reps, ndim=None):
    """Répète le tableau entier, `reps[i]` fois le long de l’axe i.

    Paramètres
        reps : entier ou suite d’entiers (symboliques ou non) ; s’il y en a moins que d’axes, ils
            valent pour les derniers.
        ndim : nombre d’axes du résultat, s’il doit être plus grand.

    Exemple
        >>> tile(as_tensor_variable([1.0, 2.0]), 2).eval()
        array([1., 2., 1., 2.])
    """
    x = as_tensor_variable(x)
    reps = list(reps) if isinstance(reps, list | tuple) else [reps]
    total = max(len(reps), x.ndim, ndim or 0)
    reps = [1] * (total - len(reps)) + reps
    lengths = [1] * (total - x.ndim) + [x.shape[axis] for axis in range(x.ndim)]
    x = x.dimshuffle(*["x"] * (total - x.ndim), *range(x.ndim))
    spread = x.dimshuffle(*(item for axis in range(total) for item in ("x", axis)))
    pairs = [item for pair in zip(reps, lengths, strict=True) for item in pair]
    whole = Alloc()(spread, *pairs)
    return whole.reshape([n * length for n, length in zip(reps, lengths, strict=True)])


def to_one_hot(y, nb_class, dtype=None):
    """Une ligne par étiquette : des zéros, et un 1 dans la colonne de l’étiquette.

    Exemple
        >>> to_one_hot(as_tensor_variable([1, 0]), 2, dtype="int8").eval()
        array([[0, 1],
               [1, 0]], dtype=int8)
    """
    y = as_tensor_variable(y)
    return cast(y.dimshuffle(0, "x").eq(arange(nb_class)), dtype or config.floatX)


def take(x, indices, axis=None):
    """x[indices] le long d’un axe (dans x aplati, sans axe)."""
    x, axis = _flat_unless(axis, x, "take")
    return x[(*(slice(None),) * axis, indices)]


# ---- matrices ----------------------------------------------------------------------------


def _offsets(n, m):
    """colonne - ligne, partout."""
    return arange(m).dimshuffle("x", 0) - arange(n).dimshuffle(0, "x")


def eye(n, m=None, k=0, dtype=None):
    """Des 1 sur la k-ième diagonale d’une matrice (n, m), des zéros ailleurs.

    Exemple
        >>> eye(2).eval()
        array([[1., 0.],
               [0., 1.]])
    """
    return cast(_offsets(n, n if m is None else m).eq(k), dtype or config.floatX)


def identity_like(x):
    """La matrice identité de la forme et du dtype de x."""
    x = as_tensor_variable(x)
    return eye(x.shape[0], x.shape[1], dtype=x.dtype)


def tri(n, m=None, k=0, dtype=None):
    """Des 1 sur la k-ième diagonale et au-dessous, des zéros au-dessus."""
    return cast(_offsets(n, n if m is None else m) <= k, dtype or config.floatX)


def tril(x, k=0):
    """x, avec des zéros au-dessus de la k-ième diagonale."""
    x = as_tensor_variable(x)
    keep = _offsets(x.shape[0], x.shape[1]) <= k
    return elemwise("switch")(keep, x, as_tensor_variable(0).astype(x.dtype))


def triu(x, k=0):
    """x, avec des zéros au-dessous de la k-ième diagonale."""
    x = as_tensor_variable(x)
    keep = _offsets(x.shape[0], x.shape[1]) >= k
    return elemwise("switch")(keep, x, as_tensor_variable(0).astype(x.dtype))


def diagonal(x, offset=0):
    """La diagonale d’une matrice ; `offset` : combien de colonnes plus à droite."""
    x = as_tensor_variable(x)
    rows, columns = x.shape[0] + min(offset, 0), x.shape[1] - max(offset, 0)
    along = arange(rows.minimum(columns).maximum(0))
    return Subtensor(("a", "a"))(x, along - min(offset, 0), along + max(offset, 0))


def diag(x, k=0):
    """D’un vecteur, la matrice dont il est la k-ième diagonale ; d’une matrice, sa diagonale.

    Exemple
        >>> diag(as_tensor_variable([[1.0, 2.0], [3.0, 4.0]])).eval()
        array([1., 4.])
    """
    x = as_tensor_variable(x)
    if x.ndim not in (1, 2):
        raise ShapeError("diag", expected="un vecteur ou une matrice", received=x.short())
    if x.ndim == 2:
        return diagonal(x, k)
    along, size = arange(x.shape[0]), x.shape[0] + abs(k)
    return IncSubtensor(("a", "a"), set_instead=True)(
        zeros((size, size), x.dtype), x, along - min(k, 0), along + max(k, 0)
    )
