"""Les autres arrangements d’axes et d’éléments, faits des fonctions de `shaping` et de `math`.

Ordre de lecture : axes de longueur 1 ; couper et faire tourner ; arrondis et petites formules.
"""

from math import pi as PI

from engine.core.elemwise import elemwise
from engine.core.errors import EngineError, ShapeError
from engine.core.types import FLOATS, TensorConstant, as_tensor_variable
from engine.ops.arguments import as_length, normalize_axes
from engine.ops.shape import ShapeAxis
from engine.tensor import math
from engine.tensor.shaping import concatenate

# ---- axes de longueur 1 ------------------------------------------------------------------


def shape_padleft(x, n_ones=1):
    """Ajoute `n_ones` axes de longueur 1 à gauche."""
    x = as_tensor_variable(x)
    return x.dimshuffle(*["x"] * n_ones, *range(x.ndim))


def shape_padright(x, n_ones=1):
    """Ajoute `n_ones` axes de longueur 1 à droite."""
    x = as_tensor_variable(x)
    return x.dimshuffle(*range(x.ndim), *["x"] * n_ones)


def shape_padaxis(x, axis):
    """Ajoute un axe de longueur 1, qui devient l’axe `axis` du résultat."""
    x = as_tensor_variable(x)
    (axis,) = normalize_axes(axis, x.ndim + 1, "shape_padaxis")
    return x.dimshuffle(*range(axis), "x", *range(axis, x.ndim))


def addbroadcast(x, *axes):
    """Déclare que ces axes sont de longueur 1 ; s’ils ne le sont pas, le calcul échoue."""
    x = as_tensor_variable(x)
    axes = normalize_axes(axes, x.ndim, "addbroadcast")
    missing = [axis for axis in axes if x.type.shape[axis] != 1]
    if not missing:
        return x
    kept = [axis for axis in range(x.ndim) if axis not in missing]
    order = ["x" if axis in missing else kept.index(axis) for axis in range(x.ndim)]
    return x.dimshuffle(*kept).dimshuffle(*order)


def unbroadcast(x, *axes):
    """Oublie que ces axes sont de longueur 1 : leur longueur se lira à l’exécution.

    La diffusion se décide de toute façon à l’exécution ; ce n’est utile qu’au type.
    """
    x = as_tensor_variable(x)
    axes = normalize_axes(axes, x.ndim, "unbroadcast")
    if all(x.type.shape[axis] != 1 for axis in axes):
        return x
    lengths = [
        ShapeAxis(axis)(x) if axis in axes or length is None else length
        for axis, length in enumerate(x.type.shape)
    ]
    return x.reshape(lengths)


def patternbroadcast(x, broadcastable):
    """Donne à x exactement ces axes diffusables (une suite de booléens, un par axe)."""
    x = as_tensor_variable(x)
    if len(broadcastable) != x.ndim:
        raise ShapeError("patternbroadcast : un booléen par axe", expected=f"{x.ndim}",
                         received=str(broadcastable))  # fmt: skip
    ones = [axis for axis, flag in enumerate(broadcastable) if flag]
    others = [axis for axis, flag in enumerate(broadcastable) if not flag]
    return unbroadcast(addbroadcast(x, *ones), *others)


def squeeze(x):
    """Ôte les axes dont on sait que la longueur est 1."""
    x = as_tensor_variable(x)
    return x.dimshuffle(*(axis for axis, length in enumerate(x.type.shape) if length != 1))


def swapaxes(x, axis1, axis2):
    """Échange deux axes."""
    x = as_tensor_variable(x)
    order = list(range(x.ndim))
    (axis1,), (axis2,) = (normalize_axes(axis, x.ndim, "swapaxes") for axis in (axis1, axis2))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return x.dimshuffle(*order)


# ---- couper et faire tourner -------------------------------------------------------------


def split(x, splits_size, n_splits, axis=0):
    """Coupe x en `n_splits` morceaux le long d’un axe ; l’inverse de `concatenate`.

    Paramètres
        splits_size : les longueurs des morceaux, suite ou vecteur d’entiers ; leur somme est la
            longueur de l’axe.
        n_splits : le nombre de morceaux, un entier Python.

    Renvoie
        La liste des morceaux.

    Exemple
        >>> [piece.eval().tolist() for piece in split(as_tensor_variable([1, 2, 3]), [1, 2], 2)]
        [[1], [2, 3]]
    """
    x = as_tensor_variable(x)
    (axis,) = normalize_axes(axis, x.ndim, "split")
    if isinstance(splits_size, list | tuple) and len(splits_size) != n_splits:
        raise ShapeError(
            "split : autant de longueurs que de morceaux",
            expected=str(n_splits),
            received=str(len(splits_size)),
            hint="split(x, [2, 3], 2) coupe en deux morceaux, de 2 et 3",
        )
    start, pieces = as_length(0), []
    for position in range(n_splits):
        stop = start + splits_size[position]
        pieces.append(x[(*(slice(None),) * axis, slice(start, stop))])
        start = stop
    return pieces


