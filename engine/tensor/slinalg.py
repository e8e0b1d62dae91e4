"""L’algèbre linéaire, sous les noms de `theano.tensor.slinalg` : systèmes, Cholesky, Kronecker."""

from engine.core.types import as_tensor_variable
from engine.ops.linear_algebra import Cholesky, Eigh, Expm, Solve
from engine.tensor.extra_ops import tril, triu


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


def eigvalsh(a, b=None, lower=True):
    """Les valeurs propres (croissantes) de a x = λ b x, a symétrique, b définie positive.

    Paramètres
        b : par défaut l’identité.
        lower : lire le triangle inférieur de a, sinon le supérieur.

    Exemple
        >>> eigvalsh(as_tensor_variable([[2.0, 0.0], [0.0, 6.0]])).eval()
        array([2., 6.])
    """
    a = as_tensor_variable(a)
    if b is None:
        return Eigh("L" if lower else "U")(a)[0]
    half = tril(a, -1) if lower else triu(a, 1)
    whole = half + half.T + tril(triu(a))
    root = Cholesky()(b)
    left = Solve()(root, whole)
    return Eigh()(Solve()(root, left.T))[0]


def expm(x):
    """L’exponentielle d’une matrice carrée : Σ xᵏ / k!.

    Exemple
        >>> expm(as_tensor_variable([[0.0, 1.0], [0.0, 0.0]])).eval()
        array([[1., 1.],
               [0., 1.]])
    """
    return Expm()(x)


def kron(a, b):
    """Le produit de Kronecker de deux matrices : les blocs a_ij b."""
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    blocks = a.dimshuffle(0, "x", 1, "x") * b.dimshuffle("x", 0, "x", 1)
    return blocks.reshape((a.shape[0] * b.shape[0], a.shape[1] * b.shape[1]))
