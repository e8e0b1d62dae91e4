"""Les outils de débogage : chacun doit prendre la faute qu’on lui tend, et la nommer."""

import copy
import warnings

import numpy as np
import pytest

from engine import Mode, config, function, grad, printing, shared
from engine import tensor as T
from engine.core import registry
from engine.core.errors import (
    BadValueError,
    DebugModeError,
    EngineError,
    MissingTestValueError,
    ShapeError,
)
from engine.core.graph import Apply, Op
from engine.core.rewriting import REWRITES, rewrite
from engine.look.debug import DebugMode, NanGuardMode, PdbBreakpoint, Print


class Double(Op):
    """2x, avec le droit de se tromper de plusieurs façons."""

    __props__ = ("fault",)

    def __init__(self, fault=""):
        self.fault = fault

    def make_node(self, x):
        x = T.as_tensor_variable(x)
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        (x,) = inputs
        output_storage[0][0] = 2 * x
        if self.fault == "écrase":
            x[...] = 0


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(4, 3))


# ---- Print ---------------------------------------------------------------------------------


def test_print_shows_once_per_call_and_passes_gradients(capsys):
    x = T.dvector("x")
    seen = printing.Print("x vaut", attrs=("shape", "__str__"))(x)
    f = function([x], [T.exp(seen).sum(), grad(T.exp(seen).sum(), x)])
    assert capsys.readouterr().out == ""
    for _ in range(2):
        _, gradient = f([0.0, 1.0])
        assert capsys.readouterr().out == "x vaut shape = (2,)\nx vaut __str__ = [0. 1.]\n"
        np.testing.assert_allclose(gradient, np.exp([0.0, 1.0]))


def test_print_of_a_constant_still_prints(capsys):
    f = function([], Print("c")(T.constant(3.0)) + 1)
    assert f() == 4 and "c __str__ = 3.0" in capsys.readouterr().out


def test_print_takes_a_function():
    seen = []
    x = T.dscalar("x")
    f = function([x], Print("x", global_fn=lambda op, value: seen.append(float(value)))(x) * 2)
    f(3.0)
    assert seen == [3.0]


# ---- point d’arrêt -------------------------------------------------------------------------


def test_breakpoint_stops_when_the_condition_holds():
    stops = []
    x, y = T.dvectors("xy")
    stop = PdbBreakpoint("grand", hook=lambda name, arrays: stops.append((name, *map(sum, arrays))))
    a, b = stop(T.gt(x.sum(), 10), x, y)
    f = function([x, y], [a * b, *grad((a * b).sum(), [x, y])])
    f([1.0], [2.0])
    assert stops == []
    product, dx, dy = f([11.0], [2.0])
    assert stops == [("grand", 11, 2)]
    assert (product, dx, dy) == ([22], [2], [11])


def test_breakpoint_wants_a_scalar_condition():
    x = T.dvector("x")
    with pytest.raises(ShapeError, match=r"any\(\)"):
        PdbBreakpoint("p")(T.gt(x, 0), x)


# ---- NaN -----------------------------------------------------------------------------------


def test_nan_guard_names_the_line():
    x = T.dvector("x")
    shifted = x - 1
    logs = T.log(shifted)  # la ligne fautive
    f = function([x], T.exp(logs * 2 + 1).sum(), mode=NanGuardMode(inf_is_error=False))
    assert np.isfinite(f([2.0, 3.0]))
    with pytest.raises(BadValueError) as caught, np.errstate(all="ignore"):
        f([2.0, 0.0])
    text = str(caught.value)
    assert text.startswith("log contient 1 NaN sur 2 valeur(s), le premier à l’indice (1,)")
    assert "# la ligne fautive" in text and "de -1 à 1" in text


@pytest.mark.parametrize(
    ("value", "kept", "kind"),
    [
        (np.nan, "nan_is_error", "NaN"),
        (np.inf, "inf_is_error", "infini"),
        (1e11, "big_is_error", "supérieure"),
    ],
)
def test_nan_guard_takes_what_it_is_asked(value, kept, kind):
    x = T.dvector("x")
    names = ("nan_is_error", "inf_is_error", "big_is_error")
    with pytest.raises(BadValueError, match=kind):
        function([x], x * 2, mode=NanGuardMode(**{name: name == kept for name in names}))([value])
    function([x], x * 2, mode=NanGuardMode(**{name: name != kept for name in names}))([value])


# ---- DebugMode -----------------------------------------------------------------------------


@pytest.fixture
def wrong_rule():
    @rewrite("sinus_faux", "canonicalize", on=["sin"], reason="fausse exprès")
    def wrong(node):
        return [node.inputs[0] * 0.999]

    yield
    del REWRITES["sinus_faux"]


def test_a_wrong_rewrite_is_named(wrong_rule, values):
    x = T.dmatrix("x")
    f = function([x], T.sin(x * 2).sum(), mode="DebugMode")  # la ligne du sinus
    with pytest.raises(DebugModeError) as caught:
        f(values)
    text = str(caught.value)
    assert "« sinus_faux »" in text.replace("\xa0", " ").replace("\u202f", " ")
    assert "la ligne du sinus" in text and "fausse exprès" in text


@pytest.fixture
def wrong_kernel():
    @registry.kernel(Double, "numpy")
    def double(node, reuse):
        return lambda x: x * 2.001

    yield
    del registry._FACTORIES["numpy", Double]


