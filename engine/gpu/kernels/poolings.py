"""Les poolings sur le GPU, et leurs gradients : trois niveaux de lecture.

- lisible : le noyau de la leçon 10, pour le maximum de carrés qui pavent l’image. Un NaN s’y perd,
  comme dans `max` ; les deux autres niveaux le rendent, comme l’hôte ;
- général : toutes les fenêtres, deux axes ou trois. Un fil par fenêtre pour résumer, un fil par
  pixel pour rendre : un pixel retrouve les fenêtres qui l’ont vu et, pour un maximum, s’il en est
  le premier. Personne n’écrit chez un autre ;
- rapide (`square_poolings`) : les fenêtres 2 × 2 qui pavent une image de côtés pairs.

Ordre de lecture : `_Windows` (les boucles), une fabrique par op, puis `_general` et `_squares`.
"""

import math

import numpy as np

from engine.core.dtypes import HALVES, widened
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.convolutions import DTYPES
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.geometry import MOST
from engine.gpu.kernels.lessons import lesson_kernel
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import NARROW, WIDE
from engine.gpu.kernels.readable.pooling import max_pool
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.spatial import SIGNED, flat, indented, nested, unravelled
from engine.gpu.kernels.square_poolings import (
    GIVEN_BACK,
    MAXIMUM,
    PICKED,
    mean,
    spread,
    squares_text,
    windows_each,
)
from engine.gpu.kernels.tiers import choose
from engine.gpu.kernels.views import contiguous
from engine.ops.pool import MaxPoolGrad, MaxPoolPick, Pool, PoolGrad

_REACH = 2**31


class _Windows:
    """Les lignes d’un noyau : n les longueurs de l’image, m celles des fenêtres, i une fenêtre, h
    un pixel de la fenêtre, k celui que tient le fil.
    """

    def __init__(self, op, dtype, word):
        self.op, self.dtype, self.word, self.signed = op, dtype, word, SIGNED[word]
        self.real = widened(dtype)

    def axes(self, letter):
        return [f"{letter}{axis}" for axis in range(len(self.op.axes))]

    def place(self, letter, sizes):
        """La place du pixel ou de la fenêtre d’indices `letter`, dans un tableau d’images."""
        return flat(["image", *self.axes(letter)], self.axes(sizes), self.word)

    def read(self, array, letter, sizes):
        return loaded(f"{array}[{self.place(letter, sizes)}]", self.dtype)

    def held(self, letter, sizes):
        """Retrouver l’image et les indices que tient le fil."""
        lengths = [f"{self.word}({n})" for n in self.axes(sizes)]
        return unravelled("t", ["image", *self.axes(letter)], lengths, self.word)

    def each_pixel(self, inside):
        """Parcourir les pixels de la fenêtre i qui sont dans l’image."""
        op, signed, loops = self.op, self.signed, []
        for axis, (w, s, p) in enumerate(zip(op.ws, op.stride, op.pad, strict=True)):
            given = f"h{axis} = {signed}({signed}(i{axis}) * {s} + {signed}(u{axis}) - {p})"
            condition = f"h{axis} >= 0 and h{axis} < n{axis}"
            loops.append((f"u{axis}", w, [given], condition))
        return nested(loops, inside)

    def each_window(self, inside):
        """Parcourir les fenêtres où tombe le pixel k."""
        op, signed, loops = self.op, self.signed, []
        for axis, (w, s, p) in enumerate(zip(op.ws, op.stride, op.pad, strict=True)):
            after = f"{signed}({signed}(k{axis}) + {p})"
            first = f"max({signed}({signed}({after} - {w}) // {s} + 1), {signed}(0))"
            stop = f"min({signed}({after} // {s} + 1), m{axis})"
            loops.append((f"i{axis}", f"{first}, {stop}", [], ""))
        return nested(loops, inside)

    def first_maximum(self):
        """Le premier maximum de la fenêtre i, `best`, et sa place `position`."""
        return [
            f"best = {self.real}(0.0)",
            f"position = {self.word}(0)",
            "known = False",
            *self.each_pixel([
                f"at = {self.place('h', 'n')}",
                f"item = {loaded('x[at]', self.dtype)}",
                "if not known or item > best or (item != item and best == best):",
                "    best = item",
                "    position = at",
                "    known = True",
            ]),
        ]  # fmt: skip

    def share(self):
        """Par quoi diviser la fenêtre i, selon le mode."""
        if self.op.mode == "sum":
            return "1"
        factors = []
        for axis, (w, s, p) in enumerate(zip(self.op.ws, self.op.stride, self.op.pad, strict=True)):
            start = f"({self.signed}(i{axis}) * {s} - {p})"
            low, high = f"max({start}, 0)", f"n{axis}"
            if self.op.mode == "average_inc_pad":
                low, high = start, f"n{axis} + {p}"
            factors.append(f"(min({start} + {w}, {high}) - {low})")
        return " * ".join(factors)


