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
from engine.gpu.kernels.positions import affine, indented, nested, unravelled, word_for
from engine.gpu.kernels.readable.pooling import max_pool
from engine.gpu.kernels.registry import device_kernel
from engine.ops.pool import MaxPoolGrad, MaxPoolPick, Pool, PoolGrad


class _Windows:
    """Les lignes d’un noyau : i est une fenêtre, h un de ses pixels, k celui que tient le fil.

    Paramètres
        batch : les noms des indices d’avant l’image.
        word : le type des indices (voir `positions`).
        image, cells : le nom d’un tableau de la taille de l’image, et d’un autre de celle des
            fenêtres ; l’un des deux est « out », dont le fil tient un élément.
    """

    def __init__(self, op, dtype, batch, word, image, cells):
        self.op, self.dtype, self.batch, self.word = op, dtype, batch, word
        self.real, self.letter = widened(dtype), "i" if cells == "out" else "k"
        self.rows = [  # par axe : son rang, la fenêtre, son pas, son bord ; les deux longueurs
            (axis, *sizes, *(f"{name}.shape[{len(batch) + axis}]" for name in (image, cells)))
            for axis, sizes in enumerate(zip(op.ws, op.stride, op.pad, strict=True))
        ]

    def indices(self, letter):
        """Les noms des indices d’une case."""
        return [*self.batch, *(f"{letter}{axis}" for axis in range(len(self.op.axes)))]

    def place(self, array, letter):
        return f"{array}[{', '.join(self.indices(letter))}]"

    def read(self, array, letter):
        return loaded(self.place(array, letter), self.dtype)

    def write(self, value):
        """Ranger l’élément que tient le fil."""
        return f"{self.place('out', self.letter)} = {stored(value, self.dtype)}"

    def each_pixel(self, inside):
        """Parcourir les pixels de la fenêtre i qui sont dans l’image."""
        loops = []
        for axis, size, step, pad, length, _ in self.rows:
            given = f"h{axis} = {self.word}({affine(f'i{axis}', step, -pad)} + u{axis})"
            loops.append((f"u{axis}", size, [given], f"0 <= h{axis} < {length}"))
        return nested(loops, inside)

    def each_window(self, inside):
        """Parcourir les fenêtres où tombe le pixel k."""
        loops = []
        for axis, size, step, pad, _, count in self.rows:
            before, here = (affine(f"k{axis}", 1, shift) for shift in (pad - size, pad))
            first, stop = (
                f"max(({before}) // {step} + 1, 0)",
                f"min(({here}) // {step} + 1, {count})",
            )
            loops.append((f"v{axis}", f"{first}, {stop}", [f"i{axis} = {self.word}(v{axis})"], ""))
        return nested(loops, inside)

    def first_maximum(self):
        """Le premier maximum de la fenêtre i, `best`, et sa place, `at`."""
        axes = range(len(self.op.axes))
        return [
            f"best, known = {self.real}(0), False",
            *(f"at{axis} = {self.word}(0)" for axis in axes),
            *self.each_pixel([
                f"item = {self.read('x', 'h')}",
                "if not known or item > best or (item != item and best == best):",
                "    best, known = item, True",
                *(f"    at{axis} = h{axis}" for axis in axes),
            ]),
        ]  # fmt: skip

    def share(self):
        """Par quoi diviser la fenêtre i, selon le mode."""
        factors = []
        for axis, size, step, pad, length, _ in self.rows:
            low, high = (affine(f"i{axis}", step, shift) for shift in (-pad, size - pad))
            if self.op.mode == "average_inc_pad":
                factors.append(f"(min({high}, {length} + {pad}) - ({low}))")
            else:
                factors.append(f"(min({high}, {length}) - max({low}, 0))")
        return "1" if self.op.mode == "sum" else " * ".join(factors)


def _pool(windows):
    if windows.op.mode == "max":
        return [*windows.first_maximum(), windows.write("best")]
    real = windows.real
    total = windows.each_pixel([f"total += {windows.read('x', 'h')}"])
    mean = f"{real}(total / {real}({windows.share()}))"
    return [f"total = {real}(0)", *total, windows.write(mean)]


def _grad(windows):
    real = windows.real
    share = f"{real}({windows.read('g', 'i')} / {real}({windows.share()}))"
    loops = windows.each_window([f"given += {share}"])
    return [f"given = {real}(0)", *loops, windows.write("given")]


def _max_grad(windows):
    here = " and ".join(f"at{axis} == k{axis}" for axis in range(len(windows.op.axes)))
    mine = [f"if {here}:", f"    given += {windows.read('g', 'i')}"]
    loops = windows.each_window([*windows.first_maximum(), *mine])
    return [f"given = {windows.real}(0)", *loops, windows.write("given")]


