"""Les courbes d’apprentissage, tracées pendant l’entraînement.

`LiveCurves` recueille des points (`add`), redessine un SVG de quelques lignes et l’envoie ; sans
navigateur, il ne fait que recueillir. `image(alt=...)` rend l’image fixe des sorties enregistrées.
Chaque jeu de données a sa couleur et son pointillé (`SERIES`).

Ordre de lecture : `LiveCurves`, `draw_curves`, les graduations.
"""

import asyncio
import functools
import math
import time

import traitlets

from course.typography import typeset
from course.viz import palette
from course.viz.picture import Picture, Placeholder, decimal
from course.viz.svg import dashes, document, text, vertical
from course.viz.widget import CourseWidget, script

SERIES = {  # mot-clef de `add` : notion (couleur, pointillé), nom écrit
    "train": ("training", "entraînement"),
    "valid": ("validation", "validation"),
    "test": ("test", "test"),
}
LEFT, TOP, RIGHT, BOTTOM = 74, 40, 130, 50
DRAWN = 400  # points tracés par courbe au plus ; tous sont gardés
SMALLEST = 1e-30  # plus petite valeur montrée en échelle logarithmique
OVERHEAD = 0.03  # part du temps que le dessin peut prendre à l’entraînement

_text = functools.partial(text, size=12)


class LiveCurves(CourseWidget):
    """Courbes d’entraînement et de validation, mises à jour pendant l’entraînement.

    Paramètres
        title : ce que les courbes disent.
        x_label, y_label : noms des axes, avec leur unité.
        scale : "linear" ou "log" ; l’échelle logarithmique est annoncée sur l’axe.
        size : largeur et hauteur en pixels.

    Exemple
        >>> curves = LiveCurves("Erreur", y_label="erreur (%)")
        >>> curves.add(1, train=12.5, valid=11.89)
        >>> curves
        <LiveCurves>
        >>> print(curves.text)
        époque 1 : entraînement 12,5 ; validation 11,89
    """

    _esm = script("curves")

    title = traitlets.Unicode().tag(sync=True)
    svg = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        title="Courbes d’apprentissage",
        *,
        x_label="époque",
        y_label="coût",
        scale="linear",
        size=(680, 340),
    ):
        if scale not in ("linear", "log"):
            raise ValueError(typeset(f"échelle inconnue : {scale} ; choisir linear ou log"))
        self.points = {name: [] for name in SERIES}
        self._x_label, self._y_label, self._scale, self._size = x_label, y_label, scale, size
        self._next_draw, self._flush_planned = 0.0, False
        super().__init__(title=typeset(title))
        self.flush()

    def add(self, epoch, *, train=None, valid=None, test=None):
        """Ajoute un point à l’abscisse `epoch` ; une valeur None ou nan n’ajoute rien."""
        for name, value in (("train", train), ("valid", valid), ("test", test)):
            if value is not None and not math.isnan(value):
                self.points[name].append((float(epoch), float(value)))
        now = time.perf_counter()
        if now >= self._next_draw:
            self.flush()
            after = time.perf_counter()
            self._next_draw = after + (after - now) / OVERHEAD
        else:
            self._flush_when_idle()

    def flush(self):
        """Redessine tout de suite : utile après des milliers d’ajouts très rapprochés."""
        with self.hold_sync():
            self.svg = self._draw()
            self.text = self._last_values()

    def image(self, alt=None):
        """Renvoie l’image fixe des courbes.

        Paramètres
            alt : ce qu’elles montrent ; à défaut, le titre et les dernières valeurs.
        """
        self.flush()
        return Picture(self.svg, alt or f"{self.title} : {self.text}.")

    def fallback(self):
        """Renvoie l’image fixe des courbes, ou une phrase tant qu’elles sont vides."""
        if not any(self.points.values()):
            return Placeholder(f"{self.title} : les courbes se tracent ici pendant l’entraînement.")
        return self.image()

    def _flush_when_idle(self):
        """Prévoit de dessiner les derniers points dès que le noyau du notebook sera libre."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # hors d’un notebook, personne ne regarde : `image` dessinera
            return
        if not self._flush_planned:
            self._flush_planned = True
            loop.call_soon(self.flush)

    def _draw(self):
        log = self._scale == "log"
        y_label = self._y_label + (" (échelle logarithmique)" if log else "")
        labels = (self.title, self._x_label, y_label)
        return draw_curves(self.points, labels, log=log, size=self._size)

    def _last_values(self):
        last = {name: points[-1] for name, points in self.points.items() if points}
        if not last:
            return "pas encore de valeur"
        epoch = max(point[0] for point in last.values())
        values = [f"{SERIES[name][1]} {decimal(point[1], 4)}" for name, point in last.items()]
        return typeset(f"{self._x_label} {decimal(epoch, 6)} : " + " ; ".join(values))


def draw_curves(points, labels, *, log=False, size=(680, 340)):
    """Renvoie le texte SVG des courbes.

    Paramètres
        points : {nom de `SERIES` : [(x, y), ...]}.
        labels : titre, nom de l’axe des abscisses, nom de celui des ordonnées.
        log : échelle logarithmique en ordonnée ; les valeurs négatives ou nulles n’y sont pas.
        size : largeur et hauteur en pixels.
    """
    width, height = size
    kept = {name: [p for p in pts if _drawable(p, log)] for name, pts in points.items()}
    kept = {name: pts for name, pts in kept.items() if pts}
    xs = [x for pts in kept.values() for x, _ in pts] or [0.0, 1.0]
    ys = [y for pts in kept.values() for _, y in pts] or ([0.1, 1.0] if log else [0.0, 1.0])
    x_low, x_high = _span(xs)
    y_ticks = _log_ticks(min(ys), max(ys)) if log else _linear_ticks(*_span(ys))
    y_low, y_high = min(y_ticks[0], *ys), max(y_ticks[-1], *ys)
    across = math.log10 if log else float
    room = width - LEFT - RIGHT, height - TOP - BOTTOM

    def place(x, y):
        share = (across(y) - across(y_low)) / (across(y_high) - across(y_low))
        return LEFT + (x - x_low) / (x_high - x_low) * room[0], TOP + (1 - share) * room[1]

    body = [_axes(labels, size, place, (x_low, x_high), y_ticks)]
    ends = []
    for name, pts in kept.items():
        concept, label = SERIES[name]
        colour, dash = palette.variable(concept), dashes(concept)
        marks = [place(*point) for point in _thin(pts)]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in marks)
        body.append(
            f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
        )
        x, y = marks[-1]
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')
        ends.append((y, label, colour, dash))
    body.append(_end_labels(ends, width - RIGHT + 12))
    return document(width, height, labels[0], body)


def _drawable(point, log):
    return math.isfinite(point[1]) and (point[1] > SMALLEST or not log)


def _thin(points):
    """Garde au plus `DRAWN` points, le dernier compris : l’écran n’en montre pas davantage."""
    step = -(-len(points) // DRAWN)
    return points[:-1:step] + points[-1:]


def _span(values):
    low, high = min(values), max(values)
    if high - low > 1e-9 * max(abs(low), abs(high), 1e-9):
        return low, high
    room = 0.5 * max(abs(low), 1.0)  # une valeur seule : de la place autour
    return low - room, high + room


def _linear_ticks(low, high, wanted=5):
    """Graduations rondes (1, 2 ou 5 fois une puissance de dix) qui couvrent [low, high]."""
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{step * i:.12g}") for i in range(first, last + 1)]


def _log_ticks(low, high):
    """Puissances de dix, avec 2 et 5 entre elles quand il y en a peu."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high) + 1e-12)
    last = max(last, first + 1)
    mantissas = (1, 2, 5) if last - first <= 2 else (1,)
    ticks = [m * 10.0**p for p in range(first, last) for m in mantissas] + [10.0**last]
    start = max((i for i, tick in enumerate(ticks) if tick <= low), default=0)
    stop = min((i for i, tick in enumerate(ticks) if tick >= high), default=len(ticks) - 1)
    return ticks[start : max(stop, start + 1) + 1]


