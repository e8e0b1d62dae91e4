"""Ce que nous demandons à cuDNN, contre une fausse bibliothèque en C qui suit son contrat.

Elle lit ce qu’on lui décrit (formes, pas, bords, sens du filtre), calcule boucle par boucle, et
salit la place qu’on lui prête : une description de travers donne un autre résultat, ou un refus.
"""

import contextlib
import ctypes
import gc
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import engine
from engine import config, function, shared
from engine import tensor as T
from engine.gpu.kernels import convolutions
from engine.gpu.kernels.arrays import upload
from engine.gpu.kernels.blas import opened
from engine.gpu.kernels.calls import DeviceError
from engine.gpu.kernels.dnn import Library
from engine.gpu.kernels.machines import machine
from engine.gpu.kernels.registry import device_function
from engine.ops.conv import Convolution
from tests.gpu.coverage import node_of
from tests.gpu.test_convolutions import CONVOLUTIONS, convolution_cases, floats
from tests.gpu.test_parity import compare

SOURCE = Path(__file__).parents[1] / "device" / "libcudnn.c"
DEVICE = SimpleNamespace(stream_handle=0x57, ours=contextlib.nullcontext)
EXACT, FREE = 3, 0  # les cœurs permis : sans TF32, tous

pytestmark = pytest.mark.skipif(
    not machine().is_simulated, reason="un GPU est là : tests.device y essaie la vraie"
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """La fausse bibliothèque, compilée."""
    found = tmp_path_factory.mktemp("cudnn") / "libcudnn.so"
    command = ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    try:
        subprocess.run([*command, str(SOURCE), "-o", str(found)], check=True)
    except FileNotFoundError:
        pytest.skip("cc n'est pas installé")
    return found


@pytest.fixture
def dnn(path):
    """La nôtre, qui appelle la fausse."""
    loaded = ctypes.CDLL(str(path))
    loaded.journal.restype = ctypes.c_char_p
    loaded.forget()
    return Library(loaded, DEVICE)


def said(dnn):
    """Ce que la fausse a fait, et avec quels réglages."""
    lines = dnn.loaded.journal().decode().splitlines()
    return [
        (name, *(word.partition("=")[2] for word in rest)) for name, *rest in map(str.split, lines)
    ]


def asked(dnn, op, values, tf32=False):
    """Ce que cuDNN répond, et ce que NumPy calcule."""
    node, storage = node_of(op, values), [[None]]
    op.perform(node, values, storage)
    (expected,) = storage[0]
    found = dnn.convolve(op, expected.shape, *map(upload, values[:2]), tf32=tf32)
    return found, expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_convolution_is_ours_whatever_its_settings(dnn, name, dtype):
    op, x_shape, w_shape = CONVOLUTIONS[name]
    even = all(
        before == after for before, after in (op.padding(k, i) for i, k in enumerate(w_shape[2:]))
    )
    able = even and 0 not in (*x_shape, *w_shape)
    for case in convolution_cases(*CONVOLUTIONS[name], dtype):
        found, expected = asked(dnn, *case)
        assert (found is not None) == able
        if able:
            np.testing.assert_allclose(found.to_host(), expected, 1e-4, 1e-5)
    number = {"float32": "0", "float64": "1"}[dtype]
    math = EXACT if dtype == "float32" else FREE
    ways = ("Forward", "BackwardData", "BackwardFilter") if able else ()
    assert said(dnn) == [(way, number, number, str(math), "57") for way in ways]


def test_views_are_read(dnn):
    op = Convolution(1)
    for case_op, (a, b, *rest) in convolution_cases(op, (2, 2, 5, 6), (3, 2, 3, 3)):
        expected = asked(dnn, case_op, [a, b, *rest])[1]
        swapped = upload(np.ascontiguousarray(a.swapaxes(0, 1))).transpose(1, 0, 2, 3)
        backwards = upload(np.ascontiguousarray(b[..., ::-1]))[..., ::-1]
        found = dnn.convolve(case_op, expected.shape, swapped, backwards)
        np.testing.assert_allclose(found.to_host(), expected, 1e-4, 1e-5)


def test_tf32_and_halves_take_every_core(dnn):
    """Des demi-flottants s’additionnent en float32 ; les refuser, même en route, rend None."""
    for dtype, tf32 in (("float32", True), ("float64", True), ("float16", False)):
        case = convolution_cases(Convolution(), (1, 1, 3, 3), (1, 1, 2, 2), dtype)[0]
        found, _ = asked(dnn, *case, tf32=tf32)
        assert (found is None) == (dtype == "float16")
    assert [row[1:4] for row in said(dnn)] == [("0", "0", "0"), ("1", "1", "0"), ("2", "0", "0")]


def test_descriptions_are_given_back(dnn):
    alive = ctypes.c_int.in_dll(dnn.loaded, "alive")
    for case in convolution_cases(Convolution(((1, 0), (0, 0))), (1, 1, 3, 3), (1, 1, 2, 2)):
        asked(dnn, *case)  # refusées : rien n’en reste
    gc.collect()
    before = alive.value
    for _ in range(3):
        for case in convolution_cases(Convolution(), (1, 1, 3, 3), (1, 1, 2, 2)):
            asked(dnn, *case)
    assert alive.value == before + 3 * 4
    dnn.call.cache_clear()
    assert alive.value == before


# ---- dans une fonction ---------------------------------------------------------------------


@pytest.fixture
def installed(dnn, monkeypatch):
    monkeypatch.setattr(convolutions, "find", lambda device: (dnn, "cuDNN 9.28"))
    return dnn


def test_a_node_says_that_cudnn_computes_it(installed):
    asymmetric = Convolution(((1, 0), (0, 0)))
    for op in (Convolution(), asymmetric):
        for case_op, values in convolution_cases(op, (2, 2, 5, 6), (3, 2, 3, 3)):
            assert compare(case_op, values)
            tier = device_function(node_of(case_op, values)).tier
            assert str(tier) == "bibliothèque\u00a0: cuDNN 9.28"
    assert len(said(installed)) == 3  # le reste va par colonnes
    with config.change_flags(gpu_tier="readable"):
        op, values = convolution_cases(Convolution(), (2, 2, 5, 6), (3, 2, 3, 3))[0]
        assert compare(op, values)
    assert len(said(installed)) == 3


def test_a_step_is_replayed_with_cudnn(installed):
    """La place prêtée vient de l’arène : le rejeu la rend intacte, et donne les mêmes bits."""
    with config.change_flags(device="cuda", floatX="float32"):
        learnt = []
        for replay in ("off", "on"):
            with config.change_flags(gpu_replay=replay):
                w, v = (shared(floats(2, n, 2, 2, seed=n), "w") for n in (1, 2))
                x = T.tensor4("x")
                hidden = T.tanh(T.nnet.conv2d(x, w))
                cost = T.nnet.conv2d(hidden, v, border_mode="half").sum()
                grads = engine.grad(cost, [w, v])
                step = function(
                    [x],
                    cost,
                    updates=[(p, p - 0.1 * g) for p, g in zip((w, v), grads, strict=True)],
                )
                costs = [step(floats(2, 1, 4, 5)) for _ in range(3)]
                learnt.append([*costs, w.get_value(), v.get_value()])
        (plan,) = step._written.replayer.plans.values()
    for one, other in zip(*learnt, strict=True):
        assert np.array_equal(one, other)
    assert [event.method for event in plan.events].count("call") == 5
    assert len(said(installed)) == 5 * 6


# ---- la trouver ----------------------------------------------------------------------------


def test_a_library_is_looked_for_in_the_packages_then_in_the_system(path, tmp_path, monkeypatch):
    folders = {"paquet_de_nvidia": ("cudnn/lib",), "absent": ("lib",)}

    def find(names):
        return opened(DEVICE, "cuDNN", names, folders, Library)

    assert find(("libcudnn.so",)) == (None, "cuDNN n'est pas installé")
    found, said_of = find((str(path),))
    assert isinstance(found, Library) and said_of == "cuDNN 9.28"
    place = tmp_path / "paquet_de_nvidia" / "cudnn" / "lib"
    place.mkdir(parents=True)
    (place / "libcudnn.so").symlink_to(path)
    monkeypatch.syspath_prepend(tmp_path)
    assert find(("libcudnn.so",))[1] == "cuDNN 9.28"

    turns = []

    @contextlib.contextmanager
    def ours():  # une bibliothèque s’ouvre pour le GPU courant
        turns.append("à nous")
        yield
        turns.append("rendu")

    def refuses(loaded, device):
        assert turns == ["à nous"]
        raise DeviceError("trop vieille")

    device = SimpleNamespace(stream_handle=0x57, ours=ours)
    found, why = opened(device, "cuDNN", ("libcudnn.so",), folders, refuses)
    assert found is None and why.startswith("cuDNN ne démarre pas")
    simulated = SimpleNamespace(stream_handle=None)
    assert opened(simulated, "cuDNN", (str(path),), {}, Library) == (None, "le GPU est simulé")
