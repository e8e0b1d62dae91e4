"""Les noms qu’emploient les programmes d’autres : forme, valeur, gradient, contre NumPy et SciPy."""

import itertools

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.stats

import engine
import engine.tensor as T
from engine import gradient
from engine.ops.rng import PoissonCount
from engine.tensor import nlinalg, slinalg
from engine.tensor.nnet import bn, conv, upsampling
from engine.tensor.shared_randomstreams import RandomStreams
from engine.tensor.signal.pool import pool_2d, pool_3d

rng = np.random.default_rng(0)
MODES = ("FAST_RUN", "FAST_COMPILE", "DebugMode")
a34, b34, c345, d345 = (rng.normal(size=s) for s in ((3, 4), (3, 4), (3, 4, 5), (3, 4, 5)))
square_3 = rng.normal(size=(3, 3))
symmetric = square_3 + square_3.T
definite = square_3 @ square_3.T + np.eye(3)
order = rng.permuted(np.tile(np.arange(4), (3, 1)), axis=1)
image, filters = rng.normal(size=(2, 4, 6, 5)), rng.normal(size=(6, 4, 3, 2))


def each(function):
    return lambda x, y: np.stack([function(a, b) for a, b in zip(x, y, strict=True)])


def diagonal_filled(a, value, offset=0):
    a = a.copy()
    for i in range(len(a)):
        if 0 <= i + offset < a.shape[1]:
            a[i, i + offset] = value
    return a


