"""Les réécritures, par la structure du graphe obtenu, et un nombre là où la forme naïve échoue.

`compile_checked` compile, vérifie les invariants du graphe et que chaque remplacement a sa raison.
"""

import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import engine.tensor as T
from engine import Mode, function, grad, rewriting, scan, shared
from engine.core import rewriting as core
from engine.core.elemwise import Elemwise
from engine.core.fgraph import FunctionGraph
from engine.core.graph import Apply, Op, toposort
from engine.core.scalars import SCALARS, Scalar
from engine.look.testing import assert_same_graph, ops_of
from engine.ops.sum_to import SumTo
from engine.rewriting import GRAPH_REWRITES, REWRITES, explain
from engine.rewriting.order import PASSES

REFERENCE = Mode("numpy", None)
UNFUSED = Mode("numpy").excluding("fusion", "inplace")


def compile_checked(inputs, outputs, mode=None, **options):
    """Une fonction compilée dont le graphe est sain et le journal complet."""
    compiled = function(inputs, outputs, mode=mode, **options)
    compiled.fgraph.check()
    known = REWRITES.keys() | GRAPH_REWRITES.keys() | {"fusion_des_doublons", "constantes_repliées"}
    assert {entry.reason for entry in compiled.fgraph.log} <= known
    return compiled


def reasons(compiled):
    return [entry.reason for entry in compiled.fgraph.log]


# ---- le moteur ---------------------------------------------------------------------------


def test_every_rule_has_a_stage_and_a_reason():
    for name, rule in (REWRITES | GRAPH_REWRITES).items():
        assert rule.name == name
        assert rule.stage in core.STAGES
        assert rule.reason
        assert name in explain()


def test_merge():
    x, y = T.dvectors("xy")
    f = compile_checked([x, y], [T.exp(x + y) * 2, T.exp(x + y) * 2 + 1], UNFUSED)
    assert ops_of(f) == ["add", "exp", "mul", "add"]
    assert "fusion_des_doublons" in reasons(f)


def test_merge_tells_apart_what_differs():
    x, y = T.dmatrices("xy")
    outputs = [x.sum(axis=0), x.sum(axis=1), x - y, y - x, x + 1, x + 1.5, T.exp(x), T.exp(y)]
    values = [np.arange(4.0).reshape(2, 2), np.ones((2, 2)) * 5]
    found = compile_checked([x, y], outputs)(*values)
    for result, wanted in zip(
        found, function([x, y], outputs, mode=REFERENCE)(*values), strict=True
    ):
        np.testing.assert_allclose(result, wanted)


def test_constants_fold():
    x = T.dvector("x")
    f = compile_checked([x], x * (T.exp(T.constant(0.0)) + 2).sum(), UNFUSED)
    assert ops_of(f) == ["mul"]
    assert_same_graph(f, x * T.constant(3.0))
    assert "constantes_repliées" in reasons(f)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda x, y: x + 0, lambda x, y: x),
        (lambda x, y: 1 * x / 1, lambda x, y: x),
        (lambda x, y: T.neg(-x), lambda x, y: x),
        (lambda x, y: x + (-y), lambda x, y: x - y),
        (lambda x, y: (x * y) / x, None),
        (lambda x, y: x**2, lambda x, y: x.sqr()),
        (lambda x, y: x * x, lambda x, y: x.sqr()),
        (lambda x, y: x.T.T, lambda x, y: x),
        (lambda x, y: (x * y) / y, None),
    ],
)
def test_simplifications(build, expected):
    x, y = T.dmatrices("xy")
    f = compile_checked([x, y], build(x, y), UNFUSED, on_unused_input="ignore")
    if expected is not None:
        assert_same_graph(f, expected(x, y))
    values = [np.arange(1.0, 5).reshape(2, 2), np.ones((2, 2)) * 3]
    wanted = function([x, y], build(x, y), mode=REFERENCE, on_unused_input="ignore")(*values)
    np.testing.assert_allclose(f(*values), wanted)


