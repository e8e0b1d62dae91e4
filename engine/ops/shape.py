"""Les formes : les lire, les changer, remplir, assembler.

Ordre de lecture : `Shape`, `ShapeAxis`, `DimShuffle`, `Reshape`, `SpecifyShape`, `Alloc`,
`MakeVector`, `ARange`, `Join`.
"""

import numpy as np

from engine.core.dtypes import upcast
from engine.core.errors import DomainError, ShapeError
from engine.core.graph import Apply, Op
from engine.core.types import FLOATS, TensorConstant, TensorType, as_tensor_variable, constant
from engine.ops.arguments import as_length, normalize_axes

INT = "int64"


def known_length(variable):
    """La longueur, si elle est connue dès la construction du graphe, sinon None."""
    return int(variable.data) if isinstance(variable, TensorConstant) else None


class Shape(Op):
    """La forme d’un tableau : un vecteur int64."""

    host_only = "la forme est connue de l’hôte, sans transfert"

    def make_node(self, x):
        x = as_tensor_variable(x)
        return Apply(self, [x], [TensorType(INT, shape=(x.ndim,))()])

    def infer_shape(self, node, input_shapes):
        return [(constant(np.int64(node.inputs[0].ndim)),)]

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = np.array(inputs[0].shape, dtype=INT)

    def L_op(self, inputs, outputs, output_grads):
        return [None]

    def samples(self):
        return [[np.zeros((2, 3))], [np.zeros(())]]

    def __str__(self):
        return "shape"


class ShapeAxis(Op):
    """La longueur d’un axe : un scalaire int64."""

    host_only = "la forme est connue de l’hôte, sans transfert"
    __props__ = ("axis",)

    def __init__(self, axis):
        self.axis = axis

    def make_node(self, x):
        x = as_tensor_variable(x)
        normalize_axes(self.axis, x.ndim, "shape")
        return Apply(self, [x], [TensorType(INT)()])

    def infer_shape(self, node, input_shapes):
        return [()]

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = np.array(inputs[0].shape[self.axis], dtype=INT)

    def L_op(self, inputs, outputs, output_grads):
        return [None]

    @classmethod
    def variants(cls):
        return [cls(0), cls(1)]

    def samples(self):
        return [[np.zeros((2, 3))]]

    def __str__(self):
        return f"shape[{self.axis}]"


