"""Les noyaux du périphérique en float16 et en bfloat16, contre `perform`, à un arrondi près.

Un noyau qui ne sait pas ranger de demi-flottants se récuse : le nœud se calcule sur l’hôte. Aucun
ne les prend pour autre chose.
"""

import numpy as np
import pytest

pytest.importorskip("ml_dtypes")

import engine.tensor as T
from engine import config, function, grad, shared
from engine.core.contract import perform_call
from engine.core.dtypes import FLOATS, HALVES, epsilon
from engine.core.types import TensorType
from engine.gpu.kernels import registry
from engine.gpu.kernels.arrays import upload
from engine.tensor.signal.pool import pool_2d
from tests.gpu.test_parity import CASES, FAMILIES

# les familles de tout apprentissage : elles n’ont pas le droit de se récuser
LEARNING = ("Elemwise", "Reduce", "Dot", "Softmax", "Subtensor", "Join", "Alloc", "Reshape")
SLACK = 2  # arrondis : celui du noyau et celui de `perform`, d’un float32 sommé dans un autre ordre


def _cast(values, half):
    with np.errstate(over="ignore"):
        return [v.astype(half) if v.dtype.kind == "f" else v for v in map(np.asarray, values)]


def _as_list(results):
    return results if isinstance(results, list) else [results]


def compare(op, values, half):
    """Compare un noyau à `perform` ; rend faux s’il se récuse."""
    node = op.make_node(*[TensorType(v.dtype, (False,) * v.ndim)() for v in values])
    host = registry.host_inputs(node)
    if host is None:
        return False
    with np.errstate(all="ignore"):
        expected = _as_list(perform_call(node)(*[v.copy() for v in values]))
        given = [v if rank in host else upload(v) for rank, v in enumerate(values)]
        found = _as_list(registry.device_function(node)(*given))
    step = SLACK * epsilon(half)
    for wanted, array in zip(expected, found, strict=True):
        assert (array.shape, array.dtype) == (wanted.shape, wanted.dtype), op
        close = step if wanted.dtype.name in FLOATS else 0
        np.testing.assert_allclose(
            array.to_host().astype("float64"), wanted.astype("float64"), close, close * 0.01,
            err_msg=str(op),
        )  # fmt: skip
    return True


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("family", FAMILIES)
def test_kernel(family, half):
    cases = [(op, _cast(sample, half)) for op, sample in CASES if type(op).__name__ == family]
    cases = [(op, values) for op, values in cases if half in {v.dtype.name for v in values}]
    if not cases:
        pytest.skip("cette op ne lit pas de flottants")
    done = [compare(op, values, half) for op, values in cases]
    assert family not in LEARNING or any(done)


def trained(device, floatX):
    """Le coût d’une régression et d’une convolution, pas après pas."""
    with config.change_flags(device=device, floatX=floatX):
        rng = np.random.default_rng(0)
        points = rng.normal(size=(20, 6)).astype(floatX)
        x, y, images = T.matrix("x"), T.ivector("y"), T.tensor4("images")
        W, b = shared(np.zeros((6, 2), floatX)), shared(np.zeros(2, floatX))
        F = shared((0.3 * rng.normal(size=(2, 1, 3, 3))).astype(floatX))
        p = T.nnet.softmax(T.dot(x, W) + b)
        pooled = pool_2d(T.tanh(T.nnet.conv2d(images, F)), (2, 2), ignore_border=True)
        cost = -T.log(p)[T.arange(y.shape[0]), y].mean() + ((pooled - 0.1) ** 2).mean()
        parameters = [W, b, F]
        steps = [(v, v - 0.5 * g) for v, g in zip(parameters, grad(cost, parameters), strict=True)]
        f = function([x, y, images], cost, updates=steps)
        assert cost.dtype == W.dtype == floatX
        labels = (points[:, 0] > 0).astype("int32")
        given = points, labels, rng.normal(size=(3, 1, 8, 8)).astype(floatX)
        return np.float64([f(*given) for _ in range(8)])


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_model_learns_in_float16(device):
    """Rangé en float16, calculé en float32 : le coût de float32, à deux millièmes près."""
    single, half = trained(device, "float32"), trained(device, "float16")
    assert half[-1] < 0.5 * half[0]
    np.testing.assert_allclose(half, single, 2e-3, 2e-3)
