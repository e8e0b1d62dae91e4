"""La convolution et ses deux gradients sur le GPU : trois niveaux de lecture.

- lisible : le noyau de la leçon 10, pour une convolution sans bords ni pas ;
- général (`any_convolutions`) : tous les réglages, un fil par résultat ;
- rapide (`direct_convolutions`, `filter_gradients`) : un pas et une dilatation de 1, par tuiles.

Un noyau rapide est écrit pour des longueurs données, à leur premier appel ; seul le nombre d’images
y reste libre.

Ordre de lecture : une fabrique par op, puis `_general`, `direct`, `correlation`, et `_lesson`.
"""

import functools
import math

import numpy as np

from engine.core.dtypes import HALVES, widened
from engine.gpu.kernels.any_convolutions import filters, forward, inputs, lengths_of, sum_text
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.direct_convolutions import QUAD, Direct, tile_for
from engine.gpu.kernels.direct_texts import direct_text
from engine.gpu.kernels.filter_gradients import Correlation, share_for, slices
from engine.gpu.kernels.filter_texts import correlation_text, union_text
from engine.gpu.kernels.geometry import MOST
from engine.gpu.kernels.lessons import lesson_kernel
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import NARROW, WIDE
from engine.gpu.kernels.readable.convolutions import convolve
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.spatial import SIGNED
from engine.gpu.kernels.tiers import choose
from engine.gpu.kernels.views import contiguous
from engine.ops.conv import Convolution, ConvolutionGradFilters, ConvolutionGradInputs

DTYPES = ("float32", "float64", *HALVES)
_REACH = 2**31


@device_kernel(Convolution)
def convolution_kernel(node):
    op, dtype = node.op, _dtype(node)
    if dtype is None:
        return None
    general = _general(op, dtype, forward)

    def readable(x, w, shape):
        if _fits_lesson(op, dtype, shape):
            return _lesson(dtype, x, w, shape)
        return general(shape, x, w, x.shape, w.shape, shape)

    launch = choose(fast=_fast(op, functools.partial(_forward, op, dtype)), readable=readable)

    def call(x, w):
        op.check(x.shape, w.shape)
        return launch(x, w, op.output_shape(x.shape, w.shape))

    call.tier = launch.tier
    return call


def _lengths(node):
    return tuple(range(2, len(node.inputs)))


@device_kernel(ConvolutionGradInputs, host=_lengths)
def grad_inputs_kernel(node):
    op, dtype = node.op, _dtype(node)
    if dtype is None:
        return None
    general = _general(op, dtype, inputs)

    def readable(w, g, shape):
        return general(shape, w, g, shape, w.shape, g.shape)

    launch = choose(fast=_fast(op, functools.partial(_inputs, op, dtype)), readable=readable)

    def call(w, g, *lengths):
        shape = op.result_shape(w.shape, g.shape, *map(int, lengths))
        op.check_gradient(g.shape, shape, w.shape)
        return launch(w, g, shape)

    call.tier = launch.tier
    return call


@device_kernel(ConvolutionGradFilters, host=_lengths)
def grad_filters_kernel(node):
    op, dtype = node.op, _dtype(node)
    if dtype is None:
        return None
    general = _general(op, dtype, filters)

    def readable(x, g, shape):
        return general(shape, x, g, x.shape, shape, g.shape)

    launch = choose(fast=_fast(op, functools.partial(_filters, op, dtype)), readable=readable)

    def call(x, g, *lengths):
        shape = op.result_shape(x.shape, g.shape, *map(int, lengths))
        op.check_gradient(g.shape, x.shape, shape)
        return launch(x, g, shape)

    call.tier = launch.tier
    return call


def _dtype(node):
    """Le dtype commun des deux tableaux et du résultat, s’il a des noyaux."""
    dtype = node.outputs[0].dtype
    same = {entry.dtype for entry in node.inputs[:2]} == {dtype}
    return dtype if same and dtype in DTYPES else None


