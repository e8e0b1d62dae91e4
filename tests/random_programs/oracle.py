"""Le même programme en NumPy, et ce qu’il est permis d’en attendre.

Trois lectures d’un programme :

- `Own` : chaque nœud dans son dtype, comme NumPy le ferait ;
- `Wide` : les flottants en précision étendue (80 bits), sans les débordements de float32 ;
- `Perturbed` : large, mais chaque nœud qui arrondit bouge ses entrées et sa sortie d’une unité
  d’arrondi, au hasard. L’écart entre quelques lectures dit combien de chiffres sont sûrs : c’est
  l’arithmétique de Monte-Carlo (D. Stott Parker, 1997). Une réécriture juste tient dans cet écart.

Les fonctions du milieu sont des références naïves, pour ce que NumPy n’a pas.

Ordre de lecture : les références, `Own`, `Wide`, `Perturbed`, `evaluate`, `compare`, `differences`.
"""

from functools import lru_cache

import numpy as np
import scipy.linalg
import scipy.special

SAMPLES = 3  # lectures perturbées
MARGIN = 24  # combien de fois leur écart est permis
FLOATS = ("float32", "float64")

# ---- références naïves -------------------------------------------------------------------


def narrow(function, *arrays, **options):
    """Une fonction qui ne connaît pas la précision étendue."""
    arrays = [a.astype("float64") if a.dtype == np.longdouble else a for a in arrays]
    return function(*arrays, **options)


def special(name, *arrays):
    """Une fonction de `scipy.special`."""
    return narrow(getattr(scipy.special, name), *arrays)


def erf(x):
    """La fonction d’erreur, par sa série, qui n’a que des termes d’un signe."""
    if x.dtype != np.longdouble:
        return special("erf", x)
    inside = np.where(np.abs(x) < 6, x, 0)
    term = total = inside
    for n in range(1, 160):
        term = term * 2 * inside * inside / (2 * n + 1)
        total = total + term
    total = total * np.exp(-inside * inside) * 2 / np.sqrt(4 * np.arctan(np.longdouble(1)))
    return np.where(np.abs(x) < 6, total, np.sign(x))


def erfc(x):
    """1 - erf(x)."""
    return np.where(x < 1, 1 - erf(x), special("erfc", x))


def gammaln(x):
    """log |Γ| ; près de 0, -log |x| (SciPy y rend l’infini un peu tôt)."""
    return np.where(np.abs(x) < 1e-30, -np.log(np.abs(x)), special("gammaln", x))


def linalg(name, *arrays, **options):
    """Une fonction de `numpy.linalg`, ou à défaut de `scipy.linalg`."""
    module = np.linalg if hasattr(np.linalg, name) else scipy.linalg
    return narrow(getattr(module, name), *arrays, **options)


def sigmoid(x):
    """1 / (1 + exp(-x)), sans débordement."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def softplus(x):
    """log(1 + exp(x)), sans débordement."""
    return np.logaddexp(x, x.dtype.type(0))


def round_away(x):
    """L’entier le plus proche ; entre deux, le plus loin de zéro."""
    return np.where(np.abs(x - np.trunc(x)) >= 0.5, np.trunc(x) + np.sign(x), np.trunc(x))


def softmax(x, axis):
    """exp(x) / Σ exp(x) ; un vecteur devient une ligne."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.atleast_2d(e / e.sum(axis=axis, keepdims=True))


def logsoftmax(x, axis):
    """x - log Σ exp(x) ; un vecteur devient une ligne."""
    x = x - x.max(axis=axis, keepdims=True)
    return np.atleast_2d(x - np.log(np.exp(x).sum(axis=axis, keepdims=True)))


def ultra_fast_sigmoid(x):
    """Les segments de Theano."""
    half = np.abs(x) / 2
    below = 1.5 * half / (1 + half)
    middle = 0.935409070603099 + 0.0458812946797165 * (half - 1.7)
    size = np.where(half < 1.7, below, np.where(half < 3, middle, 0.99505475368673))
    return 0.5 * (np.where(x >= 0, size, -size) + 1)


