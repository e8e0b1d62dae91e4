"""La convolution à deux dimensions, avec l’appel de Theano."""

from engine.errors import ShapeError
from engine.ops.conv import Conv2d
from engine.types import TensorConstant, as_tensor_variable


def conv2d(
    input,
    filters,
    input_shape=None,
    filter_shape=None,
    border_mode="valid",
    subsample=(1, 1),
    filter_flip=True,
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
    input, filters = as_tensor_variable(input), as_tensor_variable(filters)
    op = Conv2d(border_mode, subsample, filter_flip, filter_dilation)
    out = op(input, filters)
    op.check(
        _announced("input_shape", input, input_shape),
        _announced("filter_shape", filters, filter_shape),
    )
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
            f"conv2d : {name} ne décrit pas ce tableau",
            expected=variable.short(),
            received=str(tuple(lengths)),
        )
    return tuple(n if k is None else k for n, k in zip(lengths, known, strict=True))
