"""Porter des éléments d’une place à une autre, d’après des rangs : lire, poser, ajouter.

Une sélection (voir `selecting`) est parcourue comme un tableau : ses axes gardés avant, la forme
commune des rangs comptée à plat, ses axes gardés après. Le fil i en fait l’élément i : il lit les
rangs de sa place, vérifie qu’ils sont dans le tableau, en tire la place dans x. Un indice hors du
tableau est noté (voir `faults`), et son élément laissé tel quel.

Deux niveaux, du même texte :

    lisible   un élément par fil
    rapide    quatre éléments voisins par fil (huit, s’ils sont courts), d’un accès de 128 bits,
              pour lire et poser des lignes de longueur multiple de quatre, alignées ; sinon, et
              pour ajouter, le même élément de quatre lignes : des fils voisins ont des éléments
              voisins, et la division qui trouve une place sert quatre fois

Lire et poser ne calculent rien : ce sont des mots de 8, 16, 32 ou 64 bits que l’on copie, le même
noyau pour tous les dtypes d’une taille.

Plusieurs rangs égaux : les ajouts se cumulent tous, par ajout atomique, dans un ordre quelconque
(le dernier bit d’une somme de flottants peut changer d’un appel à l’autre ; un GPU y tient pour nul
un float32 dénormalisé). Les valeurs posées se remplacent, et la dernière reste, comme avec NumPy :
`_last_owners` note d’abord qui est le dernier.

Ordre de lecture : `gather`, `scatter`, `_text`.
"""

import functools
import math

import numpy as np

from engine.backends.scalar_text import convert
from engine.core.dtypes import HALVES, widened
from engine.gpu.kernels.arrays import contiguous_strides, empty
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.faults import NOTE
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.positions import (
    merged,
    numbers,
    place_lines,
    place_names,
    place_words,
    word_for,
)
from engine.gpu.kernels.views import contiguous
from engine.gpu.kernels.writing import spread

_WIDTHS = {1: (8, 4), 2: (8, 4)}  # octets d’un élément -> éléments d’un accès large ; sinon 4
_BAND = 4  # lignes par fil d’un ajout rapide
_WORDS = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}
_SUMMED_AS = {
    **dict.fromkeys(HALVES, "float32"),
    **{"int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"},
}


def gather(selection, site, shape, wide):
    """Les éléments désignés, dans un tableau neuf ; None si `wide` et qu’ils ne s’y prêtent pas.

    Paramètres
        selection : ce qui est lu.
        site, shape : le nœud qui peut fauter, la forme du tableau qu’il indexe.
        wide : quatre éléments par fil.
    """
    view = selection.view
    out = empty(selection.shape, view.dtype)
    loop = _Loop(selection, out)
    if wide and not (loop.widened() or loop.banded()):
        return None
    kernel = _kernel("gather", loop, selection, _word_of(view), _word_of(view), "poser", False)
    kernel(loop.size, out, view, *loop.numbers(), *_places(selection, loop), *site.arm(shape))
    return out


def scatter(selection, y, shape, site, add, distinct, wide):
    """Pose ou ajoute `y`, qui se diffuse, aux éléments désignés ; rend y, ou
    None si `wide` ne s’y prête pas.

    Paramètres
        selection : où écrire ; sa vue est dans un tableau neuf, de dtype `summed_as` pour un ajout.
        add : ajouter, au lieu de poser.
        distinct : les rangs ne se répètent sûrement pas.
    """
    view, y = selection.view, _flattened(spread(y, selection.shape), selection)
    loop = _Loop(selection, y)
    large = wide and not add and view.dtype == y.dtype and loop.widened()
    if wide and not (large or loop.banded()):
        return None
    same = view.dtype == y.dtype and not add
    words = [_word_of(array) if same else str(array.dtype) for array in (view, y)]
    owned = not (add or distinct) and loop.count > 1 and loop.steps[-1][loop.at] != 0
    kernel = _kernel("scatter", loop, selection, *words, "ajouter" if add else "poser", owned)
    owners = [_last_owners(selection)] if owned else []
    kernel(
        loop.size, view, y, *loop.numbers(), *_places(selection, loop), *owners, *site.arm(shape)
    )
    return y


def summed_as(dtype):
    """Le dtype dans lequel des ajouts se cumulent : l’ajout atomique veut 32 ou 64 bits.

    Exemple
        >>> summed_as("float16"), summed_as("uint8"), summed_as("float64")
        ('float32', 'uint32', 'float64')
    """
    return _SUMMED_AS.get(dtype, dtype)


