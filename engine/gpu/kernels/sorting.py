"""Trier sur le GPU : les rangs qui ordonnent, la place où insérer, les valeurs distinctes.

Le tri va par fusions, et chaque élément calcule seul sa place :

1. un bloc lit une tuile d’une ligne en mémoire partagée ; la place d’un élément est le nombre de
   ceux qui passent avant lui ;
2. deux suites voisines, triées, fusionnent : la place d’un élément est son rang dans la sienne,
   plus le nombre d’éléments de l’autre qui passent avant lui, trouvé par dichotomie.

La longueur des suites double à chaque fusion. À valeurs égales, l’élément de gauche passe devant :
le tri est stable. Un NaN vient après tout le reste.

Ordre de lecture : `arg_sort_kernel`, `search_sorted_kernel`, `unique_kernel`.

Référence : N. Satish, M. Harris, M. Garland, « Designing Efficient Sorting Algorithms for Manycore
GPUs », IPDPS 2009.
"""

import numpy as np

from engine.backends.scalar_text import convert
from engine.core.dtypes import widened
from engine.core.scalars import upcast
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.counting import flat_positions
from engine.gpu.kernels.elements import loaded
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import word_for
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.views import contiguous
from engine.ops.traversals import ArgSort, SearchSorted, UniqueIndices

_TILE = """def kernel(out, keys, x, n, tiles):
    tile = cuda.shared.array({block}, np.{kind})
    t = cuda.threadIdx.x
    row = {word}({word}(cuda.blockIdx.x) // tiles)
    first = int64({word}(cuda.blockIdx.x) - {word}(row * tiles)) * {block}
    count = int32(min(int64(n) - first, int64({block})))
    start = int64(row) * n + first
    if t < count:
        tile[t] = {read}
    cuda.syncthreads()
    if t < count:
        mine = tile[t]
        place = int32(0)
        for j in range(count):
            other = tile[j]
            if {before} or (j < t and not {after}):
                place += int32(1)
        keys[start + place] = mine
        out[start + place] = first + t
"""
_MERGE = """def kernel(out, keys, positions, sorted_keys, n, run, size):
    i = int64(cuda.grid(1))
    if i < size:
        x = int64({word}({word}(i) // n)) * n
        p = i - x
        left = p - (p & (2 * run - 1))
        right = min(left + run, int64(n))
        mine = sorted_keys[i]
        is_left = p < right
        low = right if is_left else left
        high = min(right + run, int64(n)) if is_left else right
        while low < high:
            middle = (low + high) >> 1
            other = sorted_keys[x + middle]
            if {before} or not (is_left or {after}):
                low = middle + 1
            else:
                high = middle
        place = x + p + low - right
        out[place] = positions[i]
        keys[place] = mine
"""
_SEARCH = """def kernel(out, x, v, n, size):
    i = int64(cuda.grid(1))
    if i < size:
        mine = {mine}
        low, high = int64(0), n
        while low < high:
            middle = (low + high) >> 1
            other = {other}
            if {goes_on}:
                low = middle + 1
            else:
                high = middle
        out[i] = low
"""
_STARTS = """def kernel(out, keys, n):
    i = int64(cuda.grid(1))
    if i < n:
        mine = keys[i]
        other = keys[max(i - 1, int64(0))]
        out[i] = i == 0 or {before}
"""
_GROUPS = """def kernel(first, inverse, counts, order, starts, n, groups):
    i = int64(cuda.grid(1))
    if i < n:
        low, high = int64(0), groups
        while low < high:
            middle = (low + high) >> 1
            if starts[middle] <= i:
                low = middle + 1
            else:
                high = middle
        inverse[order[i]] = low - 1
        if i < groups:
            first[i] = order[starts[i]]
            counts[i] = (starts[i + 1] if i + 1 < groups else n) - starts[i]
"""


@device_kernel(ArgSort)
def arg_sort_kernel(node):
    axis = node.op.axis

    def call(x):
        others = [a for a in range(x.ndim) if a != axis % x.ndim]
        axes = [*others, axis % x.ndim]  # l’axe trié en dernier
        order, _ = sort_rows(x.transpose(*axes))
        return order.transpose(*np.argsort(axes))

    return call if node.inputs[0].ndim else None


