"""Ce que nous demandons à cuBLAS, contre une fausse bibliothèque qui suit son contrat à la lettre.

La fausse lit la mémoire par colonnes, comme la vraie : un pas, un sens ou un type de travers donne
un autre produit.
"""

import itertools
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest

pytest.importorskip("numba")

from engine.core.settings import config
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.blas import Library, layout
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.registry import choose

ROWS_AND_COLUMNS = list(itertools.product((1, 2, 5), repeat=2))
TYPES = {0: "float32", 1: "float64", 2: "float16", 14: ml_dtypes.bfloat16}
SUMS = {68: "float32", 70: "float64", 77: "float32"}


@pytest.mark.parametrize(("rows", "columns"), ROWS_AND_COLUMNS)
@pytest.mark.parametrize("gap", [0, 3])
@pytest.mark.parametrize("flip", [False, True])
def test_the_columns_cublas_reads_are_ours(rows, columns, gap, flip):
    stored = np.arange((rows + gap) * (columns + gap)).reshape(rows + gap, columns + gap)
    x = stored[:rows, :columns]
    x = x.T if flip else x
    transposed, step = layout(x.shape, [s // x.itemsize for s in x.strides])
    height, width = x.shape if transposed else x.shape[::-1]
    assert step >= height
    read = np.array([[stored.ravel()[i + j * step] for j in range(width)] for i in range(height)])
    assert np.array_equal(read if transposed else read.T, x)


@pytest.mark.parametrize("strides", [(6, 2), (-3, 1), (0, 1), (1, 0)])
def test_what_cublas_cannot_read_is_copied(strides):
    assert layout((2, 3), strides) is None


def memory(address, dtype, rows, columns, step):
    """Une matrice rangée par colonnes, à cette adresse."""
    dtype = np.dtype(dtype)
    size = (max(columns - 1, 0) * step + rows) * dtype.itemsize
    zone = {"data": (address, False), "shape": (size,), "typestr": "|u1", "version": 3}
    raw = np.asarray(SimpleNamespace(__array_interface__=zone)).view(dtype)
    strides = (dtype.itemsize, step * dtype.itemsize)
    return np.lib.stride_tricks.as_strided(raw, (rows, columns), strides)


class FakeCublas:
    """cuBLAS d’après sa documentation ; `calls` retient le nom et la précision de chaque appel."""

    def __init__(self):
        self.calls = []

        # de vraies fonctions : `Library` leur pose des `argtypes`
        def gemm(*arguments):
            return self.gemm(*arguments)

        def stacks(*arguments):
            return self.stacks(*arguments)

        def gemv(kind):
            def call(*arguments):
                return self.gemv(kind, *arguments)

            return call

        def done(*_):
            return 0

        self.cublasGemmEx, self.cublasGemmStridedBatchedEx = gemm, stacks
        self.cublasSgemv_v2, self.cublasDgemv_v2 = gemv("float32"), gemv("float64")
        self.cublasCreate_v2 = self.cublasSetStream_v2 = self.cublasSetWorkspace_v2 = done
        self.cublasSetMathMode = self.cublasGetVersion_v2 = done

    def gemm(self, handle, left, right, m, n, k, one, a, a_type, a_step, b, b_type, b_step,
             zero, c, c_type, c_step, sums, best):  # fmt: skip
        self.calls.append(("gemm", sums))
        assert best == -1 and {a_type, b_type} == {c_type}
        kind = TYPES[c_type]
        a = memory(a, kind, *((k, m) if left else (m, k)), a_step)
        b = memory(b, kind, *((n, k) if right else (k, n)), b_step)
        a, b = ((x.T if flip else x).astype(SUMS[sums]) for x, flip in ((a, left), (b, right)))
        memory(c, kind, m, n, c_step)[...] = a @ b
        return 0

    def stacks(self, handle, left, right, m, n, k, one, a, a_type, a_step, a_pile, b, b_type,
               b_step, b_pile, zero, c, c_type, c_step, c_pile, count, sums, best):  # fmt: skip
        size = np.dtype(TYPES[c_type]).itemsize
        for rank in range(count):
            places = (x + rank * pile * size for x, pile in ((a, a_pile), (b, b_pile), (c, c_pile)))
            x, y, z = places
            self.gemm(handle, left, right, m, n, k, one, x, a_type, a_step, y, b_type, b_step,
                      zero, z, c_type, c_step, sums, best)  # fmt: skip
        return 0

    def gemv(self, kind, handle, flip, m, n, one, a, step, x, x_step, zero, y, y_step):
        self.calls.append(("gemv", kind))
        a = memory(a, kind, m, n, step)
        a = a.T if flip else a
        x = memory(x, kind, 1, a.shape[1], x_step)[0]
        memory(y, kind, 1, a.shape[0], y_step)[0] = a @ x
        return 0


@pytest.fixture
def cublas():
    """La fausse bibliothèque, et la nôtre qui l’appelle."""
    if not machine().is_simulated:
        pytest.skip("un GPU est là : tests.device y essaie la vraie")
    fake = FakeCublas()
    room = SimpleNamespace(stream_handle=0, allocate=lambda *_: SimpleNamespace(pointer=0))
    return fake, Library(fake, room)


def views(x):
    """Les mêmes valeurs, rangées de quatre façons."""
    axes = (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2)
    yield upload(x)
    yield upload(np.ascontiguousarray(x.transpose(axes))).transpose(*axes)
    yield upload(np.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, 2), (0, 3)]))[
        ..., : x.shape[-2], : x.shape[-1]
    ]
    yield upload(np.repeat(x, 2, -1))[..., ::2]


