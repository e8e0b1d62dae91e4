"""La convolution et ses deux gradients, tous réglages, deux axes ou trois : un fil, un résultat.

Chaque fil rassemble ce dont son élément dépend, sans que deux fils écrivent au même endroit : les
pixels d’une fenêtre, les places qui ont vu un pixel, ou toutes les images pour un poids.

    out[b, o, i, j] = Σ x[b, c, i·s + u·d − p, j·s + v·d − p] w[o, c, u', v']

où (u', v') est (u, v), compté depuis la fin si le filtre est retourné. Les trois noyaux somment le
même produit de deux éléments ; ils ne diffèrent que par ce que le fil tient et ce qu’il parcourt.

Ordre de lecture : `Sum`, puis `forward`, `inputs`, `filters`, et `sum_text`.
"""

from typing import NamedTuple

from engine.core.dtypes import widened
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.spatial import SIGNED, flat, indented, nested, unravelled


class Sum(NamedTuple):
    """Ce qui distingue un noyau : les indices que tient le fil et leurs longueurs, les boucles de
    sa somme, les deux facteurs, {tableau: place}.
    """

    held: list
    lengths: list
    loops: list
    factors: dict


class _Words(NamedTuple):
    """Les noms des indices et des longueurs, axe par axe, pour un op."""

    op: object
    word: str

    def axes(self, letter):
        return [f"{letter}{axis}" for axis in range(len(self.op.axes))]

    @property
    def points(self):
        """Le poids, dans l’ordre où il est rangé."""
        names = self.axes("u")
        return [f"(k{a} - 1 - {u})" for a, u in enumerate(names)] if self.op.filter_flip else names

    def x(self):
        return flat(["b", "c", *self.axes("h")], ["nc", *self.axes("n")], self.word)

    def w(self):
        return flat(["o", "c", *self.points], ["nc", *self.axes("k")], self.word)

    def g(self):
        return flat(["b", "o", *self.axes("i")], ["no", *self.axes("m")], self.word)

    def pixel(self, axis, point):
        """Le pixel `h` que ce point lit à la place `i`."""
        s, d, signed = self.op.subsample[axis], self.op.filter_dilation[axis], SIGNED[self.word]
        i, u = f"{signed}(i{axis})", f"{signed}({point})"
        return f"h{axis} = {signed}({signed}({i} * {s}) + {signed}({u} * {d}) - p{axis})"


def forward(op, word):
    """Un fil tient une place d’un filtre ; il parcourt les canaux et les points du filtre."""
    words = _Words(op, word)
    loops = [("c", "nc", [], "")]
    for axis in range(len(op.axes)):
        inside = f"h{axis} >= 0 and h{axis} < n{axis}"
        loops.append((f"u{axis}", f"k{axis}", [words.pixel(axis, f"u{axis}")], inside))
    return Sum(["b", "o", *words.axes("i")], ["no", *words.axes("m")], loops,
               {"x": words.x(), "w": words.w()})  # fmt: skip


def inputs(op, word):
    """Un fil tient un pixel ; il parcourt les points du filtre, puis les filtres qui l’ont vu."""
    words, signed, loops = _Words(op, word), SIGNED[word], []
    for axis, (s, d) in enumerate(zip(op.subsample, op.filter_dilation, strict=True)):
        i, reach = f"i{axis}", f"{signed}({signed}(u{axis}) * {d})"
        given = [f"{i} = {signed}({signed}(h{axis}) + p{axis} - {reach})"]
        inside = f"{i} >= 0 and {i} < m{axis}"
        if s > 1:
            given += [f"rest = {i} % {s}", f"{i} = {signed}({i} // {s})"]
            inside += " and rest == 0"
        loops.append((f"u{axis}", f"k{axis}", given, inside))
    loops.append(("o", "no", [], ""))
    return Sum(["b", "c", *words.axes("h")], ["nc", *words.axes("n")], loops,
               {"w": words.w(), "g": words.g()})  # fmt: skip


def filters(op, word):
    """Un fil tient un poids ; il parcourt les images et leurs places."""
    words = _Words(op, word)
    loops = [("b", "nb", [], "")]
    for axis, point in enumerate(words.points):
        inside = f"h{axis} >= 0 and h{axis} < n{axis}"
        loops.append((f"i{axis}", f"m{axis}", [words.pixel(axis, point)], inside))
    return Sum(["o", "c", *words.axes("u")], ["nc", *words.axes("k")], loops,
               {"x": words.x(), "g": words.g()})  # fmt: skip


def lengths_of(op):
    """Les longueurs que reçoit le noyau, dans l’ordre : lot, filtres, canaux, puis image, filtre,
    places et bords, axe par axe.
    """
    return ["nb", "no", "nc", *(f"{letter}{a}" for letter in "nkmp" for a in range(len(op.axes)))]


def sum_text(op, make, dtype, word):
    """Le texte d’un noyau ; ses paramètres : out, les deux facteurs, le nombre d’éléments, les
    longueurs.
    """
    made = make(op, word)
    real = widened(dtype)
    one, other = (loaded(f"{array}[{place}]", dtype) for array, place in made.factors.items())
    lines = [
        f"def kernel(out, {', '.join(made.factors)}, count, {', '.join(lengths_of(op))}):",
        f"    t = {word}(cuda.grid(1))",
        "    if t < count:",
        *indented(unravelled("t", made.held, [f"{word}({n})" for n in made.lengths], word), 2),
        f"        total = {real}(0.0)",
        *indented(nested(made.loops, [f"total += {one} * {other}"]), 2),
        f"        out[t] = {stored('total', dtype)}",
    ]
    return "\n".join(lines) + "\n"
