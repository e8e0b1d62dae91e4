"""Les demi-flottants : ils rangent, float32 calcule.

Chaque op qui a des exemples est comparée, en float16 et en bfloat16, à elle-même en float32 sur les
mêmes nombres : l’écart permis est celui d’un arrondi.
"""

import itertools
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine import Mode, config, function, shared
from engine.core.contract import perform_call
from engine.core.dtypes import DTYPES, FLOATS, HALVES, epsilon, holds, upcast, widened
from engine.core.elemwise import Elemwise
from engine.core.errors import DtypeError, UpdateError
from engine.core.types import TensorType
from engine.look.testing import ops_of
from engine.nn.optimizers import sgd
from engine.nn.training import Training
from engine.ops.composite import Composite
from engine.ops.probes import PdbBreakpoint, Print
from engine.printing import debugprint
from tests.ops.every_op import CASES

pytest.importorskip("ml_dtypes")

ROOT = Path(__file__).resolve().parents[2]
MATRIX = np.array([[1.5, -2.0, 3.0], [0.5, 4.0, -1.0]])
FAMILIES = sorted(
    {
        type(op).__name__
        for op, sample in CASES
        if any(np.asarray(v).dtype.kind == "f" for v in sample)
    }
    - {Print.__name__, PdbBreakpoint.__name__}
)


# ---- les règles --------------------------------------------------------------------------


def test_bfloat16_meets_the_others_as_float16_does():
    for dtype in DTYPES:
        with_float16, with_brain = upcast(dtype, "float16"), upcast(dtype, "bfloat16")
        if dtype not in HALVES:
            assert with_brain == with_float16.replace("float16", "bfloat16")
        assert upcast("bfloat16", dtype) == with_brain
    assert upcast("bfloat16", "float32") == upcast(*HALVES) == "float32"
    assert upcast("bfloat16", "int8", "float16") == "float32"
    assert upcast("bfloat16", "int32") == "float64"
    assert upcast("bfloat16") == upcast("bfloat16", "bfloat16") == "bfloat16"


def test_what_holds_what():
    for wide, dtype in itertools.product(DTYPES, repeat=2):
        if "bfloat16" not in (wide, dtype):
            assert holds(wide, dtype) == np.can_cast(dtype, wide, "safe"), (wide, dtype)
    held = [dtype for dtype in DTYPES if holds("bfloat16", dtype)]
    assert held == ["bool", "int8", "uint8", "bfloat16"]
    assert [w for w in FLOATS if holds(w, "bfloat16")] == ["bfloat16", "float32", "float64"]


def test_the_type():
    x = T.TensorType("bfloat16", (False, True))("x")
    assert str(x.type) == "TensorType(bfloat16, (?, 1))"
    assert T.cast(x, "float32").dtype == (x + np.float32(1)).dtype == "float32"
    assert (x + 1).dtype == (x * x).dtype == T.exp(x).dtype == x.sum().dtype == "bfloat16"
    assert T.matrix(dtype=x.type.numpy_dtype).dtype == "bfloat16"
    assert T.eq(x, x).dtype == "bool"
    with pytest.raises(DtypeError, match="bfloat16"):
        TensorType("bfloat8")


def test_values_are_filtered():
    brain = TensorType("bfloat16", (False,))
    for value in ([1, 2.5], np.array([1, 2], "int8"), np.array([0.5], brain.numpy_dtype)):
        assert brain.filter(value).dtype == brain.numpy_dtype
    for value in (np.float32([1.0]), np.float16([1.0]), [1.001], np.array([1], "int16")):
        with pytest.raises(DtypeError, match="bfloat16"):
            brain.filter(value)
    assert brain.filter(np.float32([1.001]), allow_downcast=True) == 1
    assert TensorType("float32", (False,)).filter(brain.filter([2])).dtype == "float32"