@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 4), (4, 5)), ((1, 4), (4, 5)), ((3, 4), (4, 1)), ((1, 1), (1, 1)),
     ((2, 3, 4), (2, 4, 5)), ((2, 1, 4), (2, 4, 1))],
)  # fmt: skip
@pytest.mark.parametrize("dtype", TYPES.values(), ids=str)
def test_the_product_is_ours_whatever_the_strides(cublas, left, right, dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-3, 4, shape).astype(dtype) for shape in (left, right))
    expected = a.astype("float64") @ b.astype("float64")
    for x, y in itertools.product(views(a), views(b)):
        out = empty(expected.shape, dtype)
        assert cublas[1].multiply(out, x, y) is out
        assert np.array_equal(out.to_host().astype("float64"), expected), (x.strides, y.strides)


@pytest.mark.parametrize(("m", "n"), [(3, 4), (1, 4), (3, 1), (1, 1)])
def test_the_product_can_be_a_part_of_a_matrix(cublas, m, n):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-3, 4, shape).astype("float32") for shape in ((m, 2), (2, n)))
    whole = upload(np.full((5, 7), 9, "float32"))
    cublas[1].multiply(whole[1 : 1 + m, 2 : 2 + n], upload(a), upload(b))
    expected = np.full((5, 7), 9, "float32")
    expected[1 : 1 + m, 2 : 2 + n] = a @ b
    assert np.array_equal(whole.to_host(), expected)


def test_tf32_is_asked_for_float32_alone(cublas):
    fake, library = cublas
    for dtype in ("float32", "float64", "float16"):
        x = upload(np.ones((2, 2), dtype))
        library.multiply(empty((2, 2), dtype), x, x, tf32=True)
    assert fake.calls == [("gemm", 77), ("gemm", 70), ("gemm", 68)]


def test_what_cublas_does_not_do_goes_to_the_next_tier(cublas):
    fake, library = cublas
    nothing = upload(np.ones((2, 0), "float32"))
    assert library.multiply(empty((2, 2), "float32"), nothing, nothing.transpose(1, 0)) is None
    assert not fake.calls


def test_the_tier_follows_the_setting_and_says_why():
    assert str(choose(abs, "cuBLAS n'est pas là").tier) == "lisible\u00a0: cuBLAS n’est pas là"
    for asked, name in (("auto", "bibliothèque"), ("readable", "lisible")):
        with config.change_flags(gpu_tier=asked):
            chosen = choose(lambda x: -x, lambda x: None if x > 2 else x)
        assert chosen.tier.name == name and ("gpu_tier" in chosen.tier.why) == (asked != "auto")
        assert chosen(1) == (1 if asked == "auto" else -1)
        assert chosen(3) == -3  # ce que la bibliothèque ne sait pas faire
