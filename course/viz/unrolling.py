"""Un scan replié, puis déplié tour par tour : le widget de la leçon 08.

À gauche, la boucle telle que le graphe la porte, un seul nœud ; à droite, ce qu’elle calcule, une
copie du pas par tour. En remontant, chaque état montre son effet sur le dernier, et chaque tour la
part qu’il apporte au gradient du paramètre. Python calcule et redessine à chaque geste ; le
JavaScript (`static/unrolling.js`) ne tient que les commandes.

Ordre de lecture : `RECURRENCES`, `unroll`, `ScanWidget`, `draw_scan`.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import traitlets

from course.typography import typeset
from course.viz import palette
from course.viz.picture import Picture, decimal
from course.viz.svg import arrowhead, document, text
from course.viz.widget import CourseWidget, script


class Recurrence(NamedTuple):
    """Un pas de boucle : ses noms, sa formule, son calcul, ses pentes locales."""

    state: str
    parameter: str
    row: str  # l’élément de la séquence lu à chaque tour ; vide s’il n’y en a pas
    formula: str
    short: str  # ce qui s’écrit dans une copie du pas
    step: Callable  # (état, paramètre, élément) -> nouvel état
    slopes: Callable  # (état, nouvel état, paramètre) -> (effet de l’état, effet du paramètre)


def _tanh_slopes(h, new, w):
    return (1 - new * new) * w, (1 - new * new) * h


RECURRENCES = {
    "power":  Recurrence("p", "A", "",  "p · A",           "×",
                         lambda p, a, _: p * a,            lambda p, _, a: (a, p)),
    "horner": Recurrence("s", "x", "c", "s · x + c",       "× puis +",
                         lambda s, x, c: s * x + c,        lambda s, _, x: (x, s)),
    "tanh":   Recurrence("h", "w", "x", "tanh(w · h + x)", "tanh",
                         lambda h, w, x: math.tanh(w * h + x), _tanh_slopes),
}  # fmt: skip


class Unrolled(NamedTuple):
    """Ce que la boucle a calculé, à l’aller puis au retour."""

    states: list  # de l’état initial au dernier
    effects: list  # l’effet de chacun sur le dernier
    shares: list  # la part de chaque tour dans la dérivée par rapport au paramètre

    @property
    def total(self):
        """La dérivée du dernier état par rapport au paramètre."""
        return sum(self.shares)


def unroll(recurrence, start, parameter, rows):
    """Fait un tour par élément de `rows`, puis remonte du dernier au premier.

    Exemple
        >>> unroll(RECURRENCES["power"], 1.0, 2.0, [0.0] * 3)
        Unrolled(states=[1.0, 2.0, 4.0, 8.0], effects=[8.0, 4.0, 2.0, 1.0], shares=[4.0, 4.0, 4.0])
    """
    states = [start]
    for row in rows:
        states.append(recurrence.step(states[-1], parameter, row))
    effects, shares = [1.0], []
    for before, after in reversed(list(pairwise(states))):
        by_state, by_parameter = recurrence.slopes(before, after, parameter)
        shares.append(effects[-1] * by_parameter)
        effects.append(effects[-1] * by_state)
    return Unrolled(states, effects[::-1], shares[::-1])


class ScanWidget(CourseWidget):
    """Déplie une boucle : un curseur compte les tours, un autre règle le paramètre.

    Paramètres
        recurrence : une clef de `RECURRENCES`.
        start : l’état initial.
        parameter : la valeur de départ du paramètre ; `span`, les bornes de son curseur.
        turns : le nombre de tours montrés au départ.
        rows : la séquence lue, un élément par tour ; elle borne le nombre de tours.
        backward : montrer aussi le retour.
        title : le titre du widget.

    Exemple
        >>> ScanWidget(turns=3)
        <ScanWidget>
    """

    _esm = script("unrolling")

    title = traitlets.Unicode().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    turns = traitlets.Int().tag(sync=True)
    longest = traitlets.Int().tag(sync=True)
    parameter = traitlets.Float().tag(sync=True)
    span = traitlets.List(traitlets.Float()).tag(sync=True)
    backward = traitlets.Bool().tag(sync=True)
    svg = traitlets.Unicode().tag(sync=True)
    summary = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        recurrence="power",
        *,
        start=1.0,
        parameter=1.5,
        span=(-2.0, 2.0),
        turns=4,
        rows=(0.0,) * 8,
        backward=False,
        title="Un scan, replié puis déplié",
    ):
        if recurrence not in RECURRENCES:
            known = ", ".join(RECURRENCES)
            raise ValueError(typeset(f"boucle inconnue : {recurrence} ; les clefs sont {known}"))
        self._recurrence = RECURRENCES[recurrence]
        self._start, self._rows = float(start), [float(row) for row in rows]
        super().__init__(
            title=typeset(title),
            name=self._recurrence.parameter,
            longest=len(self._rows),
            turns=turns,
            parameter=parameter,
            span=list(span),
            backward=backward,
        )
        self._redraw()
        self.observe(self._redraw, ["turns", "parameter", "backward"])

    @traitlets.validate("turns")
    def _within(self, proposal):
        return min(max(proposal["value"], 1), len(self._rows))

    def fallback(self):
        """Renvoie l’image fixe de la boucle, telle que les curseurs l’ont laissée."""
        return Picture(self.svg, self.summary)

    def _redraw(self, _change=None):
        rows = self._rows[: self.turns]
        done = unroll(self._recurrence, self._start, self.parameter, rows)
        with self.hold_sync():
            self.summary = describe_scan(self._recurrence, self.parameter, done, self.backward)
            self.svg = draw_scan(self._recurrence, self.parameter, rows, done, self.backward)


def describe_scan(recurrence, parameter, done, backward):
    """Dit ce que la boucle a calculé et, s’il y a lieu, ce que la remontée en tire."""
    s, a, n = recurrence.state, recurrence.parameter, len(done.shares)
    last = _indexed(s, n)
    turns = "1 tour" if n == 1 else f"{n} tours"
    text = (
        f"{turns} de {s} ← {recurrence.formula}, avec {a} = {decimal(parameter)} : {last} vaut "
        f"{decimal(done.states[-1])}, et l'aller a calculé {turns.replace('tour', 'état')}."
    )
    if backward:
        text += (
            f" Au retour, l'effet de {_indexed(s, 0)} sur {last} est {decimal(done.effects[0])} ; "
            f"celui de {a}, somme d'une part par tour, est {decimal(done.total)}."
        )
    return typeset(text)


# ---- dessin ------------------------------------------------------------------------------

PANEL, COLUMN, BOX = 166, 92, 74  # largeurs : la boucle repliée, une colonne, un état
FIRST = PANEL + 68  # abscisse du premier état
ROW_Y, BUS_Y, STEP_Y, STATE_Y = 20, 60, 112, 186  # séquence, paramètre, copies, états
EFFECT_Y, BASE_Y, SHARE_Y = 258, 322, 348  # effets, pied des barres, parts
TALLEST = 48  # la plus haute barre
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def draw_scan(recurrence, parameter, rows, done, backward):
    """Renvoie le texte SVG de la boucle repliée et de ses copies dépliées."""
    n = len(rows)
    width, height = _x(n) + BOX / 2 + 14, (SHARE_Y + 34 if backward else STATE_Y + 54)
    body = [_folded(recurrence), _bus(recurrence, parameter, n)]
    for turn, row in enumerate(rows, 1):
        body.append(_copy(recurrence, turn, row))
    for turn, state in enumerate(done.states):
        body.append(_state(_x(turn), 3 if turn == n else 1.5))
        name = _indexed(recurrence.state, turn)
        body.append(text(_x(turn), STATE_Y - 4, name, size=12, colour=palette.MUTED))
        body.append(text(_x(turn), STATE_Y + 13, decimal(state), weight="600"))
    if backward:
        body.append(_backward(recurrence, done))
    arrows = arrowhead("chainage-forward", palette.MUTED)
    arrows += arrowhead("chainage-backward", palette.variable("gradient"))
    return document(
        width, height, f"Boucle dépliée en {n} copies du pas", [f"<defs>{arrows}</defs>", *body]
    )


def _x(turn):
    """L’abscisse de l’état du tour `turn` ; la copie qui le calcule est une demi-colonne avant."""
    return FIRST + turn * COLUMN


def _indexed(name, rank):
    return name + str(rank).translate(_SUBSCRIPTS)


def _line(path, concept=None, dash=""):
    colour = palette.variable(concept) if concept else palette.MUTED
    name = "chainage-backward" if concept == "gradient" else "chainage-forward"
    marker = f' marker-end="url(#{name})"'
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dashes}{marker}/>'


def _box(x, y, concept, stroke, tall=30):
    return (
        f'<rect x="{x - BOX / 2:g}" y="{y - tall / 2:g}" width="{BOX}" height="{tall}" rx="7" '
        f'fill="{palette.BACKGROUND}" stroke="{palette.variable(concept)}" '
        f'stroke-width="{stroke}"/>'
    )


def _state(x, stroke):
    return _box(x, STATE_Y, "activation", stroke, tall=40)


def _oval(x, y, width, label, size):
    return (
        f'<ellipse cx="{x:g}" cy="{y}" rx="{width / 2:g}" ry="17" fill="{palette.BACKGROUND}" '
        f'stroke="{palette.variable("test")}" stroke-width="1.2"/>'
        + text(x, y + 4, label, size=size, weight="600")
    )


def _folded(recurrence):
    """Trace la boucle telle que le graphe la porte : un nœud, qui contient un pas."""
    x = 12 + (PANEL - 24) / 2
    dash = palette.concept("cost").dash
    return "".join(
        [
            f'<rect x="12" y="48" width="{PANEL - 24}" height="{STATE_Y - 2}" rx="10" fill="none" '
            f'stroke="{palette.variable("cost")}" stroke-width="2" stroke-dasharray="{dash}"/>',
            text(x, 70, "scan : un nœud", weight="600"),
            _oval(x, STEP_Y, 124, recurrence.formula, 12),
            _line(f"M{x + 18},{STEP_Y + 17} L{x + 12},{STATE_Y - 22}"),
            _state(x, 1.5),
            text(x, STATE_Y + 4, recurrence.state),
            _line(
                f"M{x - BOX / 2},{STATE_Y} C{x - 66},{STATE_Y} {x - 62},{STEP_Y + 34} "
                f"{x - 34},{STEP_Y + 16}",
                dash="5 4",
            ),
            text(x, STATE_Y + 36, "au tour suivant", size=11, colour=palette.MUTED),
        ]
    )


def _bus(recurrence, parameter, n):
    """Trace le paramètre et l’état initial, qui entrent dans la boucle repliée comme dépliée."""
    colour = palette.variable("parameter")
    return (
        f'<path d="M{FIRST},{BUS_Y} H{_x(n) - COLUMN / 2 + 14}" stroke="{colour}" '
        'stroke-width="2" fill="none"/>'
        + _line(f"M{FIRST},{BUS_Y} H{PANEL - 10}", "parameter")
        + _line(f"M{FIRST},{STATE_Y} H{PANEL - 10}")
        + _box(FIRST - 12, BUS_Y, "parameter", 2)
        + text(FIRST - 12, BUS_Y + 4, f"{recurrence.parameter} = {decimal(parameter)}", size=12)
    )


def _copy(recurrence, turn, row):
    """Trace la copie du pas qui fait le tour `turn`, et ce qui y entre et en sort."""
    x = _x(turn) - COLUMN / 2
    parts = [_line(f"M{x + 14},{BUS_Y} V{STEP_Y - 16}", "parameter")]
    if recurrence.row:
        label = f"{recurrence.row} = {decimal(row)}"
        parts.append(_line(f"M{x - 12},{ROW_Y + 15} V{STEP_Y - 17}", "input"))
        parts.append(_box(x - 12, ROW_Y, "input", 1.5))
        parts.append(text(x - 12, ROW_Y + 4, label, size=12))
    parts.append(_line(f"M{x - 30},{STATE_Y - 20} L{x - 15},{STEP_Y + 18}"))
    parts.append(_line(f"M{x + 15},{STEP_Y + 16} L{x + 30},{STATE_Y - 22}"))
    parts.append(_oval(x, STEP_Y, 68, recurrence.short, 12))
    return "".join(parts)


def _backward(recurrence, done):
    """Trace le retour : l’effet de chaque état sur le dernier, la part de chaque tour."""
    s, a, n = recurrence.state, recurrence.parameter, len(done.shares)
    last, colour = _indexed(s, n), palette.variable("gradient")
    scale = max(map(abs, done.effects))  # au moins 1 : l’effet du dernier état sur lui-même
    parts = [
        text(14, EFFECT_Y - 4, f"effet de chaque {s}", size=12, anchor="start"),
        text(14, EFFECT_Y + 12, f"sur {last}", size=12, anchor="start"),
        text(14, SHARE_Y, f"part de {a}, par tour", size=12, anchor="start"),
        text(14, SHARE_Y + 22, "leur somme :", size=12, anchor="start"),
        text(PANEL - 12, SHARE_Y + 22, decimal(done.total), size=12, anchor="end", weight="600"),
    ]
    for turn, effect in enumerate(done.effects):
        tall = TALLEST * abs(effect) / scale
        parts.append(text(_x(turn), EFFECT_Y, decimal(effect), weight="600"))
        parts.append(
            f'<rect x="{_x(turn) - 10:g}" y="{BASE_Y - tall:.1f}" width="20" '
            f'height="{tall:.1f}" fill="{colour}"/>'
        )
    dash = palette.concept("gradient").dash
    for turn, share in enumerate(done.shares, 1):
        parts.append(
            _line(f"M{_x(turn) - 30},{EFFECT_Y - 4} H{_x(turn - 1) + 30}", "gradient", dash=dash)
        )
        parts.append(text(_x(turn) - COLUMN / 2, SHARE_Y, decimal(share), size=12))
    foot = f'<path d="M{FIRST - BOX / 2},{BASE_Y} H{_x(n) + BOX / 2}" stroke="{palette.MUTED}"/>'
    return "".join([foot, *parts])