def _fast(op, function):
    """Le niveau rapide, ou la raison de son absence."""
    if len(op.axes) != 2:
        return "trois axes d'image"
    if {*op.subsample, *op.filter_dilation} != {1}:
        return "un pas ou une dilatation"
    return function


# ---- général -----------------------------------------------------------------------------


def _general(op, dtype, make):
    """Le lancement d’un noyau général : (forme, deux tableaux, formes de x, de w et de g)."""

    def run(shape, first, second, x_shape, w_shape, g_shape):
        out = empty(shape, dtype)
        word = NARROW if max(map(math.prod, (x_shape, w_shape, g_shape))) < _REACH else WIDE
        names = lengths_of(op)
        signature = (*[f"{dtype}*"] * 3, word, *[SIGNED[word]] * len(names))
        body = sum_text(op, make, dtype, word)
        compiled = make_kernel("conv", f"{op}, {dtype}", body, signature)
        before = [op.padding(k, axis)[0] for axis, k in enumerate(w_shape[2:])]
        numbers = (x_shape[0], w_shape[0], x_shape[1], *x_shape[2:], *w_shape[2:], *g_shape[2:])
        signed = np.dtype(SIGNED[word]).type
        compiled(
            out.size, out, contiguous(first), contiguous(second), np.dtype(word).type(out.size),
            *map(signed, (*numbers, *before)),
        )  # fmt: skip
        return out

    return run


# ---- rapide ------------------------------------------------------------------------------


def _forward(op, dtype, x, w, shape):
    work = forward_work(op, dtype, x, w.shape, shape)
    return direct(work, contiguous(x), contiguous(w), shape)


def forward_work(op, dtype, x, w_shape, shape):
    """La convolution de x, telle que la décrit le niveau rapide."""
    taps = math.prod(w_shape[2:])
    return Direct(
        dtype, x.shape[1], tuple(x.shape[2:]), w_shape[0], tuple(shape[2:]), tuple(w_shape[2:]),
        tuple(op.padding(k, axis)[0] for axis, k in enumerate(w_shape[2:])),
        w_shape[1] * taps, taps, op.filter_flip, is_aligned(x),
    )  # fmt: skip


def _inputs(op, dtype, w, g, shape):
    kernel = tuple(w.shape[2:])
    taps = math.prod(kernel)
    before = tuple(k - 1 - op.padding(k, axis)[0] for axis, k in enumerate(kernel))
    if min(before) < 0:
        return None  # des bords plus larges que le filtre : certains zéros n’ont vu aucun pixel
    g = contiguous(g)
    work = Direct(
        dtype, w.shape[0], tuple(g.shape[2:]), w.shape[1], tuple(shape[2:]), kernel, before,
        taps, w.shape[1] * taps, not op.filter_flip, is_aligned(g),
    )  # fmt: skip
    return direct(work, g, contiguous(w), shape)