def _axes(labels, size, place, x_span, y_ticks):
    width, height = size
    right, base = width - RIGHT, height - BOTTOM
    parts = [f'<path d="M{LEFT},{TOP} V{base} H{right}" fill="none" stroke="{palette.MUTED}"/>']
    for tick in y_ticks:
        y = place(x_span[0], tick)[1]
        parts.append(f'<path d="M{LEFT},{y:.1f} H{right}" stroke="{palette.BORDER}"/>')
        parts.append(_text(LEFT - 8, y + 4, decimal(tick, 6), anchor="end"))
    for tick in _linear_ticks(*x_span, wanted=6):
        if x_span[0] <= tick <= x_span[1] and tick == int(tick):
            x = place(tick, y_ticks[0])[0]
            parts.append(f'<path d="M{x:.1f},{base} v5" stroke="{palette.MUTED}"/>')
            parts.append(_text(x, base + 19, decimal(tick, 6)))
    parts.append(_text((LEFT + right) / 2, height - 10, labels[1]))
    parts.append(_text(LEFT, 20, labels[0], anchor="start", weight="600"))
    middle = (TOP + base) / 2
    parts.append(vertical(18, middle, labels[2], size=12))
    return "".join(parts)


def _end_labels(ends, x):
    """Nomme chaque courbe à son bout, à une ligne au moins de la précédente."""
    parts, line = [], -math.inf
    for y, label, colour, dash in sorted(ends):
        line = max(y, line + 18)
        parts.append(f'<path d="M{x},{line:.1f} h22" stroke="{colour}" stroke-width="2"{dash}/>')
        parts.append(_text(x + 27, line + 4, label, anchor="start"))
    return "".join(parts)
