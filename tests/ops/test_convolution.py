"""Les convolutions et les poolings, contre des boucles écrites d’après leur définition."""

import itertools

import numpy as np
import pytest

from engine import Mode, function, shared
from engine import tensor as T
from engine.core.errors import DtypeError, EngineError, ShapeError
from engine.core.registry import find_kernel
from engine.core.types import TensorType
from engine.look.testing import check_grads, check_op, ops_of
from engine.ops.conv import Convolution
from engine.ops.pool import MODES, Pool
from engine.tensor.nnet import conv2d
from engine.tensor.signal.pool import pool_2d

SIZES = [((2, 3, 7, 6), (4, 3, 3, 2)), ((1, 1, 5, 5), (1, 1, 5, 5)), ((3, 2, 4, 9), (2, 2, 1, 4))]
BORDERS = ["valid", "full", "half", 2, (1, 0), ((0, 1), (2, 0))]


def _random(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


# ---- convolution -------------------------------------------------------------------------


def _pads(border, k, d):
    reach = [(n - 1) * step + 1 for n, step in zip(k, d, strict=True)]
    if isinstance(border, str):
        each = {"valid": [0, 0], "full": [r - 1 for r in reach], "half": [r // 2 for r in reach]}
        return [(n, n) for n in each[border]]
    sides = border if isinstance(border, tuple) else (border, border)
    return [side if isinstance(side, tuple) else (side, side) for side in sides]


def naive_conv2d(x, w, border, stride, flip, dilation):
    """La définition, un pixel à la fois."""
    w = w[:, :, ::-1, ::-1] if flip else w
    padded = np.pad(x, [(0, 0), (0, 0), *_pads(border, w.shape[2:], dilation)])
    (dy, dx), (sy, sx), (kh, kw) = dilation, stride, w.shape[2:]
    height = (padded.shape[2] - (kh - 1) * dy - 1) // sy + 1
    width = (padded.shape[3] - (kw - 1) * dx - 1) // sx + 1
    out = np.zeros((len(x), len(w), height, width))
    for i, j, u, v in itertools.product(*map(range, (height, width, kh, kw))):
        out[:, :, i, j] += padded[:, :, i * sy + u * dy, j * sx + v * dx] @ w[:, :, u, v].T
    return out


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("border", BORDERS, ids=str)
def test_convolution_value(sizes, border):
    x, w = _random(*sizes)
    compared = 0
    for stride, dilation, flip in itertools.product(
        [(1, 1), (2, 1), (3, 2)], [(1, 1), (2, 1), (1, 3)], [True, False]
    ):
        reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilation, strict=True)]
        padded = [
            n + sum(p)
            for n, p in zip(x.shape[2:], _pads(border, w.shape[2:], dilation), strict=True)
        ]
        if any(n < r for n, r in zip(padded, reach, strict=True)):
            with pytest.raises(ShapeError):
                Convolution(border, stride, flip, dilation)(x, w)
            continue
        obtained = check_op(Convolution(border, stride, flip, dilation), [x, w])
        np.testing.assert_allclose(
            obtained, naive_conv2d(x, w, border, stride, flip, dilation), 1e-12, 1e-12
        )
        compared += 1
    assert compared >= 6


def test_filters_are_flipped_by_default():
    x, w = np.array([[[[1.0, 2, 3], [4, 5, 6]]]]), np.array([[[[10.0, 1]]]])
    np.testing.assert_array_equal(conv2d(x, w).eval()[0, 0], [[21, 32], [54, 65]])
    np.testing.assert_array_equal(
        conv2d(x, w, filter_flip=False).eval()[0, 0], [[12, 23], [45, 56]]
    )


@pytest.mark.parametrize("border", BORDERS, ids=str)
@pytest.mark.parametrize(
    ("stride", "flip", "dilation"),
    [((1, 1), True, (1, 1)), ((2, 3), True, (1, 1)), ((1, 2), False, (2, 1))],
    ids=str,
)
def test_convolution_derivatives(border, stride, flip, dilation):
    """Ordres un et deux, contre les différences finies ; Rop contre Lop."""
    points = _random((2, 2, 5, 6), (3, 2, 2, 3))
    check_grads(Convolution(border, stride, flip, dilation), points)


def test_third_derivative_of_a_convolution():
    x, w = _random((1, 1, 4, 4), (1, 1, 2, 2))
    vx, vw = T.dtensor4("x"), T.dtensor4("w")
    cost = (conv2d(vx, vw) ** 3).sum()
    first = T.grad(cost, vw)
    second = T.grad((first**2).sum(), vx)
    f, g = (function([vx, vw], out) for out in [(first**2).sum(), second])
    step = np.zeros_like(x)
    step[0, 0, 1, 2] = 1e-5
    numeric = (f(x + step, w) - f(x - step, w)) / 2e-5
    np.testing.assert_allclose(g(x, w)[0, 0, 1, 2], numeric, 1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_big_batch_is_cut_into_chunks(dtype):
    x, w = (v.astype(dtype) for v in _random((300, 4, 14, 14), (6, 4, 5, 5)))
    vx, vw = TensorType(dtype, shape=(None,) * 4)("x"), TensorType(dtype, shape=(None,) * 4)("w")
    out = conv2d(vx, vw)
    outputs = [out, *T.grad((out**2).sum() / 2, [vx, vw])]
    value, gx, gw = function([vx, vw], outputs)(x, w)
    rtol = 1e-3 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(value, naive_conv2d(x, w, "valid", (1, 1), True, (1, 1)), rtol, rtol)
    parts = [function([vx, vw], outputs)(x[k : k + 50], w) for k in range(0, 300, 50)]
    np.testing.assert_allclose(gx, np.concatenate([part[1] for part in parts]), rtol, rtol)
    np.testing.assert_allclose(gw, sum(part[2] for part in parts), rtol, 30 * rtol)
    assert value.dtype == gx.dtype == gw.dtype == dtype


def test_convolution_of_an_empty_batch():
    x, w = T.dtensor4("x"), T.dtensor4("w")
    out = conv2d(x, w)
    value, gx, gw = function([x, w], [out, *T.grad(out.sum(), [x, w])])(
        np.zeros((0, 2, 5, 5)), np.ones((3, 2, 2, 2))
    )
    assert (value.shape, gx.shape, gw.shape) == ((0, 3, 4, 4), (0, 2, 5, 5), (3, 2, 2, 2))
    assert not gw.any()


def test_mixed_dtypes():
    x, w = T.ftensor4("x"), T.dtensor4("w")
    out = conv2d(x, w)
    gx, gw = T.grad(out.sum(), [x, w])
    assert (out.dtype, gx.dtype, gw.dtype) == ("float64", "float32", "float64")


def test_known_lengths_reach_the_type():
    x = TensorType("float32", shape=(None, 1, 28, 28))("x")
    w = T.constant(np.zeros((20, 1, 5, 5), "float32"))
    out = pool_2d(conv2d(x, w), ws=(2, 2), ignore_border=True)
    assert out.type.shape == (None, 20, 12, 12)
    assert T.grad(out.sum(), x).type.shape == (None, 1, 28, 28)


MISTAKES = [
    (lambda: conv2d(T.matrix("x"), T.tensor4("w")), ShapeError, "quatre axes"),
    (lambda: conv2d(T.tensor4("x"), T.tensor4("w"), border_mode="same"), EngineError, "'half'"),
    (lambda: conv2d(T.tensor4("x"), T.tensor4("w"), subsample=(0, 1)), EngineError, "subsample"),
    (
        lambda: conv2d(T.tensor4("x"), T.tensor4("w"), (8, 3, 9, 9), (4, 1, 3, 3)),
        ShapeError,
        "canaux",
    ),
    (
        lambda: conv2d(T.tensor4("x"), T.tensor4("w"), (8, 1, 4, 9), (4, 1, 5, 5)),
        ShapeError,
        "plus petite que le filtre",
    ),
    (lambda: conv2d(np.zeros((1, 1, 4, 4)), T.tensor4("w"), (8, 1, 4, 4)), ShapeError, "décrit"),
    (lambda: pool_2d(T.tensor4("x")), EngineError, "fenêtre manque"),
    (lambda: pool_2d(T.tensor4("x"), (2, 2), ds=(2, 2)), EngineError, "deux noms"),
    (lambda: pool_2d(T.tensor4("x"), (2, 2), mode="mean"), EngineError, "mode inconnu"),
    (lambda: pool_2d(T.tensor4("x"), (2, 2), pad=(1, 1)), EngineError, "ignore_border=True"),
    (lambda: pool_2d(T.tensor4("x"), (2, 2), True, pad=(2, 0)), EngineError, "dépasse"),
    (lambda: pool_2d(T.vector("x"), (2, 2)), ShapeError, "deux axes"),
    (lambda: pool_2d(T.itensor4("x"), (2, 2), mode="average_inc_pad"), DtypeError, "flottants"),
]


@pytest.mark.parametrize(("mistake", "error", "message"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_mistakes_are_explained(mistake, error, message):
    with pytest.raises(error) as caught:
        mistake()
    assert message in str(caught.value).replace("’", "'")


def test_mistakes_seen_when_running():
    x, w = T.dtensor4("x"), T.dtensor4("w")
    f = function([x, w], conv2d(x, w))
    with pytest.raises(EngineError, match="canaux"):
        f(np.zeros((1, 3, 5, 5)), np.zeros((2, 1, 3, 3)))
    with pytest.raises(EngineError, match="plus petite que le filtre"):
        f(np.zeros((1, 1, 2, 5)), np.zeros((2, 1, 3, 3)))


# ---- poolings ----------------------------------------------------------------------------


def naive_pool(x, ws, stride, pad, ignore_border, mode):
    """La définition : les fenêtres d’une image bordée, l’une après l’autre."""
    height, width = x.shape[-2:]
    starts = []
    for axis, n in enumerate((height, width)):
        low, high = -pad[axis], n + pad[axis]
        found = list(range(low, high, stride[axis]))
        if ignore_border:
            found = [start for start in found if start + ws[axis] <= high]
        else:  # on s’arrête dès que tout est couvert
            ends = [start + ws[axis] >= high for start in found]
            found = found[: ends.index(True) + 1] if True in ends else found
        starts.append(found)
    out = np.zeros((*x.shape[:-2], *map(len, starts)))
    for (i, top), (j, left) in itertools.product(*map(enumerate, starts)):
        bottom, right = top + ws[0], left + ws[1]
        window = x[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        covered = (min(bottom, height + pad[0]) - top) * (min(right, width + pad[1]) - left)
        out[..., i, j] = {
            "max": lambda window=window: window.max(axis=(-2, -1)),
            "sum": lambda window=window: window.sum(axis=(-2, -1)),
            "average_inc_pad": lambda w=window, n=covered: w.sum(axis=(-2, -1)) / n,
            "average_exc_pad": lambda window=window: window.mean(axis=(-2, -1)),
        }[mode]()
    return out


POOLINGS = [  # ws, stride, pad, ignore_border
    ((2, 2), (2, 2), (0, 0), True),
    ((2, 2), (2, 2), (0, 0), False),
    ((3, 2), (1, 2), (0, 0), False),
    ((3, 2), (2, 1), (0, 0), False),
    ((2, 3), (3, 4), (0, 0), False),
    ((2, 3), (3, 4), (0, 0), True),
    ((3, 3), (2, 2), (1, 1), True),
    ((3, 4), (1, 3), (2, 3), True),
    ((1, 1), (2, 2), (0, 0), True),
    ((9, 9), (1, 1), (0, 0), False),
]
IMAGES = [(2, 3, 6, 6), (2, 1, 5, 7), (7, 5), (1, 1, 3, 1)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", POOLINGS, ids=str)
@pytest.mark.parametrize("shape", IMAGES, ids=str)
def test_pooling_value(shape, options, mode):
    (x,) = _random(shape)
    obtained = check_op(Pool(*options, mode), [x])
    np.testing.assert_allclose(obtained, naive_pool(x, *options, mode), 1e-12, 1e-14)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", POOLINGS, ids=str)
def test_pooling_derivatives(options, mode):
    point = np.random.default_rng(2).permutation(2 * 6 * 7).reshape(2, 1, 6, 7) / 20 - 2
    op = Pool(*options, mode)
    if 0 not in op.output_shape(point.shape):
        check_grads(lambda x: op(x) ** 2, [point])


def test_a_window_larger_than_the_image():
    x = T.dmatrix("x")
    assert pool_2d(x, (4, 4), True).eval({x: np.ones((3, 8))}).shape == (0, 2)
    assert pool_2d(x, (4, 4), False).eval({x: np.ones((3, 8))}).shape == (1, 2)
    with pytest.raises(EngineError, match="image vide"):
        pool_2d(x, (2, 2)).eval({x: np.ones((0, 8))})


@pytest.mark.parametrize("mode", ["numpy", "numba"])
def test_gradient_goes_to_the_first_maximum(mode):
    x = T.dmatrix("x")
    gradient = T.grad(pool_2d(x, (2, 2), True).sum(), x)
    f = function([x], gradient, mode=Mode(mode, None))
    np.testing.assert_array_equal(f(np.zeros((2, 4))), [[1, 0, 1, 0], [0, 0, 0, 0]])
    nan = np.array([[1.0, np.nan], [np.nan, 2.0]])
    np.testing.assert_array_equal(f(nan), [[0, 1], [0, 0]])
    np.testing.assert_array_equal(f(np.full((2, 2), -np.inf)), [[1, 0], [0, 0]])


@pytest.mark.parametrize("mode", ["numpy", "numba"])
def test_maximum_of_extreme_values(mode):
    """Le bord ajouté n’est jamais le maximum, et NaN se propage."""
    x = T.dmatrix("x")
    f = function([x], pool_2d(x, (2, 2), True, (1, 1), (1, 1)), mode=Mode(mode, None))
    low = np.full((2, 2), -np.inf)
    np.testing.assert_array_equal(f(low), np.full((3, 3), -np.inf))
    low[0, 0] = np.nan
    np.testing.assert_array_equal(np.isnan(f(low)), [[1, 1, 0], [1, 1, 0], [0, 0, 0]])


def test_pooling_of_integers():
    x = T.imatrix("x")
    values = np.array([[-5, -7], [-6, -9]], "int32")
    assert pool_2d(x, (2, 2), True, mode="max").eval({x: values}) == [[-5]]
    assert pool_2d(x, (2, 2), True, mode="sum").eval({x: values}).dtype == "int32"


def test_native_kernels_take_floats_only():
    for dtype, native in [("float32", True), ("float64", True), ("int32", False)]:
        x = TensorType(dtype, shape=(None,) * 4)("x")
        node = pool_2d(x, (2, 2)).owner
        assert (find_kernel(node, "numba") is not None) == native


def test_old_names_of_the_arguments():
    (x,) = _random((1, 1, 6, 6))
    old = pool_2d(x, ds=(3, 3), ignore_border=True, st=(2, 2), padding=(1, 1)).eval()
    new = pool_2d(x, (3, 3), True, (2, 2), (1, 1)).eval()
    np.testing.assert_array_equal(old, new)


# ---- ensemble ----------------------------------------------------------------------------


def test_lenet_shapes_and_gradients():
    """28 × 28 → 20 × 24 × 24 → 20 × 12 × 12 → 50 × 8 × 8 → 50 × 4 × 4, comme dans les tutoriels."""
    rng = np.random.default_rng(0)
    w1, w2 = (
        shared(rng.normal(size=shape).astype("float32") / 10, name=name)
        for shape, name in [((20, 1, 5, 5), "w1"), ((50, 20, 5, 5), "w2")]
    )
    b1 = shared(np.zeros(20, "float32"), name="b1")
    x = T.fmatrix("x")
    images = x.reshape((x.shape[0], 1, 28, 28))
    c1 = conv2d(images, w1, filter_shape=(20, 1, 5, 5), input_shape=(None, 1, 28, 28))
    p1 = T.tanh(pool_2d(c1, ws=(2, 2), ignore_border=True) + b1.dimshuffle("x", 0, "x", "x"))
    c2 = conv2d(p1, w2)
    p2 = T.tanh(pool_2d(c2, ws=(2, 2), ignore_border=True))
    cost = (p2.flatten(2) ** 2).mean()
    shapes = function([x], [layer.shape for layer in (c1, p1, c2, p2, p2.flatten(2))])
    values = rng.normal(size=(3, 784)).astype("float32")
    expected = [(20, 24, 24), (20, 12, 12), (50, 8, 8), (50, 4, 4), (800,)]
    assert [tuple(shape) for shape in shapes(values)] == [(3, *shape) for shape in expected]
    parameters = [w1, w2, b1]
    grads = function([x], T.grad(cost, parameters))(values)
    evaluate = function([x], cost)
    for parameter, gradient in zip(parameters, grads, strict=True):
        start = parameter.get_value()
        assert gradient.shape == start.shape
        assert gradient.dtype == "float32"
        direction = gradient / np.linalg.norm(gradient)
        ahead, behind = (
            _at(parameter, start + sign * 0.02 * direction, evaluate, values) for sign in (1, -1)
        )
        parameter.set_value(start)
        np.testing.assert_allclose((ahead - behind) / 0.04, np.linalg.norm(gradient), rtol=0.02)


def _at(parameter, value, evaluate, values):
    parameter.set_value(value.astype("float32"))
    return float(evaluate(values))


def test_shapes_are_known_without_computing():
    x, w = T.dtensor4("x"), T.dtensor4("w")
    out = pool_2d(conv2d(x, w, border_mode="half", subsample=(2, 1)), (3, 2), False, (2, 2))
    f = function([x, w], [*T.grad(out.sum(), x).shape, *out.shape], on_unused_input="ignore")
    assert not any("conv2d" in op or "pool2d" in op for op in ops_of(f))
    image, filters = np.ones((2, 3, 9, 8)), np.ones((4, 3, 3, 2))
    real = out.eval({x: image, w: filters}).shape
    assert [int(n) for n in f(image, filters)] == [2, 3, 9, 8, *real]


def test_a_convolutional_layer_learns():
    """Retrouver un filtre par descente de gradient : la perte tombe de plus de mille fois."""
    rng = np.random.default_rng(1)
    x, y = T.dtensor4("x"), T.dtensor4("y")
    w = shared(np.zeros((2, 1, 3, 3)))
    loss = ((conv2d(x, w, border_mode="half") - y) ** 2).mean()
    train = function([x, y], loss, updates=[(w, w - 0.3 * T.grad(loss, w))])
    images, target = rng.normal(size=(8, 1, 10, 10)), rng.normal(size=(2, 1, 3, 3))
    wanted = conv2d(images, target, border_mode="half").eval()
    losses = [float(train(images, wanted)) for _ in range(60)]
    assert losses[-1] < losses[0] / 1000
    np.testing.assert_allclose(w.get_value(), target, atol=0.05)


# ---- trois dimensions --------------------------------------------------------------------


@pytest.mark.parametrize("border", ["valid", "full", "half", (1, 0, 2)], ids=str)
@pytest.mark.parametrize(
    ("stride", "flip", "dilation"), [((1, 1, 1), True, (1, 1, 1)), ((2, 1, 3), False, (1, 2, 1))]
)
def test_convolution_of_volumes(border, stride, flip, dilation):
    """conv3d est une somme de conv2d : une par tranche de profondeur du filtre."""
    x, w = _random((2, 3, 5, 6, 7), (4, 3, 2, 3, 2))
    options = (border, stride, flip, dilation)
    obtained = check_op(lambda x, w: T.nnet.conv3d(x, w, None, None, *options), [x, w])
    pads = {"valid": (0, 0, 0), "full": None, "half": None}.get(border, border)
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilation, strict=True)]
    if pads is None:
        pads = [r - 1 for r in reach] if border == "full" else [r // 2 for r in reach]
    deep = np.pad(x, [(0, 0), (0, 0), (pads[0], pads[0]), (0, 0), (0, 0)])
    w = w[:, :, ::-1] if flip else w
    for i in range(obtained.shape[2]):
        plane = sum(
            naive_conv2d(
                deep[:, :, i * stride[0] + u * dilation[0]],
                w[:, :, u],
                tuple(pads[1:]),
                stride[1:],
                flip,
                dilation[1:],
            )
            for u in range(w.shape[2])
        )
        np.testing.assert_allclose(obtained[:, :, i], plane, 1e-12, 1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_pooling_of_volumes(mode):
    """Une fenêtre de 2 × 2 × 3 : le résumé, en profondeur, des résumés de chaque tranche."""
    (x,) = _random((2, 1, 4, 6, 7))
    obtained = check_op(lambda x: T.signal.pool.pool_3d(x, (2, 2, 3), True, mode=mode), [x])
    planes = naive_pool(x, (2, 3), (2, 3), (0, 0), True, mode)
    summary = {"max": np.max, "sum": np.sum}.get(mode, np.mean)
    pairs = planes.reshape(2, 1, 2, 2, *planes.shape[-2:])
    np.testing.assert_allclose(obtained, summary(pairs, axis=3), 1e-12)
    point = np.random.default_rng(2).permutation(x.size).reshape(x.shape) / 20 - 2
    check_grads(lambda x: T.signal.pool.pool_3d(x, 2, mode=mode) ** 2, [point])


def test_errors_name_the_axes_of_a_volume():
    x, w = T.tensor5("x"), T.tensor5("w")
    with pytest.raises(EngineError, match="profondeur, hauteur, largeur"):
        T.nnet.conv3d(x, w, subsample=(1, 1))
    with pytest.raises(ShapeError, match="cinq axes"):
        T.nnet.conv3d(T.dtensor4("x"), w)
    with pytest.raises(ShapeError, match="trois axes au moins"):
        T.signal.pool.pool_3d(T.dmatrix("x"), 2)
    with pytest.raises(EngineError, match="deux noms"):
        conv2d(T.dtensor4("x"), T.dtensor4("w"), (1, 1, 5, 5), image_shape=(1, 1, 5, 5))


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "dtype", "settings"),
    [
        ((37, 3, 9, 8), (5, 3, 3, 3), "float32", {}),
        ((9, 3, 9, 8), (7, 3, 3, 2), "float64", {"subsample": (2, 3), "border_mode": "half"}),
        (
            (16, 2, 9, 11),
            (3, 2, 2, 3),
            "float32",
            {"border_mode": "full", "filter_dilation": (2, 3), "filter_flip": False},
        ),
    ],
    ids=["lot incomplet", "pas", "dilatation"],
)
def test_a_batch_has_its_own_kernel(x_shape, w_shape, dtype, settings):
    """Des groupes d’images côte à côte, partagés entre les fils : les trois ops, contre NumPy."""
    op = Convolution(**settings)
    x, w = (v.astype(dtype) for v in _random(x_shape, w_shape))
    (g,) = (v.astype(dtype) for v in _random(op.output_shape(x_shape, w_shape), seed=1))
    vx, vw, vg = (TensorType(dtype, shape=(None,) * 4)() for _ in range(3))
    out = op(vx, vw)
    outputs = [out, *T.grad(None, [vx, vw], known_grads={out: vg})]
    assert all(
        find_kernel(node, "numba") for node in map(lambda v: v.owner, outputs) if node is not None
    )
    wide = function([vx, vw, vg], outputs, mode=Mode("numpy"), allow_input_downcast=True)
    compiled = function([vx, vw, vg], outputs, mode=Mode("numba"))
    rtol = 1e-5 if dtype == "float32" else 1e-12
    for kept in (len(x), 7, len(x)):  # les formes changent, la mémoire de travail aussi
        expected = wide(x[:kept], w, g[:kept])
        for _ in range(2):
            for obtained, value in zip(compiled(x[:kept], w, g[:kept]), expected, strict=True):
                assert obtained.dtype == dtype
                np.testing.assert_allclose(obtained, value, rtol, rtol * np.abs(value).max())
    x[:] = np.nan
    assert np.isnan(compiled(x, w, g)[0]).all()
    x[:] = 1
    assert not any(np.isnan(v).any() for v in compiled(x[:7], w, g[:7]))
