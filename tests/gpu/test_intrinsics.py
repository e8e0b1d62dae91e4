"""Ce que les noyaux emploient au-delà de Numba : le simulateur et le compilateur l’ont, et pareil.

Les valeurs se vérifient dans le simulateur ; les accès de 128 bits, dans le code machine.
"""

import numpy as np
import pytest

pytest.importorskip("numba")

import ml_dtypes

from engine.core.errors import ShapeError
from engine.core.settings import config
from engine.gpu.kernels import simulated
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.machines import Simulator, machine
from engine.gpu.kernels.tiers import choose

pytestmark = pytest.mark.skipif(
    not isinstance(machine(), Simulator), reason="un GPU est là : c'est lui que l'on essaie"
)


def test_four_neighbours_and_a_swap():
    body = (
        "def kernel(out, x):\n    i = 4 * cuda.grid(1)\n    u, v, w, z = load4(x, i)\n"
        "    store4(out, i, z, w, v, shuffle_xor(u, 1))\n"
    )
    reverse = make_kernel("essai", "retourner", body, ("float32*", "float32*"), simulated.WARP)
    x = np.arange(4.0 * simulated.WARP, dtype="float32").reshape(-1, 4)
    out = empty((x.size,), "float32")
    reverse(simulated.WARP, out, upload(x.ravel()))
    found = out.to_host().reshape(-1, 4)
    assert np.array_equal(found[:, :3], x[:, :0:-1])
    assert np.array_equal(found[:, 3], x[np.arange(simulated.WARP) ^ 1, 0])


@pytest.mark.parametrize(("count", "dtype"), [(2, "float64"), (8, "int16")])
def test_two_or_eight_neighbours(count, dtype):
    names = "abcdefgh"[:count]
    body = (
        f"def kernel(out, x):\n    i = {count} * cuda.grid(1)\n"
        f"    {', '.join(names)} = load{count}(x, i)\n"
        f"    store{count}(out, i, {', '.join(names[::-1])})\n"
    )
    reverse = make_kernel("essai", f"retourner {count}", body, (f"{dtype}*",) * 2, 2)
    x, out = np.arange(2 * count, dtype=dtype), empty((2 * count,), dtype)
    reverse(2, out, upload(x))
    assert np.array_equal(out.to_host(), x.reshape(2, count)[:, ::-1].ravel())


def test_an_unaligned_access_is_a_fault():
    body = "def kernel(out):\n    store4(out, 2, out[0], out[0], out[0], out[0])\n"
    with pytest.raises(ShapeError, match="multiple de 4"):
        make_kernel("essai", "mal aligné", body, ("float32*",), 1)(1, empty((8,), "float32"))


@pytest.mark.parametrize(
    ("dtype", "name"), [("float16", "half"), (ml_dtypes.bfloat16, "brain")], ids=["half", "brain"]
)
def test_half_values_come_and_go(dtype, name):
    body = (
        "def kernel(out, x, y):\n    i = cuda.grid(1)\n"
        f"    out[i] = to_{name}(from_{name}(x[i]) * y[i])\n"
    )
    word = f"{np.dtype(dtype)}*"
    scale = make_kernel("essai", f"{name}", body, (word, word, "float32*"), 4)
    x, y = np.array([1, -2, 0.1, 3e4], dtype), np.array([1 / 3, 1, 7, 1], "float32")
    out = empty((4,), dtype)
    scale(4, out, upload(x), upload(y))
    assert np.array_equal(out.to_host(), (x.astype("float32") * y).astype(dtype))


def test_a_brain_is_rounded_before_it_is_stored():
    x = np.array([1 / 3, -1e-40, 3.4e38, -np.inf, 257, 259], "float32")
    rounded = np.array([simulated.to_brain(v) for v in x])
    assert np.array_equal(rounded, x.astype(ml_dtypes.bfloat16).astype("float32"))
    assert np.isnan(simulated.to_brain(np.float32(np.nan)))


def test_the_tier_follows_the_setting_and_says_why():
    offers = {"fast": lambda x: None, "readable": lambda x: -x, "library": "cuBLAS n'est pas là"}
    assert str(choose(**offers).tier) == "lisible"
    with config.change_flags(gpu_tier="fast"):
        chosen = choose(**offers)
        assert chosen(2) == -2  # le rapide ne sait pas faire : le suivant s’en charge
        assert chosen.tier.name == "rapide" and "gpu_tier" in chosen.tier.why
    with config.change_flags(gpu_tier="library"):
        assert "cuBLAS" in choose(**offers).tier.why
