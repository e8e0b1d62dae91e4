"""Les produits du GPU, par niveau : leurs valeurs au simulateur, leur coût dans les cubins."""

import ml_dtypes
import numpy as np
import pytest

pytest.importorskip("numba")

from engine import config
from engine.gpu.kernels import tiled
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.compiling import kernel_text
from engine.gpu.kernels.cubins import Request
from engine.gpu.kernels.machines import Simulator, machine
from engine.gpu.kernels.panels import Operands
from engine.gpu.kernels.products import product, product_tier
from engine.gpu.kernels.simulated import to_tf32
from engine.gpu.kernels.tiles import TensorTile, Tile
from tests.device import report
from tests.gpu.marks import needs_compiler

simulated = pytest.mark.skipif(
    not isinstance(machine(), Simulator), reason="un GPU est là : tests.device les y essaie"
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


@simulated
@pytest.mark.parametrize("right", [upload, flipped])
@pytest.mark.parametrize("left", [upload, flipped])
@pytest.mark.parametrize(("m", "k", "n"), [(5, 3, 7), (8, 12, 8), (12, 0, 4), (1, 6, 1)])
def test_register_tiles_read_every_layout(m, k, n, left, right):
    check(tiled.by_registers("float32"), numbers((m, k)), numbers((k, n), seed=1), left, right)


@simulated
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_every_type_and_the_slices_of_a_long_k(dtype):
    check(tiled.by_registers(dtype), numbers((3, 40), dtype), numbers((40, 5), dtype, 1))


@simulated
@pytest.mark.parametrize("left", [upload, flipped])
def test_stacks(left):
    check(tiled.by_registers("float32"), numbers((2, 3, 5)), numbers((2, 5, 6)), left)


@simulated
def test_a_thread_holds_four_quads_of_a_big_tile(monkeypatch):
    monkeypatch.setattr(tiled, "BUSY", 1)
    for m, k, n in ((20, 8, 20), (17, 5, 19)):
        check(tiled.by_registers("float32"), numbers((m, k)), numbers((k, n)))


@simulated
@pytest.mark.parametrize("left", [upload, flipped])
def test_the_tensor_cores_round_the_factors_only(monkeypatch, left):
    """Deux warps, chacun deux blocs de 16 × 8 × 8 dans les deux sens."""
    tile = TensorTile(32, 32, 8, 2, 2)
    monkeypatch.setattr(
        tiled, "tiles", lambda *_: tiled.Tiles(tile, tile, *[Tile(1, 1, 8, 1, 1)] * 2)
    )
    a, b = numbers((30, 13)), numbers((13, 39), seed=1)
    rounded = [np.array([to_tf32(v) for v in x.flat], "float32").reshape(x.shape) for x in (a, b)]
    out = empty((30, 39), "float32")
    tiled.by_registers("float32")(out, left(a), upload(b))
    np.testing.assert_allclose(out.to_host(), rounded[0] @ rounded[1], 1e-5, 1e-5)
    assert np.abs(out.to_host() - a @ b).max() > 1e-5


@simulated
def test_what_has_no_unit_stride_is_copied():
    def every_other(x):
        wide = np.zeros((x.shape[0], 2 * x.shape[1]), x.dtype)
        wide[:, ::2] = x
        return upload(wide)[:, ::2]

    check(tiled.by_registers("float32"), numbers((3, 4)), numbers((4, 5)), every_other, every_other)


@simulated
def test_too_long_for_32_bits_goes_to_the_next_tier():
    a = upload(numbers((2, 2))).view((2, 2), (2**31, 1))
    assert tiled.by_registers("float32")(empty((2, 2), "float32"), a, a) is None


@simulated
def test_the_tier_of_a_node_is_the_one_announced():
    for tier, word in (("readable", "lisible"), ("fast", "rapide")):
        with config.change_flags(gpu_tier=tier):
            assert product_tier().startswith(word)
            check(product("float32"), numbers((3, 4)), numbers((4, 5)))
            check(product("float32"), numbers((2, 3, 4)), numbers((2, 4, 5)))


def request(dtype, tile, along=(True, False), aligned=True):
    """Le noyau d’un produit."""
    real = "float64" if dtype == "float64" else "float32"
    operands = Operands(dtype, real, along, aligned)
    name, doc, body, signature, block = tiled._product(tile, operands, dtype)
    return Request(name, kernel_text(doc, body), signature, block)


@needs_compiler
def test_a_product_stays_in_its_registers(tmp_path):
    """Le plus chargé de chaque genre ; `python -m tests.device.report` les compile tous."""
    big, exact, rounded = (tiles.big for tiles in (*tiled._ON_GPU.values(), tiled._ON_TENSOR_CORES))
    wanted = {
        "sm_75": [request("float32", tiled._BEFORE_HOPPER["float32"].big)],
        "sm_80": [request("float32", tiled._BEFORE_HOPPER["float32"].big, (False, False))],
        "sm_90a": [request("float32", big, (False, True)), request("float64", exact),
                   request("float32", rounded), request("bfloat16", rounded)],
    }  # fmt: skip
    assert not wanted["sm_90a"][2].runs_on("sm_75")
    with config.change_flags(cache_dir=str(tmp_path)):
        for architecture, requests in wanted.items():
            for asked, found in report.rows(requests, architecture):
                assert report.over_budget(asked, found) is None, (report.title(asked), found)


@needs_compiler
def test_shared_memory_is_read_by_four(tmp_path):
    """Quatre lectures de 128 bits par rang de k : deux carrés de chaque côté."""
    tile = tiled._ON_GPU["float32"].big
    with config.change_flags(cache_dir=str(tmp_path)):
        ((_, found),) = report.rows([request("float32", tile)], "sm_90a")
    assert found.wide >= 4 * tile.depth