class DimShuffle(Op):
    """Permute les axes, en ajoute de longueur 1 (`"x"`), en ôte de longueur 1.

    `order` : pour chaque axe du résultat, le rang de l’axe d’entrée ou `"x"`. Le résultat partage
    la mémoire de l’entrée.
    """

    moves = True
    __props__ = ("order",)
    view_map = {0: [0]}

    def __init__(self, order):
        self.order = tuple(order)

    def make_node(self, x):
        x = as_tensor_variable(x)
        used = [axis for axis in self.order if axis != "x"]
        dropped = [axis for axis in range(x.ndim) if axis not in used]
        valid = len(set(used)) == len(used) and all(
            isinstance(axis, int | np.integer) and axis in range(x.ndim) for axis in used
        )
        if not valid or any(x.type.shape[axis] not in (None, 1) for axis in dropped):
            raise ShapeError(
                "dimshuffle : ordre impossible",
                expected=f"des axes de 0 à {x.ndim - 1}, chacun une fois au plus ; "
                "seul un axe de longueur 1 peut disparaître",
                received=f"{self.order} pour {x.short()}",
                hint="x.dimshuffle(1, 0) transpose, v.dimshuffle(0, 'x') ajoute un axe",
            )
        shape = [1 if axis == "x" else x.type.shape[axis] for axis in self.order]
        return Apply(self, [x], [TensorType(x.dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        (shape,) = input_shapes
        return [tuple(constant(np.int64(1)) if axis == "x" else shape[axis] for axis in self.order)]

    def infer_dims(self, node):
        names = node.inputs[0].dims
        return [[None if axis == "x" else names[axis] for axis in self.order]]

    def perform(self, node, inputs, output_storage):
        (x,) = inputs
        used = [axis for axis in self.order if axis != "x"]
        dropped = [axis for axis in range(x.ndim) if axis not in used]
        long = [axis for axis in dropped if x.shape[axis] != 1]
        if long:
            raise ShapeError(
                "dimshuffle : l'axe ôté n'est pas de longueur 1",
                expected=f"une longueur 1 sur l'axe {long[0]}",
                received=f"forme {x.shape}",
            )
        added = tuple(None if axis == "x" else slice(None) for axis in self.order)
        first = (0,) * len(dropped)
        output_storage[0][0] = x.transpose(dropped + used)[(*first, *added, ...)]

    def L_op(self, inputs, outputs, output_grads):
        (x,), (g,) = inputs, output_grads
        back = [self.order.index(axis) if axis in self.order else "x" for axis in range(x.ndim)]
        return [g.dimshuffle(*back)]

    @classmethod
    def variants(cls):
        return [cls(order) for order in ((1, 0), (1, "x", 0), ("x", 0, 1), (0,), (1,), ("x",), ())]

    def samples(self):
        used = [axis for axis in self.order if axis != "x"]
        shape = [2 if axis in used else 1 for axis in range(max(used, default=-1) + 1)]
        x = np.arange(2.0, 2.0 + 2 ** len(used)).reshape(shape)
        return [[x], [x[..., None]]]  # le second perd aussi un axe de la fin

    def __str__(self):
        if self.order == (1, 0):
            return "transpose"
        return f"dimshuffle{{{', '.join(map(str, self.order))}}}"


class Reshape(Op):
    """Donne une autre forme aux mêmes éléments ; une longueur -1 se déduit des autres."""

    moves = True
    __props__ = ("ndim",)
    view_map = {0: [0]}

    def __init__(self, ndim):
        self.ndim = ndim

    def make_node(self, x, shape):
        x, shape = as_tensor_variable(x), as_tensor_variable(shape)
        static = [None] * self.ndim
        if isinstance(shape, TensorConstant):
            static = [None if length < 0 else int(length) for length in shape.data]
        elif shape.owner is not None and isinstance(shape.owner.op, MakeVector):
            lengths = [known_length(entry) for entry in shape.owner.inputs]
            static = [None if length is None or length < 0 else length for length in lengths]
        return Apply(self, [x, shape], [TensorType(x.dtype, shape=static)()])

    def perform(self, node, inputs, output_storage):
        x, shape = inputs
        try:
            output_storage[0][0] = x.reshape(tuple(shape.tolist()))
        except ValueError as error:
            raise ShapeError(
                "reshape : le nombre d'éléments change",
                expected=f"{x.size} éléments (forme {x.shape})",
                received=f"forme demandée {tuple(shape.tolist())}",
                hint="le produit des longueurs ne change pas ; -1 se déduit des autres",
            ) from error

    def infer_shape(self, node, input_shapes):
        shape = node.inputs[1]
        lengths = node.out.type.shape
        if None not in lengths:
            return [tuple(constant(np.int64(length)) for length in lengths)]
        return [
            tuple(
                shape[axis] if _surely_positive(shape, axis) else None for axis in range(self.ndim)
            )
        ]

    def L_op(self, inputs, outputs, output_grads):
        x, _ = inputs
        return [output_grads[0].reshape(x.shape, ndim=x.ndim), None]

    @classmethod
    def variants(cls):
        return [cls(2)]

    def samples(self):
        return [[np.arange(6.0).reshape(2, 3), np.array([3, -1])]] if self.ndim == 2 else []

    def __str__(self):
        return f"reshape{{{self.ndim}}}"


def _surely_positive(shape, axis):
    """Vrai si la longueur demandée vient d’une autre forme, ou est une constante positive."""
    if shape.owner is None or not isinstance(shape.owner.op, MakeVector | Shape):
        return False
    if isinstance(shape.owner.op, Shape):
        return True
    entry = shape.owner.inputs[axis]
    length = known_length(entry)
    return (
        length >= 0
        if length is not None
        else isinstance(getattr(entry.owner, "op", None), ShapeAxis)
    )


class SpecifyShape(Op):
    """L’identité, qui vérifie une forme. Entrées : le tableau, la forme (vecteur d’entiers)."""

    host_only = "une vue, que l’hôte vérifie"

    view_map = {0: [0]}

    def make_node(self, x, shape):
        x, shape = as_tensor_variable(x), as_tensor_variable(shape)
        if shape.ndim != 1 or shape.dtype in FLOATS or shape.type.shape[0] not in (None, x.ndim):
            raise ShapeError(
                "specify_shape : une longueur par axe",
                expected=f"{x.ndim} entier(s)",
                received=f"{shape} : {shape.short()}",
            )
        asked = _known_lengths(shape, x.ndim)
        if any(
            None not in pair and pair[0] != pair[1]
            for pair in zip(asked, x.type.shape, strict=True)
        ):
            raise ShapeError("specify_shape : ce tableau n'a pas cette forme",
                             expected=str(tuple(asked)), received=x.short())  # fmt: skip
        known = [a if a is not None else b for a, b in zip(asked, x.type.shape, strict=True)]
        return Apply(self, [x, shape], [TensorType(x.dtype, shape=known)()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    def infer_dims(self, node):
        return [node.inputs[0].dims]

    def perform(self, node, inputs, output_storage):
        x, shape = inputs
        if x.shape != tuple(shape):
            raise ShapeError(
                "specify_shape : ce tableau n'a pas cette forme",
                expected=str(tuple(map(int, shape))),
                received=str(x.shape),
            )
        output_storage[0][0] = x

    def L_op(self, inputs, outputs, output_grads):
        return [self(output_grads[0], inputs[1]), None]

    def samples(self):
        return [[np.arange(6.0).reshape(2, 3), np.array([2, 3])]]

    def __str__(self):
        return "specify_shape"


def _known_lengths(shape, ndim):
    """Les longueurs que donne un vecteur de la forme, None où elles ne sont pas connues."""
    if isinstance(shape, TensorConstant):
        return [int(length) for length in shape.data]
    if shape.owner is not None and isinstance(shape.owner.op, MakeVector):
        return [known_length(length) for length in shape.owner.inputs]
    return [None] * ndim


class Alloc(Op):
    """Un tableau de la forme donnée, rempli de la valeur (diffusée)."""

    moves = fills = True

    def make_node(self, value, *shape):
        value = as_tensor_variable(value)
        lengths = [as_length(length) for length in shape]
        if value.ndim > len(lengths):
            raise ShapeError("alloc : la valeur a trop d'axes", expected=f"au plus {len(lengths)}",
                             received=value.short())  # fmt: skip
        static = [known_length(length) for length in lengths]
        return Apply(self, [value, *lengths], [TensorType(value.dtype, shape=static)()])

    def infer_shape(self, node, input_shapes):
        return [tuple(node.inputs[1:])]

    def perform(self, node, inputs, output_storage):
        value, *shape = inputs
        result = np.empty([int(length) for length in shape], dtype=value.dtype)
        result[...] = value
        output_storage[0][0] = result

    def L_op(self, inputs, outputs, output_grads):
        value, *lengths = inputs
        return [value.match_gradient(output_grads[0]), *([None] * len(lengths))]

    def samples(self):
        return [
            [np.array(2.5), np.array(2), np.array(3)],
            [np.array([1.0, 2.0, 3.0]), np.array(2), np.array(3)],
        ]

    def __str__(self):
        return "alloc"


class MakeVector(Op):
    """Un vecteur fait de scalaires."""

    host_only = "un vecteur de longueurs, que l’hôte lit"

    def make_node(self, *items):
        items = [as_tensor_variable(item) for item in items]
        dtype = upcast(*(item.dtype for item in items)) if items else INT
        return Apply(self, items, [TensorType(dtype, shape=(len(items),))()])

    def infer_shape(self, node, input_shapes):
        return [(constant(np.int64(len(node.inputs))),)]

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = np.array([value.item() for value in inputs], dtype=node.out.dtype)

    def L_op(self, inputs, outputs, output_grads):
        (g,) = output_grads
        return [g[k] if item.dtype in FLOATS else None for k, item in enumerate(inputs)]

    def samples(self):
        return [[np.array(1.5), np.array(-2.0)]]

    def __str__(self):
        return "vecteur"


class ARange(Op):
    """start, start + step, ... sans atteindre stop ; comme `numpy.arange`."""

    __props__ = ("dtype",)

    def __init__(self, dtype):
        self.dtype = dtype

    def make_node(self, start, stop, step):
        entries = [as_tensor_variable(entry) for entry in (start, stop, step)]
        return Apply(self, entries, [TensorType(self.dtype, shape=(None,))()])

    def infer_shape(self, node, input_shapes):
        start, stop, step = node.inputs
        plain = (
            all(isinstance(v, TensorConstant) for v in (start, step))
            and start.data == 0
            and step.data == 1
        )
        if plain and stop.dtype not in FLOATS:
            return [(stop.maximum(0).astype(INT),)]
        return [None]

    def perform(self, node, inputs, output_storage):
        start, stop, step = (value.item() for value in inputs)
        if step == 0:
            raise DomainError(
                "arange : un pas nul n'avance pas",
                expected="un pas positif, ou négatif pour reculer",
                received=f"de {start} à {stop}, pas {step}",
                hint="T.arange(n) va de 1 en 1 ; n fois la même valeur : T.ones((n,)) * valeur",
            )
        output_storage[0][0] = np.arange(start, stop, step, dtype=self.dtype)

    def L_op(self, inputs, outputs, output_grads):
        return [None, None, None]

    @classmethod
    def variants(cls):
        return [cls("int64")]

    def samples(self):
        return [[np.array(0), np.array(5), np.array(1)], [np.array(5), np.array(0), np.array(-2)]]

    def __str__(self):
        return "arange"


class Join(Op):
    """Met des tableaux bout à bout le long d’un axe."""

    __props__ = ("axis",)

    def __init__(self, axis):
        self.axis = axis

    def make_node(self, *items):
        items = [as_tensor_variable(item) for item in items]
        dtype = upcast(*(item.dtype for item in items))
        if len({item.ndim for item in items}) > 1:
            raise ShapeError(
                "join : les tableaux n'ont pas le même nombre d'axes",
                received=", ".join(item.short() for item in items),
                expected="le même nombre d'axes partout",
                hint="ajoutez l'axe qui manque : v.dimshuffle('x', 0)",
            )
        normalize_axes(self.axis, items[0].ndim, "join")
        shape = []
        for axis, lengths in enumerate(zip(*(item.type.shape for item in items), strict=True)):
            if axis == self.axis:
                shape.append(None if None in lengths else sum(lengths))
                continue
            known = set(lengths) - {None}
            if len(known) > 1:
                raise ShapeError(
                    f"join : longueurs différentes sur l'axe {axis}",
                    received=", ".join(item.short() for item in items),
                    expected="la même longueur, sauf sur l'axe le long duquel on assemble",
                    hint="vérifiez axis : 0 met les lignes bout à bout, 1 les colonnes",
                )
            shape.append(known.pop() if known else None)
        return Apply(self, items, [TensorType(dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        total = input_shapes[0][self.axis]
        for shape in input_shapes[1:]:
            total = total + shape[self.axis]
        return [tuple(total if axis == self.axis else n for axis, n in enumerate(input_shapes[0]))]

    def infer_dims(self, node):
        found = [set(names) - {None} for names in zip(*(e.dims for e in node.inputs), strict=True)]
        return [[names.pop() if len(names) == 1 else None for names in found]]

    def perform(self, node, inputs, output_storage):
        try:
            result = np.concatenate(inputs, axis=self.axis)
        except ValueError as error:
            raise ShapeError(
                f"join le long de l'axe {self.axis} : formes incompatibles",
                received=", ".join(str(value.shape) for value in inputs),
            ) from error
        output_storage[0][0] = result.astype(node.out.dtype, copy=False)

    def L_op(self, inputs, outputs, output_grads):
        (g,), start, grads = output_grads, 0, []
        for item in inputs:
            stop = start + item.shape[self.axis]
            index = [slice(None)] * g.ndim
            index[self.axis] = slice(start, stop)
            grads.append(g[tuple(index)].astype(item.dtype) if item.dtype in FLOATS else None)
            start = stop
        return grads

    @classmethod
    def variants(cls):
        return [cls(0), cls(1)]

    def samples(self):
        return [[np.arange(6.0).reshape(2, 3), np.ones((2, 3))]] if self.axis in (0, 1) else []

    def __str__(self):
        return f"join{{{self.axis}}}"
