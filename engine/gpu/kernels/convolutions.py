"""La convolution et ses deux gradients sur le GPU : des colonnes, puis un produit de matrices.

Chaque fenêtre d’une image devient une colonne (« im2col »), zéro au-delà du bord :

    colonnes[(c, u), (b, i)] = x[b, c, i·s + u·d − p]
    out = w @ colonnes        dw = g @ colonnesᵀ        dx = somme, pixel par pixel, de wᵀ @ g

où (c, u) parcourt les canaux et les points du filtre, (b, i) les images et leurs places. Tout le
travail est dans le produit (`products`), que fait la bibliothèque si elle est là. Les images vont
par paquets, pour que les colonnes tiennent en `_ROOM` octets.

Le niveau lisible d’une convolution sans bords ni pas est le noyau de la leçon 10.

Ordre de lecture : une fabrique par op, `_Shapes`, puis les deux noyaux, `_take` et `_give_back`.

Référence : K. Chellapilla, S. Puri et P. Simard, « High Performance Convolutional Neural Networks
for Document Processing », 2006.
"""

import math
from functools import partial

import numpy as np

from engine.core.dtypes import HALVES, widened
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.elements import stored
from engine.gpu.kernels.geometry import MOST
from engine.gpu.kernels.lessons import lesson_kernel
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import NARROW, SIGNED, WIDE, indented, nested, unravelled
from engine.gpu.kernels.products import as_wide, product
from engine.gpu.kernels.readable.convolutions import convolve
from engine.gpu.kernels.registry import NAMES, choose, device_kernel
from engine.gpu.kernels.views import contiguous
from engine.gpu.kernels.writing import write_into
from engine.ops.conv import Convolution, ConvolutionGradFilters, ConvolutionGradInputs

DTYPES = ("float32", "float64", *HALVES)
_ROOM = 1 << 28  # octets de colonnes, au plus
_REACH = 2**31


@device_kernel(Convolution)
def convolution_kernel(node):
    op, dtype = node.op, _dtype(node)
    if dtype is None:
        return None
    multiply = product(dtype)
    launch = _tiers(multiply, partial(_forward, op, multiply), op, dtype)

    def call(x, w):
        op.check(x.shape, w.shape)
        out = empty(op.output_shape(x.shape, w.shape), dtype)
        return launch(out, x, w) if out.size else out

    call.tier = launch.tier
    return call


def _lengths(node):
    return tuple(range(2, len(node.inputs)))


@device_kernel(ConvolutionGradInputs, host=_lengths)
def grad_inputs_kernel(node):
    op, dtype = node.op, _dtype(node)
    if dtype is None:
        return None
    multiply = product(widened(dtype))

    def call(w, g, *lengths):
        shape = op.result_shape(w.shape, g.shape, *map(int, lengths))
        op.check_gradient(g.shape, shape, w.shape)
        return _inputs(op, multiply, empty(shape, dtype), w, g)

    call.tier = multiply.tier
    return call


@device_kernel(ConvolutionGradFilters, host=_lengths)
def grad_filters_kernel(node):
    op, dtype = node.op, _dtype(node)
    if dtype is None:
        return None
    multiply = product(dtype)

    def call(x, g, *lengths):
        shape = op.result_shape(x.shape, g.shape, *map(int, lengths))
        op.check_gradient(g.shape, x.shape, shape)
        return _filters(op, multiply, empty(shape, dtype), x, g)

    call.tier = multiply.tier
    return call


def _dtype(node):
    """Le dtype commun des deux tableaux et du résultat, s’il a des noyaux."""
    dtype = node.outputs[0].dtype
    same = {entry.dtype for entry in node.inputs[:2]} == {dtype}
    return dtype if same and dtype in DTYPES else None


# ---- par colonnes ------------------------------------------------------------------------


