"""Les poolings, avec l’appel de Theano.

Ordre de lecture : `pool_2d`, `pool_3d`, puis `_symbolic_pool`, où la fenêtre n’est connue qu’à
l’exécution.
"""

import numpy as np

from engine.core.errors import EngineError
from engine.core.graph import Variable
from engine.core.types import FLOATS, TensorConstant, as_tensor_variable, constant
from engine.ops.arguments import IMAGE_AXES, as_length, as_sizes
from engine.ops.pool import MODES, Pool
from engine.tensor.creation import arange


def pool_2d(
    input,
    ws=None,
    ignore_border=None,
    stride=None,
    pad=(0, 0),
    mode="max",
    ds=None,
    st=None,
    padding=None,
):
    """Résume chaque fenêtre des deux derniers axes par un nombre.

    Paramètres
        input : images, forme (..., hauteur, largeur).
        ws : taille de la fenêtre (hauteur, largeur), en pixels ; un entier vaut pour les deux.
            `ws`, `stride` et `pad` peuvent être symboliques : un vecteur, ou une suite.
        ignore_border : vrai, une fenêtre incomplète est laissée de côté ; faux ou None (le défaut
            de Theano), une dernière fenêtre, plus petite, couvre ce qui reste.
        stride : pas de la fenêtre, en pixels ; par défaut `ws`.
        pad : bords ajoutés de chaque côté (hauteur, largeur), en pixels ; demande
            `ignore_border=True`. Un maximum ne les voit pas.
        mode : "max", "sum", "average_inc_pad" (les bords comptent dans la moyenne) ou
            "average_exc_pad" (ils n’y comptent pas).
        ds, st, padding : anciens noms de `ws`, `stride` et `pad`.

    Renvoie
        Les images réduites, du dtype de `input`. Le long de chaque axe, avec `ignore_border`,
        (longueur + 2 × pad - ws) // stride + 1 éléments.

    Lève
        ShapeError : moins de deux axes, image vide.
        DtypeError : moyenne d’entiers.
        EngineError : `ws` absent, réglage inconnu, ou donné deux fois sous deux noms.

    Source
        Y. LeCun et coll., « Gradient-Based Learning Applied to Document Recognition », 1998.

    Exemple
        >>> import numpy as np
        >>> image = np.array([[1.0, 2.0, 5.0], [4.0, 3.0, 6.0]])
        >>> pool_2d(image, ws=(2, 2), ignore_border=False).eval()
        array([[4., 6.]])
    """
    return _pool(2, input, (ws, ds), ignore_border, (stride, st), (pad, padding), mode)


def pool_3d(
    input,
    ws=None,
    ignore_border=None,
    stride=None,
    pad=(0, 0, 0),
    mode="max",
    ds=None,
    st=None,
    padding=None,
):
    """Résume chaque fenêtre des trois derniers axes par un nombre.

    Paramètres
        input : images, forme (..., profondeur, hauteur, largeur).
        ws, stride, pad : ceux de `pool_2d`, à trois axes.
        ignore_border, mode, ds, st, padding : ceux de `pool_2d`.

    Renvoie
        Les images réduites, du dtype de `input`.

    Lève
        ShapeError, DtypeError, EngineError : comme `pool_2d`, avec trois axes.

    Source
        Y. LeCun et coll., « Gradient-Based Learning Applied to Document Recognition », 1998.

    Exemple
        >>> import numpy as np
        >>> pool_3d(np.arange(8.0).reshape(2, 2, 2), ws=2, mode="average_exc_pad").eval()
        array([[[3.5]]])
    """
    return _pool(3, input, (ws, ds), ignore_border, (stride, st), (pad, padding), mode)


def _pool(ndim, input, ws, ignore_border, stride, pad, mode):
    name = f"pool_{ndim}d"
    ws, stride = _either(name, "ws", "ds", *ws), _either(name, "stride", "st", *stride)
    zeros = (0,) * ndim
    pad = _either(name, "pad", "padding", None if pad[0] == zeros else pad[0], pad[1])
    if ws is None:
        raise EngineError(f"{name} : la taille de la fenêtre manque", expected=f"ws={(2,) * ndim}")
    ws, stride, pad = map(_as_known, (ws, stride, pad))
    if any(isinstance(item, Variable) for sizes in (ws, stride, pad) for item in _items(sizes)):
        return _symbolic_pool(ndim, input, ws, bool(ignore_border), stride, pad, mode)
    ws = as_sizes(ws, IMAGE_AXES[ndim], "pooling : ws", 1)
    return Pool(ws, stride, pad, bool(ignore_border), mode)(input)


def _items(sizes):
    return sizes if isinstance(sizes, list | tuple) else [sizes]


def _as_known(sizes):
    """Les constantes en entiers Python, le reste tel quel."""
    if isinstance(sizes, list | tuple):
        return tuple(_as_known(size) for size in sizes)
    data = sizes.data if isinstance(sizes, TensorConstant) else sizes
    return tuple(map(int, data)) if isinstance(data, np.ndarray) and data.ndim else data


def _symbolic_pool(ndim, x, ws, ignore_border, stride, pad, mode):
    """Le pooling, en indexations : chaque axe en donne deux, les fenêtres et leurs points."""
    x = as_tensor_variable(x)
    if mode not in MODES:
        raise EngineError("pooling : mode inconnu", expected=", ".join(MODES), received=mode)
    ws = _each(ws, ndim)
    stride = ws if stride is None else _each(stride, ndim)
    pad = _each(0 if pad is None else pad, ndim)
    first, inside, counts = x.ndim - ndim, constant(True), constant(np.int8(1))
    for position, (window, step, border) in enumerate(zip(ws, stride, pad, strict=True)):
        axis, n = first + 2 * position, x.shape[first + 2 * position]
        last = n + 2 * border - window if ignore_border else n - 1 - window.maximum(step) + step
        count = (last // step + 1).maximum(0 if ignore_border else 1)
        starts = arange(count) * step - border
        places = starts.dimshuffle(0, "x") + arange(window)
        x = x[(*(slice(None),) * axis, places.maximum(0).minimum(n - 1))]
        after = ["x"] * (2 * (ndim - 1 - position))
        inside = inside & ((places >= 0) & (places < n)).dimshuffle(0, 1, *after)
        low, high = (0, n) if mode == "average_exc_pad" else (-border, n + border)
        length = (starts + window).minimum(high) - starts.maximum(low)
        counts = counts * length.dimshuffle(0, *["x"] * (ndim - 1 - position))
    axes = [first + 2 * k + 1 for k in range(ndim)]
    if mode == "max":
        lowest = -np.inf if x.dtype in FLOATS else np.iinfo(x.dtype).min
        return inside.switch(x, constant(lowest, dtype=x.dtype)).max(axis=axes)
    total = inside.switch(x, constant(0, dtype=x.dtype)).sum(axis=axes)
    return total if mode == "sum" else total / counts.astype(total.dtype)


def _each(sizes, ndim):
    """Un scalaire entier par axe ; un seul vaut pour tous."""
    if isinstance(sizes, Variable) and sizes.ndim == 1:
        sizes = [sizes[k] for k in range(ndim)]
    return list(map(as_length, sizes if isinstance(sizes, list | tuple) else [sizes] * ndim))


def _either(function, name, old_name, value, old_value):
    if value is not None and old_value is not None:
        raise EngineError(
            f"{function} : {name} et {old_name} sont deux noms du même réglage",
            expected=f"{name} seulement",
            received=f"{name}={value}, {old_name}={old_value}",
        )
    return old_value if value is None else value
