"""Une ligne par groupe de fils, tenue dans leurs registres : ce que partagent softmax et pertes.

Chaque fil d’un groupe de `lanes` charge sa part de la ligne, une fois ; les calculs se font là, et
seul le résultat repart en mémoire. Au-delà de ce que tiennent les registres, le bloc relit la ligne
à chaque passage, le maximum et la somme en un seul (« en ligne » : quand un plus grand apparaît, la
somme déjà faite est remise à son échelle).

Un tableau lu s’appelle comme sa valeur, suivi d’un tiret bas : `z` vient de `z_`. Le texte dispose
de `row` et `inside` (voir `joining`), de `first`, la place du premier élément de la ligne, et de n.

Source : M. Milakov et N. Gimelshein, « Online normalizer calculation for softmax », 2018.

Ordre de lecture : `Rows`, `rows_for`, `header`, `load`, `each_held`, `sweep`, `fold`, `online`.
"""

from typing import NamedTuple

import numpy as np

from engine.core.dtypes import widened
from engine.gpu.kernels.elements import loaded, stored
from engine.gpu.kernels.joining import EACH, blocks_for, group_lines, join_lines
from engine.gpu.kernels.machines import machine

_HELD = 16  # mots de 32 bits d’une ligne que tient un fil, tous tableaux compris
PARAMETERS = ("m", "n", "lanes")
WORDS = ("uint32",) * len(PARAMETERS)


class Rows(NamedTuple):
    """Comment une ligne se répartit : fils, éléments par accès, accès par fil (0 : trop longue)."""

    lanes: int
    each: int
    held: int

    @property
    def text(self):
        """Ce dont dépend le texte d’un noyau : tout, sauf le nombre de fils, donné au lancement."""
        return self._replace(lanes=0)

    def launch(self, kernel, rows, n, *arguments):
        """Lance le noyau sur `rows` lignes de n éléments ; ses tableaux d’abord."""
        numbers = map(np.uint32, (rows, n, self.lanes))
        kernel.launch(blocks_for(rows, self.lanes), *arguments, *numbers)


