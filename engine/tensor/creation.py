"""Créer : entrées symboliques, constantes, tableaux remplis.

Les constructeurs d’entrées s’appellent `scalar`, `vector`, `matrix`, `row`, `col`, `tensor3`,
`tensor4`, `tensor5` ; un préfixe fixe le dtype (`b w i l f d` : int8, int16, int32, int64, float32,
float64), sans préfixe c’est floatX. Au pluriel ils rendent plusieurs variables.
"""

import numpy as np

from engine.core.dtypes import upcast
from engine.core.settings import config
from engine.core.types import TensorType, as_tensor_variable, constant
from engine.ops.arguments import as_length
from engine.ops.shape import Alloc, ARange

_PATTERNS = {
    "scalar": (),
    "vector": (False,),
    "matrix": (False, False),
    "row": (True, False),
    "col": (False, True),
    "tensor3": (False,) * 3,
    "tensor4": (False,) * 4,
    "tensor5": (False,) * 5,
}
_PREFIXES = {
    "": None,
    "b": "int8",
    "w": "int16",
    "i": "int32",
    "l": "int64",
    "f": "float32",
    "d": "float64",
}
_PLURALS = {"matrix": "matrices"}


def _constructor(name, pattern, dtype):
    def build(name=None, dtype=dtype, dims=None):
        variable = TensorType(dtype or config.floatX, pattern)(name)
        if dims is not None:
            variable.dims = dims
        return variable

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"""Rend une entrée à {len(pattern)} axe(s), {dtype or "floatX"} par défaut.

    Paramètres
        name : nom de la variable, pour l'impression et pour l'appel par nom.
        dtype : un autre dtype.
        dims : noms des axes, pour les messages et les dessins ; ils ne changent aucun résultat.
    """
    return build


def _plural(name, singular):
    def build(*names):
        if len(names) == 1 and isinstance(names[0], int):
            return [singular() for _ in range(names[0])]
        names = names[0] if len(names) == 1 else names
        return [singular(item) for item in names]

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"""Rend plusieurs variables `{singular.__name__}`.

    Paramètres
        names : un nombre, ou des noms (`'xy'`, `['x', 'y']`, ou un argument par nom).
    """
    return build


CONSTRUCTORS = {}
for _prefix, _dtype in _PREFIXES.items():
    for _name, _pattern in _PATTERNS.items():
        _singular = _constructor(_prefix + _name, _pattern, _dtype)
        _many = _prefix + _PLURALS.get(_name, _name + "s")
        CONSTRUCTORS[_prefix + _name] = _singular
        CONSTRUCTORS[_many] = _plural(_many, _singular)
globals().update(CONSTRUCTORS)

__all__ = [  # noqa: PLE0604
    *CONSTRUCTORS,
    *("alloc", "arange", "full_like", "ones", "ones_like", "zeros", "zeros_like"),
]


def alloc(value, *shape):
    """Un tableau de la forme donnée, rempli de `value` (diffusée)."""
    return Alloc()(constant(value) if isinstance(value, float) else value, *shape)


def _filled(value, shape, dtype):
    variable = as_tensor_variable(shape) if not isinstance(shape, list | tuple) else shape
    lengths = variable if isinstance(variable, list | tuple) else _lengths_of(variable)
    return Alloc()(constant(value, dtype=dtype or config.floatX), *lengths)


def _lengths_of(variable):
    if variable.ndim == 0:
        return [variable]
    return [variable[k] for k in range(variable.type.shape[0])]


def zeros(shape, dtype=None):
    """Un tableau de zéros ; `shape` : entier, suite d’entiers ou vecteur symbolique."""
    return _filled(0, shape, TensorType(dtype or "floatX").dtype)


def ones(shape, dtype=None):
    """Un tableau de uns ; `shape` : entier, suite d’entiers ou vecteur symbolique."""
    return _filled(1, shape, TensorType(dtype or "floatX").dtype)


def full_like(x, value, dtype=None):
    """Un tableau de la forme de x, rempli de `value`."""
    x = as_tensor_variable(x)
    dtype = TensorType(dtype or x.dtype).dtype
    lengths = [x.shape[axis] if known is None else known for axis, known in enumerate(x.type.shape)]
    fill = constant(value, dtype=dtype)
    return Alloc()(fill, *lengths) if lengths else fill


def zeros_like(x, dtype=None):
    """Un tableau de zéros de la forme de x."""
    return full_like(x, 0, dtype)


def ones_like(x, dtype=None):
    """Un tableau de uns de la forme de x."""
    return full_like(x, 1, dtype)


def arange(start, stop=None, step=1, dtype=None):
    """start, start + step, ... sans atteindre stop ; avec un seul argument, 0, 1, ... stop - 1.

    Exemple
        >>> arange(3).eval()
        array([0, 1, 2])
    """
    if stop is None:
        start, stop = 0, start
    entries = [as_tensor_variable(entry) for entry in (start, stop, step)]
    found = upcast(*(entry.dtype for entry in entries))
    found = upcast(found, "int64") if np.dtype(found).kind in "iub" else found
    return ARange(dtype or found)(
        *(as_length(e) if e.dtype != found and found == "int64" else e for e in entries)
    )
