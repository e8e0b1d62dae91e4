"""Chaque noyau du périphérique contre NumPy, d’après les exemples de chaque op.

Valeur, forme, dtype, entrées intactes ; float32 et float64 ; contigu, transposé, vide, diffusé ;
chaque niveau (`gpu_tier`) qu’a l’op ; au simulateur, les fils dans les deux sens.
Une op nouvelle entre ici d’elle-même : sans noyau ni raison écrite (`host_only`),
`test_every_op_chooses` échoue.
"""

import numpy as np
import pytest

from engine.core.elemwise import elemwise
from engine.core.errors import ShapeError
from engine.core.settings import config
from engine.gpu.kernels import registry
from engine.gpu.kernels.arrays import DeviceArray, empty, upload
from engine.gpu.kernels.faults import check
from engine.gpu.kernels.machines import machine
from engine.ops.index import IncSubtensor, Subtensor
from engine.ops.nnet import Softmax
from engine.ops.products import Dot
from engine.ops.reduce import REDUCTIONS, Reduce
from engine.ops.shape import Join
from tests.gpu.coverage import (
    covered,
    lesson_ops,
    node_of,
    op_classes,
    tiers,
)
from tests.ops import every_op

TOLERANCE = {"float32": 2e-5, "float64": 1e-9}
MATRIX = np.array([[1.5, -2.0, 3.0], [0.5, 4.0, -1.0]])
WHOLE, PART = ("s", False, False, False), ("s", True, False, False)
# au-delà des exemples des ops : les gabarits d’indice, les piles vides
MORE = [
    (Subtensor(("n", "...")), [MATRIX]),
    (Subtensor(("...", "i")), [MATRIX, np.array(-1)]),
    (Subtensor((WHOLE, ("s", False, False, True))), [MATRIX, np.array(-1)]),
    (Subtensor((WHOLE, "a")), [MATRIX, np.array([2, 0, -1, 0])]),
    (Subtensor((WHOLE, "a")), [MATRIX, np.array([[2, 0], [-1, 0]])]),
    (Subtensor(("a", "a")), [MATRIX, np.array([[0], [1]]), np.array([2, 0])]),
    (IncSubtensor((PART,), set_instead=True), [MATRIX, MATRIX[0] * 2, np.array(1)]),
    (IncSubtensor((WHOLE, PART), set_instead=False), [MATRIX, np.array(7.0), np.array(1)]),
    (IncSubtensor(("i",), set_instead=False), [MATRIX, MATRIX[0] * 2, np.array(-1)]),
    (IncSubtensor(("a",), set_instead=False), [MATRIX, np.array(2.0), np.array([1, 1])]),
    (Join(0), [MATRIX, MATRIX[:0], MATRIX]),
]
CASES = every_op.CASES + MORE


def _cast(values, dtype):
    arrays = map(np.asarray, values)
    return [v.astype(dtype) if v.dtype.kind == "f" else v for v in arrays]


def _transposed(value):
    """Les mêmes valeurs, sur le périphérique, rangées dans l’autre ordre."""
    axes = range(value.ndim)[::-1]
    return upload(value.T).transpose(*axes)


def compare(op, values, place=upload):
    """Compare le noyau à `perform` ; rend faux s’il n’y en a pas pour ce cas."""
    node = node_of(op, values)
    host = registry.host_inputs(node)
    if host is None:
        return False
    storage = [[None] for _ in node.outputs]
    with np.errstate(all="ignore"):
        op.perform(node, [value.copy() for value in values], storage)
        given = [v if rank in host else place(v) for rank, v in enumerate(values)]
        results = registry.device_function(node)(*given)
    for (wanted,), found in zip(
        storage, results if isinstance(results, list) else [results], strict=True
    ):
        assert isinstance(found, DeviceArray)
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), op
        tolerance = TOLERANCE.get(str(wanted.dtype), 0)
        np.testing.assert_allclose(
            found.to_host().astype("float64"), wanted, tolerance, tolerance, err_msg=str(op)
        )
    check()
    for rank, (value, array) in enumerate(zip(values, given, strict=True)):
        if rank not in host:
            np.testing.assert_array_equal(array.to_host(), value, err_msg=f"{op} écrase {rank}")
    return True


