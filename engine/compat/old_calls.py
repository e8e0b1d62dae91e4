"""Les fonctions et les classes de Theano qui s’appelaient, ou s’écrivaient, autrement."""

from engine.compiler import In
from engine.debug import DebugMode
from engine.graph import Op, toposort
from engine.modes import get_mode
from engine.tensor import as_tensor_variable
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


def xlogy0(x, y):
    """x log(y), et 0 où x est nul, terme à terme."""
    x, y = as_tensor_variable(x), as_tensor_variable(y)
    is_zero = x.eq(0)
    return is_zero.switch(0, x * is_zero.switch(1, y).log())


def xlogx(x):
    """x log(x), et 0 en 0, terme à terme."""
    return xlogy0(x, x)


class _AnyOp(type):
    """Pour `isinstance` et `issubclass`, toute op est une op de Theano."""

    def __instancecheck__(cls, thing):
        return isinstance(thing, Op) if cls is OldOp else super().__instancecheck__(thing)

    def __subclasscheck__(cls, other):
        return issubclass(other, Op) if cls is OldOp else super().__subclasscheck__(other)


class OldOp(Op, metaclass=_AnyOp):
    """`theano.Op` : une op dont la dérivée s’écrit `grad(inputs, output_grads)`.

    Le code C, s’il y en a, n’est pas lu ; `perform` est nécessaire. `R_op` ne l’est pas : la
    dérivée en avant vient de `grad`.
    """

    def grad(self, inputs, output_grads):
        """La dérivée, que la sous-classe définit."""
        return super().L_op(inputs, None, output_grads)

    def L_op(self, inputs, outputs, output_grads):
        received = [
            output.zeros_like() if g is None else g
            for output, g in zip(outputs, output_grads, strict=True)
        ]
        return self.grad(inputs, received)


class DisconnectedType:
    """Dans `grad`, `DisconnectedType()()` : rien ne dépend de cette entrée."""

    def __call__(self):
        return None


def grad_undefined(op, position, variable, comment=""):
    """Le gradient d’une entrée par rapport à laquelle on ne dérive pas (un indice, un réglage)."""
    return None