def rows_for(n, aligned, dtype, arrays=1):
    """La répartition d’une ligne de n éléments, dont `arrays` tableaux sont tenus.

    Exemple
        >>> rows_for(3, True, "float32")  # le warp simulé a 4 fils, le bloc 8
        Rows(lanes=4, each=1, held=1)
        >>> rows_for(16, True, "float32"), rows_for(10**4, True, "float32").held
        (Rows(lanes=4, each=4, held=1), 0)
    """
    each = EACH if aligned and n % EACH == 0 else 1
    words = arrays * np.dtype(widened(dtype)).itemsize // 4
    units, room = max(n // each, 1), _HELD // words // each
    for lanes in (machine().warp, machine().reduction_block):
        held = -(-units // lanes)
        if held <= room:
            enough = 1 << (units - 1).bit_length()
            whole = lanes > machine().warp  # plus d’un warp : le bloc entier (voir `joining`)
            return Rows(lanes if whole else min(lanes, enough), each, 1 << (held - 1).bit_length())
    return Rows(machine().reduction_block, each, 0)


def header(dtype):
    """Les premières lignes du noyau."""
    real = widened(dtype)
    return [
        f"ZERO, LOWEST = {real}(0), {real}(-np.inf)",
        *group_lines(),
        "first = uint32(row * n)",
    ]


def load(name, rows, dtype, missing):
    """Tient dans `name_held` la part d’un fil ; `missing` remplit au-delà de la ligne."""
    targets = [f"{name}_held[{_slot(rows, e)}]" for e in range(rows.each)]
    lines = [
        f"{name}_held = cuda.local.array({rows.held * rows.each}, np.{widened(dtype)})",
        *_for_each_unit(rows),
        *(f"        {line}" for line in _read(name, rows, dtype, targets)),
        "    else:",
    ]
    return [*lines, *(f"        {target} = {missing}" for target in targets)]


def each_held(rows, names, lines):
    """Répète `lines` sur chaque élément tenu : `names` y désignent ses valeurs, gardées ensuite."""
    texts = [f"for k in range({rows.held * rows.each}):"]
    texts += [f"    {name} = {name}_held[k]" for name in names]
    texts += [f"    {line}" for line in lines]
    changed = {line.split(" = ")[0] for line in lines}
    return texts + [f"    {name}_held[k] = {name}" for name in names if name in changed]


def write(out, rows, dtype, names, text):
    """Range dans `out`, à la place de chaque élément tenu, la valeur de `text`."""
    lines = _for_each_unit(rows)
    for e in range(rows.each):
        lines += [f"        {name} = {name}_held[{_slot(rows, e)}]" for name in names]
        lines += [f"        c = int32({_column(rows, e)})"] if "c ==" in text else []
        lines += [f"        o{e} = {text}"]
    return [*lines, *(f"        {line}" for line in _store(out, rows, dtype))]


def sweep(rows, dtype, names, lines, out=None, text=None):
    """Parcourt la ligne en mémoire : `lines` sur chaque élément, puis `text` rangé dans `out`."""
    texts = ["j = lane", f"while uint32(j * uint32({rows.each})) < n:"]
    for name in names:
        values = [f"{name}{e}" for e in range(rows.each)]
        texts += [f"    {line}" for line in _read(name, rows, dtype, values)]
    for e in range(rows.each):
        texts += [f"    {name} = {name}{e}" for name in names]
        texts += [f"    {line}" for line in lines]
        if out:
            texts += [f"    c = int32({_column(rows, e)})"] if "c ==" in text else []
            texts += [f"    o{e} = {text}"]
    if out:
        texts += [f"    {line}" for line in _store(out, rows, dtype)]
    return [*texts, "    j = uint32(j + lanes)"]


def fold(held, dtype, signs=None):
    """Réunit des sommes (ou, par `signs`, des maximums) entre les fils du groupe."""
    joins = [
        f"{name} = max({name}, other_{name})"
        if (signs or {}).get(name) == "max"
        else f"{name} = {name} + other_{name}"
        for name in held
    ]
    return join_lines(dict.fromkeys(held, widened(dtype)), joins)


def online(rows, dtype, name):
    """Le maximum `top` et la somme `total` des exp({name} - top), en un seul passage.

    Le départ est le plus petit nombre fini : -inf - (-inf) ne se présente pas. Un infini remis à
    l’échelle par rapport à lui-même donne NaN, comme dans NumPy.
    """
    lowest = repr(float(np.finfo(widened(dtype)).min))
    grown = [
        f"if {name} > top:",
        f"    total = total * math.exp(top - {name}) + math.exp({name} - {name})",
        f"    top = {name}",
        "else:",
        f"    total = total + math.exp({name} - top)",
    ]
    return [
        f"top, total = {widened(dtype)}({lowest}), ZERO",
        *sweep(rows, dtype, [name], grown),
        "mine = top",
        *fold(["top"], dtype, {"top": "max"}),
        "total = total * math.exp(mine - top)",
        *fold(["total"], dtype),
        "if total == ZERO:  # rien que des -inf",
        "    total = LOWEST - LOWEST",
    ]


def body(names, lines):
    """Le texte du noyau ; `names` : ses tableaux et ce qu’il a de plus, avant m, n et lanes."""
    parameters = ", ".join([*names, *PARAMETERS])
    return f"def kernel({parameters}):\n" + "".join(f"    {line}\n" for line in lines)


def _for_each_unit(rows):
    return [
        f"for k in range({rows.held}):",
        "    j = uint32(lane + uint32(uint32(k) * lanes))",
        f"    if uint32(j * uint32({rows.each})) < n:",
    ]


def _slot(rows, e):
    return "k" if rows.each == 1 else f"{rows.each} * k + {e}"


def _column(rows, e):
    return "j" if rows.each == 1 else f"uint32(j * uint32({rows.each})) + uint32({e})"


def _place(rows):
    return f"uint32(first + uint32(j * uint32({rows.each})))"


def _read(name, rows, dtype, targets):
    if rows.each == 1:
        return [f"{targets[0]} = {loaded(f'{name}_[{_place(rows)}]', dtype)}"]
    words = [f"w{e}" for e in range(rows.each)]
    return [
        f"{', '.join(words)} = load4({name}_, {_place(rows)})",
        *(f"{t} = {loaded(w, dtype)}" for t, w in zip(targets, words, strict=True)),
    ]


def _store(out, rows, dtype):
    values = [stored(f"o{e}", dtype) for e in range(rows.each)]
    place = _place(rows)
    action = (
        f"{out}[{place}] = {values[0]}"
        if rows.each == 1
        else f"store4({out}, {place}, {', '.join(values)})"
    )
    return ["if inside:", f"    {action}"]
