"""Ce sur quoi les programmes comptent : sorties, mises à jour, entrées, dtypes, réglages."""

import copy
import os
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine import In, Mode, Out, config, function, grad, shared
from engine.core.errors import (
    ConfigError,
    DtypeError,
    EngineError,
    InputError,
    MissingInputError,
    RuntimeNodeError,
    ShapeError,
)
from engine.core.settings import Config

ROOT = Path(__file__).parents[2]
MODES = ["FAST_RUN", "FAST_COMPILE", Mode("numpy", None), Mode("numba", None)]
each_mode = pytest.mark.parametrize("mode", MODES, ids=str)


# ---- sorties -----------------------------------------------------------------------------


def test_outputs_keep_their_structure():
    x = T.dscalar("x")
    assert isinstance(function([x], x * 2)(1.0), np.ndarray)
    assert function([x], [x * 2])(1.0) == [2.0]
    assert function([x], [x, x + 1])(1.0) == [1.0, 2.0]
    assert function([x], {"double": x * 2, "carré": x**2})(3.0) == {"double": 6.0, "carré": 9.0}
    assert function([x], on_unused_input="ignore")(1.0) == []
    assert function([x], [], on_unused_input="ignore")(1.0) == []
    assert function([], T.constant(3.0))() == 3.0
    assert function([x], Out(x * 2, borrow=True))(1.0) == 2.0
    assert [float(v) for v in function([x], [x, x, 1.5])(2.0)] == [2.0, 2.0, 1.5]


@each_mode
def test_outputs_never_alias_internals(mode):
    m, s = T.dmatrix("m"), shared(np.ones((2, 3)), name="s")
    exp = m.exp()
    f = function(
        [m],
        [m, m.T, s, s.T, s[0], exp, exp.T, exp.sum(axis=0), T.zeros((2,)), T.constant([1.0])],
        mode=mode,
    )
    value = np.arange(6.0).reshape(2, 3)
    first = f(value)
    kept = [result.copy() for result in first]
    for rank, result in enumerate(first):
        for other in first[:rank]:
            assert not np.shares_memory(result, other)
        assert not np.shares_memory(result, value)
        assert not np.shares_memory(result, s.get_value(borrow=True))
        assert result.flags.writeable
    for result in first:
        result[...] = -5.0
    np.testing.assert_array_equal(value, np.arange(6.0).reshape(2, 3))
    for result, expected in zip(f(value), kept, strict=True):
        np.testing.assert_array_equal(result, expected)


@each_mode
def test_results_of_a_call_survive_the_next(mode):
    m = T.dmatrix("m")
    f = function([m], [(m * 2).exp().T, m.dot(m).sum(axis=1), T.nnet.softmax(m)], mode=mode)
    first = f(np.eye(3))
    kept = [result.copy() for result in first]
    f(np.ones((3, 3)) * 7)
    for result, expected in zip(first, kept, strict=True):
        np.testing.assert_array_equal(result, expected)


# ---- mises à jour ------------------------------------------------------------------------


@each_mode
def test_updates_read_old_values_then_write(mode):
    a, b = shared(np.array([1.0, 2.0]), name="a"), shared(np.array([3.0, 4.0]), name="b")
    swap = function([], a.sum(), updates=[(a, b), (b, a)], mode=mode)
    assert swap() == 3.0
    assert (a.get_value().tolist(), b.get_value().tolist()) == ([3.0, 4.0], [1.0, 2.0])
    assert not np.shares_memory(a.get_value(borrow=True), b.get_value(borrow=True))
    swap()
    assert a.get_value().tolist() == [1.0, 2.0]


@each_mode
def test_an_exception_leaves_every_shared_variable(mode):
    v, i = T.dvector("v"), T.lscalar("i")
    a, b, total = (shared(np.zeros(3), name=name) for name in ("a", "b", "total"))
    f = function(
        [v, i], v[i], updates={a: a + v, b: v.dot(np.ones(3)) + b, total: total + 1}, mode=mode
    )
    f(np.ones(3), 0)
    before = [s.get_value() for s in (a, b, total)]
    with pytest.raises(ShapeError):
        f(np.ones(3), 12)
    with pytest.raises(EngineError):
        f(np.ones(4), 0)
    for s, value in zip((a, b, total), before, strict=True):
        np.testing.assert_array_equal(s.get_value(), value)