class _Loop:
    """Le parcours d’une sélection : longueurs et pas de ses axes, réunis ; `at`, celui des rangs.

    `other` : l’autre tableau parcouru, de la forme de la sélection.
    """

    def __init__(self, selection, other):
        view, first = selection.view, len(selection.before)
        last = first + len(selection.common)
        before = _merged(view, selection.before, other.strides[:first])
        positions = [(selection.count, 0, _flat_step(selection, other.strides[first:last]))]
        after = _merged(view, selection.after, other.strides[last:])
        self.selection = selection
        self.at = len(before)
        self.axes = range(len(before) + 1 + len(after))
        self.lengths, *self.steps = map(list, zip(*before, *positions, *after, strict=True))
        self.places = [view, other]
        self.count = selection.count
        self.width = self.band = 1
        self.word = word_for(
            (*selection.shape, *selection.lengths()),
            (*contiguous_strides(selection.shape), *[0] * len(selection.chosen)),
            *(self._reach(array) for array in self.places),
        )

    def _reach(self, array):
        """Ses pas, dans l’ordre des longueurs données à `word_for`."""
        selection = self.selection
        if array is not selection.view:
            return (*array.strides, *[0] * len(selection.chosen))
        kept = [array.strides[a] for a in (*selection.before, *selection.after)]
        first = len(selection.before)
        kept[first:first] = [0] * len(selection.common)
        return (*kept, *selection.steps())

    @property
    def size(self):
        """Le nombre de fils."""
        return math.prod(self.lengths)

    def widened(self):
        """Passe à quatre éléments par fil, huit s’ils sont courts ; faux si les lignes ne s’y
        prêtent pas.
        """
        others = [step for row in self.steps for step in row[:-1]] + self.selection.steps()
        starts = [array.offset for array in self.places]
        if self.at == len(self.axes) - 1 or any(row[-1] != 1 for row in self.steps):
            return False
        for width in _WIDTHS.get(self.places[0].dtype.itemsize, (4,)):
            if not any(number % width for number in (self.lengths[-1], *others, *starts)):
                self.width = width
                self.lengths[-1] //= width
                for row in self.steps:
                    row[-1] = width
                return True
        return False

    def banded(self):
        """Passe à quatre lignes par fil ; faux si elles sont plus courtes qu’un warp."""
        fits = self.at < len(self.axes) - 1 and self.lengths[-1] >= machine().warp
        if fits:
            self.band = _BAND
            self.lengths[self.at] = -(-self.count // _BAND)
            for row in self.steps:
                row[self.at] *= _BAND
        return fits

    def numbers(self):
        """Ce que le noyau reçoit du parcours : le nombre de fils, les longueurs, les pas."""
        size, found = self.size, numbers(self.word, self.lengths, *self.steps)
        number = getattr(np, self.word)
        more = [number(self.count), found[-1].dtype.type(self.steps[-1][self.at] // _BAND)]
        return [number(size), *found, *(more if self.band > 1 else [])]


def _merged(view, axes, steps):
    """Ces axes, réunis : (longueur, pas dans la vue, pas dans l’autre tableau), un par ligne."""
    lengths = [view.shape[axis] for axis in axes]
    found = merged(lengths, [view.strides[axis] for axis in axes], steps)
    return [axis for axis in zip(*found, strict=True) if axis[0] != 1]


def _flat_step(selection, steps):
    """Le pas d’un tableau le long de la forme commune, comptée à plat."""
    (_, *rest), (step, *_) = merged(selection.common, steps)
    return None if rest else step


def _flattened(y, selection):
    """y, dont la forme commune se parcourt d’un seul pas : une copie s’il le faut."""
    first = len(selection.before)
    steps = y.strides[first : first + len(selection.common)]
    return contiguous(y) if _flat_step(selection, steps) is None else y


def _word_of(array):
    """Ce dont une copie a besoin : la taille des éléments."""
    return _WORDS[array.dtype.itemsize]


def _places(selection, loop):
    """Les longueurs et les pas des axes choisis, puis leurs rangs."""
    lengths = map(np.int64, selection.lengths())
    steps = map(np.int64 if loop.word == "int64" else np.int32, selection.steps())
    return [*lengths, *steps, *selection.indices]


def _kernel(name, loop, selection, target, source, action, owned):
    """Le noyau de ce parcours, et sa signature."""
    kinds = tuple(str(array.dtype) for array in selection.indices)
    body = _text(
        name, len(loop.axes), loop.at, selection.axes, loop.word, loop.width, loop.band, target,
        source, action, owned,
    )  # fmt: skip
    signed = "int64" if loop.word == "int64" else "int32"
    signature = (
        f"{target}*", f"{source}*", loop.word, *place_words(loop.word, len(loop.axes), 2),
        *[loop.word, signed] * (loop.band > 1), *["int64"] * len(kinds), *[signed] * len(kinds),
        *(f"{kind}*" for kind in kinds), *["int32*"] * owned, "int64*", "int64",
    )  # fmt: skip
    verb = {"gather": "lire", "scatter": action}[name]
    each = "un élément par fil"
    if loop.width > 1 or loop.band > 1:
        each = f"{loop.width} éléments par fil" if loop.width > 1 else f"{_BAND} lignes par fil"
    return make_kernel(name, f"{verb} à des rangs, {each}", body, signature)


@functools.lru_cache(1024)
def _text(name, ndim, at, axes, word, width, band, target, source, action, owned):
    """Le texte : le fil i trouve l’élément i du parcours, puis sa place dans le tableau indexé."""
    loop, positions = range(ndim), range(len(axes))
    signed = "int64" if word == "int64" else "int32"
    places = {"b": "s", "q": "t"}  # dans x, avant ses rangs ; dans l’autre tableau
    names = [
        *(("out", "x") if name == "gather" else ("x", "y")), "n", *place_names(loop, "st"),
        *["count", "u"] * (band > 1), *(f"{kind}{k}" for kind in "efa" for k in positions),
        *["owner"] * owned, "wrong", "site",
    ]  # fmt: skip
    lines = ["p = b", "inside = True", *["o = 0"] * owned]
    for position in positions:
        lines += [
            f"j = int64(a{position}[k])",
            "if j < 0:",
            f"    j += e{position}",
            f"if j < 0 or j >= e{position}:",
            "    inside = False",
            f"    axis, j = {axes[position]}, int64(a{position}[k])",
            f"    {NOTE}",
            "else:",
            f"    p = {signed}(p + {signed}({signed}(j) * f{position}))",
            *[f"    o = o * e{position} + j"] * owned,
        ]
    lines += [
        f"if inside{' and owner[o] == k' if owned else ''}:",
        *(f"    {line}" for line in _action(name, width, target, source, action)),
    ]
    k = f"r{at}" if at else "r"
    if band == 1:
        lines = [f"k = {k}", *lines]
    else:
        lines = [
            f"k = {word}({k} * {band})",
            f"for _ in range({band}):",
            "    if k < count:",
            *(f"        {line}" for line in lines),
            f"    k = {word}(k + 1)",
            f"    q = {signed}(q + u)",
        ]
    body = f"def kernel({', '.join(names)}):\n    i = {word}(cuda.grid(1))\n    if i < n:\n"
    body += place_lines(places, "i", loop, 8, word)
    return body + "".join(f"        {line}\n" for line in lines)


def _action(name, width, target, source, action):
    """Ce qui est fait de l’élément, ou des éléments voisins."""
    to, there, given, here = ("out", "q", "x", "p") if name == "gather" else ("x", "p", "y", "q")
    if width > 1:
        items = ", ".join(f"v{k}" for k in range(width))
        return [f"{items} = load{width}({given}, {here})", f"store{width}({to}, {there}, {items})"]
    value = loaded(f"{given}[{here}]", source)
    value = convert(value, widened(source), widened(target))
    if action == "ajouter":
        return [f"cuda.atomic.add({to}, {there}, {value})"]
    return [f"{to}[{there}] = {stored(value, target)}"]


_EMPTY = (
    "def kernel(owner, n):\n    i = cuda.grid(1)\n    if i < n:\n        owner[i] = int32(-1)\n"
)


def _last_owners(selection):
    """Pour chaque place des axes choisis, le dernier rang de la forme commune qui la désigne ; -1
    sans aucun. Un fil, un rang ; le plus grand reste, par maximum atomique.
    """
    positions = range(len(selection.indices))
    names = ["owner", "n", *(f"{kind}{k}" for kind in "ea" for k in positions)]
    lines = ["k = cuda.grid(1)", "if k < n:", "    inside = True", "    o = int64(0)"]
    for position in positions:
        lines += [
            f"    j = int64(a{position}[k])",
            "    if j < 0:",
            f"        j += e{position}",
            f"    if j < 0 or j >= e{position}:",
            "        inside = False",
            "    else:",
            f"        o = o * e{position} + j",
        ]
    lines += ["    if inside:", "        cuda.atomic.max(owner, o, int32(k))"]
    body = f"def kernel({', '.join(names)}):\n" + "".join(f"    {line}\n" for line in lines)
    kinds = [f"{array.dtype}*" for array in selection.indices]
    signature = ("int32*", "int64", *["int64"] * len(positions), *kinds)
    lengths, size = selection.lengths(), math.prod(selection.lengths())
    owner = empty((size,), "int32")
    clear = make_kernel("scatter", "aucun propriétaire", _EMPTY, ("int32*", "int64"))
    clear(size, owner, np.int64(size))
    claim = make_kernel("scatter", "le dernier à désigner chaque place", body, signature)
    n = selection.count
    claim(n, owner, np.int64(n), *map(np.int64, lengths), *selection.indices)
    return owner
