"""Ce que les noyaux lisent, calculent et rangent d’un nombre : les demi-flottants, les arrondis.

Dans le simulateur, tous les demi-flottants qui existent ; compilées pour le processeur, où Numba
donne aux entiers les mêmes types que numba-cuda, les mêmes fonctions ; et le code machine.
"""

import numpy as np
import pytest

pytest.importorskip("ml_dtypes")

import ml_dtypes

from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.compiling import kernel_text, make_kernel
from engine.gpu.kernels.cubins import Request
from engine.gpu.kernels.elements import FUNCTIONS, loaded, stored
from engine.gpu.kernels.machines import Simulator, machine
from tests.device import report
from tests.gpu.marks import needs_compiler

simulated_here = pytest.mark.skipif(
    not isinstance(machine(), Simulator), reason="un GPU est là : c'est lui que l'on essaie"
)
HALVES = {"float16": np.dtype("float16"), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
WORDS = np.arange(1 << 16, dtype="uint16")


def floats():
    """Des float32 de toutes les tailles, les milieux entre deux demi-flottants, les extrêmes."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 1 << 32, 20_000, dtype="uint32").view("float32")
    middles = []
    with np.errstate(invalid="ignore"):
        for dtype in HALVES.values():
            low, high = (WORDS[start::7].view(dtype).astype("float32") for start in (0, 1))
            middles.append(low[: len(high)] / 2 + high / 2)
    edges = np.array([0, -0.0, np.inf, -np.inf, np.nan, 65519, 65520, 3.4e38, -1e-40], "float32")
    return np.concatenate([drawn, *middles, edges])


def run(name, body, word, to, x):
    """Ce que rend un noyau d’un élément par fil."""
    text = "def kernel(out, x):\n    i = cuda.grid(1)\n    if i < out.size:\n"
    text += f"        out[i] = {body}\n"
    kernel = make_kernel("essai", name, text, (f"{to}[::1]", f"{word}[::1]"))
    out = empty(x.shape, HALVES.get(to, to))
    kernel(x.size, out, upload(x))
    return out.to_host()


def same_bits(found, expected):
    """Les mêmes nombres, jusqu’au signe d’un zéro ; un NaN est un NaN."""
    assert found.dtype == expected.dtype
    nan = np.isnan(expected)
    assert np.array_equal(np.isnan(found), nan)
    unsigned = f"uint{8 * found.itemsize}"
    assert np.array_equal(found.view(unsigned)[~nan], expected.view(unsigned)[~nan])


@simulated_here
@pytest.mark.parametrize("half", HALVES)
def test_every_half_is_read(half):
    values = WORDS.view(HALVES[half])
    found = run(f"lire un {half}", loaded("x[i]", half), half, "float32", values)
    with np.errstate(invalid="ignore"):
        same_bits(found, values.astype("float32"))


@simulated_here
@pytest.mark.parametrize("half", HALVES)
def test_a_float_is_rounded_to_the_nearest_half(half):
    x = floats()
    found = run(f"ranger un {half}", stored("x[i]", half), "float32", half, x)
    with np.errstate(all="ignore"):
        same_bits(found, x.astype(HALVES[half]))


def test_so_is_it_once_compiled():
    """Numba type ces entiers sur 64 bits, le simulateur les laisse sans taille."""
    numba = pytest.importorskip("numba")
    njit, types = numba.njit, numba.types
    float_of = njit(types.float32(types.int32))(lambda bits: np.int32(bits).view(np.float32))
    bits_of = njit(types.int32(types.float32))(lambda x: np.float32(x).view(np.int32))
    scope = {"float_of": float_of, "bits_of": bits_of}
    scope |= {name: getattr(types, name) for name in ("int32", "uint16", "uint32")}
    for name in ("from_brain", "to_brain"):
        exec(FUNCTIONS[name], scope)
    from_brain = njit(types.float32(types.uint16))(scope["from_brain"])
    to_brain = njit(types.uint16(types.float32))(scope["to_brain"])
    brain, x = HALVES["bfloat16"], floats()
    with np.errstate(all="ignore"):
        found = np.array([from_brain(word) for word in WORDS], "float32")
        same_bits(found, WORDS.view(brain).astype("float32"))
        found = np.array([to_brain(value) for value in x], "uint16").view(brain)
        same_bits(found, x.astype(brain))


@needs_compiler
@pytest.mark.usefixtures("kernels_of_the_file")
@pytest.mark.parametrize("half", HALVES)
def test_a_half_costs_a_few_instructions(half):
    value = f"{loaded('x[i]', half)} * {loaded('x[i]', half)}"
    text = (
        f"def kernel(out, x):\n    i = uint32(cuda.grid(1))\n    out[i] = {stored(value, half)}\n"
    )
    request = Request("essai", kernel_text("essai", text), (f"{half}[::1]",) * 2, 256)
    for architecture in ("sm_75", "sm_120a"):
        code = report.compiled(request, architecture)
        read, said = report.read_report(code), report.listing(code)
        assert read.doubles == read.spills == 0 and read.instructions <= 48
        assert ".RZ" not in said  # vers zéro : l’arrondi du simulateur est au plus proche


ROUNDED = {name: getattr(np, name) for name in ("floor", "ceil", "trunc", "rint", "sqrt")}


@simulated_here
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ROUNDED)
def test_a_rounding_keeps_its_type(name, dtype):
    x = np.array([-2.5, -1.5, -0.3, -0.0, 0.5, 1.5, 2.5, 1e10, np.inf, -np.inf, np.nan], dtype)
    with np.errstate(invalid="ignore"):
        found = run(f"{name} {dtype}", f"np.{name}(x[i])", dtype, dtype, x)
        same_bits(found, ROUNDED[name](x))


@needs_compiler
@pytest.mark.usefixtures("kernels_of_the_file")
def test_a_rounding_of_a_single_is_single():
    calls = " + ".join(f"np.{name}(x[i])" for name in ROUNDED if name != "rint")
    text = (
        f"def kernel(out, x):\n    i = uint32(cuda.grid(1))\n    out[i] = {calls} + rint32(x[i])\n"
    )
    request = Request("essai", kernel_text("essai", text), ("float32[::1]",) * 2, 256)
    read = report.read_report(report.compiled(request, "sm_89"))
    assert read.doubles == 0 and read.instructions < 120


@simulated_here
def test_the_tanh_of_kernels_is_accurate():
    body = "def kernel(out, x):\n    i = cuda.grid(1)\n    out[i] = tanh32(x[i])\n"
    tanh = make_kernel("essai", "tanh", body, ("float32[::1]",) * 2, 8)
    x = np.concatenate([np.linspace(-10, 10, 182), 10.0 ** np.arange(-8, 2)]).astype("float32")
    out = empty(x.shape, "float32")
    tanh(x.size, out, upload(x))
    exact = np.tanh(x.astype("float64"))
    coarse = exact.astype("float16")  # autant de chiffres que l’instruction approchée
    good, bad = (np.max(np.abs(y - exact) / np.abs(exact)) for y in (out.to_host(), coarse))
    assert good < 3e-7 < bad
