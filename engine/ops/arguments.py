"""Lire les arguments des ops : des axes, des longueurs, des tailles."""

import numpy as np

from engine.core.dtypes import FLOATS
from engine.core.errors import EngineError, ShapeError
from engine.core.types import as_tensor_variable, constant

IMAGE_AXES = {2: ("hauteur", "largeur"), 3: ("profondeur", "hauteur", "largeur")}


def as_sizes(value, axes, name, least):
    """Rend un entier d’au moins `least` par axe ; un seul entier vaut pour tous.

    `axes` nomme les axes, et `name` le réglage, dans l’erreur.

    Lève
        EngineError : autre chose qu’un entier, ou qu’un entier par axe, assez grand.
    """
    values = [value] * len(axes) if isinstance(value, int | np.integer) else value
    valid = isinstance(values, list | tuple) and len(values) == len(axes)
    if not valid or not all(isinstance(v, int | np.integer) and v >= least for v in values):
        raise EngineError(
            f"{name} ne convient pas",
            expected=f"un entier d'au moins {least}, ou un par axe ({', '.join(axes)})",
            received=repr(value),
            hint=f"{max(least, 2)}, ou {(max(least, 2),) * len(axes)}",
        )
    return tuple(int(v) for v in values)


def normalize_axes(axis, ndim, name):
    """Rend le tuple trié des axes (positifs) ; None les désigne tous.

    Lève
        ShapeError : un axe n’existe pas, ou est donné deux fois.
    """
    several = isinstance(axis, list | tuple | range)
    axes = range(ndim) if axis is None else axis if several else [axis]
    if not all(isinstance(a, int | np.integer) for a in axes):
        raise ShapeError(
            f"{name} : un axe est un entier, connu d'avance",
            expected=f"un entier entre {-ndim} et {ndim - 1}, ou plusieurs, ou None pour tous",
            received=repr(axis),
            hint="l'axe 0 est le premier, -1 le dernier",
        )
    wrong = [a for a in axes if not -ndim <= a < ndim]
    if wrong:
        raise ShapeError(
            f"{name} : axe inexistant",
            expected=f"entre {-ndim} et {ndim - 1}" if ndim else "aucun axe : c'est un scalaire",
            received=str(wrong[0]),
            hint="l'axe 0 est le premier, -1 le dernier ; x.ndim dit combien il y en a",
        )
    found = sorted({int(a) % ndim for a in axes})
    if len(found) < len(axes):
        raise ShapeError(
            f"{name} : le même axe est donné deux fois",
            expected="des axes différents",
            received=repr(axis),
            hint="un axe suffit une fois ; -1 est le dernier",
        )
    return tuple(found)


def normalize_axis(axis, ndim, name):
    """Rend l’axe, positif.

    Lève
        ShapeError : plusieurs axes, ou un axe qui n’existe pas.
    """
    axes = normalize_axes(axis, ndim, name)
    if axis is None or len(axes) != 1:
        raise ShapeError(
            f"{name} : un seul axe",
            expected=f"un entier entre {-ndim} et {ndim - 1}",
            received=repr(axis),
            hint="aplatissez d'abord les axes à réunir : x.flatten(2)",
        )
    return axes[0]


def as_length(value):
    """Rend un scalaire entier symbolique (int64) pour une longueur ou un indice."""
    if isinstance(value, int | np.integer):
        return constant(np.int64(value))
    variable = as_tensor_variable(value)
    if variable.ndim != 0 or variable.dtype in FLOATS:
        raise ShapeError(
            "une longueur est un entier",
            received=f"{variable} : {variable.type.short()}",
            expected="un entier, ou un scalaire symbolique entier",
            hint="convertissez : int(n), n.astype('int64')",
        )
    return variable
