"""Les poolings à deux dimensions et leurs gradients : deux boucles, fenêtres et pixels.

Les axes d’avant la hauteur et la largeur n’en font plus qu’un.
"""

import numpy as np
from numba import types

from engine.backends.numba.compiling import compile_kernel, contiguous, numba_dtype
from engine.backends.numba.threads import run_parts, slices
from engine.core.contract import perform_call
from engine.core.registry import kernel
from engine.ops.pool import MaxPoolGrad, MaxPoolPick, Pool, PoolGrad

MAX_POINTS = 16  # d’une fenêtre écrite sans boucle
MIN_SHARED = 1 << 15  # pixels à partir desquels les fils se partagent les images

# De quoi parcourir les fenêtres (i, j) et savoir quels pixels de l’image elles couvrent.
_LOOP = """def kernel({arguments}):
    height, width = {image}.shape[1], {image}.shape[2]
{zero}    for b in range({image}.shape[0]):
        for i in range({windows}.shape[1]):
            y = i * {sy} - {py}
            top, bottom = max(y, 0), min(y + {wy}, height)
            for j in range({windows}.shape[2]):
                x0 = j * {sx} - {px}
                left, right = max(x0, 0), min(x0 + {wx}, width)
{body}"""
_ZERO = """    for b in range(out.shape[0]):
        for u in range(height):
            for v in range(width):
                out[b, u, v] = 0
"""
_FIND = """                best, row, col = x[b, top, left], top, left
                for u in range(top, bottom):
                    for v in range(left, right):
                        value = x[b, u, v]
                        if value > best or (value != value and best == best):
                            best, row, col = value, u, v
"""
_COUNTS = {
    "sum": "1",
    "average_inc_pad": "(min(y + {wy}, height + {py}) - y) * (min(x0 + {wx}, width + {px}) - x0)",
    "average_exc_pad": "(bottom - top) * (right - left)",
}
_ADD = """                total = {dtype}(0)
                for u in range(top, bottom):
                    for v in range(left, right):
                        total += x[b, u, v]
                out[b, i, j] = total / {dtype}({count})
"""
_SHARE = """                share = g[b, i, j] / {dtype}({count})
                for u in range(top, bottom):
                    for v in range(left, right):
                        out[b, u, v] += share
"""
_MAXIMUM = _FIND + "                out[b, i, j] = best\n"
_GIVE = _FIND + "                out[b, row, col] += g[b, i, j]\n"
_PICK = _FIND + "                out[b, i, j] = picked[b, row, col]\n"
# op -> arguments, tableau de la taille de l’image, tableau des fenêtres, mise à zéro, corps
_KERNELS = {
    (Pool, True): ("x, out", "x", "out", "", _MAXIMUM),
    (Pool, False): ("x, out", "x", "out", "", _ADD),
    (PoolGrad, False): ("g, out", "out", "g", _ZERO, _SHARE),
    (MaxPoolGrad, True): ("x, g, out", "x", "g", _ZERO, _GIVE),
    (MaxPoolPick, True): ("x, picked, out", "x", "out", "", _PICK),
}


# Des fenêtres de maximum qui se touchent sans se couvrir : ni bord à chercher, ni test, et le
# gradient écrit chaque pixel une fois.
_TILED = """def kernel({arguments}):
    height, width = x.shape[1], x.shape[2]
{positions}    for b in range(x.shape[0]):
        for i in range({windows}.shape[1]):
            for j in range({windows}.shape[2]):
                best, position = x[b, i * {wy}, j * {wx}], int32(0)
{find}{write}"""
_COMPARE = """                value = x[b, i * {wy} + {u}, j * {wx} + {v}]
                better = (value > best) | ((value != value) & (best == best))
                best = value if better else best
                position = int32({position}) if better else position
"""
_GIVE_ROW = """            for j in range(g.shape[2]):
                share, position = g[b, i, j], positions[j]
"""
_GIVE_ONE = """                pixel = share if position == {position} else none
                out[b, i * {wy} + {u}, j * {wx} + {v}] = pixel
"""
_LEFTOVER = """            for u in range(i * {wy}, (i + 1) * {wy}):
                for v in range(g.shape[2] * {wx}, width):
                    out[b, u, v] = 0
        for u in range(g.shape[1] * {wy}, height):
            for v in range(width):
                out[b, u, v] = 0
"""


