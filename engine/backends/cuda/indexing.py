"""L’indexation sur le GPU : des vues pour les tranches, un fil par élément pour les tableaux.

Un indice hors du tableau ne peut pas lever d’erreur depuis un noyau : le noyau le note dans un
drapeau, lu avant de rendre le résultat ; NumPy dit alors lequel.

Ordre de lecture : `subtensor_kernel`, `inc_subtensor_kernel`, `_gather_body`.
"""

import numpy as np

from engine.backends.cuda.arrays import empty, upload
from engine.backends.cuda.compiling import make_kernel
from engine.backends.cuda.registry import device_kernel
from engine.backends.cuda.views import contiguous, copied
from engine.ops.index import IncSubtensor, Subtensor, join_index
from engine.ops.shape import ARange


def _host_ranks(first):
    """Sans tableau dans l’indice, ses bornes restent sur l’hôte."""

    def ranks(node):
        return () if "a" in node.op.template else tuple(range(first, len(node.inputs)))

    return ranks


def _by_vectors(node, first):
    """Vrai pour x[a, b, …] : un tableau d’entiers par axe, depuis le premier."""
    indices = node.inputs[first:]
    return (
        all(item == "a" for item in node.op.template)
        and all(entry.dtype in ("int32", "int64") for entry in indices)
        and len({entry.ndim for entry in indices}) == 1
        and indices[0].ndim > 0
        and node.inputs[0].dtype != "float16"
    )


@device_kernel(Subtensor, host=_host_ranks(1))
def subtensor_kernel(node):
    if "a" not in node.op.template:
        return _view(node) if not {"n", "..."} & set(node.op.template) else None
    if not _by_vectors(node, 1):
        return None
    x, *indices = node.inputs
    gather = _make(node, indices, x.dtype, "out[i] = x[p]", "gather")

    def call(x, *indices):
        shape = _common_shape(node, x, indices)
        out = empty((*shape, *x.shape[len(indices) :]), x.dtype)
        wrong = upload(np.zeros(1, "int32"))
        gather(
            out.size,
            out,
            contiguous(x),
            *_numbers(out, x, indices),
            *map(contiguous, indices),
            wrong,
        )
        _refuse_if(wrong, node, x, indices)
        return out

    return call


@device_kernel(IncSubtensor, host=_host_ranks(2))
def inc_subtensor_kernel(node):
    x, y, *indices = node.inputs
    if x.dtype != y.dtype or not _by_vectors(node, 2) or x.dtype not in ("float32", "float64"):
        return None
    action = "x[p] = y[i % ny]" if node.op.set_instead else "cuda.atomic.add(x, p, y[i % ny])"
    scatter = _make(node, indices, x.dtype, action.replace("y[i % ny]", "out[i]"), "scatter")

    def call(x, y, *indices):
        shape = _common_shape(node, x, indices)
        region = (*shape, *x.shape[len(indices) :])
        spread = contiguous(_spread(y, region))
        result = copied(x)
        wrong = upload(np.zeros(1, "int32"))
        scatter(
            spread.size, spread, result, *_numbers(spread, x, indices),
            *map(contiguous, indices), wrong,
        )  # fmt: skip
        _refuse_if(wrong, node, x, indices)
        return result

    return call


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
    template = node.op.template
    return lambda x, *values: x[join_index(template, values)]


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
            f"    inside = inside and j >= 0 and j < d{rank}",
            f"    p = p * d{rank} + j",
        ]
    lines += [
        "    p = p * inner + i % inner",
        "    if inside:",
        f"        {action}",
        "    else:",
        "        wrong[0] = int32(1)",
    ]
    body = f"def kernel({', '.join(names)}):\n" + "".join(f"    {line}\n" for line in lines)
    signature = (
        f"{dtype}*", f"{dtype}*", "int64", "int64", *["int64"] * len(indices),
        *(f"{entry.dtype}*" for entry in indices), "int32*",
    )  # fmt: skip
    return make_kernel(name, str(node.op), body, signature)


def _numbers(out, x, indices):
    inner = int(np.prod(x.shape[len(indices) :]))
    return [np.int64(v) for v in (out.size, max(inner, 1), *x.shape[: len(indices)])]


def _common_shape(node, x, indices):
    shape = indices[0].shape
    if any(index.shape != shape for index in indices):
        values = [index.to_host() for index in indices]
        rest = [np.zeros((), x.dtype)] if isinstance(node.op, IncSubtensor) else []
        node.op.perform(node, [np.empty(x.shape, x.dtype), *rest, *values], [[None]])
    return shape


def _refuse_if(wrong, node, x, indices):
    if wrong.to_host()[0]:
        values = [index.to_host() for index in indices]
        rest = [np.zeros((), x.dtype)] if isinstance(node.op, IncSubtensor) else []
        node.op.perform(node, [np.zeros(x.shape, x.dtype), *rest, *values], [[None]])


def _spread(y, region):
    missing = len(region) - y.ndim
    strides = [0] * missing + [
        0 if length == 1 else stride for length, stride in zip(y.shape, y.strides, strict=True)
    ]
    return y.view(region, strides)
