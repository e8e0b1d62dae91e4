"""Les poolings à deux dimensions sur le GPU, et leurs gradients.

Un fil par fenêtre pour résumer, un fil par pixel pour rendre : un pixel retrouve les fenêtres qui
l’ont vu et, pour un maximum, s’il en est le premier. Personne n’écrit chez un autre.

Ordre de lecture : `_WINDOW` (le maximum d’une fenêtre), puis un noyau par op.
"""

import numpy as np

from engine.backends.cuda.arrays import empty
from engine.backends.cuda.compiling import make_kernel
from engine.backends.cuda.registry import device_kernel
from engine.backends.cuda.views import contiguous
from engine.ops.pool import MaxPoolGrad, MaxPoolPick, Pool, PoolGrad

# Le premier maximum `best` de la fenêtre (i, j) de l’image qui commence à `base`, et son rang.
_WINDOW = """{m}best = x[base]
{m}rank = int64(-1)
{m}for u in range({w0}):
{m}    h = i * {s0} + u - {p0}
{m}    if h >= 0 and h < nh:
{m}        for v in range({w1}):
{m}            k = j * {s1} + v - {p1}
{m}            if k >= 0 and k < nw:
{m}                item = x[base + h * nw + k]
{m}                if rank < 0 or item > best or (item != item and best == best):
{m}                    best = item
{m}                    rank = h * nw + k
"""
_TOTAL = """{m}total = {dtype}(0.0)
{m}for u in range({w0}):
{m}    h = i * {s0} + u - {p0}
{m}    if h >= 0 and h < nh:
{m}        for v in range({w1}):
{m}            k = j * {s1} + v - {p1}
{m}            if k >= 0 and k < nw:
{m}                total += x[base + h * nw + k]
"""
_EACH_WINDOW = """    j = r % ow
    r = r // ow
    i = r % oh
    base = (r // oh) * nh * nw
"""
# Les fenêtres (i, j) où tombe le pixel (h0, k0).
_EACH_PIXEL = """    k0 = r % nw
    r = r // nw
    h0 = r % nh
    image = r // nh
    base = image * nh * nw
    given = {dtype}(0.0)
    for i in range(max((h0 + {p0} - {w0}) // {s0} + 1, 0), min((h0 + {p0}) // {s0} + 1, oh)):
        for j in range(max((k0 + {p1} - {w1}) // {s1} + 1, 0), min((k0 + {p1}) // {s1} + 1, ow)):
"""
# Par quoi diviser la fenêtre (i, j), selon le mode.
_SHARES = {
    "sum": "1",
    "average_inc_pad": "(min(i * {s0} - {p0} + {w0}, nh + {p0}) - (i * {s0} - {p0}))"
    " * (min(j * {s1} - {p1} + {w1}, nw + {p1}) - (j * {s1} - {p1}))",
    "average_exc_pad": "(min(i * {s0} - {p0} + {w0}, nh) - max(i * {s0} - {p0}, 0))"
    " * (min(j * {s1} - {p1} + {w1}, nw) - max(j * {s1} - {p1}, 0))",
}


def _make(node, names, text, dtypes):
    """Le lancement du noyau de `text` ; None hors de son domaine."""
    op, dtype = node.op, node.outputs[0].dtype
    if len(op.axes) != 2 or dtype not in ("float32", "float64") or set(dtypes) != {dtype}:
        return None
    (w0, w1), (s0, s1), (p0, p1) = op.ws, op.stride, op.pad
    settings = dict(w0=w0, w1=w1, s0=s0, s1=s1, p0=p0, p1=p1, dtype=dtype)
    lines = text.format(**settings)
    body = (
        f"def kernel(out, {', '.join(names)}, n, nh, nw, oh, ow):\n"
        "    t = cuda.grid(1)\n    r = int64(t)\n    if t < n:\n"
        + "".join(f"    {line}\n" for line in lines.splitlines())
    )
    signature = (*[f"{dtype}*"] * (1 + len(names)), "uint32", *["int64"] * 4)
    compiled = make_kernel("pool", str(op), body, signature)

    def run(shape, arrays, image, windows):
        out = empty(shape, dtype)
        numbers = map(np.int64, (*image, *windows))
        compiled(out.size, out, *map(contiguous, arrays), np.uint32(out.size), *numbers)
        return out

    return run


def _window(margin, template=_WINDOW):
    return template.replace("{m}", margin)


@device_kernel(Pool)
def pool_kernel(node):
    op = node.op
    if op.mode == "max":
        text = _EACH_WINDOW + _window("    ") + "    out[t] = best\n"
    else:
        share = _SHARES[op.mode]
        text = _EACH_WINDOW + _window("    ", _TOTAL) + f"    out[t] = total / {{dtype}}({share})\n"
    run = _make(node, "x", text, [node.inputs[0].dtype])

    def call(x):
        op.check(x.shape)
        shape = op.output_shape(x.shape)
        return run(shape, [x], op.image(x.shape), op.image(shape))

    return run and call


@device_kernel(PoolGrad, host=lambda node: tuple(range(1, len(node.inputs))))
def pool_grad_kernel(node):
    op = node.op
    share = _SHARES.get(op.mode)
    if share is None:
        return None
    text = (
        _EACH_PIXEL
        + f"            given += g[(image * oh + i) * ow + j] / {{dtype}}({share})\n"
        + "    out[t] = given\n"
    )
    run = _make(node, "g", text, [node.inputs[0].dtype])

    def call(g, *lengths):
        shape = (*op.batch(g.shape), *map(int, lengths))
        op.check_gradient(g.shape, shape)
        return run(shape, [g], op.image(shape), op.image(g.shape))

    return run and call


@device_kernel(MaxPoolGrad)
def max_pool_grad_kernel(node):
    op = node.op
    text = (
        _EACH_PIXEL
        + _window("            ")
        + "            if rank == h0 * nw + k0:\n"
        + "                given += g[(image * oh + i) * ow + j]\n"
        + "    out[t] = given\n"
    )
    run = _make(node, "xg", text, [entry.dtype for entry in node.inputs])

    def call(x, g):
        op.check_gradient(g.shape, x.shape)
        return run(x.shape, [x, g], op.image(x.shape), op.image(g.shape))

    return run and call


@device_kernel(MaxPoolPick)
def max_pool_pick_kernel(node):
    op = node.op
    text = _EACH_WINDOW + _window("    ") + "    out[t] = v[base + rank]\n"
    text = text.replace("for v in", "for q in").replace("+ v -", "+ q -")
    run = _make(node, "xv", text, [entry.dtype for entry in node.inputs])

    def call(x, v):
        op.check(x.shape)
        if x.shape != v.shape:
            op.perform(node, [np.empty(x.shape), np.empty(v.shape)], [[None]])  # lève l’erreur
        shape = op.output_shape(x.shape)
        return run(shape, [x, v], op.image(x.shape), op.image(shape))

    return run and call
