"""Les poolings : résumer chaque fenêtre d’une image par son maximum, sa somme ou sa moyenne.

Ils portent sur les derniers axes, deux ou trois, autant que `ws` ; les autres (lot, canaux...)
passent tels quels. Le gradient d’un maximum va au premier élément qui l’atteint, ligne par ligne.

Ordre de lecture : `_Pooling` (la géométrie des fenêtres), `Pool`, `PoolGrad` (somme et moyennes),
`MaxPoolGrad` et `MaxPoolPick`, transposées l’une de l’autre.

Référence : Y. LeCun et coll., « Gradient-Based Learning Applied to Document Recognition », 1998.
"""

import math
from functools import reduce

import numpy as np

from engine.core.dtypes import in_float32
from engine.core.errors import DtypeError, EngineError, ShapeError
from engine.core.graph import Apply, Op, Variable
from engine.core.types import FLOATS, TensorConstant, TensorType, as_tensor_variable, constant
from engine.ops.arguments import IMAGE_AXES, as_length, as_sizes

MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")


_VARIANTS = [
    ((2, 2), None, (0, 0), False, "sum"),
    ((3, 2), (1, 2), (1, 1), True, "average_inc_pad"),
    ((3, 2), (1, 2), (1, 1), True, "average_exc_pad"),
    ((2, 1, 2), (1, 2, 1), (1, 0, 0), True, "average_exc_pad"),
    ((2, 2), None, (0, 0), False, "max"),
    ((2, 3), (1, 2), (1, 2), True, "max"),
    ((2, 2), None, None, True, "max"),
    ((2, 2, 3), (1, 2, 2), None, True, "max"),
]


