"""Les fonctions de Theano qui s’appelaient autrement."""

from engine.compiler import In
from engine.debug import DebugMode
from engine.graph import toposort
from engine.modes import get_mode
from engine.tensor.nnet.conv import conv2d

VERSION = "1.0.5"  # la version de Theano à l’API de laquelle on répond ici
NO_GPU = False


def Param(variable, default=None, name=None, mutable=False, strict=False, allow_downcast=None):
    """L’ancien nom de `In`."""
    return In(variable, name, default, None, strict, allow_downcast, mutable)


def OldDebugMode(optimizer="fast_run", **options):
    """`DebugMode` avec les options de Theano ; toutes les vérifications sont toujours faites."""
    return DebugMode(optimizer=optimizer)


def get_default_mode():
    """Le mode par défaut."""
    return get_mode(None)


def nnet_conv2d(
    input,
    filters,
    image_shape=None,
    filter_shape=None,
    border_mode="valid",
    subsample=(1, 1),
    **options,
):
    """L’ancienne `theano.tensor.nnet.conv.conv2d` ; ses réglages de déroulage sont sans effet."""
    return conv2d(input, filters, image_shape, filter_shape, border_mode, subsample)


def signal_conv2d(input, filters, image_shape=None, filter_shape=None, border_mode="valid"):
    """L’ancienne `theano.tensor.signal.conv.conv2d` : chaque image par chaque filtre, sans canaux.

    Paramètres
        input, filters : une image (hauteur, largeur), ou une pile d’images ou de filtres.
    """
    images = input.dimshuffle(*["x"] * (3 - input.ndim), *range(input.ndim)).dimshuffle(
        0, "x", 1, 2
    )
    kernels = filters.dimshuffle(*["x"] * (3 - filters.ndim), *range(filters.ndim))
    out = conv2d(images, kernels.dimshuffle(0, "x", 1, 2), border_mode=border_mode)
    return out[(slice(None) if input.ndim == 3 else 0, slice(None) if filters.ndim == 3 else 0)]


def iround(x, mode="half_to_even"):
    """L’arrondi, en int64."""
    return x.round(mode).astype("int64")


def io_toposort(inputs, outputs):
    """Les nœuds entre `inputs` et `outputs`, chacun après ceux dont il dépend."""
    return toposort(outputs, inputs)
