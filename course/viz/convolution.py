"""Un filtre qui se déplace sur une image : le widget de la leçon 07.

Python calcule et dessine (`draw_convolution`) : l’image et sa fenêtre, la carte qui se remplit, la
fenêtre, le filtre et leurs produits. Le JavaScript (`static/convolution.js`) ne porte que les
réglages.

Noms publics : `ConvolutionWidget`, `slide`, `draw_convolution`.
"""

import base64
import io

import matplotlib as mpl
import numpy as np
import traitlets
from numpy.lib.stride_tricks import sliding_window_view

from course.typography import typeset
from course.viz import palette
from course.viz.figures import DIVERGING
from course.viz.picture import Picture, decimal
from course.viz.svg import document, text
from course.viz.widget import CourseWidget, script

MARGIN, TOP = 14, 32
VIEW = 260  # côté de l’image dessinée ; la carte est à la même échelle
CELL, TALL = 42, 25  # une case des trois tableaux
GAP = 40  # entre deux tableaux, pour × et =


class ConvolutionWidget(CourseWidget):
    """Déplace un filtre sur une image : la fenêtre, les produits, leur somme, la carte.

    Paramètres
        image : tableau (hauteur, largeur).
        filters : tableau (filtres, hauteur, largeur), plus petits que l’image.
        names : un nom par filtre ; à défaut « filtre 0 », « filtre 1 »...
        position : (ligne, colonne) de départ ; à défaut, là où le premier filtre répond le plus.
        title : titre du dessin.

    Lève
        ValueError : formes impossibles, ou position hors de la carte.

    Exemple
        >>> image = np.eye(6)
        >>> ConvolutionWidget(image, [[[1, 0], [0, 1]]], ["diagonale"])
        <ConvolutionWidget>
    """

    _esm = script("convolution")

    title = traitlets.Unicode().tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)  # de la carte
    filter = traitlets.Int().tag(sync=True)
    position = traitlets.Int().tag(sync=True)  # rang dans la carte, ligne après ligne
    flipped = traitlets.Bool().tag(sync=True)
    svg = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        image,
        filters,
        names=None,
        *,
        position=None,
        title="Un filtre parcourt l’image",
    ):
        self._image = np.asarray(image, dtype=np.float64)
        self._filters = np.asarray(filters, dtype=np.float64)
        _check_shapes(self._image, self._filters)
        strength = np.abs(slide(self._image, self._filters[0]))
        rows, columns = strength.shape
        row, column = divmod(int(strength.argmax()), columns) if position is None else position
        if not (0 <= row < rows and 0 <= column < columns):
            raise ValueError(
                typeset(
                    f"position {position} hors de la carte, "
                    f"qui compte {rows} lignes et {columns} colonnes"
                )
            )
        names = names or [f"filtre {k}" for k in range(len(self._filters))]
        super().__init__(
            title=typeset(title),
            names=[typeset(name) for name in names],
            shape=[rows, columns],
            position=row * columns + column,
        )
        self.observe(self._redraw, ["filter", "position", "flipped"])
        self._redraw()

    def fallback(self):
        """Renvoie l’image fixe des réglages actuels."""
        return Picture(self.svg, self.text)

    def _redraw(self, _change=None):
        used = self._filters[self.filter]
        used = used[::-1, ::-1] if self.flipped else used
        place = divmod(self.position, self.shape[1])
        with self.hold_sync():
            self.svg = draw_convolution(self._image, used, place, self.title)
            self.text = self._describe(used, place)

    def _describe(self, used, place):
        row, column = place
        window = self._image[row : row + used.shape[0], column : column + used.shape[1]]
        operation = "Convolution, filtre retourné" if self.flipped else "Corrélation"
        return typeset(
            f"{operation} : « {self.names[self.filter]} », ligne {row}, colonne {column}. "
            f"La somme des {used.size} produits vaut {decimal((window * used).sum())}."
        )


def slide(image, used):
    """Renvoie la carte : la somme des produits fenêtre × filtre, à chaque place.

    C’est la corrélation ; avec un filtre retourné (`used[::-1, ::-1]`), la convolution.

    Exemple
        >>> slide(np.arange(9.0).reshape(3, 3), np.array([[1.0, 0.0], [0.0, -1.0]]))
        array([[-4., -4.],
               [-4., -4.]])
    """
    return np.einsum("ijkl,kl->ij", sliding_window_view(image, used.shape), used)


