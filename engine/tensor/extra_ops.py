"""Cumuler, trier, compter, répéter ; matrices particulières.

Presque tout est fait d’indexations et de fonctions déjà là : les dérivées viennent avec.

Ordre de lecture : cumuls et différences ; tris et dénombrements ; répétitions ; matrices.
"""

import numpy as np

from engine.core.elemwise import cast, elemwise
from engine.core.errors import EngineError, ShapeError
from engine.core.settings import config
from engine.core.types import FLOATS, TensorConstant, as_tensor_variable
from engine.ops.arguments import as_length, normalize_axes
from engine.ops.index import IncSubtensor, Subtensor
from engine.ops.reduce import ArgReduce
from engine.ops.shape import Alloc
from engine.ops.traversals import ArgSort, Cumulate, NonZero, SearchSorted, UniqueIndices
from engine.tensor.creation import arange, zeros
from engine.tensor.shaping import concatenate, stack

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


def product_of_others(x, axes):
    """Pour chaque élément, le produit des autres le long des axes ; sans division."""

    def of_rows(rows):
        ones = rows[..., :1].ones_like()
        before = cumprod(concatenate([ones, rows[..., :-1]], -1), -1)
        after = cumprod(concatenate([ones, rows[..., :0:-1]], -1), -1)[..., ::-1]
        return before * after

    return _on_rows(of_rows, as_tensor_variable(x), axes)


def first_extremum(x, which, axes):
    """Vrai à la première place du plus grand (`which` : "max") ou du plus petit ("min") élément
    le long des axes.
    """

    def of_rows(rows):
        place = ArgReduce(which, rows.ndim - 1)(rows)
        return place.dimshuffle(*range(place.ndim), "x").eq(arange(rows.shape[-1]))

    return _on_rows(of_rows, as_tensor_variable(x), axes)


