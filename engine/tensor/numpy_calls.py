"""Ce que Python et NumPy font d’une variable : opérer, ou dire quoi écrire.

`tableau + x`, `tableau @ x`, `tableau < x` bâtissent le graphe, comme `x + tableau`. Une fonction
de NumPy calcule tout de suite : `np.exp(x)` est refusé, et l’erreur nomme `T.exp`. De même ce qui
demande une valeur : `float(x)`, `x[0] = 1`, `range(x)`.

Ordre de lecture : `array_ufunc`, `array_function`, puis les refus.
"""

import numpy as np

from engine.core.errors import DtypeError
from engine.core.scalars import SCALARS
from engine.core.types import add_methods
from engine.tensor import arrangement, creation, extra_ops, math, shaping

UFUNCS = {row.numpy: row for row in SCALARS.values() if isinstance(row.numpy, np.ufunc)}
UFUNCS[np.power] = SCALARS["pow"]  # qui en plus admet un exposant négatif entre entiers
OPERATORS = {
    ufunc: math.ELEMENTWISE[row.name]
    for ufunc, row in UFUNCS.items()
    if row.symbol is not None and row.nin == 2
} | {np.matmul: math.dot}


def array_ufunc(self, ufunc, method, *inputs, **options):
    """`tableau + x`, `tableau < x`... : l’opérateur symbolique.

    Exemple
        >>> from engine import tensor as T
        >>> np.ones(2) * T.dvector("x")
        mul

    Lève
        DtypeError : une autre fonction de NumPy.
    """
    if method == "__call__" and ufunc in OPERATORS and not options:
        return OPERATORS[ufunc](*inputs)
    if method != "__call__":
        raise _refused(f"{ufunc.__name__}.{method}", None)
    raise _refused(ufunc.__name__, UFUNCS[ufunc].name if ufunc in UFUNCS else ufunc.__name__)


def array_function(self, function, types, args, options):
    """`np.sum(x)`, `np.dot(tableau, x)`... : refusés, avec le nom à écrire.

    Lève
        DtypeError : toujours.
    """
    folder = function.__module__.replace("numpy", "", 1).lstrip(".")
    name = f"{folder}.{function.__name__}" if folder else function.__name__
    raise _refused(name, name)


def _refused(numpy_name, name):
    known = name and any(
        hasattr(m, name) for m in (math, shaping, creation, arrangement, extra_ops)
    )
    return DtypeError(
        f"np.{numpy_name} calcule tout de suite, et une variable n'a pas encore de valeur",
        expected="un tableau NumPy",
        received="une variable symbolique",
        hint=f"écrivez T.{name}(...), qui bâtit le graphe"
        if known
        else "cherchez la fonction dans engine.tensor ; ou calculez d'abord la valeur : "
        "x.eval({...}), w.get_value() d'une variable partagée",
    )


# ---- ce qui demande une valeur -----------------------------------------------------------


def _refusal(what, hint):
    def refuse(self, *args, **options):
        raise DtypeError(
            f"{what} : {self} est symbolique, sa valeur n'existe pas encore",
            expected="un nombre ou un tableau",
            received=f"la variable {self} : {self.short()}",
            hint=hint,
        )

    return refuse


VALUE = "calculez-la d'abord : x.eval({...}), ou w.get_value() d'une variable partagée"


def length(self):
    """La longueur de l’axe 0, si elle est connue d’avance."""
    if self.ndim and self.type.shape[0] is not None:
        return self.type.shape[0]
    hint = "x.shape[0] est la longueur de l'axe 0, symbolique" if self.ndim else VALUE
    return _refusal("len(x)", hint)(self)


def items(self):
    """Les tranches le long de l’axe 0, si sa longueur est connue d’avance."""
    length = self.type.shape[0] if self.ndim else None
    if length is None:
        raise DtypeError(
            "impossible de parcourir un tableau dont la longueur n'est pas connue",
            received=f"{self} : {self.type.short()}",
            hint="indexez-le (x[0], x[1]...) ou utilisez scan",
            expected="un axe dont la longueur est écrite dans le graphe",
        )
    return (self[position] for position in range(length))


def as_object(self, dtype=None, copy=None):
    """Pour NumPy, un objet : `np.prod([x.shape[0], 2])` multiplie des variables, comme Python.

    Lève
        DtypeError : un dtype est demandé, donc une valeur.
    """
    if dtype is not None and np.dtype(dtype).kind != "O":
        hint = f"T.stack([x, y]) assemble des variables ; pour une valeur, {VALUE}"
        _refusal("tableau NumPy", hint)(self)
    array = np.empty((), dtype=object)
    array[()] = self
    return array


add_methods(
    __array_ufunc__=array_ufunc,
    __array_function__=array_function,
    __len__=length,
    __iter__=items,
    __array__=as_object,
    __float__=_refusal(
        "float(x)", f"math.exp(x) s'écrit T.exp(x), float(x) x.astype('float64') ; ou {VALUE}"
    ),
    __int__=_refusal("int(x)", f"x.astype('int64') convertit ; ou {VALUE}"),
    __complex__=_refusal("complex(x)", "les nombres complexes n'existent pas ici"),
    __index__=_refusal(
        "x à la place d'un entier",
        f"T.arange(n), T.zeros((n, m)) et scan prennent une variable ; ou {VALUE}",
    ),
    __contains__=_refusal("v in x", "T.any(T.eq(x, v))"),
    __setitem__=_refusal(
        "x[i] = v",
        "une variable ne se modifie pas : y = T.set_subtensor(x[i], v), ou "
        "y = T.inc_subtensor(x[i], v) pour x[i] += v",
    ),
    __delitem__=_refusal("del x[i]", "T.concatenate([x[:i], x[i + 1:]])"),
)
