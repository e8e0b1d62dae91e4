"""La convolution et ses deux gradients sur le GPU : cuDNN, des colonnes et un produit, ou la leçon.

Sans cuDNN, chaque fenêtre d’une image devient une colonne (« im2col »), zéro au-delà du bord :

    colonnes[(c, u), (b, i)] = x[b, c, i·s + u·d − p]
    out = w @ colonnes        dw = g @ colonnesᵀ        dx = somme, pixel par pixel, de wᵀ @ g

où (c, u) parcourt les canaux et les points du filtre, (b, i) les images et leurs places. Tout le
travail est dans le produit (`products`), que fait cuBLAS s’il est là. Les images vont par paquets,
pour que les colonnes tiennent en `_ROOM` octets.

Le niveau lisible d’une convolution sans bords ni pas est le noyau de la leçon 10.

Ordre de lecture : `convolution_kernel`, `_tiers`, `_Columns`, une fonction par op, puis les deux
noyaux, `_take` et `_give_back`.

Référence : K. Chellapilla, S. Puri et P. Simard, « High Performance Convolutional Neural Networks
for Document Processing », 2006.
"""

import math
from functools import partial

import numpy as np

from engine.core.dtypes import HALVES, widened
from engine.core.settings import config
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.dnn import find
from engine.gpu.kernels.elements import stored
from engine.gpu.kernels.geometry import MOST
from engine.gpu.kernels.lessons import lesson_kernel
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import SIGNED, affine, indented, nested, unravelled, word_for
from engine.gpu.kernels.products import as_wide, product
from engine.gpu.kernels.readable.convolutions import convolve
from engine.gpu.kernels.registry import NAMES, choose, device_kernel
from engine.gpu.kernels.views import contiguous
from engine.gpu.kernels.writing import write_into
from engine.ops.conv import Convolution, ConvolutionGradFilters, ConvolutionGradInputs

DTYPES = ("float32", "float64", *HALVES)
_ROOM = 1 << 28  # octets de colonnes, au plus


def convolution_kernel(node):
    """La fabrique des trois ops : deux tableaux, puis les longueurs du résultat."""
    op, dtype = node.op, node.outputs[0].dtype
    compute = _tiers(op, dtype)

    def call(a, b, *lengths):
        shape = _checked_shape(op, a.shape, b.shape, map(int, lengths))
        return compute(shape, a, b) if math.prod(shape) else empty(shape, dtype)

    call.tier = compute.tier
    return call


def _checked_shape(op, a, b, lengths):
    """La forme du résultat ; ShapeError si celles des deux tableaux ne vont pas ensemble."""
    if isinstance(op, Convolution):
        op.check(a, b)
        return op.output_shape(a, b)
    shape = op.result_shape(a, b, *lengths)
    op.check_gradient(b, *((shape, a) if op.of_inputs else (a, shape)))
    return shape


def _tiers(op, dtype):
    """La fonction de (forme du résultat, deux tableaux) qui le calcule, par le meilleur niveau."""
    by_inputs = isinstance(op, ConvolutionGradInputs)
    multiply = product(widened(dtype) if by_inputs else dtype)
    best = partial(_BY_COLUMNS[type(op)], op, multiply)
    if multiply.tier.name != NAMES["library"] and _is_the_lesson(op, dtype):
        best = _lesson(dtype, best)
    dnn, name = find(machine())
    if dnn:
        return choose(best, partial(dnn.convolve, op, tf32=config.allow_tf32), name)
    best.tier = multiply.tier
    return best


def _is_the_lesson(op, dtype):
    plain = op.border_mode == "valid" and {*op.subsample, *op.filter_dilation} == {1}
    known = isinstance(op, Convolution) and op.filter_flip and dtype not in HALVES
    return plain and known and len(op.axes) == 2


def _lesson(dtype, by_columns):
    """La convolution de la leçon 10 ; pour trop d’images, des colonnes."""
    word, side = f"{dtype}[:,:,:,:]", machine().tile
    lesson = lesson_kernel(convolve, (word,) * 3, (1, side, side))

    def call(shape, x, w):
        planes = shape[0] * shape[1]
        if planes > MOST:
            return by_columns(shape, x, w)
        out = empty(shape, dtype)
        lesson((planes, *shape[2:]), out, x, w)
        return out

    return call