def _on_rows(function, x, axes):
    """`function` appliquée au tableau dont ces axes n’en font qu’un, le dernier ; puis remis."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    order = [*kept, *axes]
    moved = x.dimshuffle(*order)
    lengths = [moved.shape[axis] for axis in range(x.ndim)]
    if len(axes) != 1:
        size = lengths[len(kept)] if axes else as_length(1)
        for length in lengths[len(kept) + 1 :]:
            size = size * length
        moved = moved.reshape((*lengths[: len(kept)], size))
    result = function(moved)
    result = result if len(axes) == 1 else result.reshape(lengths, ndim=x.ndim)
    return result.dimshuffle(*(order.index(axis) for axis in range(x.ndim)))


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


def argsort(x, axis=-1, kind="stable", order=None):
    """Les positions qui rangent x en ordre croissant ; axis None : x aplati.

    Le tri est toujours stable : `kind` est accepté, sans effet ; `order` ne peut valoir que None.
    """
    x, axis = _flat_unless(axis, x, "argsort")
    return ArgSort(axis)(x)


def sort(x, axis=-1, kind="stable", order=None):
    """x rangé en ordre croissant le long d’un axe ; axis None : x aplati.

    Exemple
        >>> sort(as_tensor_variable([3.0, 1.0, 2.0])).eval()
        array([1., 2., 3.])
    """
    x, axis = _flat_unless(axis, x, "sort")
    return take_along(x, ArgSort(axis)(x), axis)


def take_along(x, positions, axis):
    """x lu le long d’un axe, chaque ligne à ses propres positions, comme `numpy.take_along_axis`.

    Exemple
        >>> x, positions = as_tensor_variable([[5, 6], [7, 8]]), as_tensor_variable([[1], [0]])
        >>> take_along(x, positions, 1).eval()
        array([[6],
               [7]], dtype=int8)
    """
    index = [
        positions if k == axis else arange(x.shape[k]).dimshuffle(_column(k, x.ndim))
        for k in range(x.ndim)
    ]
    return x[tuple(index)]


def _column(axis, ndim):
    """L’ordre qui range un vecteur le long d’un axe, les autres étant de longueur 1."""
    return ["x"] * axis + [0] + ["x"] * (ndim - 1 - axis)


def topk_and_argtopk(x, kth, axis=-1, sorted=True, idx_dtype="int64"):
    """Les `kth` plus grands éléments le long d’un axe, et leurs positions.

    Paramètres
        kth : entier non nul, symbolique ou non ; négatif, les plus petits éléments.
        axis : None, x aplati.
        sorted : accepté ; le résultat est toujours rangé, du plus extrême au moins extrême.
        idx_dtype : dtype des positions.

    Exemple
        >>> values, places = topk_and_argtopk(as_tensor_variable([3.0, 1.0, 2.0]), 2)
        >>> values.eval(), places.eval()
        (array([3., 2.]), array([0, 2]))
    """
    x, axis = _flat_unless(axis, x, "topk")
    count = as_length(kth)
    order = ArgSort(axis)(x)
    before = (slice(None),) * axis
    decreasing = order[(*before, slice(None, None, -1))]
    order = (count > 0).switch(decreasing, order)
    positions = order[(*before, slice(None, abs(count)))]
    return take_along(x, positions, axis), cast(positions, idx_dtype)


def topk(x, kth, axis=-1, sorted=True, idx_dtype="int64"):
    """Les `kth` plus grands éléments ; voir `topk_and_argtopk`."""
    return topk_and_argtopk(x, kth, axis, sorted, idx_dtype)[0]


def argtopk(x, kth, axis=-1, sorted=True, idx_dtype="int64"):
    """Les positions des `kth` plus grands éléments ; voir `topk_and_argtopk`."""
    return topk_and_argtopk(x, kth, axis, sorted, idx_dtype)[1]


def inverse_permutation(perm):
    """La permutation inverse de `perm` (de chaque ligne, à plusieurs axes).

    Exemple
        >>> inverse_permutation(as_tensor_variable([1, 2, 0])).eval()
        array([2, 0, 1], dtype=int8)
    """
    perm = as_tensor_variable(perm)
    return cast(ArgSort(perm.ndim - 1)(perm), perm.dtype)


def permute_row_elements(x, y, inverse=0):
    """Range chaque ligne (le dernier axe) de x dans l’ordre y.

    résultat[..., i] = x[..., y[..., i]]

    Paramètres
        y : une permutation pour toutes les lignes, ou une par ligne ; les autres axes se diffusent.
        inverse : appliquer la permutation inverse.

    Exemple
        >>> x, order = as_tensor_variable([[5, 6, 7]]), as_tensor_variable([2, 0, 1])
        >>> permute_row_elements(x, order).eval()
        array([[7, 5, 6]], dtype=int8)
    """
    x, y = as_tensor_variable(x), as_tensor_variable(y)
    y = inverse_permutation(y) if inverse else y
    ndim = max(x.ndim, y.ndim)
    x, y = (v.dimshuffle(*["x"] * (ndim - v.ndim), *range(v.ndim)) for v in (x, y))
    return take_along(_stretched(x, y), y, ndim - 1)


def _stretched(x, other):
    """x, diffusé à la forme commune de x et d’un autre tableau."""
    return elemwise("second")(other, x)


def choose(a, choices, mode="raise"):
    """À chaque place, l’élément du tableau que `a` désigne : résultat[i] = choices[a[i]][i].

    Paramètres
        a : entiers ; choices : liste de tableaux, ou tableau dont l’axe 0 est celui du choix.
            Leurs formes se diffusent.
        mode : ce qui est fait d’un entier hors des bornes : "raise", une erreur ; "wrap", le reste
            de la division ; "clip", le plus proche.

    Exemple
        >>> choose(as_tensor_variable([1, 0]), [[10, 11], [20, 21]]).eval()
        array([20, 11], dtype=int8)
    """
    if isinstance(choices, list | tuple):
        items = [as_tensor_variable(item) for item in choices]
        common = items[0].zeros_like()
        for item in items[1:]:
            common = common + item.zeros_like()
        choices = stack([_stretched(item, common) for item in items])
    a, choices = as_tensor_variable(a), as_tensor_variable(choices)
    count = choices.shape[0]
    if mode not in ("raise", "wrap", "clip"):
        raise EngineError("choose : mode inconnu", expected="raise, wrap, clip", received=mode)
    a = cast(a, "int64")
    if mode == "wrap":
        a = a % count
    elif mode == "clip":
        a = a.maximum(0).minimum(count - 1)
    else:
        a = (a < 0).switch(count, a)  # un indice négatif compterait depuis la fin
    ndim = choices.ndim - 1
    grids = [
        arange(choices.shape[axis + 1]).dimshuffle(_column(axis, ndim)) for axis in range(ndim)
    ]
    return choices[(a, *grids)]


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


def compress(condition, x, axis=None):
    """Les éléments de x où le vecteur `condition` est vrai, le long d’un axe (de x aplati sinon).

    Exemple
        >>> compress(as_tensor_variable([0, 1, 1]), as_tensor_variable([5, 6, 7])).eval()
        array([6, 7], dtype=int8)
    """
    return take(x, flatnonzero(condition), axis)


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
    n, m = as_length(n), as_length(n if m is None else m)
    return cast(_offsets(n, m).eq(k), dtype or config.floatX)


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


def fill_diagonal(a, val):
    """a, avec le scalaire `val` partout sur la diagonale : a[i, i], ou a[i, i, ..., i].

    Exemple
        >>> fill_diagonal(as_tensor_variable([[1.0, 2.0], [3.0, 4.0]]), 0).eval()
        array([[0., 2.],
               [3., 0.]])
    """
    a = as_tensor_variable(a)
    shortest = a.shape[0]
    for axis in range(1, a.ndim):
        shortest = shortest.minimum(a.shape[axis])
    return _filled_at(a, val, *[arange(shortest)] * a.ndim)


def fill_diagonal_offset(a, val, offset):
    """a, une matrice, avec `val` partout sur une diagonale.

    Paramètres
        offset : combien de colonnes plus à droite ; entier, symbolique ou non.

    Exemple
        >>> fill_diagonal_offset(as_tensor_variable([[1.0, 2.0], [3.0, 4.0]]), 0, 1).eval()
        array([[1., 0.],
               [3., 4.]])
    """
    a, offset = as_tensor_variable(a), as_length(offset)
    below, right = (-offset).maximum(0), offset.maximum(0)
    along = arange((a.shape[0] - below).minimum(a.shape[1] - right).maximum(0))
    return _filled_at(a, val, along + below, along + right)


def _filled_at(a, val, *places):
    if a.ndim < 2:
        raise ShapeError("fill_diagonal", expected="une matrice", received=a.short())
    val = as_tensor_variable(val)
    val = val.astype(a.dtype) if isinstance(val, TensorConstant) else val
    return IncSubtensor(("a",) * len(places), set_instead=True)(a, val, *places)


def diag(x, k=0):
    """D’un vecteur, la matrice dont il est la k-ième diagonale ; d’une matrice, sa diagonale.

    Exemple
        >>> diag(as_tensor_variable([[1.0, 2.0], [3.0, 4.0]])).eval()
        array([1., 4.])
    """
    x = as_tensor_variable(x)
    if x.ndim not in (1, 2):
        raise ShapeError(
            "diag",
            expected="un vecteur ou une matrice",
            received=x.short(),
            hint="T.diagonal prend la diagonale des deux premiers axes",
        )
    if x.ndim == 2:
        return diagonal(x, k)
    along, size = arange(x.shape[0]), x.shape[0] + abs(k)
    return IncSubtensor(("a", "a"), set_instead=True)(
        zeros((size, size), x.dtype), x, along - min(k, 0), along + max(k, 0)
    )