def _pool_lines(windows):
    if windows.op.mode == "max":
        return [*windows.first_maximum(), f"out[t] = {stored('best', windows.dtype)}"]
    real = windows.real
    total = windows.each_pixel([f"total += {windows.read('x', 'h', 'n')}"])
    value = f"{real}(total / {real}({windows.share()}))"
    return [f"total = {real}(0.0)", *total, f"out[t] = {stored(value, windows.dtype)}"]


def _grad_lines(windows):
    real = windows.real
    share = f"{real}({windows.read('g', 'i', 'm')} / {real}({windows.share()}))"
    loops = windows.each_window([f"given += {share}"])
    return [f"given = {real}(0.0)", *loops, f"out[t] = {stored('given', windows.dtype)}"]


def _max_grad_lines(windows):
    mine = ["if position == t:", f"    given += {windows.read('g', 'i', 'm')}"]
    loops = windows.each_window([*windows.first_maximum(), *mine])
    return [f"given = {windows.real}(0.0)", *loops, f"out[t] = {stored('given', windows.dtype)}"]


def _pick_lines(windows):
    return [*windows.first_maximum(), "out[t] = v[position]"]


@device_kernel(Pool)
def pool_kernel(node):
    op, dtype = node.op, _dtype(node)
    if dtype is None:
        return None
    general = _general(op, dtype, "x", _pool_lines, "i")
    share = 1 if op.mode == "sum" else 4
    fast = _squares(op, dtype, MAXIMUM if op.mode == "max" else mean(share))

    def plain(x, shape):
        return general(shape, [x], op.image(x.shape), op.image(shape))

    def quick(x, shape):
        done = None if fast is None else fast(shape, [x], x.shape)
        return plain(x, shape) if done is None else done

    def readable(x, shape):
        if _fits_lesson(op, dtype, x.shape, shape):
            return _lesson(op, dtype, contiguous(x), shape)
        return plain(x, shape)

    launch = choose(fast=quick, readable=readable)

    def call(x):
        op.check(x.shape)
        return launch(x, op.output_shape(x.shape))

    call.tier = launch.tier
    return call


@device_kernel(PoolGrad, host=lambda node: tuple(range(1, len(node.inputs))))
def pool_grad_kernel(node):
    op, dtype = node.op, _dtype(node)
    if dtype is None or op.mode == "max":
        return None
    general = _general(op, dtype, "g", _grad_lines, "k")
    fast = _squares(op, dtype, spread(1 if op.mode == "sum" else 4))

    def readable(g, shape):
        return general(shape, [g], op.image(shape), op.image(g.shape))

    launch = choose(fast=fast and (lambda g, shape: fast(shape, [g], shape)), readable=readable)

    def call(g, *lengths):
        shape = (*op.batch(g.shape), *map(int, lengths))
        op.check_gradient(g.shape, shape)
        return launch(g, shape)

    call.tier = launch.tier
    return call


@device_kernel(MaxPoolGrad)
def max_pool_grad_kernel(node):
    op, dtype = node.op, _dtype(node)
    if dtype is None:
        return None
    general = _general(op, dtype, "xg", _max_grad_lines, "k")
    fast = _squares(op, dtype, GIVEN_BACK)

    def readable(x, g):
        return general(x.shape, [x, g], op.image(x.shape), op.image(g.shape))

    launch = choose(fast=fast and (lambda x, g: fast(x.shape, [x, g], x.shape)), readable=readable)

    def call(x, g):
        op.check_gradient(g.shape, x.shape)
        return launch(x, g)

    call.tier = launch.tier
    return call


@device_kernel(MaxPoolPick)
def max_pool_pick_kernel(node):
    op, dtype = node.op, _dtype(node)
    if dtype is None:
        return None
    general = _general(op, dtype, "xv", _pick_lines, "i")
    fast = _squares(op, dtype, PICKED)

    def readable(x, v, shape):
        return general(shape, [x, v], op.image(x.shape), op.image(shape))

    launch = choose(
        fast=fast and (lambda x, v, shape: fast(shape, [x, v], x.shape)), readable=readable
    )

    def call(x, v):
        op.check(x.shape)
        if x.shape != v.shape:
            op.perform(node, [np.empty(x.shape), np.empty(v.shape)], [[None]])  # lève l’erreur
        return launch(x, v, op.output_shape(x.shape))

    call.tier = launch.tier
    return call


