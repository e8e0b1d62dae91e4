"""Ce qu’essaie `sized` : autour de chaque longueur où un noyau change de texte ou de partage.

Ordre de lecture : `Case`, `PARTS`, puis une partie à la fois.
"""

import contextlib
import itertools
import math
from typing import NamedTuple
from unittest import mock

import numpy as np

from engine.core.graph import Op
from engine.core.settings import config
from engine.gpu.compiling.likelihood import LogLikelihood
from engine.gpu.kernels import tiled
from engine.gpu.kernels.arrays import upload
from engine.ops.conv import Convolution
from engine.ops.linear_algebra import BatchedDot
from engine.ops.nnet import LogSoftmax, LogSoftmaxGrad, LogSumExp, Softmax, SoftmaxGrad
from engine.ops.pool import Pool
from engine.ops.products import Dot
from engine.ops.reduce import REDUCTIONS, ArgReduce, Reduce
from engine.ops.traversals import ArgSort, Cumulate, NonZero, SearchSorted, UniqueIndices
from tests.device import requests
from tests.gpu.test_convolutions import convolution_cases, layer_cases, pooling_cases

FLOATS = requests.FLOATS
KINDS = (*FLOATS, "float16")


class Case(NamedTuple):
    """Une op, ses entrées, et ce qui règle le choix du noyau.

    `rounded` : TF32 permis ; `busy` : les blocs qui occupent le GPU (voir `tiled.BUSY`).
    """

    op: Op
    values: list
    kind: str = "float32"
    rounded: bool = False
    busy: int = tiled.BUSY

    @contextlib.contextmanager
    def settings(self):
        with (
            mock.patch.object(tiled, "BUSY", self.busy),
            config.change_flags(allow_tf32=self.rounded),
        ):
            yield

    def place(self, value):
        """Le tableau, sur le périphérique, rangé comme il l’est ici : par lignes ou colonnes."""
        if value.flags.c_contiguous:
            return upload(value)
        axes = (*range(value.ndim - 2), value.ndim - 1, value.ndim - 2)
        return upload(np.ascontiguousarray(value.transpose(axes))).transpose(*axes)

    def __str__(self):
        shapes = " ".join(str(value.shape) for value in self.values)
        return f"{self.op} {self.kind} {shapes}{' tf32' * self.rounded}"


def typed(found, kinds=FLOATS, **settings):
    """Les mêmes (op, entrées) dans chaque type de flottants ; une fois s’il n’y en a pas."""
    for op, values in found:
        arrays = [np.asarray(v) for v in values]
        known = kinds if any(v.dtype.kind == "f" for v in arrays) else kinds[:1]
        for kind in known:
            cast = [v.astype(kind) if v.dtype.kind == "f" else v for v in arrays]
            yield Case(op, cast, kind, **settings)


def normal(*shape, seed=0):
    return 3 * np.random.default_rng(seed).normal(size=shape)


# ---- les lignes --------------------------------------------------------------------------------

BORDERS = (1, 2, 31, 33, 128, 129, 132, 256, 260, 512, 516, 1028, 2052, 4100, 5000)


def rows(lengths=BORDERS, kinds=FLOATS):
    """Softmax, pertes et gradients : un warp ou le bloc par ligne, tenue ou relue."""
    for n in lengths:
        z, g, weights = normal(3, n), normal(3, n, seed=1), normal(3, seed=2)
        odds = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        labels = np.random.default_rng(3).integers(0, n, 3).astype("int32")
        found = [(Softmax(-1), [z]), (LogSoftmax(-1), [z]), (LogSumExp((1,)), [z])]
        found += [(op(-1), [g, odds]) for op in (SoftmaxGrad, LogSoftmaxGrad)]
        for target in (labels, odds[::-1].copy()):
            found += [(LogLikelihood(), [z, target])]
            found += [(LogLikelihood(gradient=True), [z, target, weights])]
        yield from typed(found, kinds)


def short_rows():
    """Les mêmes en demi-précision, et plusieurs rangées par bloc."""
    yield from rows((4, 33, 260, 516), ("float16",))
    for shape in ((40, 10), (9, 31), (17, 64)):
        yield from typed([(op(axis), [normal(*shape)]) for op in (Softmax, LogSoftmax)
                          for axis in (-1, -2)])  # fmt: skip


# ---- les réductions ------------------------------------------------------------------------------

SMALL = ((1, 33), (9, 31), (12, 257), (70, 64), (2, 30, 5), (2, 3, 1000))
LARGE = ((8, 4096), (70000,), (3, 100000), (30000, 3))


