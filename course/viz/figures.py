"""Les figures matplotlib du cours : mêmes couleurs, virgule décimale, texte de remplacement.

`use_course_style()` une fois en tête de notebook, puis `show(fig, alt=...)` à la place de
`plt.show()` : la figure devient une image fixe sur fond clair, lisible dans les deux thèmes, et
porte son texte de remplacement (voir `picture`).

Noms publics : `use_course_style`, `show`, `picture_of`, `DIVERGING`.
"""

import io

import matplotlib as mpl
from IPython.display import display
from matplotlib import pyplot as plt
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, ScalarFormatter
from PIL import Image

from course.viz.palette import CONCEPTS
from course.viz.picture import Picture, decimal

DIVERGING_STOPS = (CONCEPTS["training"].fill, "#F7F7F7", CONCEPTS["gradient"].fill)
DIVERGING = LinearSegmentedColormap.from_list("chainage", DIVERGING_STOPS)
_LINES = ("training", "gradient", "activation", "cost", "parameter", "test")
_DASHES = ((), (7, 3), (2, 2), (7, 2, 2, 2), (12, 3), (4, 2))


def use_course_style():
    """Règle matplotlib pour le notebook : couleurs et pointillés du cours, fond clair."""
    mpl.rcParams.update(
        {
            "figure.figsize": (7.0, 4.0),
            "figure.dpi": 100,
            "figure.facecolor": "white",
            "figure.constrained_layout.use": True,
            "axes.facecolor": "white",
            "axes.grid": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 13,
            "axes.titleweight": "bold",
            "axes.labelsize": 12,
            "font.size": 11,
            "grid.color": "#DDDDDD",
            "image.cmap": "cividis",
            "legend.frameon": False,
            "lines.linewidth": 2.0,
            "svg.hashsalt": "chainage",  # mêmes identifiants à chaque exécution
            "axes.prop_cycle": mpl.cycler(color=[CONCEPTS[name].light for name in _LINES])
            + mpl.cycler(dashes=_DASHES),
        }
    )


def show(fig, alt, kind="svg"):
    """Affiche la figure, avec son texte de remplacement, et la ferme.

    Paramètres
        fig : une figure matplotlib.
        alt : ce que la figure montre, en une ou deux phrases.
        kind : "svg", ou "png" quand la figure porte beaucoup de points ou d’images.
    """
    display(picture_of(fig, alt, kind))
    plt.close(fig)


def picture_of(fig, alt, kind="svg"):
    """Rend la figure en `Picture` ; les graduations linéaires prennent la virgule décimale."""
    for axes in fig.axes:
        for axis in (axes.xaxis, axes.yaxis):
            # exactement ScalarFormatter : log et graduations posées à la main restent
            if type(axis.get_major_formatter()) is ScalarFormatter:
                axis.set_major_formatter(FuncFormatter(lambda value, _: decimal(value, 6)))
    buffer = io.BytesIO()
    options = {"metadata": {"Date": None}} if kind == "svg" else {"dpi": 144}
    width = None if kind == "svg" else round(100 * fig.get_size_inches()[0])
    fig.savefig(buffer, format=kind, **options)
    content = buffer.getvalue() if kind == "svg" else _with_a_palette(buffer)
    return Picture(content, alt, kind, width)


def _with_a_palette(png):
    """Le même PNG, à 256 couleurs choisies pour lui : deux à trois fois moins d’octets à garder."""
    smaller = io.BytesIO()
    image = Image.open(png).convert("RGB").quantize(method=Image.Quantize.MAXCOVERAGE)
    image.save(smaller, "png", optimize=True)
    return smaller.getvalue()
