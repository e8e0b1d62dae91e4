"""La convolution à deux dimensions, et ses deux gradients.

Chaque fenêtre de l’image devient une colonne (« im2col ») : la convolution est alors un produit de
matrices. L’op est bilinéaire en l’image x et les filtres w ; ses gradients aussi, et le triangle
se referme : dériver l’un des trois donne les deux autres.

    out[b, o, i, j] = Σ x[b, c, i·s + u·d, j·s + v·d] w[o, c, u, v]

somme sur c, u, v ; x est bordé de zéros, s est le pas, d la dilatation, et w est d’abord retourné
(w[:, :, ::-1, ::-1]) quand `filter_flip` est vrai, comme dans Theano.

Ordre de lecture : `_Convolution` (la géométrie), `Conv2d`, `Conv2dGradInputs`,
`Conv2dGradFilters`.

Référence : V. Dumoulin et F. Visin, « A guide to convolution arithmetic for deep learning », 2016.
"""

import numpy as np

from engine.errors import EngineError, ShapeError
from engine.graph import Apply, Op
from engine.scalars import upcast
from engine.types import (
    FLOATS,
    TensorConstant,
    TensorType,
    as_length,
    as_pair,
    as_tensor_variable,
    constant,
)

BORDERS = ("valid", "full", "half")
CHUNK = 1 << 20  # éléments de colonnes faits à la fois : quelques Mo, qui restent dans le cache