def _tiled_text(op, dtype):
    (wy, wx), given = op.ws, isinstance(op, MaxPoolGrad)
    rows = [
        [{"wy": wy, "wx": wx, "u": u, "v": v, "position": u * wx + v} for v in range(wx)]
        for u in range(wy)
    ]
    write = "                out[b, i, j] = best\n"
    if given:  # les rangs d’abord, puis une boucle par ligne de pixels : toutes se vectorisent
        write = f"                positions[j] = position\n            none = {dtype}(0)\n"
        write += "".join(
            _GIVE_ROW + "".join(_GIVE_ONE.format(**point) for point in row) for row in rows
        )
        write += _LEFTOVER.format(wy=wy, wx=wx)
    points = [point for row in rows for point in row]
    return _TILED.format(
        arguments="x, g, out" if given else "x, out",
        windows="g" if given else "out",
        positions="    positions = np.empty(g.shape[2], np.int32)\n" if given else "",
        find="".join(_COMPARE.format(**point) for point in points[1:]),
        write=write,
        wy=wy,
        wx=wx,
    )


def _tiles(op):
    """Vrai pour des maximums dont les fenêtres pavent l’image."""
    return (
        isinstance(op, Pool | MaxPoolGrad)
        and (op.mode, op.stride, op.pad, op.ignore_border) == ("max", op.ws, (0, 0), True)
        and op.ws[0] * op.ws[1] <= MAX_POINTS
    )


def _text(op, dtype):
    if _tiles(op):
        return _tiled_text(op, dtype)
    arguments, image, windows, zero, body = _KERNELS[type(op), op.mode == "max"]
    numbers = {
        f"{name}{axis}": value
        for name, pair in (("w", op.ws), ("s", op.stride), ("p", op.pad))
        for axis, value in zip("yx", pair, strict=True)
    }
    count = _COUNTS.get(op.mode, "").format(**numbers)
    body = body.format(dtype=dtype, count=count)
    return _LOOP.format(
        arguments=arguments, image=image, windows=windows, zero=zero, body=body, **numbers
    )


def _result_shape(op, inputs):
    """La forme du résultat, après les vérifications de `perform` ; None : NumPy dira pourquoi."""
    shape = inputs[0].shape
    if isinstance(op, PoolGrad):
        image = (*shape[:-2], *map(int, inputs[1:]))
        return image if shape == op.output_shape(image) else None
    if isinstance(op, MaxPoolGrad):
        return shape if inputs[1].shape == op.output_shape(shape) else None
    if isinstance(op, MaxPoolPick) and inputs[1].shape != shape:
        return None
    return op.output_shape(shape)


def pooling_kernel(node, reuse):
    """Les quatre ops, en float32 et float64, pour des fenêtres à deux dimensions."""
    (out,) = node.outputs
    if len(node.op.ws) != 2:
        return None
    arrays = [entry for entry in node.inputs if entry.ndim]
    if out.dtype not in ("float32", "float64") or any(v.dtype != out.dtype for v in arrays):
        return None
    op, n_arrays, dtype = node.op, len(arrays), out.type.numpy_dtype
    signature = (
        *[types.Array(numba_dtype(out.dtype), 3, "C", readonly=True)] * n_arrays,
        types.Array(numba_dtype(out.dtype), 3, "C"),
    )
    compiled = compile_kernel("pool", str(op), _text(op, out.dtype), signature, nogil=True)
    slow, memory = perform_call(node), [np.empty(0, dtype)]

    def call(*inputs):
        shape = _result_shape(op, inputs)
        if shape is None or 0 in shape or 0 in [x.size for x in inputs[:n_arrays]]:
            return slow(*inputs)
        result = memory[0]
        if not reuse or result.shape != shape:
            result = memory[0] = np.empty(shape, dtype)
        flat = [contiguous(x).reshape(-1, *x.shape[-2:]) for x in (*inputs[:n_arrays], result)]
        images = len(flat[0])
        least = max(1, images * MIN_SHARED // max(inputs[0].size, result.size))
        run_parts(compiled, [[x[a:b] for x in flat] for a, b in slices(images, least)])
        return result

    return call


for _class in (Pool, PoolGrad, MaxPoolGrad, MaxPoolPick):
    kernel(_class, "numba")(pooling_kernel)
