"""N’importe quel nom que l’on peut taper : µ, x², class, vide, trois cents é, deux fois le même."""

import keyword
import pickle
import tempfile
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import engine
import engine.tensor as T
from engine import function, printing, scan, shared
from engine.core.emission import identifier
from engine.core.errors import EngineError
from engine.core.trace import scope
from engine.io import write_onnx
from engine.look import d3viz
from engine.loops.branches import ifelse

TYPED = [
    *("µ", "μ", "x²", "σ²", "x₁", "é" * 300, "1re couche", "a-b", "#", "x\ny", "x\ry", "\x00", ""),
    *(
        "'",
        '"',
        '"""',
        "\\",
        "{}",
        "{x}",
        "%s",
        "<b>&amp;",
        "😀",
        "½",
        "ﬁ",
        "\u2028",
        "\ud800",
        "ͺ",
    ),
    *("step", "out", "type", "ndarray", "LINES", "v", "c", "case_x", "self", "_", "__debug__"),
    *("None", "class", "match", "lambda", "\t ", "a b", "ｘ", "e\u0301", "\u0301", "٣", "print"),
]
reference = pytest.importorskip("onnx.reference")

names = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from([name for name in TYPED if name != "\ud800"]),  # refusé : voir plus bas
    st.sampled_from(keyword.kwlist),
)
few = settings(max_examples=40, deadline=None)


def test_an_identifier_is_one():
    for name in TYPED:
        text = identifier(name)
        scope = {}
        exec(
            compile(f"def f({text}):\n    {text} = {text} + 1\n    return {text}", "essai", "exec"),
            scope,
        )
        assert scope["f"](1) == 2


@few
@given(st.lists(names, min_size=5, max_size=5), st.sampled_from(["FAST_RUN", "FAST_COMPILE"]))
@example(["µ", "μ", "µ", "μ", "µ"], "FAST_RUN")
@example(["x", "x", "x", "case_x", "x_1"], "FAST_RUN")
@example(["out", "type", "step", "LINES", "ndarray"], "FAST_RUN")
@example(["\x00", "\x01", "\u2028", "x\ry", '"""'], "FAST_RUN")
def test_a_function_of_variables_with_these_names(five, mode):
    a, b, s, h, f_name = five
    x, y, w = T.dscalar(a), T.dvector(b), shared(3.0, name=s)
    hidden = T.tanh(x * y)
    hidden.name = h
    constant = T.constant(2.0, name=b)
    with scope(f_name):
        out = (hidden * w + constant).sum()
    f = function([x, y], {a: out, f"{b}'": hidden}, updates=[(w, w + x)], mode=mode, name=f_name)
    value = np.array([0.0, 1.0, -2.0])
    for k in range(2):
        found = f(0.5, value)
        np.testing.assert_allclose(found[a], (np.tanh(0.5 * value) * (3 + k / 2) + 2).sum())
    if a != b:
        np.testing.assert_allclose(f(**{a: 0.5, b: value})[f"{b}'"], np.tanh(0.5 * value))
    again = pickle.loads(pickle.dumps(f))
    np.testing.assert_allclose(again(0.5, value)[f"{b}'"], np.tanh(0.5 * value))
    assert engine.pp(out) and engine.printing.debugprint(f, file="str") and str(f)
    with pytest.raises(EngineError) as caught:
        f(0.5, np.ones((2, 2)))
    assert str(caught.value)


@few
@given(st.lists(names, min_size=4, max_size=4))
def test_a_loop_and_a_branch_with_these_names(four):
    x, w = T.dvector(four[0]), shared(0.5, name=four[1])
    h, _ = scan(
        lambda v, past: T.tanh(v + past * w),
        x,
        outputs_info=T.constant(0.0, name=four[2]),
        name=four[3],
    )
    cost = ifelse(h.sum() > 100, x.sum(), h.sum(), name=four[0])
    f = function([x], [cost, engine.grad(h.sum(), x)], name=four[3])
    past = total = 0.0
    for v in (0.1, 0.2, 0.3):
        past = np.tanh(v + past / 2)
        total += past
    np.testing.assert_allclose(f([0.1, 0.2, 0.3])[0], total)
    with pytest.raises(EngineError):
        function([x], x[7] + h[5], name=four[3])([1.0, 2.0])


@pytest.mark.filterwarnings("ignore:Glyph")
@few
@given(st.lists(names, min_size=3, max_size=3))
def test_drawn_and_exported_with_these_names(three):
    x, w = T.fmatrix(three[0]), shared(np.full((2, 2), 0.5, "float32"), name=three[1])
    y = T.tanh(T.dot(x, w))
    y.name = three[2]
    drawing = printing.pydotprint(y, format="svg", return_image=True, print_output_file=False)
    ElementTree.fromstring(drawing)
    with tempfile.TemporaryDirectory() as folder:
        printing.pydotprint(function([x], y), f"{folder}/g.png", print_output_file=False)
        d3viz.d3write(y, f"{folder}/g.dot")
        d3viz.d3viz(y, f"{folder}/g.html")
        model = write_onnx(f"{folder}/m.onnx", [x, T.fscalar(three[0])], [y, y * 2])
        first, second = (entry.name for entry in model.graph.input)
        given = {first: np.ones((1, 2), "float32"), second: np.float32(0)}
        (found, _) = reference.ReferenceEvaluator(model).run(None, given)
        np.testing.assert_allclose(found, np.tanh([[1, 1]]), rtol=1e-5)


@pytest.mark.parametrize("name", [3, 2.0, b"x", ["x"], True, "\ud800"])
def test_a_name_that_is_no_text_is_refused_in_french(name):
    for make in (
        lambda: T.matrix(name),
        lambda: T.constant(1.0, name=name),
        lambda: shared(1.0, name=name),
        lambda: function([], T.constant(1.0), name=name),
        lambda: engine.In(T.scalar("x"), name=name),
    ):
        with pytest.raises(EngineError, match="un nom est un"):
            make()