FAMILIES = sorted({type(op).__name__ for op, _ in CASES if not op.host_only})
_TIERS = {cls.__name__: found for cls, found in tiers().items()}
RUNS = [(family, tier) for family in FAMILIES for tier in sorted(_TIERS[family])]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backward", [False, True], ids=["", "à rebours"])
@pytest.mark.parametrize(("family", "tier"), RUNS)
def test_kernel(family, tier, backward, dtype, monkeypatch):
    if backward:  # au simulateur : l’ordre des fils ; et une course est une erreur
        monkeypatch.setattr(machine(), "backward", True, raising=False)
        monkeypatch.setattr(machine(), "watched", True, raising=False)
    cases = [(op, sample) for op, sample in CASES if type(op).__name__ == family]
    with config.change_flags(gpu_tier=tier):
        done = [compare(op, _cast(sample, dtype)) for op, sample in cases]
    assert any(done)


STRIDED = "Subtensor IncSubtensor Dot Softmax Reduce Cumulate Join SumTo LogSumExp BatchedDot"


@pytest.mark.parametrize("family", STRIDED.split())
def test_transposed(family):
    for op, sample in CASES:
        if type(op).__name__ == family:
            compare(op, _cast(sample, "float32"), _transposed)


def _backwards(value):
    """Les mêmes valeurs, rangées de la dernière à la première."""
    back = (slice(None, None, -1),) * value.ndim
    return upload(value[back])[back] if value.ndim else upload(value)


@pytest.mark.parametrize("family", ["Subtensor", "Dot", "Softmax", "Reduce", "Join", "BatchedDot"])
def test_backwards(family):
    for op, sample in CASES:
        if type(op).__name__ == family:
            compare(op, _cast(sample, "float32"), _backwards)


def test_broadcast_and_empty():
    add = elemwise("add")
    a, row = MATRIX.astype("float32"), MATRIX[:1].astype("float32")
    for values in ([a, row], [row, a], [a[:0], row], [a[:, :1], row], [a[0], np.float32(2)]):
        if len({np.ndim(v) for v in values}) == 1:
            assert compare(add, [np.asarray(v) for v in values])
            assert compare(add, [np.asarray(v) for v in values], _transposed)
    assert compare(Reduce(REDUCTIONS["sum"], (0,)), [a[:0]])
    assert compare(Dot(), [a[:, :0], a[:0]])
    assert compare(Softmax(), [a[:0]])
    assert compare(Subtensor(("a",)), [a, np.zeros(0, "int64")])


def test_an_index_out_of_bounds_is_said_when_values_come_back():
    node = node_of(Subtensor(("a",)), [MATRIX, np.array([0])])
    gather = registry.device_function(node)
    gather(upload(MATRIX), upload(np.array([0, -3])))
    with pytest.raises(ShapeError, match="index -3 is out of bounds for axis 0 with size 2"):
        check()
    gather(upload(MATRIX), upload(np.array([0, 1])))
    check()


def test_views_share_and_places_are_written():
    x = empty((2, 3), "float32")
    x[...] = MATRIX
    x[1, ::-1] = np.float32([1, 2, 3])
    np.testing.assert_array_equal(x.to_host(), [[1.5, -2, 3], [3, 2, 1]])
    assert x[None, ..., 1].shape == (1, 2)
    with pytest.raises(IndexError):
        x[2]


def test_every_op_chooses():
    silent = [cls for cls in op_classes() if cls not in covered() and not cls.host_only]
    assert not silent, f"un noyau, ou une raison (`host_only`), pour : {silent}"
    both = [cls for cls in op_classes() if cls in covered() and cls.host_only]
    assert not both, f"ces ops ont un noyau : leur ôter `host_only` : {both}"


def test_the_lessons_stay_on_the_device():
    for number, (here, there) in lesson_ops().items():
        assert here, number
        assert not there, f"leçon {number}, sur l’hôte : {there}"
