"""La perturbation qui parcourt une chaîne de calcul : le widget de la leçon 01.

Python dessine une fois la chaîne (`draw_chain`), avec des cases nommées `data-slot` ; le
JavaScript (`static/perturbation.js`) recalcule et remplit les cases à chaque geste, sans repasser
par Python : 2 à 3 ms. L’image fixe est le même dessin.

Noms publics : `PerturbationWidget`, `draw_chain`.
"""

import math
from itertools import pairwise

import traitlets

from course.typography import typeset
from course.viz import palette
from course.viz.chains import EXP_SIN_SQUARE, FUNCTIONS, Step, propagate
from course.viz.picture import Picture, decimal
from course.viz.svg import document, text
from course.viz.widget import CourseWidget, script

BOX, GAP, MARGIN, TOP, TALL = 132, 104, 12, 16, 112
BAR = 100  # largeur d’une barre pleine, centrée sur zéro
WIDE_BAR = 220


class PerturbationWidget(CourseWidget):
    """Pousse x de dx et montre la perturbation le long de la chaîne.

    Paramètres
        steps : maillons (nom, formule, clef de `chains.FUNCTIONS`), dans l’ordre du calcul.
        x, dx : point et poussée de départ.
        span : bornes du curseur de x.
        start : nom de la variable de départ.
        title : titre du widget.

    Exemple
        >>> PerturbationWidget(x=1.0, dx=0.1)
        <PerturbationWidget>
    """

    _esm = script("perturbation")

    title = traitlets.Unicode().tag(sync=True)
    x = traitlets.Float().tag(sync=True)
    dx = traitlets.Float().tag(sync=True)
    span = traitlets.List(traitlets.Float()).tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    functions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    svg = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        steps=EXP_SIN_SQUARE,
        *,
        x=1.1,
        dx=0.1,
        span=(-2.5, 2.5),
        start="x",
        title="Une perturbation parcourt le graphe",
    ):
        self._steps = tuple(Step(*step) for step in steps)
        unknown = [step.function for step in self._steps if step.function not in FUNCTIONS]
        if unknown or not self._steps:
            known = ", ".join(FUNCTIONS)
            raise ValueError(typeset(f"maillon inconnu : {unknown} ; les clefs sont {known}"))
        super().__init__(
            title=title,
            x=x,
            dx=dx,
            span=list(span),
            names=[start, *(step.name for step in self._steps)],
            functions=[step.function for step in self._steps],
            svg=draw_chain(self._steps, x, dx, start=start, title=title),
        )

    def fallback(self):
        """Renvoie l’image fixe de la chaîne au point (x, dx) actuel."""
        start = self.names[0]
        svg = draw_chain(self._steps, self.x, self.dx, start=start, title=self.title)
        return Picture(svg, describe_chain(self._steps, self.x, self.dx, start=start))


def describe_chain(steps, x, dx, start="x"):
    """Dit en une phrase ce que la perturbation fait à la sortie."""
    moved = propagate(steps, x, dx)
    chain = ", ".join(f"{step.name} = {step.formula}" for step in steps)
    return typeset(
        f"Chaîne {start}, {chain}. Quand {start} = {decimal(x)} est poussé de {decimal(dx)}, "
        f"{steps[-1].name} change de {decimal(moved.changes[-1])} : rapport mesuré "
        f"{decimal(moved.ratio)}, produit des dérivées locales {decimal(moved.product)}."
    )


def draw_chain(steps, x, dx, *, start="x", title=""):
    """Renvoie le texte SVG de la chaîne et de ce que la poussée dx y change."""
    moved = propagate(steps, x, dx)
    names = [start, *(step.name for step in steps)]
    formulas = ["", *(step.formula for step in steps)]
    width = max(2 * MARGIN + len(names) * BOX + len(steps) * GAP, 560 + WIDE_BAR)
    height = TOP + TALL + 92
    scale = bar_scale(moved.changes)
    body = []
    for i, step in enumerate(steps):
        body.append(_edge(i, step, names[i], moved.slopes[i]))
    for i, name in enumerate(names):
        concept = "input" if i == 0 else "activation"
        label = f"{name} = {formulas[i]}" if formulas[i] else name
        body.append(_node(i, label, concept, moved, scale, last=i == len(steps)))
    body.append(_comparison(names, moved, TOP + TALL + 34))
    body.append(
        f'<circle data-slot="dot" data-half="{BOX / 2}" cx="0" cy="{TOP + TALL / 2}" r="8" '
        f'visibility="hidden" fill="{palette.variable("gradient")}"/>'
    )
    return document(width, height, title or "Chaîne de calcul", body)