@each_mode
def test_shared_and_outputs_do_not_alias(mode):
    w = shared(np.ones(3), name="w")
    f = function([], [w, w * 2], updates=[(w, w * 2)], mode=mode)
    old, new = f()
    new[...] = 99.0
    old[...] = 98.0
    assert w.get_value().tolist() == [2.0, 2.0, 2.0]
    held = w.get_value(borrow=True)
    f()
    assert held.tolist() == [2.0, 2.0, 2.0]  # une mise à jour pose un nouveau tableau


def test_two_shared_variables_with_the_same_update():
    a, b, x = shared(np.zeros(2), name="a"), shared(np.zeros(2), name="b"), T.dvector("x")
    new = x * 3
    result = function([x], new, updates=[(a, new), (b, new)])(np.ones(2))
    a.get_value(borrow=True)[0] = -1
    result[1] = -2
    assert (a.get_value().tolist(), b.get_value().tolist()) == ([-1, 3], [3, 3])


def test_default_update():
    counter = shared(0, name="compteur")
    counter.default_update = counter + 1
    f = function([], counter)
    assert (f(), f(), counter.get_value()) == (0, 1, 2)
    assert function([], counter, no_default_updates=True)() == 2
    assert function([], counter, updates=[(counter, counter + 10)])() == 2
    assert counter.get_value() == 12


def test_update_narrower_than_its_variable():
    s, x = shared(np.zeros(2), name="s"), T.fvector("x")
    function([x], updates=[(s, x)])([0.5, 1.5])
    assert s.get_value().dtype == "float64"
    assert s.get_value().tolist() == [0.5, 1.5]


def test_shared_values():
    value = np.ones(3)
    assert not np.shares_memory(shared(value).get_value(borrow=True), value)
    kept = shared(value, borrow=True)
    assert kept.get_value(borrow=True) is value
    assert not np.shares_memory(kept.get_value(), value)
    kept.set_value(np.zeros(5))
    assert kept.get_value().shape == (5,)
    kept.name = "autre"
    assert str(kept) == "autre"
    with pytest.raises(ShapeError):
        kept.set_value(np.zeros((2, 2)))
    with config.change_flags(floatX="float32"):
        assert (shared(1.0).dtype, shared(1).dtype, shared(np.float64(1)).dtype) == (
            "float32",
            "int64",
            "float64",
        )


# ---- entrées -----------------------------------------------------------------------------


@each_mode
def test_an_intermediate_may_be_an_input(mode):
    x = T.dscalar("x")
    y = x * 2
    z = y.exp()
    assert function([y], z, mode=mode)(0.0) == 1.0
    assert function([x], z, givens={y: x - 1}, mode=mode)(1.0) == 1.0
    assert function([y], [y, y + 1], mode=mode)(3.0) == [3.0, 4.0]


def test_givens():
    x, y = T.dvectors("xy")
    data = shared(np.arange(6.0), name="données")
    i = T.lscalar("i")
    f = function([i], (x * 2).sum(), givens={x: data[i * 2 : (i + 1) * 2]})
    assert [float(f(rank)) for rank in range(3)] == [2.0, 10.0, 18.0]
    swapped = function([x, y], x - y, givens=[(x, y), (y, x)])
    assert swapped([1.0], [5.0]).tolist() == [4.0]
    total = shared(0.0, name="total")
    assert function([y], total + 1, givens={total: y.sum()})([2.0]) == 3.0


def test_arguments_by_name_and_by_default():
    x, y = T.dscalars("xy")
    f = function([x, In(y, value=10.0)], x + y, name="somme")
    assert (f(1.0), f(1.0, 2.0), f(x=1.0), f(y=0.0, x=1.0), f(1.0, y=3.0)) == (11, 3, 11, 1, 4)
    for wrong in (
        f,
        lambda: f(1.0, 2.0, 3.0),
        lambda: f(1.0, z=2.0),
        lambda: f(1.0, x=2.0),
    ):
        with pytest.raises(InputError, match="somme"):
            wrong()
    renamed = function([In(x, name="taux")], x * 2)
    assert renamed(taux=2.0) == 4.0
    count = function([In(x, value=0.0, update=x + 1)], x)
    assert (count(), count(), count(7.0), count()) == (0, 1, 7, 8)


