"""Les produits du GPU simulé, par le noyau de la leçon : leurs valeurs, contre NumPy en float64."""

import ml_dtypes
import numpy as np
import pytest

from engine import config
from engine import tensor as T
from engine.gpu.kernels import products
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.products import product, product_tier
from engine.gpu.kernels.registry import host_inputs

pytestmark = pytest.mark.skipif(
    not machine().is_simulated, reason="un GPU est là : tests.device les y essaie"
)
TOLERANCES = {"float32": 1e-5, "float64": 1e-13, "float16": 2e-3, "bfloat16": 2e-2}


def numbers(shape, dtype="float32", seed=0):
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    return np.random.default_rng(seed).standard_normal(shape).astype(kind)


def flipped(x):
    """Les mêmes valeurs, rangées par colonnes."""
    axes = (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2)
    return upload(np.ascontiguousarray(x.transpose(axes))).transpose(*axes)


def check(multiply, a, b, left=upload, right=upload):
    """Le produit de a et b, contre NumPy en float64."""
    out = empty((*a.shape[:-1], b.shape[-1]), a.dtype)
    assert multiply(out, left(a), right(b)) is not None
    exact = a.astype("float64") @ b.astype("float64")
    scale = max(np.abs(exact).max(initial=0), 1)
    error = np.abs(out.to_host().astype("float64") - exact).max() / scale
    assert error < TOLERANCES[a.dtype.name], (a.shape, b.shape, error)


@pytest.mark.parametrize("right", [upload, flipped])
@pytest.mark.parametrize("left", [upload, flipped])
@pytest.mark.parametrize(("m", "k", "n"), [(5, 3, 7), (8, 12, 8), (12, 0, 4), (1, 6, 1)])
def test_every_layout(m, k, n, left, right):
    check(product("float32"), numbers((m, k)), numbers((k, n), seed=1), left, right)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_every_type(dtype):
    check(product(dtype), numbers((3, 40), dtype), numbers((40, 5), dtype, 1))


@pytest.mark.parametrize("left", [upload, flipped])
def test_stacks(left):
    check(product("float32"), numbers((2, 3, 5)), numbers((2, 5, 6)), left)


def test_any_strides():
    def every_other(x):
        wide = np.zeros((x.shape[0], 2 * x.shape[1]), x.dtype)
        wide[:, ::2] = x
        return upload(wide)[:, ::2]

    def backwards(x):
        return upload(x[::-1, ::-1].copy())[::-1, ::-1]

    check(product("float32"), numbers((3, 4)), numbers((4, 5)), every_other, backwards)


def test_nothing_is_built_to_know_that_a_kernel_exists(monkeypatch):
    def find(device):
        raise AssertionError("cuBLAS est cherchée dès le placement")

    monkeypatch.setattr(products, "find", find)
    x, y, i = T.fmatrix(), T.dmatrix(), T.imatrix()
    assert host_inputs(T.dot(x, x).owner) == host_inputs(T.dot(y, y).owner) == ()
    assert host_inputs(T.dot(i, i).owner) is None
    assert host_inputs(T.batched_dot(T.ftensor3(), T.ftensor3()).owner) == ()


def test_the_tier_of_a_node_is_the_one_announced():
    with config.change_flags(gpu_tier="readable"):
        assert product_tier().startswith("lisible")
