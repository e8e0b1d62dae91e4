"""`engine.compat` : chaque ligne de ses tables mène quelque part ; réglages, absences, commande."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

import engine
from engine import compat, config
from engine.compat.old_config import NO_EFFECT, SETTINGS
from engine.compat.table import ABSENT, MODULES, NAMES
from engine.core.errors import ConfigError, InputError

PLACES = {place for row in MODULES.values() for place in row}


@pytest.fixture
def theano():
    compat.install()
    yield importlib.import_module("theano")
    compat.uninstall()


@pytest.mark.parametrize("path", sorted(PLACES))
def test_every_module_of_the_table_is_here(path):
    importlib.import_module(path)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_table_leads_somewhere(theano, name):
    module, _, attribute = name.rpartition(".")
    assert hasattr(importlib.import_module(module), attribute)


def test_modules_show_their_names(theano):
    assert {"tensor", "function", "shared", "config", "grad"} <= set(dir(theano))
    assert {"dmatrix", "nnet", "exp"} <= set(dir(theano.tensor))


def test_a_function_hides_the_submodule_of_its_name(theano):
    for name in MODULES:
        importlib.import_module(name)
    assert theano.tensor.var is engine.tensor.var and theano.tensor.sort is engine.tensor.sort
    assert theano.compile.function is engine.function
    assert theano.scan_module.scan is engine.scan
    for name in MODULES.keys() - {"theano"}:
        parent, _, child = name.rpartition(".")
        found = getattr(sys.modules[parent], child)
        assert callable(found) or found is sys.modules[name]


def test_functions_of_numpy_build_the_graph_under_the_alias_only():
    x, value = engine.tensor.dvector(), np.array([0.5, 2.0])
    compat.install()
    try:
        np.testing.assert_allclose(np.exp(x).eval({x: value}), np.exp(value))
        np.testing.assert_allclose(np.hypot(x, 2.0).eval({x: value}), np.hypot(value, 2))
    finally:
        compat.uninstall()
    with pytest.raises(TypeError, match=r"T\.exp"):
        np.exp(x)


def test_classes_are_ours(theano):
    x = theano.tensor.dvector("x")
    assert isinstance(x, theano.tensor.TensorVariable)
    assert isinstance(x, theano.gof.Variable)
    assert isinstance(theano.shared(1.0), theano.compile.SharedVariable)
    assert isinstance((x + 1).owner.op, theano.tensor.elemwise.Elemwise)
    f = theano.function([x], x + 1)
    assert isinstance(f, theano.compile.function_module.Function)
    assert len(f.maker.fgraph.toposort()) == 1


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_absent_says_why(theano, name):
    with pytest.raises((AttributeError, ImportError)) as caught:
        importlib.import_module(name).something  # noqa: B018
    assert ABSENT[name].split()[0] in str(caught.value).replace("’", "'")


def test_a_submodule_that_never_was_is_named(theano):
    with pytest.raises(ModuleNotFoundError, match=r"theano\.nulle_part"):
        importlib.import_module("theano.nulle_part")


# ---- réglages ------------------------------------------------------------------------------


def test_settings_with_an_equal_are_passed_on(theano):
    theano.config.floatX = "float32"
    theano.config.compute_test_value = "warn"
    theano.config.optimizer = "fast_compile"
    assert (config.floatX, config.compute_test_value) == ("float32", "warn")
    assert config.mode == "FAST_COMPILE" and theano.config.optimizer == "fast_compile"
    theano.config.mode = "Mode"
    assert config.mode == "FAST_RUN" and theano.config.floatX == "float32"


@pytest.mark.parametrize("name", [name for name, rule in SETTINGS.items() if rule is NO_EFFECT])
def test_settings_without_effect_are_accepted(theano, name):
    before = repr(config)
    setattr(theano.config, name, "x")
    getattr(theano.config, name).one_of_its_own = True
    assert repr(config) == before


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("cast_policy", "numpy+floatX", "float64"),
        ("profile", True, "profile=True"),
        ("optimizer", "o4", "fast_run"),
        ("nothing_of_the_kind", 1, "réglage inconnu"),
    ],
)
def test_settings_that_would_lie_are_refused(theano, name, value, why):
    with pytest.raises(ConfigError, match=why):
        setattr(theano.config, name, value)


def test_another_device_is_replaced_with_a_warning(theano):
    with pytest.warns(UserWarning, match="processeur"):
        theano.config.device = "cuda0"
    assert theano.config.device == "cpu"


def test_flags_of_the_environment(monkeypatch):
    monkeypatch.setenv("THEANO_FLAGS", "floatX=float32,optimizer=fast_compile,gcc.cxxflags=-O3")
    compat.install()
    try:
        assert (config.floatX, config.mode) == ("float32", "FAST_COMPILE")
    finally:
        compat.uninstall()


def test_flags_changed_for_a_while(theano):
    with theano.config.change_flags(floatX="float32"):
        assert theano.tensor.matrix().dtype == "float32"
    assert config.floatX == "float64"


# ---- anciens appels ------------------------------------------------------------------------


def test_param(theano):
    x, y = theano.tensor.dscalars("xy")
    f = theano.function([x, theano.Param(y, default=2.0)], x * y)
    assert float(f(3.0)) == 6.0 and float(f(3.0, 1.0)) == 3.0
    with pytest.raises(InputError):
        f()


def test_linkers_of_old(theano):
    x = theano.tensor.dvector()
    for linker in ("vm", "cvm", "c|py", "py"):
        f = theano.function([x], x.sum(), mode=theano.Mode(linker, "fast_run"))
        assert float(f([1.0, 2.0])) == 3.0


def test_signal_convolution(theano):
    rng = np.random.default_rng(0)
    image, kernels = rng.normal(size=(5, 6)), rng.normal(size=(2, 3, 3))
    conv2d = importlib.import_module("theano.tensor.signal.conv").conv2d
    a, b = theano.tensor.dmatrix(), theano.tensor.dtensor3()
    found = theano.function([a, b], conv2d(a, b))(image, kernels)
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3))
    np.testing.assert_allclose(
        found, np.einsum("hwuv,kuv->khw", windows, kernels[:, ::-1, ::-1]), 1e-12
    )


def test_install_twice_and_undo():
    compat.install()
    compat.install()
    compat.uninstall()
    assert "theano" not in sys.modules and not hasattr(engine.Function, "maker")
    with pytest.raises(ImportError):
        importlib.import_module("theano.tensor")


def test_command(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nimport numpy\nimport theano\nprint(theano.config.floatX, sys.argv[1:])\n"
        "print(numpy.float(3), __name__)\n"
    )
    command = [sys.executable, "-m", "engine.compat", str(program), "a", "-b"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "float64 ['a', '-b']\n3.0 __main__\n"


def test_functions_that_only_theano_had(theano):
    T = theano.tensor
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.5, -1.0], [2.0, 0.0]])
    x, y, v, w = T.dmatrix(), T.dmatrix(), T.lvector(), T.lvector()

    def value(expression, **values):
        given = {x: a, y: b, v: [0, 2, 2, 1], w: [0, 1, 2, 1]}
        f = theano.function(list(given), expression, on_unused_input="ignore")
        return f(*given.values())

    inf, nan = np.inf, np.nan
    left, right = np.array([1.0, inf, -inf, nan, 1.0]), np.array([1.0 + 1e-9, inf, inf, nan, 1.1])
    for equal_nan in (False, True):
        found = value(T.isclose(left, right, equal_nan=equal_nan))
        assert np.array_equal(found, np.isclose(left, right, equal_nan=equal_nan))
    assert value(T.allclose(x, x + 1e-10)) and not value(T.allclose(x, y))
    assert np.array_equal(value(T.stacklists([[x, y], [y, x]])), [[a, b], [b, a]])
    np.testing.assert_allclose(value(T.slinalg.kron(x, y)), np.kron(a, b))
    for n in (1, 2, 3, 6):
        found = value(T.nlinalg.matrix_power(x, n))
        np.testing.assert_allclose(found, np.linalg.matrix_power(a, n))
    np.testing.assert_allclose(value(T.nlinalg.norm(x)), np.linalg.norm(a))
    np.testing.assert_allclose(value(T.nlinalg.norm(x[0], 1)), 3.0)
    counts, classes = value(T.nnet.confusion_matrix(v, w))
    assert np.array_equal(counts, [[1, 0, 0], [0, 1, 0], [0, 1, 1]])
    assert np.array_equal(classes, [0, 1, 2])
    picked = value(T.nnet.crossentropy_categorical_1hot(x, w[:2]))
    np.testing.assert_allclose(picked, [-np.log(1.0), -np.log(4.0)])
    gradient = T.grad((x**3).sum(), x)
    for r_op in (False, True):
        product = theano.gradient.hessian_times_vector(gradient, x, y, r_op)
        np.testing.assert_allclose(value(product), 6 * a * b)
    assert T.get_scalar_constant_value(T.constant(3)) == 3
    with pytest.raises(T.NotScalarConstantError):
        T.get_scalar_constant_value(x)
    assert np.array_equal(value(x.ravel()), a.ravel())
    zero_log_zero = T.xlogx.xlogx(T.constant([0.0, 2.0]))
    np.testing.assert_allclose(value(zero_log_zero), [0.0, 2 * np.log(2)])
