"""Porter des éléments d’une place à une autre, d’après des rangs : lire, poser, ajouter.

Une sélection (voir `selecting`) est parcourue comme un tableau : ses axes gardés avant, la forme
commune des rangs comptée à plat, ses axes gardés après. Le fil t en fait l’élément t : il lit les
rangs de sa place, vérifie qu’ils sont dans le tableau, en tire la place dans x. Un indice hors du
tableau est noté (voir `faults`), et son élément laissé tel quel.

Plusieurs rangs égaux : les ajouts se cumulent tous, par ajout atomique, dans un ordre quelconque
(le dernier bit d’une somme de flottants peut changer d’un appel à l’autre ; un GPU y tient pour nul
un float32 dénormalisé). Les valeurs posées se remplacent, et la dernière reste, comme avec NumPy :
`_last_owners` note d’abord qui est le dernier.

Ordre de lecture : `gather`, `scatter`, `_Walk`.
"""

import math
from functools import lru_cache

import numpy as np

from engine.backends.scalar_text import convert
from engine.core.dtypes import HALVES, widened
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.faults import NOTE
from engine.gpu.kernels.positions import indented, merged, unravelled, word_for
from engine.gpu.kernels.views import contiguous
from engine.gpu.kernels.writing import spread, write_into

_SUMMED_AS = {
    **dict.fromkeys(HALVES, "float32"),
    **{"int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"},
}


def gather(selection, site, shape):
    """Les éléments désignés, dans un tableau neuf.

    Paramètres
        selection : ce qui est lu.
        site, shape : le nœud qui peut fauter, la forme du tableau qu’il indexe.
    """
    out = empty(selection.shape, selection.view.dtype)
    walk = _Walk.of(selection, out)
    walk.launch("lire", out, [f"{walk.other} = {walk.there}"], selection, site.arm(shape))
    return out


def scatter(selection, y, shape, site, add, distinct):
    """Pose ou ajoute `y`, qui se diffuse, aux éléments désignés.

    Paramètres
        selection : où écrire ; sa vue est dans un tableau neuf, de dtype `summed_as` pour un ajout.
        add : ajouter, au lieu de poser.
        distinct : les rangs ne se répètent sûrement pas.
    """
    target, source = str(selection.view.dtype), str(y.dtype)
    y = _flattened(spread(y, selection.shape), selection)
    walk = _Walk.of(selection, y)
    value = convert(loaded(walk.other, source), widened(source), widened(target))
    if add:
        act = [f"cuda.atomic.add(x, {walk.index}, {value})"]
    else:
        act = [f"{walk.there} = {walk.other if source == target else stored(value, target)}"]
    owners = []
    if not (add or distinct) and selection.count > 1:
        owners = [_last_owners(selection, walk)]
        act = ["if owner[place] == k:", *indented(act)]
    walk.launch("ajouter" if add else "poser", y, act, selection, site.arm(shape), owners)


def summed_as(dtype):
    """Le dtype dans lequel des ajouts se cumulent : l’ajout atomique veut 32 ou 64 bits.

    Exemple
        >>> summed_as("float16"), summed_as("uint8"), summed_as("float64")
        ('float32', 'uint32', 'float64')
    """
    return _SUMMED_AS.get(dtype, dtype)