def test_a_wrong_kernel_is_named(wrong_kernel, values):
    x = T.dmatrix("x")
    f = function([x], Double()(x) + 1, mode=DebugMode())
    with pytest.raises(DebugModeError, match=r"Double.*le noyau numpy ne rend pas"):
        f(values)


def test_an_overwritten_input_is_named(values):
    x = T.dmatrix("x")
    f = function([x], Double("écrase")(x + 1), mode=DebugMode(optimizer=None))
    with pytest.raises(DebugModeError, match=r"Double.*a écrasé son entrée 0"):
        f(values)


@pytest.mark.parametrize("mode", ["DebugMode", "DEBUG_MODE", DebugMode("numpy")], ids=str)
def test_right_programs_pass(mode, values):
    x, w = T.dmatrix("x"), shared(values.T.copy(), "w")
    labels = T.ivector("labels")
    p = T.nnet.softmax(T.dot(x, w))
    cost = -T.log(p)[T.arange(4), labels].mean() + T.log(1 + T.exp(x)).mean()
    step = function([x, labels], cost, updates=[(w, w - 0.1 * grad(cost, w))], mode=mode)
    plain = function([x, labels], cost)
    first, second = (np.array([0, 1, 2, 3], "int32"), np.array([3, 1, 0, 0], "int32"))
    expected = plain(values, first)
    np.testing.assert_allclose(step(values, first), expected)
    step(values, second)


def test_a_stabilisation_may_repair(values):
    x = T.dmatrix("x")
    naive = (1 / T.log(T.nnet.softmax(x)) + T.log(1 - T.nnet.sigmoid(x))).sum()
    f = function([x], [naive, grad(naive, x)], mode="DebugMode")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for scale in (1.0, 35.0, 1000.0):
            f(values * scale)


def test_modes_keep_their_kind():
    mode = NanGuardMode().excluding("stabilize")
    assert isinstance(mode, NanGuardMode) and mode.watch and "stabilize" in mode.exclude
    x = T.dscalar("x")
    f = copy.deepcopy(function([x], T.log(x), mode=mode))
    with pytest.raises(BadValueError), np.errstate(all="ignore"):
        f(-1.0)


# ---- profil --------------------------------------------------------------------------------


def test_profile_totals_agree(values):
    x = T.dmatrix("x")
    f = function([x], [T.exp(x).sum(), T.dot(x, x.T)], profile=True)
    for _ in range(3):
        f(values)
    nodes, ops = f.profile.by_node(), f.profile.by_op()
    assert len(nodes) == len(f.fgraph.nodes)
    assert all(row.calls == 3 for row in nodes) and f.profile.calls == 3
    inside = sum(row.seconds for row in nodes)
    assert inside == pytest.approx(sum(row.seconds for row in ops))
    assert 0 < inside <= f.profile.seconds
    assert sum(map(f.profile.share, ops)) == pytest.approx(1)
    assert [row.seconds for row in ops] == sorted((row.seconds for row in ops), reverse=True)
    dot = next(row for row in nodes if row.label == "dot")
    assert dot.memory == 4 * 4 * 8
    text = str(f.profile)
    assert "Par op" in text and "Par nœud" in text and "3 appel(s)" in text and "128" in text


def test_no_profile_costs_nothing(values):
    x = T.dmatrix("x")
    f = function([x], T.dot(x, x.T))
    assert f.profile is None and f.mode.watch == ()


# ---- valeurs d’essai -----------------------------------------------------------------------


def test_a_bad_shape_fails_where_it_is_written():
    config.compute_test_value = "raise"
    x, y = T.dmatrix("x"), T.dmatrix("y")
    x.tag.test_value, y.tag.test_value = np.ones((3, 4)), np.ones((5, 2))
    assert (x + 1).tag.test_value.tolist() == (np.ones((3, 4)) + 1).tolist()
    with pytest.raises(ShapeError) as caught:
        T.dot(x, y)  # la ligne du produit
    assert "la ligne du produit" in str(caught.value) and "(5, 2)" in str(caught.value)


def test_missing_test_values():
    x = T.dvector("x")
    config.compute_test_value = "raise"
    with pytest.raises(MissingTestValueError, match=r"x\.tag\.test_value"):
        x + 1
    config.compute_test_value = "warn"
    with pytest.warns(UserWarning, match="valeur d’essai"):
        x + 1
    config.compute_test_value = "ignore"
    assert not hasattr((x + 1).tag, "test_value")


def test_wrong_test_value_names_its_variable():
    config.compute_test_value = "raise"
    x = T.dvector("x")
    x.tag.test_value = np.ones((2, 2))
    with pytest.raises(EngineError, match=r"x\.tag\.test_value"):
        x + 1


def test_gradients_and_compilation_under_test_values():
    config.compute_test_value = "raise"
    x, w = T.dmatrix("x"), shared(np.ones((3, 2)), "w")
    x.tag.test_value = np.ones((4, 3))
    cost = T.log(T.nnet.softmax(T.dot(x, w))).mean()
    gradient = grad(cost, w)
    assert gradient.tag.test_value.shape == (3, 2)
    function([x], gradient, mode=Mode("numpy"))(np.ones((4, 3)))


def test_off_by_default():
    x = T.dvector("x")
    x.tag.test_value = np.ones(3)
    assert not hasattr((x + 1).tag, "test_value")