def reductions(small=SMALL, large=LARGE):
    """Par lignes, par colonnes, au milieu, de tout ; en une ou deux passes."""
    for shape in (*small, *large):
        x, names = normal(*shape), ("sum", "max") if shape in large else REDUCTIONS
        flags = np.random.default_rng(1).random(shape) < 0.99
        whole = np.random.default_rng(2).integers(-99, 99, shape)
        for axes in _subsets(shape, 1000 if shape in large else 1):
            found = [(name, np.exp(x * 0.01) if name == "prod" else x) for name in names]
            found += [("sum", whole), ("all", flags), ("sum", flags)]
            yield from typed((Reduce(REDUCTIONS[name], axes), [value]) for name, value in found)
        for axis in (None, *range(len(shape))) if shape in small else (None,):
            yield from typed(
                (ArgReduce(which, axis), [x]) for which in ("max", "min")[: len(names) // 2]
            )
        if shape in small:
            yield from typed([(Reduce(REDUCTIONS["sum"], (len(shape) - 1,)), [x])], ["float16"])


def _subsets(shape, least):
    """Les axes à réduire : au moins `least` éléments par résultat."""
    ranks = range(len(shape))
    found = [axes for size in ranks for axes in itertools.combinations(ranks, size + 1)]
    return [axes for axes in found if math.prod(shape[axis] for axis in axes) >= least]


# ---- les parcours --------------------------------------------------------------------------------


SCANNED = (((3, 1000), 1), ((1, 257), 1), ((700, 3), 0), ((5, 33), 0), ((5, 33), 1), ((2, 2049), 1))


def scans():
    """Cumuls, tris et recherches, au-delà d’un bloc."""
    for shape, axis in SCANNED:
        x = normal(*shape)
        found = [(Cumulate("sum", axis), [x]), (Cumulate("product", axis), [1 + x * 1e-3])]
        found += [(ArgSort(axis), [x]), (ArgSort(axis), [np.round(x)])]
        yield from typed(found)
        sparse = np.where(np.random.default_rng(1).random(shape) < 0.3, x, 0)
        yield from typed([(NonZero(), [sparse])])
    for n in (1, 33, 256, 257, 600):
        x, sought = np.sort(np.round(normal(n))), np.round(normal(70, seed=1))
        found = [(SearchSorted(side), [x, sought]) for side in ("left", "right")]
        found += [(UniqueIndices(), [np.round(normal(n))])]
        yield from typed(found)


# ---- les produits --------------------------------------------------------------------------------

BIG = ((130, 20, 132), (256, 24, 128), (100, 40, 97), (127, 7, 129))  # m, k, n, si BUSY vaut 2
OTHERS = (
    *[(64, 16, 64), (65, 17, 66), (68, 100, 60), (33, 1, 34), (20, 0, 20)],
    *[(64, 33, 16), (70, 40, 10), (200, 70, 1), (65, 64, 4)],
    *[(16, 33, 64), (10, 40, 70), (1, 70, 200), (4, 64, 65), (1, 500, 1)],
)


def products(big=BIG, others=OTHERS):
    """Chaque tuile, ses bords, les quatre sens, des tranches de k, des piles."""
    for sizes, busy in ((big, 2), (others, tiled.BUSY)):
        for (m, k, n), left, right in itertools.product(sizes, *[(False, True)] * 2):
            a, b = _matrix(m, k, left), _matrix(k, n, right)
            for kind, rounded in (*((kind, False) for kind in KINDS), ("float32", True)):
                given = [v.astype(kind) for v in (a, b)]  # qui garde le sens
                yield Case(Dot(), given, kind, rounded, busy)
    for left, right in itertools.product((False, True), repeat=2):
        a, b = _matrix(33, 20, left, 3), _matrix(20, 36, right, 3)
        for kind in KINDS:
            yield Case(BatchedDot(), [v.astype(kind) for v in (a, b)], kind)


def _matrix(rows, columns, by_columns, *piles):
    shape = (*piles, columns, rows) if by_columns else (*piles, rows, columns)
    x = normal(*shape, seed=rows) / 3 / max(rows, columns) ** 0.5
    return x.swapaxes(-1, -2) if by_columns else x


# ---- les convolutions ----------------------------------------------------------------------------

LENET = (((3, 1, 28, 28), (20, 1, 5, 5)), ((2, 20, 12, 12), (50, 20, 5, 5)))
WIDTHS = (28, 32, 13, 12, 11)


def convolutions(lenet=LENET, widths=WIDTHS, borders=("valid", 1)):
    """Les convolutions, leurs gradients, les poolings, et la couche d’un seul tenant."""
    pool = Pool((2, 2))
    for x_shape, w_shape in lenet:
        found = convolution_cases(Convolution(), x_shape, w_shape)
        found = [
            (op, [v / 4 if v.dtype.kind == "f" else v for v in values]) for op, values in found
        ]
        found += layer_cases(Convolution(), pool, x_shape, w_shape, "tanh")
        places = Convolution().output_shape(x_shape, w_shape)
        for mode in ("max", "average_inc_pad"):
            found += pooling_cases(Pool((2, 2), mode=mode), places)
        yield from typed(found, KINDS)
    for width, border in itertools.product(widths, borders):
        shapes = (2, 3, width, width), (5, 3, 3, 3)
        yield from typed(convolution_cases(Convolution(border), *shapes), KINDS)
        if not (width - 2) % 2 and border == "valid":
            yield from typed(layer_cases(Convolution(), pool, *shapes, None))
    for settings in ({"stride": (2, 1), "pad": (1, 0)}, {"ignore_border": False}):
        for mode in ("max", "sum"):
            op = Pool((3, 2), mode=mode, **settings)
            yield from typed(pooling_cases(op, (3, 4, 13, 14)))
    for op in (Convolution(1, subsample=(2, 1)), Convolution(filter_dilation=(1, 2))):
        yield from typed(convolution_cases(op, (2, 3, 12, 13), (5, 3, 3, 3)))


# ---- chaque op -----------------------------------------------------------------------------------


def ops():
    """Les exemples de chaque op."""
    return (Case(*case) for case in requests.cases())


PARTS = {
    "rows": lambda: itertools.chain(rows(), short_rows()),
    "reductions": reductions,
    "scans": scans,
    "products": products,
    "convolutions": convolutions,
    "ops": ops,
}
