"""L’indexation sur le périphérique, contre NumPy.

Les gabarits d’indice, aux deux niveaux ; les rangs répétés ; les masques, dont la longueur dépend
des valeurs ; les fautes. Les formes sont minuscules : sans GPU, c’est le simulateur qui calcule.
"""

import numpy as np
import pytest

from engine.core.errors import ShapeError
from engine.core.settings import config
from engine.core.types import TensorType, constant
from engine.gpu.kernels import registry
from engine.gpu.kernels.arrays import upload
from engine.gpu.kernels.faults import check
from engine.ops.index import IncSubtensor, Subtensor, split_index
from engine.ops.shape import ARange
from tests.device import report
from tests.device.requests import Recorder, call_on_device, using
from tests.gpu.marks import needs_compiler

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


def run(op, *values):
    """Ce que rend le noyau de `op` : un tableau de l’hôte, ou plusieurs."""
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


@pytest.mark.parametrize("name", INDICES)
def test_reading(name):
    index = INDICES[name]
    template, values = parts(index)
    found = run(Subtensor(template), X, *values)
    np.testing.assert_array_equal(found, X[index])
    assert found.dtype == X.dtype


@pytest.mark.parametrize("name", INDICES)
def test_writing(name):
    index = INDICES[name]
    template, values = parts(index)
    y = region(X, index)
    placed = run(IncSubtensor(template, set_instead=True), X, y, *values)
    added = run(IncSubtensor(template, set_instead=False), X, y, *values)
    expected = X.copy()
    expected[index] = y
    np.testing.assert_array_equal(placed, expected)
    expected = X.copy()
    np.add.at(expected, index, y)
    np.testing.assert_allclose(added, expected, 1e-6)


def test_a_value_spreads_over_its_place():
    for index in ((ROWS,), (MASK,), (ROWS, slice(None), COLUMNS)):
        template, values = parts(index)
        last = X[index].shape[-1:]
        for y in (np.float32(5), np.arange(float(*last), dtype="float32")):
            expected = X.copy()
            expected[index] = y
            found = run(IncSubtensor(template, set_instead=True), X, np.asarray(y), *values)
            np.testing.assert_array_equal(found, expected)
    with pytest.raises(ShapeError, match="ne tient pas"):
        run(IncSubtensor(("a",), set_instead=True), X, np.zeros((4, 3, 3), "float32"), ROWS)


def test_every_dtype_moves_and_adds_up():
    x = np.arange(12).reshape(3, 4)
    ranks, y = np.array([2, 0, 2, 2], "uint8"), np.arange(16).reshape(4, 4)
    for dtype in ("bool", "int8", "uint16", "int64", "float16", "bfloat16", "float64"):
        values, more = x.astype(dtype), y.astype(dtype)
        found = run(Subtensor(("a",)), values, ranks)
        np.testing.assert_array_equal(found, values[ranks])
        placed = run(IncSubtensor(("a",), set_instead=True), values, more[:, :1], ranks)
        expected = values.copy()
        expected[ranks] = more[:, :1]
        np.testing.assert_array_equal(placed, expected)
        if dtype != "bool":
            added = run(IncSubtensor(("a",), set_instead=False), values, more, ranks)
            expected = values.copy()
            np.add.at(expected, ranks, more)
            np.testing.assert_array_equal(added, expected)
        wide = np.tile(values, 2)  # huit éléments par ligne
        np.testing.assert_array_equal(run(Subtensor(("a",)), wide, ranks), wide[ranks])
    half = run(IncSubtensor(("i",), False), x.astype("float16"), np.float16(0.5), np.array(1))
    assert half[1, 0] == 4.5 and half.dtype == "float16"


def test_rows_of_any_length():
    """Cinq éléments : ni 128 bits, ni un nombre rond de lignes par fil."""
    x, ranks = np.arange(15, dtype="float32").reshape(3, 5), np.array([2, 0, 2, -1, 1, 0])
    y = -np.arange(30, dtype="float32").reshape(6, 5)
    np.testing.assert_array_equal(run(Subtensor(("a",)), x, ranks), x[ranks])
    placed, added = (run(IncSubtensor(("a",), instead), x, y, ranks) for instead in (True, False))
    expected = x.copy()
    expected[ranks] = y
    np.testing.assert_array_equal(placed, expected)
    expected = x.copy()
    np.add.at(expected, ranks, y)
    np.testing.assert_array_equal(added, expected)


def test_equally_spaced_numbers():
    for dtype, bounds in (("int64", (7, -3, -2)), ("float16", (0.5, 9, 0.7)), ("int8", (3, 1, 1)),
                          ("float64", (0, 1, 0.1)), ("float32", (-1, 1, 0.25))):  # fmt: skip
        found = run(ARange(dtype), *map(np.asarray, bounds))
        np.testing.assert_allclose(found, np.arange(*bounds, dtype=dtype), 1e-12)
        assert found.dtype == dtype


def test_halves_add_up_in_single_precision():
    """2048 + 1 n’existe pas en float16 : ajouté un à un, rien ne changerait."""
    x, ones, ranks = np.full((1, 1), 2048, "float16"), np.ones((8, 1), "float16"), np.zeros(8, int)
    assert run(IncSubtensor(("a",), set_instead=False), x, ones, ranks) == 2056


def test_a_fault_names_its_axis_and_spares_the_rest():
    for index, axis in (((slice(None), np.array([0, 3])), 1), ((1, np.array([[2], [-4]])), 1)):
        template, values = parts(index)
        for op, entries in (
            (Subtensor(template), [X]),
            (IncSubtensor(template, set_instead=True), [X, np.float32(1)]),
            (IncSubtensor(template, set_instead=False), [X, X[:1, :1]]),
        ):
            with pytest.raises(ShapeError, match=f"axis {axis} with size 3"):
                run(op, *map(np.asarray, entries), *values)
    with pytest.raises(ShapeError, match="did not match"):
        run(Subtensor(("a",)), X, MASK.T)


# -- le code machine ----------------------------------------------------------------------------


@needs_compiler
@pytest.mark.parametrize("architecture", ["sm_75", "sm_90a"])
def test_the_machine_code_is_lean(architecture, tmp_path):
    with using(Recorder()) as recorder:
        for name in ("x[a]", "x[a, :, b]", "x[:, mask, 1:]"):
            template, values = parts(INDICES[name])
            for op, y in (
                (Subtensor(template), []),
                (IncSubtensor(template, True), [np.float32(0)]),
                (IncSubtensor(template, False), [region(X, INDICES[name])]),
            ):
                call_on_device(op, [*map(np.asarray, [X, *y, *values])])
    requests = [r for r in dict.fromkeys(recorder.requests) if r.name == "index"]
    with config.change_flags(cache_dir=str(tmp_path)):
        for asked, used in report.rows(requests, architecture):
            what = f"{report.title(asked)} {used}"
            assert used.spills == used.local == used.doubles == 0 and used.registers <= 48, what
