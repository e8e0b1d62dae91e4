"""Copier un tableau transposé, par tuiles : lu et écrit le long des éléments voisins.

Les éléments voisins de la source suivent un axe, ceux du résultat un autre : fil par fil, l’un des
deux accès sauterait d’une ligne de mémoire à la suivante. Un bloc lit donc une tuile carrée par ses
lignes, la garde en mémoire partagée, et l’écrit par ses colonnes.

Ordre de lecture : `transposed`, `_text`.

Référence : M. Harris, « An Efficient Matrix Transpose in CUDA C/C++ », NVIDIA, 2013.
"""

import math

from engine.backends.scalar_text import convert
from engine.core.dtypes import widened
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.loops import Launch
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import (
    NARROW,
    merged,
    numbers,
    place_lines,
    place_names,
    place_words,
    word_for,
)


def transposed(dtype, source, shape, strides, offsets):
    """Le lancement qui copie par tuiles ; None si ce n’est pas une transposition.

    Paramètres
        dtype, source : les dtypes du tableau écrit et du tableau lu.
        shape, strides, offsets : comme pour `Loop.plain`.
    """
    lengths, out_steps, steps = merged(shape, *strides)
    side, last = machine().warp, len(lengths) - 1
    rows = [a for a in range(last) if steps[a] == 1 and lengths[a] >= side // 2]
    if not rows or out_steps[last] != 1 or lengths[last] < side // 2:
        return None
    if word_for(lengths, out_steps, steps) != NARROW:
        return None
    others = [axis for axis in range(last) if axis != rows[0]]
    order = [*others, rows[0], last]
    lengths, out_steps, steps = (
        [row[axis] for axis in order] for row in (lengths, out_steps, steps)
    )
    block = side * max(side // 4, 1)
    signature = (f"{dtype}*", f"{source}*", *place_words(NARROW, len(order), 2))
    body = _text(dtype, source, len(order), side, block)
    doc = f"copier une transposée, {source} vers {dtype}"
    blocks = math.prod(lengths[:-2]) * math.prod(-(-length // side) for length in lengths[-2:])
    kernel = "transpose", doc, body, signature, block
    return Launch(kernel, blocks * block, tuple(numbers(NARROW, lengths, out_steps, steps)))


def _text(dtype, source, ndim, side, block):
    """Le fil (ligne, voie) d’un bloc fait, de la tuile, les lignes `ligne`, `ligne` + pas…

    L’axe `row` est celui où la source se suit, `column` celui où le résultat se suit. La tuile a
    une colonne de trop : ses colonnes se lisent sans que deux voies visent le même banc.
    """
    row, column, width = ndim - 2, ndim - 1, side + 1
    kind = widened(dtype)
    item = convert(loaded("x[at]", source), widened(source), kind)
    names = ", ".join(place_names(range(ndim), "st"))
    return f"""def kernel(out, x, {names}):
    tile = cuda.shared.array({side * width}, np.{"bool_" if kind == "bool" else kind})
    lane = uint32(uint32(cuda.threadIdx.x) % uint32({side}))
    line = uint32(uint32(cuda.threadIdx.x) // uint32({side}))
    columns = uint32(uint32(d{column} + uint32({side - 1})) // uint32({side}))
    rows = uint32(uint32(d{row} + uint32({side - 1})) // uint32({side}))
    b = uint32(cuda.blockIdx.x)
    above = uint32(b // columns)
    left = uint32(uint32(b - above * columns) * uint32({side}))
    batch = uint32(above // rows)
    top = uint32(uint32(above - batch * rows) * uint32({side}))
{place_lines({"o": "s", "p": "t"}, "batch", range(ndim - 2), 4, NARROW)}    i = uint32(top + lane)
    for k in range(0, {side}, {block // side}):
        j = uint32(left + line + uint32(k))
        if i < d{row} and j < d{column}:
            at = int32(p + int32(i) + int32(int32(j) * t{column}))
            tile[uint32(uint32(line + uint32(k)) * uint32({width}) + lane)] = {item}
    cuda.syncthreads()
    j = uint32(left + lane)
    for k in range(0, {side}, {block // side}):
        i = uint32(top + line + uint32(k))
        if i < d{row} and j < d{column}:
            at = int32(o + int32(int32(i) * s{row}) + int32(j))
            item = tile[uint32(uint32(lane * uint32({width})) + line + uint32(k))]
            out[at] = {stored("item", dtype)}
"""
