"""Donne aux variables les méthodes des tableaux NumPy : `x.sum()`, `x[0]`, `x.T`, `x @ y`.

Celles qui agissent terme à terme viennent du cœur (`engine.core.elemwise`).
"""

from engine.core.elemwise import reflected
from engine.core.types import add_methods
from engine.ops import (
    gradient_views,  # noqa: F401  x.disconnected_grad()
    sum_to,  # noqa: F401  x.sum_to(y), x.match_gradient(g)
    transfer,  # noqa: F401  x.transfer("cuda")
)
from engine.ops.shape import Join
from engine.tensor import arrangement, creation, extra_ops, math, nlinalg, shaping


def reshape(self, *shape, ndim=None):
    """Comme `engine.tensor.reshape` ; accepte `x.reshape(2, 3)` et `x.reshape((2, 3))`."""
    return shaping.reshape(self, shape[0] if len(shape) == 1 else shape, ndim=ndim)


def transpose(self, *axes):
    """Comme `engine.tensor.transpose` ; accepte `x.transpose(1, 0)` et `x.transpose((1, 0))`."""
    axes = axes[0] if len(axes) == 1 and isinstance(axes[0], list | tuple) else axes
    return shaping.transpose(self, axes or None)


def join_with(self, axis, *others):
    """Met `others` à la suite de la variable, le long de l’axe."""
    return Join(axis)(self, *others)


def norm(self, L, axis=None, keepdims=False):
    """Norme L : (Σ abs(x)**L)**(1/L)."""
    return (abs(self) ** L).sum(axis=axis, keepdims=keepdims) ** (1.0 / L)


def size(self):
    """Le nombre d’éléments, symbolique."""
    return self.shape.prod()


NAMES = {
    math: "sum prod mean var std max min all any argmax argmin dot clip",
    shaping: "dimshuffle flatten specify_shape",
    creation: "zeros_like ones_like",
    extra_ops: "cumsum cumprod product_of_others first_extremum argsort sort nonzero "
    "nonzero_values repeat choose take diagonal tril triu",
    arrangement: "copy round ptp swapaxes squeeze",
    nlinalg: "trace",
}
add_methods(
    **{name: getattr(place, name) for place, names in NAMES.items() for name in names.split()},
    **{"__getitem__": shaping.getitem, "__matmul__": math.dot, "__rmatmul__": reflected(math.dot)},
    T=property(shaping.transpose),
    shape=property(shaping.shape),
    size=property(size),
    ravel=shaping.flatten,
    reshape=reshape,
    transpose=transpose,
    join_with=join_with,
    norm=norm,
)
