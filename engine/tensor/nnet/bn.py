"""La normalisation par lot, avec les appels de Theano.

Source : S. Ioffe et C. Szegedy, « Batch Normalization: Accelerating Deep Network Training by
Reducing Internal Covariate Shift », ICML, 2015.
"""

from engine.core.elemwise import cast
from engine.core.errors import DtypeError, EngineError, ShapeError
from engine.core.types import FLOATS, as_tensor_variable


def batch_normalization_train(
    inputs,
    gamma,
    beta,
    axes="per-activation",
    epsilon=1e-4,
    running_average_factor=0.1,
    running_mean=None,
    running_var=None,
):
    """Centre et réduit par la moyenne et la variance du lot, puis met à l’échelle.

    out = gamma (inputs - moyenne) / √(variance + epsilon) + beta ; le gradient passe aussi par la
    moyenne et la variance.

    Paramètres
        inputs : tableau flottant, forme (lot, ...).
        gamma, beta : échelles et décalages appris. Leur forme est celle de `inputs`, les axes
            `axes` ôtés, ou de longueur 1.
        axes : les axes sur lesquels moyenner : "per-activation" pour (0,), "spatial" pour tous
            sauf le deuxième (les canaux), ou une suite d’entiers.
        epsilon : nombre positif ajouté à la variance.
        running_average_factor : part du lot, de 0 à 1, dans la moyenne glissante.
        running_mean, running_var : moyenne et variance glissantes, de la forme de `gamma` ; les
            deux, ou aucune.

    Renvoie
        [out, moyenne, 1 / √(variance + epsilon)], les deux dernières de la forme de `gamma` ; puis,
        si elles sont données, les nouvelles moyenne et variance glissantes (cette dernière sans
        biais : n / (n - 1) fois celle du lot de n éléments).

    Lève
        DtypeError : `inputs` n’est pas flottant.
        ShapeError : `gamma` ou une autre n’a pas autant d’axes qu’il faut.
        EngineError : axes ou epsilon impossibles, une seule des deux moyennes glissantes.

    Source
        Ioffe et Szegedy, 2015, algorithme 1.

    Exemple
        >>> out, mean, invstd = batch_normalization_train([[1.0], [3.0]], [1.0], [0.0])
        >>> out.eval().round(3).ravel(), mean.eval()
        (array([-1.,  1.]), array([2.]))
    """
    if (running_mean is None) != (running_var is None):
        raise EngineError(
            "batch_normalization_train : la moyenne glissante ne va pas sans la variance",
            expected="running_mean et running_var, ou aucune des deux",
        )
    inputs, axes = _checked(inputs, axes, epsilon)
    gamma, beta, running_mean, running_var = (
        None if v is None else as_tensor_variable(v)
        for v in (gamma, beta, running_mean, running_var)
    )
    scale, shift = (_spread(v, inputs, axes) for v in (gamma, beta))
    mean = inputs.mean(axis=axes, keepdims=True)
    var = (inputs - mean).sqr().mean(axis=axes, keepdims=True)
    invstd = 1 / (var + cast(epsilon, inputs.dtype)).sqrt()
    results = [(inputs - mean) * (scale * invstd) + shift]
    statistics = [mean, invstd]
    if running_mean is not None:
        count = cast(1, inputs.dtype)
        for axis in axes:
            count = count * cast(inputs.shape[axis], inputs.dtype)
        rate = cast(running_average_factor, inputs.dtype)
        old_mean, old_var = (_spread(v, inputs, axes) for v in (running_mean, running_var))
        statistics.append(old_mean * (1 - rate) + mean * rate)
        unbiased = var * (
            count / (count - 1).maximum(1)
        )  # un lot d’un seul élément : variance nulle
        statistics.append(old_var * (1 - rate) + unbiased * rate)
    if gamma.ndim < inputs.ndim:
        kept = [axis for axis in range(inputs.ndim) if axis not in axes]
        statistics = [v.dimshuffle(*kept) for v in statistics]
    return results + statistics


def batch_normalization_test(inputs, gamma, beta, mean, var, axes="per-activation", epsilon=1e-4):
    """Centre et réduit par une moyenne et une variance données, puis met à l’échelle.

    out = gamma (inputs - mean) / √(var + epsilon) + beta

    Paramètres
        inputs, gamma, beta, axes, epsilon : ceux de `batch_normalization_train`.
        mean, var : moyenne et variance, de la forme de `gamma` ; d’ordinaire les glissantes.

    Renvoie
        Le tableau normalisé, de la forme de `inputs`.

    Lève
        DtypeError, ShapeError, EngineError : comme `batch_normalization_train`.

    Source
        Ioffe et Szegedy, 2015, algorithme 2.

    Exemple
        >>> batch_normalization_test([[5.0]], [1.0], [0.5], [3.0], [1.0]).eval().round(3)
        array([[2.5]])
    """
    inputs, axes = _checked(inputs, axes, epsilon)
    scale, shift, mean, var = (_spread(v, inputs, axes) for v in (gamma, beta, mean, var))
    return (inputs - mean) * (scale / (var + cast(epsilon, inputs.dtype)).sqrt()) + shift


def batch_normalization(inputs, gamma, beta, mean, std, mode="low_mem"):
    """(inputs - mean) × gamma / std + beta, terme à terme : l’ancienne forme, sans epsilon.

    `mode` est accepté, sans effet.
    """
    return (as_tensor_variable(inputs) - mean) * gamma / std + beta


def _checked(inputs, axes, epsilon):
    """L’entrée, et les axes sur lesquels moyenner, en ordre croissant."""
    inputs = as_tensor_variable(inputs)
    if inputs.dtype not in FLOATS:
        raise DtypeError(
            "normalisation par lot : des flottants sont attendus",
            expected=", ".join(FLOATS),
            received=f"{inputs} : {inputs.short()}",
        )
    named = {"per-activation": (0,), "spatial": (0, *range(2, inputs.ndim))}
    found = named.get(axes, ()) if isinstance(axes, str) else tuple(sorted({int(a) for a in axes}))
    if not found or found[0] < 0 or found[-1] >= inputs.ndim:
        raise EngineError(
            "normalisation par lot : axes impossibles",
            expected=f"'per-activation', 'spatial', ou des entiers de 0 à {inputs.ndim - 1}",
            received=repr(axes),
            hint="'spatial' pour des images (lot, canaux, hauteur, largeur)",
        )
    if epsilon <= 0:
        raise EngineError(
            "normalisation par lot : epsilon est ajouté à la variance, qui peut être nulle",
            expected="un nombre positif",
            received=repr(epsilon),
        )
    return inputs, found


def _spread(parameter, inputs, axes):
    """Donne à un paramètre autant d’axes que l’entrée, de longueur 1 là où l’on moyenne."""
    parameter = as_tensor_variable(parameter)
    if parameter.ndim == inputs.ndim:
        return parameter
    kept = [axis for axis in range(inputs.ndim) if axis not in axes]
    if parameter.ndim != len(kept):
        raise ShapeError(
            "normalisation par lot : un paramètre n'a pas autant d'axes qu'il faut",
            expected=f"{len(kept)} axe(s) (ceux de {inputs.short()} sans {axes}), ou {inputs.ndim}",
            received=f"{parameter} : {parameter.short()}",
        )
    return parameter.dimshuffle(*(kept.index(a) if a in kept else "x" for a in range(inputs.ndim)))