CASES = {  # nom : (moteur, NumPy, arguments dérivables)
    "square": (T.square, np.square, [a34]),
    "add": (lambda x, y: T.add(x, y, x, 2), lambda x, y: 2 * x + y + 2, [a34, b34]),
    "mul": (lambda x, y: T.mul(x, y, y), lambda x, y: x * y * y, [a34, b34[0]]),
    "stack(x, y)": (T.stack, lambda x, y: np.stack([x, y]), [a34, b34]),
    "stack([x, y], 1)": (lambda x, y: T.stack([x, y], 1), lambda x, y: np.stack([x, y], 1), [a34, b34]),
    "flatten": (lambda x: T.flatten(x, outdim=2), lambda x: x.reshape(3, 20), [c345]),
    "specify_shape": (lambda x: T.specify_shape(x, (3, None)) ** 2, np.square, [a34]),
    "batched_tensordot": (lambda x, y: T.batched_tensordot(x, y, [[2, 1], [2, 1]]),
                          lambda x, y: np.einsum("bij,bij->b", x, y), [c345, d345]),
    "batched_tensordot, un nombre": (lambda x, y: T.batched_tensordot(x, y, 1),
                                     lambda x, y: np.einsum("bij,bjk->bik", x, y), [c345, d345.transpose(0, 2, 1)]),
    **{f"batched_dot {x.shape} {y.shape}": (T.batched_dot, each(np.dot), [x, y]) for x, y in [
        (a34, b34), (a34[:, 0], c345), (c345, a34[:, 0]), (c345[:, None], c345[:, 0]),
        (c345, rng.normal(size=(3, 2, 5, 2))), (rng.normal(size=(3, 2, 4)), c345)]},
    "topk": (lambda x: T.topk(x, 2, axis=0), lambda x: np.sort(x, 0)[::-1][:2], [a34]),
    "topk, les plus petits": (lambda x: T.topk(x, -3), lambda x: np.sort(x, 1)[:, :3], [a34]),
    "topk d'un tableau aplati": (lambda x: T.topk(x, 5, axis=None), lambda x: np.sort(x.ravel())[::-1][:5], [a34]),
    "choose": (lambda x, y: T.choose(order[:2] % 2, [x[:2], y]), lambda x, y: np.choose(order[:2] % 2, [x[:2], y]),
               [a34, b34[0]]),
    "choose, un tableau": (lambda x: T.choose(order[0] % 3, x), lambda x: np.choose(order[0] % 3, x), [a34]),
    "permute_row_elements": (lambda x: T.permute_row_elements(x, order),
                             lambda x: np.take_along_axis(x, order, 1), [a34]),
    "permute_row_elements, une": (lambda x: T.permute_row_elements(x, order[0], inverse=1),
                                  lambda x: x[:, np.argsort(order[0])], [a34]),
    "fill_diagonal": (lambda x: T.fill_diagonal(x, 7), lambda x: diagonal_filled(x, 7), [a34]),
    **{f"fill_diagonal_offset {k}": (lambda x, v, k=k: T.fill_diagonal_offset(x, v, k),
                                     lambda x, v, k=k: diagonal_filled(x, v, k), [a34, np.array(0.5)])
       for k in (-4, -1, 0, 2, 5)},
    "compress": (lambda x: T.compress([0, 1, 0, 1], x, 1), lambda x: x[:, [1, 3]], [a34]),
    "x[liste de tranches]": (lambda x: x[[slice(0, 2), slice(None, None, 2)]], lambda x: x[:2, ::2], [a34]),
    "cov": (T.cov, np.cov, [a34]),
    "cov de deux": (lambda x, y: T.cov(x, y, rowvar=False, bias=True),
                    lambda x, y: np.cov(x, y, rowvar=False, bias=True), [a34, b34]),
    "deg2rad": (T.deg2rad, np.deg2rad, [a34]),
    "rad2deg": (T.rad2deg, np.rad2deg, [a34]),
    "divmod": (lambda x: T.divmod(x, 2.0)[1], lambda x: x % 2, [a34]),
    "expm": (slinalg.expm, scipy.linalg.expm, [square_3]),
    "expm, grande": (slinalg.expm, scipy.linalg.expm, [5 * square_3]),
    "eigvalsh": (slinalg.eigvalsh, scipy.linalg.eigvalsh, [symmetric, definite]),
    "eigvalsh, en haut": (lambda x: slinalg.eigvalsh(x, None, False),
                          lambda x: scipy.linalg.eigvalsh(x, lower=False), [symmetric]),
    "tensorinv": (nlinalg.tensorinv, np.linalg.tensorinv, [rng.normal(size=(2, 3, 3, 2))]),
    "tensorsolve": (nlinalg.tensorsolve, np.linalg.tensorsolve, [rng.normal(size=(2, 3, 6)), rng.normal(size=(2, 3))]),
    "tensorsolve, axes": (lambda x, y: nlinalg.tensorsolve(x, y, (0,)), lambda x, y: np.linalg.tensorsolve(x, y, (0,)),
                          [rng.normal(size=(6, 2, 3)), rng.normal(size=(2, 3))]),
    "batch_normalization": (lambda x, m: bn.batch_normalization(x, 2.0, 1.0, m, 3.0),
                            lambda x, m: (x - m) * 2 / 3 + 1, [a34, b34[0]]),
    "conv2d, deux groupes": (lambda x, w: T.nnet.conv2d(x, w[:, :2], num_groups=2),
                             lambda x, w: np.concatenate([naive(x[:, :2], w[:3, :2]), naive(x[:, 2:], w[3:, :2])], 1),
                             [image, filters]),
    "separable_conv2d": (lambda x, w: T.nnet.separable_conv2d(x, w[:4, :1], w[:, :, :1, :1], 4),
                         lambda x, w: naive(np.concatenate([naive(x[:, k:k + 1], w[k:k + 1, :1]) for k in range(4)], 1),
                                            w[:, :, :1, :1]), [image, filters]),
    "causal_conv1d": (lambda x, w: conv.causal_conv1d(x, w, (6, 4, 3), filter_dilation=2),
                      lambda x, w: causal(x, w, 2), [image[..., 0], filters[..., 0]]),
}  # fmt: skip


