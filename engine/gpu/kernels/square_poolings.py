"""Les poolings de fenêtres 2 × 2 qui pavent l’image : le niveau rapide.

Un fil fait une, deux ou quatre fenêtres voisines : il lit leurs deux lignes, de 128 bits en
128 bits quand elles s’y prêtent, et pour un gradient écrit lui-même les quatre pixels de chacune.
Personne ne cherche quelles fenêtres ont vu un pixel : il n’y en a qu’une.

    fil t : les fenêtres `wide`·(t % L) et suivantes de la ligne t // L, où L = largeur / `wide`

Ordre de lecture : `Squares`, `squares_text`, puis `first_maximum` et une fonction par calcul.
"""

from typing import NamedTuple

from engine.core.dtypes import widened
from engine.gpu.kernels.elements import loaded, stored

_CELLS = ((0, 0), (0, 1), (1, 0), (1, 1))  # les pixels d’une fenêtre, dans l’ordre où ils gagnent


class Squares(NamedTuple):
    """Un noyau de fenêtres 2 × 2.

    `images` et `windows` : les tableaux lus, de la taille de l’image ou des fenêtres ; `back` :
    le résultat est de la taille de l’image ; `each` : la fonction d’un rang de fenêtre qui rend
    ses lignes, où {image}{ligne}_{colonne} et {fenêtres}_{rang} sont des registres ; elles posent
    r_{rang}, ou r{ligne}_{colonne}.
    """

    images: str
    windows: str
    back: bool
    each: object


def windows_each(width, aligned):
    """Combien de fenêtres un fil fait d’une ligne de cette largeur."""
    if not aligned or width % 4:
        return 1
    return 4 if width % 8 == 0 else 2


def squares_text(squares, dtype, wide, kinds=None):
    """Le texte ; ses paramètres : out, les tableaux, le nombre de fils, la largeur de l’image.

    Paramètres
        wide : les fenêtres d’un fil, rendues par `windows_each`.
        kinds : le dtype d’un tableau de fenêtres, s’il n’est pas `dtype` (des rangs : uint8).
    """
    names = [*squares.images, *squares.windows]
    kinds = {name: (kinds or {}).get(name, dtype) for name in names}
    lines = [
        f"def kernel(out, {', '.join(names)}, count, width):",
        "    t = uint32(cuda.grid(1))",
        "    if t < count:",
        f"        across = uint32(width // uint32({2 * wide}))",
        "        line = uint32(t // across)",
        f"        j = uint32(uint32(t % across) * uint32({2 * wide}))",
        "        top = uint32(uint32(line * uint32(2)) * width + j)",
        "        at = uint32(uint32(line * uint32(width // uint32(2))) + uint32(j // uint32(2)))",
    ]
    inside = []
    for name in squares.images:
        inside += _image_read(name, kinds[name], wide)
    for name in squares.windows:
        inside += _windows_read(name, kinds[name], wide)
    for k in range(wide):
        inside += squares.each(k, widened(dtype))
    inside += _written(dtype, wide, squares.back)
    return "\n".join([*lines, *(f"        {line}" for line in inside)]) + "\n"


def _rows(wide):
    """Les accès des deux lignes d’un fil : (ligne, première colonne, nombre de colonnes)."""
    size = min(4, 2 * wide)
    return [(y, x, size) for y in range(2) for x in range(0, 2 * wide, size)]


def _place(y, x):
    return f"top + {x}" if y == 0 else f"top + width + {x}"


def _image_read(name, dtype, wide):
    lines = []
    for y, x, size in _rows(wide):
        held = [f"{name}{y}_{x + e}" for e in range(size)]
        if size == 4:
            lines.append(f"{', '.join(held)} = load4({name}, {_place(y, x)})")
            lines += [f"{v} = {loaded(v, dtype)}" for v in held if loaded(v, dtype) != v]
        else:
            lines += [
                f"{v} = {loaded(f'{name}[{_place(y, x + e)}]', dtype)}" for e, v in enumerate(held)
            ]
    return lines


def _windows_read(name, dtype, wide):
    held = [f"{name}_{k}" for k in range(wide)]
    if wide == 4:
        lines = [f"{', '.join(held)} = load4({name}, at)"]
        return lines + [f"{v} = {loaded(v, dtype)}" for v in held if loaded(v, dtype) != v]
    return [f"{v} = {loaded(f'{name}[at + {k}]', dtype)}" for k, v in enumerate(held)]


def _written(dtype, wide, back):
    """Le résultat : les deux lignes d’un fil, ou ses fenêtres."""
    if not back:
        values = [stored(f"r_{k}", dtype) for k in range(wide)]
        if wide == 4:
            return [f"store4(out, at, {', '.join(values)})"]
        return [f"out[at + {k}] = {value}" for k, value in enumerate(values)]
    lines = []
    for y, x, size in _rows(wide):
        values = [stored(f"r{y}_{x + e}", dtype) for e in range(size)]
        if size == 4:
            lines.append(f"store4(out, {_place(y, x)}, {', '.join(values)})")
        else:
            lines += [f"out[{_place(y, x + e)}] = {value}" for e, value in enumerate(values)]
    return lines


# ---- les calculs -------------------------------------------------------------------------


def first_maximum(names):
    """Les lignes qui posent `best`, le premier maximum de ces quatre registres, et `position`.

    Un NaN l’emporte sur tout, et le premier sur les suivants.
    """
    lines = [f"best = {names[0]}", "position = uint8(0)"]
    for k, item in enumerate(names[1:], 1):
        lines += [
            f"if {item} > best or ({item} != {item} and best == best):",
            f"    best = {item}",
            f"    position = uint8({k})",
        ]
    return lines


def _cells(name, position):
    return [f"{name}{y}_{2 * position + x}" for y, x in _CELLS]


def _maximum(position, real):
    return [*first_maximum(_cells("x", position)), f"r_{position} = best"]


def _mean(share):
    def each(position, real):
        a, b, c, d = _cells("x", position)
        return [f"r_{position} = {real}(((({a} + {b}) + {c}) + {d}) / {real}({share}))"]

    return each


def _spread(share):
    def each(position, real):
        return [
            f"{cell} = {real}(g_{position} / {real}({share}))" for cell in _cells("r", position)
        ]

    return each


def _given_to(position, real):
    return [
        f"{cell} = g_{position} if position == uint8({place}) else {real}(0.0)"
        for place, cell in enumerate(_cells("r", position))
    ]


def _given_back(position, real):
    return [*first_maximum(_cells("x", position)), *_given_to(position, real)]


def _by_position(position, real):
    return [f"position = k_{position}", *_given_to(position, real)]


def _picked(position, real):
    a, b, c, d = _cells("v", position)
    lines = first_maximum(_cells("x", position))
    first = f"({b} if position == uint8(1) else {a})"
    second = f"({d} if position == uint8(3) else {c})"
    return [*lines, f"r_{position} = {second} if position > uint8(1) else {first}"]


MAXIMUM = Squares("x", "", False, _maximum)
GIVEN_BACK = Squares("x", "g", True, _given_back)
PICKED = Squares("xv", "", False, _picked)
BY_POSITION = Squares("", "gk", True, _by_position)  # k : le rang du maximum de chaque fenêtre


def mean(share):
    """La somme d’une fenêtre, divisée par `share`."""
    return Squares("x", "", False, _mean(share))


def spread(share):
    """Son gradient : la même part à chaque pixel."""
    return Squares("", "g", True, _spread(share))
