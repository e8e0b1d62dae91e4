"""Les tableaux du périphérique, prêtés et empruntés ; et les cartes où ils sont.

Sans GPU, le simulateur : sa mémoire est celle de l’hôte, NumPy est donc un vrai emprunteur et un
vrai prêteur de DLPack, et un objet d’essai joue `__cuda_array_interface__`.
"""

import ctypes
import gc
import pickle
import subprocess
import sys
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest

import engine.tensor as T
from engine import config, function, shared
from engine.core.errors import DtypeError, EngineError, ModeError, ShapeError
from engine.core.types import DTYPES
from engine.gpu.kernels import dlpack, machines
from engine.gpu.kernels.arrays import DeviceArray, empty, upload
from engine.gpu.kernels.dlpack import ExchangeError
from engine.gpu.kernels.exchange import as_device_array, from_dlpack, is_foreign
from engine.gpu.kernels.machines import Simulator, machine

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.skipif(
        not isinstance(machine(), Simulator),
        reason="un GPU est là : l’échange s’y éprouve avec PyTorch (tests/device)",
    ),
]
VALUES = np.arange(12, dtype="float32").reshape(3, 4)


class Foreign:
    """Un tableau d’une autre bibliothèque, qui ne parle que `__cuda_array_interface__`."""

    def __init__(self, values, **said):
        self.values = values
        self.said = {
            "shape": values.shape,
            "typestr": values.dtype.str,
            "data": (values.ctypes.data, not values.flags.writeable),
            "strides": values.strides,
            "version": 3,
            **said,
        }

    @property
    def __cuda_array_interface__(self):
        return self.said


class Elsewhere:
    """Un tableau d’un vrai GPU, vu du simulateur : seule sa place se lit."""

    def __dlpack__(self, **options):
        raise AssertionError("rien ne doit être demandé")

    def __dlpack_device__(self):
        return dlpack.CUDA, 0


class Ancient:
    """Un prêteur de DLPack d’avant la version 1."""

    def __init__(self, values):
        self.values = values

    def __dlpack__(self, stream=None):
        return self.values.__dlpack__()

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


@pytest.fixture
def on_device():
    with config.change_flags(device="cuda", floatX="float32"):
        yield


# ---- prêter ------------------------------------------------------------------------------


def test_numpy_reads_and_writes_the_same_memory():
    x = upload(VALUES)
    seen = np.from_dlpack(x)
    np.testing.assert_array_equal(seen, VALUES)
    x[1, ::2] = -1
    assert seen[1].tolist() == [-1, 5, -1, 7]
    np.from_dlpack(x.transpose(1, 0)[::-1])[0, 0] = 9
    assert x[0, 3].to_host() == 9


def test_what_is_lent_lives_as_long_as_its_borrower():
    before = len(dlpack._lent)
    seen = np.from_dlpack(upload(VALUES))
    assert len(dlpack._lent) == before + 1
    gc.collect()
    np.testing.assert_array_equal(seen, VALUES)
    del seen
    gc.collect()
    assert len(dlpack._lent) == before
    upload(VALUES).__dlpack__()  # une capsule que personne ne prend
    assert len(dlpack._lent) == before


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "bfloat16"])
def test_each_dtype_and_shape(dtype):
    for view in (VALUES, VALUES[0, :0], VALUES[0, 0], VALUES[::-1, 1::2]):
        values = np.asarray(view, dtype)
        found = np.from_dlpack(upload(values))
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values)
        back = as_device_array(values)
        assert isinstance(back, DeviceArray) and back.dtype == values.dtype
        np.testing.assert_array_equal(back.to_host(), values)


def test_bfloat16_goes_by_both_protocols():
    brain = T.constant(VALUES, dtype="bfloat16").data
    x = upload(brain)
    for lender in (x, Foreign(brain)):
        back = as_device_array(lender)
        assert back.dtype == brain.dtype
        np.testing.assert_array_equal(back.to_host(), brain)

    class Tensor:
        def __dlpack__(self, **options):
            return x.__dlpack__(**options)

        def __dlpack_device__(self):
            return x.__dlpack_device__()

    np.testing.assert_array_equal(from_dlpack(Tensor()).to_host(), brain)


def test_the_old_envelope_serves_who_does_not_ask_for_the_new():
    for version, name in ((None, "dltensor"), ((0, 8), "dltensor"), ((1, 0), "versioned")):
        assert name in repr(upload(VALUES).__dlpack__(max_version=version))