def _dtype(node):
    """Le dtype commun des tableaux et du résultat, s’il a des noyaux."""
    dtype = node.outputs[0].dtype
    arrays = {entry.dtype for entry in node.inputs if entry.ndim}
    return dtype if arrays == {dtype} and dtype in DTYPES else None


def _general(op, dtype, arrays, make, letter):
    """Le lancement d’un noyau général : (forme, tableaux, image, fenêtres).

    Le fil tient une fenêtre (`letter` vaut i) ou un pixel (k).
    """
    names = [f"{length}{axis}" for length in "nm" for axis in range(len(op.axes))]

    def run(shape, given, image, cells):
        out = empty(shape, dtype)
        word = NARROW if max(out.size, *(x.size for x in given)) < _REACH else WIDE
        windows = _Windows(op, dtype, word)
        lines = [
            f"def kernel(out, {', '.join(arrays)}, count, {', '.join(names)}):",
            f"    t = {word}(cuda.grid(1))",
            "    if t < count:",
            *indented(windows.held(letter, "m" if letter == "i" else "n"), 2),
            *indented(make(windows), 2),
        ]
        signature = (*[f"{dtype}*"] * (1 + len(arrays)), word, *[SIGNED[word]] * len(names))
        compiled = make_kernel("pool", f"{op}, {dtype}", "\n".join(lines) + "\n", signature)
        numbers = map(np.dtype(SIGNED[word]).type, (*image, *cells))
        count = np.dtype(word).type(out.size)
        compiled(out.size, out, *map(contiguous, given), count, *numbers)
        return out

    return run


def _squares(op, dtype, squares):
    """Le lancement rapide : (forme, tableaux, forme de l’image) ; None s’il ne convient pas."""
    if op.ws != (2, 2) or op.stride != op.ws or any(op.pad):
        return None

    def run(shape, given, image):
        height, width = image[-2:]
        if height % 2 or width % 2 or math.prod(image) >= _REACH:
            return None
        given = [contiguous(x) for x in given]
        return square_launch(squares, dtype, shape, given, width)

    return run


def square_launch(squares, dtype, shape, given, width, kinds=None):
    """Lance un noyau de fenêtres 2 × 2 sur des tableaux contigus.

    Paramètres
        width : la largeur de l’image.
        kinds : le dtype des tableaux qui n’ont pas celui du résultat.
    """
    wide = windows_each(width, all(x.offset % 4 == 0 for x in given))
    names = [*squares.images, *squares.windows]
    words = [f"{(kinds or {}).get(name, dtype)}*" for name in names]
    body = squares_text(squares, dtype, wide, kinds)
    doc = f"fenêtres 2 × 2 par {wide}, {squares.each.__name__.strip('_')}, {dtype}"
    compiled = make_kernel("pool", doc, body, (f"{dtype}*", *words, "uint32", "uint32"))
    out = empty(shape, dtype)
    windows = out.size // (4 if squares.back else 1)
    compiled(windows // wide, out, *given, np.uint32(windows // wide), np.uint32(width))
    return out


def _fits_lesson(op, dtype, x_shape, shape):
    """Le noyau de la leçon sait-il faire ? Le maximum de carrés entiers, sans bords."""
    side = set(op.ws)
    paving = op.stride == op.ws and not any(op.pad) and len(op.ws) == 2 and len(side) == 1
    whole = op.image(shape) == tuple(n // w for n, w in zip(op.image(x_shape), op.ws, strict=True))
    fits = math.prod(op.batch(shape)) <= MOST and dtype not in HALVES
    return op.mode == "max" and paving and whole and fits


def _lesson(op, dtype, x, shape):
    """Le pooling de la leçon 10 : les axes d’un lancement sont (plan, ligne, colonne)."""
    side, word = machine().tile, f"{dtype}[:,:,:]"
    kernel = lesson_kernel(max_pool, (word, word, "int64"), (1, side, side))
    out = empty(shape, dtype)
    planes = math.prod(op.batch(shape))
    kernel((planes, *op.image(shape)), out.reshape((planes, *op.image(shape))),
           x.reshape((planes, *op.image(x.shape))), np.int64(op.ws[0]))  # fmt: skip
    return out