def test_without_ml_dtypes_it_is_said():
    program = """
import sys
sys.modules["ml_dtypes"] = None
from engine import tensor as T
print(T.cast(T.fvector("x"), "float16").dtype)
T.TensorType("bfloat16")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stdout == "float16\n" and "pip install ml_dtypes" in done.stderr


# ---- les ops -----------------------------------------------------------------------------


def _as(values, dtype):
    with np.errstate(over="ignore"):  # 1e6 ne tient pas en float16
        return [v.astype(dtype) if v.dtype.kind == "f" else v for v in values]


def _call(op, values, by):
    variables = [TensorType(v.dtype, (False,) * v.ndim)() for v in values]
    if by == "perform":
        node = op.make_node(*variables)  # qui peut convertir d’abord, comme la transformée
        given = [v.astype(e.dtype) for v, e in zip(values, node.inputs, strict=True)]
        results = perform_call(node)(*given)
        return results if isinstance(results, list) else [results], node.outputs
    f = function(variables, op(*variables), mode=Mode(None, None), on_unused_input="ignore")
    results = f(*values)
    return results if isinstance(results, list) else [results], f.fgraph.outputs


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_op_rounds_what_float32_computes(family, half):
    cases = [(op, _as(map(np.asarray, v), half)) for op, v in CASES if type(op).__name__ == family]
    cases = [(op, values) for op, values in cases if half in {v.dtype.name for v in values}]
    assert cases
    for op, values in cases:
        wide = [v.astype(widened(v.dtype.name)) for v in values]
        expected, _ = _call(op, wide, "perform")
        for by in ("perform", "Mode(None)"):
            given = [v.copy() for v in values]
            found, outputs = _call(op, given, by)
            for wanted, got, output in zip(expected, found, outputs, strict=True):
                assert got.dtype.name == output.dtype, (op, by)
                step = epsilon(got.dtype) if output.dtype in HALVES else 2e-6
                with np.errstate(all="ignore"):
                    rounded = wanted.astype(got.dtype)
                finite = np.isfinite(rounded.astype("float64"))
                np.testing.assert_allclose(
                    got.astype("float64")[finite], wanted[finite], step, step / 100, err_msg=str(op)
                )
                assert np.array_equal(got[~finite], rounded[~finite], equal_nan=True), (op, by)


@pytest.mark.parametrize("half", HALVES)
def test_sums_accumulate_in_float32(half):
    x = T.TensorType(half, (False,))("x")
    f = function([x], [x.sum(), x.mean(), x.var(), T.cumsum(x), x.dot(x)])
    ones = np.ones(5000, half)
    assert [float(v) for v in f(ones)[:3]] == [float(np.array(5000, half)), 1, 0]
    assert f(ones)[3][-1] == f(ones)[4] == np.array(5000, half)
    big = np.full(2000, 3e4, half)  # la somme sort des bornes de float16, la moyenne non
    np.testing.assert_allclose(float(f(big)[1]), float(big[0]))
    assert all(v.dtype == half for v in f(ones))


@pytest.mark.parametrize("half", HALVES)
def test_a_cast_is_fused_with_what_reads_it(half):
    w, x = shared(MATRIX.astype(half), "w"), T.fmatrix("x")
    f = function([x], T.tanh(T.cast(w, "float32") * x + 1))
    (node,) = f.fgraph.toposort()
    assert isinstance(node.op.scalar, Composite)
    given = MATRIX.astype("float32")
    np.testing.assert_allclose(f(given), np.tanh(given * given + 1), 1e-6)


@pytest.mark.parametrize("half", HALVES)
def test_a_cast_is_fused_on_the_device_too(half):
    pytest.importorskip("numba")  # sans lui, rien n’est fondu
    with config.change_flags(device="cuda"):
        w, x = shared(MATRIX.astype(half), "w"), T.fmatrix("x")
        rounded = T.cast(T.cast(w, "float32") + x, half)
        f = function([x], T.cast(w, "float32") * x + 1, updates=[(w, rounded)])
    loops = [n for n in f.fgraph.toposort() if isinstance(getattr(n.op, "op", None), Elemwise)]
    assert loops and all(half in {entry.dtype for entry in node.inputs} for node in loops)
    given = MATRIX.astype("float32")
    for factor in (1, 2, 3):  # nœud par nœud, puis rejoué
        np.testing.assert_allclose(f(given), factor * given * given + 1, 1e-6)
    assert w.storage.data.dtype == half
    np.testing.assert_array_equal(w.get_value(), (4 * MATRIX).astype(half))


def test_constants_and_printing():
    c = T.constant(MATRIX[0], dtype="bfloat16")
    assert c.dtype == "bfloat16" and str(T.constant(1.5, dtype="bfloat16")) == "1.5"
    assert T.as_tensor_variable(c.data).type == c.type
    x = T.TensorType("bfloat16", (False,))("x")
    y = T.cast(x * c + np.array(2, c.data.dtype), "float32")
    f = function([x], y)
    np.testing.assert_array_equal(f(np.array([1, 2, 3], c.data.dtype)), [3.5, -2, 11])
    assert "cast[float32]" in debugprint(y, file="str") and "bfloat16" in repr(x.type)
    assert "bfloat16" in debugprint(f, print_type=True, file="str")
    assert "cast[bfloat16]" in ops_of(T.cast(T.fvector(), "bfloat16"))


# ---- dérivées, apprentissage -------------------------------------------------------------


@pytest.mark.parametrize("half", HALVES)
def test_the_gradient_of_a_cast_is_cast_back(half):
    x = T.fvector("x")
    inside = T.cast(x, half)
    cost = T.cast(inside * inside, "float32").sum()
    outer, inner = T.grad(cost, [x, inside])
    assert (outer.dtype, inner.dtype) == ("float32", half)
    values = np.float32([0.1, -3])
    found = function([x], outer)(values)
    np.testing.assert_allclose(found, 2 * values, epsilon(half))
    assert found.dtype == "float32"
    w = shared(np.ones(2, half), "w")
    g = T.grad((T.cast(w, "float32") * x).sum(), w)
    assert g.dtype == half and function([x], g)(values).dtype == half


def test_an_update_does_not_narrow_by_itself():
    w = shared(np.ones(2, "float16"), "w")
    with pytest.raises(UpdateError, match="float16"):
        function([], updates=[(w, T.cast(w, "float32") * 2)])
    function([], updates=[(w, T.cast(T.cast(w, "float32") * 2, "float16"))])()
    assert w.get_value().tolist() == [2, 2]


def regression(half):
    """Régression logistique : poids et données rangés sur deux octets, un pas calculé en float32.

    Renvoie les coûts de quelques pas, puis les poids.
    """
    rng = np.random.default_rng(0)
    data = rng.normal(size=(6, 3))
    labels = (data @ [1.0, -2.0, 0.5] > 0).astype("float32")
    x, y = shared(data.astype(half), "x"), T.fvector("y")
    w, b = shared(np.zeros(3, half), "w"), shared(np.float32(0), "b")
    wide = T.cast(w, "float32")
    p = T.nnet.sigmoid(T.dot(T.cast(x, "float32"), wide) + b)
    cost = T.nnet.binary_crossentropy(p, y).mean() + np.float32(0.01) * (wide**2).sum()
    g, g_b = T.grad(cost, [wide, b])
    rate = np.float32(0.5)
    updates = [(w, T.cast(wide - rate * g, half)), (b, b - rate * g_b)]
    step = function([y], cost, updates=updates)
    costs = [float(step(labels)) for _ in range(4)]
    return costs, w.get_value(), step


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.filterwarnings("ignore:.*noyau")
def test_logistic_regression_with_half_storage(half, device):
    exact, weights, _ = regression("float32")
    with config.change_flags(device=device):
        costs, found, _ = regression(half)
    assert found.dtype == half
    np.testing.assert_allclose(costs, exact, 4 * epsilon(half))
    np.testing.assert_allclose(found.astype("float32"), weights, 8 * epsilon(half), epsilon(half))
    assert costs[-1] < costs[0]


@pytest.mark.parametrize("half", HALVES)
def test_optimizers_keep_the_dtype(half):
    w = shared(np.ones(3, half), "w")
    cost = T.sqr(T.cast(w, "float32")).sum()
    function([], cost, updates=sgd(cost, [w], 0.25))()
    assert w.get_value().dtype == half and w.get_value().tolist() == [0.5] * 3


# ---- ce qui se range et se surveille --------------------------------------------------------


@pytest.mark.parametrize("half", HALVES)
def test_values_are_kept(half, tmp_path):
    w = shared(MATRIX.astype(half), "w")
    f = pickle.loads(pickle.dumps(function([], T.cast(w, "float32") * 2)))
    np.testing.assert_array_equal(f(), 2 * MATRIX)
    double = function([], T.cast(w, "float32").sum(), updates=[(w, w + w)])
    arguments = (lambda rank: double()), 1, (lambda: 0.5), [w]
    path = tmp_path / "état.safetensors"
    Training(*arguments, checkpoint=path).run(2, progress=False)
    kept = w.get_value()
    w.set_value(0 * kept)
    assert Training(*arguments, checkpoint=path).iteration == 2
    assert w.get_value().dtype == half
    np.testing.assert_array_equal(w.get_value(), kept)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("mode", ["FAST_RUN", "DebugMode", "FAST_COMPILE"])
def test_the_modes_know_halves(half, mode):
    x = T.TensorType(half, (False, False))("x")
    step, _ = engine.scan(lambda row, h: T.tanh(row + h), x, T.zeros(3, dtype=half))
    f = function([x], [T.nnet.softmax(x), step[-1], T.grad(x.sqr().sum(), x)], mode=mode)
    found = f(MATRIX.astype(half))
    e = np.exp(MATRIX - MATRIX.max(axis=1, keepdims=True))
    for got, wanted in zip(
        found,
        (e / e.sum(axis=1, keepdims=True), np.tanh(MATRIX[1] + np.tanh(MATRIX[0])), 2 * MATRIX),
        strict=True,
    ):
        assert got.dtype == half
        np.testing.assert_allclose(got.astype("float64"), wanted, 0, 4 * epsilon(half))
