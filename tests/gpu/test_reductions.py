"""Réductions, softmax, pertes, cumuls et tirages du périphérique : valeurs, graphes, code machine.

Les formes sont les plus petites qui prennent chaque chemin : dans le simulateur, un warp a 4 fils,
un bloc de réduction 8. Le code machine se vérifie là où numba-cuda est installé, sans GPU.
"""

import numpy as np
import pytest

pytest.importorskip("numba")

import engine
import engine.tensor as T
from engine import config, function, shared
from engine.core.errors import EngineError, ShapeError
from engine.core.types import TensorType
from engine.gpu.compiling.likelihood import LogLikelihood
from engine.gpu.compiling.transfers import OnDevice
from engine.gpu.kernels import (
    registry,
)
from engine.gpu.kernels.arrays import upload
from engine.gpu.kernels.faults import check
from engine.gpu.kernels.machines import machine
from engine.ops.nnet import LogSoftmax, LogSoftmaxGrad, LogSumExp, Softmax, SoftmaxGrad
from engine.ops.reduce import REDUCTIONS, ArgReduce, Reduce
from engine.ops.rng import PickIndex, RandomUniform
from engine.ops.sum_to import SumTo
from engine.ops.traversals import Cumulate
from tests.device import report
from tests.device.requests import Recorder, call_on_device, using
from tests.gpu.marks import needs_compiler
from tests.gpu.test_parity import _backwards, _transposed, compare

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def normal(*shape, dtype="float32", seed=0):
    return (3 * np.random.default_rng(seed).normal(size=shape)).astype(dtype)


def device_function(op, *values):
    """La fonction du périphérique qui calcule `op` de valeurs comme celles-là."""
    node = op.make_node(*[TensorType(v.dtype, (False,) * v.ndim)() for v in values])
    return registry.device_function(node)


# -- réductions ---------------------------------------------------------------------------------

SUM = REDUCTIONS["sum"]
# forme, axes : lignes alignées ou non, colonnes, axes du milieu, partagés entre des blocs, vides
PATHS = [
    *[((3, 8), (1,)), ((3, 5), (1,)), ((5, 3), (0,)), ((2, 3, 4), (0, 2)), ((2, 3, 4), (1,))],
    *[((2, 3, 4), (0, 1, 2)), ((150, 3), (0,)), ((533,), (0,)), ((2, 160), (1,))],
    *[((1, 4), (0,)), ((3, 0), (1,)), ((0, 3), (1,)), ((), ())],
]


@pytest.mark.parametrize(("shape", "axes"), PATHS, ids=str)
def test_every_path_of_a_sum(shape, axes):
    x = normal(*shape)
    places = (upload, _transposed, _backwards) if x.size < 50 else (upload,)
    for place in places:
        assert compare(Reduce(SUM, axes), [np.asarray(x)], place)


@pytest.mark.parametrize("dtype", ["float64", "int64", "bool", "int8", "uint32", "uint64"])
def test_every_reduction_of_every_dtype(dtype):
    x = np.abs(normal(2, 3)).astype(dtype)
    for row in REDUCTIONS.values():
        assert compare(Reduce(row, (1,)), [x])


def test_an_extremum_keeps_nan_and_infinities():
    x = normal(4, 9)
    x[1, 3], x[2], x[3, 8] = np.nan, -np.inf, np.inf
    for name in ("max", "min"):
        for axes in ((0,), (1,), (0, 1)):
            assert compare(Reduce(REDUCTIONS[name], axes), [x])


def test_halves_accumulate_in_float32():
    x = np.full((2, 300), 0.1, "float16")
    for value, axes in ((x, (1,)), (x.T.copy(), (0,))):
        found = device_function(Reduce(SUM, axes), x)(upload(value)).to_host()
        assert found.dtype == "float16"
        assert np.array_equal(found, value.astype("float64").sum(axes).astype("float16"))


def test_a_long_sum_is_as_exact_as_by_hand_and_repeats():
    x = np.random.default_rng(0).random(1500).astype("float32")
    total = device_function(Reduce(SUM, (0,)), x)
    found = total(upload(x)).to_host()
    assert abs(found - x.sum(dtype="float64")) <= 2 * np.spacing(found)
    assert total(upload(x)).to_host() == found


@pytest.mark.parametrize(("shape", "axis"), [((3, 5), 0), ((3, 37), 1), ((2, 3, 4), 1),
                                             ((70,), None), ((40, 33), 0)])  # fmt: skip
def test_the_first_extremum_and_nan(shape, axis):
    ties = np.round(normal(*shape))
    nans = ties.copy()
    nans.flat[[1, -1]] = np.nan
    many = ties.size > 500
    for values in (nans,) if many else (ties, nans, nans - np.inf, ties.astype("int8"), ties > 0):
        for which in ("max",) if many else ("max", "min"):
            assert compare(ArgReduce(which, axis), [values])


# -- lignes : softmax, log Σ exp ----------------------------------------------------------------

