"""Formes, tris, cumuls et fonctions spéciales, contre NumPy ou des tables."""

import numpy as np
import pytest

import engine.tensor as T
from engine import function
from engine.core.errors import ShapeError
from engine.core.types import TensorType
from engine.look.testing import check_grads

M = np.array([[3.0, -1.0, 2.0], [0.5, 4.0, -2.5]])
V = np.array([3.0, -1.0, 2.0, 2.0, 0.0])
LABELS = np.array([2, 0, 2, 5])

# nom -> (fonction symbolique, fonction NumPy, arguments)
TABLE = {
    "cumsum": (T.cumsum, np.cumsum, [M]),
    "cumsum axe 0": (lambda x: x.cumsum(0), lambda x: x.cumsum(0), [M]),
    "cumsum de booléens": (T.cumsum, np.cumsum, [M > 0]),
    "cumprod axe -1": (lambda x: T.cumprod(x, -1), lambda x: x.cumprod(1), [M]),
    "diff": (T.diff, np.diff, [M]),
    "diff deux fois, axe 0": (lambda x: T.diff(x, 2, 0), lambda x: np.diff(x, 2, 0), [M.T]),
    "sort": (T.sort, np.sort, [M]),
    "sort axe 0": (lambda x: T.sort(x, 0), lambda x: np.sort(x, 0), [M]),
    "sort aplati": (lambda x: x.sort(None), lambda x: np.sort(x, None), [M]),
    "argsort": (T.argsort, lambda x: np.argsort(x, kind="stable"), [V]),
    "searchsorted": (T.searchsorted, np.searchsorted, [np.sort(V), M]),
    "unique": (T.unique, np.unique, [V]),
    "unique de matrice": (T.unique, np.unique, [M > 0]),
    "bincount": (T.bincount, np.bincount, [LABELS]),
    "bincount pesé": (T.bincount, np.bincount, [LABELS, V[:4]]),
    "bincount long": (
        lambda x: T.bincount(x, minlength=9),
        lambda x: np.bincount(x, minlength=9),
        [LABELS],
    ),
    "bincount de rien": (T.bincount, np.bincount, [LABELS[:0]]),
    "nonzero": (
        lambda x: T.nonzero(x, return_matrix=True),
        lambda x: np.array(np.nonzero(x)),
        [M > 0],
    ),
    "x[nonzero]": (lambda x: x[x.nonzero()], lambda x: x[x.nonzero()], [V]),
    "nonzero_values": (T.nonzero_values, lambda x: x[x != 0], [V]),
    "flatnonzero": (T.flatnonzero, np.flatnonzero, [M - 4]),
    "repeat": (lambda x: T.repeat(x, 3), lambda x: np.repeat(x, 3), [M]),
    "repeat axe": (lambda x: x.repeat(2, axis=1), lambda x: x.repeat(2, 1), [M]),
    "repeat inégal": (
        lambda x, n: T.repeat(x, n, axis=1),
        lambda x, n: x.repeat(n, 1),
        [M, np.array([0, 3, 1])],
    ),
    "tile": (lambda x: T.tile(x, (2, 3)), lambda x: np.tile(x, (2, 3)), [M]),
    "tile court": (lambda x: T.tile(x, 2), lambda x: np.tile(x, 2), [M]),
    "tile long": (lambda x: T.tile(x, (2, 1, 2)), lambda x: np.tile(x, (2, 1, 2)), [M]),
    "to_one_hot": (lambda y: T.to_one_hot(y, 6), lambda y: np.eye(6)[y], [LABELS]),
    "take": (lambda x: T.take(x, [1, 0], axis=1), lambda x: x[:, [1, 0]], [M]),
    "eye": (lambda x: T.eye(x.shape[0], 4, 1), lambda x: np.eye(2, 4, 1), [M]),
    "identity_like": (T.identity_like, lambda x: np.eye(2, 3), [M]),
    "tri": (lambda x: T.tri(3, 4, -1), lambda x: np.tri(3, 4, -1), [M]),
    "tril": (lambda x: T.tril(x, 1), lambda x: np.tril(x, 1), [M]),
    "triu": (lambda x: T.triu(x, 1), lambda x: np.triu(x, 1), [M]),
    "diag d’une matrice": (T.diag, np.diag, [M]),
    "diag décalée": (lambda x: T.diag(x, 2), lambda x: np.diag(x, 2), [M]),
    "diag décalée vers le bas": (lambda x: T.diag(x, -1), lambda x: np.diag(x, -1), [M]),
    "diag d’un vecteur": (T.diag, np.diag, [V]),
    "diag d’un vecteur, décalée": (lambda x: T.diag(x, -2), lambda x: np.diag(x, -2), [V]),
    "roll": (lambda x: T.roll(x, 2), lambda x: np.roll(x, 2), [M]),
    "roll axe": (lambda x: T.roll(x, -4, 1), lambda x: np.roll(x, -4, 1), [M]),
    "swapaxes": (lambda x: x.swapaxes(0, -1), lambda x: x.swapaxes(0, -1), [M]),
    "shape_padleft": (lambda x: T.shape_padleft(x, 2), lambda x: x[None, None], [M]),
    "shape_padright": (T.shape_padright, lambda x: x[..., None], [M]),
    "shape_padaxis": (lambda x: T.shape_padaxis(x, 1), lambda x: x[:, None], [M]),
    "split": (lambda x: T.split(x, [1, 2], 2, axis=1)[1], lambda x: x[:, 1:], [M]),
    "split symbolique": (
        lambda x, n: T.split(x, n, 2)[0],
        lambda x, n: x[:1],
        [M, np.array([1, 1])],
    ),
    "join": (lambda x: T.join(1, x, x), lambda x: np.concatenate([x, x], 1), [M]),
    "squeeze": (lambda x: T.shape_padleft(x).squeeze(), lambda x: x, [M]),
    "unbroadcast": (lambda x: T.unbroadcast(T.shape_padleft(x), 0), lambda x: x[None], [M]),
    "round": (T.round, np.round, [np.array([-2.5, -0.5, 0.5, 1.5, 0.49999999999999994])]),
    "round loin de zéro": (
        lambda x: T.round(x, "half_away_from_zero"),
        lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
        [np.array([-2.5, -0.5, 0.5, 1.5, 0.3])],
    ),
    "inv": (T.inv, lambda x: 1 / x, [M]),
    "ceil_intdiv": (T.ceil_intdiv, lambda a, b: -(-a // b), [np.array([7, 8, -7]), np.array([2])]),
    "ptp": (lambda x: x.ptp(), np.ptp, [M]),
    "outer": (T.outer, np.outer, [M, V]),
    "largest": (T.largest, np.maximum, [M, -M]),
    "smallest": (T.smallest, np.minimum, [M, -M]),
    "hard_sigmoid": (T.nnet.hard_sigmoid, lambda x: np.clip(0.2 * x + 0.5, 0, 1), [M]),
    "elu": (lambda x: T.nnet.elu(x, 2), lambda x: np.where(x > 0, x, 2 * np.expm1(x)), [M]),
    "selu": (
        T.nnet.selu,
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
        [M],
    ),
    "softsign": (T.nnet.softsign, lambda x: x / (1 + np.abs(x)), [M]),
}
NO_GRADIENT = ("argsort", "searchsorted", "nonzero", "flatnonzero", "eye", "identity_like", "tri")
NO_GRADIENT = (*NO_GRADIENT, "round", "round loin de zéro")


def _variables(values):
    return [TensorType(v.dtype, shape=(None,) * v.ndim)() for v in values]


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
@pytest.mark.parametrize("name", TABLE)
def test_value(name, mode):
    symbolic, reference, values = TABLE[name]
    variables = _variables(values)
    output = symbolic(*variables)
    compiled = function(variables, output, mode=mode, on_unused_input="ignore")
    obtained, expected = compiled(*values), reference(*values)
    assert obtained.shape == np.shape(expected)
    assert str(obtained.dtype) == output.dtype
    np.testing.assert_allclose(obtained, expected, 1e-12)


@pytest.mark.parametrize(
    "name", [n for n, row in TABLE.items() if n not in NO_GRADIENT and row[2][0].dtype.kind == "f"]
)
def test_gradient(name):
    symbolic, _, (point, *others) = TABLE[name]
    point = point + 0.01 * np.arange(point.size).reshape(point.shape)  # loin des égalités
    check_grads(lambda x: symbolic(x, *map(T.constant, others)), [point], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("point", [[2.0, 0.0, 3.0, 4.0], [0.0, 2.0, 0.0, 3.0], [1.5, -2.0, 0.0]])
def test_cumulated_product_of_zeros_has_a_gradient(point):
    check_grads(T.cumprod, [np.array(point)], order=1)


def test_unique_with_everything():
    x = T.dvector("x")
    results = function([x], T.unique(x, True, True, True))(V)
    for obtained, expected in zip(results, np.unique(V, True, True, True), strict=True):
        np.testing.assert_array_equal(obtained, expected)


def test_special_functions_have_the_values_of_the_tables():
    """Abramowitz et Stegun, tables 6.1, 6.4 et 7.1 ; π²/6 et ζ(3)."""
    table = {
        "erf": (0.5, 0.520499877813047),
        "erfc": (2.0, 0.004677734981047266),
        "gammaln": (0.5, 0.5723649429247001),
        "psi": (1.0, -0.5772156649015329),
    }
    for name, (point, value) in table.items():
        found = getattr(T, name)(np.float64(point)).eval()
        np.testing.assert_allclose(found, value, 1e-14, err_msg=name)
    one = np.float64(1)
    np.testing.assert_allclose(T.polygamma(1.0, one).eval(), np.pi**2 / 6, 1e-14)
    np.testing.assert_allclose(T.polygamma(2.0, one).eval(), -2 * 1.2020569031595942, 1e-13)
    np.testing.assert_allclose(T.psi(np.float64(-0.5)).eval(), 0.03648997397857652, 1e-12)


def test_approximate_sigmoid_is_near_the_sigmoid():
    x = np.linspace(-8, 8, 1001)
    gap = T.nnet.ultra_fast_sigmoid(x).eval() - T.nnet.sigmoid(x).eval()
    print(f"écart de ultra_fast_sigmoid : {np.abs(gap).max():.4f}")
    assert np.abs(gap).max() < 0.03


def test_broadcast_patterns():
    x = T.dmatrix("x")
    assert T.addbroadcast(x, 0).broadcastable == (True, False)
    assert T.patternbroadcast(T.drow("r"), (False, True)).broadcastable == (False, True)
    assert T.unbroadcast(T.drow("r"), 0).broadcastable == (False, False)
    with pytest.raises(Exception, match="longueur 1"):
        function([x], T.addbroadcast(x, 0))(M)


def test_mistakes_are_named():
    with pytest.raises(ShapeError, match="split"):
        T.split(T.dvector(), [1, 2], 3)
    with pytest.raises(ShapeError, match="nonzero"):
        T.nonzero(T.dscalar())
    with pytest.raises(ShapeError, match="diag"):
        T.diag(T.dtensor3())