def draw_convolution(image, used, place, title):
    """Renvoie le texte SVG : l’image et la carte, puis fenêtre × filtre = produits.

    Paramètres
        image : tableau (hauteur, largeur).
        used : le filtre tel qu’il est posé, (hauteur, largeur).
        place : (ligne, colonne) de la fenêtre ; la carte est remplie jusque-là.
        title : le titre, en tête.
    """
    pixel = VIEW / max(image.shape)
    (row, column), (high, wide) = place, used.shape
    window = image[row : row + high, column : column + wide]
    made = slide(image, used)
    limit = np.abs(made).max() or 1.0
    done = np.arange(made.size).reshape(made.shape) <= row * made.shape[1] + column
    side = wide * CELL
    width = max(2 * MARGIN + 3 * side + 2 * GAP + 110, 2 * MARGIN + 2 * VIEW + 60)
    right = MARGIN + VIEW + 60
    y = TOP + 26
    tables = y + VIEW + 50
    strongest = np.abs(used).max() or 1.0
    greys = _greys(image)
    body = [
        text(MARGIN, 20, title, anchor="start", size=14, weight="600"),
        text(MARGIN, y - 8, "image", anchor="start"),
        _raster(MARGIN, y, greys(image), pixel, "image"),
        _frame(MARGIN + column * pixel, y + row * pixel, wide * pixel, high * pixel),
        text(right, y - 8, "carte, remplie jusqu'ici", anchor="start"),
        f'<rect x="{right}" y="{y}" width="{made.shape[1] * pixel:.1f}" '
        f'height="{made.shape[0] * pixel:.1f}" fill="{palette.BORDER}"/>',
        _raster(right, y, _signed(made, limit, done), pixel, "map"),
        _frame(right + column * pixel, y + row * pixel, pixel, pixel),
    ]
    columns = [MARGIN + rank * (side + GAP) for rank in range(3)]
    products = window * used
    tints = (
        ("fenêtre", window, greys(window)),
        ("filtre", used, _signed(used, strongest)),
        ("produits", products, _signed(products, np.abs(products).max() or 1.0)),
    )
    for x, (label, values, colours) in zip(columns, tints, strict=True):
        body.append(text(x, tables - 8, label, anchor="start"))
        body.append(_table(x, tables, values, colours))
    middle = tables + high * TALL / 2 + 6
    body.append(text(columns[1] - GAP / 2, middle, "×", size=20))
    body.append(text(columns[2] - GAP / 2, middle, "=", size=20))
    x = columns[2] + side + 14
    body.append(text(x, middle - 12, "somme :", anchor="start"))
    total = decimal(made[place])
    body.append(text(x, middle + 10, total, anchor="start", size=18, weight="700"))
    return document(width, tables + high * TALL + 12, title, body)


def _greys(image):
    """Les gris de l’image : le papier à 0 (ou au minimum), l’encre à 1 (ou au maximum)."""
    low, high = min(0.0, image.min()), max(1.0, image.max())
    return lambda values: mpl.colormaps["gray_r"]((values - low) / (high - low), bytes=True)


def _signed(values, limit, shown=True):
    colours = DIVERGING(0.5 + values / (2 * limit), bytes=True)
    colours[..., 3] = 255 * np.asarray(shown)  # pas encore calculé : transparent
    return colours


def _raster(x, y, colours, pixel, slot):
    """Pose une image, et la bordure que visent la souris et le doigt."""
    buffer = io.BytesIO()
    mpl.image.imsave(buffer, colours, format="png")
    source = base64.b64encode(buffer.getvalue()).decode("ascii")
    high, wide = (pixel * n for n in colours.shape[:2])
    return (
        f'<image x="{x}" y="{y}" width="{wide:.1f}" height="{high:.1f}" '
        f'preserveAspectRatio="none" style="image-rendering:pixelated" '
        f'href="data:image/png;base64,{source}"/>'
        f'<rect data-slot="{slot}" data-shape="{colours.shape[0]} {colours.shape[1]}" '
        f'x="{x}" y="{y}" width="{wide:.1f}" height="{high:.1f}" '
        f'fill="transparent" stroke="{palette.MUTED}"/>'
    )


def _frame(x, y, wide, high):
    """La place du filtre : un cadre orangé cerné de blanc, visible sur le noir comme le clair."""
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" fill="none"'
    return (
        f'<g pointer-events="none"><rect {shape} stroke="#FFFFFF" stroke-width="5"/>'
        f'<rect {shape} stroke="{palette.variable("gradient")}" stroke-width="3"/></g>'
    )


def _table(x, y, values, colours):
    """Un tableau de nombres sur leurs couleurs."""
    parts = []
    for (i, j), value in np.ndenumerate(values):
        red, green, blue, _ = colours[i, j]
        tint = f"#{red:02x}{green:02x}{blue:02x}"
        ink = max(("#000000", "#ffffff"), key=lambda ink: palette.contrast(ink, tint))
        left, top = x + j * CELL, y + i * TALL
        parts.append(
            f'<rect x="{left}" y="{top}" width="{CELL}" height="{TALL}" fill="{tint}" '
            f'stroke="{palette.BORDER}"/>'
        )
        label = decimal(value, 2)
        parts.append(text(left + CELL / 2, top + 17, label, size=12, colour=ink))
    return "".join(parts)


def _check_shapes(image, filters):
    if image.ndim != 2 or filters.ndim != 3 or not filters.size:
        expected = "image (hauteur, largeur) et filtres (filtres, hauteur, largeur) attendus"
    elif any(k > n for n, k in zip(image.shape, filters.shape[1:], strict=True)):
        expected = "il faut des filtres plus petits que l'image"
    else:
        return
    raise ValueError(typeset(f"{expected} ; reçus de formes {image.shape} et {filters.shape}"))
