"""L’algèbre linéaire, sous les noms de `theano.tensor.nlinalg` : inverse, trace, factorisations."""

from engine.ops.linear_algebra import QR, SVD, BatchedDot, Det, Eigh, MatrixInverse
from engine.tensor.extra_ops import diag, diagonal
from engine.tensor.math import dot
from engine.types import as_tensor_variable

alloc_diag = extract_diag = diag


def matrix_inverse(x):
    """L’inverse d’une matrice carrée.

    Lève
        MatrixError : à l’exécution, la matrice est singulière.

    Exemple
        >>> matrix_inverse(as_tensor_variable([[2.0, 0.0], [0.0, 4.0]])).eval()
        array([[0.5 , 0.  ],
               [0.  , 0.25]])
    """
    return MatrixInverse()(x)


def det(x):
    """Le déterminant d’une matrice carrée ; son gradient demande qu’elle soit inversible."""
    return Det()(x)


def trace(x):
    """La somme de la diagonale d’une matrice."""
    return diagonal(x).sum()


def eigh(x, UPLO="L"):
    """Valeurs propres (croissantes) et vecteurs propres (en colonnes) d’une matrice symétrique.

    Paramètres
        x : matrice (n, n) ; seul le triangle `UPLO` est lu.

    Renvoie
        [valeurs (n,), vecteurs (n, n)]
    """
    return Eigh(UPLO)(x)


def qr(x, mode="reduced"):
    """x = Q R, Q à colonnes orthonormées (m, k), R triangulaire supérieure (k, n), k = min(m, n).

    Paramètres
        mode : "reduced", ou "r" pour ne rendre que R.
    """
    if mode not in ("reduced", "r"):
        raise ValueError(f"qr : mode {mode!r} inconnu (reduced, r)")
    q, r = QR()(x)
    return r if mode == "r" else [q, r]


def svd(x, full_matrices=1, compute_uv=1):
    """Décomposition en valeurs singulières : x = U diag(s) Vᵀ ; seules les s se dérivent.

    Paramètres
        full_matrices : U et Vᵀ carrées, sinon réduites.
        compute_uv : rendre aussi U et Vᵀ.

    Renvoie
        [U, s, Vᵀ], ou s seul.
    """
    u, s, v = SVD(bool(full_matrices))(x)
    return [u, s, v] if compute_uv else s


def pinv(x):
    """La pseudo-inverse de Moore-Penrose d’une matrice de rang plein en colonnes : (xᵀx)⁻¹ xᵀ."""
    x = as_tensor_variable(x)
    return matrix_inverse(x.T.dot(x)).dot(x.T)


def matrix_dot(*matrices):
    """Le produit de plusieurs matrices, de gauche à droite."""
    first, *others = matrices
    for other in others:
        first = dot(first, other)
    return first


def batched_dot(x, y):
    """Un produit par exemple : résultat[i] = dot(x[i], y[i]).

    Paramètres
        x, y : tableaux de 2 ou 3 axes, de même longueur sur le premier (à 2 axes : un vecteur par
            exemple).

    Exemple
        >>> batched_dot(as_tensor_variable([[1.0, 2.0]]), as_tensor_variable([[3.0, 4.0]])).eval()
        array([11.])
    """
    x, y = as_tensor_variable(x), as_tensor_variable(y)
    left = x.dimshuffle(0, "x", 1) if x.ndim == 2 else x
    right = y.dimshuffle(0, 1, "x") if y.ndim == 2 else y
    result = BatchedDot()(left, right)
    kept = [0, *([1] if x.ndim > 2 else []), *([2] if y.ndim > 2 else [])]
    return result.dimshuffle(*kept)
