"""L’algèbre linéaire : valeurs contre NumPy, dérivées contre les différences finies."""

import numpy as np
import pytest

import engine.tensor as T
from engine import function, grad
from engine.core.errors import GradientError, ShapeError
from engine.core.types import TensorType
from engine.look.testing import check_grads
from engine.ops.linear_algebra import POSITIVE, TALL, WELL_CONDITIONED
from engine.tensor import nlinalg, slinalg

A, B, S = WELL_CONDITIONED, TALL, POSITIVE
U = np.array([1.0, -2.0, 0.5])
PILE, OTHER = np.arange(12.0).reshape(2, 2, 3) - 5, np.arange(24.0).reshape(2, 3, 4) / 7

TABLE = {
    "matrix_inverse": (nlinalg.matrix_inverse, np.linalg.inv, [A]),
    "det": (nlinalg.det, np.linalg.det, [A]),
    "trace": (nlinalg.trace, np.trace, [A]),
    "pinv": (nlinalg.pinv, np.linalg.pinv, [B]),
    "cholesky": (slinalg.cholesky, np.linalg.cholesky, [S]),
    "cholesky vers le haut": (
        lambda x: slinalg.cholesky(x, lower=False),
        lambda x: np.linalg.cholesky(x).T,
        [S],
    ),
    "solve vecteur": (slinalg.solve, np.linalg.solve, [A, U]),
    "solve matrice": (slinalg.solve, np.linalg.solve, [A, B]),
    "solve triangle": (
        slinalg.solve_lower_triangular,
        lambda a, b: np.linalg.solve(np.tril(a), b),
        [A, U],
    ),
    "solve triangle du haut": (
        slinalg.solve_upper_triangular,
        lambda a, b: np.linalg.solve(np.triu(a), b),
        [A, U],
    ),
    "eigh valeurs": (lambda x: nlinalg.eigh(x)[0], lambda x: np.linalg.eigh(x)[0], [S]),
    "eigh vecteurs": (lambda x: nlinalg.eigh(x)[1], lambda x: np.linalg.eigh(x)[1], [S]),
    "eigh du haut": (lambda x: nlinalg.eigh(x, "U")[0], lambda x: np.linalg.eigh(x, "U")[0], [S]),
    "qr q": (lambda x: nlinalg.qr(x)[0], lambda x: np.linalg.qr(x)[0], [B]),
    "qr r": (lambda x: nlinalg.qr(x, "r"), lambda x: np.linalg.qr(x, "r"), [B]),
    "svd s": (
        lambda x: nlinalg.svd(x, compute_uv=0),
        lambda x: np.linalg.svd(x, compute_uv=False),
        [B],
    ),
    "kron": (slinalg.kron, np.kron, [A, B]),
    "matrix_dot": (nlinalg.matrix_dot, lambda a, b: a @ b, [A, B]),
    "batched_dot": (T.batched_dot, np.matmul, [PILE, OTHER]),
    "batched_dot de vecteurs": (
        T.batched_dot,
        lambda x, y: np.einsum("bi,bi->b", x, y),
        [PILE[0], PILE[1]],
    ),
    "batched_dot mêlé": (
        T.batched_dot,
        lambda x, y: np.einsum("bk,bkn->bn", x, y),
        [PILE[:, 0], OTHER],
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TABLE)
def test_value(name, dtype):
    symbolic, reference, values = TABLE[name]
    values = [v.astype(dtype) for v in values]
    variables = [TensorType(dtype, shape=(None,) * v.ndim)() for v in values]
    obtained, expected = function(variables, symbolic(*variables))(*values), reference(*values)
    assert obtained.shape == np.shape(expected)
    assert obtained.dtype == dtype
    np.testing.assert_allclose(
        obtained, expected, *((2e-4, 1e-5) if dtype == "float32" else (1e-10, 1e-12))
    )


@pytest.mark.parametrize("name", TABLE)
def test_gradient(name):
    symbolic, _, values = TABLE[name]
    check_grads(symbolic, values, order=1 if name.startswith(("svd", "qr")) else 2, rtol=1e-4)


@pytest.mark.parametrize("full", [0, 1])
def test_svd_and_qr_give_the_matrix_back(full):
    x = T.dmatrix("x")
    for value in (B, B.T):
        u, s, v = function([x], nlinalg.svd(x, full_matrices=full))(value)
        np.testing.assert_allclose((u[:, : len(s)] * s) @ v[: len(s)], value, 1e-12)
        q, r = function([x], nlinalg.qr(x))(value)
        np.testing.assert_allclose(q @ r, value, atol=1e-12)


def test_eigh_of_equal_values_gives_a_finite_gradient():
    x = T.dmatrix("x")
    w, v = nlinalg.eigh(x)
    gradient = function([x], grad(w.sum() + v.sum(), x))(np.eye(3))
    np.testing.assert_allclose(np.diag(gradient), 1)


def test_the_gradient_of_singular_vectors_is_refused():
    x = T.dmatrix("x")
    with pytest.raises(GradientError, match="vecteurs singuliers"):
        grad(nlinalg.svd(x)[0].sum(), x)


def test_mistakes_are_named():
    x = T.dmatrix("x")
    with pytest.raises(Exception, match="définie positive"):
        function([x], slinalg.cholesky(x))(-np.eye(2))
    with pytest.raises(Exception, match="inversible"):
        function([x], nlinalg.matrix_inverse(x))(np.ones((2, 2)))
    with pytest.raises(ShapeError, match="carrée"):
        nlinalg.det(T.dvector("v"))
    with pytest.raises(ShapeError, match="batched_dot"):
        nlinalg.BatchedDot()(x, x)
