"""L’indexation, le tri et le dénombrement sur le périphérique, contre NumPy.

Les gabarits d’indice, aux deux niveaux ; les rangs répétés ; les masques, dont la longueur dépend
des valeurs ; les fautes. Les formes sont minuscules : sans GPU, c’est le simulateur qui calcule.
"""

import ml_dtypes
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
from engine.ops.traversals import ArgSort, NonZero, SearchSorted, UniqueIndices
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
TIERS = pytest.mark.parametrize("tier", ["readable", "fast"])


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


@TIERS
def test_every_dtype_moves_and_adds_up(tier):
    x = np.arange(12).reshape(3, 4)
    ranks, y = np.array([2, 0, 2, 2], "uint8"), np.arange(16).reshape(4, 4)
    for dtype in ("bool", "int8", "uint16", "int64", "float16", "bfloat16", "float64"):
        values, more = x.astype(dtype), y.astype(dtype)
        with config.change_flags(gpu_tier=tier):
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
        with config.change_flags(gpu_tier=tier):
            np.testing.assert_array_equal(run(Subtensor(("a",)), wide, ranks), wide[ranks])
    half = run(IncSubtensor(("i",), False), x.astype("float16"), np.float16(0.5), np.array(1))
    assert half[1, 0] == 4.5 and half.dtype == "float16"


@TIERS
def test_rows_of_any_length(tier):
    """Cinq éléments : ni 128 bits, ni un nombre rond de lignes par fil."""
    x, ranks = np.arange(15, dtype="float32").reshape(3, 5), np.array([2, 0, 2, -1, 1, 0])
    y = -np.arange(30, dtype="float32").reshape(6, 5)
    with config.change_flags(gpu_tier=tier):
        np.testing.assert_array_equal(run(Subtensor(("a",)), x, ranks), x[ranks])
        placed, added = (
            run(IncSubtensor(("a",), instead), x, y, ranks) for instead in (True, False)
        )
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


@TIERS
def test_a_fault_names_its_axis_and_spares_the_rest(tier):
    for index, axis in (((slice(None), np.array([0, 3])), 1), ((1, np.array([[2], [-4]])), 1)):
        template, values = parts(index)
        with config.change_flags(gpu_tier=tier):
            for op, entries in (
                (Subtensor(template), [X]),
                (IncSubtensor(template, set_instead=True), [X, np.float32(1)]),
                (IncSubtensor(template, set_instead=False), [X, X[:1, :1]]),
            ):
                with pytest.raises(ShapeError, match=f"axis {axis} with size 3"):
                    run(op, *map(np.asarray, entries), *values)
    with pytest.raises(ShapeError, match="did not match"):
        run(Subtensor(("a",)), X, MASK.T)


# -- trier, chercher, dénombrer -----------------------------------------------------------------


SORTED = {
    "float32": np.float32([3, np.nan, -1, 3, 0, -0.0, np.nan, -np.inf, 3, 2] * 4)[:37],
    "int8": np.int8([3, -2, 3, 0, 127, -128, 3, 1, 0, 0, 5]),
    "bool": np.array([True, False, True, False, False, True, True, False, True]),
    "float16": np.float16([2, 0.5, np.nan, 2, -1, 0.25, 0.5, 8, -3]),
    "bfloat16": np.array([2, 0.5, 2, -1, 0.25, 0.5, 8, -3], ml_dtypes.bfloat16),
    "uint64": np.uint64([2**63, 1, 2**64 - 1, 0, 1, 2**63]),
}


@pytest.mark.parametrize("x", SORTED.values(), ids=SORTED)
def test_a_sort_is_stable_and_ends_with_nan(x):
    np.testing.assert_array_equal(run(ArgSort(0), x), np.argsort(x, kind="stable"))
    rows = np.stack([x, x[::-1], np.sort(x)])
    np.testing.assert_array_equal(run(ArgSort(1), rows), np.argsort(rows, 1, kind="stable"))
    columns = rows[:, :3]
    np.testing.assert_array_equal(run(ArgSort(0), columns), np.argsort(columns, 0, kind="stable"))


@pytest.mark.parametrize("x", SORTED.values(), ids=SORTED)
def test_distinct_values(x):
    expected = np.unique(x, return_index=True, return_inverse=True, return_counts=True)[1:]
    for found, wanted in zip(run(UniqueIndices(), x), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("side", ["left", "right"])
def test_where_to_insert(side):
    for x in SORTED.values():
        np.testing.assert_array_equal(
            run(SearchSorted(side), np.sort(x), x), np.searchsorted(np.sort(x), x, side)
        )
    x, v = np.array([-1, 0, 2, 2]), np.float32([1.5, 2, -7])
    np.testing.assert_array_equal(run(SearchSorted(side), x, v), np.searchsorted(x, v, side))


def test_nonzero_positions_come_in_order():
    x = np.random.default_rng(0).integers(0, 2, (3, 3, 9)).astype("float32")
    for value in (x, x[0] > 0, x[0, :1].astype("float16"), x[0, 0].astype("int8"), x[:0]):
        np.testing.assert_array_equal(run(NonZero(), value), np.nonzero(value))


# -- le code machine ----------------------------------------------------------------------------


@needs_compiler
@pytest.mark.parametrize("architecture", ["sm_90a"])
def test_the_machine_code_is_lean(architecture, tmp_path):
    """Ni débordement, ni double, 32 registres au plus ; des lignes, par accès de 128 bits."""
    with using(Recorder()) as recorder, config.change_flags(gpu_tier="fast"):
        for name in ("x[a]", "x[a, :, b]", "x[:, mask, 1:]"):
            template, values = parts(INDICES[name])
            request(Subtensor(template), X, *values)
            request(IncSubtensor(template, True), X, np.float32(0), *values)
        y = region(X, INDICES["x[a]"])
        for add in (False, True):
            request(IncSubtensor(("a",), not add), X, y, ROWS)
        rows = np.zeros((5, 64), "float32")
        request(Subtensor(("a",)), rows.astype("float16"), ROWS)
        request(IncSubtensor(("a",), set_instead=False), rows, rows[:4], ROWS)
        request(ArgSort(1), X[0])
        request(SearchSorted(), X[0, 0], X)
        request(UniqueIndices(), X[0, 0])
    requests = [r for r in dict.fromkeys(recorder.requests) if r.name not in ("write", "elemwise")]
    with config.change_flags(cache_dir=str(tmp_path)):
        found = report.reports({architecture: requests})
    assert {r.name for r in requests} == {
        "gather",
        "scatter",
        "nonzero",
        "sort",
        "search",
        "unique",
    }
    for (_, asked), used in found.items():
        what = f"{asked.name} {report.title(asked)} {used}"
        assert used.spills == used.local == used.doubles == 0 and used.registers <= 32, what
        if "éléments" in report.title(asked):
            assert used.wide == 2, what


def request(op, *values):
    """Fait demander ses noyaux à `op`."""
    return call_on_device(op, [np.asarray(v) for v in values])
