"""La convolution en deux dimensions et ses gradients sur le GPU : un fil, un élément du résultat.

Chaque fil rassemble ce dont son élément dépend, sans que deux fils écrivent au même endroit : les
pixels d’une fenêtre, les places qui ont vu un pixel, ou toutes les images pour un poids.

    out[b, o, i, j] = Σ x[b, c, i·s + u·d − p, j·s + v·d − p] w[o, c, u', v']

où (u', v') est (u, v), compté depuis la fin si le filtre est retourné.

Ordre de lecture : `_HEAD` (les longueurs), puis un noyau par op.
"""

import numpy as np

from engine.backends.cuda.arrays import empty
from engine.backends.cuda.compiling import make_kernel
from engine.backends.cuda.registry import device_kernel
from engine.backends.cuda.views import contiguous
from engine.ops.conv import Convolution, ConvolutionGradFilters, ConvolutionGradInputs

_NUMBERS = "nb no nc nh nw kh kw oh ow p0 p1".split()

_FORWARD = """    j = r % ow
    r = r // ow
    i = r % oh
    r = r // oh
    o = r % no
    b = r // no
    for c in range(nc):
        for u in range(kh):
            h = i * {s0} + u * {d0} - p0
            if h >= 0 and h < nh:
                for v in range(kw):
                    w_ = j * {s1} + v * {d1} - p1
                    if w_ >= 0 and w_ < nw:
                        p = ((b * nc + c) * nh + h) * nw + w_
                        q = ((o * nc + c) * kh + {u}) * kw + {v}
                        total += x[p] * w[q]
"""
_INPUTS = """    w_ = r % nw
    r = r // nw
    h = r % nh
    r = r // nh
    c = r % nc
    b = r // nc
    for u in range(kh):
        i = h + p0 - u * {d0}
        if i >= 0 and i % {s0} == 0 and i // {s0} < oh:
            for v in range(kw):
                j = w_ + p1 - v * {d1}
                if j >= 0 and j % {s1} == 0 and j // {s1} < ow:
                    for o in range(no):
                        p = ((b * no + o) * oh + i // {s0}) * ow + j // {s1}
                        q = ((o * nc + c) * kh + {u}) * kw + {v}
                        total += g[p] * w[q]
"""
_FILTERS = """    v = r % kw
    r = r // kw
    u = r % kh
    r = r // kh
    c = r % nc
    o = r // nc
    for b in range(nb):
        for i in range(oh):
            h = i * {s0} + {u} * {d0} - p0
            if h >= 0 and h < nh:
                for j in range(ow):
                    w_ = j * {s1} + {v} * {d1} - p1
                    if w_ >= 0 and w_ < nw:
                        p = ((b * nc + c) * nh + h) * nw + w_
                        q = ((b * no + o) * oh + i) * ow + j
                        total += x[p] * g[q]
"""


def _make(node, names, action):
    """La fonction qui lance le noyau : (résultat, tableaux, longueurs), ou None."""
    op, dtype = node.op, node.outputs[0].dtype
    arrays = node.inputs[:2]
    if len(op.axes) != 2 or {entry.dtype for entry in arrays} != {dtype}:
        return None
    if dtype not in ("float32", "float64"):
        return None
    (s0, s1), (d0, d1) = op.subsample, op.filter_dilation
    u, v = ("(kh - 1 - u)", "(kw - 1 - v)") if op.filter_flip else ("u", "v")
    text = action.format(s0=s0, s1=s1, d0=d0, d1=d1, u=u, v=v)
    body = (
        f"def kernel(out, {', '.join(names)}, n, {', '.join(_NUMBERS)}):\n"
        f"    t = cuda.grid(1)\n    r = int64(t)\n    total = {dtype}(0.0)\n    if t < n:\n"
        + "".join(f"    {line}\n" for line in text.splitlines())
        + "        out[t] = total\n"
    )
    signature = (*[f"{dtype}*"] * 3, "uint32", *["int64"] * len(_NUMBERS))
    compiled = make_kernel("conv", str(op), body, signature)

    def run(shape, first, second, x_shape, w_shape, g_shape):
        out = empty(shape, dtype)
        before = [op.padding(k, axis)[0] for axis, k in enumerate(w_shape[2:])]
        numbers = (x_shape[0], w_shape[0], x_shape[1], *x_shape[2:], *w_shape[2:], *g_shape[2:])
        compiled(
            out.size, out, contiguous(first), contiguous(second), np.uint32(out.size),
            *map(np.int64, (*numbers, *before)),
        )  # fmt: skip
        return out

    return run


@device_kernel(Convolution)
def convolution_kernel(node):
    run, op = _make(node, "xw", _FORWARD), node.op

    def call(x, w):
        op.check(x.shape, w.shape)
        shape = op.output_shape(x.shape, w.shape)
        return run(shape, x, w, x.shape, w.shape, shape)

    return run and call


def _lengths(node):
    return tuple(range(2, len(node.inputs)))


@device_kernel(ConvolutionGradInputs, host=_lengths)
def grad_inputs_kernel(node):
    run, op = _make(node, "wg", _INPUTS), node.op

    def call(w, g, *lengths):
        shape = op.result_shape(w.shape, g.shape, *map(int, lengths))
        op.check_gradient(g.shape, shape, w.shape)
        return run(shape, w, g, shape, w.shape, g.shape)

    return run and call


@device_kernel(ConvolutionGradFilters, host=_lengths)
def grad_filters_kernel(node):
    run, op = _make(node, "xg", _FILTERS), node.op

    def call(x, g, *lengths):
        shape = op.result_shape(x.shape, g.shape, *map(int, lengths))
        op.check_gradient(g.shape, x.shape, shape)
        return run(shape, x, g, x.shape, shape, g.shape)

    return run and call
