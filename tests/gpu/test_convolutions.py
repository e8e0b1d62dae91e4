"""Les convolutions et les poolings du GPU : chaque niveau contre NumPy, la couche d’un seul tenant,
et ce que consomment les noyaux du LeNet des leçons.

Les formes sont minuscules, mais passent d’une tuile à l’autre : dans le simulateur, un bloc ne
compte que quelques fils.
"""

import math
import re

import numpy as np
import pytest

pytest.importorskip("numba")

import engine
import engine.tensor as T
from engine import config, function, shared
from engine.gpu.compiling.conv_pool import ConvolutionPool, PoolGivenBack, PoolGivenFilters
from engine.gpu.compiling.transfers import OnDevice
from engine.gpu.kernels import convolutions, cubins, direct_convolutions, filter_gradients
from engine.gpu.kernels.convolutions import direct_kernel, forward_work
from engine.gpu.kernels.filter_gradients import Correlation, share_for
from engine.gpu.kernels.machines import Simulator, machine
from engine.gpu.kernels.positions import NARROW
from engine.nn import Convolution as ConvolutionLayer
from engine.nn import Pooling
from engine.ops.conv import Convolution, ConvolutionGradFilters, ConvolutionGradInputs
from engine.ops.pool import MODES, MaxPoolGrad, MaxPoolPick, Pool, PoolGrad
from engine.tensor.signal.pool import pool_2d
from tests.device import report
from tests.device.requests import Recorder, call_on_device, using
from tests.gpu.marks import needs_compiler
from tests.gpu.test_parity import compare
from tests.gpu.test_training import check_same, lenet, on

pytestmark = [
    pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaPerformanceWarning"),
    pytest.mark.skipif(
        not isinstance(machine(), Simulator), reason="un GPU est là : ses formes sont ailleurs"
    ),
]


