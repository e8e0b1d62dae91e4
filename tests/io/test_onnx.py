"""Les modèles écrits en ONNX rendent les mêmes nombres, relus par l’évaluateur d’ONNX."""

import numpy as np
import pytest

import engine.tensor as T
from engine import config, function, shared
from engine.core.errors import EngineError
from engine.core.types import TensorType
from engine.io import write_onnx
from engine.tensor.signal.pool import pool_2d

onnx = pytest.importorskip("onnx")
reference = pytest.importorskip("onnx.reference")
rng = np.random.default_rng(0)


def check(path, inputs, outputs, *values, rtol=1e-10):
    """Écrit, relit, évalue, et compare à la fonction compilée."""
    write_onnx(path, inputs, outputs)
    model = onnx.load(path)
    names = [entry.name for entry in model.graph.input]
    found = reference.ReferenceEvaluator(model).run(None, dict(zip(names, values, strict=True)))
    outputs = outputs if isinstance(outputs, list) else [outputs]
    expected = function(inputs, outputs)(*values)
    for obtained, wanted in zip(found, expected, strict=True):
        assert obtained.dtype == wanted.dtype and obtained.shape == wanted.shape
        np.testing.assert_allclose(obtained, wanted, rtol, 1e-12)
    return model


def weights(*shape):
    return shared(rng.normal(size=shape) * 0.3)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "modèle.onnx")


@pytest.mark.parametrize("floatX", ["float32", "float64"])
def test_lenet(path, floatX):
    with config.change_flags(floatX=floatX):
        x = T.matrix("x")
        hidden = x.reshape((x.shape[0], 1, 28, 28))
        for n_out, n_in in ((3, 1), (4, 3)):
            W = shared(rng.normal(size=(n_out, n_in, 5, 5)).astype(floatX) * 0.2, name=f"W{n_in}")
            b = shared(np.zeros(n_out, floatX), name=f"b{n_in}")
            hidden = T.nnet.conv2d(hidden, W)
            hidden = T.tanh(
                pool_2d(hidden, (2, 2), ignore_border=True) + b.dimshuffle("x", 0, "x", "x")
            )
        V = shared(rng.normal(size=(64, 10)).astype(floatX), name="V")
        p = T.nnet.softmax(T.dot(hidden.flatten(2), V))
        p.name = "probabilités"
        outputs = [p, T.argmax(p, axis=1)]
        value = rng.uniform(size=(5, 784)).astype(floatX)
        model = check(path, [x], outputs, value, rtol=1e-4 if floatX == "float32" else 1e-9)
    assert [entry.name for entry in model.graph.output] == ["probabilités", "y1"]
    assert {"b1", "b3", "V"} <= {entry.name for entry in model.graph.initializer}


@pytest.mark.parametrize("border", ["valid", "full", "half", (1, 2)])
@pytest.mark.parametrize("options", [{}, {"subsample": (2, 1)}, {"filter_dilation": (2, 2)}])
@pytest.mark.parametrize("flip", [True, False])
def test_convolutions(path, border, options, flip):
    x = T.dtensor4("x")
    y = T.nnet.conv2d(x, weights(2, 3, 3, 2), border_mode=border, filter_flip=flip, **options)
    check(path, [x], y, rng.normal(size=(2, 3, 8, 9)))


def test_convolution_by_a_computed_filter(path):
    x, w = T.dtensor4("x"), TensorType("float64", shape=(2, 3, 3, 2))("w")
    values = rng.normal(size=(2, 3, 8, 9)), rng.normal(size=(2, 3, 3, 2))
    check(path, [x, w], T.nnet.conv2d(x, w * 2), *values)


@pytest.mark.parametrize("mode", ["max", "sum", "average_inc_pad", "average_exc_pad"])
@pytest.mark.parametrize(
    "options",
    [dict(), dict(stride=(1, 2)), dict(pad=(1, 1)), dict(stride=(2, 2), pad=(1, 0))],
)
def test_poolings(path, mode, options):
    x = T.dtensor4("x")
    y = pool_2d(x, (3, 2), ignore_border=True, mode=mode, **options)
    check(path, [x], y, rng.normal(size=(2, 3, 9, 8)))


def test_pooling_of_incomplete_windows(path):
    x = T.dtensor4("x")
    check(path, [x], pool_2d(x, (3, 3), ignore_border=False), rng.normal(size=(1, 2, 8, 7)))


def test_elementwise_functions(path):
    x, i = T.dmatrix("x"), T.imatrix("i")
    y = T.switch((x > 0) & (i <= 2), T.sqr(x) + i, -T.expm1(x) / (1 + abs(x)))
    others = [T.maximum(x, 0.1), T.log1p(T.exp(x)), T.nnet.sigmoid(x) ** 2, T.neq(i, 1)]
    others += [T.nnet.relu(x), T.nnet.softplus(x), T.cast(x, "int64"), T.sgn(i), T.clip(x, -1, 1)]
    values = rng.normal(size=(3, 4)), rng.integers(0, 4, (3, 4)).astype("int32")
    check(path, [x, i], [y, *others], *values)


def test_shapes_and_indices(path):
    x, i = T.dtensor3("x"), T.lvector("i")
    outputs = [
        x.dimshuffle(2, "x", 0, 1), x[0, 1:, ::-2], x[:, -1], x[i], x[1:3, None], x.shape, x.T,
        x.sum(), x.mean(axis=1), x.max(axis=(0, 2)), x.prod(axis=0, keepdims=True), x.std(axis=0),
        T.concatenate([x, x * 2], axis=1), T.stack([x, x]), T.zeros_like(x) + 1, T.argmin(x),
        T.nnet.logsoftmax(x[0]), T.alloc(2.0, 3, x.shape[1]), x.reshape((-1, x.shape[2])),
    ]  # fmt: skip
    check(path, [x, i], outputs, rng.normal(size=(4, 3, 5)), np.array([2, 0, 2]))


def test_what_cannot_be_written_is_named(path):
    x = T.dmatrix("x")
    with pytest.raises(EngineError, match="cumsum"):
        write_onnx(path, [x], T.cumsum(x, axis=0))
    with pytest.raises(EngineError, match="personne ne fournit x"):
        write_onnx(path, [], x + 1)
