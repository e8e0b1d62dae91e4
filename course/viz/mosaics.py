"""Des planches de petites images : les poids d’une couche, ses cartes, les pixels qui comptent.

Les grandeurs signées (poids, activations de tanh, gradients) prennent la palette divergente du
cours : bleu pour le négatif, clair pour zéro, vermillon pour le positif.

Ordre de lecture : `filter_mosaic`, `maps_image`, `saliency_grid`.
"""

import numpy as np
from matplotlib.figure import Figure

from course.typography import typeset
from course.viz.figures import DIVERGING, picture_of


def filter_mosaic(weights, title, alt):
    """Dessine tous les poids d’une couche de convolution : une colonne par filtre.

    Paramètres
        weights : tableau (sorties, entrées, h, w).
        title : ce que la planche montre.
        alt : texte de remplacement.

    Renvoie
        Une `Picture` PNG ; la ligne i montre ce que chaque filtre fait de la carte d’entrée i.

    Exemple
        >>> filter_mosaic(np.zeros((5, 3, 2, 2)), "Rien", "Des poids nuls.")
        <image : Des poids nuls.>
    """
    n_out, n_in, height, width = weights.shape
    sheet = np.full((n_in, height + 1, n_out, width + 1), np.nan, dtype=np.float32)
    sheet[:, :height, :, :width] = weights.transpose(1, 2, 0, 3)
    sheet = sheet.reshape(n_in * (height + 1), n_out * (width + 1))[:-1, :-1]
    limit = float(np.abs(weights).max()) or 1.0
    ratio = sheet.shape[0] / sheet.shape[1]
    fig = Figure(figsize=(9, 8.4 * ratio + 1.0), facecolor="white")
    fig.set_layout_engine("constrained")
    axes = fig.subplots()
    axes.imshow(sheet, cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest")
    axes.set_title(typeset(title), fontsize=12, fontweight="bold")
    axes.set_xlabel(typeset(f"filtre, de 0 à {n_out - 1}"))
    axes.set_ylabel(typeset(f"carte d’entrée, de 0 à {n_in - 1}"))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return picture_of(fig, alt, "png")


def maps_image(image, layers, title, alt, columns=10):
    """Dessine une image, et les cartes que chaque couche en fait.

    Paramètres
        image : tableau (H, W), 0 : papier, 1 : encre.
        layers : dictionnaire « nom de la couche : cartes (k, h, w) », valeurs de -1 à 1.
        title : ce que la planche montre.
        alt : texte de remplacement.
        columns : nombre de cartes par ligne.

    Renvoie
        Une `Picture` PNG.

    Exemple
        >>> maps_image(np.zeros((4, 4)), {"couche 1": np.zeros((3, 2, 2))}, "Rien", "Du clair.")
        <image : Du clair.>
    """
    sheets = [(name, _sheet(np.asarray(maps), columns)) for name, maps in layers.items()]
    heights = [7.2 * sheet.shape[0] / sheet.shape[1] + 0.35 for _, sheet in sheets]
    fig = Figure(figsize=(9, sum(heights) + 0.5), facecolor="white")
    fig.set_layout_engine("constrained")
    fig.suptitle(typeset(title), fontsize=12, fontweight="bold")
    grid = fig.subplots(
        len(sheets),
        2,
        squeeze=False,
        gridspec_kw=dict(width_ratios=[1.5, 7.2], height_ratios=heights),
    )
    for axes in grid.flat:
        axes.set_axis_off()
    grid[0, 0].imshow(image, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    grid[0, 0].set_title("image", fontsize=10)
    for axes, (name, sheet) in zip(grid[:, 1], sheets, strict=True):
        limit = float(np.nanmax(np.abs(sheet))) or 1.0
        axes.imshow(sheet, cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest")
        axes.set_title(typeset(name), fontsize=10, loc="left")
    return picture_of(fig, alt, "png")


def saliency_grid(images, slopes, captions, title, alt):
    """Dessine des images, et sous chacune l’effet de ses pixels sur un score.

    Paramètres
        images : tableau (n, H, W), 0 : papier, 1 : encre.
        slopes : tableau (n, H, W), le gradient du score par rapport aux pixels ; chacun est mis à
            sa propre échelle.
        captions : une légende par image.
        title : ce que la planche montre.
        alt : texte de remplacement.

    Renvoie
        Une `Picture` PNG.

    Exemple
        >>> saliency_grid(np.zeros((1, 4, 4)), np.zeros((1, 4, 4)), ["a"], "Rien", "Du clair.")
        <image : Du clair.>
    """
    fig = Figure(figsize=(1.3 * len(images), 3.3), facecolor="white")
    fig.set_layout_engine("constrained")
    fig.suptitle(typeset(title), fontsize=12, fontweight="bold")
    grid = fig.subplots(2, len(images), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for column, (image, slope, caption) in enumerate(zip(images, slopes, captions, strict=True)):
        limit = float(np.abs(slope).max()) or 1.0
        grid[0, column].imshow(image, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        grid[0, column].set_title(typeset(str(caption)), fontsize=10)
        grid[1, column].imshow(
            slope, cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest"
        )
        grid[1, column].contour(image, levels=[0.5], colors="#444444", linewidths=0.7)
    return picture_of(fig, alt, "png")


def _sheet(maps, columns):
    """Les cartes (k, h, w) en une seule image, `columns` par ligne, séparées d’un pixel vide."""
    count, height, width = maps.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.full((rows, height + 1, columns, width + 1), np.nan, dtype=np.float32)
    for rank, each in enumerate(maps):
        row, column = divmod(rank, columns)
        sheet[row, :height, column, :width] = each
    return sheet.reshape(rows * (height + 1), columns * (width + 1))[:-1, :-1]