def _pick(windows):
    place = windows.place("v", "at")
    return [*windows.first_maximum(), f"{windows.place('out', 'i')} = {place}"]


def _run(node, names, lines_of, image, cells):
    """Le lancement : une fonction de la forme du résultat et des tableaux lus.

    Paramètres
        names : les noms de ces tableaux.
        lines_of : `_Windows` -> les lignes d’un fil.
        image, cells : voir `_Windows`.
    """
    op, dtype, ndim = node.op, node.outputs[0].dtype, node.outputs[0].ndim
    batch = [f"b{axis}" for axis in range(ndim - len(op.axes))]

    def run(shape, *given):
        out = empty(shape, dtype)
        word = word_for((max(x.size for x in (out, *given)),))
        windows = _Windows(op, dtype, batch, word, image, cells)
        lengths = [f"{word}(out.shape[{axis}])" for axis in range(1, ndim)]
        lines = [
            f"def kernel(out, {', '.join(names)}):",
            f"    t = {word}(cuda.grid(1))",
            "    if t < out.size:",
            *indented(unravelled("t", windows.indices(windows.letter), lengths, word), 2),
            *indented(lines_of(windows), 2),
        ]
        signature = (f"{dtype}[{', '.join([':'] * ndim)}]",) * (1 + len(given))
        kernel = make_kernel("pool", f"{op}, {dtype}", "\n".join(lines) + "\n", signature)
        kernel(out.size, out, *given)
        return out

    return run


def _can(node):
    """Les tableaux et le résultat ont-ils un même dtype, qui a des noyaux ?"""
    dtype = node.outputs[0].dtype
    return {entry.dtype for entry in node.inputs if entry.ndim} == {dtype} and dtype in DTYPES


@device_kernel(Pool, when=_can)
def pool_kernel(node):
    op, run, lesson = node.op, _run(node, "x", _pool, "x", "out"), _lesson(node)

    def call(x):
        op.check(x.shape)
        shape = op.output_shape(x.shape)
        found = lesson(shape, x) if lesson else None
        return run(shape, x) if found is None else found

    return call


@device_kernel(PoolGrad, host=lambda node: tuple(range(1, len(node.inputs))), when=_can)
def pool_grad_kernel(node):
    op, run = node.op, _run(node, "g", _grad, "out", "g")

    def call(g, *lengths):
        shape = (*op.batch(g.shape), *map(int, lengths))
        op.check_gradient(g.shape, shape)
        return run(shape, g)

    return call


@device_kernel(MaxPoolGrad, when=_can)
def max_pool_grad_kernel(node):
    op, run = node.op, _run(node, "xg", _max_grad, "x", "g")

    def call(x, g):
        op.check_gradient(g.shape, x.shape)
        return run(x.shape, x, g)

    return call


@device_kernel(MaxPoolPick, when=_can)
def max_pool_pick_kernel(node):
    op, run = node.op, _run(node, "xv", _pick, "x", "out")

    def call(x, v):
        op.check(x.shape)
        if x.shape != v.shape:
            op.perform(node, [np.empty(x.shape), np.empty(v.shape)], [[None]])  # lève l’erreur
        return run(op.output_shape(x.shape), x, v)

    return call


def _lesson(node):
    """Le pooling de la leçon 10, si cette op est le maximum de carrés qui pavent l’image.

    Ses axes d’un lancement sont (plan, ligne, colonne) ; il rend None pour trop d’images, des
    images éparses, ou des carrés incomplets.
    """
    op, dtype = node.op, node.outputs[0].dtype
    paving = op.stride == op.ws and not any(op.pad) and len(op.ws) == 2 and len({*op.ws}) == 1
    if op.mode != "max" or not paving or dtype not in ("float32", "float64"):
        return None
    side, word = machine().tile, f"{dtype}[:,:,:]"
    kernel = lesson_kernel(max_pool, (word, word, "int64"), (1, side, side))

    def call(shape, x):
        count = math.prod(op.batch(shape))
        whole = [n * w for n, w in zip(op.image(shape), op.ws, strict=True)]
        paved = all(n <= m for n, m in zip(whole, op.image(x.shape), strict=True))
        if not paved or count > MOST or not x.is_contiguous:
            return None
        out = empty(shape, dtype)
        planes, images = (a.reshape((count, *op.image(a.shape))) for a in (out, x))
        kernel(planes.shape, planes, images, np.int64(op.ws[0]))
        return out

    return call
