"""La chasse au NaN : parcourir les nœuds d’une fonction et voir où naît le premier mauvais nombre.

Chaque ligne est un nœud, dans l’ordre du calcul : l’intervalle de ses valeurs sur un axe resserré,
et le compte de ses infinis et de ses NaN. Trois réglages : l’échelle des entrées, l’étape atteinte,
et le graphe parcouru, celui que l’on a écrit ou celui que le moteur a réécrit.

Noms publics : `NanHuntWidget`, `walk_values`, `first_bad`.

Ordre de lecture : `Row`, `walk_values`, `NanHuntWidget`, puis le dessin.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np
import traitlets

from course.typography import typeset
from course.viz import palette
from course.viz.picture import Picture, decimal
from course.viz.svg import document, text
from course.viz.widget import CourseWidget, script
from engine.core.compiler import function
from engine.core.dtypes import FLOATS
from engine.core.graph import Constant, graph_inputs
from engine.core.modes import Mode, Watcher
from engine.core.sharedvalue import SharedVariable

GRAPHS = {
    "written": ("tel qu’écrit", Mode("numpy", None)),
    "rewritten": ("réécrit par le moteur", Mode("numpy").excluding("fusion", "inplace")),
}
EXPONENTS = -2.0, 4.0  # de l’échelle des entrées
WIDTH, ROW_HEIGHT, TOP = 860, 30, 40
AXIS, HALF = 404, 168  # le zéro de l’axe, et la longueur de chaque côté
RIGHT = AXIS + HALF + 22
LIMIT = 39  # puissance de dix au bord de l’axe, au-delà du plus grand float32
TICKS = {0: "0", 1: "10", 6: "10⁶", 15: "10¹⁵", 30: "10³⁰"}  # puissance : son nom
LONGEST = 28  # caractères du nom d’un nœud


class Row(NamedTuple):
    """Les valeurs d’une variable : `low` et `high` sont des nombres finis, ou None."""

    label: str
    size: int
    low: float | None
    high: float | None
    infinities: int
    nans: int
    sources: tuple = ()  # les rangs des lignes que ce nœud lit

    @property
    def sound(self):
        return not (self.infinities or self.nans)


class _Recorder(Watcher):
    """Garde la valeur que rend chaque nœud, dans l’ordre du calcul."""

    looks_inside = False

    def __init__(self, fgraph, name, seen):
        super().__init__(fgraph, name)
        self.seen = seen

    def wrap(self, node, call):
        def recorded(*inputs):
            result = call(*inputs)
            values = [result] if len(node.outputs) == 1 else result
            self.seen.append((node, np.array(values[0])))
            return result

        return recorded


def walk_values(inputs, output, values, graph="written"):
    """Calcule `output` et rend les valeurs de chaque nœud, dans l’ordre du calcul.

    Paramètres
        inputs, output : les entrées et l’expression, à nombres flottants.
        values : la valeur de chaque entrée.
        graph : "written", le graphe tel qu’il est écrit ; "rewritten", celui qui serait compilé.

    Renvoie
        une liste de `Row`, les entrées et les variables partagées d’abord. Les nœuds qui ne
        dépendent que des formes sont passés.

    Exemple
        >>> import engine.tensor as T
        >>> x = T.dvector("x")
        >>> for row in walk_values([x], T.log(T.exp(x)), [[0.0, 1000.0]]):
        ...     print(row.label, row.low, row.high, row.infinities)
        x 0.0 1000.0 0
        exp([0]) 1.0 1.0 1
        log([1]) 0.0 0.0 1
    """
    return _walker(inputs, output, graph)(values)


def _walker(inputs, output, graph):
    """La fonction des valeurs qui rend les `Row` : le graphe n’est compilé qu’une fois."""
    seen = []
    _, mode = GRAPHS[graph]
    f = function(inputs, output, mode=mode.watching(partial(_Recorder, seen=seen)))
    kept = [leaf for leaf in graph_inputs([output]) if isinstance(leaf, SharedVariable)]
    leaves = [*inputs, *kept]

    def walked(values):
        seen.clear()
        with np.errstate(all="ignore"):
            f(*values)
        arrays = [np.asarray(value) for value in values]
        arrays += [variable.get_value(borrow=True) for variable in kept]
        rows = [_row(str(entry), array) for entry, array in zip(leaves, arrays, strict=True)]
        ranks = {entry: rank for rank, entry in enumerate([*f.fgraph.inputs[: len(inputs)], *kept])}
        for node, value in seen:
            sources = tuple(ranks[entry] for entry in node.inputs if entry in ranks)
            if sources and value.dtype.name in FLOATS:
                ranks[node.outputs[0]] = len(rows)
                rows.append(_row(_label(node, ranks), value, sources))
        return rows

    return walked


def first_bad(rows):
    """Le rang de la première ligne qui a un infini ou un NaN ; None si tout est fini."""
    return next((rank for rank, row in enumerate(rows) if not row.sound), None)


def _first_nan(rows):
    return next((rank for rank, row in enumerate(rows) if row.nans), None)


def _row(label, value, sources=()):
    finite = value[np.isfinite(value)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    infinities, nans = int(np.isinf(value).sum()), int(np.isnan(value).sum())
    return Row(label, value.size, low, high, infinities, nans, sources)


def _label(node, ranks):
    """Le nom de l’op, et ce qu’il lit : le rang d’une ligne, ou le nom d’une autre variable."""
    read = [f"[{ranks[entry]}]" if entry in ranks else _name(entry) for entry in node.inputs]
    text = f"{str(node.op).partition('{')[0]}({', '.join(read)})"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _name(entry):
    if isinstance(entry, Constant):
        return decimal(float(entry.data)) if np.ndim(entry.data) == 0 else "constante"
    return entry.name or "·"  # une longueur, ou ce qu’on en a tiré


# ---- le widget ---------------------------------------------------------------------------


class NanHuntWidget(CourseWidget):
    """Parcourt les nœuds d’une expression et montre où naît le premier mauvais nombre.

    Paramètres
        inputs, output : les entrées (flottantes) et l’expression.
        values : la valeur de chaque entrée ; l’échelle les multiplie toutes.
        exponent : l’échelle de départ, en puissance de dix.
        title : titre du widget.

    Exemple
        >>> import engine.tensor as T
        >>> x = T.fvector("x")
        >>> hunt = NanHuntWidget([x], T.log(T.exp(x)), [np.array([1, 2], "float32")], exponent=2)
        >>> hunt, [row.infinities for row in hunt.rows]
        (<NanHuntWidget>, [0, 2, 2])
    """

    _esm = script("nan_hunt")

    title = traitlets.Unicode().tag(sync=True)
    graph = traitlets.Enum(list(GRAPHS), "written").tag(sync=True)
    graphs = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    exponent = traitlets.Float().tag(sync=True)
    exponents = traitlets.List(traitlets.Float(), list(EXPONENTS)).tag(sync=True)  # du curseur
    step = traitlets.Int().tag(sync=True)
    last = traitlets.Int().tag(sync=True)  # la dernière étape
    svg = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)

    def __init__(self, inputs, output, values, *, exponent=0.0, title="La chasse au NaN"):
        self._values = [np.asarray(value) for value in values]
        self._walkers = {graph: _walker(inputs, output, graph) for graph in GRAPHS}
        names = [[graph, typeset(name)] for graph, (name, _) in GRAPHS.items()]
        super().__init__(title=typeset(title), graphs=names, exponent=exponent)
        self._recompute()
        self.step = self.last
        self.observe(self._recompute, ["graph", "exponent"])
        self.observe(self._redraw, ["step"])

    def fallback(self):
        """Renvoie l’image fixe du parcours, à l’étape et à l’échelle du moment."""
        return Picture(self.svg, self.text)

    def _recompute(self, change=None):
        finished = change is None or self.step == self.last
        scale = 10.0**self.exponent
        values = [(value * scale).astype(value.dtype) for value in self._values]
        self.rows = self._walkers[self.graph](values)
        with self.hold_trait_notifications():
            self.last = len(self.rows) - 1
            self.step = self.last if finished else min(self.step, self.last)
        self._redraw()

    def _redraw(self, _change=None):
        with self.hold_sync():
            self.svg = draw_rows(self.rows, self.step, title=self.title)
            self.text = describe_rows(self.rows, self.step, self.exponent, GRAPHS[self.graph][0])


def describe_rows(rows, step, exponent=0.0, graph="tel qu’écrit"):
    """Dit en quelques phrases ce que vaut la ligne `step`, et si un mauvais nombre y naît."""
    row, bad = rows[step], first_bad(rows[: step + 1])
    parts = [
        f"Graphe {graph}, entrées multipliées par {decimal(10.0**exponent)}. "
        f"Étape {step} sur {len(rows) - 1} : {row.label} vaut {_extent(row)}."
    ]
    if bad is None:
        parts.append("Aucun mauvais nombre jusqu'ici.")
    else:
        parts.append(f"Premier mauvais nombre à l'étape {bad}, {_birth(rows, bad)}.")
        nan = _first_nan(rows[: step + 1])
        if nan not in (None, bad):
            parts.append(f"Premier NaN à l'étape {nan}, {_birth(rows, nan)}.")
    return typeset(" ".join(parts))


def _birth(rows, rank):
    """Le nœud de cette ligne, et ce qu’il a reçu."""
    row = rows[rank]
    sources = [f"{_extent(rows[source])} (étape {source})" for source in row.sources]
    return row.label + (f", qui a reçu {' et '.join(sources)}" if sources else "")


def _extent(row):
    parts = []
    if row.low is not None:
        low, high = decimal(row.low), decimal(row.high)
        parts.append(low if low == high else f"de {low} à {high}")
    parts += [f"{count} {name}" for count, name in _bad_counts(row)]
    return ", ".join(parts) or "rien"


def _bad_counts(row):
    infinite = "infini" if row.infinities == 1 else "infinis"
    return [pair for pair in ((row.infinities, infinite), (row.nans, "NaN")) if pair[0]]


# ---- le dessin ---------------------------------------------------------------------------


def draw_rows(rows, step, *, title=""):
    """Renvoie le texte SVG : une ligne par nœud, celles d’après `step` encore vides."""
    height = TOP + ROW_HEIGHT * len(rows) + 12
    bad, nan = first_bad(rows[: step + 1]), _first_nan(rows[: step + 1])
    body = [text(20, 18, "nœud (★ : naissance)", anchor="start", colour=palette.MUTED)]
    body.append(text(AXIS, 18, "valeurs (axe resserré, logarithmique)", colour=palette.MUTED))
    body += [
        _tick(sign * power, height) for power in TICKS for sign in ((1, -1) if power else (1,))
    ]
    for rank, row in enumerate(rows):
        y = TOP + ROW_HEIGHT * rank
        if rank in (bad, nan):
            body.append(
                f'<rect x="4" y="{y + 1}" width="{WIDTH - 8}" height="{ROW_HEIGHT - 2}" rx="4" '
                f'fill="none" stroke-width="2" stroke="{palette.variable("gradient")}"/>'
            )
        star, reached = "★ " if rank in (bad, nan) else "", rank <= step
        colour = palette.TEXT if reached else palette.MUTED
        weight = "700" if rank == step else "normal"
        name = f"{star}{rank} · {row.label}"
        body.append(text(20, y + 20, name, anchor="start", colour=colour, weight=weight))
        body.append(
            _values(row, y, rank in (bad, nan))
            if reached
            else text(RIGHT, y + 20, "…", anchor="start")
        )
    return document(WIDTH, height, title or "Les valeurs, nœud par nœud", body)


def _position(value):
    """L’abscisse d’un nombre : la racine de son ordre de grandeur, pour voir 1 comme 10³⁰."""
    magnitude = min(math.log10(1 + abs(value)) / LIMIT, 1.0)
    return AXIS + HALF * math.copysign(math.sqrt(magnitude), value)


def _tick(power, height):
    x = _position(math.copysign(10.0 ** abs(power) if power else 0.0, power))
    label = ("−" if power < 0 else "") + TICKS[abs(power)]
    return (
        f'<line x1="{x:.1f}" y1="{TOP - 2}" x2="{x:.1f}" y2="{height - 8}" '
        f'stroke="{palette.BORDER}" stroke-dasharray="{"" if power == 0 else "2 4"}"/>'
        + text(x, TOP - 7, label, colour=palette.MUTED, size=11)
    )


def _values(row, y, culprit):
    """La barre des valeurs finies, les marques des infinis et des NaN, et les nombres."""
    colour = palette.variable("activation" if row.sound else "gradient")
    parts = []
    if row.low is not None:
        left, right = _position(row.low), _position(row.high)
        parts.append(
            f'<rect x="{left - 1.5:.1f}" y="{y + 8}" width="{right - left + 3:.1f}" height="14" '
            f'rx="3" fill="{colour}"/>'
        )
    if row.nans:
        parts.append(
            f'<rect x="{AXIS - HALF}" y="{y + 4}" width="{2 * HALF}" height="22" fill="none" '
            f'stroke="{colour}" stroke-width="2" stroke-dasharray="5 4"/>'
        )
    if row.infinities:
        parts.append(text(AXIS + HALF + 12, y + 20, "∞", colour=colour, weight="700"))
    weight = "700" if culprit else "normal"
    return "".join(parts) + text(RIGHT, y + 20, _extent(row), anchor="start", weight=weight)
