"""Ce qui reste sur la carte entre deux appels, et ce que Python y calcule.

Chaque opération contre NumPy ; deux fonctions à la suite ne portent ni ne rapportent rien.
"""

import numpy as np
import pytest

import engine.tensor as T
from engine import Out, config, function, grad, shared
from engine.core.errors import EngineError, ModeError
from engine.gpu.kernels import arithmetic
from engine.gpu.kernels.arrays import DeviceArray, upload
from engine.gpu.kernels.machines import machine

A = np.arange(-3.0, 3, dtype="float32").reshape(2, 3)
B = np.float32([[2, -1, 4], [1, 3, 0.5]])


@pytest.fixture(autouse=True)
def _on_device():
    with config.change_flags(device="cuda", floatX="float32"):
        yield


@pytest.fixture
def carried(monkeypatch):
    """Ce qui passe de l’hôte à la carte, et retour."""
    found, here = [], type(machine())
    write, download = here.write, here.download

    def noting_write(self, array, value):
        found.append("write")
        write(self, array, value)

    def noting_download(self, array):
        found.append("download")
        return download(self, array)

    def copy(self, target, source):  # celle du simulateur écrit comme si cela venait de l’hôte
        write(self, target, source.buffer[source.offset : source.offset + source.size])

    monkeypatch.setattr(here, "write", noting_write)
    monkeypatch.setattr(here, "download", noting_download)
    monkeypatch.setattr(here, "copy", copy)
    return found


OPERATIONS = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a * b": lambda a, b: a * b,
    "a / b": lambda a, b: a / b,
    "a // b": lambda a, b: a // b,
    "a % b": lambda a, b: a % b,
    "a ** 2": lambda a, b: a**2,
    "2 - a": lambda a, b: 2 - a,
    "1.5 * a": lambda a, b: 1.5 * a,
    "-a": lambda a, b: -a,
    "|a|": lambda a, b: abs(a),
    "a @ bᵀ": lambda a, b: a @ b.T,
    "a[1] @ b[0]": lambda a, b: a[1] @ b[0],
    "a == 0": lambda a, b: a == 0,
    "a != b": lambda a, b: a != b,
    "a < b": lambda a, b: a < b,
    "a >= b": lambda a, b: a >= b,
    "a + une ligne": lambda a, b: a + b[:1],
    "une tranche": lambda a, b: a[:, ::-1] + b[1],
    "la somme": lambda a, b: a.sum(),
    "la somme des lignes": lambda a, b: a.sum(axis=1),
    "la moyenne": lambda a, b: b.mean(axis=0, keepdims=True),
    "le maximum": lambda a, b: a.max(axis=(0, 1)),
    "sa place": lambda a, b: b.argmax(axis=1),
    "en float64": lambda a, b: a.astype("float64") + 1,
    "en entiers": lambda a, b: a.astype("int64") + 2,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_arrays_compute_as_in_numpy(name):
    operation = OPERATIONS[name]
    found, wanted = operation(upload(A), upload(B)), np.asarray(operation(A, B))
    assert isinstance(found, DeviceArray)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(found.to_host(), wanted, 1e-6, 1e-6)


def test_an_array_of_the_host_is_carried_and_numpy_gives_way():
    for found in (A + upload(B), upload(A) + B):
        assert isinstance(found, DeviceArray) and np.array_equal(found.to_host(), A + B)
    with pytest.raises(TypeError):
        np.add(upload(A), 1)  # et ne revient pas en silence sur l’hôte


def test_a_number_reads_as_one_and_several_are_not_true_or_false():
    total = upload(A).sum()
    assert (float(total), int(total), total.item(), bool(total)) == (-3.0, -3, -3.0, True)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(upload(A) == 0)
    assert str(upload(A[0])) == str(A[0]) and "float32 (2, 3)" in repr(upload(A))


def test_an_operation_compiles_once():
    before = arithmetic._compiled.cache_info().misses
    for k in range(3):
        upload(A + k) * 3.5 + k
    assert arithmetic._compiled.cache_info().misses <= before + 2


def test_two_functions_meet_on_the_card(carried):
    x, w = T.matrix("x"), shared(B, "w")
    first = function([x], (x * w).transfer("cuda"))
    second = function([x], x.sum(axis=0).transfer("cuda"), updates=[(w, w + 1)])
    given, value = upload(A), B
    for _ in range(4):
        carried.clear()
        found = second(first(given))
        assert carried == []
        np.testing.assert_allclose(found.to_host(), (A * value).sum(axis=0), 1e-5)
        value = value + 1


def test_what_is_kept_is_a_copy_unless_it_is_lent():
    x = T.matrix("x")
    for lent in (False, True):
        f = function([x], Out((2 * x).transfer("cuda"), borrow=lent))
        found = [f(A + k) for k in range(4)]
        assert (found[2].buffer is found[3].buffer) == lent
        for k, array in enumerate(found[3:] if lent else found):
            assert np.array_equal(array.to_host(), 2 * (A + (3 if lent else k)))


def test_an_output_that_is_also_an_update_has_its_own_memory():
    w = shared(A, "w")
    f = function([], [(w + 1).transfer("cuda"), w.sum()], updates=[(w, w + 1)])
    found = [f()[0] for _ in range(4)]
    assert [array.to_host()[0, 0] for array in found] == [A[0, 0] + k for k in (1, 2, 3, 4)]
    assert np.array_equal(w.get_value(), A + 4)


def test_elsewhere_a_transfer_changes_nothing():
    x = T.matrix("x")
    y = (x.transfer("cuda") ** 2).transfer("cpu")
    for device in ("cuda", "cpu"):
        with config.change_flags(device=device):
            g = function([x], [x.transfer("cpu") + 1, grad(y.sum(), x).transfer("cpu")])
            one, slope = g(A) if device == "cuda" else (A + 1, 2 * A)
        assert np.array_equal(one, A + 1) and np.array_equal(slope, 2 * A)


def test_a_given_array_stays():
    x = T.matrix("x")
    f = function([x], x.transfer("cuda"))
    assert np.array_equal(f(A).to_host(), A)


def test_the_wrong_place_is_said():
    x = T.matrix("x")
    with pytest.raises(ModeError, match="destination inconnue"):
        x.transfer("gpu")
    with config.change_flags(device="cpu"):
        f = function([x], x.transfer("cuda"))
    with pytest.raises(ModeError, match="processeur"):
        f(A)
    with pytest.raises(ModeError, match="une seule carte"):
        function([x], x.transfer("cuda1"))


def test_a_card_each():
    w = shared(A, "w", target="cuda1")
    assert w.get_value(borrow=True, return_internal_type=True).rank == 1
    with config.change_flags(device="cuda1"):
        f = function([], w.sum().transfer("cuda1"), updates=[(w, 2 * w)])
    there = f()
    assert there.rank == 1 and np.array_equal(w.get_value(), 2 * A)
    here = there.to("cuda0")
    assert here.rank == 0 and here.item() == A.sum()
    with pytest.raises(EngineError, match="autre carte"):
        here + there
