"""La vraisemblance d’un softmax et son gradient sur le GPU : une ligne lue une fois.

Un groupe de fils par ligne (voir `rows`) : le maximum, la somme des exponentielles, la valeur de la
ligne, et sa dérivée écrite avant que les registres ne l’oublient. Une étiquette hors des classes
se note comme un indice hors du tableau.

Ordre de lecture : `likelihood_kernel`, `_make`, `_with_labels`, `_with_distribution`.
"""

from functools import cache, partial

import numpy as np

from engine.core.dtypes import widened
from engine.core.errors import ShapeError
from engine.gpu.compiling.likelihood import LogLikelihood
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.faults import NOTE, Site
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.rows import (
    WORDS,
    body,
    each_held,
    fold,
    header,
    load,
    online,
    rows_for,
    sweep,
    write,
)
from engine.gpu.kernels.softmaxes import KINDS, is_aligned
from engine.gpu.kernels.tiers import choose
from engine.gpu.kernels.views import contiguous
from engine.gpu.kernels.writing import spread

_REACH = 2**31  # éléments au-delà desquels les places ne tiennent plus en 32 bits


@device_kernel(LogLikelihood)
def likelihood_kernel(node):
    z, target, *received = node.inputs
    labels = target.dtype in ("int32", "int64")
    if z.dtype not in KINDS or any(g.dtype != z.dtype for g in received):
        return None
    if not labels and target.dtype != z.dtype:
        return None
    site, gradient = Site(node), node.op.gradient
    make = cache(partial(_make, z.dtype, target.dtype, gradient))

    def call(z, target, *received):
        if not labels:
            shape = np.broadcast_shapes(z.shape, target.shape)
            z, target = spread(z, shape), spread(target, shape)
        z, target = contiguous(z), contiguous(target)
        (m, n), count = z.shape, len(target)
        if count > m:
            raise ShapeError(
                "étiquettes impossibles", expected=f"au plus {m} étiquettes",
                received=f"{count} étiquettes",
            )  # fmt: skip
        if z.size >= _REACH:
            raise ShapeError("vraisemblance : trop d'éléments", expected=f"moins de {_REACH}",
                             received=str(z.size))  # fmt: skip
        out = empty((count,), z.dtype)
        dz = empty(z.shape, z.dtype) if gradient else out
        weight = received[0] if gradient else out
        held = [z] if labels else [z, target]
        rows = rows_for(n, is_aligned(dz, *held), z.dtype, len(held))
        step = weight.strides[0] if gradient and weight.ndim and len(weight) > 1 else 0
        done = m if gradient else count
        if done and n:
            rows.launch(make(rows.text), done, n, out, dz, z, target, weight, np.int32(step),
                        np.uint32(count), *site.arm(z.shape))  # fmt: skip
        return [out, dz] if gradient else out

    return choose(fast=call)


def _make(dtype, target, gradient, rows):
    labels = target.startswith("int")
    lines = [f"ONE = {widened(dtype)}(1)", *header(dtype)]
    lines += (_with_labels if labels else _with_distribution)(dtype, gradient, rows)
    names = ["out", "dz", "z_", "y_", "g_", "step", "count", "wrong", "site"]
    words = (*[f"{dtype}*"] * 3, f"{target}*", f"{dtype}*", "int32", "uint32", "int64*", "int64")
    doc = f"vraisemblance{' et gradient' if gradient else ''}, cible {target} : {dtype}"
    return make_kernel("likelihood", doc, body(names, lines), (*words, *WORDS),
                       machine().reduction_block)  # fmt: skip


def _weight(dtype):
    return ["weight = ZERO", "if row < count:", f"    weight = {loaded('g_[row * step]', dtype)}"]


def _with_labels(dtype, gradient, rows):
    """La ligne ne compte que par son étiquette : t vaut 1 là, 0 ailleurs."""
    if rows.held:
        change = "z = math.exp(z - top)"
        lines = [*load("z", rows, dtype, "LOWEST"), "top = LOWEST"]
        lines += each_held(rows, "z", ["top = max(top, z)"])
        lines += [*fold(["top"], dtype, {"top": "max"}), "total = ZERO"]
        lines += each_held(rows, "z", [change, "total = total + z"])
        lines += fold(["total"], dtype)
    else:
        lines = online(rows, dtype, "z")
    lines += [
        "label = int32(-1)",
        "if row < count:",
        "    j = int64(y_[row])",
        "    if j < 0:",
        "        j += int64(n)",
        "    if j < 0 or j >= int64(n):",
        "        axis, j = 1, int64(y_[row])",
        f"        {NOTE}",
        "    else:",
        "        label = int32(j)",
        "if inside and lane == 0 and label >= 0:",
        f"    mine = {loaded('z_[first + uint32(label)]', dtype)}",
        f"    out[row] = {stored('mine - top - math.log(total)', dtype)}",
    ]
    if not gradient:
        return lines
    lines += [*_weight(dtype), "share = weight / total"]
    if rows.held:
        text = "(weight if c == label else ZERO) - z * share"
        return lines + write("dz", rows, dtype, "z", text)
    text = "(weight if c == label else ZERO) - math.exp(z - top) * share"
    return lines + sweep(rows, dtype, "z", [], "dz", text)


def _with_distribution(dtype, gradient, rows):
    """La cible a la forme de z : ses poids s’ajoutent et pèsent chaque logarithme."""
    sums = ["weights = weights + y", "value = value + y * (z - top)"]
    starts = ["weights, value = ZERO, ZERO"]
    if rows.held:
        change = ["e = math.exp(z - top)", *sums, "total = total + e", "z = e"]
        lines = [*load("z", rows, dtype, "LOWEST"), *load("y", rows, dtype, "ZERO")]
        lines += ["top = LOWEST", *each_held(rows, "z", ["top = max(top, z)"])]
        lines += [*fold(["top"], dtype, {"top": "max"}), "total = ZERO", *starts]
        # au-delà de la ligne, 0 · (-inf) donnerait NaN : un poids nul n’y lit rien
        lines += _each_inside(rows, change)
        lines += fold(["total", "weights", "value"], dtype)
    else:
        lines = [*online(rows, dtype, "z"), *starts, *sweep(rows, dtype, "zy", sums)]
        lines += fold(["weights", "value"], dtype)
    lines += [
        "if inside and lane == 0:",
        f"    out[row] = {stored('value - weights * math.log(total)', dtype)}",
    ]
    if not gradient:
        return lines
    lines += [*_weight(dtype), "share = weights / total"]
    if rows.held:
        return lines + write("dz", rows, dtype, "zy", "weight * (y - z * share)")
    text = "weight * (y - math.exp(z - top) * share)"
    return lines + sweep(rows, dtype, "zy", [], "dz", text)


def _each_inside(rows, lines):
    """`each_held` sur les éléments de la ligne seulement."""
    place = f"uint32(uint32(lane + uint32(uint32(k // {rows.each}) * lanes)) * uint32({rows.each}))"
    texts = [f"for k in range({rows.held * rows.each}):", f"    if {place} < n:"]
    texts += ["        z, y = z_held[k], y_held[k]", *(f"        {line}" for line in lines)]
    return [*texts, "        z_held[k] = z"]
