"""Un programme : des entrées et des nœuds, chacun écrit deux fois, pour le moteur et pour NumPy.

Chaque élément de `Program.items` est nommé par son rang. Un nœud porte deux textes Python où `{0}`,
`{1}`... sont ses arguments : l’imprimer, l’exécuter et le réduire ne demandent rien d’autre.

Ordre de lecture : `LAYOUTS`, `Input`, `Node`, `Program`, `smaller`.
"""

import dataclasses
from dataclasses import dataclass, field

import numpy as np

CALLS = 2  # une fonction compilée est appelée deux fois, avec d’autres formes


def _transposed(x):
    return np.ascontiguousarray(x.T).T


def _negative(x):
    turn = (slice(None, None, -1),) * x.ndim
    return np.ascontiguousarray(x[turn])[turn]


def _strided(x):
    wide = np.zeros([2 * n + 1 for n in x.shape], x.dtype)
    inside = wide[tuple(slice(1, None, 2) for _ in x.shape)]
    inside[...] = x
    return inside


def _window(x):
    wide = np.zeros([n + 2 for n in x.shape], x.dtype)
    inside = wide[tuple(slice(1, -1) for _ in x.shape)]
    inside[...] = x
    return inside


def _stretched(x):
    """Des pas nuls, là où toutes les tranches sont égales."""
    for axis in range(x.ndim):
        first = x[(slice(None),) * axis + (slice(0, 1),)]
        if x.shape[axis] > 1 and (x == first).all():
            return np.broadcast_to(first, x.shape)
    return x.copy()


def _read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = {
    "C": np.array,
    "Fortran": np.asfortranarray,
    "transposée": _transposed,
    "pas négatifs": _negative,
    "un sur deux": _strided,
    "fenêtre": _window,
    "pas nuls": _stretched,
    "lecture seule": _read_only,
}


@dataclass
class Input:
    """Une entrée : un argument, une variable partagée, une constante ou un nombre écrit tel quel.

    `values` : sa valeur à chaque appel ; `static` : les longueurs que son type annonce.
    """

    kind: str
    dtype: str
    values: tuple
    static: tuple
    layout: str = "C"

    def given(self, call):
        """La valeur à donner au moteur, dans sa disposition en mémoire."""
        return LAYOUTS[self.layout](self.values[call])

    def declaration(self, name):
        """Ce qui crée la variable du moteur."""
        if self.kind == "argument":
            return f"TensorType({self.dtype!r}, shape={self.static})({name!r})"
        if self.kind == "partagée":
            return f"shared({name}_values[0], name={name!r})"
        if self.kind == "constante":
            return f"T.constant({name}_values[0])"
        return repr(self.values[0].item())


@dataclass
class Node:
    """L’application d’une fonction publique.

    Paramètres
        name : la fonction, pour les comptes.
        engine, numpy : les deux textes.
        args : les rangs des arguments.
        dtype : le dtype du résultat, selon la règle de la documentation.
        compute : le dtype où NumPy doit convertir les arguments avant de calculer (None : aucun).
        rounds : le résultat est arrondi (faux : une copie d’éléments, un choix, une comparaison).
        passes_by_1 : il est la différence de nombres proches de 1 (log Γ, près de ses racines).
    """

    name: str
    engine: str
    numpy: str
    args: tuple
    dtype: str
    compute: str | None = None
    rounds: bool = True
    passes_by_1: bool = False


