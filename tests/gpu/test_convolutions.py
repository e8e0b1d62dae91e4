"""Les convolutions et les poolings du GPU contre NumPy, à tous les réglages ; et ce que consomment
les noyaux du LeNet des leçons.
"""

import numpy as np
import pytest

import engine
from engine import config
from engine.gpu.kernels import convolutions, poolings
from engine.gpu.kernels.arrays import upload
from engine.gpu.kernels.machines import machine
from engine.ops.conv import Convolution, ConvolutionGradFilters, ConvolutionGradInputs
from engine.ops.pool import MODES, MaxPoolGrad, MaxPoolPick, Pool, PoolGrad
from tests.device import report
from tests.device.requests import Recorder, call_on_device, using
from tests.gpu.marks import needs_compiler
from tests.gpu.test_parity import compare

pytestmark = pytest.mark.skipif(
    not machine().is_simulated, reason="un GPU est là : ses formes sont ailleurs"
)


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


def scattered(x):
    """Les mêmes valeurs sur le périphérique : deux axes échangés, le dernier à rebours, une case
    sur deux.
    """
    order = (1, 0, *range(2, x.ndim))
    stored = np.repeat(x.transpose(order)[..., ::-1], 2, axis=-1)
    return upload(stored)[..., ::-2].transpose(*order)


def pooling_cases(op, x_shape, dtype="float32"):
    """Un pooling et ses gradients."""
    x, v = floats(*x_shape, dtype=dtype), floats(*x_shape, dtype=dtype, seed=1)
    g = floats(*op.output_shape(x_shape), dtype=dtype, seed=2)
    if op.mode == "max":
        return [(op, [x]), (op.like(MaxPoolGrad), [x, g]), (op.like(MaxPoolPick), [x, v])]
    return [(op, [x]), (op.like(PoolGrad), [g, *map(np.array, op.image(x_shape))])]


# ---- les valeurs -------------------------------------------------------------------------

CONVOLUTIONS = {
    "plusieurs filtres, plusieurs canaux": (Convolution(), (2, 2, 6, 9), (11, 2, 3, 3)),
    "des bords de chaque côté": (Convolution(((1, 0), (2, 1))), (1, 2, 9, 8), (2, 2, 3, 3)),
    "tout entier": (Convolution("full"), (2, 2, 4, 4), (9, 2, 3, 2)),
    "sans retournement": (Convolution(filter_flip=False), (1, 3, 5, 8), (1, 3, 2, 3)),
    "un grand filtre": (Convolution("half"), (1, 1, 9, 8), (2, 1, 9, 7)),
    "des bords plus larges que le filtre": (Convolution(3), (1, 1, 4, 4), (2, 1, 2, 2)),
    "un pas": (Convolution(1, subsample=(2, 1)), (2, 2, 5, 6), (2, 2, 3, 3)),
    "un pas qui saute des pixels": (Convolution(subsample=(3, 2)), (1, 2, 9, 8), (2, 2, 2, 1)),
    "une dilatation": (Convolution(filter_dilation=(1, 2)), (2, 2, 5, 6), (2, 2, 3, 2)),
    "trois axes": (Convolution("half", (1, 2, 1)), (1, 2, 3, 4, 3), (2, 2, 3, 2, 2)),
    "aucune image": (Convolution(), (0, 2, 6, 8), (3, 2, 3, 3)),
    "aucun canal": (Convolution(), (2, 0, 6, 8), (3, 0, 3, 3)),
    "aucun filtre": (Convolution(), (2, 1, 6, 8), (0, 1, 3, 3)),
}


