"""Les sept plaintes des utilisateurs de Theano, et ce que l’on fait à la place : un test chacune.

Dans l’ordre de l’API : le dtype d’une mise à jour, les longueurs 1, la trace, le temps de
compilation, l’entrée inutile, la réécriture qui échoue, le modèle sans Python.
"""

from pathlib import Path

import numpy as np
import pytest

import engine.tensor as T
from engine import Mode, config, function, grad, shared
from engine.errors import ShapeError, UnusedInputError, UpdateError
from engine.io import write_onnx
from engine.rewriting import core
from engine.tensor.signal.pool import pool_2d

HERE = Path(__file__).name


def test_1_an_update_of_a_wider_type_names_the_first_wide_node_and_its_line():
    config.floatX = "float32"
    x, n = T.fmatrix("x"), T.iscalar("n")
    W = shared(np.zeros((3, 2), "float32"), name="W")
    cost = T.tanh(T.dot(x, W)).sum()
    scaled = grad(cost, W) * 0.1
    wide = scaled / n  # int32 avec float32 : la faute est ici
    later = T.exp(wide) + 1
    with pytest.raises(UpdateError) as caught:
        function([x, n], cost, updates=[(W, W - later)])
    error = caught.value
    assert "W" in error.summary and error.expected == "float32"
    assert "n (int32)" in error.received
    assert "la faute est ici" in error.where and HERE in error.where
    assert "astype('float32')" in error.hint


def test_2_lengths_of_one_stretch_at_run_time():
    """Ni `addbroadcast`, ni variable partagée au motif déclaré."""
    x, y = T.dmatrices("xy")
    bias = shared(np.zeros((1, 3)))  # aucun axe n’est déclaré diffusable
    f = function([x, y], [x + y, x * bias, grad((x * y + bias).sum(), bias)])
    column, row = np.ones((4, 1)), np.arange(3.0).reshape(1, 3)
    total, product, slope = f(column, row)
    assert total.shape == (4, 3) and product.shape == (4, 3)
    assert np.array_equal(slope, [[4.0, 4.0, 4.0]])


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE", Mode("numpy", None)], ids=str)
def test_3_the_line_that_made_a_node_survives_every_rewrite(mode):
    x, W = T.dmatrix("x"), shared(np.ones((3, 2)), name="W")
    hidden = T.nnet.sigmoid(T.dot(x, W)) * 2 - 1
    cost = T.log(T.nnet.softmax(hidden))[:, 0].mean() + (W**2).sum()
    f = function([x], cost, updates=[(W, W - 0.1 * grad(cost, W))], mode=mode)
    assert f.fgraph.toposort()
    for node in f.fgraph.toposort():
        assert HERE in str(node.trace), node

    a, b = T.dvectors("ab")
    fused = T.exp(a + b) * 2 + 1  # au milieu d’une boucle fondue
    with pytest.raises(ShapeError) as caught:
        function([a, b], fused, mode=mode)(np.ones(3), np.ones(2))
    assert "au milieu d’une boucle fondue" in caught.value.where


def test_5_an_unused_input_lists_its_likely_causes():
    x, y = T.dvectors("xy")
    with pytest.raises(UnusedInputError) as caught:
        function([x, y], x * 2)
    error = caught.value
    assert "y" in error.summary
    for cause in ("recréée", "oubliée", "on_unused_input='ignore'"):
        assert cause in error.hint


def test_6_a_rewrite_that_fails_is_skipped_named_and_harmless(monkeypatch):
    def fail(node):
        raise IndexError("une faute dans la règle")

    broken = core.Rewrite("règle_fautive", "canonicalize", "pour ce test", ("exp",), fail)
    monkeypatch.setitem(core.REWRITES, "règle_fautive", broken)
    x = T.dvector("x")
    with pytest.warns(UserWarning, match="règle_fautive.*une faute dans la règle") as caught:
        f = function([x], T.log(1 + T.exp(x)))
    assert "Traceback" not in str(caught[0].message)
    np.testing.assert_allclose(f([0.0, 800.0]), [np.log(2), 800.0])


def test_7_a_model_leaves_without_python(tmp_path):
    onnx = pytest.importorskip("onnx")
    reference = pytest.importorskip("onnx.reference")
    rng = np.random.default_rng(0)
    x = T.tensor4("x")
    W, b, V = (shared(rng.normal(size=shape)) for shape in ((4, 1, 5, 5), (4,), (576, 10)))
    hidden = pool_2d(T.nnet.conv2d(x, W), (2, 2), ignore_border=True)
    hidden = T.nnet.relu(hidden + b.dimshuffle("x", 0, "x", "x"))
    p = T.nnet.softmax(T.dot(hidden.flatten(2), V))
    path = str(tmp_path / "lenet.onnx")
    write_onnx(path, x, p)
    value = rng.normal(size=(3, 1, 28, 28))
    (found,) = reference.ReferenceEvaluator(onnx.load(path)).run(None, {"x": value})
    np.testing.assert_allclose(found, function([x], p)(value), 1e-9)