class _Shapes:
    """Les formes d’une convolution, d’après celles de l’image, des filtres et du résultat."""

    def __init__(self, op, dtype, x_shape, w_shape, g_shape):
        self.op, self.dtype = op, dtype
        self.points, self.places = w_shape[1:], g_shape[2:]  # canaux compris
        self.rows, self.each = math.prod(self.points), math.prod(self.places)
        image = max(self.rows * self.each, 1) * np.dtype(dtype).itemsize
        step, count = max(_ROOM // image, 1), x_shape[0]
        self.packets = [slice(k, min(k + step, count)) for k in range(0, count, step)]
        self.before = [op.padding(k, axis)[0] for axis, k in enumerate(w_shape[2:])]

    def columns(self, images):
        """Des colonnes à remplir, et les mêmes avec un axe par indice."""
        count = images.stop - images.start
        columns = empty((self.rows, count * self.each), self.dtype)
        return columns, columns.reshape((*self.points, count, *self.places))

    def taken(self, x, images):
        """Les colonnes de ces images."""
        columns, apart = self.columns(images)
        _launch(_take, self, columns, [apart, x[images]])
        return columns

    def turned(self, w):
        """Les points d’un filtre, dans l’ordre où ils lisent l’image."""
        back = slice(None, None, -1) if self.op.filter_flip else slice(None)
        return w[(..., *[back] * len(self.places))]

    def filters(self, w):
        """w en matrice, une ligne par filtre."""
        return contiguous(self.turned(w)).reshape((len(w), self.rows))

    def gradient(self, g, images):
        """Le gradient reçu par ces images en matrice, une ligne par filtre."""
        g = contiguous(_swapped(g[images]))
        return g.reshape((len(g), g.shape[1] * self.each))


def _swapped(x):
    """Les deux premiers axes échangés."""
    return x.transpose(1, 0, *range(2, x.ndim))


def _forward(op, multiply, out, x, w):
    shapes = _Shapes(op, out.dtype, x.shape, w.shape, out.shape)
    matrix = shapes.filters(w)
    for images in shapes.packets:
        columns = shapes.taken(x, images)
        result = multiply(empty((len(w), columns.shape[1]), out.dtype), matrix, columns)
        apart = result.reshape((len(w), images.stop - images.start, *shapes.places))
        write_into(out[images], _swapped(apart))
    return out


def _inputs(op, multiply, out, w, g):
    """Les colonnes de demi-flottants y restent en float32 jusqu’à leur somme."""
    w, g = as_wide(w), as_wide(g)
    shapes = _Shapes(op, w.dtype, out.shape, w.shape, g.shape)
    matrix = shapes.filters(w).transpose(1, 0)
    for images in shapes.packets:
        columns, apart = shapes.columns(images)
        if columns.size:
            multiply(columns, matrix, shapes.gradient(g, images))
        _launch(_give_back, shapes, out[images], [out[images], apart])
    return out


def _filters(op, multiply, out, x, g):
    shapes = _Shapes(op, out.dtype, x.shape, out.shape, g.shape)
    total = upload(np.zeros((), out.dtype))
    for images in shapes.packets if out.size and g.size else ():
        columns = shapes.taken(x, images).transpose(1, 0)
        part = empty((len(out), shapes.rows), out.dtype)
        multiply(part, shapes.gradient(g, images), columns)
        if total.ndim:
            write_into(total, part, add=True)
        else:
            total = part
    write_into(out, shapes.turned(total.reshape(out.shape)) if total.ndim else total)
    return out


def _launch(text, shapes, over, arrays):
    """Lance un fil par élément de `over`, qui est l’un des deux tableaux."""
    op, dtype = shapes.op, str(over.dtype)
    word = NARROW if max(x.size for x in arrays) < _REACH else WIDE
    signature = (
        *(f"{x.dtype}[{', '.join([':'] * x.ndim)}]" for x in arrays),
        *[word] * len(shapes.before),
    )
    kernel = make_kernel("columns", f"{op}, {dtype}", text(op, dtype, word), signature)
    kernel(over.size, *arrays, *map(np.dtype(SIGNED[word]).type, shapes.before))


def _indices(op, letters):
    """Les noms des indices, lettre par lettre et axe par axe, et ceux du bord."""
    return [[f"{letter}{axis}" for axis in range(len(op.axes))] for letter in letters]


def _take(op, dtype, word):
    """Les colonnes : un fil, un élément."""
    signed, (u, i, h) = SIGNED[word], _indices(op, "uih")
    names = ["c", *u, "b", *i]
    lengths = [f"{word}(columns.shape[{k}])" for k in range(1, len(names))]
    lines = unravelled("t", names, lengths, word)
    for k, (s, d) in enumerate(zip(op.subsample, op.filter_dilation, strict=True)):
        lines.append(f"{h[k]} = {signed}({signed}({i[k]}) * {s} + {signed}({u[k]}) * {d} - p{k})")
    unsigned = [f"{word}({name})" for name in h]  # un indice signé se paie : voir test_pitfalls
    inside = " and ".join(f"0 <= {n} < x.shape[{k + 2}]" for k, n in enumerate(h))
    lines += [
        f"if {inside}:",
        f"    columns[{', '.join(names)}] = x[b, c, {', '.join(unsigned)}]",
        "else:",
        f"    columns[{', '.join(names)}] = {stored(f'{widened(dtype)}(0)', dtype)}",
    ]
    return _kernel_text(op, "columns, x", "columns.size", lines, word)


def _give_back(op, dtype, word):
    """Ce qu’un pixel reçoit des colonnes qui l’ont lu : un fil, un pixel."""
    signed, real, (u, i, h) = SIGNED[word], widened(dtype), _indices(op, "uih")
    lengths = [f"{word}(out.shape[{k}])" for k in range(1, 2 + len(h))]
    loops = []
    for k, (s, d) in enumerate(zip(op.subsample, op.filter_dilation, strict=True)):
        given = [f"{i[k]} = {signed}({signed}({h[k]}) + p{k} - {signed}({u[k]}) * {d})"]
        inside = f"0 <= {i[k]} < columns.shape[{len(h) + 2 + k}] * {s}"
        if s > 1:
            inside += f" and {i[k]} % {s} == 0"
        loops.append((u[k], f"columns.shape[{k + 1}]", given, inside))
    places = [f"{name} // {s}" if s > 1 else name for name, s in zip(i, op.subsample, strict=True)]
    places = [f"{word}({place})" for place in places]
    item = f"columns[c, {', '.join(u)}, b, {', '.join(places)}]"
    lines = [
        *unravelled("t", ["b", "c", *h], lengths, word),
        f"total = {real}(0)",
        *nested(loops, [f"total += {item}"]),
        f"out[b, c, {', '.join(h)}] = {stored('total', dtype)}",
    ]
    return _kernel_text(op, "out, columns", "out.size", lines, word)


def _kernel_text(op, arrays, size, lines, word):
    edges = ", ".join(f"p{axis}" for axis in range(len(op.axes)))
    head = [
        f"def kernel({arrays}, {edges}):",
        f"    t = {word}(cuda.grid(1))",
        f"    if t < {size}:",
    ]
    return "\n".join([*head, *indented(lines, 2)]) + "\n"


# ---- la leçon ----------------------------------------------------------------------------


def _tiers(multiply, by_columns, op, dtype):
    """Qui convole : la bibliothèque, sur des colonnes ; sinon la leçon, si elle sait faire."""
    plain = op.border_mode == "valid" and {*op.subsample, *op.filter_dilation} == {1}
    if not (plain and op.filter_flip and len(op.axes) == 2 and dtype not in HALVES):
        by_columns.tier = multiply.tier
        return by_columns
    word, side = f"{dtype}[:,:,:,:]", machine().tile
    lesson = lesson_kernel(convolve, (word,) * 3, (1, side, side))

    def readable(out, x, w):
        planes = out.shape[0] * out.shape[1]
        if planes > MOST:
            return by_columns(out, x, w)
        lesson((planes, *out.shape[2:]), out, x, w)
        return out

    on_library = multiply.tier.name == NAMES["library"]
    return choose(readable, by_columns if on_library else multiply.tier.why)
