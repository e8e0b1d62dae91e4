"""Une boucle terme à terme sur des tableaux du périphérique : ce qui la calcule, pour chaque forme.

`Loop` tient le texte d’une fonction `each`, des éléments lus aux éléments écrits. Trois noyaux
l’appellent, au choix :

    lesson  celui de la leçon 10 : un fil, un élément ; les tableaux sont « flat » ou « fixed »
    plain   un fil, un élément ; lisible, toutes les formes
    wide    un fil, quelques éléments voisins, de quoi remplir un accès de 128 bits (quatre
            float32) ; rapide

Un tableau y est parcouru d’une de ces façons, d’après ses pas une fois les axes réunis :

    flat    comme le rang : l’élément i est à la place i
    fixed   un seul élément, lu une fois
    rows    ses éléments se suivent le long du dernier axe ; ailleurs, ses pas
    column  le même élément le long du dernier axe
    strided n’importe comment : le noyau `wide` n’en veut pas

Une forme reçue une fois donne un `Launch` : le noyau, les blocs, les nombres. Rien n’est recalculé
à l’appel suivant.

Ordre de lecture : `Loop`, `Launch`, `_way`, `_plain_text`, `_wide_text`.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.lessons import map_text
from engine.gpu.kernels.positions import (
    merged,
    numbers,
    place_lines,
    place_names,
    place_words,
    word_for,
)

WIDTHS = (8, 4, 2)  # éléments par fil du noyau `wide`
ALIGNED = WIDTHS[0]  # un lancement dépend de la place de ses tableaux, modulo ce nombre
_ACCESS = 16  # octets d’un accès, au plus
SAME = "def each(y):\n    return y\n"


class Launch(NamedTuple):
    """Un lancement prêt : ce qu’attend `make_kernel`, le nombre de fils, et des nombres.

    Le noyau se demande à chaque fois : celui d’une autre machine est un autre. Celui de la leçon
    reçoit des tableaux à un axe, de `sizes` éléments.
    """

    kernel: tuple
    threads: int
    numbers: tuple
    sizes: tuple = ()

    def __call__(self, *arrays):
        if self.threads:
            if self.sizes:
                arrays = [x.view((n,), (1,)) for x, n in zip(arrays, self.sizes, strict=True)]
            make_kernel(*self.kernel)(self.threads, *arrays, *self.numbers)


_NOTHING = Launch((), 0, ())


class Loop(NamedTuple):
    """Une boucle terme à terme.

    Paramètres
        name, doc : la famille du noyau, et ce qu’il calcule.
        each : le texte d’une fonction `each` ; elle reçoit un élément de chaque tableau lu, tel
            qu’en mémoire (voir `elements`), et rend celui, ou le n-uplet, à ranger.
        outs, ins : les dtypes des tableaux écrits, puis lus.
    """

    name: str
    doc: str
    each: str
    outs: tuple
    ins: tuple

    def plain(self, shape, strides, offsets):
        """Le lancement qui fait un élément par fil.

        Paramètres
            shape : la forme parcourue.
            strides : les pas de chaque tableau, écrits d’abord ; 0 où il se diffuse.
            offsets : la place de leur premier élément, modulo `ALIGNED`.
        """
        if 0 in shape:
            return _NOTHING
        lengths, *rows = merged(shape, *strides)
        ways = [_way(lengths, row) for row in rows]
        if {*ways} <= {"flat", "fixed"}:
            return self._lesson(math.prod(lengths), ways)
        ways = [way if way in ("flat", "fixed") else "strided" for way in ways]
        return self._launch(_plain_text, lengths, rows, ways, 1)

    def _lesson(self, n, ways):
        places = ["i" if way == "flat" else "0" for way in ways]
        body = map_text(self.doc, self.each, len(self.outs), places[len(self.outs) :])
        signature = tuple(f"{dtype}[::1]" for dtype in (*self.outs, *self.ins))
        sizes = tuple(n if place == "i" else 1 for place in places)
        return Launch((self.name, self.doc, body, signature), n, (), sizes)

    def wide(self, shape, strides, offsets):
        """Le lancement qui fait plusieurs éléments par fil ; None si les tableaux ne s’y prêtent
        pas : il leur faut une place et des lignes qui se coupent en parts égales.
        """
        if 0 in shape:
            return _NOTHING
        if "math." in self.each and "float64" in (*self.outs, *self.ins):
            return None  # une fonction en double remplit seule les registres et le temps
        lengths, *rows = merged(shape, *strides)
        ways = [_way(lengths, row) for row in rows]
        if "strided" in ways or {"fixed", "column"} & set(ways[: len(self.outs)]):
            return None
        sizes = [np.dtype(dtype).itemsize for dtype in (*self.outs, *self.ins)]
        moved = max(size for size, way in zip(sizes, ways, strict=True) if way != "fixed")
        starts = [*lengths[1:][-1:]]
        for way, row, offset in zip(ways, rows, offsets, strict=True):
            if way in ("flat", "rows"):
                starts += [offset, *row[:-1]]
        for width in WIDTHS:
            if width * moved <= _ACCESS and all(start % width == 0 for start in starts):
                write = functools.partial(_wide_text, width=width)
                return self._launch(write, lengths, rows, ways, width)
        return None

    def _launch(self, write_text, lengths, rows, ways, width):
        n, word = math.prod(lengths), word_for(lengths, *rows)
        moving = [k for k, way in enumerate(ways) if way not in ("flat", "fixed")]
        ndim = len(lengths) if moving else 0
        body = write_text(self, ways, moving, ndim, word)
        words = place_words(word, ndim, len(moving)) if moving else []
        signature = (*(f"{dtype}*" for dtype in (*self.outs, *self.ins)), word, *words)
        kernel = self.name, self.doc, body, signature
        found = [getattr(np, word)(n)]
        if moving:  # le dernier axe se compte par `width` éléments
            steps = [(*rows[k][:-1], rows[k][-1] * width) for k in moving]
            found += numbers(word, (*lengths[:-1], lengths[-1] // width), *steps)
        return Launch(kernel, -(-n // width), tuple(found))


def _way(lengths, strides):
    """Comment ce tableau se parcourt."""
    if not any(strides):
        return "fixed"
    steps = [1]
    for length in lengths[:0:-1]:
        steps.append(steps[-1] * length)
    if list(strides) == steps[::-1]:
        return "flat"
    return {1: "rows", 0: "column"}.get(strides[-1], "strided")


def _names(loop):
    outs = [f"out{k}" for k in range(len(loop.outs))] if len(loop.outs) > 1 else ["out"]
    return [*outs, *(f"x{k}" for k in range(len(loop.ins)))]


def _frame(loop, names, moving, ndim, lines):
    """Le texte complet : `each`, puis le noyau."""
    steps = place_names(range(ndim), [f"s{k}_" for k in moving]) if moving else []
    head = f"def kernel({', '.join([*names, 'n', *steps])}):\n"
    body = "".join(f"    {line}\n" for line in lines)
    return f"@cuda.jit(device=True)\n{loop.each}\n\n{head}{body}"


def _places(moving, ndim, position, margin, word):
    if not moving:
        return []
    places = {f"p{k}": f"s{k}_" for k in moving}
    return place_lines(places, position, range(ndim), margin, word).splitlines()


def _plain_text(loop, ways, moving, ndim, word):
    """Un fil, un élément : le fil i fait l’élément de rang i."""
    names = _names(loop)
    at = {"flat": "i", "fixed": "0"}
    texts = [
        f"{name}[{at.get(way, f'p{k}')}]"
        for k, (name, way) in enumerate(zip(names, ways, strict=True))
    ]
    outs, ins = texts[: len(loop.outs)], texts[len(loop.outs) :]
    lines = [
        f"i = {word}(cuda.grid(1))",
        "if i < n:",
        *_places(moving, ndim, "i", 4, word),
        f"    {', '.join(outs)} = each({', '.join(ins)})",
    ]
    return _frame(loop, names, moving, ndim, lines)


def _wide_text(loop, ways, moving, ndim, word, width):
    """Un fil, `width` éléments voisins ; le dernier fil fait seul les derniers, un à un."""
    names, count = _names(loop), len(loop.outs)
    lines = [f"q = {word}(cuda.grid(1))", f"i = {word}({word}({width}) * q)"]
    lines += [f"if {word}(i + {word}({width - 1})) < n:", *_places(moving, ndim, "q", 4, word)]
    lanes = []  # pour chaque tableau lu, le nom de ses éléments
    for k in range(count, len(names)):
        way, name = ways[k], names[k]
        place = {"flat": "i", "fixed": "0"}.get(way, f"p{k}")
        if way in ("fixed", "column"):
            lines.append(f"    {name}_ = {name}[{place}]")
            lanes.append([f"{name}_"] * width)
        else:
            lanes.append([f"{name}_{lane}" for lane in range(width)])
            lines.append(f"    {', '.join(lanes[-1])} = load{width}({name}, {place})")
    for lane, items in enumerate(zip(*lanes, strict=True)):
        results = ", ".join(f"{out}_{lane}" for out in names[:count])
        lines.append(f"    {results} = each({', '.join(items)})")
    for k, out in enumerate(names[:count]):
        place = "i" if ways[k] == "flat" else f"p{k}"
        items = ", ".join(f"{out}_{lane}" for lane in range(width))
        lines.append(f"    store{width}({out}, {place}, {items})")
    if not moving:
        at = {"flat": "i", "fixed": "0"}
        texts = [f"{name}[{at[way]}]" for name, way in zip(names, ways, strict=True)]
        lines += [
            "else:",
            "    while i < n:",
            f"        {', '.join(texts[:count])} = each({', '.join(texts[count:])})",
            f"        i = {word}(i + {word}(1))",
        ]
    return _frame(loop, names, moving, ndim, lines)
