"""Où est un élément, d’après son rang : réunir des axes, retrouver des indices, en parcourir.

Un fil connaît un rang, compté dernier axe le plus rapide ; il lui faut l’indice de chaque axe.
Chacun coûte une division : `merged` réunit d’abord les axes qui se suivent en mémoire. Et une
division de 64 bits coûte quatre fois celle de 32 : `word_for` dit quand 32 bits suffisent.

Ordre de lecture : `merged`, `word_for`, `unravelled`, puis `affine` et `nested`.
"""

import math

NARROW, WIDE = "uint32", "int64"
SIGNED = {NARROW: "int32", WIDE: "int64"}  # une position peut tomber avant l’image


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


def word_for(shape):
    """Le type des rangs d’une boucle de cette forme : « uint32 », ou « int64 » si 32 bits n’y
    suffisent pas.

    Exemple
        >>> word_for((3, 2**20)), word_for((3, 2**30))
        ('uint32', 'int64')
    """
    return NARROW if math.prod(shape) < 2**31 else WIDE


def unravelled(position, names, lengths, word):
    """Les lignes qui retrouvent les indices `names` d’un rang ; le premier n’a pas de longueur.

    Exemple
        >>> print(*unravelled("t", ["b", "h", "w"], ["nh", "nw"], "uint32"), sep="\\n")
        w = uint32(t % nw)
        b = uint32(t // nw)
        h = uint32(b % nh)
        b = uint32(b // nh)
    """
    lines, whole = [], names[0]
    for name, length in zip(names[:0:-1], lengths[::-1], strict=True):
        lines.append(f"{name} = {word}({position} % {length})")
        lines.append(f"{whole} = {word}({position} // {length})")
        position = whole
    return lines or [f"{whole} = {position}"]


def affine(name, factor, shift=0):
    """Le texte de name · factor + shift, sans ce qui n’y change rien.

    Exemple
        >>> affine("i", 2, -1), affine("i", 1, 3), affine("i", 1)
        ('i * 2 - 1', 'i + 3', 'i')
    """
    text = name if factor == 1 else f"{name} * {factor}"
    return f"{text} {'-' if shift < 0 else '+'} {abs(shift)}" if shift else text


def nested(loops, inside):
    """Des boucles l’une dans l’autre, chacune avec ses définitions et sa condition.

    Paramètres
        loops : (variable, texte de ses bornes, lignes, condition ou texte vide), de la plus lente
            à la plus rapide.
        inside : les lignes de la plus rapide.

    Exemple
        >>> print(*nested([("u", "kh", ["h = i + u"], "h < nh")], ["total += x[h]"]), sep="\\n")
        for u in range(kh):
            h = i + u
            if h < nh:
                total += x[h]
    """
    lines = list(inside)
    for variable, bounds, given, condition in reversed(loops):
        lines = indented(lines)
        if condition:
            lines = [f"    if {condition}:", *indented(lines)]
        lines = [f"for {variable} in range({bounds}):", *indented(given), *lines]
    return lines


def indented(lines, times=1):
    """Ces lignes, plus à droite."""
    return [f"{'    ' * times}{line}" for line in lines]
