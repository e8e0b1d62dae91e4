"""Les convolutions à deux et trois dimensions, avec l’appel de Theano.

Ordre de lecture : `conv2d`, `conv3d`, ce qui en est fait (transposée, séparable, causale), puis
leurs gradients.
"""

import numpy as np

from engine.core.errors import EngineError, ShapeError
from engine.core.types import TensorConstant, as_tensor_variable
from engine.ops.arguments import IMAGE_AXES, as_sizes
from engine.ops.conv import Convolution, ConvolutionGradFilters, ConvolutionGradInputs
from engine.tensor.shaping import concatenate


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
    num_groups=1,
    unshared=False,
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
        num_groups : couper canaux et sorties en autant de groupes, sans lien de l’un à l’autre ;
            `filters` a alors canaux / num_groups canaux.
        unshared : seul faux est possible.

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
    return _convolve(2, input, filters, lengths, options, num_groups, unshared)


def conv3d(
    input,
    filters,
    input_shape=None,
    filter_shape=None,
    border_mode="valid",
    subsample=(1, 1, 1),
    filter_flip=True,
    filter_dilation=(1, 1, 1),
    num_groups=1,
    unshared=False,
):
    """Convolution d’images à trois dimensions (volumes, vidéos) par des filtres.

    La formule est celle de `conv2d`, avec un axe de plus, la profondeur (ou le temps).

    Paramètres
        input : images, forme (lot, canaux, profondeur, hauteur, largeur).
        filters : forme (sorties, canaux, kp, kh, kl).
        input_shape, filter_shape : cinq longueurs connues d’avance (None : inconnue).
        border_mode, subsample, filter_flip, filter_dilation, num_groups, unshared : ceux de
            `conv2d`, à trois axes.

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
    lengths = (input_shape, filter_shape)
    return _convolve(3, input, filters, lengths, options, num_groups, unshared)


def _convolve(ndim, input, filters, announced, options, num_groups, unshared):
    input, filters = as_tensor_variable(input), as_tensor_variable(filters)
    op = _op(ndim, Convolution, *options, unshared)
    out = _by_group(op, num_groups, (input, 1), (filters, 0), 1)
    names = (f"{op.label} : {name}" for name in ("input_shape", "filter_shape"))
    image, kernel = map(_announced, names, (input, filters), announced)
    if num_groups == 1:
        op.check(image, kernel)
    return out


def _op(ndim, kind, border_mode, subsample, flip, dilation, unshared):
    if unshared:
        raise EngineError(f"conv{ndim}d : unshared=True n'existe pas ici", expected="False")
    subsample = as_sizes(subsample, IMAGE_AXES[ndim], f"conv{ndim}d : subsample", 1)
    return kind(border_mode, subsample, flip, dilation)


def _by_group(op, count, first, second, joined, lengths=()):
    """L’op, groupe par groupe ; `first`, `second` : un tableau et l’axe où le couper."""
    if count == 1:
        return op(first[0], second[0], *lengths)
    pieces = zip(_cut(op, count, *first), _cut(op, count, *second), strict=True)
    return concatenate([op(x, y, *lengths) for x, y in pieces], axis=joined)


def _cut(op, count, x, axis):
    """x, en `count` morceaux égaux le long de l’axe."""
    x = as_tensor_variable(x)
    known = x.type.shape[axis]
    if not isinstance(count, int) or count < 1 or (known is not None and known % count):
        raise ShapeError(
            f"{op.label} : num_groups",
            expected=f"un diviseur de la longueur de l'axe {axis}, {known or 'inconnue'}",
            received=repr(count),
        )
    size = (x.shape[axis] if known is None else known) // count
    stops = [*((k + 1) * size for k in range(count - 1)), None]
    before = (slice(None),) * axis
    return [x[(*before, slice(k * size, stop))] for k, stop in enumerate(stops)]


def conv2d_transpose(
    input,
    filters,
    output_shape,
    filter_shape=None,
    border_mode="valid",
    input_dilation=(1, 1),
    filter_flip=True,
    filter_dilation=(1, 1),
    num_groups=1,
    unshared=False,
):
    """La convolution transposée : le gradient, par rapport à son entrée, de la convolution.

    Paramètres
        input : forme (lot, sorties, hauteur, largeur) ; filters : (sorties, canaux, kh, kl).
        output_shape : forme du résultat (lot, canaux, hauteur', largeur') ; seules comptent les
            deux dernières, symboliques ou non.
        input_dilation : le pas (`subsample`) de la convolution.

    Renvoie
        Les images, forme (lot, canaux, hauteur', largeur').
    """
    options = (border_mode, input_dilation, filter_flip, filter_dilation, num_groups, unshared)
    return conv2d_grad_wrt_inputs(input, filters, output_shape, filter_shape, *options)


def separable_conv2d(
    input,
    depthwise_filters,
    pointwise_filters,
    num_channels,
    input_shape=None,
    depthwise_filter_shape=None,
    pointwise_filter_shape=None,
    border_mode="valid",
    subsample=(1, 1),
    filter_flip=True,
    filter_dilation=(1, 1),
):
    """Une convolution par canal, puis une de filtres d’un pixel, qui mêle les canaux.

    Paramètres
        depthwise_filters : forme (sorties, 1, kh, kl) ; pointwise_filters : (sorties', sorties, 1,
            1) ; num_channels : nombre de canaux de l’entrée. Les autres sont ceux de `conv2d`.
    """
    channels = conv2d(
        input,
        depthwise_filters,
        input_shape,
        depthwise_filter_shape,
        border_mode,
        subsample,
        filter_flip,
        filter_dilation=filter_dilation,
        num_groups=num_channels,
    )
    return conv2d(channels, pointwise_filters, None, pointwise_filter_shape)


def causal_conv1d(
    input,
    filters,
    filter_shape,
    input_shape=None,
    subsample=1,
    filter_flip=True,
    filter_dilation=1,
    num_groups=1,
    unshared=False,
):
    """Une convolution le long du temps, qui ne lit que le présent et le passé.

    Paramètres
        input : forme (lot, canaux, durée) ; filters : (sorties, canaux, k).
        filter_shape : forme des filtres ; la dernière longueur doit être donnée.
        input_shape : forme de l’entrée, si elle est connue. Les autres sont ceux de `conv2d`.

    Renvoie
        Un tableau de forme (lot, sorties, durée'), la durée divisée par `subsample`.

    Source
        A. van den Oord et coll., « WaveNet: A Generative Model for Raw Audio », 2016.
    """
    past = filter_dilation * (int(filter_shape[2]) - 1)
    return conv2d(
        as_tensor_variable(input).dimshuffle(0, 1, 2, "x"),
        as_tensor_variable(filters).dimshuffle(0, 1, 2, "x"),
        None if input_shape is None else (*input_shape, 1),
        (*filter_shape, 1),
        ((past, 0), 0),
        (subsample, 1),
        filter_flip,
        filter_dilation=(filter_dilation, 1),
        num_groups=num_groups,
        unshared=unshared,
    ).dimshuffle(0, 1, 2)


# ---- gradients ---------------------------------------------------------------------------


def _grad_inputs(ndim, g, filters, input_shape, filter_shape, options, num_groups, unshared):
    op = _op(ndim, ConvolutionGradInputs, *options, unshared)
    _announced(f"{op.label} : filter_shape", as_tensor_variable(filters), filter_shape)
    return _by_group(op, num_groups, (filters, 0), (g, 1), 1, _image_lengths(input_shape, ndim))


def _grad_filters(ndim, input, g, filter_shape, input_shape, options, num_groups, unshared):
    op = _op(ndim, ConvolutionGradFilters, *options, unshared)
    _announced(f"{op.label} : input_shape", as_tensor_variable(input), input_shape)
    return _by_group(op, num_groups, (input, 1), (g, 1), 0, _image_lengths(filter_shape, ndim))


def _image_lengths(shape, ndim):
    """Les dernières longueurs d’une forme : suite, ou vecteur symbolique."""
    if isinstance(shape, list | tuple | np.ndarray):
        return list(shape)[-ndim:]
    shape = as_tensor_variable(shape)
    return [shape[position] for position in range(-ndim, 0)]


def conv2d_grad_wrt_inputs(
    output_grad, filters, input_shape, filter_shape=None, border_mode="valid", subsample=(1, 1),
    filter_flip=True, filter_dilation=(1, 1), num_groups=1, unshared=False,
):  # fmt: skip
    """Le gradient de `conv2d` par rapport à l’image.

    Paramètres
        output_grad : gradient reçu, de la forme de la convolution.
        input_shape : forme de l’image ; les deux dernières longueurs comptent.
        Les autres sont ceux de `conv2d`.
    """
    options = (border_mode, subsample, filter_flip, filter_dilation)
    return _grad_inputs(
        2, output_grad, filters, input_shape, filter_shape, options, num_groups, unshared
    )


def conv3d_grad_wrt_inputs(
    output_grad, filters, input_shape, filter_shape=None, border_mode="valid",
    subsample=(1, 1, 1), filter_flip=True, filter_dilation=(1, 1, 1), num_groups=1,
    unshared=False,
):  # fmt: skip
    """Le gradient de `conv3d` par rapport à l’image ; voir `conv2d_grad_wrt_inputs`."""
    options = (border_mode, subsample, filter_flip, filter_dilation)
    return _grad_inputs(
        3, output_grad, filters, input_shape, filter_shape, options, num_groups, unshared
    )


def conv2d_grad_wrt_weights(
    input, output_grad, filter_shape, input_shape=None, border_mode="valid", subsample=(1, 1),
    filter_flip=True, filter_dilation=(1, 1), num_groups=1, unshared=False,
):  # fmt: skip
    """Le gradient de `conv2d` par rapport aux filtres.

    Paramètres
        output_grad : gradient reçu, de la forme de la convolution.
        filter_shape : forme des filtres ; les deux dernières longueurs comptent.
        Les autres sont ceux de `conv2d`.
    """
    options = (border_mode, subsample, filter_flip, filter_dilation)
    return _grad_filters(
        2, input, output_grad, filter_shape, input_shape, options, num_groups, unshared
    )


def conv3d_grad_wrt_weights(
    input, output_grad, filter_shape, input_shape=None, border_mode="valid", subsample=(1, 1, 1),
    filter_flip=True, filter_dilation=(1, 1, 1), num_groups=1, unshared=False,
):  # fmt: skip
    """Le gradient de `conv3d` par rapport aux filtres ; voir `conv2d_grad_wrt_weights`."""
    options = (border_mode, subsample, filter_flip, filter_dilation)
    return _grad_filters(
        3, input, output_grad, filter_shape, input_shape, options, num_groups, unshared
    )


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
