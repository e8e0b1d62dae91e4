"""Les grands produits se partagent entre nos fils, et la bibliothèque retrouve les siens."""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from engine import function
from engine import tensor as T
from engine.backends.numba.multiplying import _LIBRARY, MIN_SHARED
from engine.core.errors import ShapeError

pytestmark = pytest.mark.skipif(
    not _LIBRARY.controllers, reason="bibliothèque de produits que l’on ne sait pas régler"
)


def counts():
    return [library.get_num_threads() for library in _LIBRARY.controllers]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("turned", ["", "x", "y"])
def test_values(threads, turned, monkeypatch):
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", threads)
    x, y = T.fmatrix("x"), T.fmatrix("y")
    left, right = (x.T if turned == "x" else x), (y.T if turned == "y" else y)
    f = function([x, y], T.dot(left, right) + 1)
    rng = np.random.default_rng(0)
    for rows, depth, columns in [(130, 150, 140), (9, 600, 500), (1, 2000, 2000), (2, 3, 4)]:
        a = rng.normal(size=(rows, depth)).astype("float32")
        b = rng.normal(size=(depth, columns)).astype("float32")
        wanted = a.astype("float64") @ b + 1
        found = f(a.T.copy() if turned == "x" else a, b.T.copy() if turned == "y" else b)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_the_library_keeps_its_threads_even_after_a_failure():
    x, y = T.dmatrix("x"), T.dmatrix("y")
    f = function([x, y], T.dot(x, y))
    side = round(MIN_SHARED ** (1 / 3)) + 20
    square = np.ones((side, side))
    with threadpool_limits(2, user_api="blas"):
        before = counts()
        f(square, square)
        assert counts() == before
        with pytest.raises(ShapeError):
            f(square, square[1:])
        with _LIBRARY.on_one_thread():
            assert set(counts()) == {1}
            with _LIBRARY.on_one_thread():
                pass
            assert set(counts()) == {1}
        with ThreadPoolExecutor(4) as pool:
            functions = [function([x, y], T.dot(x, y)) for _ in range(4)]
            list(pool.map(lambda f: [f(square, square) for _ in range(20)], functions))
        assert counts() == before
