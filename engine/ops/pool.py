"""Les poolings : résumer chaque fenêtre d’une image par son maximum, sa somme ou sa moyenne.

Ils portent sur les deux derniers axes ; les autres (lot, canaux...) passent tels quels. Le gradient
d’un maximum va au premier élément qui l’atteint, ligne par ligne.

Ordre de lecture : `_Pooling` (la géométrie des fenêtres), `Pool2d`, `PoolGrad` (somme et moyennes),
`MaxPoolGrad` et `MaxPoolPick`, transposées l’une de l’autre.

Référence : Y. LeCun et coll., « Gradient-Based Learning Applied to Document Recognition », 1998.
"""

import numpy as np

from engine.errors import DtypeError, EngineError, ShapeError
from engine.graph import Apply, Op, Variable
from engine.types import (
    FLOATS,
    TensorConstant,
    TensorType,
    as_length,
    as_pair,
    as_tensor_variable,
    constant,
)

MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")


class _Pooling(Op):
    """Ce que les quatre ops partagent : les réglages, et la place des fenêtres."""

    __props__ = ("ws", "stride", "pad", "ignore_border", "mode")

    def __init__(self, ws, stride=None, pad=(0, 0), ignore_border=True, mode="max"):
        self.ws = as_pair(ws, "pooling : ws", 1)
        self.stride = self.ws if stride is None else as_pair(stride, "pooling : stride", 1)
        self.pad = as_pair(pad, "pooling : pad", 0)
        self.ignore_border = bool(ignore_border)
        self.mode = mode
        if mode not in MODES:
            raise EngineError("pooling : mode inconnu", expected=", ".join(MODES), received=mode)
        if any(p >= w for p, w in zip(self.pad, self.ws, strict=True)):
            raise EngineError(
                "pooling : le bord ajouté dépasse la fenêtre",
                expected=f"pad plus petit que ws = {self.ws}",
                received=f"pad = {self.pad}",
            )
        if not self.ignore_border and self.pad != (0, 0):
            raise EngineError(
                "pooling : un bord ajouté demande ignore_border=True",
                expected="pad = (0, 0), ou ignore_border=True",
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
            None if n is None else self.output_length(n, axis) for axis, n in enumerate(shape[-2:])
        ]
        return (*shape[:-2], *lengths)

    def check(self, shape):
        """Vérifie que chaque image a des pixels."""
        if 0 in shape[-2:]:
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
        """Pour chaque point (u, v) de la fenêtre : son rang, les fenêtres où il tombe dans
        l’image (deux tranches), et les pixels qu’il y lit (deux tranches).
        """
        out = self.output_shape(shape)[-2:]
        for rank, point in enumerate(np.ndindex(*self.ws)):
            windows, pixels = [], []
            for axis, offset in enumerate(point):
                stride, shift = self.stride[axis], offset - self.pad[axis]
                first = max(0, -(shift // stride))  # i · stride + shift >= 0
                last = min(out[axis], (shape[axis - 2] - 1 - shift) // stride + 1)
                windows.append(slice(first, max(last, first)))
                start = first * stride + shift
                pixels.append(slice(start, start + max(last - first, 0) * stride, stride))
            if all(window.stop > window.start for window in windows):
                yield rank, (..., *windows), (..., *pixels)

    def counts(self, shape, dtype):
        """Par quoi diviser chaque fenêtre (forme des fenêtres, ou 1 pour une somme)."""
        if self.mode == "sum":
            return np.ones((1, 1), dtype)
        per_axis = []
        for axis, n in enumerate(shape[-2:]):
            pad = self.pad[axis]
            start = np.arange(self.output_length(n, axis)) * self.stride[axis] - pad
            low, high = (0, n) if self.mode == "average_exc_pad" else (-pad, n + pad)
            stop = np.minimum(start + self.ws[axis], high)
            per_axis.append((stop - np.maximum(start, low)).astype(dtype))
        return np.multiply.outer(*per_axis)

    def first_maximum(self, x):
        """Le maximum de chaque fenêtre, et le rang du premier point qui l’atteint."""
        shape = self.output_shape(x.shape)
        best, ranks = np.zeros(shape, x.dtype), np.full(shape, -1)
        for rank, windows, pixels in self.places(x.shape):
            value, held, known = x[pixels], best[windows], ranks[windows] >= 0
            better = ~known | (value > held) | ((value != value) & (held == held))
            best[windows] = np.where(better, value, held)
            ranks[windows] = np.where(better, rank, ranks[windows])
        return best, ranks

    def __str__(self):
        shown = [f"ws={self.ws}"]
        shown += [f"stride={self.stride}"] if self.stride != self.ws else []
        shown += [f"pad={self.pad}"] if self.pad != (0, 0) else []
        shown += [] if self.ignore_border else ["ignore_border=False"]
        return f"{self.label}{{{self.mode}, {', '.join(shown)}}}"

    __repr__ = __str__


def _not_negative(length):
    return length.maximum(0) if isinstance(length, Variable) else max(length, 0)


def _images(variable):
    variable = as_tensor_variable(variable)
    if variable.ndim < 2:
        raise ShapeError(
            "pooling : une image a deux axes au moins",
            expected="(..., hauteur, largeur)",
            received=f"{variable} : {variable.short()}",
        )
    return variable


def _lengths(variable):
    """Hauteur et largeur : des constantes si elles sont connues d’avance."""
    axes = (variable.ndim - 2, variable.ndim - 1)
    return [
        as_length(variable.shape[axis] if known is None else known)
        for axis, known in zip(axes, variable.type.shape[-2:], strict=True)
    ]


def _known(length):
    return int(length.data) if isinstance(length, TensorConstant) else None


_IMAGE = np.array(
    [[3.0, 1.0, 2.5, -1.0, 0.5], [7.0, 2.0, -4.0, 6.0, 1.5], [0.0, -2.0, 8.0, 5.0, 9.0]]
)
_STACK = np.stack([_IMAGE, -1.7 * _IMAGE])[:, None]


class Pool2d(_Pooling):
    """Résume chaque fenêtre ws des deux derniers axes, de stride en stride."""

    label = "pool2d"

    def make_node(self, x):
        x = _images(x)
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
        return [self.like(PoolGrad)(g, *_lengths(x))]

    def samples(self):
        return [[_STACK], [_IMAGE]]


class PoolGrad(_Pooling):
    """Gradient d’une somme ou d’une moyenne : chaque pixel reçoit sa part de chaque fenêtre.

    Entrées : gradient g reçu, hauteur et largeur de l’image.
    """

    label = "pool2d_grad"

    def make_node(self, g, height, width):
        g, lengths = _images(g), [as_length(height), as_length(width)]
        shape = (*g.type.shape[:-2], *map(_known, lengths))
        return Apply(self, [g, *lengths], [TensorType(g.dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        return [(*input_shapes[0][:-2], *node.inputs[1:])]

    def perform(self, node, inputs, output_storage):
        g, height, width = inputs
        shape = (*g.shape[:-2], int(height), int(width))
        self.check_gradient(g.shape, shape)
        share, result = g / self.counts(shape, g.dtype), np.zeros(shape, g.dtype)
        for _, windows, pixels in self.places(shape):
            result[pixels] += share[windows]
        output_storage[0][0] = result

    def L_op(self, inputs, outputs, output_grads):
        return [self.like(Pool2d)(output_grads[0]), None, None]

    def samples(self):
        shape = self.output_shape(_STACK.shape)
        g = np.linspace(-1, 2, int(np.prod(shape))).reshape(shape)
        return [[g, np.array(3), np.array(5)]]


class MaxPoolGrad(_Pooling):
    """Gradient d’un maximum : le premier pixel qui l’atteint reçoit tout. Entrées : x, g."""

    label = "max_pool2d_grad"

    def make_node(self, x, g):
        x, g = _images(x), _images(g)
        return Apply(self, [x, g], [TensorType(g.dtype, shape=x.type.shape)()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    def perform(self, node, inputs, output_storage):
        x, g = inputs
        self.check_gradient(g.shape, x.shape)
        _, ranks = self.first_maximum(x)
        result = np.zeros(x.shape, g.dtype)
        for rank, windows, pixels in self.places(x.shape):
            result[pixels] += np.where(ranks[windows] == rank, g[windows], 0)
        output_storage[0][0] = result

    def L_op(self, inputs, outputs, output_grads):
        return [None, self.like(MaxPoolPick)(inputs[0], output_grads[0])]

    def samples(self):
        shape = self.output_shape(_STACK.shape)
        return [[_STACK, np.linspace(-1, 2, int(np.prod(shape))).reshape(shape)]]


class MaxPoolPick(_Pooling):
    """Lit v là où x atteint d’abord le maximum de chaque fenêtre. Entrées : x, v de même forme."""

    label = "max_pool2d_pick"

    def make_node(self, x, v):
        x, v = _images(x), _images(v)
        shape = self.output_shape(x.type.shape)
        return Apply(self, [x, v], [TensorType(v.dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        return [self.output_shape(input_shapes[0])]

    def perform(self, node, inputs, output_storage):
        x, v = inputs
        self.check(x.shape)
        if x.shape != v.shape:
            raise ShapeError(
                f"{self} : deux tableaux de même forme sont attendus",
                expected=str(x.shape),
                received=str(v.shape),
            )
        _, ranks = self.first_maximum(x)
        result = np.zeros(ranks.shape, v.dtype)
        for rank, windows, pixels in self.places(x.shape):
            result[windows] += np.where(ranks[windows] == rank, v[pixels], 0)
        output_storage[0][0] = result

    def L_op(self, inputs, outputs, output_grads):
        return [None, self.like(MaxPoolGrad)(inputs[0], output_grads[0])]

    def samples(self):
        return [[_STACK, np.cos(np.arange(30.0)).reshape(_STACK.shape)]]