def direct(work, x, w, shape):
    """La convolution par tuiles de registres ; None si elle ne tient pas."""
    kernel, tile = direct_kernel(work)
    if kernel is None or max(math.prod(shape), x.size, w.size) >= _REACH:
        return None
    out = empty(shape, work.dtype)
    if not out.size:
        return out
    if not x.size or not w.size:
        return None
    blocks = math.prod(tile.blocks(work)) * -(-shape[0] // tile.images)
    kernel.launch(blocks, out, x, w, np.uint32(shape[0]))
    return out


def direct_kernel(work):
    """Le noyau d’une convolution et sa tuile, ou deux fois None."""
    text, tile = _direct_text(work, machine().block)
    if tile is None:
        return None, None
    arrays = [f"{work.dtype}*"] * 3
    arrays += [f"{work.dtype}*", "uint8*"] if work.pooled else []
    doc = f"convolution par tuiles, {work.channels}, {work.image} par {work.filters}, {work.kernel}"
    return make_kernel("conv_tiles", doc, text, (*arrays, "uint32"), tile.threads), tile


@functools.cache
def _direct_text(work, block):
    tile = tile_for(work, block) if all(work.places) else None
    return (None, None) if tile is None else (direct_text(work, tile), tile)


def is_aligned(x):
    """Les lignes d’images contiguës commencent-elles toutes sur un multiple de quatre éléments ?"""
    return x.shape[-1] % QUAD == 0 and x.offset % QUAD == 0


def _filters(op, dtype, x, g, shape):
    x, g = contiguous(x), contiguous(g)
    work = correlation_work(op, dtype, x, g, shape)
    return correlation(work, [x, g], shape)


def correlation_work(op, dtype, x, g, shape):
    """Le gradient des filtres, tel que le décrit le niveau rapide."""
    kernel = tuple(shape[2:])
    before = tuple(op.padding(k, axis)[0] for axis, k in enumerate(kernel))
    return Correlation(
        dtype, x.shape[1], tuple(x.shape[2:]), g.shape[1], tuple(g.shape[2:]), kernel, before,
        op.filter_flip, is_aligned(x) and is_aligned(g),
    )  # fmt: skip


def correlation(work, arrays, shape):
    """Le gradient des filtres par tuiles de registres, en deux passes ; None s’il ne tient pas.

    Paramètres
        arrays : x, g, et les rangs si g est donné par carrés ; contigus.
    """
    if max(array.size for array in arrays) >= _REACH or not all(array.size for array in arrays):
        return None
    count = arrays[0].shape[0]
    kernels = correlation_kernels(work, count)
    if kernels is None:
        return None
    first, second, share = kernels
    out = empty(shape, work.dtype)
    cut, each = slices(work, share, count)
    blocks = math.prod(share.blocks(work))
    size = blocks * share.totals(work) * share.couples
    parts = empty((cut * size,), widened(work.dtype))
    first.launch(cut * blocks, parts, *arrays, np.uint32(count), np.uint32(each))
    second(size, out, parts, np.uint32(cut))
    return out


def correlation_kernels(work, count):
    """Les deux noyaux d’un gradient des filtres et leur partage, pour `count` images ; ou None."""
    first, second, share = _correlation_texts(work, count, machine().block, machine().warp)
    if share is None:
        return None
    doc = f"{work.channels}, {work.image} par {work.filters}, {work.kernel}"
    doc += ", par carrés" if work.pooled else ""
    parts = f"{widened(work.dtype)}*"
    positions = ["uint8*"] if work.pooled else []
    arrays = (parts, f"{work.dtype}*", f"{work.dtype}*", *positions, "uint32", "uint32")
    return (
        make_kernel("conv_tiles", f"gradient des filtres, {doc}", first, arrays, share.threads),
        make_kernel(
            "conv_tiles", f"réunion des tranches, {doc}", second,
            (f"{work.dtype}*", parts, "uint32"),
        ),
        share,
    )  # fmt: skip


@functools.cache
def _correlation_texts(work, count, block, warp):
    share = share_for(work, count, block, warp)
    if share is None:
        return None, None, None
    return correlation_text(work, share), union_text(work, share), share


# ---- lisible -----------------------------------------------------------------------------


def _fits_lesson(op, dtype, shape):
    """Le noyau de la leçon sait-il faire ? Une convolution simple, filtres retournés."""
    plain = op.border_mode == "valid" and {*op.subsample, *op.filter_dilation} == {1}
    able = op.filter_flip and len(op.axes) == 2 and dtype not in HALVES
    return plain and able and shape[0] * shape[1] <= MOST


def _lesson(dtype, x, w, shape):
    """La convolution de la leçon 10 : les axes d’un lancement sont (plan, ligne, colonne)."""
    word = f"{dtype}[:,:,:,:]"
    side = machine().tile
    kernel = lesson_kernel(convolve, (word, word, word), (1, side, side))
    out = empty(shape, dtype)
    kernel((shape[0] * shape[1], shape[2], shape[3]), out, x, w)
    return out
