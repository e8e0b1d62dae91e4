"""Agrandir des images par interpolation bilinéaire, avec les appels de Theano."""

from math import gcd

from engine.core.errors import EngineError
from engine.core.settings import config
from engine.core.types import as_tensor_variable
from engine.tensor.creation import arange, zeros
from engine.tensor.nnet.conv import conv2d, conv2d_grad_wrt_inputs
from engine.tensor.shaping import concatenate


def bilinear_kernel_1D(ratio, normalize=True):
    """Le filtre triangulaire 1, 2, ..., ratio, ..., 2, 1, divisé par `ratio` si `normalize`.

    Exemple
        >>> bilinear_kernel_1D(2).eval().tolist()
        [0.5, 1.0, 0.5]
    """
    rise = arange(1, as_tensor_variable(ratio) + 1, dtype=config.floatX)
    kernel = concatenate([rise, rise[-2::-1]])
    return kernel / as_tensor_variable(ratio).astype(config.floatX) if normalize else kernel


def bilinear_kernel_2D(ratio, normalize=True):
    """Le produit de deux filtres triangulaires ; `ratio` : un entier, ou (hauteur, largeur)."""
    vertical, horizontal = ratio if isinstance(ratio, tuple) else (ratio, ratio)
    column = bilinear_kernel_1D(vertical, normalize).dimshuffle(0, "x")
    return column * bilinear_kernel_1D(horizontal, normalize).dimshuffle("x", 0)


def bilinear_upsampling(
    input,
    ratio=None,
    frac_ratio=None,
    batch_size=None,
    num_input_channels=None,
    use_1D_kernel=True,
):
    """Agrandit des images ; les pixels ajoutés sont interpolés entre leurs voisins.

    Paramètres
        input : images, forme (lot, canaux, hauteur, largeur).
        ratio : de combien agrandir, entier.
        frac_ratio : ou une fraction (numérateur, dénominateur), ou deux, (hauteur, largeur).
        batch_size, num_input_channels, use_1D_kernel : acceptés, sans effet sur la valeur.

    Renvoie
        Les images, forme (lot, canaux, hauteur × ratio, largeur × ratio). Au bord, le dernier pixel
        est répété ; une fois de plus en bas et à droite si le ratio est pair.

    Lève
        EngineError : aucun rapport, ou les deux.

    Exemple
        >>> import numpy as np
        >>> bilinear_upsampling(np.array([[[[0.0, 2.0]]]]), 2).eval()[0, 0, 0]
        array([0., 1., 2., 2.])
    """
    if (ratio is None) == (frac_ratio is None):
        raise EngineError(
            "bilinear_upsampling : un rapport",
            expected="ratio, un entier, ou frac_ratio, une fraction",
            received=f"ratio={ratio}, frac_ratio={frac_ratio}",
        )
    input = as_tensor_variable(input)
    rows, columns = input.shape[2], input.shape[3]
    images = _with_doubled_border(input.reshape((-1, 1, rows, columns)))
    if ratio is None:
        fractions = frac_ratio if isinstance(frac_ratio[0], tuple | list) else (frac_ratio,) * 2
        result = _fractional(images, rows, columns, fractions)
    else:
        pad = 2 * ratio - (ratio - 1) // 2 - 1
        kernel = bilinear_kernel_2D(ratio).astype(input.dtype).dimshuffle("x", "x", 0, 1)
        shape = (None, 1, rows * ratio, columns * ratio)
        result = conv2d_grad_wrt_inputs(
            images, kernel, shape, border_mode=(pad, pad), subsample=(ratio, ratio)
        )
    return result.reshape((input.shape[0], input.shape[1], result.shape[2], result.shape[3]))


def _with_doubled_border(images):
    images = concatenate([images[:, :, :1], images, images[:, :, -1:]], axis=2)
    return concatenate([images[..., :1], images, images[..., -1:]], axis=3)


def _fractional(images, rows, columns, fractions):
    """L’agrandissement par p, dont un pixel sur q est gardé : l’image est le filtre, dilaté."""
    up, down = [], []
    for p, q in fractions:
        up.append(p // gcd(p, q))
        down.append(q // gcd(p, q))
    kernel = bilinear_kernel_2D(tuple(up)).astype(images.dtype).dimshuffle("x", "x", 0, 1)
    for axis, (length, ratio) in enumerate(zip((rows, columns), up, strict=True), 2):
        total = (2 * length - 1) * ratio + 1
        before = total // 2
        sides = []
        for count in (before, total - before):
            shape = [kernel.shape[0], kernel.shape[1], kernel.shape[2], kernel.shape[3]]
            shape[axis] = count
            sides.append(zeros(shape, dtype=images.dtype))
        kernel = concatenate([sides[0], kernel, sides[1]], axis=axis)
    return conv2d(kernel, images, filter_dilation=tuple(up), subsample=tuple(down)).dimshuffle(
        1, 0, 2, 3
    )