def test_a_borrower_may_ask_for_a_copy_or_for_the_host():
    x = upload(VALUES)
    copied = np.from_dlpack(x, copy=True)
    copied[:] = 0
    np.testing.assert_array_equal(np.from_dlpack(x, device="cpu"), VALUES)
    with pytest.raises(ExchangeError, match="rang 3"):
        x.__dlpack__(dl_device=(dlpack.CUDA, 3))
    with pytest.raises(BufferError, match="flux"):
        x.__dlpack__(stream=1)


def test_the_array_interface_says_where_and_how():
    x = upload(VALUES)[1:, ::2]
    said = x.__cuda_array_interface__
    assert said["shape"] == (2, 2) and said["strides"] == (16, 8) and said["typestr"] == "<f4"
    pointer = ctypes.cast(said["data"][0], ctypes.POINTER(ctypes.c_float))
    assert pointer[0] == VALUES[1, 0]
    assert upload(VALUES[:0]).__cuda_array_interface__["data"] == (0, False)


# ---- emprunter ---------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [Foreign, Ancient, lambda v: v], ids=["CAI", "ancien", "DLPack"])
def test_a_foreign_array_is_read_in_place(wrap):
    for view in (VALUES, VALUES[::-1, ::2], VALUES.T, VALUES[:, None, 1], VALUES[:0]):
        values = view.copy(order="K")
        x = as_device_array(wrap(values))
        np.testing.assert_array_equal(x.to_host(), values)
    values = VALUES.copy()
    x = as_device_array(wrap(values[::-1, ::2]))
    x[0, 1] = 100
    assert values[2, 2] == 100
    np.testing.assert_array_equal(x.copy().to_host(), values[::-1, ::2])
    np.testing.assert_array_equal(np.from_dlpack(x), values[::-1, ::2])


@pytest.mark.parametrize("wrap", [Foreign, Ancient])
def test_its_owner_lives_as_long_as_it_is_used(wrap):
    owner = wrap(VALUES.copy())
    alive = weakref.ref(owner if wrap is Foreign else owner.values)
    x = as_device_array(owner)[1:]
    del owner
    gc.collect()
    assert alive() is not None
    np.testing.assert_array_equal(x.to_host(), VALUES[1:])
    del x
    gc.collect()
    assert alive() is None


def test_read_only_memory_is_not_written():
    values = VALUES.copy()
    values.flags.writeable = False
    for x in (as_device_array(values), as_device_array(Foreign(values))):
        with pytest.raises(ExchangeError, match="lecture seule"):
            x[0] = 1
        assert not np.from_dlpack(x).flags.writeable
        with pytest.raises(BufferError, match="version 1"):
            x.__dlpack__()
        x.copy()[0] = 1


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (Elsewhere(), ExchangeError, "un tableau d’un GPU"),
        (Foreign(VALUES, mask=1), ExchangeError, "masqué"),
        (Foreign(VALUES, strides=(16, 3)), ShapeError, "multiples de 4"),
        (Foreign(VALUES.astype("complex64")), DtypeError, "complex64"),
        (np.ones(2, "complex64"), DtypeError, "code 5"),
        ([1.0, 2.0], ExchangeError, "list"),
    ],
    ids=["GPU", "masque", "pas", "complexe", "complexe, DLPack", "liste"],
)
def test_what_cannot_be_borrowed_is_said(value, error, words):
    with pytest.raises(error, match=words):
        as_device_array(value)


def test_a_capsule_is_taken_once():
    class Once:
        capsule = VALUES.__dlpack__()

        def __dlpack__(self, **options):
            return self.capsule

        def __dlpack_device__(self):
            return dlpack.CPU, 0

    once = Once()
    assert from_dlpack(once).shape == VALUES.shape
    with pytest.raises(ExchangeError, match="déjà prise"):
        from_dlpack(once)


def test_copy_is_one():
    x = upload(VALUES)
    for y in (x.copy(), as_device_array(x, copy=True), as_device_array(VALUES, copy=True)):
        y[...] = 0
    np.testing.assert_array_equal(x.to_host(), VALUES)
    assert x.transpose(1, 0).copy().is_contiguous
    assert (
        not is_foreign(VALUES) and not is_foreign(3) and is_foreign(x) and is_foreign(Elsewhere())
    )


