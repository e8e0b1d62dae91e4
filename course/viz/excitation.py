"""Ce qui excite un filtre : les morceaux d’images réelles, et l’image idéale, qu’on lui dessine.

Deux questions se posent à chaque filtre d’un réseau convolutif. Qu’est-ce qui, parmi les images
connues, l’excite le plus ? `strongest_patches` répond, en regardant partout. Quelle image, de
toutes les images possibles, l’exciterait le plus ? `ideal_images` répond, par une montée de
gradient sur les pixels. `excitation_grid` met les réponses sous les yeux, à côté des poids.

Ordre de lecture : `strongest_patches`, `ideal_images`, `excitation_grid`.

Source : D. Erhan, Y. Bengio, A. Courville, P. Vincent, « Visualizing Higher-Layer Features of a
Deep Network », 2009.
"""

import numpy as np
from matplotlib.figure import Figure

from course.typography import typeset
from course.viz.figures import DIVERGING, picture_of
from engine import config, function, grad, shared
from engine import tensor as T

CHUNK = 500  # images à la fois : les cartes d’un jeu entier ne tiennent pas en mémoire
HEAD = 0.6  # pouces : le titre, et le nom des colonnes


def strongest_patches(respond, images, size, stride=1, count=6):
    """Cherche, pour chaque filtre, les morceaux d’images qui l’excitent le plus.

    Une image ne donne à un filtre qu’un morceau, le meilleur : on verra plusieurs écritures.

    Paramètres
        respond : fonction compilée, images (n, 1, H, W) -> cartes (n, filtres, h, w).
        images : tableau (n, 1, H, W).
        size : côté, en pixels de l’image, du carré que voit un point d’une carte.
        stride : écart, en pixels de l’image, entre les carrés de deux points voisins.
        count : nombre de morceaux par filtre.

    Renvoie
        Un tableau (filtres, count, size, size), le plus excitant d’abord.

    Exemple
        >>> images = np.array([[[[0.0, 0, 5], [0, 0, 0]]], [[[0, 9, 0], [0, 0, 0]]]])
        >>> x = T.tensor4("x")
        >>> strongest_patches(function([x], x), images, size=1, count=2).ravel()
        array([9., 5.])
    """
    tops, places = [], []
    for start in range(0, len(images), CHUNK):
        maps = np.asarray(respond(images[start : start + CHUNK]))
        width = maps.shape[-1]
        flat = maps.reshape(*maps.shape[:2], -1)
        places.append(flat.argmax(axis=2))
        tops.append(flat.max(axis=2))
    tops, places = np.concatenate(tops), np.concatenate(places)
    ranks = np.argsort(-tops, axis=0, kind="stable")[:count]  # (count, filtres)
    patches = np.zeros((tops.shape[1], len(ranks), size, size), images.dtype)
    for order, filter_ in np.ndindex(ranks.shape):
        image = ranks[order, filter_]
        row, column = (stride * k for k in divmod(places[image, filter_], width))
        patches[filter_, order] = images[image, 0, row : row + size, column : column + size]
    return patches


def ideal_images(respond, count, size, steps=200, rate=0.05, seed=0):
    """Dessine, pour chaque sortie, l’image qui la rend la plus grande : une montée de gradient.

    Chaque pas ajoute aux pixels leur gradient, mis à l’échelle pour que le plus grand déplacement
    vaille `rate` ; les pixels restent entre 0 (papier) et 1 (encre). Toutes les images montent
    ensemble, chacune pour sa sortie.

    Paramètres
        respond : fonction d’une expression, images (n, 1, size, size), vers une expression dont
            chaque image a `count` réponses : forme (n, count) ou (n, count, 1, 1).
        count : nombre de sorties.
        size : côté des images, en pixels.
        steps, rate : nombre de pas, et plus grand déplacement d’un pixel par pas.
        seed : graine du gris incertain d’où l’on part.

    Renvoie
        Un tableau (count, size, size).

    Exemple
        >>> wanted = np.array([[1.0, -1.0], [-1.0, 1.0]])
        >>> best = ideal_images(lambda x: (x * wanted).sum(axis=(2, 3)), count=1, size=2)
        >>> best[0].round(6)
        array([[1., 0.],
               [0., 1.]])
    """
    grey = np.random.default_rng(seed).uniform(0.4, 0.6, (count, 1, size, size))
    images = shared(grey.astype(config.floatX), name="images")
    answers = respond(images).reshape((count, count))
    slope = grad(answers[T.arange(count), T.arange(count)].sum(), images)
    largest = abs(slope).max(axis=(1, 2, 3), keepdims=True)
    moved = images + T.constant(rate, dtype=config.floatX) * slope / T.maximum(largest, 1e-20)
    climb = function([], [], updates=[(images, T.clip(moved, 0, 1))])
    for _ in range(steps):
        climb()
    return images.get_value()[:, 0]


def excitation_grid(patches, ideals, title, alt, weights=None, columns=2):
    """Dessine, pour chaque filtre : ses poids, son image idéale, ce qui l’excite le plus.

    Paramètres
        patches : tableau (filtres, morceaux, h, w), de `strongest_patches`.
        ideals : tableau (filtres, h, w), de `ideal_images`.
        title : ce que la planche montre.
        alt : texte de remplacement.
        weights : tableau (filtres, h, w) dans le sens des images ; None, ne pas les montrer.
        columns : nombre de filtres par ligne.

    Renvoie
        Une `Picture` PNG.

    Exemple
        >>> excitation_grid(np.zeros((3, 2, 4, 4)), np.zeros((3, 4, 4)), "Rien", "Du gris.")
        <image : Du gris.>
    """
    shown = 1 + patches.shape[1] + (weights is not None)
    rows = -(-len(patches) // columns)
    height = 0.5 * rows + HEAD
    size = 0.48 * (shown + 1) * columns, height
    fig = Figure(figsize=size, facecolor="white", layout="none")  # les marges, à la main
    fig.suptitle(typeset(title), fontsize=12, fontweight="bold", y=1 - 0.08 / height)
    widths = ([0.8] + [1] * shown) * columns
    room = dict(wspace=0.08, hspace=0.08, left=0, right=0.99, bottom=0.01, top=1 - HEAD / height)
    grid = fig.subplots(
        rows, len(widths), squeeze=False, gridspec_kw=dict(width_ratios=widths, **room)
    )
    for axes in grid.flat:
        axes.set_axis_off()
    limit = 1.0 if weights is None else float(np.abs(weights).max()) or 1.0
    for rank in range(len(patches)):
        line, block = divmod(rank, columns)
        cells = iter(grid[line, block * (shown + 1) : (block + 1) * (shown + 1)])
        next(cells).text(0.9, 0.5, str(rank), ha="right", va="center", fontsize=9)
        headed = [("poids", weights[rank])] if weights is not None else []
        headed += [("idéale", ideals[rank])]
        headed += [("images réelles" if k == 0 else "", p) for k, p in enumerate(patches[rank])]
        for axes, (name, pixels) in zip(cells, headed, strict=True):
            signed = name == "poids"
            axes.imshow(
                pixels,
                cmap=DIVERGING if signed else "gray_r",
                vmin=-limit if signed else 0,
                vmax=limit if signed else 1,
                interpolation="nearest",
            )
            if line == 0:
                left = name == "images réelles"
                where = dict(loc="left" if left else "center", pad=3)
                axes.set_title(typeset(name), fontsize=8, fontweight="normal", **where)
    return picture_of(fig, alt, "png")