@each_mode
def test_strided_and_read_only_inputs(mode):
    m, v = T.fmatrix("m"), T.fvector("v")
    f = function([m, v], [T.exp(m) + v, m.sum(axis=0), T.nnet.softmax(m), m.dot(v)], mode=mode)
    base, vector = np.arange(24, dtype="float32").reshape(4, 6) / 10, np.arange(3, dtype="float32")
    expected = f(np.ascontiguousarray(base[::2, ::2]), vector)
    read_only = base.copy()
    read_only.flags.writeable = False
    bytes_ = (
        np.zeros(base.nbytes + 1, dtype="int8")[1:].view("float32").reshape(base.shape)
    )  # non aligné
    bytes_[...] = base
    for big in (base, np.asfortranarray(base), read_only, bytes_, base.astype(">f4")):
        before = big.copy()
        for result, wanted in zip(f(big[::2, ::2], vector), expected, strict=True):
            np.testing.assert_allclose(result, wanted, rtol=1e-6)
        np.testing.assert_array_equal(big, before)


def test_downcast_rules():
    x, d = T.fscalar("x"), T.dvector("d")
    f = function([x], x)
    assert [f(v) for v in (1, True, 0.5, np.float64(0.5), np.int64(3), np.float16(2))] == [
        1,
        1,
        0.5,
        0.5,
        3,
        2,
    ]
    with config.change_flags(floatX="float64"), pytest.raises(DtypeError):
        f(0.1)
    with config.change_flags(floatX="float32"):
        assert f(0.1) == np.float32(0.1)
    for wide in (np.array(0.5), np.float64(0.1), 2**40 + 1, "1", None, [1.0, 2.0], 1j):
        with pytest.raises((DtypeError, ShapeError)):
            f(wide)
    assert function([x], x, allow_input_downcast=True)(np.array(0.1)) == np.float32(0.1)
    strict = function([In(x, strict=True)], x)
    with pytest.raises(DtypeError):
        strict(1)
    g = function([d], d * 2)
    for value in (
        [1, 2],
        (1.0, 2.0),
        range(1, 3),
        np.array([1, 2]),
        np.array([1, 2], dtype="float32"),
    ):
        assert g(value).tolist() == [2.0, 4.0]
    i = T.ivector("i")
    assert function([i], i)([1, 2]).dtype == "int32"
    with pytest.raises(DtypeError):
        function([i], i)([1.5])
    with pytest.raises(DtypeError):
        function([i], i)(np.array([1.0]))
    with pytest.raises(ShapeError):
        g([[1.0]])
    with pytest.raises((DtypeError, ShapeError)):
        g([[1.0], [1.0, 2.0]])


# ---- variables ---------------------------------------------------------------------------


def test_variables_are_ordinary_python_objects():
    x, y = T.dscalars("xy")
    assert x == x and x != y
    assert {x: 1, y: 2}[x] == 1
    assert x in [y, x]
    assert isinstance(x.dtype, str) and type(x.dtype) is str
    assert bool(x) and bool(x + y)
    for comparison in (x > y, x < 1, T.eq(x, y), x >= y, x <= y, T.neq(x, y)):
        with pytest.raises(EngineError, match="switch"):
            bool(comparison)
    assert sum([x, y, x]).eval({x: 1.0, y: 2.0}) == 4.0
    assert abs(-x).eval({x: 2.0}) == 2.0
    z = x
    z += y
    assert z.eval({x: 1.0, y: 2.0}) == 3.0
    assert x.eval({x: 1.0}) == 1.0
    copied = copy.copy([x])
    assert copied[0] is x


def test_numpy_leaves_operators_to_variables():
    x = T.dvector("x")
    for make in (
        lambda a: a + x,
        lambda a: a * x,
        lambda a: a - x,
        lambda a: a / x,
        lambda a: a @ x,
        lambda a: a > x,
    ):
        variable = make(np.array([1.0, 2.0]))
        assert isinstance(variable, T.TensorVariable)
    assert (np.float64(2) ** x).eval({x: [3.0]}).tolist() == [8.0]


