"""L’indexation, le tri et le dénombrement sur le périphérique, contre NumPy.

Les gabarits d’indice, aux deux niveaux ; les rangs répétés ; les masques, dont la longueur dépend
des valeurs ; les fautes. Les formes sont minuscules : sans GPU, c’est le simulateur qui calcule.
"""

import numpy as np
import pytest

pytest.importorskip("numba")

from engine.backends.cuda import all_kernels, registry  # noqa: F401  déclare tous les noyaux
from engine.backends.cuda.arrays import upload
from engine.backends.cuda.faults import check
from engine.errors import ShapeError
from engine.ops.index import IncSubtensor, Subtensor, split_index
from engine.settings import config
from engine.types import TensorType, constant

X = np.arange(2.0 * 3 * 4, dtype="float32").reshape(2, 3, 4) - 7
ROWS, COLUMNS = np.array([1, 0, -1, 1]), np.array([3, -4, 0, 3])
MASK = np.array([[True, False, True], [False, True, True]])
INDICES = {
    "x[a]": (ROWS,),
    "x[i, a]": (1, COLUMNS[:2] % 3),
    "x[a, i]": (ROWS, -1),
    "x[i, :, a]": (1, slice(None), COLUMNS),
    "x[a, :, b]": (ROWS, slice(None), COLUMNS),
    "x[:, a]": (slice(None), np.array([[2, 0], [0, 0]])),
    "x[..., a]": (Ellipsis, COLUMNS),
    "x[:, a, b]": (slice(None), np.array([0, 2, 0, 2]), COLUMNS),
    "x[a, b, c]": (ROWS, np.array([[1], [2]]), COLUMNS),
    "x[::-1, a, 1:3]": (slice(None, None, -1), np.array([2, 2]), slice(1, 3)),
    "x[a, None, b]": (ROWS, None, np.array(1)),
    "x[None, 0, a]": (None, 0, np.array([0, 1])),
    "x[mask]": (MASK,),
    "x[i, mask]": (1, MASK[0]),
    "x[:, mask, 1:]": (slice(None), MASK[0], slice(1, None)),
    "x[mask, a]": (MASK, np.array([0, 1, 2, 3])),
    "x[x > 0]": (X > 0,),
    "x[a vide]": (ROWS[:0],),
}
TIERS = pytest.mark.parametrize("tier", ["readable", "fast"])


def run(op, *values):
    """Ce que rend le noyau de `op` : un tableau de l’hôte, ou plusieurs."""
    node = op.make_node(*[TensorType(v.dtype, (False,) * v.ndim)() for v in values])
    host = registry.host_inputs(node)
    assert host is not None
    function = registry.device_function(node)
    given = [v if rank in host else upload(v) for rank, v in enumerate(values)]
    results = function(*given)
    check()
    for rank, (value, array) in enumerate(zip(values, given, strict=True)):
        if rank not in host:
            np.testing.assert_array_equal(array.to_host(), value)
    several = isinstance(results, list)
    return [r.to_host() for r in results] if several else results.to_host()


def parts(index):
    """Le gabarit d’un indice, et ses valeurs."""
    template, entries = split_index(
        tuple(constant(v) if isinstance(v, np.ndarray) else v for v in index)
    )
    return template, [np.asarray(entry.data) for entry in entries]


def region(x, index):
    """Des valeurs différentes, de la forme de ce que désigne l’indice."""
    shape = x[index].shape
    return np.arange(np.prod(shape), dtype="float32").reshape(shape) / 4 + 100


@TIERS
@pytest.mark.parametrize("name", INDICES)
def test_reading(name, tier):
    index = INDICES[name]
    template, values = parts(index)
    with config.change_flags(gpu_tier=tier):
        found = run(Subtensor(template), X, *values)
    np.testing.assert_array_equal(found, X[index])
    assert found.dtype == X.dtype


@TIERS
@pytest.mark.parametrize("name", INDICES)
def test_writing(name, tier):
    index = INDICES[name]
    template, values = parts(index)
    y = region(X, index)
    with config.change_flags(gpu_tier=tier):
        placed = run(IncSubtensor(template, set_instead=True), X, y, *values)
        added = run(IncSubtensor(template, set_instead=False), X, y, *values)
    expected = X.copy()
    expected[index] = y
    np.testing.assert_array_equal(placed, expected)
    expected = X.copy()
    np.add.at(expected, index, y)
    np.testing.assert_allclose(added, expected, 1e-6)


@TIERS
def test_a_value_spreads_over_its_place(tier):
    for index in ((ROWS,), (MASK,), (ROWS, slice(None), COLUMNS)):
        template, values = parts(index)
        last = X[index].shape[-1:]
        for y in (np.float32(5), np.arange(float(*last), dtype="float32")):
            expected = X.copy()
            expected[index] = y
            with config.change_flags(gpu_tier=tier):
                found = run(IncSubtensor(template, set_instead=True), X, np.asarray(y), *values)
            np.testing.assert_array_equal(found, expected)
    with pytest.raises(ShapeError, match="ne tient pas"):
        run(IncSubtensor(("a",), set_instead=True), X, np.zeros((4, 3, 3), "float32"), ROWS)
