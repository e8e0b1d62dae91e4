"""Un noyau se compile une fois, à la construction, et sert à tous les tableaux de son type."""

import numpy as np
from numba.core.event import install_recorder

import engine
import engine.tensor as T
from engine.backends.numba import elementwise


def test_calling_compiles_nothing(tmp_path):
    with engine.config.change_flags(cache_dir=str(tmp_path)):
        _check_calls_compile_nothing()


def _check_calls_compile_nothing():
    x = T.matrix("x", "float32")
    f = engine.function([x], [T.nnet.softmax(x), T.tanh(x) + 1, x.sum(axis=0)])
    frozen = np.ones((3, 4), "float32")
    frozen.flags.writeable = False
    with install_recorder("numba:compile") as recorder:
        for value in (np.ones((3, 4), "float32"), frozen, np.asfortranarray(frozen)):
            f(value)
    assert not recorder.buffer


def test_what_numpy_computes_is_read_in_order():
    """float16 n’a pas de noyau : NumPy garde l’ordre des axes de l’entrée, un noyau suit."""
    x, y = T.matrix("x", "float16"), T.matrix("y", "float32")
    middle = T.cast(T.exp(x), "float32")
    f = engine.function([x, y], [middle, T.tanh(middle) + 1, T.tanh(middle) * y.sum(axis=0)])
    value = np.arange(12, dtype="float16").reshape(3, 4) / 12
    obtained = f(np.asfortranarray(value), np.ones((3, 4), "float32"))[2]
    np.testing.assert_allclose(obtained, 3 * np.tanh(np.exp(value).astype("float32")), rtol=1e-5)


def test_kernel_in_place_receives_no_memory_twice(monkeypatch):
    """Deux arguments au même endroit, et le compilateur ne vectorise plus."""
    compile_kernel, calls = elementwise.compile_kernel, []

    def spying(*args, **options):
        kernel = compile_kernel(*args, **options)

        def call(*arrays):
            calls.append(arrays)
            kernel(*arrays)

        return call

    monkeypatch.setattr(elementwise, "compile_kernel", spying)
    x = T.matrix("x", "float32")
    f = engine.function([x], T.tanh(T.dot(x, x)))  # le produit est écrasé
    np.testing.assert_allclose(f(np.eye(3, dtype="float32")), np.tanh(np.eye(3)), rtol=1e-6)
    assert [len(arrays) for arrays in calls] == [1]