FORWARD = [Softmax(), LogSoftmax(), LogSumExp((1,))]
BACKWARD = [SoftmaxGrad(), LogSoftmaxGrad()]


@pytest.mark.parametrize("op", [*FORWARD, *BACKWARD], ids=str)
def test_rows_of_every_length(op):
    for shape in ((2, 1), (2, 5), (1, 8), (1, 44), (1, 140)):
        values = [normal(*shape, seed=seed) for seed in range(1 + (op in BACKWARD))]
        assert compare(op, values)
        if shape[1] == 5:
            assert compare(op, values, _transposed)
            assert compare(op, [v.astype("float64") for v in values])


@pytest.mark.parametrize("op", FORWARD, ids=str)
def test_rows_with_infinities(op):
    z = np.array([[1, np.inf, 2], [-np.inf] * 3, [np.nan, 1, 2], [1, 500, -np.inf]], "float32")
    assert compare(op, [np.tile(z, 3)])


def test_halves_are_computed_in_float32():
    z = normal(3, 7, dtype="float16")
    wanted = Softmax().compute(z.astype("float64"))
    found = device_function(Softmax(), z)(upload(z)).to_host()
    assert found.dtype == "float16"
    np.testing.assert_allclose(found, wanted, 1e-3)


def test_the_lesson_sums_and_normalises():
    with using(Recorder()) as recorder:
        call_on_device(Softmax(), [normal(3, 5)])
        call_on_device(Reduce(SUM, (0, 1)), [normal(3, 5)])
    names = {request.name for request in recorder.requests}
    assert {"lesson_softmax_rows", "lesson_block_sums"} <= names


# -- pertes -------------------------------------------------------------------------------------


def targets(n, classes, kind):
    rng = np.random.default_rng(1)
    if kind == "distribution":
        return rng.random((n, classes)).astype("float32")
    labels = rng.integers(-classes, classes, n).astype("int32")
    return labels[:-1] if kind == "trop peu" else labels


@pytest.mark.parametrize("kind", ["étiquettes", "trop peu", "distribution"])
def test_the_likelihood_and_its_gradient(kind):
    for shape in ((3, 5), (2, 8)):
        z, target = normal(*shape), targets(*shape, kind)
        assert compare(LogLikelihood(), [z, target])
        for g in (normal(len(target), seed=2), np.float32(-0.5)):
            assert compare(LogLikelihood(gradient=True), [z, target, np.asarray(g)], _transposed)


def test_a_label_out_of_the_classes_is_said_when_values_come_back():
    z = normal(2, 3)
    device_function(LogLikelihood(), z, np.array([0]))(upload(z), upload(np.array([0, 3])))
    with pytest.raises(ShapeError, match="index 3 is out of bounds for axis 1 with size 3"):
        check()
    with pytest.raises(ShapeError, match="3 étiquettes"):
        device_function(LogLikelihood(), z, np.array([0]))(upload(z), upload(np.zeros(3, "int64")))


X, Y = normal(4, 5), np.array([0, 2, 1, 2], "int32")
ONE_HOT = np.eye(3, dtype="float32")[Y]
LOSSES = {  # nom -> (la cible, sa valeur, la perte d’après les probabilités)
    "leçon 6": (T.ivector, Y, lambda p, y: -T.mean(T.log(p)[T.arange(y.shape[0]), y])),
    "par lignes de z": (T.ivector, Y, lambda p, y: -T.sum(T.log(p)[T.arange(p.shape[0]), y])),
    "entropie": (T.ivector, Y, lambda p, y: T.nnet.categorical_crossentropy(p, y).mean()),
    "un parmi n": (T.fmatrix, ONE_HOT, lambda p, t: T.nnet.categorical_crossentropy(p, t).mean()),
    "au carré": (T.ivector, Y, lambda p, y: T.nnet.categorical_crossentropy(p, y).mean() ** 2),
    "pesée": (
        T.ivector, Y,
        lambda p, y: (T.nnet.categorical_crossentropy(p, y) * np.float32([1, 0, 2, 3])).sum(),
    ),
}  # fmt: skip


def trained(name, device):
    """La fonction d’un pas ; la perte et les paramètres après deux pas."""
    with config.change_flags(device=device, floatX="float32"):
        make, value, loss = LOSSES[name]
        x, y = T.fmatrix(), make()
        W, b = shared(np.zeros((5, 3), "float32")), shared(np.zeros(3, "float32"))
        cost = loss(T.nnet.softmax(T.dot(x, W) + b), y)
        steps = [(p, p - 0.1 * g) for p, g in zip((W, b), engine.grad(cost, [W, b]), strict=True)]
        f = function([x, y], cost, updates=steps)
        return f, [f(X, value), f(X, value), W.get_value(), b.get_value()]


