"""Les noyaux de la leçon 10 au service du moteur : les valeurs de NumPy, et ils compilent."""

import inspect

import numpy as np
import pytest

from engine import config
from engine.core.elemwise import elemwise
from engine.core.errors import ShapeError
from engine.gpu.kernels import geometry
from engine.gpu.kernels import products as fast_products
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.cubins import Request
from engine.gpu.kernels.lessons import lesson_kernel, lesson_text
from engine.gpu.kernels.loops import Loop
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
from engine.ops.products import Dot
from tests.device import report, requests
from tests.gpu.marks import needs_compiler

MATRIX, LINE, IMAGES = "{}[:,:]", "{}[:]", "{}[:,:,:,:]"
KERNELS = {  # noyau -> les mots de sa signature, ses fils, ce qu’un GPU change
    products.naive_product: ((MATRIX,) * 3, 256, {}),
    products.tiled_product: ((MATRIX,) * 3, 256, {"TILE": 16}),
    maps.relu: ((LINE,) * 2, 256, {}),
    maps.axpy: ((LINE, "{}", LINE, LINE), 256, {}),
    chains.scaled_sigmoid: ((MATRIX, MATRIX, "{}", LINE), 256, {}),
    reductions.block_sums: ((LINE,) * 2, 256, {"THREADS": 256}),
    softmaxes.softmax_rows: ((MATRIX,) * 2, 256, {"THREADS": 256}),
    convolutions.convolve: ((IMAGES,) * 3, 256, {}),
    pooling.max_pool: (("{}[:,:,:]",) * 2 + ("int64",), 256, {}),
    updates.sgd: ((LINE, LINE, "{}"), 256, {}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_tiled_product_of_the_lesson_reads_any_strides(dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((5, 3)).astype(dtype), rng.standard_normal((3, 6)).astype(dtype)
    words = (f"{dtype}[:,:]",) * 3
    product = lesson_kernel(products.tiled_product, words, (4, 4), TILE=4)
    out = empty((5, 6), dtype)
    left, right = upload(a.T.copy()).transpose(1, 0), upload(b[::-1].copy())[::-1]
    product((5, 6), out, left, right)
    assert out.dtype == dtype
    np.testing.assert_allclose(out.to_host(), a @ b, 1e-5 if dtype == "float32" else 1e-13)


def test_a_number_and_three_axes():
    images = np.arange(36.0, dtype="float32").reshape(1, 6, 6)
    out = empty((1, 3, 3), "float32")
    words = ("float32[:,:,:]", "float32[:,:,:]", "int64")
    lesson_kernel(pooling.max_pool, words, (1, 2, 2))((1, 3, 3), out, upload(images), np.int64(2))
    assert np.array_equal(out.to_host(), images[:, 1::2, 1::2])


def test_a_constant_of_the_module_is_carried_exactly():
    text = lesson_text(softmaxes.softmax_rows, "float32", {"THREADS": 4})
    assert 'LOWEST = np.float32("-inf")' in text and "THREADS = 4\n" in text


def test_an_empty_shape_launches_nothing():
    lesson_kernel(maps.relu, ("float32[:]",) * 2, 4)((0,), None, None)


def test_a_product_too_tall_for_a_grid_takes_several(monkeypatch):
    with pytest.raises(ShapeError, match="65535 blocs au plus"):
        geometry.geometry((65536, 1), (1, 1))
    monkeypatch.setattr(geometry, "MOST", 2)
    monkeypatch.setattr(fast_products, "MOST", 2)
    a, b = np.arange(60.0).reshape(20, 3), np.arange(15.0).reshape(3, 5)
    with config.change_flags(gpu_tier="readable"):  # des tuiles de 4 : 8 lignes par lancement
        (found,), _ = requests.call_on_device(Dot(), [a, b])
    assert np.array_equal(found.to_host(), a @ b)


def test_an_elementwise_op_is_relu_with_another_line():
    taught = inspect.getsource(maps.relu.py_func).splitlines()[2:]
    with requests.using(requests.Recorder()) as recorder:
        requests.call_on_device(elemwise("add"), [np.ones((2, 3)), np.ones(())])
    text = recorder.requests[-1].text.splitlines()[-len(taught) + 1 :]
    assert text[:-1] == taught[1:-1]
    assert text[-1].strip() == "out[i] = each(x0[i], x1[0])"
    assert recorder.requests[-1].signature == ("float64[::1]",) * 3


@pytest.mark.parametrize("dtype", ["float32", "float16", "bool", "int8"])
def test_two_results_and_a_number_by_the_lesson_kernel(dtype):
    x = np.arange(40).reshape(5, 8).astype(dtype)
    each = "def each(x, y):\n    return y, x\n"
    loop = Loop("write", "échanger", each, (dtype, "int32"), ("int32", dtype))
    outs = empty((5, 8), dtype), empty((5, 8), "int32")
    ins = upload(np.int32(7)), upload(x)
    launch = loop.launch_on((5, 8), [(8, 1), (8, 1), (0, 0), (8, 1)])
    launch(*outs, *ins)
    assert [shape for shape, _ in launch.views] == [(40,), (40,), (1,), (40,)]
    assert np.array_equal(outs[0].to_host(), x) and (outs[1].to_host() == 7).all()


@needs_compiler
@pytest.mark.parametrize("architecture", ["sm_75", "sm_90a"])
def test_every_lesson_kernel_compiles_for_a_gpu(architecture, tmp_path):
    wanted = [
        Request("lesson", lesson_text(kernel, dtype, constants),
                tuple(word.format(dtype) for word in words), threads)
        for kernel, (words, threads, constants) in KERNELS.items()
        for dtype in ("float32", "float64")
    ]  # fmt: skip
    with config.change_flags(cache_dir=str(tmp_path)):
        for request, found in report.rows(wanted, architecture):
            assert found.spills == found.local == 0, request.text
            assert found.doubles == 0 or not report.is_single(request), request.text
