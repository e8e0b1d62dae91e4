"""Les tournures des bibliothèques d’autres, en petits programmes écrits ici, sous `import theano`.

Les suites elles-mêmes se lancent par `python -m tests.programs.foreign`.
"""

import importlib

import numpy as np
import pytest

from engine import compat, config
from engine.core.errors import EngineError
from tests.programs import foreign

rng = np.random.default_rng(0)


@pytest.fixture
def theano():
    with config.change_flags(floatX="float64"):
        compat.install()
        yield importlib.import_module("theano")
        compat.uninstall()


def module(name):
    return importlib.import_module(name)


def convolve(x, w):
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.einsum("bchwuv,ocuv->bohw", windows, w[:, :, ::-1, ::-1])


def test_parameters_are_found_from_expressions_given_last_first(theano):
    T = theano.tensor
    w, b, x = theano.shared(np.ones((2, 2)), "w"), theano.shared(np.ones(2), "b"), T.matrix("x")
    inputs = theano.gof.graph.inputs
    assert [v.name for v in inputs(reversed([w, b]))] == ["w", "b"]
    assert [v.name for v in inputs([T.dot(x, w) + b]) if hasattr(v, "get_value")] == ["w", "b"]
    assert inputs([T.dot(x, w) + b], blockers=[x]) == [x, w, b]


def test_a_specification_is_a_value_a_variable_or_a_factory(theano):
    def make(spec):
        if isinstance(spec, theano.Variable):
            return spec
        return theano.shared(spec((2, 3)) if callable(spec) else np.asarray(spec))

    w = theano.shared(np.ones(2))
    assert make(w) is w and not callable(theano.tensor.vector())
    assert make(np.zeros).get_value().shape == (2, 3)


def test_a_penalty_of_one_variable_or_of_several(theano):
    def total(variables):
        try:
            return sum((v**2).sum() for v in variables)
        except TypeError:
            return (variables**2).sum()

    a, b = theano.tensor.vectors("ab")
    same = module("theano.scan_module.scan_utils").equal_computations
    assert same([total(a)], [(a**2).sum()]) and same(
        [total([a, b])], [0 + (a**2).sum() + (b**2).sum()]
    )
    assert not same([total(a)], [total(b)]) and same([total(a)], [total(b)], [a], [b])
    assert theano.gof.graph.is_same_graph(total(a), total(b), {b: a})


def test_running_averages_follow_a_clone_that_shares_its_value(theano):
    x, mean = theano.tensor.matrix("x"), theano.shared(np.zeros(3), "mean")
    running = theano.clone(mean, share_inputs=False)
    running.default_update = 0.9 * running + 0.1 * x.mean(0)
    f = theano.function([x], x - (x.mean(0) + 0 * running))
    value = rng.normal(size=(5, 3))
    np.testing.assert_allclose(f(value), value - value.mean(0))
    f(value)
    np.testing.assert_allclose(mean.get_value(), 0.19 * value.mean(0))


def test_a_network_of_float32_stays_float32(theano):
    T = theano.tensor
    x, w = T.fmatrix("x"), theano.shared(np.ones((3, 2), "float32"), "w")
    hidden = T.maximum(T.dot(x, w) * 0.5, 0.0) + 1.0
    cost = T.switch(hidden > 1.5, hidden, 0.0).mean()
    step = theano.function([x], cost, updates=[(w, w - 0.25 * T.grad(cost, w))])
    assert cost.dtype == "float32" and step(np.ones((4, 3), "float32")).dtype == "float32"