def placed(f):
    """Les ops du graphe, celles du périphérique sans leur enveloppe."""
    nodes = f.fgraph.toposort()
    return [node.op.op if isinstance(node.op, OnDevice) else node.op for node in nodes]


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradient_are_one_kernel(name):
    f, found = trained(name, "cuda")
    _, wanted = trained(name, "cpu")
    for here, there in zip(found, wanted, strict=True):
        np.testing.assert_allclose(here, there, 1e-5, 1e-6)
    ops = placed(f)
    assert not any(isinstance(op, Softmax | LogSoftmax | LogSoftmaxGrad) for op in ops)
    kept = [op for op in ops if isinstance(op, LogLikelihood)]
    # au carré, le gradient attend la perte : un noyau pour chacun
    assert [op.gradient for op in kept] == ([False, True] if name == "au carré" else [True])


def test_on_the_host_nothing_changes():
    f, _ = trained("leçon 6", "cpu")
    assert not any(isinstance(op, LogLikelihood) for op in placed(f))


def test_what_is_not_a_likelihood_stays():
    with config.change_flags(device="cuda", floatX="float32"):
        x, y = T.fmatrix(), T.ivector()
        log_p = T.log(T.nnet.softmax(x))
        for chosen in (log_p[T.arange(2), y], log_p[y, y], log_p.sum(axis=1)):
            f = function([x, y], chosen, on_unused_input="ignore")
            assert not any(isinstance(op, LogLikelihood) for op in placed(f))


# -- cumuls, tirages ----------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "axis"), [((3, 5), 0), ((3, 5), 1), ((21,), 0), ((2, 3, 4), 1),
                                             ((0, 3), 1)])  # fmt: skip
def test_cumulative_sums_and_products(shape, axis):
    for dtype, which in (
        ("float32", "sum"),
        ("float64", "prod"),
        ("int64", "sum"),
        ("bool", "prod"),
    ):
        assert compare(Cumulate(which, axis), [normal(*shape).astype(dtype)])
    assert compare(Cumulate("sum", axis), [normal(*shape)], _transposed)


def test_a_long_cumulative_sum_stays_exact():
    x = np.full(400, 0.1, "float32")
    found = device_function(Cumulate("sum", 0), x)(upload(x)).to_host()
    np.testing.assert_allclose(found, x.cumsum(dtype="float64"), 3e-7)


def test_a_cumulated_infinity_stays_one():
    x = normal(2, 40)
    x[0, 3], x[1, 20], x[1, 21] = np.inf, np.inf, -np.inf
    for axis in (0, 1):
        with np.errstate(invalid="ignore"):
            assert compare(Cumulate("sum", axis), [x])


def test_sum_to_keeps_its_kernels():
    x = normal(3, 5)
    total = device_function(SumTo(), x, np.array([1, 5]))
    for shape in ([1, 5], [3, 1], [1, 5]):
        found = total(upload(x), np.array(shape)).to_host()
        axes = tuple(axis for axis in (0, 1) if shape[axis] == 1)
        np.testing.assert_allclose(found, x.sum(axes, keepdims=True), 1e-5)


def test_a_uniform_ends_anywhere():
    op = RandomUniform("float32")
    for length in (1, 4, 6):
        assert compare(op, [np.array([1, 2, 3], "uint64"), np.array(length)])


def test_impossible_weights_are_noted_without_reading_them_back(monkeypatch):
    u, good = np.array([0.2, 0.9]), np.array([0.5, 0.5])
    pick = device_function(PickIndex(), u, good)
    given = [upload(u), upload(good), upload(np.array([0.5, 0.6]))]
    with monkeypatch.context() as patch:
        patch.setattr(type(machine()), "download", None)  # y toucher échouerait
        pick(given[0], given[1])
    check()
    pick(given[0], given[2])
    with pytest.raises(EngineError):
        check()


# -- code machine -------------------------------------------------------------------------------

ROWS = [  # op, formes
    (Reduce(SUM, (1,)), [(8, 4096)]),
    (Reduce(SUM, (0,)), [(512, 64)]),
    (Softmax(0), [(8, 512)]),
    (SoftmaxGrad(), [(8, 512), (8, 512)]),
    (LogSumExp((1,)), [(8, 512)]),
    (Cumulate("sum", 0), [(512, 64)]),
    (ArgReduce("max", 1), [(8, 512)]),
]


@needs_compiler
@pytest.mark.parametrize("architecture", ["sm_75", "sm_90a"])
def test_the_code_of_the_rows_is_lean(architecture, tmp_path):
    with using(Recorder()) as asked:
        for op, shapes in ROWS:
            call_on_device(op, [np.zeros(shape, "float32") for shape in shapes])
        labels = [np.zeros((8, 512), "float32"), np.zeros(8, "int32"), np.zeros(8, "float32")]
        call_on_device(LogLikelihood(gradient=True), labels)
    with config.change_flags(cache_dir=str(tmp_path)):
        for request, found in report.rows(list(dict.fromkeys(asked.requests)), architecture):
            assert report.over_budget(request, found) is None, request.text
            assert found.spills == found.doubles == 0, request.text