def test_x_over_x():
    """La forme naïve rend NaN en 0 ; le quotient d’un nombre par lui-même vaut 1."""
    x = T.dvector("x")
    f = compile_checked([x], x / x, UNFUSED)
    assert "true_div" not in ops_of(f)
    assert f([0.0, 1e-320, 3.0]).tolist() == [1.0, 1.0, 1.0]
    with np.errstate(all="ignore"):
        assert np.isnan(function([x], x / x, mode=REFERENCE)([0.0])).all()


def test_simplified_factors_keep_the_shape():
    """(x y) / x a la forme diffusée de x et y, même quand x a disparu du calcul."""
    m, v = T.dmatrix("m"), T.dvector("v")
    f = compile_checked([m, v], [(m * v) / m, m - m, v * T.zeros_like(m), (v / v) * m])
    results = f(np.ones((2, 3)), np.arange(3.0) + 1)
    assert [r.shape for r in results] == [(2, 3)] * 4
    assert f(np.ones((2, 3)), np.ones(1))[0].shape == (2, 3)
    assert f(np.ones((2, 1)), np.arange(3.0))[0].shape == (2, 3)


def test_rules_do_not_lose_precision():
    """Une règle qui calculerait en float32 ou en int8 ce qui était promis en float64 s’abstient."""
    f32, i = T.fvector("f"), T.bvector("i")
    outputs = [
        f32 ** np.float64(2),
        i**2.0,
        i * (i * f32) / f32,
        1 / (1 + T.exp(-f32)) * np.float64(1),
    ]
    values = [np.array([1.1, 1.7], "float32"), np.array([100, 120], "int8")]
    expected = function([f32, i], outputs, mode=REFERENCE)(*values)
    for result, wanted in zip(compile_checked([f32, i], outputs)(*values), expected, strict=True):
        np.testing.assert_allclose(
            result, wanted, rtol=1e-14 if wanted.dtype == "float64" else 1e-6
        )


def test_a_rewrite_that_fails_is_skipped(monkeypatch):
    def broken(node):
        raise ZeroDivisionError("exprès")

    rule = core.Rewrite("règle_cassée", "stabilize", "essai", ("exp",), broken)
    monkeypatch.setitem(REWRITES, "règle_cassée", rule)
    x = T.dvector("x")
    with pytest.warns(UserWarning, match="règle_cassée.*ZeroDivisionError.*exprès"):
        f = compile_checked([x], T.log(1 + T.exp(x)))
    assert f([1000.0]).tolist() == [1000.0]


def test_a_rewrite_of_the_wrong_type_is_skipped(monkeypatch):
    def narrow(node):
        return [node.inputs[0].astype("float32")]

    rule = core.Rewrite("règle_fausse", "canonicalize", "essai", ("exp",), narrow)
    monkeypatch.setitem(REWRITES, "règle_fausse", rule)
    x = T.dvector("x")
    with pytest.warns(UserWarning, match="règle_fausse.*float32"):
        f = compile_checked([x], T.exp(x))
    assert f([0.0]).tolist() == [1.0]


def test_a_graph_rewrite_that_fails_is_skipped(monkeypatch):
    def broken(fgraph, has_kernel):
        raise ZeroDivisionError("exprès")

    rule = core.Rewrite("passe_cassée", "specialize", "essai", (), broken)
    monkeypatch.setitem(GRAPH_REWRITES, "passe_cassée", rule)
    x = T.dvector("x")
    with pytest.warns(UserWarning, match="passe_cassée"):
        f = compile_checked([x], x * 2)
    assert f([1.0]).tolist() == [2.0]


def test_a_rule_can_be_excluded():
    x = T.dvector("x")
    f = compile_checked([x], T.log(1 + T.exp(x)), UNFUSED.excluding("log_un_plus", "log1p_exp"))
    assert ops_of(f) == ["exp", "add", "log"]
    g = compile_checked([x], x / x, REFERENCE.including("facteurs_simplifiés"))
    assert g([0.0]).tolist() == [1.0]


# ---- stabilité ---------------------------------------------------------------------------

