"""Réduire les lignes d’un tableau : un groupe de fils par ligne, en mémoire partagée.

Une ligne est ce que parcourent les axes réduits, les autres indices fixés. Un groupe de `lanes`
fils s’en occupe : chacun replie les éléments lane, lane + lanes, … ; puis les fils se réunissent en
arbre. Une somme, la place d’un maximum, log Σ exp donnent un nombre par ligne ; un softmax relit sa
ligne et la récrit. Tous ces noyaux sont des `Rows`.

Des fils voisins lisent des éléments voisins : le long de la ligne si c’est elle qui se suit en
mémoire, d’une ligne à l’autre sinon (`columns`). Peu de lignes très longues se coupent en parts,
qu’un second passage réunit. L’ordre des opérations ne dépend que des formes : le résultat se répète
bit pour bit, et rien n’y est atomique.

Ordre de lecture : `Fold`, `Rows`, `run`, puis `_text`.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from engine.core.dtypes import widened
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import indented, merged, unravelled, word_for

_EACH = 4  # éléments qu’un fil replie, au moins, avant qu’un autre ne l’aide
_NEIGHBOURS = 32  # lignes voisines que lisent des fils voisins, au plus
_LONG = 16  # éléments par fil d’un bloc au-delà desquels une ligne se partage


class Fold(NamedTuple):
    """Ce qu’un fil accumule, élément par élément, puis avec les autres.

    held : ((nom, dtype, départ), …).
    each : les lignes d’un élément ; il y a pour nom celui de son tableau, et j pour rang.
    join : les lignes qui réunissent un nom et celui d’un autre fil, `other_` suivi du nom.
    """

    held: tuple
    each: tuple
    join: tuple


class Rows(NamedTuple):
    """Ce que calcule un noyau, ligne par ligne.

    Paramètres
        name, doc : sa famille, ce qu’il calcule.
        ins : ((nom, dtype), …), les tableaux lus, élément par élément.
        folds : les replis, l’un après l’autre ; chacun connaît ceux d’avant.
        once : des lignes que chaque fil exécute ensuite ; le premier du groupe a `lane` nul.
        results : ((nom, dtype, texte), …), un nombre par ligne.
        writes : ((nom, dtype, texte), …), un élément par élément lu.
        more : ((nom, mot de signature), …), ce que le noyau reçoit de plus.
    """

    name: str
    doc: str
    ins: tuple
    folds: tuple
    once: tuple = ()
    results: tuple = ()
    writes: tuple = ()
    more: tuple = ()


def sums(**terms):
    """Le repli qui additionne ; {nom: (dtype, texte du terme)}."""
    held = tuple((name, widened(dtype), "0") for name, (dtype, _) in terms.items())
    each = tuple(f"{name} = {name} + {text}" for name, (_, text) in terms.items())
    return Fold(held, each, tuple(f"{name} = {name} + other_{name}" for name in terms))


def run(rows, axes, results, writes, ins, more=(), split=False):
    """Lance `rows` sur ces tableaux.

    Paramètres
        axes : les axes réduits ; leur ordre est celui des rangs.
        results, writes, ins : les tableaux, dans l’ordre de `rows` ; ceux de `writes` et de `ins`
            ont tous la même forme, et `results` un élément par ligne, contigus.
        more : ce que le noyau reçoit de plus.
        split : les parts en lesquelles couper une ligne ; `results` a un axe de plus, en dernier.
    """
    arrays, shape = [*writes, *ins], ins[0].shape
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    groups = [
        merged([shape[a] for a in part], *([x.strides[a] for a in part] for x in arrays))
        for part in (kept, axes)
    ]
    (lengths, *steps), (inner, *inner_steps) = groups
    views = [
        x.view((*lengths, *inner), (*outside, *inside))
        for x, outside, inside in zip(arrays, steps, inner_steps, strict=True)
    ]
    m, n, parts = math.prod(lengths), math.prod(inner), split or 1
    share = -(-n // parts)
    columns = lengths[-1] > 1 and abs(steps[-1][-1]) < abs(inner_steps[-1][-1])
    lanes = _lanes(share, columns)
    word = word_for((parts, max(x.size for x in arrays)))
    block = machine().reduction_block
    text = _text(rows, len(lengths), len(inner), columns, word, bool(split), block)
    kernel = make_kernel(rows.name, rows.doc, *text, block)
    number = np.dtype(word).type
    numbers = [number(m * parts), number(n), number(lanes)]
    numbers += [number(parts), number(share)] if split else []
    blocks = -(-m * parts // (block // lanes))
    kernel.launch(blocks, *[x.reshape((x.size,)) for x in results], *views, *more, *numbers)


def _lanes(n, columns):
    """Le nombre de fils d’une ligne de n éléments, une puissance de deux."""
    block = machine().reduction_block
    most = max(block // _NEIGHBOURS, 1) if columns else block
    return min(1 << max(-(-n // _EACH) - 1, 0).bit_length(), most)


def parts_of(m, n):
    """En combien de parts couper chacune de m lignes de n éléments ; None : aucune."""
    where = machine()
    block = where.reduction_block
    wanted = min(-(-n // (_EACH * block)), -(-_EACH * where.multiprocessors // m))
    return wanted if n > _LONG * block and wanted > 1 else None


# ---- le texte ------------------------------------------------------------------------------------


@lru_cache(4096)
def _text(rows, kept, inner, columns, word, split, block):
    """Le texte du noyau et sa signature, pour `kept` axes gardés et `inner` réduits."""
    (first, _), *_ = rows.ins
    outside, inside = [f"k{a}" for a in range(kept)], [f"r{a}" for a in range(inner)]
    lengths = [f"{word}({first}_.shape[{axis}])" for axis in range(kept + inner)]
    line = "whole" if split else "row"
    lines = [
        f"t = {word}(cuda.threadIdx.x)",
        f"here = {word}({block} // lanes)",
        *([f"lane, mine = {word}(t // here), {word}(t % here)"] if columns else
          [f"lane, mine = {word}(t % lanes), {word}(t // lanes)"]),
        f"row = {word}({word}(cuda.blockIdx.x) * here + mine)",
        "inside = row < m",
        f"row = {word}(min(row, m - {word}(1)))  # un groupe en trop refait la dernière",
    ]  # fmt: skip
    start, stop = "lane", "n"
    if split:
        lines += [f"whole = {word}(row // parts)", f"first = {word}({word}(row % parts) * share)"]
        start, stop = f"{word}(first + lane)", f"{word}(min(n, first + share))"
    lines += unravelled(line, outside, lengths[1:kept], word)
    places = ", ".join([*outside, *inside])

    def loop(actions, arrays=rows.ins):
        return [
            f"j = {start}",
            f"stop = {stop}",
            "while j < stop:",
            *indented(unravelled("j", inside, lengths[kept + 1 :], word)),
            *(f"    {name} = {loaded(f'{name}_[{places}]', dtype)}" for name, dtype in arrays),
            *indented(actions),
            f"    j = {word}(j + lanes)",
        ]

    for fold in rows.folds:
        lines += [f"{name} = {dtype}({begin})" for name, dtype, begin in fold.held]
        lines += loop(fold.each)
        lines += _tree(fold, columns, block, word)
    lines += rows.once
    if rows.results:
        lines += ["if inside and lane == 0:"]
        lines += [f"    {name}[row] = {stored(text, dtype)}" for name, dtype, text in rows.results]
    if rows.writes:
        write = [f"{name}[{places}] = {stored(text, dtype)}" for name, dtype, text in rows.writes]
        lines += loop(["if inside:", *indented(write)])
    arrays = [*rows.writes, *((f"{name}_", dtype) for name, dtype in rows.ins)]
    axes = ", ".join([":"] * (kept + inner))
    parameters = [
        *((name, f"{dtype}[::1]") for name, dtype, _ in rows.results),
        *((name, f"{dtype}[{axes}]") for name, dtype, *_ in arrays),
        *rows.more,
        *((name, word) for name in ["m", "n", "lanes", *(["parts", "share"] if split else [])]),
    ]
    names, words = zip(*parameters, strict=True)
    body = f"def kernel({', '.join(names)}):\n" + "".join(f"    {line}\n" for line in lines)
    return body, words


def _tree(fold, columns, block, word):
    """Les fils d’un groupe se réunissent deux à deux ; tous connaissent le résultat."""
    names = [name for name, _, _ in fold.held]
    there = f"t + {word}(half * here)" if columns else "t + half"
    head = "mine" if columns else "t - lane"
    return [
        *(f"part_{name} = cuda.shared.array({block}, np.{dtype})" for name, dtype, _ in fold.held),
        *(f"part_{name}[t] = {name}" for name in names),
        "cuda.syncthreads()",
        f"half = {word}(lanes // {word}(2))",
        f"while half > {word}(0):",
        "    if lane < half:",
        *(f"        other_{name} = part_{name}[{word}({there})]" for name in names),
        *indented(fold.join, 2),
        *(f"        part_{name}[t] = {name}" for name in names),
        "    cuda.syncthreads()",
        f"    half = {word}(half // {word}(2))",
        *(f"{name} = part_{name}[{word}({head})]" for name in names),
    ]
