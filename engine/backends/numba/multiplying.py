"""Les produits de matrices, partagés entre les fils.

NumPy confie ses produits à une bibliothèque (BLAS) qui partage les grands entre ses fils. Ils
s’attendent en tournant à vide : dès qu’un autre programme occupe un cœur, un produit prend dix à
cent fois son temps. Ici la bibliothèque n’emploie qu’un fil, et les lignes du résultat se partagent
entre ceux des noyaux, qui s’attendent sans rien consommer.
"""

from contextlib import contextmanager
from threading import Lock

import numpy as np
from threadpoolctl import ThreadpoolController

from engine.backends.numba.threads import run_parts, slices
from engine.backends.numpy.direct import dot_kernel
from engine.core.registry import kernel
from engine.ops.products import Dot

MIN_PRODUCTS = 250_000  # multiplications au-dessous desquelles la bibliothèque n’a qu’un fil
MIN_SHARED = 20_000_000  # ... et au-dessous desquelles partager ne rapporte rien
MIN_ROWS = 8  # lignes par fil
DEEP = 4  # une somme tant de fois plus longue que les côtés du résultat se partage elle-même


class _Library:
    """La bibliothèque de NumPy, et de quoi la tenir à un fil."""

    def __init__(self):
        self.controllers = ThreadpoolController().select(user_api="blas").lib_controllers
        self._lock, self._users, self._before = Lock(), 0, []

    @contextmanager
    def on_one_thread(self):
        """Le temps d’un produit, la bibliothèque n’emploie qu’un fil."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._before = [library.get_num_threads() for library in self.controllers]
                for library in self.controllers:
                    library.set_num_threads(1)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    for library, count in zip(self.controllers, self._before, strict=True):
                        library.set_num_threads(count)


_LIBRARY = _Library()


@kernel(Dot, "numba")
def shared_dot(node, reuse):
    """Le produit de deux matrices de même dtype ; les petits vont tels quels à la bibliothèque."""
    (x, y), (out,) = node.inputs, node.outputs
    alone = dot_kernel(node, reuse)
    if alone is None or x.ndim + y.ndim < 4 or not _LIBRARY.controllers:
        return None
    memory = [np.empty(0, out.dtype)]

    def call(x, y):
        n_products = x.size * y.shape[1]
        if n_products < MIN_PRODUCTS or x.shape[1] != y.shape[0]:
            return alone(x, y)
        shape, result = (x.shape[0], y.shape[1]), memory[0]
        if not reuse or result.shape != shape:
            result = memory[0] = np.empty(shape, out.dtype)
        with _LIBRARY.on_one_thread():
            if n_products < MIN_SHARED:
                np.dot(x, y, out=result)
            elif x.shape[1] > DEEP * max(shape):
                _share_depth(x, y, result)
            else:
                _share_rows(x, y, result)
        return result

    return call


def _share_rows(x, y, result):
    def part(first, last):
        np.dot(x[first:last], y, out=result[first:last])

    run_parts(part, slices(len(x), MIN_ROWS))


def _share_depth(x, y, result):
    """Chaque fil additionne une part des produits : x et y ne sont lus qu’une fois."""
    parts = slices(len(y))
    sums = [result, *(np.empty_like(result) for _ in parts[1:])]

    def part(first, last, total):
        np.dot(x[:, first:last], y[first:last], out=total)

    run_parts(part, [(*bounds, total) for bounds, total in zip(parts, sums, strict=True)])
    for total in sums[1:]:
        result += total