def elu(x, alpha=1):
    """x, ou alpha (exp(x) - 1) s’il est négatif."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def written(x, index, value):
    """x, avec `value` à cet endroit."""
    x = x.copy()
    x[index] = value
    return x


def added(x, index, value):
    """x, avec `value` ajoutée à cet endroit ; les indices répétés s’accumulent."""
    x = x.copy()
    np.add.at(x, index, value)
    return x


def batched(function, x, y):
    """La fonction, exemple par exemple."""
    if len(x) != len(y):
        raise ValueError("autant d’exemples de chaque côté")
    if len(x) == 0:
        one = function(np.zeros(x.shape[1:], x.dtype), np.zeros(y.shape[1:], y.dtype))
        return np.zeros((0, *one.shape), x.dtype)
    return np.stack([function(a, b) for a, b in zip(x, y, strict=True)])


def largest_first(x, k, axis):
    """Les k plus grands éléments (k négatif, les plus petits) et leurs positions."""
    order = np.argsort(x, axis=axis, kind="stable")
    order = np.flip(order, axis) if k > 0 else order
    places = np.take(order, range(min(abs(k), x.shape[axis])), axis=axis)
    return np.take_along_axis(x, places, axis), places


def pieces(x, lengths, axis):
    """x, coupé en morceaux de ces longueurs."""
    if sum(lengths) != x.shape[axis]:
        raise ValueError("la somme des longueurs est celle de l’axe")
    return np.split(x, np.cumsum(lengths)[:-1], axis=axis)


def convolve(x, w, pads, steps, dilations, flip):
    """La corrélation, ou la convolution, d’images à deux ou trois axes ; bord ajouté de zéros."""
    axes = tuple(range(2, x.ndim))
    reaches = [(w.shape[a] - 1) * dilations[a - 2] + 1 for a in axes]
    pads = {"valid": [0] * len(axes), "full": [r - 1 for r in reaches],
            "half": [r // 2 for r in reaches]}.get(pads, pads)  # fmt: skip
    if x.shape[1] != w.shape[1]:
        raise ValueError("autant de canaux de chaque côté")
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in pads)])
    w = np.flip(w, axes) if flip else w
    windows = np.lib.stride_tricks.sliding_window_view(x, reaches, axes)
    n = len(axes)
    windows = windows[(slice(None), slice(None), *(slice(None, None, s) for s in steps))]
    windows = windows[(..., *(slice(None, None, d) for d in dilations))]
    return np.tensordot(windows, w, [[1, *range(2 + n, 2 + 2 * n)], [1, *axes]]).transpose(
        0, n + 1, *range(1, n + 1)
    )


def pool(x, ws, steps, pads, ignore_border, mode):
    """Chaque fenêtre des derniers axes, résumée."""
    n = len(ws)
    steps = ws if steps is None else steps
    lengths = x.shape[x.ndim - n :]
    if 0 in lengths:
        raise ValueError("image vide")
    counts = []
    for length, w, s, p in zip(lengths, ws, steps, pads, strict=True):
        if ignore_border:
            counts.append(max((length + 2 * p - w) // s + 1, 0))
        else:
            counts.append(max(0, -(-(length - max(w, s)) // s)) + 1)
    out = np.zeros((*x.shape[: x.ndim - n], *counts), x.dtype)
    for place in np.ndindex(*counts):
        starts = [i * s - p for i, s, p in zip(place, steps, pads, strict=True)]
        inside = [
            slice(max(a, 0), max(min(a + w, length), 0))
            for a, w, length in zip(starts, ws, lengths, strict=True)
        ]
        window = x[(..., *inside)]
        last = tuple(range(-n, 0))
        if mode == "max":
            out[(..., *place)] = window.max(axis=last)
            continue
        full = [
            min(a + w, length + p) - a
            for a, w, length, p in zip(starts, ws, lengths, pads, strict=True)
        ]
        shared_by = {"sum": 1, "average_inc_pad": np.prod(full),
                     "average_exc_pad": np.prod(window.shape[window.ndim - n :])}[mode]  # fmt: skip
        out[(..., *place)] = window.sum(axis=last) / shared_by
    return out


def rfft(x, norm):
    """Tous les axes sauf le premier, transformés ; parties réelle et imaginaire sur un axe."""
    spectrum = np.fft.rfftn(x, axes=range(1, x.ndim), norm="ortho" if norm == "ortho" else None)
    return np.stack([spectrum.real, spectrum.imag], axis=-1)


def irfft(x, norm, is_odd):
    """L’inverse de `rfft`."""
    n = 2 * (x.shape[-2] - 1) + is_odd
    lengths = (*x.shape[1:-2], n)
    norm = {None: None, "ortho": "ortho", "no_norm": "forward"}[norm]
    return np.fft.irfftn(x[..., 0] + 1j * x[..., 1], lengths, range(1, x.ndim - 1), norm)


def batch_statistics(x, axes, epsilon):
    """La moyenne et 1 / écart type du lot."""
    mean = x.mean(axis=axes, keepdims=True)
    return mean, 1 / np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + epsilon)


# ---- trois lectures ----------------------------------------------------------------------


class Own:
    """Chaque nœud dans son dtype."""

    def wide(self, dtype):
        """Le dtype où l’on range ce qui est annoncé `dtype`."""
        return dtype

    def enter(self, item, value):
        """La valeur d’une entrée."""
        return value

    def around(self, place, node, value):
        """La valeur, telle que ce nœud la lit ou la rend."""
        return value


class Wide(Own):
    """Les flottants en précision étendue."""

    def wide(self, dtype):
        return np.longdouble if dtype in FLOATS else dtype

    def enter(self, item, value):
        return value.astype(self.wide(item.dtype))


class Perturbed(Wide):
    """Large, chaque arrondi tiré au sort. `sample` : le rang du tirage ; il fige les arrondis."""

    def __init__(self, sample):
        self.sample = sample

    def around(self, place, node, value):
        if not node.rounds or value.dtype != np.longdouble or node.dtype not in FLOATS:
            return value
        floats = [dtype for dtype in (node.dtype, node.compute) if dtype in FLOATS]
        limits = np.finfo("float32" if "float32" in floats else "float64")
        signs = _signs(self.sample, place, value.shape)
        tiny = (value != 0) & (np.abs(value) < limits.tiny)
        size = np.abs(value) + 16 * node.passes_by_1
        moved = value + np.longdouble(limits.eps) * signs * size
        return np.where(tiny, np.where(signs > 0, 0, 2 * value), moved) if tiny.any() else moved


@lru_cache(4096)
def _signs(sample, place, shape):
    return np.random.default_rng([sample, place]).choice([-1.0, 1.0], shape)


@lru_cache(4096)
def _code(text, count):
    return compile(text.format(*(f"a{k}" for k in range(count))), text, "eval")


def apply(node, place, args, reading):
    """La valeur d’un nœud, ses arguments donnés."""
    if node.compute is not None:
        args = [arg.astype(reading.wide(node.compute), copy=False) for arg in args]
    args = [reading.around(place, node, arg) for arg in args]
    names = {f"a{k}": arg for k, arg in enumerate(args)}
    with np.errstate(all="ignore"):
        result = np.asarray(eval(_code(node.numpy, len(args)), globals(), names))
        result = result.astype(reading.wide(node.dtype), copy=False)
        return reading.around(place, node, result)


def evaluate(program, call, reading, changed=None):
    """Les valeurs de tous les éléments utiles : {rang: tableau}.

    Paramètres
        changed : {rang: tableau}, à la place de certaines entrées.
    """
    values = {}
    for place in program.used():
        item = program.items[place]
        if hasattr(item, "values"):
            given = (changed or {}).get(place)
            values[place] = reading.enter(item, item.values[call]) if given is None else given
        else:
            values[place] = apply(item, place, [values[arg] for arg in item.args], reading)
    return values


READINGS = (Own(), Wide(), *map(Perturbed, range(SAMPLES)))

# ---- comparer ----------------------------------------------------------------------------


def compare(found, own, wide, perturbed, dtype):
    """Où `found` est faux, et où l’on ne peut rien dire : deux tableaux de booléens.

    Est juste ce qui est égal à la lecture arrondie, ou proche de la lecture large à l’écart des
    lectures perturbées près. On ne peut rien dire où un choix (entier, booléen, signe d’un infini)
    dépend d’un arrondi, ni où un intermédiaire de la lecture arrondie déborde.
    """
    with np.errstate(all="ignore"):
        if dtype not in FLOATS:
            unsure = np.any([sample != wide for sample in (own, *perturbed)], axis=0)
            return (found != own) & ~unsure, unsure
        same = (found == own) | ((found != found) & (own != own))
        same |= (found == wide) | ((found != found) & (wide != wide))
        finite = np.isfinite(wide)
        stays = np.all([np.isfinite(sample) == finite for sample in perturbed], axis=0)
        stays &= np.all(
            [finite | (sample == wide) | (wide != wide) for sample in perturbed], axis=0
        )
        narrow_wide = wide.astype(dtype)
        overflows = np.isfinite(own) != np.isfinite(wide)
        overflows &= ~((own == narrow_wide) & np.isinf(own))
        unsure = ~stays | overflows
        gap = np.max([np.abs(sample - wide) for sample in (own, *perturbed)], axis=0)
        limits = np.finfo(dtype)
        allowed = MARGIN * np.where(np.isfinite(gap), gap, 0)
        allowed = allowed + 8 * limits.eps * np.abs(wide) + 4 * limits.tiny
        near = np.isfinite(found) & finite & (np.abs(found - wide) <= allowed)
        wrong = ~(same | near) & ~unsure
        vague = finite & (allowed > 0.1 * np.abs(wide) + 1e-3)
        return wrong, unsure | (vague & ~same)


# ---- dériver -----------------------------------------------------------------------------

STEP = np.longdouble(1e-5)


class Difference:
    """La dérivée d’un coût le long d’un élément d’une entrée, par différences finies.

    `value` : la dérivée ; `doubt` : de combien elle peut être fausse ; infini où la fonction n’est
    pas lisse (un coude, un saut).
    """

    def __init__(self, cost, x):
        h = STEP * max(1, abs(x))
        with np.errstate(all="ignore"):
            low2, low, middle, high, high2 = (cost(x + k * h) for k in (-2, -1, 0, 1, 2))
            self.value = (8 * (high - low) - (high2 - low2)) / (12 * h)
            plain = (high - low) / (2 * h)
            slopes = [(low - low2) / h, (middle - low) / h, (high - middle) / h, (high2 - high) / h]
            size = max(abs(slope) for slope in slopes)
            turns = np.diff(slopes)  # presque égaux où la fonction est lisse
            corner = abs(turns[1] - (turns[0] + turns[2]) / 2)
            noise = 1e-15 * (abs(middle) + abs(high)) / h
            self.doubt = abs(self.value - plain) + corner + noise
            if not np.isfinite(self.value) or corner > 1e-3 * size + 100 * noise:
                self.doubt = np.inf
