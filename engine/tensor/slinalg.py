"""L’algèbre linéaire, sous les noms de `theano.tensor.slinalg` : systèmes, Cholesky, Kronecker."""

from engine.ops.linear_algebra import Cholesky, Solve
from engine.tensor.extra_ops import tril, triu
from engine.types import as_tensor_variable


def cholesky(x, lower=True):
    """La racine triangulaire d’une matrice symétrique définie positive : x = L Lᵀ.

    Paramètres
        lower : rendre L ; sinon Lᵀ. Seul le triangle inférieur de x est lu.

    Lève
        MatrixError : à l’exécution, la matrice n’est pas définie positive.

    Exemple
        >>> cholesky(as_tensor_variable([[4.0, 0.0], [0.0, 9.0]])).eval()
        array([[2., 0.],
               [0., 3.]])
    """
    factor = Cholesky()(x)
    return factor if lower else factor.T


def solve(a, b):
    """La solution x de a x = b.

    Paramètres
        a : matrice (n, n).
        b : vecteur (n,) ou matrice (n, k).

    Lève
        MatrixError : à l’exécution, a est singulière.

    Exemple
        >>> a = as_tensor_variable([[2.0, 0.0], [0.0, 4.0]])
        >>> solve(a, as_tensor_variable([2.0, 2.0])).eval()
        array([1. , 0.5])
    """
    return Solve()(a, b)


def solve_lower_triangular(a, b):
    """La solution de a x = b, seul le triangle inférieur de a étant lu."""
    return solve(tril(a), b)


def solve_upper_triangular(a, b):
    """La solution de a x = b, seul le triangle supérieur de a étant lu."""
    return solve(triu(a), b)


def kron(a, b):
    """Le produit de Kronecker de deux matrices : les blocs a_ij b."""
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    blocks = a.dimshuffle(0, "x", 1, "x") * b.dimshuffle("x", 0, "x", 1)
    return blocks.reshape((a.shape[0] * b.shape[0], a.shape[1] * b.shape[1]))
