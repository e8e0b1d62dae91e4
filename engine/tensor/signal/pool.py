"""Les poolings, avec l’appel de Theano."""

from engine.errors import EngineError
from engine.ops.pool import Pool2d


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
    ws, stride = _either("ws", ws, "ds", ds), _either("stride", stride, "st", st)
    pad = _either("pad", None if pad == (0, 0) else pad, "padding", padding)
    if ws is None:
        raise EngineError("pool_2d : la taille de la fenêtre manque", expected="ws=(2, 2)")
    return Pool2d(ws, stride, (0, 0) if pad is None else pad, bool(ignore_border), mode)(input)


def _either(name, value, old_name, old_value):
    if value is not None and old_value is not None:
        raise EngineError(
            f"pool_2d : {name} et {old_name} sont deux noms du même réglage",
            expected=f"{name} seulement",
            received=f"{name}={value}, {old_name}={old_value}",
        )
    return old_value if value is None else value