# ---- les fonctions et les variables partagées ----------------------------------------------


def test_a_function_takes_device_arrays_as_they_are(on_device, monkeypatch):
    x, y = T.matrix("x"), T.vector("y")
    w = shared(np.ones((4, 2), "float32"), "w")
    f = function([x, y], [(x.dot(w) * y).sum(axis=1), x.shape[0]], updates=[(w, w + x.sum())])
    expected = [f(VALUES, [1, 2]), f(VALUES, [1, 2])]
    w.set_value(np.ones((4, 2), "float32"))
    foreign = Foreign(VALUES.copy())
    monkeypatch.setattr(DeviceArray, "__array__", None)  # rien ne doit passer par l’hôte
    for wanted, given in zip(expected, (upload(VALUES), foreign), strict=True):
        for a, b in zip(wanted, f(given, upload(np.float32([1, 2]))), strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(foreign.values, VALUES)


def test_an_input_that_the_host_reads_comes_back(on_device):
    x = T.vector("x")
    f = function([x], [x, T.sort(x)], mode=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for found in f(upload(np.float32([2, 1]))):
            assert type(found) is np.ndarray


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (VALUES.astype("float64"), DtypeError, "f, entrée x.*\n.*float32"),
        (VALUES[0], ShapeError, "entrée x.*\n.*2 axe"),
    ],
    ids=["dtype", "axes"],
)
def test_a_wrong_device_array_is_refused(on_device, value, error, words):
    x = T.matrix("x")
    f = function([x], (x * 2).sum())
    with pytest.raises(error, match=words):
        f(upload(value))


def test_on_the_host_a_device_array_comes_back():
    x = T.fmatrix("x")
    f = function([x], x.sum())
    assert f(upload(VALUES)) == VALUES.sum()
    with pytest.raises(DtypeError, match="NumPy ne sait pas lire"):
        f(_Unreadable())


