"""Donne aux variables leurs opérateurs et leurs méthodes, ceux des tableaux NumPy.

C’est ici, et seulement ici, que `x + y`, `x.sum()` ou `x[0]` prennent leur sens.
"""

from engine.core.elemwise import cast, sum_to
from engine.ops.shape import Join
from engine.tensor import arrangement, creation, extra_ops, math, nlinalg, shaping
from engine.core.types import FLOATS, TensorVariable


def _reflected(function):
    return lambda self, other: function(other, self)


_BINARY = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "true_div",
    "floordiv": "int_div",
    "mod": "mod",
    "pow": "pow",
    "and": "and_",
    "or": "or_",
    "xor": "xor",
}
for _symbol, _name in _BINARY.items():
    _function = math.ELEMENTWISE[_name]
    setattr(TensorVariable, f"__{_symbol}__", _function)
    setattr(TensorVariable, f"__r{_symbol}__", _reflected(_function))
for _name in ("lt", "le", "gt", "ge"):
    setattr(TensorVariable, f"__{_name}__", math.ELEMENTWISE[_name])
for _name, _function in math.ELEMENTWISE.items():
    setattr(TensorVariable, _name, _function)
for _name in (
    "sum",
    "prod",
    "mean",
    "var",
    "std",
    "max",
    "min",
    "all",
    "any",
    "argmax",
    "argmin",
    "dot",
    "clip",
):
    setattr(TensorVariable, _name, getattr(math, _name))
for _name in ("dimshuffle", "flatten", "specify_shape"):
    setattr(TensorVariable, _name, getattr(shaping, _name))
for _name in ("zeros_like", "ones_like"):
    setattr(TensorVariable, _name, getattr(creation, _name))
for _name in (
    "cumsum",
    "cumprod",
    "product_of_others",
    "first_extremum",
    "argsort",
    "sort",
    "nonzero",
    "nonzero_values",
    "repeat",
    "choose",
    "take",
    "diagonal",
    "tril",
    "triu",
):
    setattr(TensorVariable, _name, getattr(extra_ops, _name))
for _name in ("copy", "round", "ptp", "swapaxes", "squeeze"):
    setattr(TensorVariable, _name, getattr(arrangement, _name))
TensorVariable.trace = nlinalg.trace
TensorVariable.ravel = shaping.flatten

TensorVariable.__neg__ = math.ELEMENTWISE["neg"]
TensorVariable.__abs__ = math.ELEMENTWISE["abs"]
TensorVariable.__invert__ = math.ELEMENTWISE["invert"]
TensorVariable.__matmul__ = math.dot
TensorVariable.__rmatmul__ = _reflected(math.dot)
TensorVariable.__getitem__ = shaping.getitem
TensorVariable.astype = cast
TensorVariable.T = property(shaping.transpose)
TensorVariable.shape = property(shaping.shape)
TensorVariable.size = property(lambda self: self.shape.prod())


def _reshape(self, *shape, ndim=None):
    """Comme `engine.tensor.reshape` ; accepte `x.reshape(2, 3)` et `x.reshape((2, 3))`."""
    return shaping.reshape(self, shape[0] if len(shape) == 1 else shape, ndim=ndim)


def _transpose(self, *axes):
    """Comme `engine.tensor.transpose` ; accepte `x.transpose(1, 0)` et `x.transpose((1, 0))`."""
    axes = axes[0] if len(axes) == 1 and isinstance(axes[0], list | tuple) else axes
    return shaping.transpose(self, axes or None)


def _match_gradient(self, grad):
    """Ramène `grad` au dtype et à la forme de la variable (pour les gradients des ops)."""
    return sum_to(cast(grad, self.dtype) if self.dtype in FLOATS else grad, self)


def _join_with(self, axis, *others):
    """Met `others` à la suite de la variable, le long de l’axe."""
    return Join(axis)(self, *others)


def _norm(self, L, axis=None, keepdims=False):
    """Norme L : (Σ abs(x)**L)**(1/L)."""
    return abs(self).__pow__(L).sum(axis=axis, keepdims=keepdims).__pow__(1.0 / L)


TensorVariable.reshape = _reshape
TensorVariable.transpose = _transpose
TensorVariable.match_gradient = _match_gradient
TensorVariable.join_with = _join_with
TensorVariable.norm = _norm
