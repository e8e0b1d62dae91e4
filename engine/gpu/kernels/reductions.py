"""Les réductions sur le GPU : par lignes, par colonnes, en une ou deux passes.

    lignes      ce qui se réduit se suit en mémoire : un groupe de fils par résultat, d’un fil à
                tout le bloc selon la longueur, quatre éléments par accès quand ils sont alignés
    colonnes    ce qui se garde se suit en mémoire : un fil par colonne, pour que des fils voisins
                lisent des places voisines, et plusieurs fils le long de ce qui se réduit

Peu de résultats et beaucoup d’éléments : chaque résultat est partagé entre plusieurs blocs, dont
une seconde passe réunit les parts. Aucun ajout atomique : l’ordre des additions est toujours le
même, et le résultat se répète bit pour bit. Les sommes de float16 s’accumulent en float32.

Le niveau lisible emploie `readable.reductions` pour la somme d’un tableau entier, et un bloc par
résultat pour tout le reste, en 64 bits et par les pas, quels que soient les axes.

Ordre de lecture : `reduce_kernel`, `plan`, `_rows`, `_columns`, puis `_readable`.
"""

import math
from functools import cache, lru_cache, partial
from typing import NamedTuple

import numpy as np

from engine.core.errors import ShapeError
from engine.gpu.kernels.arrays import empty
from engine.gpu.kernels.combining import rule_for
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.joining import EACH, blocks_for, group_lines, join_lines, lanes_for
from engine.gpu.kernels.lessons import lesson_kernel
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import (
    NARROW,
    WIDE,
    merged,
    numbers,
    place_lines,
    place_names,
    place_words,
    word_for,
)
from engine.gpu.kernels.readable.reductions import block_sums
from engine.gpu.kernels.registry import device_kernel
from engine.gpu.kernels.tiers import choose
from engine.ops.reduce import Reduce

_LONG = 16  # éléments par fil d’un bloc au-delà desquels un résultat se partage entre des blocs


@device_kernel(Reduce)
def reduce_kernel(node):
    (x,), (out,), op = node.inputs, node.outputs, node.op
    rule = rule_for(op.reduction, x.dtype, out.dtype)
    fast = "les échanges entre fils n'ont pas d'entiers de 64 bits sans signe"
    if rule.wide != "uint64":
        fast = _fast(op, rule, out.dtype)
    call = choose(fast=fast, readable=_readable(op, rule, x, out))

    def checked(x):
        if op.reduction.start == "first" and any(x.shape[axis] == 0 for axis in op.axes):
            raise ShapeError(f"{op.reduction} d'un tableau vide", received=f"forme {x.shape}")
        return call(x)

    checked.tier = call.tier
    return checked


# ---- le niveau rapide --------------------------------------------------------------------


class Plan(NamedTuple):
    """Un parcours : axes gardés et réduits, réunis ; `columns` dit lesquels se suivent.

    `each` : éléments par accès ; les longueurs et les pas réduits comptent alors par groupes.
    """

    kept: tuple  # longueurs, pas
    reduced: tuple
    columns: bool
    each: int

    @property
    def units(self):
        """Ce qu’il y a à réduire pour un résultat, en éléments ou en groupes de quatre."""
        return math.prod(self.reduced[0])


