"""La convolution à deux ou trois dimensions, et ses deux gradients.

Chaque fenêtre de l’image devient une colonne (« im2col ») : la convolution est alors un produit de
matrices. L’op est bilinéaire en l’image x et les filtres w ; ses gradients aussi, et le triangle
se referme : dériver l’un des trois donne les deux autres.

    out[b, o, i, j] = Σ x[b, c, i·s + u·d, j·s + v·d] w[o, c, u, v]

somme sur c, u, v ; x est bordé de zéros, s est le pas, d la dilatation, et w est d’abord retourné
(w[:, :, ::-1, ::-1]) quand `filter_flip` est vrai, comme dans Theano. Une image à trois dimensions
a un axe de plus, la profondeur ; le nombre d’axes est celui de `subsample`.

Ordre de lecture : `_Convolving` (la géométrie), `Convolution`, `ConvolutionGradInputs`,
`ConvolutionGradFilters`.

Référence : V. Dumoulin et F. Visin, « A guide to convolution arithmetic for deep learning », 2016.
"""

import math

import numpy as np

from engine.core.dtypes import in_float32, upcast
from engine.core.errors import EngineError, ShapeError
from engine.core.graph import Apply, Op
from engine.core.types import FLOATS, TensorConstant, TensorType, as_tensor_variable, constant
from engine.ops.arguments import IMAGE_AXES, as_length, as_sizes

BORDERS = ("valid", "full", "half")
CHUNK = 1 << 20  # éléments de colonnes faits à la fois : quelques Mo, qui restent dans le cache


_VARIANTS = [
    ("valid",),
    ("half", (2, 1)),
    ("full", (1, 2), False, (2, 1)),
    (((0, 1), (2, 0)),),
    ("valid", (1, 1, 1)),
    ("half", (1, 2, 1), False, (2, 1, 1)),
]


class _Convolving(Op):
    """Ce que les trois ops partagent : les réglages, et l’arithmétique des longueurs."""

    __props__ = ("border_mode", "subsample", "filter_flip", "filter_dilation")
    suffix = ""

    def __init__(
        self, border_mode="valid", subsample=(1, 1), filter_flip=True, filter_dilation=None
    ):
        ndim = len(subsample)
        self.axes, self.label = IMAGE_AXES[ndim], f"conv{ndim}d"
        self.border_mode = self._borders(border_mode)
        self.subsample = as_sizes(subsample, self.axes, f"{self.label} : subsample", 1)
        self.filter_flip = bool(filter_flip)
        self.filter_dilation = as_sizes(
            1 if filter_dilation is None else filter_dilation,
            self.axes,
            f"{self.label} : filter_dilation",
            1,
        )

    def _borders(self, mode):
        if isinstance(mode, str):
            if mode in BORDERS:
                return mode
            pairs = {2: "((haut, bas), (gauche, droite))"}.get(len(self.axes), "une paire par axe")
            raise EngineError(
                f"{self.label} : border_mode inconnu",
                expected=f"{', '.join(map(repr, BORDERS))}, un entier, "
                f"({', '.join(self.axes)}) ou {pairs}",
                received=repr(mode),
                hint="pour garder la taille d'une image avec un filtre impair : border_mode='half'",
            )
        several = isinstance(mode, list | tuple) and len(mode) == len(self.axes)
        return tuple(
            as_sizes(side, ("avant", "après"), f"{self.label} : border_mode", 0)
            for side in (mode if several else [mode] * len(self.axes))
        )

    def images(self, variable, role):
        """Vérifie qu’une entrée a le lot (ou les sorties), les canaux et les axes de l’image."""
        variable = as_tensor_variable(variable)
        axes, total = ", ".join(self.axes), len(self.axes) + 2
        if variable.ndim != total:
            raise ShapeError(
                f"{self.label} : {role} n'a pas {('quatre', 'cinq')[total - 4]} axes",
                expected=f"(lot, canaux, {axes}) pour une image, "
                f"(sorties, canaux, {axes}) pour des filtres",
                received=f"{variable} : {variable.short()}",
                hint="ajoutez les axes qui manquent : x.dimshuffle('x', 'x', 0, 1), ou reshape",
            )
        return variable

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
                f"{self.label} : l'image et les filtres n'ont pas le même nombre de canaux",
                expected="image.shape[1] == filtres.shape[1]",
                received=f"image de forme {x_shape} ({x_shape[1]} canaux), "
                f"filtres de forme {w_shape} ({w_shape[1]} canaux)",
                hint=f"une image est (lot, canaux, {', '.join(self.axes)}), les filtres sont "
                f"(sorties, canaux, {', '.join(self.axes)}) ; "
                "ajoutez ou déplacez un axe avec dimshuffle",
            )
        for axis, (n, k) in enumerate(zip(x_shape[2:], w_shape[2:], strict=True)):
            if None in (n, k):
                continue
            before, after = self.padding(k, axis)
            if k < 1 or n + before + after < self.reach(k, axis):
                raise ShapeError(
                    f"{self.label} : le filtre est vide" if k < 1
                    else f"{self.label} : l'image est plus petite que le filtre",
                    expected=f"{self.axes[axis]} d'image (bords compris) d'au moins "
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
                f"{self.label}{self.suffix} : le gradient reçu n'a pas la forme de la convolution",
                expected=str(expected),
                received=str(tuple(g_shape)),
            )

    def oriented(self, w):
        """Les filtres, dans le sens où ils parcourent l’image."""
        return w[:, :, *[slice(None, None, -1)] * len(self.axes)] if self.filter_flip else w

    def windows(self, x, kernel):
        """Vue (lot, canaux, *places, *points) de toutes les places du filtre sur l’image."""
        reach = [self.reach(k, axis) for axis, k in enumerate(kernel)]
        padded = self.padded(x.shape, kernel, x.dtype)
        self.inside(padded, x.shape, kernel)[...] = x
        axes = tuple(range(2, x.ndim))
        views = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=axes)
        steps = (slice(None, None, step) for step in (*self.subsample, *self.filter_dilation))
        return views[:, :, *steps]

    def padded(self, shape, kernel, dtype):
        """Des zéros à la taille de l’image et de ses bords."""
        lengths = [
            n + sum(self.padding(k, axis))
            for axis, (n, k) in enumerate(zip(shape[2:], kernel, strict=True))
        ]
        return np.zeros((*shape[:2], *lengths), dtype)

    def inside(self, padded, shape, kernel):
        """La partie de l’image bordée qui est l’image."""
        starts = (self.padding(k, axis)[0] for axis, k in enumerate(kernel))
        spans = zip(starts, shape[2:], strict=True)
        return padded[:, :, *(slice(start, start + n) for start, n in spans)]

    @classmethod
    def variants(cls):
        return [cls(*options) for options in _VARIANTS]

    def __str__(self):
        ones = (1,) * len(self.axes)
        defaults = ("valid", ones, True, ones)
        shown = ", ".join(
            f"{prop}={getattr(self, prop)}"
            for prop, default in zip(self.__props__, defaults, strict=True)
            if getattr(self, prop) != default
        )
        return self.label + self.suffix + (f"{{{shown}}}" if shown else "")


