"""La convolution à deux dimensions et ses deux gradients, sans « im2col ».

Le lot est découpé en groupes de `LANES` images, rangées de sorte que le même pixel des images du
groupe soit contigu : (canaux, lignes, colonnes, images). Le processeur multiplie alors toutes les
images d’un groupe par le même poids en une instruction, quels que soient les filtres, et rien n’est
recopié par place du filtre. Les trois ops font la même somme de produits

    g[o, i, j] w[o, c, u, v] x[c, i·s + u·d, j·s + v·d]

et ne diffèrent que par celui des trois tableaux où elle s’accumule. Une tuile (quelques canaux,
quelques colonnes voisines) est écrite sans boucle : chaque valeur lue sert plusieurs fois. Les
groupes se partagent entre les fils.

Ordre de lecture : `_PACK` (ranger un groupe), `tiles` (la tuile), `_FORWARD`,
`_INPUTS`, `_FILTERS`, `_Plan`.

Référence : E. Georganas et al., « Anatomy of high-performance deep learning convolutions on SIMD
architectures », SC 2018.
"""

import inspect

import numpy as np
from llvmlite import binding
from numba import types

from engine.backends.numba import tiles
from engine.backends.numba.compiling import compile_kernel, contiguous, numba_dtype
from engine.backends.numba.threads import run_parts, slices
from engine.core.contract import perform_call
from engine.core.registry import kernel
from engine.ops.conv import Convolution, ConvolutionGradFilters, ConvolutionGradInputs

