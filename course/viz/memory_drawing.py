"""Le dessin des portes et de la mémoire d’un LSTM au fil d’un texte (`memory`).

Du haut vers le bas, sur les mêmes colonnes : la course de l’unité suivie, le texte, la carte des
unités ; puis, au caractère courant, l’unité suivie en détail et les suites les plus probables.

Nom public : `draw_memory`.
"""

import base64
import functools
import html
import io

from matplotlib.image import imsave

from course.typography import NBSP
from course.viz import palette
from course.viz.figures import DIVERGING, DIVERGING_STOPS
from course.viz.picture import decimal
from course.viz.svg import document, text

WIDTH, LEFT, WIDEST = 820, 66, 34  # largeur, abscisse du premier caractère, plus large colonne
COURSE = 30, 96  # haut et bas de la course de l’unité suivie
TEXT_Y, MAP_Y, ROW = 108, 140, 12  # haut des caractères, haut de la carte, hauteur d’une unité
DETAIL, NEXT, BAR = 120, 520, 150  # abscisses des deux groupes de barres, leur longueur
LINE = 20  # hauteur d’une barre et de son nom

_text = functools.partial(text, anchor="start")

VISIBLE = {" ": "␣", "\n": "⏎", "": "∅"}
SPOKEN = {" ": "une espace", "\n": "la fin de ligne", "": "rien"}


def visible(character):
    """Le signe qui montre un caractère : une espace ou une fin de ligne se verraient mal."""
    return VISIBLE.get(character, character)


def percent(share):
    """Écrit une part en pour cent.

    Exemple
        >>> percent(0.234).replace(NBSP, " ")
        '23 %'
    """
    return f"{100 * share:.0f}{NBSP}%" if share >= 0.01 or share == 0 else f"<{NBSP}1{NBSP}%"


def draw_memory(reading, quantities, quantity, position, unit, units):
    """Renvoie le texte SVG.

    Paramètres
        reading : un `memory.Reading`.
        quantities : clef de la grandeur : (nom, nom court).
        quantity : la clef de la grandeur montrée par la carte et par la course.
        position : le rang du caractère courant.
        unit : l’unité suivie.
        units : les unités de la carte, de haut en bas.
    """
    step = min(WIDEST, (WIDTH - LEFT - 12) / len(reading.text))
    foot = MAP_Y + ROW * len(units)
    height = foot + 40 + 24 + LINE * len(quantities) + 8
    name = quantities[quantity][0]
    hidden = reading.values[quantity].shape[1] - len(units)
    body = [
        _course(reading, quantity, f"Unité {unit} : {name}, au fil du texte", position, unit, step),
        _map(reading, quantity, units, step),
        _marks(position, units.index(unit), len(reading.text), foot, step),
        _units(units, unit),
        "".join(
            _character(reading.text, rank, position, step) for rank in range(len(reading.text))
        ),
        _scale(reading.span(quantity), name, foot + 20),
        _detail(reading, quantities, position, unit, foot + 56),
        _next(reading, position, foot + 56),
    ]
    if hidden:
        more = "et une autre unité" if hidden == 1 else f"et {hidden} autres unités"
        body.append(
            _text(LEFT, foot + 20, f"{more}, dont la cellule bouge moins", colour=palette.MUTED)
        )
    label = f"{name}, unité par unité, au fil du texte"
    return document(WIDTH, height, label, body, role="group")


def _course(reading, quantity, heading, position, unit, step):
    """La ligne d’une unité au-dessus du texte, et son échelle à gauche."""
    (top, base), (low, high) = COURSE, reading.span(quantity)
    course = reading.values[quantity][:, unit]
    marks = [
        (LEFT + (rank + 0.5) * step, base - (value - low) / (high - low) * (base - top))
        for rank, value in enumerate(course)
    ]
    end, colour = LEFT + step * len(course), palette.variable("activation")
    parts = [_text(LEFT, 16, heading, weight="600")]
    for value in (low, (low + high) / 2, high):
        y = base - (value - low) / (high - low) * (base - top)
        parts.append(f'<path d="M{LEFT},{y:.1f} H{end:.1f}" stroke="{palette.BORDER}"/>')
        parts.append(_text(LEFT - 6, y + 4, decimal(value, 2), size=11, anchor="end"))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in marks)
    parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    x, y = marks[position]
    parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
    return "".join(parts)


def _character(characters, rank, position, step):
    """Un caractère : on y entre par le clavier, les flèches vont de l’un à l’autre."""
    x, current = LEFT + rank * step, rank == position
    sign = visible(characters[rank])
    label = html.escape(f"caractère {rank + 1}{NBSP}: {SPOKEN.get(characters[rank], sign)}")
    edge = palette.TEXT if current else "none"
    return (
        f'<g class="chainage-node" data-position="{rank}" tabindex="{0 if current else -1}" '
        f'role="button" aria-pressed="{"true" if current else "false"}" aria-label="{label}">'
        f'<rect class="chainage-outline" x="{x + 0.5:.1f}" y="{TEXT_Y}" width="{step - 1:.1f}" '
        f'height="24" rx="3" fill="{palette.BACKGROUND}" stroke="{edge}" stroke-width="2"/>'
        + _text(
            x + step / 2,
            TEXT_Y + 17,
            sign,
            size=15 if step > 14 else 13,
            anchor="middle",
            weight="700" if current else "normal",
        )
        + "</g>"
    )