def _lengths(variable):
    """Les longueurs de l’image : des constantes si elles sont connues d’avance."""
    return [
        as_length(variable.shape[axis] if known is None else known)
        for axis, known in enumerate(variable.type.shape)
        if axis > 1
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
    """Les fenêtres en colonnes : (lot, canaux × points du filtre, places)."""
    batch, channels, *lengths = windows.shape
    n = len(lengths) // 2
    places, points = range(2, 2 + n), range(2 + n, 2 + 2 * n)
    columns = windows.transpose(0, 1, *points, *places)
    return columns.reshape(batch, channels * math.prod(lengths[n:]), math.prod(lengths[:n]))


class Convolution(_Convolving):
    """Convolution d’images (lot, canaux, *image) par des filtres (sorties, canaux, *filtre)."""

    def make_node(self, x, w):
        x, w = self.images(x, "l'image"), self.images(w, "le tableau des filtres")
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

    @in_float32
    def perform(self, node, inputs, output_storage):
        x, w = (entry.astype(node.out.dtype, copy=False) for entry in inputs)
        self.check(x.shape, w.shape)
        out = np.empty(self.output_shape(x.shape, w.shape), node.out.dtype)
        matrix = self.oriented(w).reshape(len(w), math.prod(w.shape[1:]))
        places = math.prod(out.shape[2:])
        windows = self.windows(x, w.shape[2:])
        for chunk in _chunks(len(x), matrix.shape[1] * places):
            result = out.reshape(len(x), len(w), places)[chunk]
            np.matmul(matrix, _columns(windows[chunk]), out=result)
        output_storage[0][0] = out

    def L_op(self, inputs, outputs, output_grads):
        (x, w), (g,) = inputs, output_grads
        return [
            _like(self.like(ConvolutionGradInputs)(w, g, *_lengths(x)), x),
            _like(self.like(ConvolutionGradFilters)(x, g, *_lengths(w)), w),
        ]

    def samples(self):
        rng = np.random.default_rng(0)
        return [[rng.normal(size=x), rng.normal(size=w)] for x, w in _sample_shapes(len(self.axes))]


def _sample_shapes(ndim):
    """Des formes d’image et de filtres, l’une ordinaire, l’autre d’un seul pixel par filtre."""
    third = [((2, 2, 3, 6, 5), (3, 2, 2, 3, 2)), ((1, 1, 2, 5, 5), (1,) * 5)]
    return third if ndim == 3 else [((2, 3, 6, 5), (4, 3, 3, 2)), ((1, 1, 5, 5), (1,) * 4)]


class _ConvolutionGradient(_Convolving):
    """Un gradient : deux tableaux, puis les longueurs des axes du résultat."""

    def make_node(self, first, g, *lengths):
        first, g = self.images(first, "la première entrée"), self.images(g, "le gradient reçu")
        lengths = [as_length(length) for length in lengths]
        shape = self.result_shape(first.type.shape, g.type.shape, *map(_known, lengths))
        dtype = upcast(first.dtype, g.dtype)
        return Apply(self, [first, g, *lengths], [TensorType(dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        return [self.result_shape(*input_shapes[:2], *node.inputs[2:])]

    @in_float32
    def perform(self, node, inputs, output_storage):
        first, g = (entry.astype(node.out.dtype, copy=False) for entry in inputs[:2])
        shape = self.result_shape(first.shape, g.shape, *map(int, inputs[2:]))
        output_storage[0][0] = self.compute(first, g, shape)

    def samples(self):
        rng = np.random.default_rng(1)
        x_shape, w_shape = _sample_shapes(len(self.axes))[0]
        g = rng.normal(size=self.output_shape(x_shape, w_shape))
        shape, other = (w_shape, x_shape) if self.of_inputs else (x_shape, w_shape)
        return [[rng.normal(size=shape), g, *map(np.array, other[2:])]]


class ConvolutionGradInputs(_ConvolutionGradient):
    """Gradient par rapport à l’image : chaque place rend au pixel ce que le filtre y a pris.

    Entrées : filtres w, gradient g reçu, longueurs des axes de l’image.
    """

    suffix, of_inputs = "_grad_inputs", True

    def result_shape(self, w_shape, g_shape, *lengths):
        """La forme de l’image."""
        return (g_shape[0], w_shape[1], *lengths)

    def compute(self, w, g, shape):
        """Le gradient, image par image : des colonnes, additionnées à leur place."""
        self.check_gradient(g.shape, shape, w.shape)
        kernel, places = w.shape[2:], g.shape[2:]
        matrix = self.oriented(w).reshape(len(w), math.prod(w.shape[1:])).T
        padded = self.padded(shape, kernel, g.dtype)
        for chunk in _chunks(len(g), len(matrix) * math.prod(places)):
            columns = matrix @ g.reshape(len(g), len(w), math.prod(places))[chunk]
            columns = columns.reshape(len(columns), w.shape[1], *kernel, *places)
            for point in np.ndindex(*kernel):
                seen = (
                    slice(u * d, u * d + s * (n - 1) + 1, s)
                    for u, d, s, n in zip(
                        point, self.filter_dilation, self.subsample, places, strict=True
                    )
                )
                padded[chunk, :, *seen] += columns[:, :, *point]
        return np.ascontiguousarray(self.inside(padded, shape, kernel))

    def L_op(self, inputs, outputs, output_grads):
        (w, g, *lengths), (v,) = inputs, output_grads
        return [
            _like(self.like(ConvolutionGradFilters)(v, g, *_lengths(w)), w),
            _like(self.like(Convolution)(v, w), g),
            *[None] * len(lengths),
        ]


class ConvolutionGradFilters(_ConvolutionGradient):
    """Gradient par rapport aux filtres : chaque poids reçoit les pixels qu’il a vus.

    Entrées : image x, gradient g reçu, longueurs des axes du filtre.
    """

    suffix, of_inputs = "_grad_filters", False

    def result_shape(self, x_shape, g_shape, *lengths):
        """La forme des filtres."""
        return (g_shape[1], x_shape[1], *lengths)

    def compute(self, x, g, shape):
        """Le gradient : une somme, sur les images, de produits de matrices."""
        self.check_gradient(g.shape, x.shape, shape)
        places = math.prod(g.shape[2:])
        result = np.zeros((shape[0], math.prod(shape[1:])), g.dtype)
        windows = self.windows(x, shape[2:])
        for chunk in _chunks(len(x), result.shape[1] * places):
            columns = _columns(windows[chunk]).transpose(0, 2, 1)
            result += np.matmul(g.reshape(len(g), shape[0], places)[chunk], columns).sum(axis=0)
        return np.ascontiguousarray(self.oriented(result.reshape(shape)))

    def L_op(self, inputs, outputs, output_grads):
        (x, g, *lengths), (v,) = inputs, output_grads
        return [
            _like(self.like(ConvolutionGradInputs)(v, g, *_lengths(x)), x),
            _like(self.like(Convolution)(x, v), g),
            *[None] * len(lengths),
        ]
