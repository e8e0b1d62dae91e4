"""Les opérations chronométrées : celles que bornent les copies, les produits, les transferts.

Une partie est une table : nom de la ligne -> fonction qui prépare le travail (`Case`). `small` en
donne une miniature, pour la répétition sur le faux pilote. Les programmes sont dans `programs`.

Ordre de lecture : `Case`, puis les parties.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import engine
import engine.tensor as T
from engine.core.settings import config
from engine.core.types import TensorType
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.registry import NAMES, device_function
from engine.ops.reduce import REDUCTIONS, Reduce
from tests.device.rivals import TF32, Rival, fetch, operation, round_trip

_PERIOD = 1 << 20  # les grands tableaux répètent autant de valeurs tirées


@dataclass
class Case:
    """Un travail prêt à courir.

    Champs
        run : un appel.
        way : comment le chronométrer (voir `clocks`).
        operations, bytes : opérations flottantes et octets lus et écrits, au moins.
        gap : l’écart relatif à la référence, après un seul appel de `run` ; None, rien à comparer.
        tolerance : le plus grand écart admis.
        rivals : nom -> `Rival`.
        tier : le niveau qui calcule.
    """

    run: Callable
    way: str = "noyaux"
    operations: float = 0
    bytes: float = 0
    gap: Callable | None = None
    tolerance: float = 1e-5
    rivals: dict = field(default_factory=dict)
    tier: str = ""


class NotHereError(Exception):
    """Ce travail n’a pas lieu d’être sur cette machine."""


def floats(*shape, seed=0):
    """Des valeurs normales ; au-delà d’un million, elles se répètent."""
    count = int(np.prod(shape))
    drawn = np.random.default_rng(seed).standard_normal(min(count, _PERIOD + 7), dtype="float32")
    return np.resize(drawn, shape)


def distance(found, expected):
    """‖found − expected‖ / ‖expected‖ ; un NaN reste un NaN."""
    expected = np.asarray(expected, "float64")
    return float(np.linalg.norm(found - expected) / (np.linalg.norm(expected) or 1))


def on_gpu(build):
    """Ce que rend `build()` quand tout se calcule sur le GPU."""
    with config.change_flags(device="cuda", floatX="float32"):
        return build()


# -- ce que borne la mémoire ---------------------------------------------------------------------


def _count(mebibytes, small):
    return 1024 if small else mebibytes << 18


def copy(mebibytes, small):
    """La copie de la mémoire du GPU vers elle-même : le plancher de ce qui suit."""
    n = _count(mebibytes, small)
    source, target = upload(floats(n)), empty((n,), "float32")
    return Case(
        lambda: machine().copy(target, source), bytes=8 * n,
        gap=lambda: distance(target.to_host(), floats(n)),
    )  # fmt: skip


def chain(mebibytes, small):
    """tanh(x y + 1/2) − y : deux lectures, une écriture, un seul noyau."""
    n = _count(mebibytes, small)
    values = [floats(n, seed=seed) for seed in range(2)]

    def formula(xp, x, y):
        return xp.tanh(x * y + 0.5) - y

    def build():
        x, y, out = (engine.shared(value) for value in (*values, values[0]))
        step = engine.function([], updates=[(out, T.tanh(x * y + np.float32(0.5)) - y)])
        return step, out

    step, out = on_gpu(build)
    return Case(
        step, "appels", bytes=12 * n,
        gap=lambda: distance(out.get_value(), formula(np, *(v.astype("f8") for v in values))),
        rivals={"PyTorch": Rival(operation(formula, *values))},
    )  # fmt: skip


def descent(mebibytes, small):
    """p ← p − 0,1 g : deux lectures, une écriture."""
    n, rate = _count(mebibytes, small), np.float32(0.1)
    p, g = floats(n), floats(n, seed=1)

    def build():
        place, gradient = engine.shared(p, "p"), engine.shared(g, "g")
        return engine.function([], updates=[(place, place - rate * gradient)]), place

    step, place = on_gpu(build)
    return Case(
        step, "appels", bytes=12 * n,
        gap=lambda: distance(place.get_value(), p.astype("f8") - 0.1 * g.astype("f8")),
        rivals={"PyTorch": Rival(operation(lambda torch, p, g: p.add_(g, alpha=-0.1), p, g))},
    )  # fmt: skip


def elementwise():
    """Les cartes fondues, à côté de la copie mesurée."""
    return {
        f"{name}, {size} Mio": functools.partial(make, size)
        for size in (64, 256)
        for name, make in (("copie", copy), ("chaîne fondue", chain), ("SGD", descent))
    }


# -- une op, sur des tableaux déjà là ------------------------------------------------------------


def prepared(op, tier, *arrays, tf32=False):
    """(l’appel répété de l’op, sa dernière sortie dans une case, le niveau qui calcule)."""
    values = [upload(array) for array in arrays]
    node = op.make_node(*[TensorType(a.dtype, (False,) * a.ndim)() for a in arrays])
    with config.change_flags(gpu_tier=tier, allow_tf32=tf32):
        call = device_function(node)
    found = getattr(call, "tier", None)
    if tier != "auto" and (found is None or found.name != NAMES[tier]):
        raise NotHereError(f"pas de niveau {NAMES[tier]} : {found}")
    last = [None]

    def run():
        last[0] = None  # la zone resert au même endroit
        last[0] = call(*values)

    return run, last, "" if found is None else str(found)


def product(sizes, tier, tf32, small):
    """Le produit de deux matrices."""
    m, k, n = (min(size, 9) for size in sizes) if small else sizes
    a, b = floats(m, k), floats(k, n, seed=1)
    run, last, found = prepared(T.dot(T.fmatrix(), T.fmatrix()).owner.op, tier, a, b, tf32=tf32)
    some = slice(None, None, max(m // 64, 1))
    multiply = operation(lambda torch, a, b: torch.mm(a, b), a, b)
    return Case(
        run, operations=2 * m * k * n, bytes=4 * (m * k + k * n + m * n), tier=found,
        gap=lambda: distance(last[0].to_host()[some], a[some].astype("f8") @ b),
        tolerance=1e-3 if tf32 else 2e-5,
        rivals={"PyTorch TF32": Rival(multiply, TF32)} if tf32 else {"PyTorch": Rival(multiply)},
    )  # fmt: skip


SIZES = {"512": (512,) * 3, "1024": (1024,) * 3, "4096": (4096,) * 3, "500×784×10": (500, 784, 10)}


def products():
    """Chaque niveau du produit, aux tailles qui comptent ; TF32 où il y a des cœurs tensoriels."""
    return {
        f"produit {name}, {NAMES[tier]}{', TF32' * tf32}": functools.partial(
            product, sizes, tier, tf32
        )
        for name, sizes in SIZES.items()
        for tier, tf32 in (("library", False), ("library", True), ("readable", False))
    }


def rows_of(op, other, reference, small, shape=(4096, 4096)):
    """Une op d’une matrice, que borne sa lecture."""
    rows, columns = (7, 9) if small else shape
    x = np.abs(floats(rows, columns))  # une somme de signes mêlés n’a pas de chiffres justes
    run, last, found = prepared(op, "auto", x)
    expected = reference(x.astype("float64"))
    return Case(
        run, bytes=4 * (x.size + expected.size), tier=found,
        gap=lambda: distance(last[0].to_host(), expected),
        rivals={"PyTorch": Rival(operation(other, x))},
    )  # fmt: skip


def _softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def reductions():
    """Sommes et softmax."""
    total = REDUCTIONS["sum"]
    softmax = T.nnet.softmax(T.fmatrix()).owner.op
    by_softmax = (softmax, lambda torch, x: torch.softmax(x, 1), _softmax)
    return {
        "somme des lignes": functools.partial(
            rows_of, Reduce(total, (1,)), lambda torch, x: x.sum(1), lambda x: x.sum(1)
        ),
        "somme des colonnes": functools.partial(
            rows_of, Reduce(total, (0,)), lambda torch, x: x.sum(0), lambda x: x.sum(0)
        ),
        "somme de tout": functools.partial(
            rows_of, Reduce(total, (0, 1)), lambda torch, x: x.sum(), lambda x: x.sum()
        ),
        "softmax, 4096 × 4096": functools.partial(rows_of, *by_softmax),
        "softmax, 65536 × 10": functools.partial(rows_of, *by_softmax, shape=(65536, 10)),
    }


# -- ce que coûte l’hôte -------------------------------------------------------------------------


def sent_call(small):
    """Ce que coûte à Python un appel qui ne lit ni ne rend rien."""

    def build():
        s = engine.shared(np.zeros(4, "float32"), "s")
        return engine.function([], updates=[(s, s + 1)])

    return Case(
        on_gpu(build), "envoi",
        rivals={"PyTorch": Rival(operation(lambda torch, s: s.add_(1), np.zeros(4, "float32")))},
    )  # fmt: skip


def answered_call(small):
    """Un petit tableau part, son double revient."""
    x = T.fvector("x")
    double, values = on_gpu(lambda: engine.function([x], x + x)), floats(4)
    last = [None]

    def run():
        last[0] = double(values)

    return Case(
        run, "hôte", gap=lambda: distance(last[0], 2 * values),
        rivals={"PyTorch": Rival(round_trip(lambda torch, x: x + x, values))},
    )  # fmt: skip


def sending(small):
    """Porter 64 Mio sur le GPU."""
    values = floats(_count(64, small))
    return Case(
        lambda: upload(values), "hôte", bytes=values.nbytes,
        rivals={"PyTorch": Rival(lambda torch: lambda: torch.from_numpy(values).cuda())},
    )  # fmt: skip


def fetching(small):
    """En rapporter autant."""
    values = floats(_count(64, small))
    array, last = upload(values), [None]

    def run():
        last[0] = array.to_host()

    return Case(
        run, "hôte", bytes=values.nbytes, gap=lambda: distance(last[0], values),
        rivals={"PyTorch": Rival(fetch(values))},
    )  # fmt: skip


def host():
    """Les appels et les transferts."""
    return {
        "appel compilé, l’envoi": sent_call,
        "appel compilé, aller et retour": answered_call,
        "porter 64 Mio": sending,
        "rapporter 64 Mio": fetching,
    }
