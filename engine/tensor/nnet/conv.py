"""Les convolutions à deux et trois dimensions, avec l’appel de Theano."""

from engine.errors import EngineError, ShapeError
from engine.ops.conv import Convolution
from engine.types import IMAGE_AXES, TensorConstant, as_sizes, as_tensor_variable


def conv2d(
    input,
    filters,
    input_shape=None,
    filter_shape=None,
    border_mode="valid",
    subsample=(1, 1),
    filter_flip=True,
    image_shape=None,
    filter_dilation=(1, 1),
):
    """Convolution d’images par des filtres.

    out[b, o, i, j] = Σ input[b, c, i + u, j + v] × filters[o, c, kh - 1 - u, kl - 1 - v] : les
    filtres sont retournés, c’est la convolution des mathématiciens.

    Paramètres
        input : images, forme (lot, canaux, hauteur, largeur).
        filters : forme (sorties, canaux, kh, kl).
        input_shape, filter_shape : quatre longueurs connues d’avance (None : inconnue), vérifiées
            à la construction du graphe.
        border_mode : bords de zéros ajoutés : "valid", aucun ; "full", kh - 1 et kl - 1 de chaque
            côté ; "half", kh // 2 et kl // 2 ; un entier, (hauteur, largeur), ou
            ((haut, bas), (gauche, droite)), en pixels.
        subsample : pas de la convolution (hauteur, largeur), en pixels.
        filter_flip : faux, les filtres ne sont pas retournés (une corrélation).
        image_shape : ancien nom de `input_shape`.
        filter_dilation : écart entre deux points voisins du filtre (hauteur, largeur), en pixels.

    Renvoie
        Les images filtrées, forme (lot, sorties, hauteur', largeur'), où hauteur' vaut
        (hauteur + bords - (kh - 1) × dilatation - 1) // pas + 1 ; du dtype commun aux entrées.

    Lève
        ShapeError : entrée qui n’a pas quatre axes, nombres de canaux différents, image plus
        petite que le filtre, longueur qui contredit `input_shape` ou `filter_shape`.
        EngineError : réglage inconnu.

    Source
        V. Dumoulin et F. Visin, « A guide to convolution arithmetic for deep learning », 2016.

    Exemple
        >>> import numpy as np
        >>> image, difference = np.array([[[[1.0, 2.0, 4.0, 8.0]]]]), np.array([[[[1.0, -1.0]]]])
        >>> conv2d(image, difference).eval()
        array([[[[1., 2., 4.]]]])
    """
    if None not in (input_shape, image_shape):
        raise EngineError(
            "conv2d : image_shape et input_shape sont deux noms du même réglage",
            expected="input_shape seulement",
        )
    lengths = (image_shape if input_shape is None else input_shape), filter_shape
    options = (border_mode, subsample, filter_flip, filter_dilation)
    return _convolve(2, input, filters, lengths, *options)


def conv3d(
    input,
    filters,
    input_shape=None,
    filter_shape=None,
    border_mode="valid",
    subsample=(1, 1, 1),
    filter_flip=True,
    filter_dilation=(1, 1, 1),
):
    """Convolution d’images à trois dimensions (volumes, vidéos) par des filtres.

    La formule est celle de `conv2d`, avec un axe de plus, la profondeur (ou le temps).

    Paramètres
        input : images, forme (lot, canaux, profondeur, hauteur, largeur).
        filters : forme (sorties, canaux, kp, kh, kl).
        input_shape, filter_shape : cinq longueurs connues d’avance (None : inconnue).
        border_mode, subsample, filter_flip, filter_dilation : ceux de `conv2d`, à trois axes.

    Renvoie
        Les images filtrées, forme (lot, sorties, profondeur', hauteur', largeur').

    Lève
        ShapeError, EngineError : comme `conv2d`.

    Source
        S. Ji et coll., « 3D Convolutional Neural Networks for Human Action Recognition », 2010.

    Exemple
        >>> import numpy as np
        >>> film = np.arange(4.0).reshape(1, 1, 4, 1, 1) ** 2
        >>> conv3d(film, np.array([1.0, -1.0]).reshape(1, 1, 2, 1, 1)).eval().ravel()
        array([1., 3., 5.])
    """
    options = (border_mode, subsample, filter_flip, filter_dilation)
    return _convolve(3, input, filters, (input_shape, filter_shape), *options)


def _convolve(ndim, input, filters, announced, border_mode, subsample, flip, dilation):
    input, filters = as_tensor_variable(input), as_tensor_variable(filters)
    subsample = as_sizes(subsample, IMAGE_AXES[ndim], f"conv{ndim}d : subsample", 1)
    op = Convolution(border_mode, subsample, flip, dilation)
    out = op(input, filters)
    names = (f"{op.label} : {name}" for name in ("input_shape", "filter_shape"))
    op.check(*map(_announced, names, (input, filters), announced))
    return out


def _announced(name, variable, lengths):
    """Les longueurs de `variable`, complétées par celles que le programme annonce."""
    known = variable.type.shape
    if lengths is None:
        return known
    lengths = [
        int(n.data) if isinstance(n, TensorConstant) else None if n is None else int(n)
        for n in lengths
    ]
    if len(lengths) != len(known) or any(
        None not in pair and pair[0] != pair[1] for pair in zip(lengths, known, strict=True)
    ):
        raise ShapeError(
            f"{name} ne décrit pas ce tableau",
            expected=variable.short(),
            received=str(tuple(lengths)),
        )
    return tuple(n if k is None else k for n, k in zip(lengths, known, strict=True))
