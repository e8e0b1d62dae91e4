"""Dessiner un chiffre et voir chaque couche répondre : le widget de la leçon 07.

Le navigateur tient la feuille et envoie l’encre une douzaine de fois par seconde
(`static/digit_pad.js`) ; Python la prépare (`digits`), la donne au réseau et renvoie ses cartes,
un octet par nombre. L’image fixe (`draw_answer`) montre la même chose.

Noms publics : `DigitPad`, `draw_answer`.
"""

import math

import numpy as np
import traitlets
from matplotlib.figure import Figure

from course.typography import typeset
from course.viz import palette
from course.viz.digits import SIDE, prepare_digit
from course.viz.figures import DIVERGING, DIVERGING_STOPS, picture_of
from course.viz.filters import quantise
from course.viz.widget import CourseWidget, script


class DigitPad(CourseWidget):
    """Une feuille où dessiner un chiffre, et ce que chaque couche du réseau en fait.

    Paramètres
        read : fonction d’une image float32 (28, 28), de 0 à 255/256 comme dans `mnist()`, qui rend
            `{"maps": {nom: tableau (cartes, hauteur, largeur)}, "probabilities": tableau (10,)}`.
        start : l’image lue avant que quiconque dessine, (28, 28) ou (784,).
        samples : d’autres images à choisir, `{nom: image}`.
        title : titre du widget.

    Attributs
        image : la dernière image lue, float32 (28, 28).
        answer : ce que montre le widget (la dernière réponse).

    Lève
        ValueError : une image n’a pas 784 pixels, ou `read` ne rend pas ce qu’il faut.

    Exemple
        >>> def read(image):
        ...     halved = image[None, ::2, ::2]
        ...     return {"maps": {"moitié": halved}, "probabilities": np.full(10, 0.1)}
        >>> DigitPad(read, start=np.zeros((28, 28)))
        <DigitPad>
    """

    _esm = script("digit_pad")

    title = traitlets.Unicode().tag(sync=True)
    colours = traitlets.List(traitlets.Unicode(), list(DIVERGING_STOPS)).tag(sync=True)
    samples = traitlets.List(traitlets.Unicode()).tag(sync=True)
    answer = traitlets.Dict().tag(sync=True)

    def __init__(self, read, start, samples=None, *, title="Dessinez un chiffre"):
        self._read = read
        images = {"l’image de départ": start, **(samples or {})}
        self._images = [_as_image(name, image) for name, image in images.items()]
        super().__init__(title=typeset(title), samples=[typeset(name) for name in images])
        self._show(self._images[0], sample=0)
        self.on_msg(self._listen)

    def fallback(self):
        """Renvoie l’image fixe de la dernière réponse."""
        return draw_answer(self.image, self._maps, self.answer["probabilities"], self.title)

    def _listen(self, _widget, content, buffers):
        """Répond à un choix d’exemple, ou à une encre de (côté × côté) octets."""
        if "sample" in content:
            self._show(self._images[content["sample"]], **content)
        else:
            ink = np.frombuffer(buffers[0], np.uint8).reshape(2 * [content["side"]])
            self._show(prepare_digit(ink / 255), **content)

    def _show(self, image, **origin):
        answer = self._read(image.copy())
        self.image, self._maps = image, _checked_maps(answer)
        probabilities = [float(p) for p in np.ravel(answer["probabilities"])]
        self.answer = {
            **origin,
            "image": (256 * image).astype(np.uint8).tobytes(),
            "maps": [
                {"name": name, "shape": list(maps.shape), "pixels": quantise_maps(maps)}
                for name, maps in self._maps.items()
            ],
            "probabilities": probabilities,
            "text": describe_answer(image, probabilities),
        }


def quantise_maps(maps):
    """Réduit des cartes (cartes, hauteur, largeur) à un octet par nombre, une échelle pour toutes.

    Exemple
        >>> list(quantise_maps(np.array([[[-2.0, 0.0, 2.0]]])))
        [1, 128, 255]
    """
    return quantise(maps.reshape(len(maps), -1).T, maps.shape[1:])[0]


