"""Ce qu’un vrai GPU reçoit, au simulateur : une part de `tests.device.sized`.

Warps de 32 fils, blocs de 256 : les bornes des lignes, chaque tuile, une convolution de chaque
sorte, des réductions par plusieurs blocs. `python -m tests.device.sized` essaie tout.
"""

import numpy as np
import pytest

pytest.importorskip("numba")

from engine.gpu.kernels import tiled
from engine.gpu.kernels.arrays import empty, upload
from engine.gpu.kernels.compiling import make_kernel
from engine.gpu.kernels.machines import Simulator, machine
from tests.device import sized_cases
from tests.device.sized import sized, wrong

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        not isinstance(machine(), Simulator), reason="un GPU est là : tests.device l’essaie"
    ),
]

LENET = (((2, 1, 28, 28), (5, 1, 5, 5)),)
PARTS = {
    "les lignes autour des bornes": lambda: sized_cases.rows((260, 512, 516)),
    "une ligne relue": lambda: sized_cases.rows((4100,), ("float32",)),
    "les réductions d’un bloc": lambda: sized_cases.reductions(((2, 30, 5),), ()),
    "les réductions de plusieurs blocs": lambda: sized_cases.reductions((), ((17000,), (1100, 3))),
    "les produits": lambda: sized_cases.products(
        ((130, 20, 132),), ((65, 17, 66), (70, 100, 10), (10, 40, 70))
    ),
    "les convolutions": lambda: sized_cases.convolutions(LENET, (12,)),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_real_gpu_computes_right(part):
    with sized():
        found = {str(case): wrong(case) for case in PARTS[part]()}
    assert not {case: why for case, why in found.items() if why}


def test_every_tile_is_tried():
    """Et des tranches de k."""
    with sized():
        kinds = (("float32", False), ("float64", False), ("float32", True))
        wanted = {tile for kind in kinds for tile in tiled.tiles(*kind)}
        found = [_plan(case) for case in PARTS["les produits"]()]
    assert {tile for tile, _, _ in found} == wanted
    assert max(parts for _, parts, _ in found) > 1


def _plan(case):
    a, b = case.values
    real = "float64" if case.kind == "float64" else "float32"
    rounded = case.rounded or case.kind == "float16"
    piles = a.shape[0] if a.ndim == 3 else 1
    with case.settings():
        known = tiled.tiles(real, rounded)
        return tiled.plan(a.shape[-2], b.shape[-1], a.shape[-1], piles, known)


# ---- ce que ce simulateur montre -----------------------------------------------------------------

SHIFTED = """def kernel(out, x):
    held = cuda.shared.array(64, np.float32)
    t = uint32(cuda.threadIdx.x)
    held[t] = x[t]
{barrier}    out[t] = held[uint32(t + {step}) % uint32(64)]
"""


def _shifted(barrier, step):
    body = SHIFTED.format(barrier="    cuda.syncthreads()\n" * barrier, step=step)
    kernel = make_kernel("shifted", "décale", body, ("float32*", "float32*"), 64)
    x = upload(np.arange(64, dtype="float32"))
    out = empty((64,), "float32")
    kernel.launch(1, out, x)
    return out.to_host(), np.roll(x.to_host(), -step)


@pytest.mark.parametrize(("step", "backward"), [(1, False), (63, True)])
def test_a_missing_barrier_is_seen(step, backward):
    """Que le fil voisin soit d’avant ou d’après : c’est selon l’ordre."""
    with sized() as real:
        real.backward = backward
        assert np.array_equal(*_shifted(True, step))
        assert not np.array_equal(*_shifted(False, step))