# ---- par colonnes ------------------------------------------------------------------------


class _Columns:
    """Les colonnes d’une convolution, d’après les formes de l’image, des filtres, du résultat.

    `packets` : les images, par paquets ; `rows` : les canaux et les points d’un filtre.
    """

    def __init__(self, op, dtype, x_shape, w_shape, g_shape):
        self.op, self.dtype = op, dtype
        self.points, self.places = w_shape[1:], g_shape[2:]
        self.rows, self.each = math.prod(self.points), math.prod(self.places)
        image = max(self.rows * self.each, 1) * np.dtype(dtype).itemsize
        step, count = max(_ROOM // image, 1), x_shape[0]
        self.packets = [slice(k, min(k + step, count)) for k in range(0, count, step)]
        last = [(k - 1) * d for k, d in zip(w_shape[2:], op.filter_dilation, strict=True)]
        self.starts = [  # où se lit, d’une première place, le premier point
            end * op.filter_flip - op.padding(k, axis)[0]
            for axis, (k, end) in enumerate(zip(w_shape[2:], last, strict=True))
        ]

    def room(self, images):
        """Les colonnes de ces images, à remplir : une matrice, et un axe par indice."""
        count = images.stop - images.start
        columns = empty((self.rows, count * self.each), self.dtype)
        return columns, columns.reshape((*self.points, count, *self.places))

    def taken(self, x, images):
        """Les colonnes de ces images."""
        columns, apart = self.room(images)
        places = columns.size // math.prod(self.points[1:])
        self.launch(_take, places, apart, x[images])
        return columns

    def over(self, images):
        """Les places de ces images, dans une matrice."""
        return slice(images.start * self.each, images.stop * self.each)

    def launch(self, text, threads, *arrays):
        """Lance l’un des deux noyaux."""
        word = word_for((max(x.size for x in arrays),))
        kinds = [f"{x.dtype}[{', '.join([':'] * x.ndim)}]" for x in arrays]
        signature = (*kinds, *[SIGNED[word]] * len(self.starts))
        body = text(self.op, str(arrays[0].dtype), word)
        doc = f"{self.op.like(Convolution)}, {arrays[0].dtype}"
        kernel = make_kernel("columns", doc, body, signature)
        kernel(threads, *arrays, *map(np.dtype(SIGNED[word]).type, self.starts))


def _by_filters(x):
    """Une ligne par filtre, une colonne par place de chaque image."""
    x = contiguous(_swapped(x))
    return x.reshape((len(x), math.prod(x.shape[1:])))


def _swapped(x):
    """Les deux premiers axes échangés."""
    return x.transpose(1, 0, *range(2, x.ndim))


def _forward(op, multiply, shape, x, w):
    columns = _Columns(op, x.dtype, x.shape, w.shape, shape)
    out = empty((len(w), len(x), *columns.places), x.dtype)
    matrix = out.reshape((len(w), len(x) * columns.each))
    filters = contiguous(w).reshape((len(w), columns.rows))
    for images in columns.packets:
        multiply(matrix[:, columns.over(images)], filters, columns.taken(x, images))
    return _swapped(out)


def _inputs(op, multiply, shape, w, g):
    """Les colonnes de demi-flottants y restent en float32 jusqu’à leur somme."""
    out, w, g = empty(shape, w.dtype), as_wide(w), as_wide(g)
    columns = _Columns(op, w.dtype, shape, w.shape, g.shape)
    filters = contiguous(w).reshape((len(w), columns.rows)).T
    for images in columns.packets:
        matrix, apart = columns.room(images)
        multiply(matrix, filters, _by_filters(g[images]))
        columns.launch(_give_back, out[images].size, out[images], apart)
    return out


def _filters(op, multiply, shape, x, g):
    out = empty(shape, x.dtype)
    columns = _Columns(op, x.dtype, x.shape, shape, g.shape)
    matrix = out.reshape((len(out), columns.rows))
    for images in columns.packets:
        part = empty(matrix.shape, x.dtype) if images.start else matrix
        multiply(part, _by_filters(g[images]), columns.taken(x, images).T)
        if images.start:
            write_into(matrix, part, add=True)
    if not columns.packets:
        write_into(out, upload(np.zeros((), out.dtype)))
    return out


_BY_COLUMNS = {
    Convolution: _forward,
    ConvolutionGradInputs: _inputs,
    ConvolutionGradFilters: _filters,
}


def _same_floats(node):
    """Les deux tableaux et le résultat ont-ils un même dtype, qui a des noyaux ?"""
    dtype = node.outputs[0].dtype
    return {entry.dtype for entry in node.inputs[:2]} == {dtype} and dtype in DTYPES


def _lengths(node):
    return tuple(range(2, len(node.inputs)))


for _op in _BY_COLUMNS:
    device_kernel(_op, host=_lengths, when=_same_floats)(convolution_kernel)


def _take(op, dtype, word):
    """Un fil, une place d’une image dans un canal : chaque point du filtre y lit un pixel."""
    u, i, h = _indices(op, "uih")
    zero = stored(f"{widened(dtype)}(0)", dtype)
    inside = " and ".join(f"0 <= {name} < x.shape[{k}]" for k, name in enumerate(h, 2))
    loops = [
        (u[k], f"columns.shape[{k + 1}]", [f"{h[k]} = {word}({affine(i[k], s)} {after})"], "")
        for k, (s, after) in enumerate(zip(op.subsample, _offsets(op, "+"), strict=True))
    ]
    place, pixel = ", ".join(["c", *u, "b", *i]), ", ".join(["b", "c", *h])
    lines = [f"seen = {inside}", f"columns[{place}] = x[{pixel}] if seen else {zero}"]
    lines = nested(loops, lines)
    lengths = ["x.shape[1]", "x.shape[0]"]
    lengths += [f"columns.shape[{len(h) + 2 + k}]" for k in range(len(h))]
    return _kernel_text("columns, x", ["c", "b", *i], lengths, lines, word)


def _give_back(op, dtype, word):
    """Un fil, un pixel : la somme de ce qu’il reçoit des colonnes qui l’ont lu."""
    u, i, h = _indices(op, "uih")
    loops = []
    for k, (s, after) in enumerate(zip(op.subsample, _offsets(op, "-"), strict=True)):
        given = [f"{i[k]} = {word}({h[k]} {after})"]
        inside = f"0 <= {i[k]} < {affine(f'columns.shape[{len(h) + 2 + k}]', s)}"
        inside += f" and {i[k]} % {s} == 0" if s > 1 else ""
        loops.append((u[k], f"columns.shape[{k + 1}]", given, inside))
    places = [
        f"{word}({name} // {s})" if s > 1 else name for name, s in zip(i, op.subsample, strict=True)
    ]
    lines = [
        f"total = {widened(dtype)}(0)",
        *nested(loops, [f"total += columns[c, {', '.join(u)}, b, {', '.join(places)}]"]),
        f"out[b, c, {', '.join(h)}] = {stored('total', dtype)}",
    ]
    lengths = [f"out.shape[{k}]" for k in range(2 + len(h))]
    return _kernel_text("out, columns", ["b", "c", *h], lengths, lines, word)


def _indices(op, letters):
    """Les noms des indices, lettre par lettre et axe par axe."""
    return [[f"{letter}{axis}" for axis in range(len(op.axes))] for letter in letters]


def _offsets(op, sign):
    """Du pixel que lit une place au pixel du point u, axe par axe ; « - », dans l’autre sens."""
    along = sign if not op.filter_flip else {"+": "-", "-": "+"}[sign]
    return [
        f"{along} {affine(f'u{axis}', d)} {sign} start{axis}"
        for axis, d in enumerate(op.filter_dilation)
    ]


def _kernel_text(arrays, names, lengths, lines, word):
    """Le fil de rang t fait `lines` à ces indices, dont voici les longueurs."""
    starts = ", ".join(f"start{axis}" for axis in range(len(names) - 2))
    first, *rest = (f"{word}({length})" for length in lengths)
    body = [
        f"t = {word}(cuda.grid(1))",
        *unravelled("t", names, rest, word),
        f"if {names[0]} < {first}:",
        *indented(lines),
    ]
    return "\n".join([f"def kernel({arrays}, {starts}):", *indented(body)]) + "\n"