class _Pooling(Op):
    """Ce que les quatre ops partagent : les réglages, et la place des fenêtres."""

    __props__ = ("ws", "stride", "pad", "ignore_border", "mode")
    modes = MODES  # ceux que l’op sait faire

    def __init__(self, ws, stride=None, pad=None, ignore_border=True, mode="max"):
        self.axes = axes = IMAGE_AXES[len(ws)]
        self.ws = as_sizes(ws, axes, "pooling : ws", 1)
        self.stride = self.ws if stride is None else as_sizes(stride, axes, "pooling : stride", 1)
        self.pad = as_sizes(0 if pad is None else pad, axes, "pooling : pad", 0)
        self.ignore_border = bool(ignore_border)
        self.mode = mode
        if mode not in MODES:
            raise EngineError(
                "pooling : mode inconnu",
                expected=", ".join(MODES),
                received=mode,
                hint="'max' garde le plus grand, 'average_exc_pad' la moyenne",
            )
        if any(p >= w for p, w in zip(self.pad, self.ws, strict=True)):
            raise EngineError(
                "pooling : le bord ajouté dépasse la fenêtre",
                expected=f"pad plus petit que ws = {self.ws}",
                received=f"pad = {self.pad}",
                hint="pad = 0 n'ajoute rien",
            )
        if not self.ignore_border and any(self.pad):
            raise EngineError(
                "pooling : un bord ajouté demande ignore_border=True",
                expected="pad nul, ou ignore_border=True",
                received=f"pad = {self.pad}, ignore_border=False",
            )

    def like(self, cls):
        """L’op de classe `cls` qui a les mêmes réglages."""
        return cls(*(getattr(self, prop) for prop in self.__props__))

    def output_length(self, n, axis):
        """Le nombre de fenêtres ; n est un entier, symbolique ou non.

        Sans `ignore_border`, une dernière fenêtre incomplète couvre ce qui reste.
        """
        ws, stride = self.ws[axis], self.stride[axis]
        if not self.ignore_border:
            return _not_negative((n - 1 - max(ws, stride) + stride) // stride) + 1
        return _not_negative((n + 2 * self.pad[axis] - ws) // stride + 1)

    def output_shape(self, shape):
        """La forme du résultat ; None où une longueur n’est pas connue."""
        lengths = [
            None if n is None else self.output_length(n, axis)
            for axis, n in enumerate(self.image(shape))
        ]
        return (*self.batch(shape), *lengths)

    def image(self, shape):
        """Les longueurs que les fenêtres parcourent, dans une forme."""
        return tuple(shape)[-len(self.axes) :]

    def batch(self, shape):
        """Les autres longueurs d’une forme, celles d’avant."""
        return tuple(shape)[: -len(self.axes)]

    def check(self, shape):
        """Vérifie que chaque image a des pixels."""
        if 0 in self.image(shape):
            raise ShapeError("pooling : image vide", received=f"forme {shape}")

    def check_gradient(self, g_shape, x_shape):
        """Vérifie que le gradient reçu a la forme du pooling."""
        self.check(x_shape)
        if g_shape != self.output_shape(x_shape):
            raise ShapeError(
                f"{self} : le gradient reçu n'a pas la forme du pooling",
                expected=str(self.output_shape(x_shape)),
                received=str(g_shape),
            )

    def places(self, shape):
        """Pour chaque point de la fenêtre : son rang, les fenêtres où il tombe dans l’image, et
        les pixels qu’il y lit (une tranche par axe, dans les deux cas).
        """
        lengths, out = self.image(shape), self.image(self.output_shape(shape))
        for position, point in enumerate(np.ndindex(*self.ws)):
            windows, pixels = [], []
            for axis, offset in enumerate(point):
                stride, shift = self.stride[axis], offset - self.pad[axis]
                first = max(0, -(shift // stride))  # i · stride + shift >= 0
                last = min(out[axis], (lengths[axis] - 1 - shift) // stride + 1)
                windows.append(slice(first, max(last, first)))
                start = first * stride + shift
                pixels.append(slice(start, start + max(last - first, 0) * stride, stride))
            if all(window.stop > window.start for window in windows):
                yield position, (..., *windows), (..., *pixels)

    def counts(self, shape, dtype):
        """Par quoi diviser chaque fenêtre (forme des fenêtres, ou 1 pour une somme)."""
        if self.mode == "sum":
            return np.ones((1,) * len(self.axes), dtype)
        per_axis = []
        for axis, n in enumerate(self.image(shape)):
            pad = self.pad[axis]
            start = np.arange(self.output_length(n, axis)) * self.stride[axis] - pad
            low, high = (0, n) if self.mode == "average_exc_pad" else (-pad, n + pad)
            stop = np.minimum(start + self.ws[axis], high)
            per_axis.append((stop - np.maximum(start, low)).astype(dtype))
        return reduce(np.multiply.outer, per_axis)

    def first_maximum(self, x):
        """Le maximum de chaque fenêtre, et le rang du premier point qui l’atteint."""
        shape = self.output_shape(x.shape)
        best, positions = np.zeros(shape, x.dtype), np.full(shape, -1)
        for position, windows, pixels in self.places(x.shape):
            value, held, known = x[pixels], best[windows], positions[windows] >= 0
            better = ~known | (value > held) | ((value != value) & (held == held))
            best[windows] = np.where(better, value, held)
            positions[windows] = np.where(better, position, positions[windows])
        return best, positions

    def images(self, variable):
        """Vérifie qu’une entrée a les axes de l’image."""
        variable = as_tensor_variable(variable)
        if variable.ndim < len(self.axes):
            raise ShapeError(
                f"pooling : une image a {('deux', 'trois')[len(self.axes) - 2]} axes au moins",
                expected=f"(..., {', '.join(self.axes)})",
                received=f"{variable} : {variable.short()}",
                hint="ajoutez les axes qui manquent : x.dimshuffle('x', 'x', 0, 1)",
            )
        return variable

    def lengths(self, variable):
        """Les longueurs de l’image : des constantes si elles sont connues d’avance."""
        first = variable.ndim - len(self.axes)
        return [
            as_length(variable.shape[axis] if known is None else known)
            for axis, known in enumerate(variable.type.shape)
            if axis >= first
        ]

    @classmethod
    def variants(cls):
        return [cls(*options) for options in _VARIANTS if options[-1] in cls.modes]

    def sample_images(self):
        """Des images d’essai : un lot, et une image seule."""
        stack = np.stack([_IMAGE, -1.7 * _IMAGE])[:, None]
        if len(self.axes) == 2:
            return [stack, _IMAGE]
        return [np.stack([stack, stack[::-1] + 0.3, 1 - stack], axis=2)]

    def sample_gradient(self, x):
        """Un gradient reçu d’essai, pour l’image x."""
        shape = self.output_shape(x.shape)
        return np.linspace(-1, 2, math.prod(shape)).reshape(shape)

    def __str__(self):
        shown = [f"ws={self.ws}"]
        shown += [f"stride={self.stride}"] if self.stride != self.ws else []
        shown += [f"pad={self.pad}"] if any(self.pad) else []
        shown += [] if self.ignore_border else ["ignore_border=False"]
        return f"{self.label.format(len(self.axes))}{{{self.mode}, {', '.join(shown)}}}"


def _not_negative(length):
    return length.maximum(0) if isinstance(length, Variable) else max(length, 0)


def _known(length):
    return int(length.data) if isinstance(length, TensorConstant) else None


_IMAGE = np.array(
    [[3.0, 1.0, 2.5, -1.0, 0.5], [7.0, 2.0, -4.0, 6.0, 1.5], [0.0, -2.0, 8.0, 5.0, 9.0]]
)


class Pool(_Pooling):
    """Résume chaque fenêtre ws des derniers axes, de stride en stride."""

    label = "pool{}d"

    def make_node(self, x):
        x = self.images(x)
        if self.mode.startswith("average") and x.dtype not in FLOATS:
            raise DtypeError(
                "pooling : la moyenne attend des flottants",
                expected=", ".join(FLOATS),
                received=f"{x} : {x.short()}",
                hint="convertissez l'image : x.astype('float32')",
            )
        self.check(x.type.shape)
        shape = self.output_shape(x.type.shape)
        return Apply(self, [x], [TensorType(x.dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        symbolic, known = self.output_shape(input_shapes[0]), node.out.type.shape
        return [
            tuple(
                n if k is None else constant(np.int64(k))
                for n, k in zip(symbolic, known, strict=True)
            )
        ]

    @in_float32
    def perform(self, node, inputs, output_storage):
        (x,) = inputs
        self.check(x.shape)
        if self.mode == "max":
            output_storage[0][0], _ = self.first_maximum(x)
            return
        total = np.zeros(self.output_shape(x.shape), x.dtype)
        for _, windows, pixels in self.places(x.shape):
            total[windows] += x[pixels]
        output_storage[0][0] = (
            total if self.mode == "sum" else total / self.counts(x.shape, x.dtype)
        )

    def L_op(self, inputs, outputs, output_grads):
        (x,), (g,) = inputs, output_grads
        if self.mode == "max":
            return [self.like(MaxPoolGrad)(x, g)]
        return [self.like(PoolGrad)(g, *self.lengths(x))]

    def samples(self):
        return [[image] for image in self.sample_images()]


class PoolGrad(_Pooling):
    """Gradient d’une somme ou d’une moyenne : chaque pixel reçoit sa part de chaque fenêtre.

    Entrées : gradient g reçu, longueurs des axes de l’image.
    """

    label = "pool{}d_grad"
    modes = MODES[1:]

    def make_node(self, g, *lengths):
        g, lengths = self.images(g), [as_length(length) for length in lengths]
        shape = (*self.batch(g.type.shape), *map(_known, lengths))
        return Apply(self, [g, *lengths], [TensorType(g.dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        return [(*self.batch(input_shapes[0]), *node.inputs[1:])]

    @in_float32
    def perform(self, node, inputs, output_storage):
        g, *lengths = inputs
        shape = (*self.batch(g.shape), *map(int, lengths))
        self.check_gradient(g.shape, shape)
        share, result = g / self.counts(shape, g.dtype), np.zeros(shape, g.dtype)
        for _, windows, pixels in self.places(shape):
            result[pixels] += share[windows]
        output_storage[0][0] = result

    def L_op(self, inputs, outputs, output_grads):
        return [self.like(Pool)(output_grads[0]), *[None] * len(self.axes)]

    def samples(self):
        x = self.sample_images()[0]
        return [[self.sample_gradient(x), *map(np.array, self.image(x.shape))]]


class MaxPoolGrad(_Pooling):
    """Gradient d’un maximum : le premier pixel qui l’atteint reçoit tout. Entrées : x, g."""

    label = "max_pool{}d_grad"
    modes = ("max",)

    def make_node(self, x, g):
        x, g = self.images(x), self.images(g)
        return Apply(self, [x, g], [TensorType(g.dtype, shape=x.type.shape)()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    @in_float32
    def perform(self, node, inputs, output_storage):
        x, g = inputs
        self.check_gradient(g.shape, x.shape)
        _, positions = self.first_maximum(x)
        result = np.zeros(x.shape, g.dtype)
        for position, windows, pixels in self.places(x.shape):
            result[pixels] += np.where(positions[windows] == position, g[windows], 0)
        output_storage[0][0] = result

    def L_op(self, inputs, outputs, output_grads):
        return [None, self.like(MaxPoolPick)(inputs[0], output_grads[0])]

    def samples(self):
        x = self.sample_images()[0]
        return [[x, self.sample_gradient(x)]]


class MaxPoolPick(_Pooling):
    """Lit v là où x atteint d’abord le maximum de chaque fenêtre. Entrées : x, v de même forme."""

    label = "max_pool{}d_pick"
    modes = ("max",)

    def make_node(self, x, v):
        x, v = self.images(x), self.images(v)
        shape = self.output_shape(x.type.shape)
        return Apply(self, [x, v], [TensorType(v.dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        return [self.output_shape(input_shapes[0])]

    @in_float32
    def perform(self, node, inputs, output_storage):
        x, v = inputs
        self.check(x.shape)
        if x.shape != v.shape:
            raise ShapeError(
                f"{self} : deux tableaux de même forme sont attendus",
                expected=str(x.shape),
                received=str(v.shape),
            )
        _, positions = self.first_maximum(x)
        result = np.zeros(positions.shape, v.dtype)
        for position, windows, pixels in self.places(x.shape):
            result[windows] += np.where(positions[windows] == position, v[pixels], 0)
        output_storage[0][0] = result

    def L_op(self, inputs, outputs, output_grads):
        return [None, self.like(MaxPoolGrad)(inputs[0], output_grads[0])]

    def samples(self):
        x = self.sample_images()[0]
        return [[x, np.cos(np.arange(float(x.size))).reshape(x.shape)]]
