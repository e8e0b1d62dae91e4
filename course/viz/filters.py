"""Les filtres appris : une image par sortie d’un classifieur, et leur formation au fil des époques.

Un filtre est une colonne de poids remise en image. Tous partagent une échelle centrée sur zéro :
bleu pour un poids négatif, clair pour zéro, vermillon pour un poids positif (lisible par les
daltoniens). `filter_grid` rend l’image fixe ; `LiveFilters` les montre pendant l’entraînement et
garde une quarantaine d’époques à rejouer.

Ordre de lecture : `filter_grid`, `quantise`, `LiveFilters`.
"""

import numpy as np
import traitlets
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from course.typography import typeset
from course.viz.figures import DIVERGING, DIVERGING_STOPS, picture_of
from course.viz.picture import Placeholder, decimal
from course.viz.widget import CourseWidget, script

REMEMBERED = 40
COLUMNS = 5


def filter_grid(weights, shape=(28, 28), titles=None, alt=None, title=None):
    """Dessine les filtres d’une matrice de poids.

    Paramètres
        weights : tableau (pixels, filtres), comme `W` dans softmax(xW + b).
        shape : forme d’un filtre en image ; son produit vaut le nombre de pixels.
        titles : un titre par filtre ; à défaut, leur numéro.
        alt : texte de remplacement ; à défaut, une description générale.
        title : ce que la planche montre.

    Renvoie
        une `Picture` PNG, que `.save("filtres.png")` écrit dans un fichier.

    Exemple
        >>> filter_grid(np.zeros((4, 2)), shape=(2, 2))
        <image : 2 filtres de 2 × 2 poids ; bleu : négatif, clair : nul, orangé : positif.>
    """
    images, titles = _as_images(weights, shape, titles)
    alt = alt or _description(len(images), shape)
    limit = _limit(images)
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    fig = Figure(figsize=(1.35 * columns + 0.3, 1.55 * rows + 0.75), facecolor="white")
    fig.set_layout_engine("constrained", h_pad=0.07, w_pad=0.07)
    if title:
        fig.suptitle(typeset(title), fontsize=13, fontweight="bold")
    grid = fig.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, name in zip(grid.flat, images, titles, strict=False):
        shown = axes.imshow(image, cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest")
        axes.set_title(name, fontsize=11)
    bar = fig.colorbar(
        shown, ax=grid, orientation="horizontal", ticks=[-limit, 0, limit], shrink=0.5, aspect=30
    )
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: decimal(value, 2)))
    bar.set_label(typeset("valeur du poids (même échelle pour tous)"), fontsize=10)
    return picture_of(fig, alt, "png")


