"""Où est un élément, d’après son rang : le texte qu’en tire un noyau, et les axes qu’il parcourt.

Un fil connaît un rang, compté dernier axe le plus rapide ; il lui faut la place de cet élément dans
chaque tableau, la somme de ses indices par les pas. Chaque axe coûte une division : `merged` réunit
d’abord ceux qui se suivent en mémoire. Et une division de 64 bits coûte quatre fois celle de 32 :
`word_for` dit quand 32 bits suffisent.

Ordre de lecture : `merged`, `word_for`, `place_lines`, puis `place_names`, `place_words` et
`numbers`, les paramètres dont ces lignes se servent.
"""

import math

import numpy as np

NARROW, WIDE = "uint32", "int64"
_REACH = 2**31  # une place se compte en int32 : elle peut reculer
_SIGNED = {NARROW: "int32", WIDE: "int64"}


def merged(shape, *strides):
    """La même boucle en moins d’axes : les longueurs, puis les pas de chaque tableau.

    Deux axes voisins n’en font qu’un si, dans chaque tableau, le pas du premier est celui du second
    répété ; un axe de longueur 1 disparaît. Il en reste au moins un.

    Exemple
        >>> merged((2, 3, 4), (12, 4, 1), (0, 0, 1))
        ((6, 4), (4, 1), (0, 1))
        >>> merged((2, 3), (3, 1), (0, 0))
        ((6,), (1,), (0,))
    """
    axes = []  # [longueur, pas…], du dernier au premier
    for length, *steps in zip(shape[::-1], *(row[::-1] for row in strides), strict=True):
        if length == 1:
            continue
        if axes and all(s == t * axes[-1][0] for s, t in zip(steps, axes[-1][1:], strict=True)):
            axes[-1][0] *= length
        else:
            axes.append([length, *steps])
    rows = axes[::-1] or [[1] * (1 + len(strides))]
    return tuple(map(tuple, zip(*rows, strict=True)))


def word_for(shape, *strides):
    """Le type des rangs et des longueurs : « uint32 », ou « int64 » quand 32 bits n’y suffisent
    pas.

    Exemple
        >>> word_for((3, 2**20), (2**20, 1)), word_for((3, 2**30), (2**30, 1))
        ('uint32', 'int64')
    """
    spans = [math.prod(shape)]
    for row in strides:
        spans.append(sum((length - 1) * abs(step) for length, step in zip(shape, row, strict=True)))
    return NARROW if max(spans) < _REACH else WIDE


def place_lines(places, position, axes, margin, word=WIDE):
    """Les lignes qui trouvent la place de l’élément de rang `position` parmi ces axes.

    Paramètres
        places : le nom de la place, dont les pas sont s0, s1… ; ou plusieurs, {nom: nom des pas}.
        position : le texte du rang.
        axes : les axes, du plus lent au plus rapide.
        margin : les espaces de la marge.
        word : le type des longueurs, rendu par `word_for`.

    Exemple
        >>> print(place_lines("p", "i", [0, 2], 0), end="")
        r = int64(i)
        whole = int64(r // d2)
        r2 = int64(r - whole * d2)
        p = int64(r2 * s2)
        r = whole
        r0 = int64(r)
        p = int64(p + r0 * s0)
    """
    places = {places: "s"} if isinstance(places, str) else places
    signed = _SIGNED[word]
    lines = [f"r = {word}({position})"] if axes else [f"{place} = {signed}(0)" for place in places]
    for axis in reversed(axes):
        rest = "r"
        if axis != axes[0]:  # une seule division par axe : le reste se déduit du quotient
            lines.append(f"whole = {word}(r // d{axis})")
            rest = f"r - whole * d{axis}"
        lines.append(f"r{axis} = {signed}({rest})")
        for place, steps in places.items():
            start = "" if axis == axes[-1] else f"{place} + "
            lines.append(f"{place} = {signed}({start}r{axis} * {steps}{axis})")
        if axis != axes[0]:
            lines.append("r = whole")
    return "".join(f"{' ' * margin}{line}\n" for line in lines)


def place_names(axes, kinds="s"):
    """Les paramètres qui disent où sont les éléments : les longueurs, puis les pas.

    Exemple
        >>> place_names([0, 1], ["s", "t"])
        ['d0', 'd1', 's0', 's1', 't0', 't1']
    """
    return [f"{kind}{axis}" for kind in ["d", *kinds] for axis in axes]


def place_words(word, ndim, arrays=1):
    """Leurs mots de signature, pour `arrays` tableaux."""
    return [word] * ndim + [_SIGNED[word]] * (ndim * arrays)


def numbers(word, lengths, *strides):
    """Les nombres que `place_names` nomme : longueurs, puis pas de chaque tableau, typés."""
    length, step = getattr(np, word), getattr(np, _SIGNED[word])
    return [*map(length, lengths), *(step(s) for row in strides for s in row)]


def spread_strides(given, strides, shape):
    """Les pas d’un tableau de forme `given`, diffusé à la forme `shape`.

    Exemple
        >>> spread_strides((3, 1), (1, 1), (2, 3, 4))
        (0, 1, 0)
    """
    missing = len(shape) - len(given)
    return (0,) * missing + tuple(
        [0 if length == 1 else stride for length, stride in zip(given, strides, strict=True)]
    )