@lru_cache(4096)
def plan(shape, strides, axes, aligned):
    """Le parcours des lignes ou des colonnes ; None s’il demande des places de 64 bits.

    Exemple
        >>> plan((6, 8), (8, 1), (1,), True)
        Plan(kept=((6,), (8,)), reduced=((2,), (4,)), columns=False, each=4)
        >>> plan((6, 8), (8, 1), (0,), True)
        Plan(kept=((8,), (1,)), reduced=((6,), (8,)), columns=True, each=1)
    """
    if word_for(shape, strides) != NARROW:
        return None
    # l’ordre des axes réduits est libre : le plus serré d’abord en mémoire
    order = sorted(axes, key=lambda axis: -abs(strides[axis]))
    kept = merged(_kept(shape, axes), _kept(strides, axes))
    lengths, steps = merged(*([row[a] for a in order] for row in (shape, strides)))
    if steps[-1] != 1 and kept[1][-1] == 1 and kept[0][-1] > 1:
        return Plan(kept, (lengths, steps), True, 1)
    others = (lengths[-1], *steps[:-1], *(s for n, s in zip(*kept, strict=True) if n > 1))
    if aligned and steps[-1] == 1 and not any(number % EACH for number in others):
        reduced = (*lengths[:-1], lengths[-1] // EACH), (*steps[:-1], EACH)
        return Plan(kept, reduced, False, EACH)
    return Plan(kept, (lengths, steps), False, 1)


def _fast(op, rule, dtype):
    make = {True: cache(partial(_columns_kernel, rule)), False: cache(partial(_rows_kernel, rule))}

    def call(x):
        shape = _kept(x.shape, op.axes)
        if 0 in shape:
            return empty(shape, dtype)
        found = plan(x.shape, x.strides, op.axes, x.offset % EACH == 0)
        if found is None:
            return None
        run = _columns if found.columns else _rows
        return run(make[found.columns], found, x, rule.wide, dtype).reshape(shape)

    return call


def _kept(row, axes):
    """Les longueurs, ou les pas, des axes gardés."""
    return [number for axis, number in enumerate(row) if axis not in axes]


def _shares(results, units, workers):
    """En combien de blocs partager un résultat, et la part de chacun."""
    if units <= _LONG * workers:
        return 1, units
    blocks = -(-EACH * machine().block // results)  # de quoi occuper tous les processeurs
    share = max(-(-units // blocks), EACH * workers)
    return -(-units // share), share


def _rows(make, plan, x, wide, dtype):
    """Un groupe de fils par ligne ; deux passes si des blocs se partagent une ligne."""
    results = math.prod(plan.kept[0])
    splits, share = _shares(results, plan.units, machine().reduction_block)
    lanes = lanes_for(share)
    target = dtype if splits == 1 else wide
    kept, reduced = len(plan.kept[0]), len(plan.reduced[0])
    kernel = make(str(x.dtype), target, kept, reduced, plan.each)
    out = empty((results, splits), target)
    kernel.launch(
        blocks_for(out.size, lanes), out, x,
        *map(np.uint32, (out.size, plan.units, lanes, splits, share)),
        *_lengths(plan.kept, plan.reduced),
    )  # fmt: skip
    if splits == 1:
        return out
    return _rows(make, _again(out), out, wide, dtype)


def _again(parts):
    """Le parcours de la seconde passe, qui réunit les parts le long de leur deuxième axe."""
    return plan(parts.shape, parts.strides, (1,), True)


def _lengths(*groups):
    return numbers(NARROW, *(sum((group[k] for group in groups), ()) for k in (0, 1)))


def _rows_kernel(rule, source, target, kept, reduced, each):
    """Le fil `lane` d’un groupe lit les éléments lane, lane + lanes, … de sa part de la ligne."""
    first, second = list(range(kept)), list(range(kept, kept + reduced))
    sums = [f"acc{k}" for k in range(EACH)]
    lines = [
        *group_lines(),
        "share_position = uint32(row % splits)",
        *_place("p", "uint32(row // splits)", first),
        "j = uint32(uint32(share_position * share) + lane)",
        "stop = uint32(min(n, uint32(uint32(share_position * share) + share)))",
        *(f"{name} = {rule.start}" for name in sums),
        f"while uint32(j + uint32({EACH - 1} * lanes)) < stop:",
    ]
    for k in range(EACH):
        lines += [f"    {line}" for line in _place(f"q{k}", f"j + uint32({k} * lanes)", second)]
    lines += [f"    {line}" for line in _take(rule, source, each, range(EACH), sums)]
    lines += [f"    j = uint32(j + uint32({EACH} * lanes))", "while j < stop:"]
    lines += [f"    {line}" for line in _place("q0", "j", second)]
    lines += [f"    {line}" for line in _take(rule, source, each, range(1), sums)]
    lines += ["    j = uint32(j + lanes)"]
    lines += _tree(rule, sums)
    united = rule.join.format(a="acc0", b="other_acc0")
    lines += join_lines({"acc0": rule.wide}, [f"acc0 = {united}"])
    lines += ["if inside and lane == 0:", f"    out[row] = {rule.result('acc0', target)}"]
    names = ["out", "x", "m", "n", "lanes", "splits", "share", *place_names(first + second)]
    words = [f"{target}*", f"{source}*", *[NARROW] * 5, *place_words(NARROW, kept + reduced)]
    return make_kernel("reduce", f"lignes, {source}, par {each}", _body(names, lines), tuple(words),
                       machine().reduction_block)  # fmt: skip


def _take(rule, source, each, positions, sums):
    """Lit les éléments d’abord, les accumule ensuite : les lectures s’attendent ensemble."""
    for k in positions:
        if each == 1:
            yield f"x{k} = x[p + q{k}]"
        else:
            yield f"{', '.join(f'x{k}_{e}' for e in range(each))} = load4(x, p + q{k})"
    for k in positions:
        for e in range(each):
            name = sums[k] if each == 1 else sums[e]
            item = rule.item(f"x{k}" if each == 1 else f"x{k}_{e}", source)
            yield f"item = {item}"
            yield f"{name} = {rule.join.format(a=name, b='item')}"


def _tree(rule, sums):
    """Réunit les sommes d’un fil, deux à deux."""
    half = len(sums) // 2
    while half:
        for a, b in zip(sums[:half], sums[half : 2 * half], strict=True):
            yield f"{a} = {rule.join.format(a=a, b=b)}"
        half //= 2


def _place(place, position, axes):
    return place_lines(place, position, axes, 0, NARROW).splitlines()


def _body(names, lines):
    return f"def kernel({', '.join(names)}):\n" + "".join(f"    {line}\n" for line in lines)


def _columns(make, plan, x, wide, dtype):
    """Un fil par colonne, `tall` fils le long de ce qui se réduit ; une ou deux passes."""
    (*outer, length), block = plan.kept[0], machine().reduction_block
    width = min(1 << (length - 1).bit_length(), machine().warp)
    tiles, piles = -(-length // width), math.prod(outer)
    splits, share = _shares(tiles * piles, plan.units, block // width)
    target = dtype if splits == 1 else wide
    kept, reduced = len(plan.kept[0]) - 1, len(plan.reduced[0])
    kernel = make(str(x.dtype), target, kept, reduced)
    out = empty((piles, splits, length), target)
    kernel.launch(
        piles * splits * tiles, out, x,
        *map(np.uint32, (length, plan.units, width, tiles, splits, share)),
        *_lengths([row[:-1] for row in plan.kept], plan.reduced),
    )  # fmt: skip
    if splits == 1:
        return out
    return _columns(make, _again(out), out, wide, dtype)


def _columns_kernel(rule, source, target, kept, reduced):
    """Le fil t fait la colonne t % width de sa bande, et les rangs t // width, + tall, …

    Puis les `tall` fils d’une même colonne se réunissent en arbre, en mémoire partagée.
    """
    block = machine().reduction_block
    first, second = list(range(kept)), list(range(kept, kept + reduced))
    sums = [f"acc{k}" for k in range(EACH)]
    lines = [
        f"part = cuda.shared.array({block}, np.{rule.wide})",
        "t = uint32(cuda.threadIdx.x)",
        f"tall = uint32(uint32({block}) // width)",
        "high = uint32(t // width)",
        "b = uint32(cuda.blockIdx.x)",
        "column = uint32(uint32(uint32(b % tiles) * width) + uint32(t % width))",
        "b = uint32(b // tiles)",
        "share_position = uint32(b % splits)",
        *_place("p", "uint32(b // splits)", first),
        "p = int32(p + int32(column))",
        "j = uint32(uint32(share_position * share) + high)",
        "stop = uint32(min(n, uint32(uint32(share_position * share) + share)))",
        "if column >= m:",
        "    stop = uint32(0)",
        *(f"{name} = {rule.start}" for name in sums),
        f"while uint32(j + uint32({EACH - 1} * tall)) < stop:",
    ]
    for k in range(EACH):
        lines += [f"    {line}" for line in _place(f"q{k}", f"j + uint32({k} * tall)", second)]
    lines += [f"    {line}" for line in _take(rule, source, 1, range(EACH), sums)]
    lines += [f"    j = uint32(j + uint32({EACH} * tall))", "while j < stop:"]
    lines += [f"    {line}" for line in _place("q0", "j", second)]
    lines += [f"    {line}" for line in _take(rule, source, 1, range(1), sums)]
    lines += ["    j = uint32(j + tall)"]
    lines += [
        *_tree(rule, sums),
        "part[t] = acc0",
        "cuda.syncthreads()",
        "half = uint32(tall // uint32(2))",
        "while half > 0:",
        "    if high < half:",
        "        acc0 = part[t]",
        "        other = part[t + half * width]",
        f"        part[t] = {rule.join.format(a='acc0', b='other')}",
        "    cuda.syncthreads()",
        "    half = uint32(half // uint32(2))",
        "if high == 0 and column < m:",
        f"    out[uint32(b * m) + column] = {rule.result('part[t]', target)}",
    ]
    names = ["out", "x", "m", "n", "width", "tiles", "splits", "share"]
    names += place_names(first + second)
    words = [f"{target}*", f"{source}*", *[NARROW] * 6, *place_words(NARROW, kept + reduced)]
    return make_kernel("reduce", f"colonnes, {source}", _body(names, lines), tuple(words), block)


# ---- le niveau lisible -------------------------------------------------------------------


def _readable(op, rule, x, out):
    """La somme de la leçon 10 pour tout un tableau ; sinon un bloc par résultat."""
    general = _one_block_each(op, rule, x, out)
    whole = op.reduction.name == "sum" and len(op.axes) == x.ndim > 0
    if not whole or x.dtype not in ("float32", "float64"):
        return general
    block = machine().reduction_block
    sums = lesson_kernel(block_sums, (f"{x.dtype}[:]",) * 2, block, THREADS=block)

    def call(x):
        if not x.size or not x.is_contiguous:
            return general(x)
        values = x.reshape((x.size,))
        while values.size > 1 or values.buffer is x.buffer:
            blocks = min(-(-values.size // block), block)
            result = empty((blocks,), x.dtype)
            sums.launch(blocks, block, result, values)
            values = result
        return values.reshape(())

    return call


def _one_block_each(op, rule, x, out):
    """Un bloc, un résultat : le fil t réduit les éléments t, t + BLOCK, …, puis un arbre."""
    axes, block = op.axes, machine().reduction_block
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    body = f"""def kernel({", ".join(["out", "x", "n", *place_names(range(x.ndim))])}):
    part = cuda.shared.array({block}, np.{rule.wide})
    t = cuda.threadIdx.x
    i = cuda.blockIdx.x
{place_lines("p", "i", kept, 4)}    acc = {rule.start}
    j = t
    while j < n:
{place_lines("q", "j", axes, 8)}        item = {rule.item("x[p + q]", x.dtype)}
        acc = {rule.join.format(a="acc", b="item")}
        j += {block}
    part[t] = acc
    cuda.syncthreads()
    half = {block // 2}
    while half > 0:
        if t < half:
            acc = part[t]
            other = part[t + half]
            part[t] = {rule.join.format(a="acc", b="other")}
        cuda.syncthreads()
        half //= 2
    if t == 0:
        out[i] = {rule.result("part[0]", out.dtype)}
"""
    words = (f"{out.dtype}*", f"{x.dtype}*", WIDE, *place_words(WIDE, x.ndim))
    compiled = make_kernel("reduce", f"{op} : {x.dtype}", body, words, block)

    def call(x):
        result = empty(_kept(x.shape, axes), out.dtype)
        n = math.prod(x.shape[axis] for axis in axes)
        if result.size:
            compiled.launch(result.size, result, x, np.int64(n), *numbers(WIDE, x.shape, x.strides))
        return result

    return call
