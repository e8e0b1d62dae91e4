"""L’indexation sur le GPU : des vues pour les tranches, un fil par élément pour les tableaux.

Un indice hors du tableau ne peut pas lever d’erreur depuis un noyau : le noyau le note dans un
drapeau, lu avant de rendre le résultat ; NumPy dit alors lequel.

Ordre de lecture : `subtensor_kernel`, `inc_subtensor_kernel`, `_gather_body`.
"""

import numpy as np

from engine.backends.cuda.arrays import empty
from engine.backends.cuda.compiling import make_kernel
from engine.backends.cuda.faults import NOTE, Site
from engine.backends.cuda.registry import device_kernel
from engine.backends.cuda.views import contiguous, copied
from engine.backends.cuda.writing import spread, write_into
from engine.errors import ShapeError
from engine.ops.index import IncSubtensor, Subtensor, join_index, out_of_bounds
from engine.ops.shape import ARange


def _host_ranks(first):
    """Sans tableau dans l’indice, ses bornes restent sur l’hôte."""

    def ranks(node):
        return () if "a" in node.op.template else tuple(range(first, len(node.inputs)))

    return ranks


def _by_vectors(node, first):
    """Vrai pour x[a, b, …] : un tableau d’entiers par axe, depuis le premier."""
    return all(item == "a" for item in node.op.template) and _integers(node, first)


def _integers(node, first):
    indices = [entry for entry in node.inputs[first:] if entry.ndim]
    return all(e.dtype in ("int32", "int64") for e in indices) and node.inputs[0].dtype != "float16"


def _one_vector(node):
    """L’axe du tableau d’indices, s’il est seul parmi des tranches entières ; sinon None."""
    template, whole = node.op.template, ("s", False, False, False)
    alone = template.count("a") == 1 and all(item in ("a", whole) for item in template)
    return template.index("a") if alone and _integers(node, 1) else None


@device_kernel(Subtensor, host=_host_ranks(1))
def subtensor_kernel(node):
    if "a" not in node.op.template:
        return _view(node)
    x, *indices = node.inputs
    axis = 0 if _by_vectors(node, 1) else _one_vector(node)
    if axis is None:
        return None
    gather = _make(node, indices, x.dtype, "out[i] = x[p]", "gather")
    site = Site(node)

    def call(x, *indices):
        x = x.transpose(axis, *(a for a in range(x.ndim) if a != axis))
        shape, indices = _spread_indices(node, x, indices)
        out = empty((*shape, *x.shape[len(indices) :]), x.dtype)
        gather(
            out.size, out, contiguous(x), *_numbers(out, x, indices), *indices, *site.arm(x.shape)
        )
        back = range(len(shape), len(shape) + axis)
        return out.transpose(*back, *(a for a in range(out.ndim) if a not in back))

    return call


@device_kernel(IncSubtensor, host=_host_ranks(2))
def inc_subtensor_kernel(node):
    x, y, *indices = node.inputs
    if "a" not in node.op.template:
        return _write_slice(node) if "float16" not in (x.dtype, y.dtype) else None
    if x.dtype != y.dtype or not _by_vectors(node, 2) or x.dtype not in ("float32", "float64"):
        return None
    action = "x[p] = out[i]" if node.op.set_instead else "cuda.atomic.add(x, p, out[i])"
    scatter = _make(node, indices, x.dtype, action, "scatter")
    site = Site(node)

    def call(x, y, *indices):
        shape, indices = _spread_indices(node, x, indices)
        region = (*shape, *x.shape[len(indices) :])
        _refuse_wider(node, x, y, region)
        values = contiguous(spread(y, region))
        result = copied(x)
        scatter(
            values.size, values, result, *_numbers(values, x, indices), *indices,
            *site.arm(x.shape),
        )  # fmt: skip
        return result

    return call


def _write_slice(node):
    """x[tranches] = y, ou += y : une copie de x, dont la place est écrite."""
    add = not node.op.set_instead

    def call(x, y, *values):
        result = copied(x)
        place = _indexed(node, result, values)
        _refuse_wider(node, x, y, place.shape)
        write_into(place, y, add)
        return result

    return call


def _refuse_wider(node, x, y, region):
    missing = len(region) - y.ndim
    if any(n not in (1, region[missing + axis]) for axis, n in enumerate(y.shape)):
        raise ShapeError(
            "valeur qui ne tient pas à la place indexée",
            expected=str(tuple(region)), received=str(y.shape),
        )  # fmt: skip


@device_kernel(ARange, host=lambda node: (0, 1, 2))
def arange_kernel(node):
    dtype = node.outputs[0].dtype
    if dtype == "float16":
        return None
    body = (
        "def kernel(out, start, step, n):\n    i = cuda.grid(1)\n"
        f"    if i < n:\n        out[i] = {dtype}(start + {dtype}(i) * step)\n"
    )
    compiled = make_kernel("arange", "arange", body, (f"{dtype}*", dtype, dtype, "uint32"))

    def call(start, stop, step):
        out = empty((len(np.arange(start, stop, step)),), dtype)
        kind = np.dtype(dtype).type
        compiled(out.size, out, kind(start), kind(step), np.uint32(out.size))
        return out

    return call


def _view(node):
    return lambda x, *values: _indexed(node, x, values)


def _indexed(node, x, values):
    index = join_index(node.op.template, values)
    try:
        return x[index]
    except IndexError as error:
        raise out_of_bounds(x, index, error) from error


def _make(node, indices, dtype, action, name):
    """Le noyau : le fil i trouve la place p de x que désignent ses indices, et agit."""
    ranks = range(len(indices))
    names = [
        "out",
        "x",
        "n",
        "inner",
        *(f"d{r}" for r in ranks),
        *(f"a{r}" for r in ranks),
        "wrong",
        "site",
    ]
    lines = [
        "i = cuda.grid(1)",
        "if i < n:",
        "    k = i // inner",
        "    p = int64(0)",
        "    inside = True",
    ]
    for rank in ranks:
        lines += [
            f"    j = int64(a{rank}[k])",
            "    if j < 0:",
            f"        j += d{rank}",
            f"    if j < 0 or j >= d{rank}:",
            "        inside = False",
            f"        axis, j = {rank}, int64(a{rank}[k])",
            f"        {NOTE}",
            f"    p = p * d{rank} + j",
        ]
    lines += [
        "    p = p * inner + i % inner",
        "    if inside:",
        f"        {action}",
    ]
    body = f"def kernel({', '.join(names)}):\n" + "".join(f"    {line}\n" for line in lines)
    signature = (
        f"{dtype}*", f"{dtype}*", "int64", "int64", *["int64"] * len(indices),
        *(f"{entry.dtype}*" for entry in indices), "int64*", "int64",
    )  # fmt: skip
    return make_kernel(name, str(node.op), body, signature)


def _numbers(out, x, indices):
    inner = int(np.prod(x.shape[len(indices) :]))
    return [np.int64(v) for v in (out.size, max(inner, 1), *x.shape[: len(indices)])]


def _spread_indices(node, x, indices):
    """La forme commune des indices, et eux, diffusés à cette forme."""
    try:
        shape = np.broadcast_shapes(*(index.shape for index in indices))
    except ValueError as error:
        raise out_of_bounds(x, indices, error) from error
    return shape, [contiguous(spread(index, shape)) for index in indices]