def _map(reading, quantity, units, step):
    """La carte : une ligne par unité, une colonne par caractère, une couleur par valeur."""
    low, high = reading.span(quantity)
    values = reading.values[quantity][:, units].T
    buffer = io.BytesIO()
    imsave(buffer, DIVERGING((values - low) / (high - low)), format="png")
    source = base64.b64encode(buffer.getvalue()).decode("ascii")
    return (
        f'<image class="chainage-map" x="{LEFT}" y="{MAP_Y}" width="{step * values.shape[1]:.2f}" '
        f'height="{ROW * len(units)}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated;cursor:pointer" href="data:image/png;base64,{source}"/>'
    )


def _marks(position, row, length, foot, step):
    """La colonne du caractère courant et la ligne de l’unité suivie, cernées."""
    boxes = [
        (LEFT, MAP_Y + ROW * row, step * length, ROW),
        (LEFT + step * position, MAP_Y, step, foot - MAP_Y),
    ]
    return "".join(
        f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{tall}" fill="none" '
        f'stroke="{colour}" stroke-width="{stroke}" pointer-events="none"/>'
        for colour, stroke in ((palette.BACKGROUND, 4), (palette.TEXT, 1.5))
        for x, y, wide, tall in boxes
    )


def _units(units, followed):
    """Le numéro de chaque unité devant sa ligne ; celui de l’unité suivie en gras."""
    labels = [_text(LEFT - 6, MAP_Y - 6, "unité", size=11, anchor="end", colour=palette.MUTED)]
    for row, unit in enumerate(units):
        weight, y = ("700" if unit == followed else "normal"), MAP_Y + ROW * row + 10
        labels.append(_text(LEFT - 6, y, str(unit), size=11, anchor="end", weight=weight))
    return "".join(labels)


def _scale(span, name, y):
    """L’échelle des couleurs, à droite sous la carte."""
    low, middle, high = DIVERGING_STOPS
    x = NEXT
    stops = "".join(
        f'<stop offset="{share}" stop-color="{colour}"/>'
        for share, colour in ((0, low), (0.5, middle), (1, high))
    )
    ends = [decimal(value, 2) for value in span]
    return (
        f'<defs><linearGradient id="chainage-diverging">{stops}</linearGradient></defs>'
        + _text(x - 6, y, ends[0], anchor="end")
        + f'<rect x="{x}" y="{y - 10}" width="{BAR}" height="12" fill="url(#chainage-diverging)" '
        f'stroke="{palette.BORDER}"/>' + _text(x + BAR + 6, y, f"{ends[1]} ({name})")
    )


def _detail(reading, quantities, position, unit, y):
    """L’unité suivie au caractère courant : ses trois portes, sa cellule, son état caché."""
    sign = visible(reading.text[position])
    parts = [_text(DETAIL, y, f"Unité {unit}, à «{NBSP}{sign}{NBSP}»", weight="600")]
    for row, (key, (_, short)) in enumerate(quantities.items()):
        (low, high), top = reading.span(key), y + 10 + LINE * row
        value = reading.values[key][position, unit]
        zero, here = (DETAIL + BAR * (v - low) / (high - low) for v in (0.0, value))
        parts.append(_text(DETAIL - 8, top + 12, short, anchor="end"))
        parts.append(_bar(min(zero, here), top, abs(here - zero)))
        parts.append(
            f'<path d="M{zero:.1f},{top - 2} V{top + 17}" stroke="{palette.TEXT}"/>'
            f'<rect x="{DETAIL}" y="{top}" width="{BAR}" height="15" fill="none" '
            f'stroke="{palette.BORDER}"/>'
        )
        parts.append(_text(DETAIL + BAR + 8, top + 12, decimal(value, 2)))
    return "".join(parts)


def _next(reading, position, y):
    """Les caractères suivants les plus probables."""
    parts = [_text(NEXT, y, "Suites les plus probables", weight="600")]
    for row, (character, share) in enumerate(reading.likely(position)):
        top = y + 12 + 1.5 * LINE * row
        sign = visible(character)
        parts.append(_text(NEXT - 8, top + 13, sign, size=15, anchor="end", weight="700"))
        parts.append(_bar(NEXT, top, BAR * share, tall=18))
        parts.append(_text(NEXT + BAR * share + 8, top + 13, percent(share)))
    return "".join(parts)


def _bar(x, y, length, tall=15):
    return (
        f'<rect x="{x:.1f}" y="{y}" width="{max(length, 0.5):.1f}" height="{tall}" '
        f'fill="{palette.variable("activation")}"/>'
    )