def floats(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def convolution_cases(op, x_shape, w_shape, dtype="float32"):
    """Une convolution et ses deux gradients : (op, entrées)."""
    x, w = floats(*x_shape, dtype=dtype), floats(*w_shape, dtype=dtype, seed=1)
    g = floats(*op.output_shape(x_shape, w_shape), dtype=dtype, seed=2)
    return [
        (op, [x, w]),
        (op.like(ConvolutionGradInputs), [w, g, *map(np.array, x_shape[2:])]),
        (op.like(ConvolutionGradFilters), [x, g, *map(np.array, w_shape[2:])]),
    ]


def pooling_cases(op, x_shape, dtype="float32"):
    """Un pooling et ses gradients."""
    x, v = floats(*x_shape, dtype=dtype), floats(*x_shape, dtype=dtype, seed=1)
    g = floats(*op.output_shape(x_shape), dtype=dtype, seed=2)
    if op.mode == "max":
        return [(op, [x]), (op.like(MaxPoolGrad), [x, g]), (op.like(MaxPoolPick), [x, v])]
    return [(op, [x]), (op.like(PoolGrad), [g, *map(np.array, op.image(x_shape))])]


def layer_cases(op, pool, x_shape, w_shape, activation=None):
    """La couche d’un seul tenant et ses gradients."""
    shape = pool.output_shape(op.output_shape(x_shape, w_shape))
    x, w, b = floats(*x_shape), floats(*w_shape, seed=1), floats(w_shape[0], seed=2)
    ranks, g = np.random.default_rng(3).integers(0, 4, shape).astype("uint8"), floats(*shape)
    filters = PoolGivenFilters(op.like(ConvolutionGradFilters), pool)
    return [
        (ConvolutionPool(op, pool, activation), [x, w, b]),
        (PoolGivenBack(op, pool), [ranks, g, x, w]),
        (filters, [x, ranks, g, *map(np.array, w_shape[2:])]),
    ]


# ---- les valeurs -------------------------------------------------------------------------

CONVOLUTIONS = {
    "deux groupes de filtres": (Convolution(), (2, 2, 6, 9), (11, 2, 3, 3)),
    "plusieurs images par bloc": (Convolution(), (5, 1, 4, 5), (3, 1, 3, 2)),
    "rangs alignés, trois segments": (Convolution(), (1, 2, 4, 28), (4, 2, 3, 5)),
    "des bords, plusieurs tranches": (Convolution(((1, 0), (2, 1))), (1, 2, 20, 20), (2, 2, 3, 3)),
    "tout entier": (Convolution("full"), (2, 2, 4, 4), (9, 2, 3, 2)),
    "sans retournement": (Convolution(filter_flip=False), (1, 3, 5, 8), (1, 3, 2, 3)),
    "un grand filtre": (Convolution("half"), (1, 1, 9, 8), (2, 1, 9, 7)),
    "des bords plus larges que le filtre": (Convolution(3), (1, 1, 4, 4), (2, 1, 2, 2)),
    "un pas": (Convolution(1, subsample=(2, 1)), (2, 2, 5, 6), (2, 2, 3, 3)),
    "une dilatation": (Convolution(filter_dilation=(1, 2)), (2, 2, 5, 6), (2, 2, 3, 2)),
    "trois axes": (Convolution("half", (1, 2, 1)), (1, 2, 3, 4, 3), (2, 2, 3, 2, 2)),
    "aucune image": (Convolution(), (0, 2, 6, 8), (3, 2, 3, 3)),
}


@pytest.mark.parametrize("tier", ["fast", "readable"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name, tier):
    with config.change_flags(gpu_tier=tier):
        for op, values in convolution_cases(*CONVOLUTIONS[name]):
            assert compare(op, values)


def _forget():
    """Les tuiles, choisies une fois par processus."""
    convolutions._direct_text.cache_clear()
    convolutions._correlation_texts.cache_clear()


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize("border", ["valid", 1])
def test_with_little_shared_memory_images_go_by_strips(border, channels, monkeypatch):
    for module in (direct_convolutions, filter_gradients):
        monkeypatch.setattr(module, "SHARED", 900)
    _forget()
    op, x_shape, w_shape = Convolution(border), (2, channels, 11, 8), (3, channels, 2, 3)
    places = op.output_shape(x_shape, w_shape)[2:]
    work = Correlation("float32", channels, (11, 8), 3, places, (2, 3), (0, 0), True, False)
    assert share_for(work, 2, machine().block, machine().warp).strips(work) > 1
    with config.change_flags(gpu_tier="fast"):
        assert all(compare(op, values) for op, values in convolution_cases(op, x_shape, w_shape))
    _forget()


@pytest.mark.parametrize("tier", ["fast", "readable"])
def test_convolution_in_double(tier):
    with config.change_flags(gpu_tier=tier):
        cases = convolution_cases(Convolution(), (2, 2, 5, 8), (3, 2, 2, 3), "float64")
        assert all(compare(op, values) for op, values in cases)


def test_the_fast_tier_has_several_tiles():
    """Ces formes passent bien d’un bloc à l’autre, sur chaque axe."""
    found = set()
    for op, x_shape, w_shape in CONVOLUTIONS.values():
        if len(op.axes) == 2 and {*op.subsample, *op.filter_dilation} == {1} and x_shape[0]:
            x = np.empty(x_shape, "float32")
            work = forward_work(
                op, "float32", _Placed(x), w_shape, op.output_shape(x_shape, w_shape)
            )
            _, tile = direct_kernel(work)
            across, down = tile.blocks(work)
            found |= {("filtres", across > 1), ("lignes", down > 1), ("images", tile.images > 1),
                      ("segments", tile.segments > 1), ("quadruplets", work.aligned)}  # fmt: skip
    names = {name for name, _ in found}
    assert found == {(name, several) for name in names for several in (True, False)}


class _Placed:
    """Un tableau, vu comme sur le périphérique."""

    def __init__(self, x):
        self.shape, self.offset = x.shape, 0


POOLINGS = {
    "quatre fenêtres par fil": ((2, 2), {}, (2, 4, 8)),
    "deux fenêtres par fil": ((2, 2), {}, (3, 2, 4)),
    "une fenêtre par fil": ((2, 2), {}, (1, 2, 2, 6)),
    "un côté impair": ((2, 2), {}, (2, 5, 4)),
    "une fenêtre incomplète": ((2, 2), dict(ignore_border=False), (3, 5, 6)),
    "des fenêtres qui se croisent": ((3, 2), dict(stride=(2, 1), pad=(1, 0)), (2, 5, 6)),
    "trois axes": ((2, 2, 3), dict(pad=(0, 1, 1)), (2, 4, 3, 5)),
}


@pytest.mark.parametrize("tier", ["fast", "readable"])
@pytest.mark.parametrize("name", POOLINGS)
def test_pooling(name, tier):
    ws, settings, shape = POOLINGS[name]
    with config.change_flags(gpu_tier=tier):
        for mode in MODES:
            for op, values in pooling_cases(Pool(ws, mode=mode, **settings), shape):
                assert compare(op, values)


@pytest.mark.parametrize("tier", ["fast", "readable"])
def test_the_first_maximum_wins_and_a_nan_wins_over_all(tier):
    x = np.float32([[[1, 1, np.nan, 5], [1, 0, 2, np.nan]]])
    op = Pool((2, 2))
    with config.change_flags(gpu_tier=tier):
        assert compare(op, [x]) and compare(op, [x[..., ::-1].copy()])
        assert compare(op.like(MaxPoolGrad), [x, np.float32([[[3, 4]]])])
        assert compare(op.like(MaxPoolPick), [x, np.arange(8, dtype="float32").reshape(1, 2, 4)])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("tier", ["fast", "readable"])
def test_halves_are_summed_in_float32(tier, dtype):
    """Contre la même chose en float32, arrondie une fois."""
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
        if "bfloat16" not in engine.core.types.FLOATS:
            pytest.skip("le moteur n'a pas encore de bfloat16")
    cases = convolution_cases(Convolution("half"), (2, 2, 4, 8), (3, 2, 3, 3))
    cases += pooling_cases(Pool((2, 2)), (2, 4, 8)) + pooling_cases(
        Pool((2, 2), mode="sum"), (1, 4, 4)
    )
    with config.change_flags(gpu_tier=tier):
        for op, values in cases:
            short = [v.astype(dtype) if v.dtype == "float32" else v for v in values]
            (found,), node = call_on_device(op, short)
            wanted = [[None]]
            wide = [v.astype("float32") if v.dtype == dtype else v for v in short]
            op.perform(op.make_node(*wide), wide, wanted)
            assert node.outputs[0].dtype == dtype
            expected = wanted[0][0].astype(dtype).astype("float64")
            np.testing.assert_allclose(found.to_host().astype("float64"), expected, 1e-2, 1e-2)


# ---- la couche d’un seul tenant ------------------------------------------------------------


@pytest.mark.parametrize("tier", ["fast", "readable"])
@pytest.mark.parametrize("activation", [None, "tanh", "sigmoid"])
def test_a_layer_in_one_kernel(tier, activation):
    whole = ConvolutionPool(Convolution(), Pool((2, 2)), activation)
    with config.change_flags(gpu_tier=tier):
        for sample in whole.samples():
            assert compare(whole, [v.astype("float32") for v in sample])


def test_a_layer_crosses_tiles():
    whole = ConvolutionPool(Convolution(), Pool((2, 2)), "tanh")
    with config.change_flags(gpu_tier="fast"):
        assert compare(whole, [floats(2, 2, 6, 12), floats(9, 2, 3, 5, seed=1), floats(9)])


def test_the_gradient_of_a_layer_goes_to_one_pixel_of_each_square():
    back = PoolGivenBack(Convolution(), Pool((2, 2)))
    for sample in back.samples():
        values = [v if v.dtype == "uint8" else v.astype("float32") for v in sample]
        assert compare(back, values)


@pytest.mark.parametrize("tier", ["fast", "readable"])
def test_the_filters_of_a_layer_read_the_ranks(tier):
    op = PoolGivenFilters(ConvolutionGradFilters(), Pool((2, 2)))
    ranks = np.random.default_rng(0).integers(0, 4, (3, 3, 2, 4)).astype("uint8")
    one_by_one = [floats(3, 1, 6, 10), ranks, floats(3, 3, 2, 4), np.array(3), np.array(3)]
    ranks = ranks[:1, :2].repeat(2, axis=3)
    four_by_four = [floats(1, 1, 6, 20), ranks, floats(1, 2, 2, 8), np.array(3), np.array(5)]
    cases = [*op.samples(), one_by_one, four_by_four]
    with config.change_flags(gpu_tier=tier):
        for sample in cases:
            values = [v if v.dtype.kind in "ui" else v.astype("float32") for v in sample]
            assert compare(op, values)


def theirs():
    """La couche des premiers tutoriels : l’activation après le pooling."""
    x = T.tensor4("x")
    W, b = shared(floats(2, 1, 3, 3), "W"), shared(floats(2, seed=1), "b")
    pooled = pool_2d(T.nnet.conv2d(x, W), (2, 2), ignore_border=True)
    out = T.tanh(pooled + b.dimshuffle("x", 0, "x", "x"))
    return x, W, b, out


def ours():
    """Celle des leçons : le pooling après l’activation."""
    x = T.tensor4("x")
    layer = ConvolutionLayer(1, 2, 3, activation=T.tanh, generator=np.random.default_rng(0))
    return x, *layer.parameters, Pooling(2)(layer(x))


def ops_of(f):
    return [n.op.op if isinstance(n.op, OnDevice) else n.op for n in f.fgraph.toposort()]


@pytest.mark.parametrize("layer", [ours, theirs])
def test_the_layer_of_a_lesson_is_one_node(layer):
    def build():
        x, W, b, out = layer()
        f = function([x], [out.sum(), *T.grad((out**2).sum(), [W, b])])
        return f(floats(2, 1, 8, 6)), f

    f = check_same(build)
    kinds = [type(op) for op in ops_of(f)]
    assert kinds.count(ConvolutionPool) == kinds.count(PoolGivenFilters) == 1
    assert not {Convolution, ConvolutionGradFilters, Pool, MaxPoolGrad} & set(kinds)
    (whole,) = [op for op in ops_of(f) if isinstance(op, ConvolutionPool)]
    assert whole.activation == "tanh"


def test_a_convolution_read_elsewhere_stays_apart():
    def build():
        x, W = T.tensor4("x"), shared(floats(2, 1, 3, 3), "W")
        y = T.nnet.conv2d(x, W)
        pooled = pool_2d(T.tanh(y), (2, 2), ignore_border=True)
        f = function([x], [pooled, y, T.grad(pooled.sum(), W)])
        return f(floats(1, 1, 6, 6)), f

    kinds = [type(op) for op in ops_of(check_same(build))]
    assert Convolution in kinds and ConvolutionPool not in kinds


def test_on_the_host_nothing_changes():
    f, _, _ = on("cpu", lenet)
    kinds = [type(op) for op in ops_of(f)]
    assert kinds.count(Pool) == kinds.count(Convolution) == 2 and ConvolutionPool not in kinds


# ---- ce que consomment les noyaux du LeNet des leçons ----------------------------------------

LENET = [((500, 1, 28, 28), (20, 1, 5, 5)), ((500, 20, 12, 12), (50, 20, 5, 5))]


def lenet_requests():
    """Les noyaux de ses convolutions, de ses poolings et de ses couches d’un seul tenant."""
    with using(Recorder()) as asked, config.change_flags(gpu_tier="fast"):
        for x_shape, w_shape in LENET:
            op, pool = Convolution(), Pool((2, 2))
            places = op.output_shape(x_shape, w_shape)
            cases = convolution_cases(op, x_shape, w_shape) + pooling_cases(pool, places)[:2]
            cases += layer_cases(op, pool, x_shape, w_shape, "tanh")
            for op, values in cases:
                call_on_device(op, values)
    return list(dict.fromkeys(asked.requests))


@pytest.fixture(scope="module")
def lenet_code(tmp_path_factory):
    """[(ce que calcule un noyau, son rapport, son code désassemblé)]."""
    with config.change_flags(cache_dir=str(tmp_path_factory.mktemp("cubins"))):
        rows = []
        for request, found in report.rows(lenet_requests(), "sm_90a"):
            path = tmp_path_factory.mktemp("noyau") / "noyau.cubin"
            path.write_bytes(cubins.cubin(request, "sm_90a")[1])
            listing = cubins._run(cubins.tool("nvdisasm"), "-c", path)
            rows.append((report.title(request), found, listing))
        return rows


def busiest_loop(listing):
    """(produits, instructions) de la boucle qui en fait le plus, sans boucle dedans."""
    code, labels = [], {}
    for line in listing.splitlines():
        label = re.match(r"\s*(\.L_\w+):", line)
        found = re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(.*?);", line)
        if label:
            labels[label[1]] = len(code)
        if found:
            code.append(found[1])
    loops = [
        (labels[target[1]], end)
        for end, item in enumerate(code)
        if (target := re.search(r"BRA.*?(\.L_\w+)", item)) and labels.get(target[1], end) < end
    ]
    innermost = [
        (start, end) for start, end in loops
        if not any(start <= s and e <= end and (s, e) != (start, end) for s, e in loops)
    ]  # fmt: skip
    counted = [
        (sum("FFMA" in item for item in code[start : end + 1]), end + 1 - start)
        for start, end in innermost
    ]
    return max(counted, default=(0, 1))


@needs_compiler
def test_the_kernels_of_lenet_fit_and_multiply(lenet_code):
    multiplied = 0
    for title, found, listing in lenet_code:
        assert found.spills == found.local == found.stack == found.doubles == 0, title
        assert found.registers <= 168 and found.shared < 48 * 1024, title
        if title.startswith(("convolution par tuiles", "gradient des filtres")):
            products, size = busiest_loop(listing)
            least = 0.85
            if " par 1," in title:  # le gradient de l’image d’entrée, que nul ne demande
                least = 0.6
            elif "par carrés" in title:  # il compare des rangs, et épargne 46 Mo
                least = 0.78
            assert products / size > least, (title, products, size)
            assert found.wide > 6 and "LDS.128" in listing, title
            multiplied += 1
        if title.startswith("fenêtres"):
            assert found.registers <= 40 and "LDG.E.128" in listing, title
    assert multiplied == 9


def test_the_words_of_a_kernel_are_narrow():
    """Les indices d’un noyau rapide se comptent en 32 bits."""
    for request in lenet_requests():
        assert "int64" not in request.signature and NARROW in request.signature
        assert math.prod((500, 20, 24, 24)) < 2**31
