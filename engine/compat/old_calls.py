"""Les fonctions et les classes de Theano qui s’appelaient, ou s’écrivaient, autrement."""

from engine.core.graph import Constant, Op, toposort, walk
from engine.core.modes import get_mode
from engine.core.request import In
from engine.look.debug import DebugMode
from engine.ops.gradient_views import GradientView
from engine.tensor import as_tensor_variable
from engine.tensor.cloning import clone
from engine.tensor.nnet import conv
from engine.tensor.nnet.conv import conv2d
from engine.tensor.shared_randomstreams import RandomStreams

VERSION = "1.0.5"  # la version de Theano à l’API de laquelle on répond ici
NO_GPU = False


def dnn_present():
    """Dit s’il y a cuDNN : non."""
    return NO_GPU


def Param(variable, default=None, name=None, mutable=False, strict=False, allow_downcast=None):
    """L’ancien nom de `In`."""
    return In(variable, name, default, None, mutable, strict, allow_downcast)


class _StandsFor(type):
    """Une ancienne classe, dont `isinstance` et `issubclass` répondent pour la nôtre."""

    def __instancecheck__(cls, thing):
        ours = vars(cls).get("stands_for")
        return isinstance(thing, ours) if ours else super().__instancecheck__(thing)

    def __subclasscheck__(cls, other):
        ours = vars(cls).get("stands_for")
        return issubclass(other, ours) if ours else super().__subclasscheck__(other)


class OldDebugMode(DebugMode, metaclass=_StandsFor):
    """`DebugMode` avec les options de Theano ; toutes les vérifications sont toujours faites."""

    stands_for = DebugMode

    def __init__(self, optimizer="fast_run", **options):
        super().__init__(optimizer=optimizer)


class MRG_RandomStreams(RandomStreams):
    """`RandomStreams` ; le nombre de flux (`nstreams`) est sans effet."""

    def __init__(self, seed=12345):
        super().__init__(seed)


def _without_nstreams(law):
    def draw(self, *args, nstreams=None, **options):
        return law(self, *args, **options)

    return draw


for _law in ("uniform", "normal", "binomial", "multinomial", "choice"):
    setattr(MRG_RandomStreams, _law, _without_nstreams(getattr(RandomStreams, _law)))


def GradClip(lower_bound, upper_bound):
    """L’op de `grad_clip`, à appeler sur une variable."""
    return GradientView("clip", lower_bound, upper_bound)


def GradScale(multiplier):
    """L’op de `grad_scale`, à appeler sur une variable."""
    return GradientView("scale", multiplier)


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


class _AbstractConv:
    """Une ancienne op de convolution : des réglages, puis un appel sur des tableaux.

    Une sous-classe dit quelle fonction d’ici est appelée.
    """

    function = None

    def __init__(
        self, imshp=None, kshp=None, border_mode="valid", subsample=None, filter_flip=True,
        filter_dilation=None, num_groups=1, unshared=False,
    ):  # fmt: skip
        self.shapes = {"input_shape": imshp, "filter_shape": kshp}
        self.options = {
            "border_mode": border_mode, "subsample": subsample, "filter_flip": filter_flip,
            "filter_dilation": filter_dilation, "num_groups": num_groups, "unshared": unshared,
        }  # fmt: skip
        self.options = {name: value for name, value in self.options.items() if value is not None}

    def __call__(self, *arrays):
        return type(self).function(*arrays, **self.options, **self.shapes)


class AbstractConv2d(_AbstractConv):
    """`AbstractConv2d(...)(image, filtres)`."""

    function = staticmethod(conv.conv2d)


class AbstractConv3d(_AbstractConv):
    """`AbstractConv3d(...)(image, filtres)`."""

    function = staticmethod(conv.conv3d)


class _GradInputs(_AbstractConv):
    def __call__(self, filters, output_grad, lengths):
        kshp = self.shapes["filter_shape"]
        return type(self).function(output_grad, filters, lengths, kshp, **self.options)