z = T.dvector("z")
STABLE = {
    "log_softmax": (lambda z: T.log(T.nnet.softmax(z)), ["dimshuffle{x, 0}", "log_softmax"]),
    "softplus": (lambda z: T.log(1 + T.exp(z)), ["softplus"]),
    "log1p": (lambda z: T.log(1 + z), ["log1p"]),
    "log_sigmoïde": (lambda z: T.log(T.nnet.sigmoid(z)), ["neg", "softplus", "neg"]),
    "log_sigmoïde_écrite": (lambda z: T.log(1 / (1 + T.exp(-z))), ["neg", "softplus", "neg"]),
    "log_un_moins_sigmoïde": (lambda z: T.log(1 - T.nnet.sigmoid(z)), ["softplus", "neg"]),
    "sigmoïde": (lambda z: 1 / (1 + T.exp(-z)), ["sigmoid"]),
    "expm1": (lambda z: T.exp(z) - 1, ["expm1"]),
}


@pytest.mark.parametrize("name", STABLE)
def test_stable_forms_by_structure(name):
    build, expected = STABLE[name]
    assert ops_of(compile_checked([z], build(z), UNFUSED)) == expected


@pytest.mark.parametrize(
    ("build", "point", "expected", "slope"),
    [
        (lambda z: T.log(1 + T.exp(z)), 1000.0, 1000.0, 1.0),
        (lambda z: T.log(1 + T.exp(z)), -800.0, 0.0, 0.0),
        (lambda z: T.log(1 + z), 1e-20, 1e-20, 1.0),
        (lambda z: T.log(1 - z), 1e-20, -1e-20, -1.0),
        (lambda z: T.log(T.nnet.sigmoid(z)), -1000.0, -1000.0, 1.0),
        (lambda z: T.log(1 - T.nnet.sigmoid(z)), 1000.0, -1000.0, -1.0),
        (lambda z: T.log(1 / (1 + T.exp(-z))), -1000.0, -1000.0, 1.0),
        (lambda z: T.log(1 - 1 / (1 + T.exp(-z))), 1000.0, -1000.0, -1.0),
        (lambda z: T.exp(z) - 1, 1e-20, 1e-20, 1.0),
        (lambda z: 1 / (1 + T.exp(-z)), -800.0, 0.0, 0.0),
        (lambda z: 1 / (1 + T.exp(z)), 800.0, 0.0, 0.0),
        (lambda z: T.mean(T.log(1 + T.exp(z))) * 1.0, 1000.0, 1000.0, 1.0),
    ],
)
def test_stable_values_and_gradients(build, point, expected, slope):
    cost = build(z).sum()
    value, derivative = compile_checked([z], [cost, grad(cost, z)])([point])
    assert value == pytest.approx(expected, rel=1e-14, abs=1e-300)
    assert derivative[0] == pytest.approx(slope, rel=1e-14, abs=1e-300)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_softmax_forward_and_gradient(dtype):
    """Des scores de 1000 : softmax rend 0 et 1, son logarithme moins l’infini, son gradient NaN."""
    scores, y = T.matrix("scores", dtype=dtype), T.lvector("y")
    cost = -T.mean(T.log(T.nnet.softmax(scores))[T.arange(y.shape[0]), y])
    f = compile_checked([scores, y], [cost, grad(cost, scores)])
    names = [str(node.op) for node in f.fgraph.toposort()]
    assert "log_softmax" in names and "log_softmax_grad" in names
    assert not any(name in ("log", "softmax_grad") for name in names)
    value, gradient = f(np.array([[1000, 0], [0, 1000]], dtype=dtype), [1, 1])
    assert (value, value.dtype) == (500.0, dtype)
    np.testing.assert_array_equal(gradient, np.array([[0.5, -0.5], [0, 0]]))
    with np.errstate(all="ignore"):
        naive = function([scores, y], [cost, grad(cost, scores)], mode=REFERENCE)
        assert not np.isfinite(naive(np.array([[1000, 0]], dtype=dtype), [1])[0])