def naive(x, w):
    """La convolution, d’après sa formule."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.einsum("bchwuv,ocuv->bohw", windows, w[:, :, ::-1, ::-1])


def causal(x, w, dilation):
    out = np.zeros((len(x), len(w), x.shape[2]))
    for t, k in itertools.product(range(x.shape[2]), range(w.shape[2])):
        if t - k * dilation >= 0:
            out[:, :, t] += x[:, :, t - k * dilation] @ w[:, :, k].T
    return out


def inputs(values):
    return [T.TensorType("float64", (False,) * v.ndim)() for v in values]


def numeric_gradient(function, values, k, weight, step=1e-6):
    result = np.zeros_like(values[k])
    for place in np.ndindex(values[k].shape):
        sides = []
        for sign in (1, -1):
            moved = [v.copy() for v in values]
            moved[k][place] += sign * step
            sides.append((function(*moved) * weight).sum())
        result[place] = (sides[0] - sides[1]) / (2 * step)
    return result


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASES)
def test_value_shape_and_gradient(name, mode):
    ours, numpy, values = CASES[name]
    variables = inputs(values)
    out, wanted = ours(*variables), numpy(*values)
    weight = np.cos(np.arange(wanted.size)).reshape(wanted.shape)
    grads = T.grad((out * weight).sum(), variables)
    found, *slopes = engine.function(variables, [out, *grads], mode)(*values)
    assert found.shape == wanted.shape and found.dtype == wanted.dtype and out.ndim == wanted.ndim
    np.testing.assert_allclose(found, wanted, 1e-9, 1e-12)
    for k, slope in enumerate(slopes):
        if "eigvalsh" in name:  # SciPy ne lit qu’un triangle de chaque matrice, comme nous
            continue
        expected = numeric_gradient(numpy, values, k, weight)
        np.testing.assert_allclose(slope, expected, 1e-4, 1e-6 * (1 + abs(expected).max()))


def test_positions():
    assert np.array_equal(T.argtopk(a34, 2).eval(), np.argsort(a34, 1)[:, ::-1][:, :2])
    assert T.argtopk(a34, 2, idx_dtype="int32").dtype == "int32"
    k = T.lscalar()
    for count in (2, -2):
        found = engine.function([k], T.topk(a34, k))(count)
        assert np.array_equal(
            found, np.sort(a34, 1)[:, ::-1][:, :2] if count > 0 else np.sort(a34, 1)[:, :2]
        )
    assert np.array_equal(T.inverse_permutation(order).eval(), np.argsort(order, 1))
    outside = order - 1
    for mode in ("wrap", "clip"):
        found = T.choose(outside, [a34, b34, a34 + b34], mode=mode).eval()
        assert np.array_equal(found, np.choose(outside, [a34, b34, a34 + b34], mode=mode))
    with pytest.raises(engine.core.errors.EngineError, match="indice hors du tableau"):
        T.choose(outside, [a34, b34, a34, b34]).eval()
    for kind in ("quicksort", "mergesort", "heapsort"):
        assert np.array_equal(T.argsort(order, kind=kind).eval(), np.argsort(order, kind="stable"))


def test_a_shape_that_is_not_the_one_announced():
    x = T.dmatrix()
    assert T.specify_shape(x, (None, 4)).type.shape == (None, 4)
    with pytest.raises(engine.core.errors.ShapeError, match="n’a pas cette forme"):
        T.specify_shape(x, (3, 5)).eval({x: a34})
    with pytest.raises(engine.core.errors.ShapeError):
        T.specify_shape(T.constant(a34), (4, 3))


def test_several_outputs_of_linear_algebra():
    real = square_3 @ np.diag([1.0, 2.0, 3.0]) @ np.linalg.inv(square_3)
    w, v = engine.function([], nlinalg.eig(real))()
    np.testing.assert_allclose(real @ v, v * w, 1e-9)
    np.testing.assert_allclose(np.sort(w), [1, 2, 3])
    with pytest.raises(engine.core.errors.MatrixError, match="réelle"):
        nlinalg.eig(np.array([[0.0, 1.0], [-1.0, 0.0]]))[0].eval()
    for b in (a34[:, 0], a34[:, :2]):
        found = engine.function([], nlinalg.lstsq()(b34[:, :2], b, -1.0))()
        for ours, wanted in zip(found, np.linalg.lstsq(b34[:, :2], b, rcond=-1), strict=True):
            np.testing.assert_allclose(ours, wanted, 1e-9)


def test_gradients_that_change_on_the_way():
    x = T.dvector("x")
    cost = (gradient.grad_scale(x, -3) ** 2).sum()
    assert np.array_equal(T.grad(cost, x).eval({x: [1.0, 2.0]}), [-6.0, -12.0])
    cost.name = "c"
    assert T.grad(cost, x, add_names=True).name == "(dc/dx)"
    y = T.dvector("y")
    options = {"disconnected_inputs": "ignore"}
    assert T.grad(cost, [x, y], return_disconnected="None", **options)[1] is None
    assert np.array_equal(T.grad(cost, y, **options).eval({y: [1.0, 2.0]}), [0.0, 0.0])


@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_of_convolutions_by_name(groups):
    x, w = inputs([image, filters])
    kernel = filters[:, : 4 // groups]
    options = {"border_mode": (1, 0), "subsample": (2, 1), "num_groups": groups}
    out = T.nnet.conv2d(x, w, **options)
    g = rng.normal(size=out.eval({x: image, w: kernel}).shape)
    wanted = engine.function([x, w], T.grad((out * g).sum(), [x, w]))(image, kernel)
    by_name = [
        conv.conv2d_grad_wrt_inputs(g, kernel, image.shape, **options),
        conv.conv2d_grad_wrt_weights(image, g, kernel.shape, **options),
    ]
    for found, expected in zip(by_name, wanted, strict=True):
        np.testing.assert_allclose(found.eval(), expected, 1e-9, 1e-12)
    dilation = options.pop("subsample")
    transposed = T.nnet.conv2d_transpose(g, kernel, image.shape, input_dilation=dilation, **options)
    np.testing.assert_allclose(transposed.eval(), wanted[0], 1e-9, 1e-12)


def test_bilinear_upsampling():
    for ratio in (2, 3, 4):
        found = upsampling.bilinear_upsampling(image, ratio).eval()
        rows = (np.arange(6 * ratio) - (ratio - 1) // 2) / ratio
        columns = (np.arange(5 * ratio) - (ratio - 1) // 2) / ratio
        grid = np.meshgrid(rows, columns, indexing="ij")
        wanted = [
            [scipy.ndimage.map_coordinates(c, grid, order=1, mode="nearest") for c in b]
            for b in image
        ]
        np.testing.assert_allclose(found, wanted, 1e-9, 1e-12)
        as_fraction = upsampling.bilinear_upsampling(image, frac_ratio=(2 * ratio, 2)).eval()
        np.testing.assert_allclose(as_fraction, found, 1e-9, 1e-12)
    halves = upsampling.bilinear_upsampling(image, frac_ratio=((3, 2), (4, 1))).eval()
    assert halves.shape == (2, 4, 9, 20)


def softmax(scores):
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_hierarchical_softmax():
    x, W1, b1 = rng.normal(size=(5, 6)), rng.normal(size=(6, 3)), rng.normal(size=3)
    W2, b2, target = rng.normal(size=(3, 6, 4)), rng.normal(size=(3, 4)), np.array([0, 10, 3, 7, 8])
    inside = softmax(np.einsum("bd,cdk->bck", x, W2) + b2)
    wanted = (softmax(x @ W1 + b1)[:, :, None] * inside).reshape(5, 12)[:, :11]
    parameters = (5, 11, 3, 4, W1, b1, W2, b2)
    np.testing.assert_allclose(T.nnet.h_softmax(x, *parameters).eval(), wanted)
    picked = T.nnet.h_softmax(x, *parameters, target[:, None])
    np.testing.assert_allclose(picked.eval(), wanted[np.arange(5), target])


@pytest.mark.parametrize("mode", ["max", "sum", "average_inc_pad", "average_exc_pad"])
def test_a_pooling_window_known_at_run_time(mode):
    x, sizes = T.dtensor4(), [T.ivector() for _ in range(3)]
    for ws, stride, pad, whole in itertools.product(
        [(2, 2), (3, 1), (6, 5)], [(1, 1), (2, 3), (7, 7)], [(0, 0), (1, 0)], [True, False]
    ):
        if any(p >= w for p, w in zip(pad, ws, strict=True)) or (any(pad) and not whole):
            continue
        outs = [
            pool_2d(x, ws, whole, stride, pad, mode),
            pool_2d(x, sizes[0], whole, *sizes[1:], mode),
        ]
        known = engine.function([x], [outs[0], T.grad(outs[0].sum(), x)])(image)
        found = engine.function([x, *sizes], [outs[1], T.grad(outs[1].sum(), x)], "FAST_COMPILE",
                                on_unused_input="ignore")(image, ws, stride, pad)  # fmt: skip
        for ours, wanted in zip(found, known, strict=True):
            np.testing.assert_allclose(ours, wanted, 1e-9)
    volume = rng.normal(size=(2, 4, 5, 6))
    k = T.lscalar()
    found = engine.function([k], pool_3d(volume, [k, 2, k], True, mode=mode))(2)
    np.testing.assert_allclose(found, pool_3d(volume, (2, 2, 2), True, mode=mode).eval())


def test_poisson():
    uniforms = rng.random(1000)
    for mean in (0.0, 0.3, 4.0, 60.0, 1000.0):
        found = PoissonCount()(uniforms, mean).eval()
        assert np.array_equal(found, scipy.stats.poisson.ppf(uniforms, mean))
    draw = RandomStreams(3).poisson((20000,), lam=2.5)
    assert draw.dtype == "int64"
    value = draw.eval()
    assert abs(value.mean() - 2.5) < 0.05 and abs(value.var() - 2.5) < 0.1
    means = np.array([0.1, 50.0])
    assert RandomStreams(3).poisson(lam=means).eval().shape == (2,)
    with pytest.raises(engine.core.errors.DomainError):
        RandomStreams(3).poisson((2,), lam=-1.0)


def test_a_clone_that_shares_nothing_but_values():
    x, s = T.dvector("x"), engine.shared(np.ones(2), "s")
    copy = engine.clone(x * s, share_inputs=False)
    assert not {x, s} & set(copy.owner.inputs)
    twin = engine.clone(s, share_inputs=False)
    twin.default_update = twin + 1  # comme la normalisation par lot de Lasagne
    step = engine.function([], s + 0 * twin)
    step(), step()
    assert s.get_value().tolist() == twin.get_value().tolist() == [3.0, 3.0]


def test_arguments_in_the_order_of_theano_and_iterators():
    x, s = T.dvector("x"), engine.shared(np.ones(2), "s")
    f = engine.function([x], x * s, "FAST_COMPILE", zip([s], [s + 1], strict=True))
    assert f([1.0, 2.0]).tolist() == [1.0, 2.0] and s.get_value().tolist() == [2.0, 2.0]
    g = engine.function([x], s.sum(), givens=zip([s], [x], strict=True), rebuild_strict=False)
    assert g([5.0, 6.0]) == 11.0


def test_variables_inside_numpy():
    x = T.dmatrix("x")
    value = {x: a34}
    assert not callable(x)  # des programmes distinguent ainsi une valeur d’une fabrique
    np.testing.assert_allclose((a34 * x).eval(value), a34**2)
    with pytest.raises(engine.core.errors.DtypeError, match=r"T\.exp"):  # ce que demande le cas 43
        np.exp(x)
    assert np.prod([x.shape[0], 5, x.shape[1]]).eval(value) == 60
    wide, narrow = (lambda d=d: np.array(x, dtype=d) for d in ("float64", "int8"))
    for wrong in (lambda: list(x), lambda: bool(x > 0), wide, narrow):
        with pytest.raises(TypeError):
            wrong()


def test_identities_of_debugprint():
    x = T.dscalar("x")
    for ids, shown in (("int", "[0]"), ("CHAR", "[A]"), ("", "add\n")):
        assert shown in engine.debugprint(x + 1, ids=ids, file="str")
    with pytest.raises(engine.core.errors.EngineError, match="ids inconnu"):
        engine.debugprint(x, ids="?")