class _GradWeights(_AbstractConv):
    def __call__(self, image, output_grad, lengths):
        imshp = self.shapes["input_shape"]
        return type(self).function(image, output_grad, lengths, imshp, **self.options)


class AbstractConv2d_gradInputs(_GradInputs):
    """`AbstractConv2d_gradInputs(...)(filtres, gradient, longueurs de l’image)`."""

    function = staticmethod(conv.conv2d_grad_wrt_inputs)


class AbstractConv3d_gradInputs(_GradInputs):
    """`AbstractConv3d_gradInputs(...)(filtres, gradient, longueurs de l’image)`."""

    function = staticmethod(conv.conv3d_grad_wrt_inputs)


class AbstractConv2d_gradWeights(_GradWeights):
    """`AbstractConv2d_gradWeights(...)(image, gradient, longueurs des filtres)`."""

    function = staticmethod(conv.conv2d_grad_wrt_weights)


class AbstractConv3d_gradWeights(_GradWeights):
    """`AbstractConv3d_gradWeights(...)(image, gradient, longueurs des filtres)`."""

    function = staticmethod(conv.conv3d_grad_wrt_weights)


def conv3d2d(signals, filters, signals_shape=None, filters_shape=None, border_mode="valid"):
    """L’ancienne `conv3d2d.conv3d` : le temps avant les canaux, (lot, temps, canaux, h, l)."""
    order = (0, 2, 1, 3, 4)
    shapes = [s and tuple(s[axis] for axis in order) for s in (signals_shape, filters_shape)]
    signals, filters = (as_tensor_variable(v).dimshuffle(*order) for v in (signals, filters))
    return conv.conv3d(signals, filters, *shapes, border_mode).dimshuffle(*order)


def old_inputs(variable_list, blockers=None):
    """Les variables sans `owner` dont d’autres dépendent, dans l’ordre de Theano : en profondeur,
    la dernière d’abord. `variable_list` : une suite quelconque.
    """
    blocked, seen, stack = set(blockers or ()), {}, list(variable_list)
    while stack:
        variable = stack.pop()
        if variable not in seen:
            seen[variable] = None
            if variable.owner is not None and variable not in blocked:
                stack.extend(reversed(variable.owner.inputs))
    return [variable for variable in seen if variable.owner is None]


def same_graphs(xs, ys):
    """Dit si deux listes de variables sont deux à deux le même calcul sur les mêmes variables."""
    numbers, table = {}, {}
    for variable in walk([*xs, *ys]):
        node = variable.owner
        if node is not None:
            key = (node.op, variable.index, *(numbers[entry] for entry in node.inputs))
        else:
            key = variable.signature() if isinstance(variable, Constant) else variable
        numbers[variable] = table.setdefault(key, len(table))
    return [numbers[x] for x in xs] == [numbers[y] for y in ys]


def equal_computations(xs, ys, in_xs=(), in_ys=()):
    """Comme `theano.scan_module.scan_utils.equal_computations` ; in_xs[i] y vaut in_ys[i]."""
    replaced = dict(zip(in_xs or (), in_ys or (), strict=True))
    return same_graphs(clone(list(xs), replaced), list(ys))


def is_same_graph(var1, var2, givens=None):
    """Dit si deux variables sont le même calcul, les remplacements `givens` faits."""
    return same_graphs([clone(var1, givens)], [clone(var2, givens)])


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


class OldOp(Op, metaclass=_StandsFor):
    """`theano.Op` : une op dont la dérivée s’écrit `grad(inputs, output_grads)`.

    Le code C, s’il y en a, n’est pas lu ; `perform` est nécessaire. `R_op` ne l’est pas : la
    dérivée en avant vient de `grad`.
    """

    stands_for = Op
    host_only = "écrite pour Theano : calcule avec NumPy"
    tested_by = "la base des ops écrites pour Theano : tests/programs"

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