@device_kernel(SearchSorted)
def search_sorted_kernel(node):
    """Un fil, une valeur : une dichotomie."""
    x, v = (entry.dtype for entry in node.inputs)
    kind = key_kind(upcast(x, v))
    mine, other = (
        convert(loaded(text, dtype), widened(dtype), kind)
        for text, dtype in (("v[i]", v), ("x[middle]", x))
    )
    goes_on = _before(kind, "other", "mine")
    if node.op.side == "right":
        goes_on = f"not {_before(kind, 'mine', 'other')}"
    body = _SEARCH.format(mine=mine, other=other, goes_on=goes_on)
    signature = ("int64*", f"{x}*", f"{v}*", "int64", "int64")
    search = make_kernel("search", f"{node.op} : {x}, {v}", body, signature)

    def call(x, v):
        out = empty(v.shape, "int64")
        search(out.size, out, contiguous(x), contiguous(v), np.int64(x.size), np.int64(v.size))
        return out

    return call


@device_kernel(UniqueIndices)
def unique_kernel(node):
    """Le vecteur trié commence une valeur où un élément suit un plus petit."""
    kind = key_kind(node.inputs[0].dtype)
    body = _STARTS.format(before=_before(kind, "other", "mine"))
    mark = make_kernel(
        "unique", f"où commence une valeur, {kind}", body, ("bool*", f"{kind}*", "int64")
    )
    number = make_kernel(
        "unique", "numéroter les valeurs", _GROUPS, (*["int64*"] * 5, "int64", "int64")
    )

    def call(x):
        order, keys = sort_rows(x)
        is_start, inverse, n = empty(x.shape, "bool"), empty(x.shape, "int64"), np.int64(x.size)
        mark(x.size, is_start, keys, n)
        starts = flat_positions(is_start)
        first, counts = empty(starts.shape, "int64"), empty(starts.shape, "int64")
        number(x.size, first, inverse, counts, order, starts, n, np.int64(starts.size))
        return [first, inverse, counts]

    return call


def sort_rows(x):
    """Les rangs qui trient le dernier axe, et les valeurs triées (voir `key_kind`)."""
    dtype, block, n = str(x.dtype), machine().reduction_block, x.shape[-1]
    kind, word = key_kind(dtype), word_for(x.shape)
    words = {
        "block": block, "kind": kind, "word": word,
        "read": convert(loaded("x[start + t]", dtype), widened(dtype), kind),
        "before": _before(kind, "other", "mine"), "after": _before(kind, "mine", "other"),
    }  # fmt: skip
    tile = make_kernel(
        "sort", f"trier des tuiles, {dtype}", _TILE.format(**words),
        ("int64*", f"{kind}*", f"{dtype}*", word, word), block,
    )  # fmt: skip
    merge = make_kernel(
        "sort", f"fusionner deux suites triées, {kind}", _MERGE.format(**words),
        ("int64*", f"{kind}*", "int64*", f"{kind}*", word, "int64", "int64"),
    )  # fmt: skip
    order, keys = empty(x.shape, "int64"), empty(x.shape, kind)
    if not x.size:
        return order, keys
    tiles, length = -(-n // block), getattr(np, word)
    tile.launch(x.size // n * tiles, order, keys, contiguous(x), length(n), length(tiles))
    run = block
    while run < n:
        into = empty(x.shape, "int64"), empty(x.shape, kind)
        merge(x.size, *into, order, keys, length(n), np.int64(run), np.int64(x.size))
        order, keys = into
        run *= 2
    return order, keys


def key_kind(dtype):
    """Le dtype dans lequel des valeurs de ce dtype se comparent.

    Exemple
        >>> key_kind("float16"), key_kind("bool"), key_kind("int8")
        ('float32', 'uint8', 'int8')
    """
    return "uint8" if dtype == "bool" else widened(dtype)


def _before(kind, a, b):
    """Le texte de « a passe avant b »."""
    if kind not in ("float32", "float64"):
        return f"({a} < {b})"
    return f"({a} < {b} or ({b} != {b} and {a} == {a}))"
