"""Ce que lit un débutant quand il se trompe : le type de l’erreur, ses champs, son texte.

Les textes sont dans `snapshots/`, un fichier par erreur. Pour les renouveler après un changement
voulu : `CHAINAGE_RENOUVELER=1 python3 demarrer.py tests tests/core/test_errors.py`, puis relire.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest

import course
import engine
import engine.tensor as T
from engine.backends import cache
from engine.core.errors import (
    ConfigError,
    DataError,
    DisconnectedInputError,
    DtypeError,
    EngineError,
    GradientError,
    InputError,
    MissingInputError,
    ModeError,
    RuntimeNodeError,
    ShapeError,
    UnusedInputError,
    UpdateError,
)
from engine.core.graph import Apply, Op
from engine.core.modes import Mode
from engine.core.request import In
from engine.core.settings import Config
from engine.nn import Training

SNAPSHOTS = Path(__file__).with_name("snapshots")


def model():
    """Une petite régression, en float32."""
    engine.config.floatX = "float32"
    x, y = T.matrix("x"), T.lvector("y")
    W = engine.shared(np.zeros((4, 3), "float32"), name="W")
    p = T.nnet.softmax(T.dot(x, W))
    cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y])
    return x, y, W, cost


def call(*arguments, **options):
    x, y, _, cost = model()
    return engine.function([x, y], cost, **options)(*arguments)


X = np.ones((2, 4), "float32")


def product_of_wrong_shapes():
    call(np.ones((2, 5), "float32"), [0, 1])


def product_of_wrong_known_shapes():
    T.dot(T.ones((2, 3)), T.ones((4, 5)))


def sum_of_wrong_shapes():
    x, b = T.dmatrix("x"), T.dvector("b")
    engine.function([x, b], T.tanh(x + b))(np.ones((4, 3)), np.ones(4))


def sum_of_wrong_known_shapes():
    T.zeros((3, 4)) + T.zeros((2, 4))


def label_out_of_range():
    call(X, [0, 3])


def axis_that_does_not_exist():
    T.dmatrix("x").sum(axis=2)


def vector_for_a_matrix():
    call(np.ones(4, "float32"), [0])


def float64_for_float32():
    call(X.astype("float64"), [0, 1])


def fraction_for_an_integer():
    call(X, [0.5, 1])


def text_for_a_matrix():
    call("bonjour", [0])


def variable_for_a_value():
    call(T.matrix("autre"), [0])


def forgotten_argument():
    call(X)


def argument_of_unknown_name():
    x, y, _, cost = model()
    engine.function([x, In(y, name="étiquettes")], cost)(X, y=[0, 1])


def input_nobody_gives():
    x, _, _, cost = model()
    engine.function([x], cost)


def input_that_serves_nothing():
    x, y, _, cost = model()
    engine.function([x, y, T.dscalar("taux")], cost)


def shared_variable_as_input():
    x, y, W, cost = model()
    engine.function([x, y, W], cost)


def cost_with_axes():
    x, _, W, _ = model()
    engine.grad(T.dot(x, W), W)


def cost_that_ignores_a_parameter():
    _, _, W, cost = model()
    b = engine.shared(np.zeros(3, "float32"), name="b")
    engine.grad(cost, [W, b])


def float64_in_an_update():
    x, y, W, cost = model()
    rate = T.dscalar("taux")
    engine.function([x, y, rate], cost, updates=[(W, W - rate * engine.grad(cost, W))])


def update_of_another_rank():
    x, y, W, cost = model()
    engine.function([x, y], cost, updates=[(W, W.sum(axis=0))])


def update_of_an_expression():
    x, y, W, cost = model()
    engine.function([x, y], cost, updates=[(W * 2, W)])


def two_updates_of_one_variable():
    x, y, W, cost = model()
    engine.function([x, y], cost, updates=[(W, W * 2), (W, W * 3)])


def unknown_mode():
    call(X, [0, 1], mode="RAPIDE")


def unknown_linker():
    Mode(linker="fortran")


def unknown_setting():
    engine.config.floatx = "float32"


def refused_setting():
    engine.config.floatX = "float31"


def unknown_dtype():
    T.matrix("x", dtype="float31")


def comparison_as_a_condition():
    if T.dscalar("x") > 0:
        pass


def loop_over_an_unknown_length():
    list(T.dvector("v"))


def index_that_is_a_float():
    T.dvector("v")[T.dscalar("i")]


def shared_from_an_expression():
    engine.shared(T.dscalar("x"))


def parameter_without_a_name():
    Training(None, 1, None, [engine.shared(0.0)])


def sum_of_wrong_shapes_before_a_fused_loop():
    x, b = T.dmatrices("xb")
    total = x + b
    scaled = T.tanh(total) * 2
    engine.function([x, b], T.exp(scaled) - 1)(np.ones((2, 3)), np.ones((4, 3)))


def gradient_of_wrong_shape():
    x, w, g = T.dmatrices("xwg")
    y = x.dot(w)
    gradient = engine.grad(None, w, known_grads={y: g})
    engine.function([x, g], gradient)(np.ones((2, 3)), np.ones((5, 4)))


def reshape_to_another_size():
    x = T.dmatrix("x")
    engine.function([x], x.reshape((4, 2)))(np.ones((2, 3)))


def dimshuffle_that_drops_an_axis():
    T.zeros((3, 4)).dimshuffle(0)


def more_indices_than_axes():
    T.dvector("v")[0, 1]


def logic_on_floats():
    x = T.dvector("x")
    x & (x > 0)


def text_in_an_expression():
    T.dvector("x") + "1"


def replacement_of_another_dtype():
    x, y = T.fvector("x"), T.dvector("y")
    engine.function([y], x * 2, givens={x: y})


def input_given_twice():
    x = T.dscalar("x")
    engine.function([x, x], x)


def number_as_input():
    engine.function([3.0], T.dscalar("x"))


def cost_that_is_an_integer():
    n = T.lscalar("n")
    engine.grad(n * 2, n)


def gradient_by_something_else():
    engine.grad(T.dscalar("x") * 2, "x")


def int32_in_an_update():
    _, _, W, _ = model()
    n = T.imatrix("n")
    product = W * n
    engine.function([n], updates=[(W, W + T.exp(product))])


class Broken(Op):
    """Une op de l’utilisateur, qui échoue."""

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        raise RuntimeError("disque absent")


def op_that_fails():
    x = T.dscalar("x")
    engine.function([x], Broken()(x) + 1)(2.0)


CASES = {
    product_of_wrong_shapes: ShapeError,
    product_of_wrong_known_shapes: ShapeError,
    sum_of_wrong_shapes: ShapeError,
    sum_of_wrong_known_shapes: ShapeError,
    label_out_of_range: ShapeError,
    axis_that_does_not_exist: ShapeError,
    vector_for_a_matrix: ShapeError,
    float64_for_float32: DtypeError,
    fraction_for_an_integer: DtypeError,
    text_for_a_matrix: DtypeError,
    variable_for_a_value: DtypeError,
    forgotten_argument: InputError,
    argument_of_unknown_name: InputError,
    input_nobody_gives: MissingInputError,
    input_that_serves_nothing: UnusedInputError,
    shared_variable_as_input: InputError,
    cost_with_axes: GradientError,
    cost_that_ignores_a_parameter: DisconnectedInputError,
    float64_in_an_update: UpdateError,
    update_of_another_rank: UpdateError,
    update_of_an_expression: UpdateError,
    two_updates_of_one_variable: UpdateError,
    unknown_mode: ModeError,
    unknown_linker: ModeError,
    unknown_setting: ConfigError,
    refused_setting: ConfigError,
    unknown_dtype: DtypeError,
    comparison_as_a_condition: DtypeError,
    loop_over_an_unknown_length: DtypeError,
    index_that_is_a_float: DtypeError,
    shared_from_an_expression: DtypeError,
    parameter_without_a_name: EngineError,
    op_that_fails: RuntimeNodeError,
    sum_of_wrong_shapes_before_a_fused_loop: ShapeError,
    gradient_of_wrong_shape: ShapeError,
    reshape_to_another_size: ShapeError,
    dimshuffle_that_drops_an_axis: ShapeError,
    more_indices_than_axes: ShapeError,
    logic_on_floats: DtypeError,
    text_in_an_expression: DtypeError,
    replacement_of_another_dtype: DtypeError,
    input_given_twice: InputError,
    number_as_input: InputError,
    cost_that_is_an_integer: GradientError,
    gradient_by_something_else: GradientError,
    int32_in_an_update: UpdateError,
}

# l’erreur désigne la ligne de ce texte, dans la fonction elle-même
LINES = {
    product_of_wrong_shapes: "p = T.nnet.softmax(T.dot(x, W))",
    sum_of_wrong_shapes_before_a_fused_loop: "total = x + b",
    gradient_of_wrong_shape: "y = x.dot(w)",
    reshape_to_another_size: "x.reshape((4, 2))",
    label_out_of_range: "cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y])",
    float64_in_an_update: "(W, W - rate * engine.grad(cost, W))",
    int32_in_an_update: "product = W * n",
    cost_with_axes: "engine.grad(T.dot(x, W), W)",
}


def compare_with_snapshot(name, text):
    """Compare au texte rangé, numéros de ligne et appels de pytest mis à part."""
    text = re.sub(r"ligne \d+", "ligne N", text) + "\n"
    text = re.sub(r".*appelé par python\.py.*\n", "", text)
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("CHAINAGE_RENOUVELER"):
        SNAPSHOTS.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("mistake", CASES, ids=lambda f: f.__name__)
def test_mistake(mistake):
    with pytest.raises(CASES[mistake]) as caught:
        mistake()
    error = caught.value
    assert type(error) is CASES[mistake]
    assert error.summary
    assert error.expected or error.received
    compare_with_snapshot(mistake.__name__, str(error))


@pytest.mark.parametrize("mistake", LINES, ids=lambda f: f.__name__)
def test_the_error_names_the_line_at_fault(mistake):
    """Le fichier et la ligne écrits, sans chemin de la machine."""
    with pytest.raises(EngineError) as caught:
        mistake()
    found = re.match(rf"{Path(__file__).name}, ligne (\d+), dans (\w+)", caught.value.where)
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert LINES[mistake] in lines[int(found[1]) - 1]
    assert found[2] in (mistake.__name__, "model")
    assert str(Path(__file__).parent) not in str(caught.value)


def test_every_node_of_a_compiled_gradient_knows_its_line():
    x, w = T.dmatrix("x"), engine.shared(np.ones((3, 2)), name="w")
    cost = -T.log(T.nnet.softmax(x.dot(w)))[:, 0].mean()
    f = engine.function([x], cost, updates=[(w, w - 0.1 * engine.grad(cost, w))])
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    for node in f.fgraph.toposort():
        frame = node.trace.frames[0]
        assert Path(frame.filename) == Path(__file__), node
        assert "w" in lines[frame.line - 1], node


@pytest.mark.parametrize("house", [engine, course], ids=lambda house: house.__name__)
def test_the_lines_of_the_engine_and_of_the_course_are_not_the_user_s(house):
    inner = Path(house.__file__).with_name("deeper") / "probe.py"
    scope = {"T": T}
    exec(compile("def build(x):\n    return T.exp(x)", str(inner), "exec"), scope)
    frames = scope["build"](T.dscalar("x")).owner.trace.frames
    assert Path(frames[0].filename) == Path(__file__)


def test_every_snapshot_has_its_mistake():
    known = {mistake.__name__ for mistake in CASES} | {"kernel_cache", "settings_file"}
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == known


def test_errors_are_also_python_errors():
    assert issubclass(ShapeError, ValueError)
    assert issubclass(DtypeError, TypeError)
    assert issubclass(DataError, OSError)


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE", Mode("numpy", None)], ids=str)
def test_the_user_s_line_survives_every_rewrite(mode):
    x, b = T.dmatrix("x"), T.dvector("b")
    total = T.exp(T.tanh(x * 2 + b) + 1)  # cette ligne-ci
    f = engine.function([x, b], total.sum(), mode=mode)
    with pytest.raises(ShapeError) as caught:
        f(np.ones((4, 3)), np.ones(4))
    assert "total = T.exp(T.tanh(x * 2 + b) + 1)" in caught.value.where
    assert Path(__file__).name in caught.value.where


def test_the_gradient_points_to_the_line_it_differentiates():
    x, w = T.dvector("x"), engine.shared(np.ones(3), name="w")
    cost = T.tanh(x * w).sum()  # la ligne dérivée
    gradient = engine.grad(cost, w)
    assert "la ligne dérivée" in str(gradient.owner.trace)
    assert "(gradient)" in str(gradient.owner.trace)


def test_a_full_disk_costs_a_warning(tmp_path, monkeypatch):
    pytest.importorskip("numba")

    def refuse(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    x = T.dvector("x")
    with (
        engine.config.change_flags(cache_dir=str(tmp_path / "cache")),
        pytest.warns(cache.CacheWarning) as caught,
    ):
        f = engine.function([x], T.exp(x) * 3.125, mode=Mode("numba"))
    assert np.allclose(f(np.zeros(2)), 3.125)
    assert len(caught) == 1
    compare_with_snapshot("kernel_cache", str(caught[0].message))


def test_an_unreadable_settings_file_is_named(tmp_path):
    path = tmp_path / ".engine.toml"
    path.write_text("floatX = float32")  # les guillemets manquent
    with pytest.raises(ConfigError) as caught:
        Config(path, {})
    assert ".engine.toml" in caught.value.summary
    compare_with_snapshot("settings_file", re.sub(r"Reçu.*", "Reçu", str(caught.value)))