@pytest.mark.parametrize("room", [1 << 28, 4000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name, dtype, room, monkeypatch):
    """Toutes les images à la fois, ou une à une quand la place manque."""
    monkeypatch.setattr(convolutions, "_ROOM", room)
    for op, values in convolution_cases(*CONVOLUTIONS[name], dtype):
        assert compare(op, values)


def test_indices_of_64_bits_stop_at_the_borders(monkeypatch):
    """Négatifs, ils ne font pas le tour comme ceux de 32 bits sans signe."""
    for module in (convolutions, poolings):
        monkeypatch.setattr(module, "word_for", lambda shape: "int64")
    op = Convolution(((0, 1), (1, 0)), subsample=(2, 1))
    pool = Pool((3, 2), stride=(2, 1), pad=(1, 0), mode="average_exc_pad")
    cases = convolution_cases(op, (1, 2, 5, 4), (2, 2, 3, 3)) + pooling_cases(pool, (2, 5, 6))
    assert all(compare(*case) for case in cases)


def test_a_convolution_reads_views():
    for border_mode in ("valid", 1):
        for case in convolution_cases(Convolution(border_mode), (2, 2, 5, 6), (3, 2, 3, 3)):
            assert compare(*case, place=scattered)


POOLINGS = {
    "des carrés qui pavent": ((2, 2), {}, (2, 4, 8)),
    "un côté impair": ((2, 2), {}, (1, 2, 5, 4)),
    "une fenêtre incomplète": ((2, 2), dict(ignore_border=False), (3, 5, 6)),
    "des fenêtres qui se croisent": ((3, 2), dict(stride=(2, 1), pad=(1, 0)), (2, 5, 6)),
    "trois axes": ((2, 2, 3), dict(pad=(0, 1, 1)), (2, 4, 3, 5)),
    "aucune image": ((2, 2), {}, (0, 4, 4)),
}


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling(name):
    ws, settings, shape = POOLINGS[name]
    for mode in MODES:
        for op, values in pooling_cases(Pool(ws, mode=mode, **settings), shape):
            assert compare(op, values)


def test_a_pooling_reads_views():
    for mode in MODES:
        for case in pooling_cases(Pool((2, 2), mode=mode), (2, 3, 4, 4)):
            assert compare(*case, place=scattered)


def test_the_first_maximum_wins_and_a_nan_wins_over_all():
    x = np.float32([[[1, 1, np.nan, 5], [1, 0, 2, np.nan]]])
    op = Pool((2, 2))
    assert compare(op, [x]) and compare(op, [x[..., ::-1].copy()])
    assert compare(op.like(MaxPoolGrad), [x, np.float32([[[3, 4]]])])
    assert compare(op.like(MaxPoolPick), [x, np.arange(8, dtype="float32").reshape(1, 2, 4)])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_summed_in_float32(dtype):
    """Contre la même chose en float32, arrondie une fois."""
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
        if "bfloat16" not in engine.core.types.FLOATS:
            pytest.skip("le moteur n'a pas encore de bfloat16")
    cases = convolution_cases(Convolution("half"), (2, 2, 4, 8), (3, 2, 3, 3))
    cases += pooling_cases(Pool((2, 2)), (2, 4, 8)) + pooling_cases(
        Pool((2, 2), mode="sum"), (1, 4, 4)
    )
    for op, values in cases:
        short = [v.astype(dtype) if v.dtype == "float32" else v for v in values]
        (found,), node = call_on_device(op, short)
        wanted = [[None]]
        wide = [v.astype("float32") if v.dtype == dtype else v for v in short]
        op.perform(op.make_node(*wide), wide, wanted)
        assert node.outputs[0].dtype == dtype
        expected = wanted[0][0].astype(dtype).astype("float64")
        np.testing.assert_allclose(found.to_host().astype("float64"), expected, 1e-2, 1e-2)


# ---- ce que consomment les noyaux du LeNet des leçons ----------------------------------------

LENET = [((500, 1, 28, 28), (20, 1, 5, 5)), ((500, 20, 12, 12), (50, 20, 5, 5))]


@needs_compiler
@pytest.mark.parametrize("architecture", ["sm_75", "sm_90a"])
def test_the_kernels_of_lenet_are_lean(architecture, tmp_path):
    """Ni double, ni registre rangé en mémoire, ni indice de 64 bits là où 32 suffisent."""
    with using(Recorder()) as asked:
        for x_shape, w_shape in LENET:
            op, pool = Convolution(), Pool((2, 2))
            places = op.output_shape(x_shape, w_shape)
            cases = convolution_cases(op, x_shape, w_shape) + pooling_cases(pool, places)[:2]
            for case in cases:
                call_on_device(*case)
    requests = [r for r in dict.fromkeys(asked.requests) if r.name in ("columns", "pool")]
    assert len(requests) == 3
    with config.change_flags(cache_dir=str(tmp_path)):
        for request, found in report.rows(requests, architecture):
            title = report.title(request)
            assert found.spills == found.local == found.stack == found.doubles == 0, title
            assert found.registers <= 64, title
            assert "int64(" not in request.text, title
