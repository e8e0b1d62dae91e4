"""Donner un nom aux axes : il voyage, parle dans les erreurs, ne change aucun calcul."""

import pickle

import numpy as np
import pytest

from engine import debugprint, function, scan, shared
from engine import tensor as T
from engine.core.errors import ShapeError
from engine.printing import graph_data


@pytest.fixture
def x():
    return T.matrix("x", dims=("lot", "pixels"))


@pytest.fixture
def W():
    return shared(np.zeros((785, 10)), name="W", dims=("pixels", "classe"))


def test_names_travel(x, W):
    b = shared(np.zeros(10), name="b", dims=("classe",))
    y = T.nnet.softmax(T.dot(x, W) + b)
    assert y.dims == ("lot", "classe")
    assert y.T.dims == ("classe", "lot")
    assert (y.sum(axis=0).dims, y.max(axis=1).dims) == (("classe",), ("lot",))
    assert T.argmax(y, axis=1).dims == ("lot",)
    assert y.sum(axis=1, keepdims=True).dims == ("lot", None)
    assert y.dimshuffle(1, "x", 0).dims == ("classe", None, "lot")
    assert (y[0].dims, y[:, 2:4].dims, y[..., 1].dims) == (("classe",), ("lot", "classe"), ("lot",))
    assert T.concatenate([y, y]).dims == ("lot", "classe")
    assert (T.exp(y) * 2).dims == ("lot", "classe")
    assert T.grad(y.sum(), W).dims == ("pixels", "classe")
    assert y.reshape((-1,)).dims == (None,)


def test_names_travel_through_a_loop(x):
    frames = T.tensor3("frames", dims=("temps", "lot", "pixels"))
    U = shared(np.zeros((4, 6)), name="U", dims=("pixels", "unité"))
    seen = []

    def step(frame, h):
        seen.append((frame.dims, h.dims))
        return T.tanh(T.dot(frame, U) + h)

    h, _ = scan(step, frames, T.zeros((frames.shape[1], 6)))
    assert seen == [(("lot", "pixels"), (None, None))]
    assert h.dims == ("temps", "lot", "unité")
    assert h[-1].dims == ("lot", "unité")


def test_two_names_for_one_axis_leave_it_without(x):
    assert (x + T.matrix("y", dims=("lot", "canal"))).dims == ("lot", None)


def test_a_product_names_the_axes_that_disagree(x, W):
    f = function([x], T.dot(x, W))
    with pytest.raises(ShapeError) as failure:
        f(np.zeros((3, 784)))
    text = str(failure.value)
    assert "l’axe pixels de x vaut 784, celui de W 785" in text
    assert "x de forme (lot=3, pixels=784)" in text


def test_a_sum_names_the_axes_that_disagree(x):
    y = T.matrix("y", dims=("lot", "pixels"))
    with pytest.raises(ShapeError, match="l’axe lot de x vaut 3, celui de y 2"):
        function([x, y], x - y)(np.zeros((3, 4)), np.zeros((2, 4)))


def test_an_error_of_the_graph_names_the_axes():
    """Longueurs connues d’avance : la faute est dite avant tout calcul."""
    left = T.TensorType("float64", shape=(3, 784))("gauche")
    right = T.TensorType("float64", shape=(785, 10))("droite")
    left.dims, right.dims = ("lot", "pixels"), (None, "classe")
    with pytest.raises(ShapeError, match="l’axe pixels de gauche vaut 784, l’axe 0 de droite 785"):
        T.dot(left, right)


def test_a_wrong_number_of_names_is_refused():
    with pytest.raises(ShapeError, match=r"(?s)noms d’axes de q.*2 nom"):
        T.matrix("q", dims=("lot",))
    with pytest.raises(ShapeError, match="noms d’axes"):
        shared(np.zeros(3), dims=(1,))


def test_names_show_in_prints_and_drawings(x, W):
    y = T.dot(x, W)
    assert "dot [A] : float64 (lot=?, classe=?)" in debugprint(y, print_type=True, file="str")
    details = [node["detail"] for node in graph_data(y)["nodes"]]
    assert "float64 (pixels=785, classe=10)" in details


def test_names_survive_compilation_and_pickling(x):
    f = function([x], T.exp(x))
    assert f.fgraph.inputs[0].dims == ("lot", "pixels")
    assert pickle.loads(pickle.dumps(T.exp(x))).dims == ("lot", "pixels")


def test_names_change_no_result(x):
    plain = T.matrix("x")
    value = np.random.default_rng(0).normal(size=(3, 4))
    with_names, without = (
        function([v], [T.nnet.softmax(v), T.grad((v**2).sum(), v)]) for v in (x, plain)
    )
    assert with_names.source == without.source
    for obtained, expected in zip(with_names(value), without(value), strict=True):
        np.testing.assert_array_equal(obtained, expected)
