"""Cumuler, trier, dénombrer : les ops qui parcourent un tableau élément après élément.

Celles qui rendent des positions (`ArgSort`, `UniqueIndices`, `SearchSorted`, `NonZero`) n’ont pas
de dérivée ; les fonctions de `engine.tensor.extra_ops` en font des indexations, qui en ont une.

Ordre de lecture : `Cumulate`, `Recurrence`, `ArgSort`, `SearchSorted`, `NonZero`, `UniqueIndices`.
"""

import numpy as np

from engine.core.dtypes import in_float32, upcast
from engine.core.errors import ShapeError
from engine.core.graph import Apply, Op
from engine.core.types import FLOATS, TensorType, as_tensor_variable
from engine.ops.arguments import normalize_axes

INT = "int64"


class Cumulate(Op):
    """Sommes ou produits cumulés le long d’un axe : y[i] = x[0] + ... + x[i]."""

    __props__ = ("which", "axis")

    def __init__(self, which, axis):
        self.which = which
        self.axis = axis

    def make_node(self, x):
        x = as_tensor_variable(x)
        normalize_axes(self.axis, x.ndim, f"cum{self.which}")
        unsigned = x.dtype.startswith("uint")
        dtype = x.dtype if x.dtype in FLOATS else "uint64" if unsigned else INT
        return Apply(self, [x], [TensorType(dtype, shape=x.type.shape)()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    @in_float32
    def perform(self, node, inputs, output_storage):
        function = np.cumsum if self.which == "sum" else np.cumprod
        wide = "float64" if node.out.dtype == "float32" else node.out.dtype  # accumule en double
        result = function(inputs[0], axis=self.axis, dtype=wide)
        output_storage[0][0] = result.astype(node.out.dtype, copy=False)

    def L_op(self, inputs, outputs, output_grads):
        (x,), (out,), (g,) = inputs, outputs, output_grads
        if x.dtype not in FLOATS:
            return [x.zeros_like(dtype="floatX")]
        back = (slice(None),) * self.axis + (slice(None, None, -1),)
        if self.which == "sum":
            return [self(g[back])[back]]
        # y[i] = avant[k] x[k] (x[k + 1] ... x[i]) : ni division, ni cas où x est nul
        after = Recurrence(self.axis)(_shifted(x[back], self.axis, 1), g[back])[back]
        return [_shifted(out, self.axis, 1) * after]

    @classmethod
    def variants(cls):
        return [cls(which, axis) for which in ("sum", "prod") for axis in (0, 1)]

    def samples(self):
        x = np.array([[1.5, -2.0, 3.0], [0.5, 4.0, -1.0]])
        return [[x]] if self.axis in (0, 1) else []

    def __str__(self):
        return f"cum{self.which}{{axis={self.axis}}}"


class Recurrence(Op):
    """La récurrence y[i] = b[i] + a[i] y[i - 1] le long d’un axe, de y[-1] = 0. Entrées : a, b.

    Sa dérivée en est une autre, à rebours : celles d’un produit n’ont donc rien à diviser.
    """

    host_only = "pas à pas, sur l’hôte"
    __props__ = ("axis",)

    def __init__(self, axis):
        self.axis = axis

    def make_node(self, a, b):
        a, b = as_tensor_variable(a), as_tensor_variable(b)
        normalize_axes(self.axis, a.ndim, "récurrence")
        dtype = upcast(a.dtype, b.dtype)
        if a.ndim != b.ndim or dtype not in FLOATS:
            raise ShapeError(
                "récurrence : deux tableaux de flottants de même forme sont attendus",
                received=f"{a.short()} et {b.short()}",
            )
        return Apply(self, [a, b], [TensorType(dtype, shape=b.type.shape)()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[1]]

    def infer_dims(self, node):
        return [node.inputs[1].dims]

    @in_float32
    def perform(self, node, inputs, output_storage):
        a, b = inputs
        if a.shape != b.shape:
            raise ShapeError(
                "récurrence : les formes diffèrent", expected=str(b.shape), received=str(a.shape)
            )
        a, b = (np.moveaxis(v, self.axis, 0).astype("float64") for v in (a, b))
        result = np.empty(inputs[1].shape, node.out.dtype)
        rows, y = np.moveaxis(result, self.axis, 0), np.zeros(b.shape[1:])
        with np.errstate(all="ignore"):
            for position, (scale, start) in enumerate(zip(a, b, strict=True)):
                rows[position] = y = start + scale * y
        output_storage[0][0] = result

    def L_op(self, inputs, outputs, output_grads):
        (a, _), (y,), (g,) = inputs, outputs, output_grads
        back = (slice(None),) * self.axis + (slice(None, None, -1),)
        received = self(_shifted(a[back], self.axis, 0), g[back])[back]
        return [received * _shifted(y, self.axis, 0), received]

    @classmethod
    def variants(cls):
        return [cls(0), cls(1)]

    def samples(self):
        a = np.array([[0.5, -2.0, 0.0], [1.5, 0.0, -1.0], [0.0, 1.0, 3.0]])
        b = np.array([[1.0, 2.0, -0.5], [0.0, 3.0, 1.0], [-1.0, 0.5, 2.0]])
        return [[a, b]] if self.axis else [[a, b], [a[0], b[0]]]

    def __str__(self):
        return f"récurrence{{axis={self.axis}}}"


def _shifted(x, axis, first):
    """x, décalé d’un rang le long de l’axe ; `first` à la place qui s’ouvre."""
    before = (slice(None),) * axis
    start = x[(*before, slice(1))].zeros_like() + first
    return start.astype(x.dtype).join_with(axis, x[(*before, slice(-1))])


class ArgSort(Op):
    """Les positions qui rangent un axe en ordre croissant (tri stable ; NaN à la fin)."""

    host_only = "un tri, sur l’hôte"
    __props__ = ("axis",)

    def __init__(self, axis):
        self.axis = axis

    def make_node(self, x):
        x = as_tensor_variable(x)
        normalize_axes(self.axis, x.ndim, "argsort")
        return Apply(self, [x], [TensorType(INT, shape=x.type.shape)()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = np.argsort(inputs[0], axis=self.axis, kind="stable").astype(INT)

    def L_op(self, inputs, outputs, output_grads):
        return [inputs[0].zeros_like(dtype="floatX")]

    @classmethod
    def variants(cls):
        return [cls(0), cls(1)]

    def samples(self):
        return [[np.array([[1.5, -2.0, 1.5], [0.5, 4.0, -1.0]])]]

    def __str__(self):
        return f"argsort{{axis={self.axis}}}"


class SearchSorted(Op):
    """Le rang où insérer chaque élément de v dans le vecteur croissant x.

    `side` : "left" avant les éléments égaux, "right" après.
    """

    host_only = "une recherche, sur l’hôte"
    __props__ = ("side",)

    def __init__(self, side="left"):
        self.side = side

    def make_node(self, x, v):
        x, v = as_tensor_variable(x), as_tensor_variable(v)
        return Apply(self, [x, v], [TensorType(INT, shape=v.type.shape)()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[1]]

    @in_float32
    def perform(self, node, inputs, output_storage):
        result = np.searchsorted(*inputs, side=self.side)
        output_storage[0][0] = np.asarray(result, dtype=INT)

    def L_op(self, inputs, outputs, output_grads):
        return [entry.zeros_like(dtype="floatX") for entry in inputs]

    @classmethod
    def variants(cls):
        return [cls("left"), cls("right")]

    def samples(self):
        x = np.array([-1.0, 0.5, 0.5, 2.0])
        return [[x, np.array([[0.5, -3.0], [5.0, 0.0]])], [x, np.array(0.5)], [x[:0], x]]

    def __str__(self):
        return f"searchsorted{{{self.side}}}"


class NonZero(Op):
    """Les positions des éléments non nuls : une matrice (axes, nombre d’éléments)."""

    host_only = "la longueur du résultat dépend des valeurs"

    def make_node(self, x):
        x = as_tensor_variable(x)
        return Apply(self, [x], [TensorType(INT, shape=(x.ndim, None))()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = np.array(np.nonzero(inputs[0]), dtype=INT)

    def L_op(self, inputs, outputs, output_grads):
        return [inputs[0].zeros_like(dtype="floatX")]

    def samples(self):
        return [[np.array([[1.5, 0.0, -3.0], [0.0, -0.0, 1.0]])], [np.zeros(3)]]

    def __str__(self):
        return "nonzero"


class UniqueIndices(Op):
    """Les valeurs distinctes d’un vecteur, par leurs rangs.

    Trois vecteurs d’entiers : la première place de chaque valeur (en ordre croissant des valeurs),
    le rang de la valeur de chaque élément, le nombre d’éléments de chaque valeur.
    """

    host_only = "la longueur du résultat dépend des valeurs"

    def make_node(self, x):
        x = as_tensor_variable(x)
        free = TensorType(INT, shape=(None,))
        return Apply(self, [x], [free(), TensorType(INT, shape=x.type.shape)(), free()])

    def infer_shape(self, node, input_shapes):
        return [None, input_shapes[0], None]

    def perform(self, node, inputs, output_storage):
        found = np.unique(inputs[0], return_index=True, return_inverse=True, return_counts=True)
        for storage, indices in zip(output_storage, found[1:], strict=True):
            storage[0] = indices.astype(INT)

    def L_op(self, inputs, outputs, output_grads):
        return [inputs[0].zeros_like(dtype="floatX")]

    def samples(self):
        return [[np.array([2.0, -1.0, 2.0, 0.0])]]

    def __str__(self):
        return "unique"