def describe_answer(image, probabilities):
    """Dit en une phrase ce que le réseau lit, et ce qu’il aurait dit sinon."""
    second, first = np.argsort(probabilities)[-2:]
    percent, other = (round(100 * probabilities[k]) for k in (first, second))
    sheet = "" if image.any() else "Feuille blanche ; le réseau répond quand même. "
    share = f"de {percent} %" if percent < 100 else "de plus de 99 %"
    then = f" ; puis {second}, avec {other} %" if other else ""
    return typeset(f"{sheet}Réponse : {first}, avec une probabilité {share}{then}.")


def draw_answer(image, maps, probabilities, title):
    """Dessine l’image lue, les cartes de chaque couche et les probabilités.

    Paramètres
        image : tableau (28, 28), de 0 (papier) à 1 (encre).
        maps : `{nom: tableau (cartes, hauteur, largeur)}`.
        probabilities : une par chiffre.
        title : ce que la planche montre.

    Renvoie
        une `Picture` PNG.
    """
    fig = Figure(figsize=(8.4, 3.4), facecolor="white")
    fig.set_layout_engine("constrained", w_pad=0.08)
    fig.suptitle(typeset(title), fontsize=13, fontweight="bold")
    left, *middles, right = fig.subplots(
        1, len(maps) + 2, width_ratios=[1.3, *[2] * len(maps), 1.3]
    )
    caption = dict(fontsize=10, fontweight="normal")  # quel que soit le style du notebook
    left.imshow(image, cmap="gray_r", vmin=0, vmax=1)
    left.set_title("image lue", **caption)
    left.set(xticks=[], yticks=[])
    left.spines[:].set_visible(True)
    for axes, (name, layer) in zip(middles, maps.items(), strict=True):
        limit = np.abs(layer).max() or 1.0
        axes.imshow(_mosaic(layer), cmap=DIVERGING, vmin=-limit, vmax=limit)
        axes.set_title(typeset(layer_caption(name, layer.shape)), **caption)
        axes.set_axis_off()
    digits = range(len(probabilities))
    right.barh(digits, probabilities, color=palette.concept("activation").fill)
    right.invert_yaxis()
    right.set(xlim=(0, 1), yticks=digits, xticks=[0, 0.5, 1])
    right.set_title("probabilités", **caption)
    right.grid(False)
    layers = ", ".join(layer_caption(name, layer.shape) for name, layer in maps.items())
    alt = (
        f"{title}. Une image de {SIDE} × {SIDE} pixels, puis {layers}. "
        f"{describe_answer(image, probabilities)}"
    )
    return picture_of(fig, alt, "png")


def layer_caption(name, shape):
    """Renvoie la légende d’une couche : son nom, le nombre et la taille de ses cartes."""
    count, height, width = shape
    return f"{name} : {count} carte{'s' if count > 1 else ''} de {height} × {width}"


def _mosaic(maps):
    """Range les cartes en un tableau à peu près carré, un pixel vide entre deux."""
    count, height, width = maps.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for rank, each in enumerate(maps):
        top, left = (height + 1) * (rank // columns), (width + 1) * (rank % columns)
        sheet[top : top + height, left : left + width] = each
    return sheet


def _as_image(name, image):
    image = np.asarray(image, dtype=np.float32)
    if image.size != SIDE * SIDE:
        raise ValueError(
            typeset(
                f"DigitPad, {name} : image attendue de forme ({SIDE}, {SIDE}), "
                f"reçue de forme {image.shape}"
            )
        )
    return image.reshape(SIDE, SIDE)


def _checked_maps(answer):
    """Les cartes d’une réponse de `read`, chacune de trois axes."""
    try:
        maps = {name: np.asarray(layer) for name, layer in answer["maps"].items()}
        received = ", ".join(f"{name} {layer.shape}" for name, layer in maps.items())
        count = np.size(answer["probabilities"])
    except (TypeError, LookupError, AttributeError):
        maps, received, count = {}, repr(type(answer).__name__), 0
    if count < 2 or any(layer.ndim != 3 for layer in maps.values()):
        raise ValueError(
            typeset(
                'DigitPad : read doit rendre {"maps": {nom: tableau (cartes, hauteur, largeur)}, '
                f'"probabilities": tableau (10,)}} ; reçu : {received}, {count} probabilités'
            )
        )
    return maps