def test_old_convolution_ops_and_their_groups(theano):
    T = theano.tensor
    abstract, conv3d2d = T.nnet.abstract_conv, module("theano.tensor.nnet.conv3d2d")
    image, filters = rng.normal(size=(2, 4, 6, 5)), rng.normal(size=(3, 4, 3, 2))
    x, w = T.dtensor4(), T.dtensor4()
    out = abstract.AbstractConv2d(subsample=(1, 1))(x, w)
    g = rng.normal(size=(2, 3, 4, 4))
    wanted = theano.function([x, w], [out, *T.grad((out * g).sum(), [x, w])])(image, filters)
    np.testing.assert_allclose(wanted[0], convolve(image, filters))
    back = abstract.AbstractConv2d_gradInputs(imshp=image.shape, kshp=filters.shape)
    np.testing.assert_allclose(back(w, g, (6, 5)).eval({w: filters}), wanted[1], 1e-9, 1e-12)
    sizes = T.lvector()
    weights = abstract.AbstractConv2d_gradWeights()(x, g, sizes)
    found = theano.function([x, sizes], weights)(image, [3, 2])
    np.testing.assert_allclose(found, wanted[2], 1e-9, 1e-12)
    film, kernels = rng.normal(size=(2, 5, 3, 6, 5)), rng.normal(size=(4, 2, 3, 3, 2))
    found = conv3d2d.conv3d(film, kernels).eval()
    frames = [sum(convolve(film[:, t + 1 - k], kernels[:, k]) for k in (0, 1)) for t in range(4)]
    np.testing.assert_allclose(found, np.stack(frames, axis=1), 1e-9, 1e-12)


def test_shapes_in_python_arithmetic(theano):
    x = theano.tensor.dtensor3()
    flat = x.reshape((x.shape[0], np.prod([x.shape[1], x.shape[2]])))
    assert theano.function([x], flat)(np.ones((2, 3, 4))).shape == (2, 12)


def test_labels_between_blanks(theano):
    """L’entrelacement de la CTC : un tableau neuf de -1, où vont des étiquettes int32."""
    T = theano.tensor
    y = T.ivector()
    spaced = T.set_subtensor(T.alloc(-1, y.shape[0] * 2 + 1)[T.arange(y.shape[0]) * 2 + 1], y)
    assert theano.function([y], spaced)([300, 7]).tolist() == [-1, 300, -1, 7, -1]
    room = T.alloc(0.0, 3)
    assert T.set_subtensor(room[:2], T.dvector()).dtype == "float64"


def test_functions_found_at_old_places(theano):
    function = importlib.import_module("theano.compile").function
    scan = importlib.import_module("theano.scan_module").scan
    importlib.import_module("theano.compile.function")
    assert theano.compile.function is function and callable(function)
    x = theano.tensor.vector()
    doubled, _ = scan(lambda a: 2 * a, sequences=x)
    assert function([x], doubled)([1.0, 2.0]).tolist() == [2.0, 4.0]
    assert isinstance(theano.compile.DebugMode(), theano.compile.DebugMode)
    assert not isinstance(theano.compile.get_default_mode(), theano.compile.DebugMode)
    assert not theano.gpuarray.pygpu_activated and not theano.gpuarray.dnn.dnn_present()


def test_strict_loops_refuse_shared_variables_only(theano):
    x, w, outside = theano.tensor.vector(), theano.shared(2.0, "w"), theano.tensor.scalar("s")
    theano.scan(lambda a: a * outside, sequences=x, strict=True)
    with pytest.raises(EngineError, match="strict"):
        theano.scan(lambda a: a * w, sequences=x, strict=True)


def test_softmax_and_cross_entropy_of_old(theano):
    T = theano.tensor
    scores, bias, labels = rng.normal(size=(4, 3)), rng.normal(size=3), np.array([0, 2, 1, 2])
    e = np.exp(scores + bias)
    p = e / e.sum(axis=1, keepdims=True)
    outs = T.nnet.crossentropy_softmax_argmax_1hot_with_bias(scores, bias, labels)
    for found, wanted in zip(outs, (-np.log(p[np.arange(4), labels]), p, p.argmax(1)), strict=True):
        np.testing.assert_allclose(found.eval(), wanted)
    stream = module("theano.sandbox.rng_mrg").MRG_RandomStreams(7)
    assert stream.normal((2, 3), nstreams=5).eval().shape == (2, 3)


def test_the_table_of_foreign_suites_is_whole():
    assert foreign.TESTS.keys() == foreign.PATCHES.keys() == foreign.KNOWN.keys()
    assert all(why for known in foreign.KNOWN.values() for why in known.values())
