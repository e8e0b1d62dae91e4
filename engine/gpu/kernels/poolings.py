"""Les poolings sur le GPU, et leurs gradients : un fil par fenêtre pour résumer, un fil par pixel
pour rendre.

Un pixel retrouve les fenêtres qui l’ont vu et, pour un maximum, s’il en est le premier : personne
n’écrit chez un autre. Toutes les fenêtres, deux axes ou trois. Le niveau lisible du maximum de
carrés qui pavent l’image est le noyau de la leçon 10.

Ordre de lecture : `_Windows` (les boucles), une fonction de lignes et une fabrique par op, `_run`.
"""

import math

import numpy as np

from engine.core.dtypes import widened
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.convolutions import DTYPES
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.geometry import MOST
from engine.gpu.kernels.lessons import lesson_kernel
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import NARROW, SIGNED, WIDE, indented, nested, unravelled
from engine.gpu.kernels.readable.pooling import max_pool
from engine.gpu.kernels.registry import device_kernel
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

    def place(self, array, letter):
        """Le pixel ou la fenêtre d’indices `letter`."""
        return f"{array}[{', '.join(['plane', *self.axes(letter)])}]"

    def read(self, array, letter):
        return loaded(self.place(array, letter), self.dtype)

    def write(self, letter, value):
        return f"{self.place('out', letter)} = {stored(value, self.dtype)}"

    def each_pixel(self, inside):
        """Parcourir les pixels de la fenêtre i qui sont dans l’image."""
        op, signed, loops = self.op, self.signed, []
        for axis, (w, s, p) in enumerate(zip(op.ws, op.stride, op.pad, strict=True)):
            given = f"h{axis} = {signed}({signed}(i{axis}) * {s} + {signed}(u{axis}) - {p})"
            loops.append((f"u{axis}", w, [given], f"h{axis} >= 0 and h{axis} < n{axis}"))
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
        """Le premier maximum de la fenêtre i, `best`, et sa place, `at`."""
        moves = [f"at{axis} = h{axis}" for axis in range(len(self.op.axes))]
        return [
            f"best, known = {self.real}(0), False",
            *(f"at{axis} = {self.signed}(0)" for axis in range(len(self.op.axes))),
            *self.each_pixel([
                f"item = {self.read('x', 'h')}",
                "if not known or item > best or (item != item and best == best):",
                "    best, known = item, True",
                *indented(moves),
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


def _pool(windows):
    if windows.op.mode == "max":
        return [*windows.first_maximum(), windows.write("i", "best")]
    real = windows.real
    total = windows.each_pixel([f"total += {windows.read('x', 'h')}"])
    return [
        f"total = {real}(0)", *total,
        windows.write("i", f"{real}(total / {real}({windows.share()}))"),
    ]  # fmt: skip


def _grad(windows):
    real = windows.real
    share = f"{real}({windows.read('g', 'i')} / {real}({windows.share()}))"
    loops = windows.each_window([f"given += {share}"])
    return [f"given = {real}(0)", *loops, windows.write("k", "given")]


def _max_grad(windows):
    here = " and ".join(f"at{axis} == k{axis}" for axis in range(len(windows.op.axes)))
    mine = [f"if {here}:", f"    given += {windows.read('g', 'i')}"]
    loops = windows.each_window([*windows.first_maximum(), *mine])
    return [f"given = {windows.real}(0)", *loops, windows.write("k", "given")]


def _pick(windows):
    place = windows.place("v", "at")
    return [*windows.first_maximum(), f"{windows.place('out', 'i')} = {place}"]


def _run(node, arrays, write, image, cells):
    """Le lancement : (forme, tableaux).

    Paramètres
        arrays : les noms des tableaux lus.
        write : les lignes d’un fil.
        image, cells : le nom d’un tableau de la taille de l’image, et d’un autre de celle
            des fenêtres ; l’un des deux est « out », dont le fil tient un élément.
    """
    op, dtype = node.op, node.outputs[0].dtype
    ndim = 1 + len(op.axes)

    def run(shape, *given):
        out = empty(shape, dtype)
        everything = [_as_planes(op, contiguous(x)) for x in (out, *given)]
        word = NARROW if max(x.size for x in everything) < _REACH else WIDE
        windows, signed = _Windows(op, dtype, word), SIGNED[word]
        letter = "i" if cells == "out" else "k"
        lengths = [f"{word}(out.shape[{axis}])" for axis in range(1, ndim)]
        lines = [
            f"def kernel(out, {', '.join(arrays)}):",
            *(
                f"    {name}{axis} = {signed}({array}.shape[{axis + 1}])"
                for name, array in (("n", image), ("m", cells))
                for axis in range(ndim - 1)
            ),
            f"    t = {word}(cuda.grid(1))",
            "    if t < out.size:",
            *indented(unravelled("t", ["plane", *windows.axes(letter)], lengths, word), 2),
            *indented(write(windows), 2),
        ]
        signature = (f"{dtype}[{', '.join([':'] * ndim)}]",) * len(everything)
        kernel = make_kernel("pool", f"{op}, {dtype}", "\n".join(lines) + "\n", signature)
        kernel(out.size, *everything)
        return out

    return run


def _as_planes(op, x):
    """Les images d’un tableau contigu, l’une après l’autre."""
    return x.reshape((math.prod(op.batch(x.shape)), *op.image(x.shape)))


def _can(node):
    """Les tableaux et le résultat ont-ils un même dtype, qui a des noyaux ?"""
    dtype = node.outputs[0].dtype
    return {entry.dtype for entry in node.inputs if entry.ndim} == {dtype} and dtype in DTYPES


@device_kernel(Pool)
def pool_kernel(node):
    if not _can(node):
        return None
    op, run, lesson = node.op, _run(node, "x", _pool, "x", "out"), _lesson(node)

    def call(x):
        op.check(x.shape)
        shape = op.output_shape(x.shape)
        found = lesson(shape, x) if lesson else None
        return run(shape, x) if found is None else found

    return call


@device_kernel(PoolGrad, host=lambda node: tuple(range(1, len(node.inputs))))
def pool_grad_kernel(node):
    if not _can(node) or node.op.mode == "max":
        return None
    op, run = node.op, _run(node, "g", _grad, "out", "g")

    def call(g, *lengths):
        shape = (*op.batch(g.shape), *map(int, lengths))
        op.check_gradient(g.shape, shape)
        return run(shape, g)

    return call


@device_kernel(MaxPoolGrad)
def max_pool_grad_kernel(node):
    if not _can(node):
        return None
    op, run = node.op, _run(node, "xg", _max_grad, "x", "g")

    def call(x, g):
        op.check_gradient(g.shape, x.shape)
        return run(x.shape, x, g)

    return call


@device_kernel(MaxPoolPick)
def max_pool_pick_kernel(node):
    if not _can(node):
        return None
    op, run = node.op, _run(node, "xv", _pick, "x", "out")

    def call(x, v):
        op.check(x.shape)
        if x.shape != v.shape:
            op.perform(node, [np.empty(x.shape), np.empty(v.shape)], [[None]])  # lève l’erreur
        return run(op.output_shape(x.shape), x, v)

    return call


def _lesson(node):
    """Le pooling de la leçon 10, si cette op est le maximum de carrés qui pavent l’image.

    Ses axes d’un lancement sont (plan, ligne, colonne) ; il rend None pour trop d’images, ou pour
    des carrés incomplets.
    """
    op, dtype = node.op, node.outputs[0].dtype
    paving = op.stride == op.ws and not any(op.pad) and len(op.ws) == 2 and len({*op.ws}) == 1
    if op.mode != "max" or not paving or dtype not in ("float32", "float64"):
        return None
    side, word = machine().tile, f"{dtype}[:,:,:]"
    kernel = lesson_kernel(max_pool, (word, word, "int64"), (1, side, side))

    def call(shape, x):
        whole = op.image(shape) == tuple(
            n // w for n, w in zip(op.image(x.shape), op.ws, strict=True)
        )
        if not whole or math.prod(op.batch(shape)) > MOST:
            return None
        out = empty(shape, dtype)
        planes = _as_planes(op, out)
        kernel(planes.shape, planes, _as_planes(op, contiguous(x)), np.int64(op.ws[0]))
        return out

    return call