class _Convolution(Op):
    """Ce que les trois ops partagent : les réglages, et l’arithmétique des longueurs."""

    __props__ = ("border_mode", "subsample", "filter_flip", "filter_dilation")

    def __init__(
        self, border_mode="valid", subsample=(1, 1), filter_flip=True, filter_dilation=(1, 1)
    ):
        self.border_mode = _borders(border_mode)
        self.subsample = as_pair(subsample, "conv2d : subsample", 1)
        self.filter_flip = bool(filter_flip)
        self.filter_dilation = as_pair(filter_dilation, "conv2d : filter_dilation", 1)

    def like(self, cls):
        """L’op de classe `cls` qui a les mêmes réglages."""
        return cls(*(getattr(self, prop) for prop in self.__props__))

    def reach(self, k, axis):
        """Ce qu’un filtre de k points couvre de l’image, dilatation comprise."""
        return (k - 1) * self.filter_dilation[axis] + 1

    def padding(self, k, axis):
        """Les zéros ajoutés avant et après l’image le long d’un axe."""
        if self.border_mode == "valid":
            return 0, 0
        if self.border_mode == "full":
            return self.reach(k, axis) - 1, self.reach(k, axis) - 1
        if self.border_mode == "half":
            return self.reach(k, axis) // 2, self.reach(k, axis) // 2
        return self.border_mode[axis]

    def output_length(self, n, k, axis):
        """Le nombre de places du filtre ; n et k sont des entiers, symboliques ou non."""
        before, after = self.padding(k, axis)
        last = n + before + after - self.reach(k, axis)
        stride = self.subsample[axis]
        return (last if stride == 1 else last // stride) + 1

    def output_shape(self, x_shape, w_shape):
        """La forme de la convolution ; None où l’une des longueurs n’est pas connue."""
        lengths = [
            None if None in (n, k) else self.output_length(n, k, axis)
            for axis, (n, k) in enumerate(zip(x_shape[2:], w_shape[2:], strict=True))
        ]
        return (x_shape[0], w_shape[0], *lengths)

    def check(self, x_shape, w_shape):
        """Vérifie que les filtres vont à l’image ; une longueur inconnue vaut None."""
        if None not in (x_shape[1], w_shape[1]) and x_shape[1] != w_shape[1]:
            raise ShapeError(
                "conv2d : l'image et les filtres n'ont pas le même nombre de canaux",
                expected="image.shape[1] == filtres.shape[1]",
                received=f"image de forme {x_shape} ({x_shape[1]} canaux), "
                f"filtres de forme {w_shape} ({w_shape[1]} canaux)",
                hint="une image est (lot, canaux, hauteur, largeur), les filtres sont "
                "(sorties, canaux, hauteur, largeur) ; ajoutez ou déplacez un axe avec dimshuffle",
            )
        for axis, (n, k) in enumerate(zip(x_shape[2:], w_shape[2:], strict=True)):
            if None in (n, k):
                continue
            before, after = self.padding(k, axis)
            if k < 1 or n + before + after < self.reach(k, axis):
                raise ShapeError(
                    "conv2d : le filtre est vide" if k < 1
                    else "conv2d : l'image est plus petite que le filtre",
                    expected=f"{('hauteur', 'largeur')[axis]} d'image (bords compris) d'au moins "
                    f"{self.reach(max(k, 1), axis)}",
                    received=f"{n} + {before} + {after}, pour un filtre de {k} "
                    f"(dilatation {self.filter_dilation[axis]})",
                    hint="réduisez le filtre, ou bordez l'image : border_mode='half' ou 'full'",
                )  # fmt: skip

    def check_gradient(self, g_shape, x_shape, w_shape):
        """Vérifie que le gradient reçu a la forme de la convolution."""
        self.check(x_shape, w_shape)
        expected = self.output_shape(x_shape, w_shape)
        if tuple(g_shape) != expected:
            raise ShapeError(
                f"{self.label} : le gradient reçu n'a pas la forme de la convolution",
                expected=str(expected),
                received=str(tuple(g_shape)),
            )

    def oriented(self, w):
        """Les filtres, dans le sens où ils parcourent l’image."""
        return w[:, :, ::-1, ::-1] if self.filter_flip else w

    def windows(self, x, kernel):
        """Vue (lot, canaux, hauteur, largeur, u, v) de toutes les places du filtre sur l’image."""
        reach = [self.reach(k, axis) for axis, k in enumerate(kernel)]
        (dy, dx), (sy, sx) = self.filter_dilation, self.subsample
        padded = self.padded(x.shape, kernel, x.dtype)
        self.inside(padded, x.shape, kernel)[...] = x
        views = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
        return views[:, :, ::sy, ::sx, ::dy, ::dx]

    def padded(self, shape, kernel, dtype):
        """Des zéros à la taille de l’image et de ses bords."""
        lengths = [
            n + sum(self.padding(k, axis))
            for axis, (n, k) in enumerate(zip(shape[2:], kernel, strict=True))
        ]
        return np.zeros((*shape[:2], *lengths), dtype)

    def inside(self, padded, shape, kernel):
        """La partie de l’image bordée qui est l’image."""
        (top, _), (left, _) = (self.padding(k, axis) for axis, k in enumerate(kernel))
        return padded[:, :, top : top + shape[2], left : left + shape[3]]

    def __str__(self):
        defaults = ("valid", (1, 1), True, (1, 1))
        shown = ", ".join(
            f"{prop}={getattr(self, prop)}"
            for prop, default in zip(self.__props__, defaults, strict=True)
            if getattr(self, prop) != default
        )
        return self.label + (f"{{{shown}}}" if shown else "")

    __repr__ = __str__


def _borders(mode):
    if isinstance(mode, str):
        if mode in BORDERS:
            return mode
        raise EngineError(
            "conv2d : border_mode inconnu",
            expected=f"{', '.join(map(repr, BORDERS))}, un entier, (hauteur, largeur) ou "
            "((haut, bas), (gauche, droite))",
            received=repr(mode),
            hint="pour garder la taille d'une image avec un filtre impair : border_mode='half'",
        )
    sides = mode if isinstance(mode, list | tuple) and len(mode) == 2 else (mode, mode)
    return tuple(as_pair(side, "conv2d : border_mode", 0) for side in sides)


def _images(variable, role):
    variable = as_tensor_variable(variable)
    if variable.ndim != 4:
        raise ShapeError(
            f"conv2d : {role} n'a pas quatre axes",
            expected="(lot, canaux, hauteur, largeur) pour une image, "
            "(sorties, canaux, hauteur, largeur) pour des filtres",
            received=f"{variable} : {variable.short()}",
            hint="ajoutez les axes qui manquent : x.dimshuffle('x', 'x', 0, 1), ou reshape",
        )
    return variable


def _lengths(variable):
    """Hauteur et largeur : des constantes si elles sont connues d’avance."""
    return [
        as_length(variable.shape[axis] if known is None else known)
        for axis, known in zip((2, 3), variable.type.shape[2:], strict=True)
    ]


def _known(length):
    return int(length.data) if isinstance(length, TensorConstant) else None


def _like(gradient, entry):
    return gradient.astype(entry.dtype) if entry.dtype in FLOATS else gradient


def _chunks(count, size):
    """Découpe un lot en tranches dont les colonnes tiennent dans `CHUNK` éléments."""
    step = max(1, CHUNK // max(size, 1))
    return [slice(start, start + step) for start in range(0, count, step)]


def _columns(windows):
    """Les fenêtres en colonnes : (lot, canaux × u × v, hauteur × largeur)."""
    batch, channels, height, width, u, v = windows.shape
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(batch, channels * u * v, height * width)


class Conv2d(_Convolution):
    """Convolution d’images (lot, canaux, h, l) par des filtres (sorties, canaux, kh, kl)."""

    label = "conv2d"

    def make_node(self, x, w):
        x, w = _images(x, "l'image"), _images(w, "le tableau des filtres")
        self.check(x.type.shape, w.type.shape)
        shape = self.output_shape(x.type.shape, w.type.shape)
        return Apply(self, [x, w], [TensorType(upcast(x.dtype, w.dtype), shape=shape)()])

    def infer_shape(self, node, input_shapes):
        symbolic, known = self.output_shape(*input_shapes), node.out.type.shape
        return [
            tuple(
                n if k is None else constant(np.int64(k))
                for n, k in zip(symbolic, known, strict=True)
            )
        ]

    def perform(self, node, inputs, output_storage):
        x, w = (entry.astype(node.out.dtype, copy=False) for entry in inputs)
        self.check(x.shape, w.shape)
        out = np.empty(self.output_shape(x.shape, w.shape), node.out.dtype)
        matrix = self.oriented(w).reshape(len(w), w[0:1].size)
        places = out.shape[2] * out.shape[3]
        windows = self.windows(x, w.shape[2:])
        for chunk in _chunks(len(x), matrix.shape[1] * places):
            result = out.reshape(len(x), len(w), places)[chunk]
            np.matmul(matrix, _columns(windows[chunk]), out=result)
        output_storage[0][0] = out

    def L_op(self, inputs, outputs, output_grads):
        (x, w), (g,) = inputs, output_grads
        return [
            _like(self.like(Conv2dGradInputs)(w, g, *_lengths(x)), x),
            _like(self.like(Conv2dGradFilters)(x, g, *_lengths(w)), w),
        ]

    def samples(self):
        rng = np.random.default_rng(0)
        pairs = [((2, 3, 6, 5), (4, 3, 3, 2)), ((1, 1, 5, 5), (1, 1, 1, 1))]
        return [[rng.normal(size=x), rng.normal(size=w)] for x, w in pairs]


class _ConvolutionGradient(_Convolution):
    """Un gradient : deux tableaux, puis la hauteur et la largeur du résultat."""

    def make_node(self, first, g, height, width):
        first, g = _images(first, "la première entrée"), _images(g, "le gradient reçu")
        lengths = [as_length(height), as_length(width)]
        shape = self.result_shape(first.type.shape, g.type.shape, *map(_known, lengths))
        dtype = upcast(first.dtype, g.dtype)
        return Apply(self, [first, g, *lengths], [TensorType(dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        first, g, _, _ = input_shapes
        return [self.result_shape(first, g, *node.inputs[2:])]

    def perform(self, node, inputs, output_storage):
        first, g = (entry.astype(node.out.dtype, copy=False) for entry in inputs[:2])
        shape = self.result_shape(first.shape, g.shape, *map(int, inputs[2:]))
        output_storage[0][0] = self.compute(first, g, shape)

    def samples(self):
        rng = np.random.default_rng(1)
        x_shape, w_shape = (2, 3, 6, 5), (4, 3, 3, 2)
        g = rng.normal(size=self.output_shape(x_shape, w_shape))
        shape, other = (w_shape, x_shape) if self.of_inputs else (x_shape, w_shape)
        return [[rng.normal(size=shape), g, np.array(other[2]), np.array(other[3])]]


class Conv2dGradInputs(_ConvolutionGradient):
    """Gradient par rapport à l’image : chaque place rend au pixel ce que le filtre y a pris.

    Entrées : filtres w, gradient g reçu, hauteur et largeur de l’image.
    """

    label, of_inputs = "conv2d_grad_inputs", True

    def result_shape(self, w_shape, g_shape, height, width):
        """La forme de l’image."""
        return (g_shape[0], w_shape[1], height, width)

    def compute(self, w, g, shape):
        """Le gradient, image par image : des colonnes, additionnées à leur place."""
        self.check_gradient(g.shape, shape, w.shape)
        kernel, (height, width) = w.shape[2:], g.shape[2:]
        (dy, dx), (sy, sx) = self.filter_dilation, self.subsample
        matrix = self.oriented(w).reshape(len(w), w[0:1].size).T
        padded = self.padded(shape, kernel, g.dtype)
        for chunk in _chunks(len(g), len(matrix) * height * width):
            columns = matrix @ g.reshape(len(g), len(w), height * width)[chunk]
            columns = columns.reshape(len(columns), w.shape[1], *kernel, height, width)
            for u, v in np.ndindex(*kernel):
                rows = slice(u * dy, u * dy + sy * (height - 1) + 1, sy)
                cols = slice(v * dx, v * dx + sx * (width - 1) + 1, sx)
                padded[chunk, :, rows, cols] += columns[:, :, u, v]
        return np.ascontiguousarray(self.inside(padded, shape, kernel))

    def L_op(self, inputs, outputs, output_grads):
        w, g, _, _ = inputs
        (v,) = output_grads
        return [
            _like(self.like(Conv2dGradFilters)(v, g, *_lengths(w)), w),
            _like(self.like(Conv2d)(v, w), g),
            None,
            None,
        ]


class Conv2dGradFilters(_ConvolutionGradient):
    """Gradient par rapport aux filtres : chaque poids reçoit les pixels qu’il a vus.

    Entrées : image x, gradient g reçu, hauteur et largeur du filtre.
    """

    label, of_inputs = "conv2d_grad_filters", False

    def result_shape(self, x_shape, g_shape, height, width):
        """La forme des filtres."""
        return (g_shape[1], x_shape[1], height, width)

    def compute(self, x, g, shape):
        """Le gradient : une somme, sur les images, de produits de matrices."""
        self.check_gradient(g.shape, x.shape, shape)
        places = g.shape[2] * g.shape[3]
        result = np.zeros((shape[0], shape[1] * shape[2] * shape[3]), g.dtype)
        windows = self.windows(x, shape[2:])
        for chunk in _chunks(len(x), result.shape[1] * places):
            columns = _columns(windows[chunk]).transpose(0, 2, 1)
            result += np.matmul(g.reshape(len(g), shape[0], places)[chunk], columns).sum(axis=0)
        return np.ascontiguousarray(self.oriented(result.reshape(shape)))

    def L_op(self, inputs, outputs, output_grads):
        x, g, _, _ = inputs
        (v,) = output_grads
        return [
            _like(self.like(Conv2dGradInputs)(v, g, *_lengths(x)), x),
            _like(self.like(Conv2d)(x, v), g),
            None,
            None,
        ]
