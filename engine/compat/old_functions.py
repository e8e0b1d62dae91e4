"""Des fonctions de Theano que le moteur n’a pas, écrites avec celles qu’il a."""

import math

from engine.core.elemwise import cast
from engine.core.errors import EngineError
from engine.core.gradient import Rop, grad
from engine.core.rewriting import scalar_value
from engine.core.types import FLOATS
from engine.ops.conv import Convolution
from engine.tensor import (
    abs_,
    arange,
    as_tensor_variable,
    concatenate,
    dot,
    eq,
    isinf,
    isnan,
    log,
    or_,
    stack,
    switch,
    unique,
)
from engine.tensor.nnet.functions import labelled, logsoftmax, softmax


class NotScalarConstantError(EngineError):
    """Une variable n’est pas une constante scalaire."""


def get_scalar_constant_value(variable):
    """La valeur d’une constante scalaire ; NotScalarConstantError sinon."""
    value = scalar_value(as_tensor_variable(variable))
    if value is None:
        raise NotScalarConstantError("une constante scalaire était attendue", received=variable)
    return value


def stacklists(tensors):
    """Empile des listes de listes de scalaires ou de tableaux."""
    if isinstance(tensors, list | tuple):
        return stack([stacklists(item) for item in tensors])
    return as_tensor_variable(tensors)


def isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Dit, terme à terme, si abs(a - b) <= atol + rtol abs(b), comme `numpy.isclose`."""
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    infinite = or_(isinf(a), isinf(b))
    close = switch(infinite, eq(a, b), abs_(a - b) <= atol + rtol * abs_(b))
    close = cast(close, "bool")
    return or_(close, isnan(a) & isnan(b)) if equal_nan else close


def allclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Dit si tous les éléments sont proches, comme `numpy.allclose`."""
    return isclose(a, b, rtol, atol, equal_nan).all()


def crossentropy_categorical_1hot(coding_dist, true_one_of_n):
    """-log(coding_dist[i, true_one_of_n[i]]), ligne par ligne."""
    return -log(coding_dist)[arange(coding_dist.shape[0]), true_one_of_n]


def softmax_with_bias(x, b):
    """softmax(x + b)."""
    return softmax(as_tensor_variable(x) + b)


def crossentropy_softmax_max_and_argmax_1hot_with_bias(x, b, y_idx):
    """(-log softmax(x + b)[i, y_idx[i]], softmax, son maximum, la place du maximum)."""
    scores = as_tensor_variable(x) + b
    loss = -labelled(logsoftmax(scores), as_tensor_variable(y_idx))
    probabilities = softmax(scores)
    return loss, probabilities, probabilities.max(axis=-1), scores.argmax(axis=-1)


def crossentropy_softmax_max_and_argmax_1hot(x, y_idx):
    """`crossentropy_softmax_max_and_argmax_1hot_with_bias`, sans biais."""
    return crossentropy_softmax_max_and_argmax_1hot_with_bias(x, 0, y_idx)


def crossentropy_softmax_argmax_1hot_with_bias(x, b, y_idx):
    """(-log softmax(x + b)[i, y_idx[i]], softmax, la place de son maximum)."""
    loss, probabilities, _, place = crossentropy_softmax_max_and_argmax_1hot_with_bias(x, b, y_idx)
    return loss, probabilities, place


def crossentropy_softmax_1hot_with_bias(x, b, y_idx):
    """(-log softmax(x + b)[i, y_idx[i]], softmax)."""
    return crossentropy_softmax_max_and_argmax_1hot_with_bias(x, b, y_idx)[:2]


def crossentropy_softmax_1hot(x, y_idx):
    """(-log softmax(x)[i, y_idx[i]], softmax)."""
    return crossentropy_softmax_1hot_with_bias(x, 0, y_idx)


def prepend_scalar_to_each_row(val, mat):
    """La matrice, précédée d’une colonne de ce nombre."""
    mat = as_tensor_variable(mat)
    column = mat.zeros_like()[:, :1] + as_tensor_variable(val).astype(mat.dtype)
    return column.join_with(1, mat)


def prepend_0_to_each_row(mat):
    """La matrice, précédée d’une colonne de 0."""
    return prepend_scalar_to_each_row(0, mat)


