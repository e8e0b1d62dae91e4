"""La vraisemblance d’un softmax et son gradient sur le GPU : des lignes (voir `rows`).

Le maximum, la somme des exponentielles, la valeur de la ligne, puis sa dérivée. Une étiquette hors
des classes se note comme un indice hors du tableau.

Ordre de lecture : `likelihood_kernel`, `_with_labels`, `_with_distribution`.
"""

import numpy as np

from engine.core.dtypes import widened
from engine.core.errors import ShapeError
from engine.gpu.compiling.likelihood import LogLikelihood
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.faults import NOTE, Site
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.rows import Rows, run, sums
from engine.gpu.kernels.softmaxes import KINDS, highest
from engine.gpu.kernels.views import contiguous
from engine.gpu.kernels.writing import spread

_LABELS = ("int32", "int64")


def _can(node):
    z, target, *received = node.inputs
    known = z.dtype in KINDS and target.dtype in (*_LABELS, z.dtype)
    return known and all(g.dtype == z.dtype for g in received)


@device_kernel(LogLikelihood, when=_can)
def likelihood_kernel(node):
    z, target = node.inputs[:2]
    dtype, gradient, labels = z.dtype, node.op.gradient, target.dtype in _LABELS
    site = Site(node)
    rows = (_with_labels if labels else _with_distribution)(dtype, target.dtype, gradient)

    def call(z, target, *received):
        if not labels:
            shape = np.broadcast_shapes(z.shape, target.shape)
            z, target = spread(z, shape), spread(target, shape)
        m, count = len(z), len(target)
        if count > m:
            raise ShapeError(
                "étiquettes impossibles", expected=f"au plus {m} étiquettes",
                received=f"{count} étiquettes",
            )  # fmt: skip
        out = empty((count,), dtype)
        writes = [empty(z.shape, dtype)] if gradient else []
        ins = [z] if gradient else [z[:count]]
        more = [out, contiguous(target)] if labels else [out]
        ins += [] if labels else [target]
        more += [spread(g, (count,)) for g in received]
        if ins[0].size:
            more += [np.int64(count), *site.arm(z.shape)]
            run(rows, [1], [], writes, ins, more)
        return [out, *writes] if gradient else out

    return call


def _rows(dtype, target, gradient, ins, folds, once, result):
    """Les lignes d’une cible : `once` range la valeur, et trouve ce dont `result` a besoin."""
    doc = f"vraisemblance{' et gradient' if gradient else ''}, cible {target} : {dtype}"
    once += (f"weight = {widened(dtype)}(0)",)
    if gradient:
        once += ("if row < count:", f"    weight = {loaded('g[row]', dtype)}")
    more = [("value", f"{dtype}[::1]"), *([("y", f"{target}[::1]")] if len(ins) == 1 else [])]
    more += [("g", f"{dtype}[:]")] if gradient else []
    more += [("count", "int64"), ("wrong", "int64[::1]"), ("site", "int64")]
    writes = (("out", dtype, result),) if gradient else ()
    return Rows("likelihood", doc, ins, folds, once, (), writes, tuple(more))


def _with_labels(dtype, target, gradient):
    """La ligne ne compte que par son étiquette : t vaut 1 là, 0 ailleurs."""
    mine = loaded("z_[k0, label]", dtype)
    once = (
        "label = int64(-1)",
        "if row < count:",
        "    j = int64(y[row])",
        "    label = j + n if j < 0 else j",
        "    if label < 0 or label >= n:",
        "        axis, label = 1, int64(-1)",
        f"        {NOTE}",
        "if inside and lane == 0 and label >= 0:",
        f"    value[row] = {stored(f'{mine} - top - math.log(total)', dtype)}",
    )
    zero = f"{widened(dtype)}(0)"
    result = f"(weight if j == label else {zero}) - math.exp(z - top) * (weight / total)"
    folds = highest(dtype), sums(total=(dtype, "math.exp(z - top)"))
    return _rows(dtype, target, gradient, (("z", dtype),), folds, once, result)


def _with_distribution(dtype, target, gradient):
    """La cible a la forme de z : ses poids s’ajoutent et pèsent chaque logarithme."""
    terms = {"total": "math.exp(z - top)", "weights": "y", "score": "y * (z - top)"}
    folds = highest(dtype), sums(**{name: (dtype, term) for name, term in terms.items()})
    once = (
        "if inside and lane == 0:",
        f"    value[row] = {stored('score - weights * math.log(total)', dtype)}",
    )
    result = "weight * (y - math.exp(z - top) * (weights / total))"
    return _rows(dtype, target, gradient, (("z", dtype), ("y", dtype)), folds, once, result)