@dataclass
class Program:
    """Des éléments dans l’ordre, ceux que l’on rend, et les mises à jour (partagée, nouvelle)."""

    items: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    updates: list = field(default_factory=list)

    def used(self):
        """Les rangs dont dépendent les sorties et les mises à jour."""
        found = {*self.outputs, *(place for pair in self.updates for place in pair)}
        for place in reversed(range(len(self.items))):
            if place in found and isinstance(self.items[place], Node):
                found.update(self.items[place].args)
        return sorted(found)

    def places(self, kind):
        """Les rangs utiles des entrées de ce genre."""
        return [
            place
            for place in self.used()
            if isinstance(self.items[place], Input) and self.items[place].kind == kind
        ]

    def text(self, style):
        """Les lignes de chaque élément utile : {rang: expression}, pour "engine" ou "numpy"."""
        lines = {}
        for place in self.used():
            item = self.items[place]
            if isinstance(item, Input):
                lines[place] = item.declaration(f"v{place}")
            else:
                lines[place] = getattr(item, style).format(*(f"v{arg}" for arg in item.args))
        return lines

    def source(self, mode):
        """Un programme complet, qui imprime ce que rendent le moteur et NumPy à chaque appel."""
        lines = [
            "import numpy as np",
            "import engine.tensor as T",
            "from engine import DebugMode, Mode, function, shared",
            "from engine.core.types import TensorType",
            "from tests.random_programs.oracle import *",
            "from tests.random_programs.program import LAYOUTS",
            "",
        ]
        inputs = [p for p in self.used() if isinstance(self.items[p], Input)]
        for place in inputs:
            item = self.items[place]
            values = ", ".join(_array(value) for value in item.values)
            lines.append(f"v{place}_values = [{values}]")
        lines += [f"v{place} = {text}" for place, text in self.text("engine").items()]
        arguments = self.places("argument")
        names = ", ".join(f"v{place}" for place in arguments)
        outputs = ", ".join(f"v{place}" for place in self.outputs)
        updates = ", ".join(f"(v{target}, v{new})" for target, new in self.updates)
        lines += [
            f"f = function([{names}], [{outputs}], updates=[{updates}], mode={mode})",
            f"for call in range({CALLS}):",
        ]
        for place in inputs:
            item = self.items[place]
            if item.kind == "partagée":
                lines.append(f"    v{place}.set_value(v{place}_values[call])")
        given = ", ".join(
            f"LAYOUTS[{self.items[place].layout!r}](v{place}_values[call])" for place in arguments
        )
        lines.append(f"    print('moteur', f({given}))")
        for place in inputs:
            lines.append(f"    n{place} = v{place}_values[call]")
        for place in self.used():
            item = self.items[place]
            if isinstance(item, Node):
                args = [f"n{arg}" for arg in item.args]
                if item.compute:
                    args = [f"{arg}.astype({item.compute!r})" for arg in args]
                text = item.numpy.format(*args)
                lines.append(f"    n{place} = np.asarray({text}).astype({item.dtype!r})")
        shown = ", ".join(
            f"n{place}" for place in [*self.outputs, *(new for _, new in self.updates)]
        )
        lines.append(f"    print('NumPy ', [{shown}])")
        return "\n".join(lines)


def _array(value):
    special = {"nan": "np.nan", "inf": "np.inf", "-inf": "-np.inf"}
    text = np.array2string(value, separator=", ", threshold=10_000, floatmode="unique")
    if value.size == 0:
        return f"np.zeros({value.shape}, {value.dtype.name!r})"
    for word in ("inf", "nan"):
        text = text.replace(word, special[word])
    return f"np.array({text.replace(chr(10), '')}, {value.dtype.name!r})"


def smaller(program, values):
    """Des programmes plus simples : moins de sorties, des nœuds devenus entrées, des entrées nues.

    Paramètres
        values : la valeur NumPy de chaque élément, à chaque appel (une liste par appel).
    """
    everything = [*program.outputs, *(new for _, new in program.updates)]
    used = program.used()
    nodes = [place for place in used if isinstance(program.items[place], Node)]
    if len(everything) > 1:
        for place in everything:
            yield dataclasses.replace(program, outputs=[place], updates=[])
    if len(everything) == 1:
        for place in nodes[:-1]:
            yield dataclasses.replace(program, outputs=[place], updates=[])
    for place in reversed(nodes):
        if place in everything:
            continue
        found = tuple(np.asarray(value[place]) for value in values)
        item = Input("argument", program.items[place].dtype, found, (None,) * found[0].ndim)
        yield _with_item(program, place, item)
    for place in used:
        item = program.items[place]
        if isinstance(item, Input):
            if item.kind != "argument" and place not in {target for target, _ in program.updates}:
                free = (None,) * item.values[0].ndim
                yield _with_item(
                    program, place, dataclasses.replace(item, kind="argument", static=free)
                )
            if item.layout != "C":
                yield _with_item(program, place, dataclasses.replace(item, layout="C"))
            if item.kind == "argument" and set(item.static) - {None}:
                free = (None,) * len(item.static)
                yield _with_item(program, place, dataclasses.replace(item, static=free))


def _with_item(program, place, item):
    items = list(program.items)
    items[place] = item
    return dataclasses.replace(program, items=items)