def prepend_1_to_each_row(mat):
    """La matrice, précédée d’une colonne de 1."""
    return prepend_scalar_to_each_row(1, mat)


def horizontal_stack(*args):
    """Des matrices, côte à côte."""
    return concatenate(args, axis=1)


def vertical_stack(*args):
    """Des matrices, l’une sous l’autre."""
    return concatenate(args, axis=0)


def default(x, default):
    """x, ou `default` si x est None."""
    return as_tensor_variable(default if x is None else x)


def get_vector_length(v):
    """La longueur d’un vecteur, connue d’avance ; ValueError sinon."""
    v = as_tensor_variable(v)
    if v.ndim != 1 or v.type.shape[0] is None:
        raise ValueError(f"longueur inconnue : {v} ({v.short()})")
    return v.type.shape[0]


def unravel_index(indices, dims):
    """Les indices, un par axe, d’une place comptée dans un tableau aplati de longueurs `dims`."""
    rest, found = as_tensor_variable(indices), []
    for length in reversed(list(dims)):
        found.append(rest % length)
        rest = rest // length
    return tuple(reversed(found))


def ravel_multi_index(multi_index, dims):
    """La place, dans un tableau aplati de longueurs `dims`, d’indices donnés, un par axe."""
    total = as_tensor_variable(0)
    for index, length in zip(multi_index, dims, strict=True):
        total = total * length + index
    return total


def bartlett(M):
    """La fenêtre triangulaire de longueur M, nulle aux bouts."""
    middle = (as_tensor_variable(M) - 1) / 2.0
    return 1 - abs_(arange(M) - middle) / middle


def get_conv_output_shape(image_shape, kernel_shape, border_mode, subsample, filter_dilation=None):
    """La forme d’une convolution, d’après celles de l’image et des filtres."""
    op = Convolution(border_mode, tuple(subsample), True, filter_dilation)
    return op.output_shape(tuple(image_shape), tuple(kernel_shape))


def confusion_matrix(actual, pred):
    """Combien de fois chaque classe réelle (ligne) a reçu chaque prédiction (colonne).

    Renvoie
        [la matrice, les classes dans l’ordre].
    """
    actual, pred = as_tensor_variable(actual), as_tensor_variable(pred)
    classes = unique(actual.join_with(0, pred))
    rows, columns = (eq(v.dimshuffle(0, "x"), classes).astype("int64") for v in (actual, pred))
    return [dot(rows.T, columns), classes]


def kron(a, b):
    """Le produit de Kronecker de deux matrices."""
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    blocks = a.dimshuffle(0, "x", 1, "x") * b.dimshuffle("x", 0, "x", 1)
    return blocks.reshape((a.shape[0] * b.shape[0], a.shape[1] * b.shape[1]))


def matrix_power(matrix, n):
    """Le produit de `n` fois la matrice (n, entier positif)."""
    if n < 1:
        raise EngineError(
            "matrix_power : l'exposant", expected="un entier d'au moins 1", received=n
        )
    result = None
    for bit in f"{n:b}":  # du bit de poids fort à l’autre : carré, puis produit
        result = matrix if result is None else dot(result, result)
        result = dot(result, matrix) if bit == "1" and result is not matrix else result
    return result


def norm(x, ord=None):
    """La norme d’un vecteur (2, 1, inf...) ou, sans `ord`, celle de Frobenius d’une matrice."""
    x = as_tensor_variable(x)
    if ord == math.inf:
        return abs_(x).max()
    if x.ndim == 2 and ord not in (None, "fro"):
        raise EngineError(f"norm : norme {ord} d'une matrice", expected="None ou 'fro'")
    return x.norm(2 if ord in (None, "fro") else ord)


def hessian_times_vector(gradient, parameter, vector, r_op=False):
    """La hessienne d’un coût, dont `gradient` est le gradient, fois un vecteur."""
    if r_op:
        return Rop(gradient, parameter, vector)
    return grad((gradient * vector).sum(), parameter)


FLOAT_DTYPES = list(FLOATS)
INT_DTYPES = ["int8", "int16", "int32", "int64"]
UINT_DTYPES = ["uint8", "uint16", "uint32", "uint64"]
DISCRETE_DTYPES = [*INT_DTYPES, *UINT_DTYPES]
ALL_DTYPES = [*DISCRETE_DTYPES, *FLOAT_DTYPES]