def image_grid(images, captions, title, alt, columns=5):
    """Dessine des images en niveaux de gris (0 : papier, 1 : encre), une légende sur chacune.

    Paramètres
        images : tableau (images, lignes, colonnes).
        captions : une légende par image.
        title : ce que la planche montre.
        alt : texte de remplacement.

    Exemple
        >>> image_grid(np.zeros((2, 3, 3)), ["a", "b"], "Deux pages blanches", "Rien d’écrit.")
        <image : Rien d’écrit.>
    """
    images = np.asarray(images)
    rows = -(-len(images) // columns)
    fig = Figure(figsize=(1.3 * columns, 1.6 * rows + 0.5), facecolor="white")
    fig.set_layout_engine("constrained")
    fig.suptitle(typeset(title), fontsize=12, fontweight="bold")
    grid = fig.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, caption in zip(grid.flat, images, captions, strict=False):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(typeset(str(caption)), fontsize=11)
    return picture_of(fig, alt, "png")


def quantise(weights, shape=(28, 28)):
    """Réduit les filtres à un octet par poids : 0 pour -limite, 128 pour zéro, 255 pour +limite.

    Renvoie
        les octets, filtre après filtre, et la limite (le plus grand poids en valeur absolue).
    """
    images, _ = _as_images(weights, shape, None)
    limit = _limit(images)
    levels = np.rint(128 + 127 * np.nan_to_num(images / limit))
    return np.clip(levels, 0, 255).astype(np.uint8).tobytes(), limit


class LiveFilters(CourseWidget):
    """Les filtres pendant qu’ils se forment, et un curseur pour rejouer leur formation.

    Paramètres
        count : le nombre de filtres.
        shape : la forme d’un filtre en image.
        titles : un titre par filtre ; à défaut, leur numéro.
        title : ce que l’image montre.

    Exemple
        >>> live = LiveFilters(2, shape=(2, 2))
        >>> live.update(np.eye(4)[:, :2], epoch=1)
        >>> live, live.epochs
        (<LiveFilters>, [1])
    """

    _esm = script("filters")

    title = traitlets.Unicode().tag(sync=True)
    titles = traitlets.List(traitlets.Unicode()).tag(sync=True)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)
    colours = traitlets.List(traitlets.Unicode(), list(DIVERGING_STOPS)).tag(sync=True)
    epochs = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, count=10, *, shape=(28, 28), titles=None, title="Les filtres se forment"):
        self._frames = {}  # époque : (octets, limite)
        self._ranks = {}  # époque : son rang parmi les mises à jour
        self._stride = 1  # sont gardés les rangs multiples de ce pas, et le dernier
        names = titles or [str(i) for i in range(count)]
        super().__init__(title=typeset(title), titles=[str(t) for t in names], shape=list(shape))
        self._weights = np.zeros((int(np.prod(shape)), count))
        self.on_msg(self._answer)

    def update(self, weights, epoch=None):
        """Montre de nouveaux poids (pixels, filtres) ; `epoch` vaut à défaut la suivante."""
        epoch = (max(self._frames, default=-1) + 1) if epoch is None else int(epoch)
        self._weights = np.array(weights, dtype=np.float32)
        self._frames[epoch] = quantise(self._weights, tuple(self.shape))
        self._ranks[epoch] = len(self._ranks)
        self._forget(epoch)
        self.epochs = list(self._frames)
        self._send_frame(epoch)

    def fallback(self):
        """Renvoie l’image fixe des derniers filtres, ou une phrase tant qu’il n’y en a pas."""
        if not self._frames:
            return Placeholder(f"{self.title} : les filtres paraissent ici pendant l’entraînement.")
        return filter_grid(self._weights, tuple(self.shape), self.titles)

    def _forget(self, newest):
        """Garde au plus `REMEMBERED` époques, régulièrement espacées, et la dernière."""
        if len(self._ranks) // self._stride >= REMEMBERED:
            self._stride *= 2
        for epoch in list(self._frames):
            if epoch != newest and self._ranks[epoch] % self._stride:
                del self._frames[epoch]

    def _send_frame(self, epoch):
        pixels, limit = self._frames[epoch]
        self.send({"epoch": epoch, "limit": limit}, [pixels])

    def _answer(self, _widget, content, _buffers):
        if content == "all":  # une vue neuve demande ce qu’elle n’a pas vu
            for epoch in self._frames:
                self._send_frame(epoch)


def _as_images(weights, shape, titles):
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim != 2 or weights.shape[0] != np.prod(shape):
        raise ValueError(
            typeset(
                f"filtres : poids attendus de forme ({np.prod(shape)}, filtres), "
                f"reçus de forme {weights.shape}"
            )
        )
    titles = [str(i) for i in range(weights.shape[1])] if titles is None else list(titles)
    return weights.T.reshape(-1, *shape), titles


def _limit(images):
    finite = images[np.isfinite(images)]
    return float(np.abs(finite).max(initial=0.0)) or 1.0


def _description(count, shape):
    return (
        f"{count} filtres de {shape[0]} × {shape[1]} poids ; bleu : négatif, clair : nul, "
        "orangé : positif."
    )