_VECTOR = 64 if binding.get_host_cpu_features().get("avx512f") else 32  # octets
LANES = {"float32": _VECTOR // 4, "float64": _VECTOR // 8}
MAX_WIDTH = 11  # au-delà, une tuile serait trop longue à compiler
_FLAGS = "'contract', 'reassoc', 'nsz'"
MIN_BATCH = 6  # au-dessous, trop d’images du groupe manqueraient

# Du tableau (lot, canaux, hauteur, largeur) au groupe (tuile, ligne, colonne, canal, image).
_PACK = """def kernel(
    x, block, start, many, channels, height, width, rows, columns, top, left, tile
):
    image = channels * height * width
    for c in range(channels):
        for r in range(height):
            source = start * image + (c * height + r) * width
            line = ((c // tile) * rows + top + r) * columns + left
            for q in range(width):
                target = ((line + q) * tile + c % tile) * LANES
                for n in range(many):
                    block[target + n] = x[source + n * image + q]
                for n in range(many, LANES):
                    block[target + n] = 0
"""
_NUMBERS = (
    "channels, height, width, filters, out_height, out_width, kernel_height, rows, columns, "
    "out_columns, top, left, stride, dilation"
)
_HEAD = "def kernel({arrays}, start, many, numbers):\n" + "".join(
    f"    {name} = numbers[{k}]\n" for k, name in enumerate(_NUMBERS.split(", "))
)
_FORWARD = """\
    for tile in range((filters + TILE - ONE) // TILE):
        for i in range(out_height):
            for j in range(ZERO, out_width, STEP):
                for k in range(TILE * STEP * LANES):
                    sums[k] = 0
                for c in range(channels):
                    for u in range(kernel_height):
                        r = c * rows + i * stride + u * dilation
                        p = (r * columns + j * {sx}) * LANES
                        q = ((tile * channels + c) * kernel_height + u) * TAPS
                        products(block, p, w, q, sums, ZERO)
                for n in range(many):
                    for t in range(min(TILE, filters - tile * TILE)):
                        o = (start + n) * filters + tile * TILE + t
                        o = (o * out_height + i) * out_width
                        for k in range(min(STEP, out_width - j)):
                            out[o + j + k] = sums[(t * STEP + k) * LANES + n]
"""
_INPUTS = """\
    for tile in range((channels + TILE - ONE) // TILE):
        for r in range(height):
            for k in range(columns * TILE * LANES):
                sums[k] = 0
            for o in range(filters):
                for u in range(kernel_height):
                    if top + r < u * dilation:
                        continue
                    i = (top + r - u * dilation) // stride
                    if i >= out_height or i * stride + u * dilation != top + r:
                        continue
                    q = ((tile * filters + o) * kernel_height + u) * TAPS
                    for j in range(ZERO, out_width, STEP):
                        p = ((o * out_height + i) * out_columns + j) * LANES
                        products(block, p, w, q, sums, j * {sx} * TILE * LANES)
            for n in range(many):
                for t in range(min(TILE, channels - tile * TILE)):
                    o = (((start + n) * channels + tile * TILE + t) * height + r) * width
                    for k in range(width):
                        out[o + k] = sums[((left + k) * TILE + t) * LANES + n]
"""
_FILTERS = """\
    for tile in range((filters + TILE - ONE) // TILE):
        for c in range(channels):
            for u in range(kernel_height):
                for k in range(TAPS * LANES):
                    sums[k] = 0
                for i in range(out_height):
                    for j in range(ZERO, out_width, STEP):
                        r = c * rows + i * stride + u * dilation
                        p = (r * columns + j * {sx}) * LANES
                        q = ((tile * out_height + i) * out_columns + j) * TILE * LANES
                        products(block, p, other, q, sums, ZERO)
                o = ((tile * channels + c) * kernel_height + u) * TAPS
                for k in range(TAPS):
                    total = {dtype}(0)
                    for n in range(LANES):
                        total += sums[k * LANES + n]
                    out[o + k] += total
"""


def _number(n):
    return f"uint64({n})"


_TEXTS = {
    Convolution: ("out", "block, sums, w, out", _FORWARD),
    ConvolutionGradInputs: ("x", "block, sums, w, out", _INPUTS),
    ConvolutionGradFilters: ("w", "block, other, sums, out", _FILTERS),
}


def packing_kernel(dtype):
    """Le noyau qui range un groupe d’images."""
    body = f"{_PACK}\n\nLANES = {_number(LANES[dtype])}\n"
    read, write = _flat(dtype, readonly=True), _flat(dtype)
    signature = (read, write, *[types.uint64] * 10)
    return compile_kernel("pack", "Ranger un groupe d’images.", body, signature, nogil=True)


def compiled_kernel(kind, tile, step, width, sx, dx, dtype):
    """Le noyau d’un op, pour une tuile, une largeur de filtre et un pas dans la ligne."""
    lanes = LANES[dtype]
    summed, arrays, text = _TEXTS[kind]
    names = {"LANES": lanes, "TILE": tile, "STEP": step, "TAPS": tile * width, "ZERO": 0, "ONE": 1}
    settings = "".join(f"{name} = {_number(value)}\n" for name, value in names.items())
    call = f"products = tile_products({summed!r}, {tile}, {step}, {width}, {sx}, {dx}, {lanes})\n"
    body = (
        _HEAD.format(arrays=arrays)
        + text.format(sx=_number(sx), dtype=dtype)
        + "\n\n"
        + inspect.getsource(tiles)
        + f"\n\n{call}{settings}"
    )
    read, write = _flat(dtype, readonly=True), _flat(dtype)
    third = write if kind is ConvolutionGradFilters else read
    signature = (write, write, third, write, *[types.uint64] * 2, _flat("uint64", readonly=True))
    return compile_kernel("conv", kind.__name__, body, signature, _FLAGS, nogil=True)


def _flat(dtype, readonly=False):
    return types.Array(numba_dtype(dtype), 1, "C", readonly=readonly)


def fitting(length, most):
    """La longueur de tuile, de 1 à `most`, qui couvre `length` à moindres frais."""
    return min(range(1, most + 1), key=lambda n: (-(-length // n) * (n + 1), abs(n - 4)))


def aligned(size, dtype):
    """Des zéros dont le premier est au début d’une ligne de cache."""
    dtype = np.dtype(dtype)
    raw = np.zeros(size * dtype.itemsize + 64, "uint8")
    start = -raw.ctypes.data % 64
    return raw[start : start + size * dtype.itemsize].view(dtype)


def tiled(w, tile):
    """Les filtres en tuiles : (tuile, canal, ligne, colonne, filtre de la tuile)."""
    tiles = -(-len(w) // tile)
    padded = np.zeros((tiles * tile, *w.shape[1:]), w.dtype)
    padded[: len(w)] = w
    split = padded.reshape(tiles, tile, *w.shape[1:])
    return np.ascontiguousarray(split.transpose(0, 2, 3, 4, 1)).reshape(-1)


def untiled(flat, shape, tile):
    """L’inverse de `tiled`."""
    split = flat.reshape(-1, *shape[1:], tile).transpose(0, 4, 1, 2, 3)
    return split.reshape(-1, *shape[1:])[: shape[0]]


class _Plan:
    """Ce qu’un nœud garde pour des formes données : noyau, tuiles, nombres, mémoire de travail."""

    def __init__(self, op, x_shape, w_shape, dtype):
        (batch, channels, height, width), (filters, _, kh, kw) = x_shape, w_shape
        _, _, out_height, out_width = self.g_shape = op.output_shape(x_shape, w_shape)
        (sy, sx), (dy, dx) = op.subsample, op.filter_dilation
        (top, bottom), (left, _) = op.padding(kh, 0), op.padding(kw, 1)
        lanes, kind = LANES[dtype], type(op)
        inputs = kind is ConvolutionGradInputs
        self.tile = fitting(channels if inputs else filters, 5)
        step = fitting(out_width, 8 if inputs else 5)
        self.pack, self.kernel = (
            packing_kernel(dtype),
            compiled_kernel(kind, self.tile, step, kw, sx, dx, dtype),
        )
        out_columns = -(-out_width // step) * step
        columns = max((out_columns - 1) * sx + (kw - 1) * dx + 1, left + width)
        rows = top + height + bottom
        self.parts = slices(-(-batch // lanes))
        self.batch, self.lanes = batch, lanes
        self.numbers = np.array(
            [
                channels, height, width, filters, out_height, out_width, kh, rows, columns,
                out_columns, top, left, sy, dy,
            ],
            "uint64",
        )  # fmt: skip
        tiles = -(-filters // self.tile)
        seen = channels * rows * columns * lanes
        received = out_height * out_columns * lanes
        image = (channels, height, width, rows, columns, top, left, 1)
        output = (filters, out_height, out_width, out_height, out_columns, 0, 0)
        self.packed, sizes = {
            Convolution: ([image], [seen, self.tile * step * lanes]),
            ConvolutionGradInputs: (
                [(*output, 1)],
                [filters * received, columns * self.tile * lanes],
            ),
            ConvolutionGradFilters: (
                [image, (*output, self.tile)],
                [
                    seen,
                    tiles * self.tile * received,
                    self.tile * kw * lanes,
                    tiles * self.tile * channels * kh * kw,
                ],
            ),
        }[kind]
        self.work = [[aligned(size, dtype) for size in sizes] for _ in self.parts]

    def run(self, packed, *others):
        """Range les groupes des tableaux `packed` et lance le noyau, une tranche par fil."""

        def run_groups(work, first, last):
            for start in range(first * self.lanes, last * self.lanes, self.lanes):
                many = min(self.lanes, self.batch - start)
                for array, block, numbers in zip(packed, work, self.packed, strict=False):
                    self.pack(array, block, start, many, *numbers)
                self.kernel(*work, *others, start, many, self.numbers)

        parts = zip(self.work, self.parts, strict=True)
        run_parts(run_groups, [(work, *part) for work, part in parts])


def convolution_kernel(node, reuse):
    """Les trois ops, à deux dimensions, en float32 et float64."""
    (out,), arrays, op = node.outputs, node.inputs[:2], node.op
    if out.dtype not in LANES or any(v.dtype != out.dtype for v in arrays) or len(op.axes) != 2:
        return None
    kind, slow, plans, dtype = type(op), perform_call(node), {}, out.type.numpy_dtype
    memory = [np.empty(0, dtype)]

    def call(first, second, *lengths):
        if kind is Convolution:
            x_shape, w_shape = first.shape, second.shape
        elif kind is ConvolutionGradInputs:
            x_shape, w_shape = (len(second), first.shape[1], *map(int, lengths)), first.shape
        else:
            x_shape, w_shape = first.shape, (second.shape[1], first.shape[1], *map(int, lengths))
        plan = plans.get((x_shape, w_shape))
        if plan is None:
            if x_shape[0] < MIN_BATCH or w_shape[3] > MAX_WIDTH or 0 in x_shape + w_shape:
                return slow(first, second, *lengths)
            op.check(x_shape, w_shape)
            plan = plans[x_shape, w_shape] = _Plan(op, x_shape, w_shape, out.dtype)
        if kind is not Convolution and second.shape != plan.g_shape:
            return slow(first, second, *lengths)  # lève l’erreur
        if kind is ConvolutionGradFilters:
            plan.run([contiguous(first).reshape(-1), contiguous(second).reshape(-1)])
            total = plan.work[0][-1]
            for work in plan.work[1:]:
                total += work[-1]
            result = np.ascontiguousarray(op.oriented(untiled(total, w_shape, plan.tile)))
            for work in plan.work:
                work[-1][...] = 0
            return result
        shape = plan.g_shape if kind is Convolution else x_shape
        result = memory[0]
        if not reuse or result.shape != shape:
            result = memory[0] = np.empty(shape, dtype)
        if kind is Convolution:
            x, w = first, op.oriented(second)
        else:
            x, w = second, op.oriented(first).transpose(1, 0, 2, 3)
        plan.run([contiguous(x).reshape(-1)], tiled(w, plan.tile), result.reshape(-1))
        return result

    return call


for _class in _TEXTS:
    kernel(_class, "numba")(convolution_kernel)
