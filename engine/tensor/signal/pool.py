"""Les poolings, avec l’appel de Theano."""

from engine.errors import EngineError
from engine.ops.pool import Pool
from engine.types import IMAGE_AXES, as_sizes


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
    ws = as_sizes(ws, IMAGE_AXES[ndim], "pooling : ws", 1)
    return Pool(ws, stride, pad, bool(ignore_border), mode)(input)


def _either(function, name, old_name, value, old_value):
    if value is not None and old_value is not None:
        raise EngineError(
            f"{function} : {name} et {old_name} sont deux noms du même réglage",
            expected=f"{name} seulement",
            received=f"{name}={value}, {old_name}={old_value}",
        )
    return old_value if value is None else value