def test_crossentropy_with_probabilities():
    scores, target = T.dmatrices("st")
    cost = T.nnet.categorical_crossentropy(T.nnet.softmax(scores), target).mean()
    f = compile_checked([scores, target], [cost, grad(cost, scores)])
    value, gradient = f([[1000.0, 0.0]], [[0.0, 1.0]])
    assert value == 1000.0
    assert gradient.tolist() == [[1.0, -1.0]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("score", [800.0, -800.0, 3.0, 0.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_naive_binary_crossentropy(dtype, score, label):
    """Celle du premier cours, écrite sans précaution : valeur et gradient finis et exacts."""
    x, w, y = T.matrix("x", dtype=dtype), T.vector("w", dtype=dtype), T.vector("y", dtype=dtype)
    p = 1 / (1 + T.exp(-T.dot(x, w)))
    cost = (-y * T.log(p) - (1 - y) * T.log(1 - p)).mean()
    f = compile_checked([x, y, w], [cost, grad(cost, w)])
    value, gradient = f(np.ones((1, 1), dtype), np.array([label], dtype), np.array([score], dtype))
    exact = np.logaddexp(0, score) - label * score
    slope = 1 / (1 + np.exp(-score)) - label if score > -700 else 0.0 - label
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    assert value == pytest.approx(exact, rel=tolerance, abs=1e-300)
    assert gradient[0] == pytest.approx(slope, rel=tolerance, abs=1e-300)


# ---- constantes --------------------------------------------------------------------------

v = np.array([-800.0, -1.0, 0.0, 1e-20, 2.0, 800.0])
UNARY_FORMS = {
    "log(1 + exp)": lambda x: T.log(1 + T.exp(x)),
    "log softmax": lambda x: T.log(T.nnet.softmax(x)),
    "log(1 + x)": lambda x: T.log(1 + x),
    "x / x": lambda x: x / x,
    "hypoténuse": lambda x: T.sqrt((x * 1e300) ** 2 + x**2),
    "1 - sigmoïde": lambda x: T.log(1 - T.nnet.sigmoid(x)),
    "log somme exp": lambda x: T.log(T.exp(x).sum()),
    "1 - erf": lambda x: 1 - T.erf(x),
    "tanh écrite": lambda x: (T.exp(x) - T.exp(-x)) / (T.exp(x) + T.exp(-x)),
}


@pytest.mark.parametrize(
    "how", ["FAST_RUN", Mode("numpy"), "FAST_COMPILE", "eval", "boucle"], ids=str
)
@pytest.mark.parametrize("name", UNARY_FORMS)
def test_a_constant_is_worth_an_input(name, how):
    """La même expression d’une constante et d’une entrée : la même valeur, repliée ou non."""
    build, x = UNARY_FORMS[name], T.dvector("x")
    one, other = build(x), build(T.constant(v))
    with np.errstate(all="ignore"):
        if how == "eval":
            wanted, found = one.eval({x: v}), other.eval()
        elif how == "boucle":
            wanted = function([x], one)(v)
            rows, _ = scan(lambda: build(T.constant(v)), n_steps=2)
            found = function([], rows)()[1]
        else:
            wanted, found = function([x], one, mode=how)(v), function([], other, mode=how)()
    np.testing.assert_allclose(found, wanted, rtol=1e-14)


# ---- noms --------------------------------------------------------------------------------


class Impostor(Op):
    """Un op d’utilisateur qui s’imprime comme un autre."""

    __props__ = ("label",)

    def __init__(self, label):
        self.label = label

    def make_node(self, *inputs):
        inputs = [T.as_tensor_variable(entry) for entry in inputs]
        return Apply(self, inputs, [inputs[0].type()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = sum(inputs) * 7.0

    def __str__(self):
        return self.label


def _impostors():
    x, y, z = T.dvector("x"), T.dvector("y"), T.dmatrix("z")
    return {
        "add sous une racine": ([x, y], T.sqrt(Impostor("add")(x * x, y * y))),
        "exp dans un log": ([x], T.log(1 + Impostor("exp")(x))),
        "true_div de sommes d'exp": (
            [z],
            T.log(Impostor("true_div")(T.exp(z).sum(axis=1), z[:, 0])),
        ),
        "sqr": ([x, y], T.sqrt(Impostor("sqr")(x) + y**2)),
        "softmax": ([z], T.log(Impostor("softmax")(z))),
        "mul": ([x], Impostor("mul")(x, T.constant(1.0).dimshuffle("x")) / x),
        "maximum": ([x], T.log(-T.expm1(-Impostor("maximum")(abs(x) + 1)))),
        "sum": ([z], T.log(Impostor("sum{axes=[1]}")(T.exp(z)))),
    }


@pytest.mark.parametrize("name", _impostors())
def test_an_op_is_not_known_by_how_it_prints(name):
    inputs, output = _impostors()[name]
    values = [np.arange(1.0, 4), np.arange(2.0, 5), np.arange(1.0, 10).reshape(3, 3)]
    values = [values[2] if entry.ndim == 2 else values["xy".index(entry.name)] for entry in inputs]
    wanted = function(inputs, output, mode=REFERENCE)(*values)
    np.testing.assert_allclose(function(inputs, output)(*values), wanted, rtol=1e-4)


def test_a_scalar_of_ones_own_is_not_that_of_the_table():
    """Une ligne à soi, du même nom qu’une ligne de la table, n’en suit pas les règles."""
    row = Scalar(
        "mul", np.hypot, "math.hypot(x, y)", dtype=SCALARS["mul"].dtype, samples=((1.0,), (2.0,))
    )
    x = T.dvector("x")
    assert function([x], Elemwise(row)(x, 1.0), mode=UNFUSED)([1.0]).tolist() == [np.sqrt(2.0)]


# ---- l’ordre des passes ------------------------------------------------------------------


def test_every_pass_has_its_place():
    """Une passe du moteur absente de la table, ou une place sans passe, est une faute."""
    for stage, names in PASSES.items():
        found = [rule.name for rule in GRAPH_REWRITES.values() if rule.stage == stage]
        assert sorted(found) == sorted(names), f"{stage} : mettez engine/rewriting/order.py à jour"
        assert [rule.name for rule in core.passes_of(stage)] == list(names)


def test_a_pass_of_the_users_own_comes_last(monkeypatch):
    mine = core.Rewrite("à_moi", "specialize", "essai", (), lambda fgraph, has_kernel: None)
    monkeypatch.setattr(core, "GRAPH_REWRITES", {"à_moi": mine, **GRAPH_REWRITES})
    assert [rule.name for rule in core.passes_of("specialize")] == [*PASSES["specialize"], "à_moi"]


SHUFFLED = """
import hashlib, importlib.machinery, random, sys

class Shuffled(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        spec = super().find_spec(name, path, target) if name == "engine.rewriting" else None
        if spec is not None:
            lines = [f"import engine.rewriting.{name}" for name in NAMES]
            random.Random(SEED).shuffle(lines)
            text = "\\n".join(lines) + "\\n" + spec.loader.get_source(name)
            spec.loader.get_code = lambda fullname: compile(text, spec.origin, "exec")
        return spec

sys.meta_path.insert(0, Shuffled)
import numpy as np
import engine, engine.tensor as T
from engine import function, grad, scan, shared

x, z, y = T.dmatrix("x"), T.dmatrix("z"), T.lvector("y")
w, u = shared(np.ones((3, 4)), name="w"), shared(np.ones((4, 4)), name="u")
table = shared(np.ones((9, 3)), name="table")
h, _ = scan(lambda row, h: T.tanh(T.dot(row, w) + T.dot(h, u)), [table[y]], T.zeros((4,)))
losses = [
    T.log(T.nnet.softmax(T.dot(x, w)))[T.arange(2), y[:2]].mean(),
    (1 / (1 + T.exp(-x)) * T.log(1 + T.exp(x)) / x).sum(),
    h[-1].sum(),
]
for loss in losses:
    f = function([x, y], [loss, *grad(loss, [w, table], disconnected_inputs="ignore")],
                 on_unused_input="ignore")
    print(hashlib.sha256(f.source.encode()).hexdigest(), [e.reason for e in f.fgraph.log])
"""


@pytest.mark.slow
def test_the_order_of_imports_changes_nothing():
    """Le même programme, quel que soit l’ordre où les fichiers de règles se chargent."""
    names = sorted(path.stem for path in Path(rewriting.__file__).parent.glob("[a-z]*.py"))
    texts = [
        subprocess.run(
            [sys.executable, "-c", f"SEED, NAMES = {seed}, {names}\n{SHUFFLED}"],
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in range(3)
    ]  # fmt: skip
    assert texts[0].count("\n") == 3
    assert texts[1:] == texts[:1] * 2


# ---- boucles, mémoire, formes ------------------------------------------------------------


def test_elementwise_chain_is_one_loop():
    x, y = T.dmatrices("xy")
    f = compile_checked([x, y], T.tanh(x * 2 + y) * T.exp(-x) + 1)
    (node,) = f.fgraph.toposort()
    assert str(node.op).startswith("Composite{")
    assert "fusion_des_boucles" in reasons(f)
    values = [np.arange(6.0).reshape(2, 3), np.ones((2, 3))]
    np.testing.assert_allclose(f(*values), np.tanh(values[0] * 2 + 1) * np.exp(-values[0]) + 1)


def test_what_two_loops_read_is_computed_once():
    x = T.dmatrix("x")
    e = T.exp(x)
    f = compile_checked([x], [e.sum(axis=0), (e * 2).sum(axis=1), e])
    assert sum("exp" in str(node.op) for node in f.fgraph.toposort()) == 1


def test_fusion_is_capped():
    x = T.dvector("x")
    y = x
    for _ in range(100):
        y = T.sin(y) + x
    f = compile_checked([x], y)
    sizes = [len(node.op.scalar.steps) for node in f.fgraph.toposort()]
    assert max(sizes) <= 60 and len(sizes) < 10
    np.testing.assert_allclose(f(np.ones(2)), function([x], y, mode=REFERENCE)(np.ones(2)))


def test_constants_alone_give_the_shape():
    """La boucle fusionnée avale les constantes ; pas quand elles seules portent les axes."""
    x = T.dscalar("x")
    for mode in ("FAST_RUN", Mode("numpy")):
        assert compile_checked([x], x * np.array([[2.0]]) + 1, mode)(3.0).tolist() == [[7.0]]


def test_in_place_reuses_temporaries_only():
    x, s = T.dmatrix("x"), shared(np.ones((2, 2)), name="s")
    a = x.dot(s)
    f = compile_checked([x], [T.exp(a) + 1, x + 1, s * 2], mode=Mode("numba"))
    places = [node.op for node in f.fgraph.toposort() if node.op.destroy_map]
    assert [op.inplace for op in places] == [0]
    value = np.arange(4.0).reshape(2, 2)
    before = value.copy()
    for _ in range(2):
        results = f(value)
        np.testing.assert_allclose(results[0], np.exp(before.dot(np.ones((2, 2)))) + 1)
        np.testing.assert_array_equal(value, before)
        np.testing.assert_array_equal(s.get_value(), np.ones((2, 2)))


@pytest.mark.parametrize("linker", ["numpy", "numba"])
def test_in_place_respects_views_and_later_readers(linker):
    x, i = T.dmatrix("x"), T.lvector("i")
    e = T.exp(x)
    outputs = [
        (e + 1).dot(e),
        e.T + 1,
        e[0] * 2,
        T.exp(e.T) + e.T,
        T.inc_subtensor(e[i, i], 1.0),
        e.reshape((4,)) + 1,
        T.set_subtensor(e[:, 0], 0.0),
        (e[::-1] + e),
        T.exp(e.sum(axis=0)) + e[0],
    ]
    values = [np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([0, 0])]
    mode = Mode(linker)
    expected = function([x, i], outputs, mode=REFERENCE)(*values)
    together = compile_checked([x, i], outputs, mode)
    for result, wanted in zip(together(*values), expected, strict=True):
        np.testing.assert_allclose(result, wanted)
    for output, wanted in zip(outputs, expected, strict=True):
        alone = compile_checked([x, i], output, mode, on_unused_input="ignore")
        for _ in range(2):
            np.testing.assert_allclose(alone(*values), wanted)


def test_in_place_over_a_transposed_temporary():
    x = T.dmatrix("x")
    f = compile_checked([x], T.exp(x).T + 1)
    np.testing.assert_allclose(
        f(np.arange(6.0).reshape(2, 3)), np.exp(np.arange(6.0).reshape(2, 3)).T + 1
    )


def _sums(graph):
    return [node for node in toposort(graph) if isinstance(node.op, SumTo)]


def test_gradient_that_already_fits_is_not_summed():
    x = T.dmatrix("x")
    derivative = grad((x * T.tanh(x) + T.exp(x)).sum(), x)
    assert _sums([derivative])
    assert not _sums(compile_checked([x], derivative).fgraph.outputs)


def test_gradient_of_what_may_be_stretched_is_summed():
    """Rien ne dit, avant l’appel, que b n’est pas de longueur 1 : la somme reste, et sert."""
    x, w, b = T.dmatrix("x"), shared(np.ones((3, 2)), name="w"), shared(np.zeros(2), name="b")
    f = compile_checked([x], grad(T.tanh(x.dot(w) + b).sum(), [w, b]))
    assert [gradient.shape for gradient in f(np.ones((4, 3)))] == [(3, 2), (2,)]
    b.set_value(np.zeros(1))
    assert [gradient.shape for gradient in f(np.ones((4, 3)))] == [(3, 2), (1,)]


def test_shapes_are_known_without_computing():
    x, y = T.dmatrices("xy")
    f = compile_checked([x, y], T.exp(x.dot(y)).shape, UNFUSED)
    assert not {"exp", "dot"} & set(ops_of(f))
    assert f(np.ones((2, 3)), np.ones((3, 5))).tolist() == [2, 5]


def test_broken_invariants_are_seen():
    x = T.dvector("x")
    fgraph = FunctionGraph([x], [T.exp(x) + 1])
    fgraph.check()
    node = fgraph.toposort()[-1]
    node.inputs[0] = fgraph.inputs[0]
    with pytest.raises(Exception, match="fgraph"):
        fgraph.check()


def test_a_replacement_may_depend_on_what_it_replaces():
    x = T.dvector("x")
    fgraph = FunctionGraph([x], [T.exp(x)])
    old = fgraph.outputs[0]
    fgraph.replace(old, T.zeros_like(old), "essai")
    fgraph.check()
    assert ops_of(fgraph)[0] == "exp"


# ---- propriétés --------------------------------------------------------------------------

UNARY = [
    "exp",
    "tanh",
    "sqr",
    "neg",
    "abs",
    "sigmoid",
    "softplus",
    "log1p_sqr",
    "sum0",
    "sum1",
    "mean",
    "max1",
    "transpose",
    "row",
    "softmax",
    "log_softmax",
    "ones",
    "times0",
    "cast32",
]
BINARY = ["add", "sub", "mul", "div", "maximum", "dot", "switch", "row_add", "concat"]


def _unary(name, v):
    table = {
        "exp": lambda: T.exp(T.clip(v, -5, 5)),
        "tanh": lambda: T.tanh(v),
        "sqr": lambda: (v / 10) ** 2,
        "neg": lambda: -v,
        "abs": lambda: abs(v),
        "sigmoid": lambda: 1 / (1 + T.exp(-v)),
        "softplus": lambda: T.log(1 + T.exp(v)),
        "log1p_sqr": lambda: T.log(1 + v**2),
        "sum0": lambda: v.sum(axis=0, keepdims=True) + v * 0,
        "sum1": lambda: v - v.mean(axis=1, keepdims=True),
        "mean": lambda: v.mean() * T.ones_like(v),
        "max1": lambda: v.max(axis=1, keepdims=True) - v,
        "transpose": lambda: v.T,
        "row": lambda: v[0:1] + v,
        "softmax": lambda: T.nnet.softmax(v),
        "log_softmax": lambda: T.log(T.nnet.softmax(v)),
        "ones": lambda: (v * v + 1) / (v * v + 1),
        "times0": lambda: v * 0 + 1,
        "cast32": lambda: v.astype("float32"),
    }
    return table[name]()


def _binary(name, a, b):
    table = {
        "add": lambda: a + b,
        "sub": lambda: a - b,
        "mul": lambda: a * b / 10,
        "div": lambda: a * b / (abs(b) + 1),
        "maximum": lambda: T.maximum(a, b),
        "dot": lambda: a.dot(b) / 10,
        "switch": lambda: T.switch(a > b, a, b),
        "row_add": lambda: a + b[0],
        "concat": lambda: T.concatenate([a, b], axis=0)[1:4],
    }
    return table[name]()


@st.composite
def expressions(draw):
    """Un graphe au hasard sur des matrices (3, 3), et les variables dont il dépend."""
    x, y, w = T.dmatrix("x"), T.fmatrix("y"), shared(np.linspace(-1, 1, 9).reshape(3, 3), name="w")
    pool = [x, y, w, w * 2]
    for _ in range(draw(st.integers(1, 9))):
        if draw(st.booleans()):
            pool.append(_unary(draw(st.sampled_from(UNARY)), draw(st.sampled_from(pool))))
        else:
            pick = st.sampled_from(pool[-4:])
            pool.append(_binary(draw(st.sampled_from(BINARY)), draw(pick), draw(pick)))
    return x, y, w, pool[4:][-3:]


@given(expressions(), st.integers(0, 1000))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_optimised_graphs_give_the_same_values(made, seed):
    _compare(made, seed, Mode("numba"))


@given(expressions(), st.integers(0, 1000))
@settings(
    max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
def test_rewritten_graphs_give_the_same_values(made, seed):
    _compare(made, seed, Mode("numpy"))


def _compare(made, seed, mode):
    x, y, w, outputs = made
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=(3, 3)), rng.normal(size=(3, 3)).astype("float32")]
    cost = sum(output.astype("float64").sum() for output in outputs)
    everything = [
        *outputs,
        grad(cost, x, disconnected_inputs="ignore"),
        grad(cost, w, disconnected_inputs="ignore"),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled = function([x, y], everything, mode=mode, on_unused_input="ignore")
        compiled.fgraph.check()
        reference = function([x, y], everything, mode=REFERENCE, on_unused_input="ignore")
        results, expected = compiled(*values), reference(*values)
    for variable, result, wanted in zip(everything, results, expected, strict=True):
        assert result.dtype == wanted.dtype == variable.dtype
        scale = np.abs(wanted).max() + 1
        np.testing.assert_allclose(result, wanted, rtol=2e-5, atol=2e-5 * scale)


# ---- grands graphes ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["chaîne", "éventail"])
def test_a_hundred_thousand_nodes(kind):
    """Rien n’est récursif, rien n’est quadratique."""
    x, start = T.dvector("x"), time.perf_counter()
    y = x
    for _ in range(50_000):
        y = -T.sin(y) if kind == "chaîne" else T.sin(y) + x
    built = time.perf_counter()
    compiled = function([x], y, mode="FAST_COMPILE")
    done = time.perf_counter()
    print(f"{kind} : construire {built - start:.1f} s, compiler {done - built:.1f} s")
    assert np.isfinite(compiled(np.ones(2))).all()
    assert done - start < 120


@pytest.mark.slow
def test_the_gradient_of_a_long_chain():
    x, start = T.dvector("x"), time.perf_counter()
    y = x
    for _ in range(20_000):
        y = T.sin(y)
    derivative = grad(y.sum(), x)
    derived = time.perf_counter()
    compiled = function([x], derivative, mode="FAST_COMPILE")
    print(f"dériver {derived - start:.1f} s, compiler {time.perf_counter() - derived:.1f} s")
    assert 0 <= compiled(np.ones(2))[0] < 1
    assert time.perf_counter() - start < 120