class _Unreadable:
    """Ce que PyTorch répond pour un tableau d’un GPU."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


def test_shared_variables_keep_device_arrays(on_device):
    given = upload(VALUES)
    w, lent = shared(given, "w"), shared(Foreign(VALUES), borrow=True)
    given[0] = -1
    np.testing.assert_array_equal(w.get_value(), VALUES)
    inside = w.get_value(borrow=True, return_internal_type=True)
    assert isinstance(inside, DeviceArray) and inside is w.storage.data
    copied = w.get_value(return_internal_type=True)
    copied[...] = 0
    np.testing.assert_array_equal(w.get_value(), VALUES)
    w.set_value(given)
    assert w.get_value()[0, 0] == -1
    w.set_value(given, borrow=True)
    assert w.storage.data is given
    assert lent.get_value(return_internal_type=True, borrow=True).to_host()[2, 3] == 11
    for wrong, error in ((upload(VALUES[0]), ShapeError), (upload(VALUES > 1), DtypeError)):
        with pytest.raises(error):
            w.set_value(wrong)
    count = shared(upload(np.int64(3)))  # un compteur reste sur l’hôte
    assert count.get_value() == 3 and not count.storage.on_device


def test_on_the_host_shared_brings_the_values():
    w = shared(upload(VALUES), "w")
    assert type(w.get_value(borrow=True, return_internal_type=True)) is np.ndarray
    w.set_value(upload(VALUES + 1))
    np.testing.assert_array_equal(w.get_value(), VALUES + 1)


def test_what_a_function_stores_is_its_own(on_device):
    x = T.matrix("x")
    a, b = shared(VALUES, "a"), shared(2 * VALUES, "b")
    f = function([x], updates=[(a, b), (b, a + x)])
    given = upload(VALUES)
    f(given)
    first, second = (v.get_value(borrow=True, return_internal_type=True) for v in (a, b))
    first[0], second[0] = -1, -2
    np.testing.assert_array_equal(given.to_host(), VALUES)
    np.testing.assert_array_equal(a.get_value()[1:], 2 * VALUES[1:])
    np.testing.assert_array_equal(b.get_value()[1:], 2 * VALUES[1:])


def test_a_variable_of_the_device_takes_what_the_host_gives(on_device):
    x, w = T.vector("x"), shared(np.zeros(2, "float32"), "w")
    f = function([x], (w * 2).sum(), updates=[(w, x)])
    g = function([], (w * 2).sum(), updates=[(w, T.clip(T.constant(np.float32([5, 7])), 0, 6))])
    given = upload(np.float32([1, 2]))
    assert [float(f(v)) for v in (given, np.float32([3, 4]), given, given)] == [0, 6, 14, 6]
    assert [float(g()) for _ in range(3)] == [6, 22, 22]
    np.testing.assert_array_equal(given.to_host(), [1, 2])


# ---- plusieurs cartes ----------------------------------------------------------------------


def test_each_card_has_its_machine():
    with config.change_flags(device="cuda1"):
        x = upload(VALUES)
    assert x.machine is machine(1) and machine() is machine(0) is not x.machine
    assert x[1].machine is x.reshape((12,)).machine is x.copy().machine is x.machine
    y = upload(VALUES)
    with pytest.raises(EngineError, match="cuda0 et cuda1"):
        y[0] = x[0]
    y[0] = x.to("cuda0")[0]
    x[0] = 5  # sur la carte de x, quel que soit le réglage
    assert x.to("cpu")[0, 0] == 5 and type(x.to("cpu")) is np.ndarray
    assert pickle.loads(pickle.dumps(y)).machine is machine(0)
    assert empty((2,), "float32", rank=1).rank == x.rank == 1


def test_a_function_stays_on_its_card():
    with config.change_flags(device="cuda1", floatX="float32"):
        x, w = T.matrix("x"), shared(np.ones((4, 2), "float32"), "w")
        f = function([x], x.dot(w).sum(), updates=[(w, w + 1)])
    for given in (VALUES, upload(VALUES).to("cuda1")):
        f(given)
    assert w.storage.data.machine is machine(1)
    np.testing.assert_array_equal(w.get_value(), np.full((4, 2), 3))
    with pytest.raises(ExchangeError, match=r"autre carte(.|\n)*x.to\('cuda1'\)"):
        f(upload(VALUES))
    with pytest.raises(ExchangeError, match="autre carte"):
        w.set_value(upload(np.ones((4, 2), "float32")))
    w.set_value(upload(np.ones((4, 2), "float32")).to("cuda1"))


def test_a_fault_is_said_by_its_own_card():
    with config.change_flags(device="cuda1", floatX="float32"):
        rows, w = T.lvector("rows"), shared(VALUES, "w")
        f = function([rows], updates=[(w, T.inc_subtensor(w[rows], 1))])
    with config.change_flags(gpu_replay="off"):  # sinon la faute se dit aussitôt
        f(np.array([0, 9]))
    upload(VALUES).to_host()
    shared(VALUES, "autre").get_value()  # une autre carte n’en dit rien
    with pytest.raises(ShapeError, match="index 9 is out of bounds"):
        w.get_value()


def test_a_card_that_does_not_exist_is_said():
    with (
        config.change_flags(device="cuda7"),
        pytest.raises(ModeError, match=r"GPU simulé 7(.|\n)*cuda0, cuda1"),
    ):
        upload(VALUES)
    with pytest.raises(ModeError, match="carte inconnue"):
        upload(VALUES).to("gpu")


@pytest.mark.parametrize(
    ("gpus", "modules", "compiler", "cubins", "words"),
    [
        (0, True, True, True, "aucun GPU"),
        (1, False, True, True, "cuda-bindings manque"),
        (1, True, False, False, "numba-cuda manque"),
        (1, True, False, True, None),
        (1, True, True, False, None),
    ],
)
def test_the_simulator_is_never_a_silent_choice(
    monkeypatch, gpus, modules, compiler, cubins, words
):
    monkeypatch.setattr(machines, "GPUS", gpus)
    monkeypatch.setattr(machines, "_has", lambda name: modules)
    monkeypatch.setattr(machines, "toolchain", lambda: compiler)
    monkeypatch.setattr(machines, "has_cubins", lambda: cubins)
    why = machines.why_simulated()
    assert why is None if words is None else words in why
    if gpus and words:
        assert "python3 demarrer.py gpu" in why


def test_it_is_said_once():
    program = """
import numpy as np
from engine import config
from engine.gpu.kernels.arrays import upload
config.device = "cuda"
upload(np.ones(2)), upload(np.ones(2)).to("cuda1")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stderr.count("les noyaux tournent dans le simulateur") == 1
    assert done.stderr.startswith("<string>:6:")  # la ligne de l’utilisateur