@pytest.mark.parametrize("floatX", ["float32", "float64"])
def test_dtype_rules(floatX):
    with config.change_flags(floatX=floatX):
        b, w, i, ll = T.bscalar("b"), T.wscalar("w"), T.iscalar("i"), T.lscalar("l")
        f, d, x = T.fscalar("f"), T.dscalar("d"), T.scalar("x")
        assert x.dtype == floatX
        table = [
            (i + f, "float64"),
            (b + f, "float32"),
            (w * f, "float32"),
            (f + d, "float64"),
            (i * ll, "int64"),
            (b + w, "int16"),
            (i / i, floatX),
            (b / w, floatX),
            (i // ll, "int64"),
            (f / i, "float64"),
            (f * 2, "float32"),
            (f * 2.5, "float32"),
            (f * 0.1, floatX),
            (1.0 - f, "float32"),
            (f**-0.5, "float32"),
            (f + 1e300, floatX),
            (f + float("inf"), "float32"),
            (T.switch(f > 0, f, float("nan")), "float32"),
            (T.maximum(f, 0.0), "float32"),
            (T.clip(f, 0.0, 1.0), "float32"),
            (T.stack([f, 0.5]), "float32"),
            (d * 2.5, "float64"),
            (f + np.bool_(True), "float32"),
            (f + 300, "float32"),
            (f + np.float64(2), "float64"),
            (f + np.float32(2), "float32"),
            (f + 70000, "float64"),
            (i > f, "bool"),
            (T.eq(i, i), "bool"),
            (f * (f > 0), "float32"),
            (d * (i > 0), "float64"),
            (-b, "int8"),
            (b + 1, "int8"),
            (b.sum(), "int64"),
            (T.mean(i), floatX),
            (T.mean(f), "float32"),
            (T.exp(i), "float64"),
            (T.sqrt(b), "float32"),
            (f**2, "float32"),
            (T.constant(1.5), floatX),
            (T.exp(0.5), floatX),
            (T.as_tensor_variable(0.5), "float32"),
            (T.constant(1), "int8"),
            (T.constant(1000), "int16"),
            (T.constant([1.5, 2]), floatX),
            (T.constant(np.float32(1)), "float32"),
            (T.switch(b, f, i), "float64"),
            ((f > 0) & (i > 0), "bool"),
        ]
        for variable, dtype in table:
            assert variable.dtype == dtype, (
                f"{engine.pp(variable)} : {variable.dtype}, et non {dtype}"
            )
        variables = [b, w, i, ll, f, d]
        values = [3, 4, 5, 6, 1.5, 2.5]
        results = function(variables, [v for v, _ in table], on_unused_input="ignore")(*values)
        assert [str(r.dtype) for r in results] == [dtype for _, dtype in table]


def test_gate_differentiates():
    x = T.dvector("x")
    assert grad((x * (x > 0)).sum(), x).eval({x: [-1.0, 2.0]}).tolist() == [0.0, 1.0]


def test_known_gradients_replace_those_of_the_cost():
    x = T.dvector("x")
    total = x.sum()
    known = {total: T.constant(100.0)}
    assert grad(total**2, x, known_grads=known).eval({x: [1.0, 2.0]}).tolist() == [100.0, 100.0]
    assert grad(None, x, known_grads=known).eval({x: [1.0, 2.0]}).tolist() == [100.0, 100.0]


def test_constants_for_the_gradient():
    x = T.dscalar("x")
    y = x**2
    assert grad(y * x, x, consider_constant=[y]).eval({x: 3.0}) == 9.0
    assert grad(y * 2, [x, y])[1].eval({x: 3.0}) == 2.0
    assert grad(x, x).eval({x: 3.0}) == 1.0


# ---- modes et source ---------------------------------------------------------------------


def test_modes_agree():
    m, v = T.dmatrix("m"), T.dvector("v")
    cost = T.log(T.nnet.softmax(m.dot(m.T) + v))[T.arange(2), T.argmax(m, axis=1)].mean()
    outputs = [cost, grad(cost, m), grad(cost, v)]
    values = [np.array([[0.1, 2.0], [3.0, -1.0]]), np.array([0.5, -0.5])]
    expected = function([m, v], outputs, mode=Mode("numpy", None))(*values)
    for mode in (
        *MODES,
        Mode("numba").excluding("fusion"),
        Mode("numpy").including("inplace"),
        None,
    ):
        for result, wanted in zip(
            function([m, v], outputs, mode=mode)(*values), expected, strict=True
        ):
            np.testing.assert_allclose(result, wanted, rtol=1e-12)


def test_source_is_readable_and_runs():
    x, y = T.dvectors("xy")
    s = shared(np.ones(2), name="poids")
    f = function([x, y], T.exp(x).dot(y) + s, updates=[(s, s * 2)], name="essai")
    lines = f.source.splitlines()
    assert lines[0] == "def step(x, y):"
    assert sum("#" in line for line in lines) == len(f.fgraph.toposort())
    assert "case_poids.data = " in f.source
    scope = dict(f._program.__globals__)
    exec(compile(f.source, "copie", "exec"), scope)
    np.testing.assert_array_equal(scope["step"](np.zeros(2), np.ones(2))[0], [3.0, 3.0])
    assert s.get_value().tolist() == [2.0, 2.0]
    assert repr(f) == "<fonction essai(x, y)>"


def test_any_name_will_do():
    """Un nom de variable ne heurte ni un mot de Python ni un nom du programme émis."""
    names = ["step", "out", "del", "a b", "empty", "ndarray", "type", "lambda", "1er", "", "x", "x"]
    variables = [T.dscalar(name) for name in names]
    f = function(variables, T.exp(sum(variables)) * variables[0])
    assert f(*[0] * len(names)) == 0.0


def test_the_same_source_for_the_same_program():
    def source():
        m = T.dmatrix("m")
        w = shared(np.ones((3, 2)), name="w")
        cost = T.log(T.nnet.softmax(m.dot(w))).mean()
        return function([m], cost, updates=[(w, w - 0.1 * grad(cost, w))]).source

    assert source() == source()


def test_copy_with_swap():
    a, b, x = shared(1.0, name="a"), shared(100.0, name="b"), T.dscalar("x")
    f = function([x], a + x, updates=[(a, a + x)])
    g = f.copy(swap={a: b})
    assert (f(1.0), g(1.0), a.get_value(), b.get_value()) == (2.0, 101.0, 2.0, 101.0)


def test_a_failing_node_names_itself():
    x, y = T.dmatrices("xy")
    with pytest.raises(EngineError) as caught:
        function([x, y], T.exp(x + y))(np.ones((2, 3)), np.ones((4, 3)))
    assert isinstance(caught.value, ShapeError | RuntimeNodeError)
    assert "(2, 3)" in str(caught.value) and "(4, 3)" in str(caught.value)
    assert Path(__file__).name in str(caught.value)


# ---- réglages ----------------------------------------------------------------------------


def test_the_file_beats_the_defaults(tmp_path):
    path = tmp_path / "engine.toml"
    path.write_text('floatX = "float32"\ntrace_depth = 5\n', "utf-8")
    settings = Config(path, {})
    assert (settings.floatX, settings.trace_depth, settings.mode) == ("float32", 5, "FAST_RUN")


def test_the_environment_beats_the_file(tmp_path):
    path = tmp_path / "engine.toml"
    path.write_text('floatX = "float32"\nmode = "FAST_RUN"\n', "utf-8")
    settings = Config(path, {"ENGINE_FLAGS": "floatX=float64, trace_depth=7"})
    assert (settings.floatX, settings.trace_depth, settings.mode) == ("float64", 7, "FAST_RUN")


def test_the_program_beats_the_environment(tmp_path):
    settings = Config(tmp_path / "absent.toml", {"ENGINE_FLAGS": "floatX=float32"})
    settings.floatX = "float64"
    assert settings.floatX == "float64"
    with settings.change_flags(floatX="float32"):
        assert settings.floatX == "float32"
    assert settings.floatX == "float64"


def test_the_three_sources_in_a_real_start(tmp_path):
    (tmp_path / ".engine.toml").write_text(
        'floatX = "float32"\nmode = "FAST_COMPILE"\ntrace_depth = 9\n', "utf-8"
    )
    program = (
        "from engine import config as c; c.trace_depth = 1; print(c.floatX, c.mode, c.trace_depth)"
    )
    environment = os.environ | {
        "HOME": str(tmp_path),
        "USERPROFILE": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "ENGINE_FLAGS": "mode=FAST_RUN,trace_depth=4",
    }
    shown = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == ["float32", "FAST_RUN", "1"]


@pytest.mark.parametrize(
    "flags", ["floatx=float32", "floatX=float31", "trace_depth=beaucoup", "device=gpu7"]
)
def test_wrong_settings_are_refused(tmp_path, flags):
    with pytest.raises(ConfigError) as caught:
        Config(tmp_path / "absent.toml", {"ENGINE_FLAGS": flags})
    assert caught.value.where == "ENGINE_FLAGS"
    assert caught.value.expected


def test_default_updates_call_one_another():
    a, b = engine.shared(1.0, name="a"), engine.shared(1.0, name="b")
    b.default_update, a.default_update = b + 1, a + b
    f = engine.function([], a * 1)
    f()
    f()
    assert (a.get_value(), b.get_value()) == (4.0, 3.0)


def test_two_variables_of_one_name_are_told_apart():
    q, other, unused = T.dscalar("q"), T.dscalar("q"), T.dscalar("r")
    with pytest.raises(MissingInputError) as caught:
        engine.function([other, unused], q * 2 + other, on_unused_input="ignore")
    assert "portent le nom q" in caught.value.hint


# ---- la trace d’appel de l’élève, les mises à jour par défaut, l’état --------------------


@engine.as_op([T.dscalar], [T.dscalar])
def faulty(value):
    return {}["absent"]  # LA LIGNE FAUTIVE


@pytest.mark.parametrize("profile", [None, True])
@pytest.mark.parametrize("mode", [*MODES, "DebugMode", engine.NanGuardMode()], ids=str)
def test_the_learner_s_own_traceback_is_kept(mode, profile):
    s, x = T.dscalar("s"), T.dvector("x")
    rows, _ = engine.scan(faulty, x)
    for variable, out, value in ((s, faulty(s) * 2, 1.0), (x, rows, [1.0])):
        with pytest.raises(RuntimeNodeError, match="absent") as caught:
            function([variable], out, mode=mode, profile=profile)(value)
        assert "LA LIGNE FAUTIVE" in "".join(traceback.format_exception(caught.value))
        assert caught.value.where and caught.value.received


def test_which_default_updates_are_made():
    a, b = shared(0.0, name="a"), shared(0.0, name="b")
    a.default_update, b.default_update = a + 1, b + a
    values = [a, b]

    def after(outputs, **options):
        for s in values:
            s.set_value(0.0)
        inputs = options.pop("inputs", [])
        f = function(inputs, outputs, **options)
        for _ in range(2):
            f(*[9.0] * len(inputs))
        return [float(s.get_value()) for s in values]

    x, h = T.dscalar("x"), a * 2
    assert after([a, b]) == [2.0, 1.0]
    assert after(b) == [2.0, 1.0]  # la mise à jour de b lit a, qui avance donc
    assert after([a, b], no_default_updates=True) == [0.0, 0.0]
    assert after([a, b], no_default_updates=[b]) == [2.0, 0.0]
    assert after([a, b], no_default_updates=(a,)) == [0.0, 0.0]
    assert after([a, b], updates={a: a + 5}) == [10.0, 5.0]
    assert after(a, inputs=[x], givens={a: x}) == [0.0, 0.0]
    assert after(b, inputs=[x], givens={a: x}) == [0.0, 18.0]  # b + a, où a est remplacé
    assert after(h + 1, inputs=[h]) == [0.0, 0.0]  # l’entrée coupe le graphe avant a
    with pytest.raises(EngineError, match="no_default_updates"):
        after(a, no_default_updates=["a"])


def test_a_draw_given_as_an_input_does_not_advance():
    draw = T.shared_randomstreams.RandomStreams(5).uniform((2,))
    given, drawn = function([draw], draw * 2), function([], draw)
    first = drawn()
    for _ in range(3):
        assert given([1.0, 2.0]).tolist() == [2.0, 4.0]
    draw = T.shared_randomstreams.RandomStreams(5).uniform((2,))
    again = function([], draw)
    assert again().tolist() == first.tolist() and again().tolist() == drawn().tolist()


def test_numpy_modes_load_no_numba():
    code = (
        "import sys, engine, engine.tensor as T; from engine import Mode\n"
        "x = T.dvector('x'); y = T.tanh(x).sum()\n"
        "y.eval({x: [1.0]}); T.constant(1.0).eval()\n"
        "for mode in ('FAST_COMPILE', Mode('numpy'), Mode('numpy', None)):\n"
        "    engine.function([x], engine.grad(y, x), mode=mode)([1.0])\n"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_keys_of_a_dictionary_of_outputs_are_texts():
    x = T.dscalar("x")
    with pytest.raises(InputError, match="des noms"):
        function([x], {"z": x, 1: x * 2})
