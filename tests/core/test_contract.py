"""Le contrat de `perform` : tenu à chaque appel, dit par `check_op` et `DebugMode`.

Chaque op d’ici y manque à sa façon. Dans les modes ordinaires, ni les tableaux de l’appelant, ni
les variables partagées, ni les résultats déjà rendus n’en souffrent ; les outils qui vérifient
nomment l’op et le manquement.
"""

import itertools

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine import Apply, Op
from engine.core.contract import perform_call
from engine.core.errors import (
    BadDestroyMap,
    BadViewMap,
    DebugModeError,
    EngineError,
    InvalidValueError,
)
from engine.look.testing import check_op
from engine.loops.branches import ifelse

MODES = ["FAST_RUN", "FAST_COMPILE", engine.Mode("numpy", None)]


class Faulty(Op):
    """Une op d’un vecteur float64, dont la faute est une fonction de l’entrée."""

    __props__ = ("label",)
    bodies = {}

    def __init__(self, label, view_map=None):
        self.label = label
        self.view_map = view_map or {}

    def make_node(self, x):
        return Apply(self, [T.as_tensor_variable(x)], [T.dvector()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = self.bodies[self.label](inputs[0])

    def infer_shape(self, node, input_shapes):
        return [None]


def _overwrite(x):
    x *= 2
    return x + 1


KEPT = np.arange(3.0)
HELD = []


def _hold(x):
    HELD.append(x + 1)
    return HELD[-1][:]


Faulty.bodies = {
    "son entrée": lambda x: x,
    "une vue": lambda x: x[::-1],
    "un morceau": lambda x: x[:2],
    "une table": lambda x: KEPT,
    "un bout de table": lambda x: KEPT[1:],
    "un résultat retenu": _hold,
    "une étendue": lambda x: np.broadcast_to(x.sum(), (3,)),
}
SHARED = ["son entrée", "une vue", "un morceau", "une table", "un bout de table"]
WRONG = {
    "scalaire": lambda x: x.sum(),
    "nombre": lambda x: 1.0,
    "float32": lambda x: x.astype("float32"),
    "entiers": lambda x: x.astype("int64"),
    "axe de plus": lambda x: x[None],
    "axe de moins": lambda x: x.sum(keepdims=True)[0],
    "liste": list,
    "rien": lambda x: None,
    "objets": lambda x: x.astype(object),
}
Faulty.bodies |= WRONG
X = np.array([1.0, 2.0, 4.0])


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("label", [*SHARED, "un résultat retenu", "une étendue"])
def test_nobody_is_overwritten(label, mode):
    x = T.dvector("x")
    kept = KEPT.copy()
    for entry in (x, T.exp(x)):  # l’entrée est à l’appelant, puis à un noyau qui la reprendra
        made = Faulty(label)(entry)
        f = engine.function([x], [made * 2 + 1, made], mode=mode)
        value = X.copy()
        first = f(value)
        copies = [result.copy() for result in first]
        f(-X)
        np.testing.assert_array_equal(value, X)
        for result, copy in zip(first, copies, strict=True):
            np.testing.assert_array_equal(result, copy)
        inside = X if entry is x else np.exp(X)
        np.testing.assert_allclose(first[1], Faulty.bodies[label](inside))
        np.testing.assert_allclose(first[0], Faulty.bodies[label](inside) * 2 + 1)
    state = engine.shared(X.copy())
    f = engine.function([], Faulty(label)(state) * 2 + 1, mode=mode)
    assert np.array_equal(f(), f())
    np.testing.assert_array_equal(state.get_value(), X)
    np.testing.assert_array_equal(KEPT, kept)
    for made in HELD:
        np.testing.assert_array_equal(made, made)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_what_the_op_keeps_stays(mode):
    """Un résultat que l’op retient n’est pas celui où le nœud suivant écrit."""
    HELD.clear()
    x = T.dvector("x")
    engine.function([x], T.exp(Faulty("un résultat retenu")(x) * 2), mode=mode)(X)
    np.testing.assert_array_equal(HELD[-1], X + 1)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_in_a_loop_and_a_branch(mode):
    x = T.dvector("x")
    ys, _ = engine.scan(lambda a: Faulty("son entrée")(a) * 2 + 1, outputs_info=x, n_steps=3)
    chosen = ifelse(x.sum() > 0, Faulty("une table")(x) + 1, x)
    f = engine.function([x], [ys, chosen * 3], mode=mode)
    value, kept = X.copy(), KEPT.copy()
    steps, branch = f(value)
    np.testing.assert_array_equal(steps[-1], ((X * 2 + 1) * 2 + 1) * 2 + 1)
    np.testing.assert_array_equal(branch, (kept + 1) * 3)
    np.testing.assert_array_equal(value, X)
    np.testing.assert_array_equal(KEPT, kept)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("label", WRONG)
def test_a_value_that_was_not_promised_is_refused(label, mode):
    x = T.dvector("x")
    f = engine.function([x], Faulty(label)(x) * 2, mode=mode)
    with pytest.raises(InvalidValueError, match="Faulty") as caught:
        f(X)
    assert "un tableau NumPy float64" in str(caught.value)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_numpy_scalar_becomes_an_array(mode):
    class Total(Op):
        def make_node(self, x):
            return Apply(self, [T.as_tensor_variable(x)], [T.dscalar()])

        def perform(self, node, inputs, output_storage):
            output_storage[0][0] = inputs[0].sum()

        def infer_shape(self, node, input_shapes):
            return [()]

    x = T.dvector("x")
    f = engine.function(
        [x], [Total()(x), T.exp(Total()(x)) * x, Total()([1.0, 2.0]) + x], mode=mode
    )
    total, scaled, moved = f(X)
    assert type(total) is np.ndarray
    np.testing.assert_allclose(scaled, np.exp(7) * X)
    np.testing.assert_array_equal(moved, 3 + X)
    with pytest.raises(InvalidValueError, match=r"Total.*perform"):
        check_op(Total(), [X])


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_an_op_that_writes_in_its_input_is_refused(mode):
    Faulty.bodies["écrase"] = _overwrite
    x = T.dvector("x")
    f = engine.function([x], Faulty("écrase")(x) + 1, mode=mode)
    value = X.copy()
    with pytest.raises(BadDestroyMap, match="Faulty"):
        f(value)
    np.testing.assert_array_equal(value, X)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_as_op_gives_and_takes_copies(mode):
    seen = []

    @engine.as_op([T.dvector], [T.dvector])
    def remember(v):
        seen.append(v)
        v += 1
        return v

    x = T.dvector("x")
    f = engine.function([x], remember(T.exp(x)) * 2, mode=mode)
    value = X.copy()
    np.testing.assert_allclose(f(value), (np.exp(X) + 1) * 2)
    f(-X)
    np.testing.assert_array_equal(value, X)
    np.testing.assert_allclose(seen[0], np.exp(X) + 1)


# ---- ceux qui vérifient --------------------------------------------------------------------

BLAME = {
    **dict.fromkeys(["son entrée", "une vue", "un morceau"], (BadViewMap, "l'entrée 0")),
    **dict.fromkeys(["une table", "un bout de table"], (BadViewMap, "d'un calcul à l'autre")),
    **dict.fromkeys(WRONG, (InvalidValueError, "n")),
    "écrase": (BadDestroyMap, "entrée 0"),
}


@pytest.mark.parametrize("label", BLAME)
def test_the_fault_is_named(label):
    Faulty.bodies["écrase"] = _overwrite
    error, text = BLAME[label]
    x = T.dvector("x")
    f = engine.function([x], Faulty(label)(x) * 2 + 1, mode="DebugMode")
    for check in (lambda: f(X.copy()), lambda: check_op(Faulty(label), [X])):
        with pytest.raises(error, match="Faulty") as caught:
            check()
        assert text in str(caught.value).replace("’", "'")
        assert isinstance(caught.value, DebugModeError | AssertionError)
        assert isinstance(caught.value, EngineError)


@pytest.mark.parametrize("label", ["un résultat retenu", "une étendue"])
def test_nobody_is_accused_wrongly(label):
    """Un résultat neuf que l’op retient, une vue d’un tableau neuf : c’est permis."""
    x = T.dvector("x")
    f = engine.function([x], Faulty(label)(x) * 2 + 1, mode="DebugMode")
    np.testing.assert_allclose(f(X), Faulty.bodies[label](X) * 2 + 1)


def test_a_new_array_is_given_without_a_copy():
    places = []

    def place(array):
        return array.__array_interface__["data"][0]

    def fresh(x):
        made = x + 1
        places.append(place(made))
        return made

    Faulty.bodies["neuf"] = fresh
    node = Faulty("neuf")(T.dvector("x")).owner
    assert place(perform_call(node)(X)) == places[-1]


def test_a_declared_view_is_right():
    x = T.dvector("x")
    for label, mode in itertools.product(
        ["son entrée", "une vue", "un morceau"], [*MODES, "DebugMode"]
    ):
        made = Faulty(label, view_map={0: [0]})(T.exp(x))
        f = engine.function([x], [made * 2 + 1, made], mode=mode)
        first = f(X)
        copy = first[1].copy()
        f(-X)
        np.testing.assert_array_equal(first[1], copy)
        np.testing.assert_allclose(copy, Faulty.bodies[label](np.exp(X)))
    check_op(Faulty("une vue", view_map={0: [0]}), [X])


def test_two_outputs_of_one_memory():
    class Twice(Op):
        def make_node(self, x):
            return Apply(self, [T.as_tensor_variable(x)], [T.dvector(), T.dvector()])

        def perform(self, node, inputs, output_storage):
            output_storage[0][0] = output_storage[1][0] = inputs[0] + 1

        def infer_shape(self, node, input_shapes):
            return [input_shapes[0]] * 2

    x = T.dvector("x")
    for mode in MODES:
        a, b = Twice()(x)
        first, second = engine.function([x], [a * 2, b * 3], mode=mode)(X)
        np.testing.assert_array_equal(first, (X + 1) * 2)
        np.testing.assert_array_equal(second, (X + 1) * 3)
    for check in (
        engine.function([x], Twice()(x), mode="DebugMode"),
        lambda v: check_op(Twice(), [v]),
    ):
        with pytest.raises(BadViewMap, match="Twice"):
            check(X)