def bar_scale(changes):
    """Renvoie ce qui vaut une demi-barre : le plus grand changement, ou 1 si rien ne bouge."""
    return max((abs(c) for c in changes if not math.isnan(c)), default=0.0) or 1.0


def _signed(number):
    return ("+" if number > 0 else "") + decimal(number)


def _bar(slot, centre, y, value, *, scale, room, concept="gradient"):
    """Trace une barre signée autour de `centre` ; `room` est la longueur d’une demi-barre."""
    length = 0.0 if math.isnan(value) else max(-1.0, min(1.0, value / scale)) * room
    left = centre + min(length, 0.0)
    return (
        f'<rect data-slot="{slot}" data-centre="{centre}" data-room="{room}" x="{left:.1f}" '
        f'y="{y}" width="{abs(length):.1f}" height="10" fill="{palette.variable(concept)}"/>'
        f'<path d="M{centre},{y - 3} v16" stroke="{palette.MUTED}"/>'
    )


def _node(i, label, concept, moved, scale, *, last):
    x = MARGIN + i * (BOX + GAP)
    middle = x + BOX / 2
    colour = palette.variable(concept)
    return "".join(
        [
            f'<rect x="{x}" y="{TOP}" width="{BOX}" height="{TALL}" rx="{24 if last else 8}" '
            f'fill="{palette.BACKGROUND}" stroke="{colour}" stroke-width="{3 if last else 2}"/>',
            text(middle, TOP + 24, label, size=15, weight="600"),
            text(middle, TOP + 47, decimal(moved.values[i]), slot=f"value-{i}", size=15),
            text(middle, TOP + 72, f"Δ = {_signed(moved.changes[i])}", slot=f"change-{i}"),
            _bar(f"bar-{i}", middle, TOP + 86, moved.changes[i], scale=scale, room=BAR / 2),
        ]
    )


def _edge(i, step, source, slope):
    left = MARGIN + i * (BOX + GAP) + BOX
    y, middle = TOP + TALL / 2, left + GAP / 2
    written = FUNCTIONS[step.function][2].format(source)
    tip = left + GAP - 2
    return (
        f'<path d="M{left + 2},{y} H{tip - 7}" stroke="{palette.MUTED}" stroke-width="2"/>'
        f'<path d="M{tip - 9},{y - 5} L{tip},{y} L{tip - 9},{y + 5} z" fill="{palette.MUTED}"/>'
        + text(middle, y - 28, f"d{step.name}/d{source}", size=12)
        + text(middle, y - 11, f"= {written}", size=12)
        + text(middle, y + 24, f"= {decimal(slope)}", slot=f"slope-{i}", weight="600")
    )


def _comparison(names, moved, y):
    """Trace le face-à-face : produit des dérivées locales, rapport mesuré."""
    first, last = names[0], names[-1]
    factors = " × ".join(f"d{b}/d{a}" for a, b in reversed(list(pairwise(names))))
    scale = bar_scale([moved.product, moved.ratio])
    bar_x = MARGIN + 540 + WIDE_BAR / 2
    rows = []
    entries = (
        ("product", f"Produit des dérivées locales, {factors}", moved.product, "gradient"),
        ("ratio", f"Rapport mesuré, Δ{last}/Δ{first}", moved.ratio, "activation"),
    )
    for row, (slot, label, value, concept) in enumerate(entries):
        line = y + 28 * row
        rows.append(text(MARGIN, line, label, anchor="start"))
        rows.append(
            text(MARGIN + 520, line, decimal(value, 4), slot=slot, anchor="end", weight="600")
        )
        bar = _bar(
            f"bar-{slot}", bar_x, line - 10, value, scale=scale, room=WIDE_BAR / 2, concept=concept
        )
        rows.append(bar)
    return "".join(rows)
