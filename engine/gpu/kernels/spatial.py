"""Les axes d’une image dans le texte d’un noyau : retrouver des indices, parcourir, dire une place.

Ordre de lecture : `unravelled`, `nested`.
"""

from engine.gpu.kernels.positions import NARROW

SIGNED = {NARROW: "int32", "int64": "int64"}  # une position peut tomber avant l’image


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
