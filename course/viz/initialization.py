"""L’échelle des poids de départ contre l’étalement des activations : le widget de la leçon 05.

Python calcule (`signals`) et dessine (`draw_signals`) à chaque geste ; le JavaScript
(`static/initialization.js`) ne porte que les réglages.

Noms publics : `InitializationWidget`, `draw_signals`.
"""

import functools
import math

import traitlets

from course.typography import typeset
from course.viz import palette
from course.viz.picture import Picture, decimal
from course.viz.signals import ACTIVATIONS, BINS, DEPTH, EDGE, cross
from course.viz.svg import dashes, document, text, vertical
from course.viz.widget import CourseWidget, script

WIDTH, HEIGHT = 726, 496
LEFT, STEP = 110, 57  # abscisse de l’entrée, écart entre deux couches
CURVES = 84, 254  # haut et bas des courbes
STRIPS = 302, 442  # haut et bas des histogrammes
HALF = 24  # demi-largeur d’un histogramme à son sommet
DECADES = 6  # l’échelle va de 10^-DECADES à 10^DECADES
RIGHT = LEFT + DEPTH * STEP

_text = functools.partial(text, size=12)


class InitializationWidget(CourseWidget):
    """Règle l’écart type des poids d’un réseau de dix couches, et montre ce qui le traverse.

    Paramètres
        activation : clef de `signals.ACTIVATIONS`.
        gain : écart type des poids, multiplié par √n.
        title : titre du dessin.

    Lève
        ValueError : activation inconnue, ou gain négatif ou nul.

    Exemple
        >>> InitializationWidget("relu", gain=1.41)
        <InitializationWidget>
    """

    _esm = script("initialization")

    title = traitlets.Unicode().tag(sync=True)
    choices = traitlets.List().tag(sync=True)
    activation = traitlets.Unicode().tag(sync=True)
    gain = traitlets.Float().tag(sync=True)
    svg = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, activation="tanh", *, gain=1.0, title="Ce que dix couches laissent passer, au départ"
    ):
        if activation not in ACTIVATIONS or not gain > 0:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(
                typeset(
                    f"activation {activation}, gain {gain} : il faut {known}, et un gain positif"
                )
            )
        choices = [[key, label] for key, (label, *_) in ACTIVATIONS.items()]
        super().__init__(title=typeset(title), choices=choices, activation=activation, gain=gain)
        self.observe(self._redraw, ["activation", "gain"])
        self._redraw()

    def fallback(self):
        """Renvoie l’image fixe des réglages actuels."""
        return Picture(self.svg, self.text)

    def _redraw(self, _change=None):
        signals = cross(self.activation, self.gain)
        with self.hold_sync():
            self.svg = draw_signals(signals, self.title)
            self.text = describe_signals(signals, self.activation, self.gain)


def describe_signals(signals, activation, gain):
    """Dit en deux phrases ce que deviennent les activations et le gradient."""
    label = ACTIVATIONS[activation][0]
    return typeset(
        f"Activation : {label} ; écart type des poids : {decimal(gain)}/√n. À l'aller, l'étalement "
        f"des activations passe de {decimal(signals.forward[0])} à l'entrée à "
        f"{decimal(signals.forward[-1])} à la couche {DEPTH}. Au retour, celui du gradient passe "
        f"de {decimal(signals.backward[-1])} à la couche {DEPTH} à {decimal(signals.backward[0])} "
        "à l'entrée."
    )


def draw_signals(signals, title):
    """Renvoie le texte SVG : les deux étalements par couche, et au-dessous les activations."""
    body = [_text(12, 24, title, anchor="start", size=14, weight="600"), _decades()]
    lines = (
        ("activation", "activations (aller)", signals.forward, LEFT),
        ("gradient", "gradient (retour)", signals.backward, LEFT + 200),
    )
    for concept, label, values, x in lines:
        marks = [(LEFT + rank * STEP, _height(value)) for rank, value in enumerate(values)]
        body.append(_line(concept, marks))
        body.append(_line(concept, [(x, 52), (x + 30, 52)]))
        body.append(_text(x + 38, 56, label, anchor="start"))
    body.append(_strips(signals.shares))
    return document(WIDTH, HEIGHT, title, body)


def _height(value):
    """L’ordonnée d’un étalement ; hors de l’échelle, celle du bord."""
    top, base = CURVES
    power = math.log10(value) if value > 0 else -DECADES
    share = (max(-DECADES, min(DECADES, power)) + DECADES) / (2 * DECADES)
    return base - share * (base - top)


def _line(concept, marks):
    colour = palette.variable(concept)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in marks)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in marks)
    line = f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"'
    return f"{line}{dashes(concept)}/>{dots}"


def _decades():
    parts = []
    for power in range(-DECADES, DECADES + 1, 2):
        y = _height(10.0**power)
        stroke = palette.MUTED if power == 0 else palette.BORDER
        parts.append(f'<path d="M{LEFT - 30},{y:.1f} H{RIGHT + 30}" stroke="{stroke}"/>')
        parts.append(_text(LEFT - 36, y + 4, decimal(10.0**power, 1), anchor="end"))
    return "".join([*parts, vertical(18, sum(CURVES) / 2, "étalement (échelle log)", size=12)])


def _strips(shares):
    top, base = STRIPS
    tall = (base - top) / BINS
    parts = [vertical(18, (top + base) / 2, "activation", size=12)]
    for value in (-EDGE, -1, 0, 1, EDGE):
        y = (top + base) / 2 - value / EDGE * (base - top) / 2
        parts.append(f'<path d="M{LEFT - 30},{y:.1f} H{RIGHT + 30}" stroke="{palette.BORDER}"/>')
        parts.append(_text(LEFT - 36, y + 4, decimal(value), anchor="end"))
    colour = palette.variable("activation")
    for rank, row in enumerate(shares):
        x, peak = LEFT + rank * STEP, max(row)
        bars = "".join(
            f"M{x - HALF * share / peak:.1f},{base - bin_ * tall:.1f} "
            f"h{2 * HALF * share / peak:.1f} v{-tall:.2f} h{-2 * HALF * share / peak:.1f} z"
            for bin_, share in enumerate(row)
            if share
        )
        parts.append(f'<path d="{bars}" fill="{colour}"/>')
        parts.append(_text(x, base + 20, "entrée" if rank == 0 else str(rank)))
    note = "répartition des activations, couche par couche (au bord : ce qui est au-delà de ±2)"
    parts.append(_text(LEFT - 30, top - 14, note, anchor="start"))
    parts.append(_text((LEFT + RIGHT) / 2, base + 42, "couche"))
    return "".join(parts)
