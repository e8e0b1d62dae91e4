"""Les noyaux qui se lisent, contre NumPy : simulateur (ou GPU), et traces dans tous les ordres."""

import subprocess
import sys

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine.core.errors import ShapeError
from engine.gpu.kernels import device
from engine.gpu.kernels.device import launch, place
from engine.gpu.kernels.geometry import geometry
from engine.gpu.kernels.readable import (
    chains,
    convolutions,
    maps,
    pooling,
    products,
    reductions,
    softmaxes,
    updates,
)
from engine.gpu.kernels.simulator import trace
from engine.gpu.kernels.traces import WRITE


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def pooled(x, size):
    planes, h, w = x.shape[0], x.shape[1] // size, x.shape[2] // size
    cut = x[:, : h * size, : w * size].reshape(planes, h, size, w, size)
    return cut.max(axis=(2, 4))


def convolved(images, filters):
    x, w = T.ftensor4(), T.ftensor4()
    return engine.function([x, w], T.nnet.conv2d(x, w), mode="FAST_COMPILE")(images, filters)


def partial_sums(x, blocks):
    threads = reductions.THREADS
    padded = np.zeros(-(-x.size // (blocks * threads)) * blocks * threads, "float32")
    padded[: x.size] = x
    return padded.reshape(-1, blocks, threads).sum(axis=(0, 2))


def product_cases():
    for kernel in (products.naive_product, products.tiled_product):
        for m, k, n in [(1, 1, 1), (2, 2, 2), (3, 5, 4), (4, 1, 3), (1, 4, 5)]:
            a, b = floats(m, k), floats(k, n, seed=1)
            yield f"{kernel.__name__} {m}x{k}x{n}", kernel, (m, n), (2, 2), [a, b], a @ b


def cases():
    for n in (1, 4, 7):
        x, y = floats(n), floats(n, seed=1)
        yield f"relu {n}", maps.relu, n, 4, [x], np.maximum(x, 0)
        two = np.float32(2.5)
        yield f"axpy {n}", maps.axpy, n, 4, [two, x, y], two * x + y
    x, b, scale = floats(3, 5), floats(5, seed=1), np.float32(3)
    yield "chaîne", chains.scaled_sigmoid, (3, 5), (2, 4), [x, scale, b], scale * sigmoid(x + b)
    for n in (1, 7, 16, 37):
        x = floats(n)
        for blocks in (1, 2):
            threads = blocks * reductions.THREADS
            yield (
                f"somme {n}, {blocks} bloc(s)", reductions.block_sums, threads,
                reductions.THREADS, [x], partial_sums(x, blocks),
            )  # fmt: skip
    for shape in ((1, 1), (3, 5), (2, 19)):
        x = 5 * floats(*shape)
        threads = softmaxes.THREADS
        yield (
            f"softmax {shape}",
            softmaxes.softmax_rows,
            shape[0] * threads,
            threads,
            [x],
            softmax(x),
        )
    yield from product_cases()
    for images, filters in [((2, 1, 4, 5), (3, 1, 2, 3)), ((1, 3, 3, 3), (2, 3, 3, 3))]:
        x, w = floats(*images), floats(*filters, seed=1)
        out = convolved(x, w)
        n, o, h, wide = out.shape
        yield (
            f"convolution {images}",
            convolutions.convolve,
            (n * o, h, wide),
            (2, 2, 2),
            [x, w],
            out,
        )
    for shape, size in [((2, 4, 6), 2), ((1, 5, 7), 3), ((3, 3, 3), 1)]:
        x = floats(*shape)
        out = pooled(x, size)
        yield f"maximum {shape}", pooling.max_pool, out.shape, (1, 2, 2), [x, size], out


CASES = list(cases())
IDS = [case[0] for case in CASES]


def poisoned(expected):
    return np.full(expected.shape, np.nan, "float32")


@pytest.mark.parametrize(
    ("kernel", "shape", "block", "inputs", "expected"), [c[1:] for c in CASES], ids=IDS
)
def test_same_as_numpy(kernel, shape, block, inputs, expected):
    before = [np.copy(value) for value in inputs]
    out = poisoned(expected)
    launch(kernel, shape, block, out, *inputs)
    np.testing.assert_allclose(out, expected, 1e-5, 1e-6)
    assert all(np.array_equal(a, b) for a, b in zip(before, inputs, strict=True))


@pytest.mark.parametrize("order", [{}, {"backward": True}, {"lockstep": True}], ids=str)
@pytest.mark.parametrize(
    ("kernel", "shape", "block", "inputs", "expected"), [c[1:] for c in CASES], ids=IDS
)
def test_traced_in_any_order_without_a_race(kernel, shape, block, inputs, expected, order):
    out = poisoned(expected)
    seen = trace(kernel, *geometry(shape, block), out, *inputs, **order)
    np.testing.assert_allclose(out, expected, 1e-5, 1e-6)
    assert seen.races() == []
    assert (seen.counts(WRITE, next(iter(seen.shapes))) == 1).all()  # la sortie, une seule fois


@pytest.mark.parametrize("n", [1, 5, 8])
def test_sgd_in_place(n):
    parameter, gradient = floats(n), floats(n, seed=1)
    expected = parameter - np.float32(0.1) * gradient
    launch(updates.sgd, n, 4, parameter, gradient, np.float32(0.1))
    np.testing.assert_allclose(parameter, expected, 1e-6)


def test_two_launches_sum_everything():
    x, partial, total = floats(100), np.full(2, np.nan, "float32"), np.full(1, np.nan, "float32")
    launch(reductions.block_sums, 2 * reductions.THREADS, reductions.THREADS, partial, x)
    launch(reductions.block_sums, reductions.THREADS, reductions.THREADS, total, partial)
    assert total[0] == pytest.approx(x.sum(), rel=1e-5)


def test_tiles_spare_reads_by_their_side():
    a, b, c = floats(4, 4), floats(4, 4), np.zeros((4, 4), "float32")
    naive = trace(products.naive_product, (2, 2), (2, 2), c, a, b)
    tiled = trace(products.tiled_product, (2, 2), (2, 2), c, a, b)
    assert naive.reads("a").tolist() == [[4] * 4] * 4
    assert (naive.reads("b") == products.TILE * tiled.reads("b")).all()


@pytest.mark.parametrize("side", [1, 3, 4])
def test_tiles_of_another_side(side):
    kernel = device.specialised(products.tiled_product, TILE=side)
    a, b, c = floats(5, 7), floats(7, 2), np.full((5, 2), np.nan, "float32")
    launch(kernel, (5, 2), (side, side), c, a, b)
    np.testing.assert_allclose(c, a @ b, 1e-5, 1e-6)
    assert products.TILE == 2


class PretendedGpu:
    """Un `numba.cuda` de théâtre : il copie, et chaque lancement dure deux millisecondes."""

    launches = 0

    def to_device(self, array):
        return PretendedCopy(array.copy())

    def event(self):
        return self

    def record(self):
        pass

    synchronize = record

    def event_elapsed_time(self, start, end):
        return 2.0 * (self.launches - 1)  # sans le premier, qui compile


class PretendedCopy:
    def __init__(self, array):
        self.array = array

    def copy_to_host(self, array):
        array[...] = self.array


class PretendedKernel:
    def __init__(self, gpu):
        self.gpu = gpu

    def __getitem__(self, configuration):
        def run(out, x, a):
            self.gpu.launches += 1
            self.configuration = configuration
            out.array[...] = a * x.array

        return run


def test_on_a_gpu_arrays_go_and_come_back(monkeypatch):
    gpu = PretendedGpu()
    monkeypatch.setattr(device, "ON_GPU", True)
    monkeypatch.setattr(device, "cuda", gpu)
    kernel, out, x = PretendedKernel(gpu), np.zeros(5), np.arange(5.0)
    launch(kernel, 5, 4, out, x, np.float32(3))
    assert out.tolist() == (3 * x).tolist() and kernel.configuration == ((2,), (4,))
    gpu.launches = 0
    seconds = device.seconds_on_gpu(kernel, 5, 4, out, x, np.float32(3), times=6)
    assert seconds == pytest.approx(0.002) and gpu.launches == 7


def test_without_a_gpu_nothing_is_timed():
    if not device.ON_GPU:
        assert device.seconds_on_gpu(maps.relu, 5, 4, np.zeros(5), np.zeros(5)) is None


def test_geometry_covers_and_refuses():
    assert geometry((3, 5, 7), (2, 2, 4)) == ((2, 3, 2), (4, 2, 2))
    assert geometry(0, 4) == ((1,), (4,))
    with pytest.raises(ShapeError, match="autant d’axes"):
        geometry((3, 4), 2)
    with pytest.raises(ShapeError, match="1 à 1024"):
        geometry((64, 64), (64, 64))


def test_place_is_said_in_french():
    assert place().split("\u00a0:")[0] in ("GPU", "simulateur")


TWO_KERNELS = """
import numpy as np
from engine.gpu.kernels.device import launch, place
from engine.gpu.kernels.readable import products, reductions
out = np.full(1, np.nan, "float32")
launch(reductions.block_sums, 8, 8, out, np.arange(10, dtype="float32"))
c = np.full((3, 3), np.nan, "float32")
launch(products.tiled_product, (3, 3), (2, 2), c, np.eye(3), np.full((3, 3), 2, "float32"))
import engine, sys, warnings
warnings.simplefilter("ignore")
x = engine.tensor.fvector()
with engine.config.change_flags(device="cuda"):
    engine.function([x], x + 1)(out)
print(place(), out, c.sum(), "numba.cuda" in sys.modules)
"""


@pytest.mark.skipif(device.ON_GPU, reason="un GPU est là")
@pytest.mark.parametrize("numba", ["", "import sys; sys.modules['numba'] = None"])
def test_the_same_kernels_run_without_a_gpu(numba):
    """Que Numba manque, ou qu’il soit là : le simulateur n’en veut pas."""
    done = subprocess.run(
        [sys.executable, "-c", f"{numba}\n{TWO_KERNELS}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stdout.replace("\u00a0", " ")
    assert said == "simulateur : aucun GPU n’a été trouvé [45.] 18.0 False\n", done.stderr
