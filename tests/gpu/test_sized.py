"""Ce qu’un vrai GPU reçoit, au simulateur : des blocs de 256 fils, des tuiles de 16.

Le simulateur ordinaire a de petits blocs : il est rapide, mais un GPU reçoit d’autres textes et
d’autres partages. Ce sont ceux-là qu’on essaie ici, contre NumPy en float64, autour de chaque
longueur où un bloc est plein, les fils dans les deux sens.
"""

import itertools
import math

import numpy as np
import pytest

from engine.gpu.compiling.likelihood import LogLikelihood
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.simulator import Simulator
from engine.ops.conv import Convolution, ConvolutionGradFilters, ConvolutionGradInputs
from engine.ops.linear_algebra import BatchedDot
from engine.ops.nnet import LogSoftmax, LogSoftmaxGrad, LogSumExp, Softmax, SoftmaxGrad
from engine.ops.pool import MaxPoolGrad, Pool, PoolGrad
from engine.ops.products import Dot
from engine.ops.reduce import REDUCTIONS, ArgReduce, Reduce
from engine.ops.traversals import Cumulate
from tests.device.requests import Sized, using
from tests.device.verify import TOLERANCE, check

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        not isinstance(machine(), Simulator), reason="un GPU est là : tests.device l’essaie"
    ),
]


@pytest.fixture
def sized():
    """Le temps d’un test, les noyaux tournent sur un `Sized`."""
    with using(Sized()) as real:
        yield real


def normal(*shape, seed=0):
    return 3 * np.random.default_rng(seed).normal(size=shape)


# ---- les cas : (op, entrées) ---------------------------------------------------------------------


def rows():
    """Softmax, pertes et gradients : un bloc par ligne."""
    for n in (1, 2, 33, 255, 256, 257, 516, 1028):
        z, g, weights = normal(3, n), normal(3, n, seed=1), normal(3, seed=2)
        odds = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        labels = np.random.default_rng(3).integers(0, n, 3).astype("int32")
        yield from [(Softmax(-1), [z]), (LogSoftmax(-1), [z]), (LogSumExp((1,)), [z])]
        yield from [(op(-1), [g, odds]) for op in (SoftmaxGrad, LogSoftmaxGrad)]
        for target in (labels, odds[::-1].copy()):
            yield LogLikelihood(), [z, target]
            yield LogLikelihood(gradient=True), [z, target, weights]
    for shape in ((40, 10), (9, 31), (17, 64)):
        yield from (
            (op(axis), [normal(*shape)]) for op in (Softmax, LogSoftmax) for axis in (-2, -1)
        )


def reductions():
    """Par lignes, par colonnes, au milieu, de tout."""
    for shape in ((1, 33), (9, 31), (12, 257), (70, 64), (2, 30, 5)):
        x, flags = normal(*shape), np.random.default_rng(1).random(shape) < 0.99
        whole = np.random.default_rng(2).integers(-99, 99, shape)
        for axes in _subsets(shape):
            for name in REDUCTIONS:
                yield Reduce(REDUCTIONS[name], axes), [np.exp(x / 100) if name == "prod" else x]
            yield from ((Reduce(REDUCTIONS["sum"], axes), [given]) for given in (whole, flags))
            yield Reduce(REDUCTIONS["all"], axes), [flags]
        for axis in (None, *range(len(shape))):
            yield from ((ArgReduce(which, axis), [x]) for which in ("max", "min"))


def long_reductions():
    """Par plusieurs blocs."""
    for shape in ((17000,), (1100, 3), (3, 5000)):
        x = normal(*shape)
        yield from ((Reduce(REDUCTIONS["sum"], axes), [x]) for axes in _subsets(shape))
        yield ArgReduce("max", None), [x]


def _subsets(shape):
    positions = range(len(shape))
    return [axes for n in positions for axes in itertools.combinations(positions, n + 1)]


def scans():
    """Les cumuls, au-delà d’un bloc."""
    for shape, axis in (((3, 1000), 1), ((1, 257), 1), ((300, 3), 0), ((5, 33), 0), ((5, 33), 1)):
        x = normal(*shape)
        yield from [(Cumulate("sum", axis), [x]), (Cumulate("product", axis), [1 + x * 1e-3])]