class _Walk:
    """Le parcours d’une sélection de ces axes : ce qu’en disent les textes.

    `there`, `index` : l’élément de x, et ses indices ; `other` : celui de l’autre tableau.
    """

    def __init__(self, before, after, chosen, axes, word):
        self.chosen, self.axes, self.word = chosen, axes, word
        first, last = [f"b{k}" for k in range(len(before))], [f"a{k}" for k in range(len(after))]
        self.names = [*first, "k", *last]
        names = dict(zip(before, first, strict=True)) | dict(zip(after, last, strict=True))
        names |= {axis: f"j{k}" for k, axis in enumerate(chosen)}
        self.index = ", ".join(names[axis] for axis in sorted(names))
        self.there = f"x[{self.index}]"
        self.index = f"({self.index})" if len(names) > 1 else self.index
        self.other = f"y[{', '.join(self.names)}]"

    @classmethod
    def of(cls, selection, other):
        """Celui de cette sélection et d’un tableau de sa forme."""
        word = word_for((max(other.size, selection.view.size),))
        return _walk(selection.before, selection.after, selection.chosen, selection.axes, word)

    def ranks(self, wrong):
        """Les lignes qui lisent les rangs de la place k : `inside`, et j0, j1…

        `wrong` : celles d’un rang hors du tableau.
        """
        lines = ["inside = True", "place = int64(0)"]
        for k, axis in enumerate(self.chosen):
            lines += [
                f"j{k} = int64(e{k}[k])",
                f"if j{k} < 0:",
                f"    j{k} += x.shape[{axis}]",
                f"if j{k} < 0 or j{k} >= x.shape[{axis}]:",
                "    inside = False",
                *indented(wrong(k)),
                f"place = place * x.shape[{axis}] + j{k}",
            ]
        return lines

    def launch(self, verb, other, act, selection, site, owners=()):
        """Un fil par élément de `other` : il exécute `act` si ses rangs sont dans le tableau."""

        def noted(k):
            return [f"axis, j = {self.axes[k]}, int64(e{k}[k])", NOTE]

        counts = [f"{self.word}(y.shape[{axis}])" for axis in range(1, len(self.names))]
        names = ["y", "x", *(f"e{k}" for k in range(len(self.chosen)))]
        names += [*["owner"] * len(owners), "wrong", "site"]
        lines = [
            f"def kernel({', '.join(names)}):",
            f"    t = {self.word}(cuda.grid(1))",
            "    if t < y.size:",
            *indented([*unravelled("t", self.names, counts, self.word), *self.ranks(noted)], 2),
            "        if inside:",
            *indented(act, 3),
        ]
        y = _by_parts(other, selection)
        arrays = [y, selection.view, *_flat_indices(selection)]
        words = [*map(_word_of, arrays)]
        words += [*["int32[::1]"] * len(owners), "int64[::1]", "int64"]
        kernel = make_kernel("index", f"{verb} à des rangs", "\n".join(lines) + "\n", tuple(words))
        kernel(y.size, *arrays, *owners, *site)


_walk = lru_cache(1024)(_Walk)


def _word_of(x):
    return f"{x.dtype}[{', '.join([':'] * x.ndim)}]"


def _flat_indices(selection):
    return [x.reshape((x.size,)) for x in selection.indices]


def _flat_step(selection, steps):
    """Le pas d’un tableau le long de la forme commune, comptée à plat ; None : il n’y en a pas."""
    (_, *rest), (step, *_) = merged(selection.common, steps)
    return None if rest else step


def _flattened(y, selection):
    """y, dont la forme commune se parcourt d’un seul pas : une copie s’il le faut."""
    first = len(selection.before)
    steps = y.strides[first : first + len(selection.common)]
    return contiguous(y) if _flat_step(selection, steps) is None else y


def _by_parts(y, selection):
    """y, sa forme commune comptée à plat."""
    first = len(selection.before)
    last = first + len(selection.common)
    step = _flat_step(selection, y.strides[first:last])
    shape = (*y.shape[:first], selection.count, *y.shape[last:])
    return y.view(shape, (*y.strides[:first], step, *y.strides[last:]))


def _last_owners(selection, walk):
    """Pour chaque place des axes choisis, le dernier rang de la forme commune qui la désigne ; -1
    sans aucun. Un fil, un rang ; le plus grand reste, par maximum atomique.
    """
    names = ["owner", "x", *(f"e{k}" for k in range(len(walk.chosen)))]
    lines = [
        f"def kernel({', '.join(names)}):",
        "    k = cuda.grid(1)",
        "    if k < e0.size:",
        *indented(walk.ranks(lambda k: []), 2),
        "        if inside:",
        "            cuda.atomic.max(owner, place, int32(k))",
    ]
    lengths = [selection.view.shape[axis] for axis in selection.chosen]
    owner = empty((math.prod(lengths),), "int32")
    write_into(owner, upload(np.int32(-1)))
    indices = _flat_indices(selection)
    words = ("int32[::1]", _word_of(selection.view), *map(_word_of, indices))
    body = "\n".join(lines) + "\n"
    kernel = make_kernel("index", "le dernier à désigner chaque place", body, words)
    kernel(selection.count, owner, selection.view, *indices)
    return owner