def join(axis, *tensors):
    """Met des tableaux bout à bout le long d’un axe : `concatenate`, l’axe d’abord."""
    axis = int(axis.data) if isinstance(axis, TensorConstant) else axis
    return concatenate(tensors, axis)


def roll(x, shift, axis=None):
    """Fait tourner les éléments de `shift` places le long d’un axe (de x aplati, sans axe).

    Exemple
        >>> roll(as_tensor_variable([1, 2, 3, 4]), 1).eval()
        array([4, 1, 2, 3], dtype=int8)
    """
    x = as_tensor_variable(x)
    if axis is None:
        return (
            roll(x.flatten(), shift, 0).reshape(x.shape, ndim=x.ndim)
            if x.ndim != 1
            else roll(x, shift, 0)
        )
    (axis,) = normalize_axes(axis, x.ndim, "roll")
    length = ShapeAxis(axis)(x)
    cut = length - as_length(shift) % length.maximum(1)
    before = (slice(None),) * axis
    return concatenate([x[(*before, slice(cut, None))], x[(*before, slice(None, cut))]], axis)


# ---- arrondis et petites formules --------------------------------------------------------


def round(x, mode="half_to_even"):
    """L’entier le plus proche ; entre deux, le pair, ou le plus loin de zéro.

    Paramètres
        mode : "half_to_even" (2,5 donne 2) ou "half_away_from_zero" (2,5 donne 3).

    Exemple
        >>> round(as_tensor_variable([0.5, 1.5, 2.5])).eval()
        array([0., 2., 2.])
    """
    if mode not in ("half_to_even", "half_away_from_zero"):
        raise EngineError(
            "round : mode inconnu",
            expected="'half_to_even' ou 'half_away_from_zero'",
            received=repr(mode),
            hint="pour garder deux décimales : (x * 100).round() / 100",
        )
    return elemwise(f"round_{mode}")(x)


def inv(x):
    """1 / x, terme à terme."""
    return elemwise("true_div")(1.0, x)


def ceil_intdiv(a, b):
    """Le quotient a / b d’entiers, arrondi vers le haut.

    Exemple
        >>> ceil_intdiv(7, 2).eval()
        array(4, dtype=int8)
    """
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    quotient = a.int_div(b)
    return quotient + (a % b).neq(0).astype(quotient.dtype)


def divmod(x, y):
    """Le quotient entier et le reste : [x // y, x % y]."""
    x, y = as_tensor_variable(x), as_tensor_variable(y)
    return [x // y, x % y]


def deg2rad(x):
    """Des degrés en radians, terme à terme."""
    return _scaled(x, PI / 180)


def rad2deg(x):
    """Des radians en degrés, terme à terme."""
    return _scaled(x, 180 / PI)


def _scaled(x, factor):
    x = as_tensor_variable(x)
    return x * (x.type.number(factor) if x.dtype in FLOATS else factor)


def cov(m, y=None, rowvar=True, bias=False, ddof=None):
    """La matrice de covariance de variables observées ensemble, comme `numpy.cov`.

    Paramètres
        m, y : matrices, ou vecteurs d’une seule variable ; une variable par ligne, par colonne si
            `rowvar` est faux. `y` ajoute des variables.
        bias : diviser par le nombre d’observations, et non par ce nombre moins un.
        ddof : ce qui est ôté au nombre d’observations, à la place de 1 (ou de 0 si `bias`).

    Exemple
        >>> cov(as_tensor_variable([[1.0, 3.0], [2.0, 6.0]])).eval()
        array([[2., 4.],
               [4., 8.]])
    """
    groups = [as_tensor_variable(group) for group in (m, y) if group is not None]
    rows = [
        group.dimshuffle("x", 0) if group.ndim == 1 else group if rowvar else group.T
        for group in groups
    ]
    x = concatenate(rows)
    lost = ddof if ddof is not None else 0 if bias else 1
    centered = x - x.mean(axis=1, keepdims=True)
    return centered.dot(centered.T) / (x.shape[1] - lost).astype(centered.dtype)


def ptp(x, axis=None):
    """L’étendue : le plus grand élément moins le plus petit."""
    return math.max(x, axis=axis) - math.min(x, axis=axis)


def outer(x, y):
    """Le produit x_i y_j de deux tableaux, aplatis."""
    x, y = (v if v.ndim == 1 else v.flatten() for v in map(as_tensor_variable, (x, y)))
    return x.dimshuffle(0, "x") * y.dimshuffle("x", 0)


def largest(*args):
    """Le plus grand de plusieurs tableaux, terme à terme."""
    first, *others = args
    for other in others:
        first = elemwise("maximum")(first, other)
    return first


def smallest(*args):
    """Le plus petit de plusieurs tableaux, terme à terme."""
    first, *others = args
    for other in others:
        first = elemwise("minimum")(first, other)
    return first


def fill(shape_of, value):
    """Un tableau de la forme du premier, rempli du second."""
    return elemwise("second")(shape_of, value)


def copy(x, name=None):
    """Une autre variable, de même valeur."""
    x = as_tensor_variable(x)
    return elemwise("second")(x, x, name=name)