def products():
    """Les bords d’une tuile, les quatre sens, des piles."""
    sizes = ((16, 16, 16), (17, 33, 18), (1, 70, 40), (40, 70, 1), (33, 1, 34), (20, 0, 20))
    for (m, k, n), left, right in itertools.product(sizes, *[(False, True)] * 2):
        yield Dot(), [_matrix(m, k, left), _matrix(k, n, right)]
    for left, right in itertools.product((False, True), repeat=2):
        yield BatchedDot(), [_matrix(33, 20, left, 3), _matrix(20, 36, right, 3)]


def _matrix(rows, columns, by_columns, *piles):
    shape = (*piles, columns, rows) if by_columns else (*piles, rows, columns)
    x = normal(*shape, seed=rows) / math.prod((max(rows, columns), 9)) ** 0.5
    return x.swapaxes(-1, -2) if by_columns else x


def images():
    """Les convolutions et leurs gradients, les poolings."""
    for op in (Convolution(), Convolution(1, subsample=(2, 1)), Convolution(filter_dilation=2)):
        x, w = normal(2, 3, 12, 13) / 4, normal(5, 3, 3, 3, seed=1) / 4
        g = normal(*op.output_shape(x.shape, w.shape), seed=2) / 4
        yield op, [x, w]
        yield op.like(ConvolutionGradInputs), [w, g, *map(np.array, x.shape[2:])]
        yield op.like(ConvolutionGradFilters), [x, g, *map(np.array, w.shape[2:])]
    for settings in ({}, {"stride": (2, 1), "pad": (1, 0)}, {"ignore_border": False}):
        for mode in ("max", "sum"):
            op, x = Pool((3, 2), mode=mode, **settings), normal(3, 4, 13, 14)
            g = normal(*op.output_shape(x.shape), seed=2)
            yield op, [x]
            yield (
                (op.like(MaxPoolGrad), [x, g])
                if mode == "max"
                else (op.like(PoolGrad), [g, *map(np.array, op.image(x.shape))])
            )


@pytest.mark.parametrize(("kind", "backward"), [("float32", False), ("float64", True)])
@pytest.mark.parametrize("part", [rows, reductions, long_reductions, scans, products, images])
def test_a_real_gpu_computes_right(part, kind, backward, sized):
    sized.backward = backward
    wrong = {}
    for op, given in part():
        values = [v.astype(kind) if v.dtype.kind == "f" else v for v in given]  # garde le sens
        error = check(op, values, kind, _place)
        if error is None or error > TOLERANCE[kind]:  # None : l’hôte a calculé
            wrong[f"{op} {[v.shape for v in values]}"] = error
    assert not wrong


def _place(value):
    """Le tableau, sur le périphérique, rangé comme il l’est ici : par lignes ou colonnes."""
    if value.flags.c_contiguous:
        return upload(value)
    axes = (*range(value.ndim - 2), value.ndim - 1, value.ndim - 2)
    return upload(np.ascontiguousarray(value.transpose(axes))).transpose(*axes)


SHIFTED = """def kernel(out, x):
    held = cuda.shared.array(256, np.float32)
    t = uint32(cuda.threadIdx.x)
    held[t] = x[t]
{barrier}    out[t] = held[uint32(t + {step}) % uint32(256)]
"""


@pytest.mark.parametrize(("step", "backward"), [(1, False), (255, True)])
def test_a_missing_barrier_is_seen(step, backward, sized):
    """Que le fil voisin soit d’avant ou d’après : c’est selon l’ordre."""
    sized.backward = backward
    x, out = upload(np.arange(256, dtype="float32")), empty((256,), "float32")
    for barrier in (True, False):
        body = SHIFTED.format(barrier="    cuda.syncthreads()\n" * barrier, step=step)
        make_kernel("décalé", "décale", body, ("float32[::1]",) * 2, 256).launch(1, out, x)
        assert np.array_equal(out.to_host(), np.roll(x.to_host(), -step)) == barrier
