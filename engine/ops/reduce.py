"""Les réductions : sommes, produits, extrêmes et leurs positions.

**Égalités.** Un maximum atteint plusieurs fois n’a pas de dérivée, mais des sous-gradients. Partout
ici, le premier qui l’atteint reçoit tout : le premier élément dans l’ordre des axes (celui que rend
`argmax`) pour une réduction, le premier argument pour `maximum(x, y)`, le premier pixel de la
fenêtre, ligne par ligne, pour un pooling ; de même pour un minimum, et un NaN est le plus grand et
le plus petit. La somme des gradients rendus est ainsi celui qui est reçu. (Theano donne le tout à
chacun ; autograd et JAX partagent.)

Ordre de lecture : `Reduction` (la ligne de la table), `REDUCTIONS`, `Reduce`, `ArgReduce`.
"""

from dataclasses import dataclass

import numpy as np

from engine.core.dtypes import in_float32
from engine.core.errors import ShapeError
from engine.core.graph import Apply, Op
from engine.core.types import FLOATS, TensorType, as_tensor_variable
from engine.ops.arguments import normalize_axes


def restore_axes(x, axes, ndim):
    """Remet, avec la longueur 1, les axes qu’une réduction a ôtés."""
    kept = iter(range(x.ndim))
    return x.dimshuffle(*("x" if axis in axes else next(kept) for axis in range(ndim)))


def _sum_dtype(dtype):
    if dtype in FLOATS:
        return dtype
    return "uint64" if dtype.startswith("uint") else "int64"


def _same_dtype(dtype):
    return dtype


def _bool_dtype(dtype):
    return "bool"


def _sum_grad(x, out, g, axes):
    return g + x.zeros_like()


def _max_grad(x, out, g, axes):
    return x.first_extremum("max", axes).switch(g, 0)


def _min_grad(x, out, g, axes):
    return x.first_extremum("min", axes).switch(g, 0)


def _prod_grad(x, out, g, axes):
    return g * x.product_of_others(axes)


@dataclass(frozen=True, eq=False)
class Reduction:
    """Une réduction : fonction NumPy, départ, code de combinaison, règle de dtype, gradient."""

    name: str
    numpy: object
    start: str
    code: str
    dtype: object
    grad: object = None

    def __reduce__(self):
        return find_reduction, (self.name,)  # une ligne de la table est unique

    def __str__(self):
        return self.name

    __repr__ = __str__


_ROWS = [
    Reduction("sum", np.sum, "0", "a + x", _sum_dtype, _sum_grad),
    Reduction("prod", np.prod, "1", "a * x", _sum_dtype, _prod_grad),
    Reduction("max", np.max, "first", "x if x > a or x != x else a", _same_dtype, _max_grad),
    Reduction("min", np.min, "first", "x if x < a or x != x else a", _same_dtype, _min_grad),
    Reduction("all", np.all, "True", "a and x != 0", _bool_dtype),
    Reduction("any", np.any, "False", "a or x != 0", _bool_dtype),
]

REDUCTIONS = {row.name: row for row in _ROWS}


def find_reduction(name):
    """La ligne de ce nom."""
    return REDUCTIONS[name]


class Reduce(Op):
    """Réduit un tableau le long de `axes` (tuple trié), qui disparaissent du résultat."""

    __props__ = ("reduction", "axes")

    def __init__(self, reduction, axes):
        self.reduction = reduction
        self.axes = tuple(axes)

    def make_node(self, x):
        x = as_tensor_variable(x)
        normalize_axes(self.axes, x.ndim, self.reduction)
        shape = [length for axis, length in enumerate(x.type.shape) if axis not in self.axes]
        return Apply(self, [x], [TensorType(self.reduction.dtype(x.dtype), shape=shape)()])

    def infer_shape(self, node, input_shapes):
        (shape,) = input_shapes
        return [tuple(length for axis, length in enumerate(shape) if axis not in self.axes)]

    def infer_dims(self, node):
        return [[n for axis, n in enumerate(node.inputs[0].dims) if axis not in self.axes]]

    @in_float32
    def perform(self, node, inputs, output_storage):
        (x,) = inputs
        dtype = node.out.dtype
        if self.reduction.name in ("sum", "prod") and dtype == "float32":
            result = self.reduction.numpy(x, axis=self.axes, dtype="float64")  # accumule en double
        else:
            result = _of_something(self.reduction.numpy, self.reduction, x, self.axes)
        output_storage[0][0] = np.asarray(result, dtype=dtype)

    def L_op(self, inputs, outputs, output_grads):
        (x,), (out,), (g,) = inputs, outputs, output_grads
        if self.reduction.grad is None or x.dtype not in FLOATS:
            return [x.zeros_like(dtype="floatX")]
        out, g = (restore_axes(v, self.axes, x.ndim) for v in (out, g))
        return [self.reduction.grad(x, out, g, self.axes)]

    @classmethod
    def variants(cls):
        return [cls(row, axes) for row in _ROWS for axes in ((0,), (1,), (0, 1))]

    def samples(self):
        if self.axes not in ((0,), (1,), (0, 1)):
            return []
        return [[np.array([[1.5, -2.0, 3.0], [0.5, 4.0, -1.0]])]]

    def __str__(self):
        return f"{self.reduction}{{axes={list(self.axes)}}}"


def _of_something(function, name, x, axes):
    """`function(x, axes)` ; l’extrême de rien n’existe pas.

    Lève
        ShapeError : un axe réduit est vide.
    """
    try:
        return function(x, axis=axes)
    except ValueError as error:
        raise ShapeError(
            f"{name} d'un tableau vide",
            expected="au moins un élément le long des axes réduits",
            received=f"forme {x.shape}, axes {'tous' if axes is None else axes}",
            hint="vérifiez ce qui a choisi ces éléments : un masque partout faux ?",
        ) from error


class ArgReduce(Op):
    """Position (int64) du plus grand ou du plus petit élément le long d’un axe ; la première, à
    égalité.

    `axis` None : dans le tableau aplati.
    """

    __props__ = ("which", "axis")

    def __init__(self, which, axis):
        self.which = which
        self.axis = axis

    def make_node(self, x):
        x = as_tensor_variable(x)
        normalize_axes(self.axis, x.ndim, f"arg{self.which}")
        shape = (
            [] if self.axis is None else [n for a, n in enumerate(x.type.shape) if a != self.axis]
        )
        return Apply(self, [x], [TensorType("int64", shape=shape)()])

    def infer_shape(self, node, input_shapes):
        if self.axis is None:
            return [()]
        return [tuple(length for axis, length in enumerate(input_shapes[0]) if axis != self.axis)]

    def infer_dims(self, node):
        if self.axis is None:
            return [()]
        return [[n for axis, n in enumerate(node.inputs[0].dims) if axis != self.axis]]

    @in_float32
    def perform(self, node, inputs, output_storage):
        function = np.argmax if self.which == "max" else np.argmin
        found = _of_something(function, f"arg{self.which}", inputs[0], self.axis)
        output_storage[0][0] = np.asarray(found, dtype="int64")

    def L_op(self, inputs, outputs, output_grads):
        return [inputs[0].zeros_like(dtype="floatX")]

    @classmethod
    def variants(cls):
        return [cls("max", None), cls("max", 1), cls("min", 0)]

    def samples(self):
        return [[np.array([[1.5, -2.0, 3.0], [0.5, 4.0, -1.0]])]]

    def __str__(self):
        return f"arg{self.which}{{axis={self.axis}}}"
