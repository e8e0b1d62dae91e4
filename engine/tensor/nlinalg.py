"""L’algèbre linéaire, sous les noms de `theano.tensor.nlinalg` : inverse, trace, factorisations."""

from engine.core.errors import ShapeError
from engine.core.types import as_tensor_variable
from engine.ops.linear_algebra import (
    QR,
    SVD,
    BatchedDot,
    Det,
    Eig,
    Eigh,
    LeastSquares,
    MatrixInverse,
    PseudoInverse,
    Solve,
)
from engine.tensor.extra_ops import diag, diagonal
from engine.tensor.math import batched_tensordot, dot, prod
from engine.tensor.shaping import stack

alloc_diag = extract_diag = diag
lstsq = LeastSquares  # comme dans Theano, une op : `lstsq()(x, y, rcond)`


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


def eig(x):
    """Valeurs propres et vecteurs propres (en colonnes) d’une matrice carrée ; ne se dérive pas.

    Lève
        MatrixError : à l’exécution, une valeur propre n’est pas réelle.

    Exemple
        >>> eig(as_tensor_variable([[2.0, 1.0], [0.0, 3.0]]))[0].eval()
        array([2., 3.])
    """
    return Eig()(x)


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
    """La pseudo-inverse de Moore-Penrose d’une matrice, de n’importe quelles dimensions.

    Exemple
        >>> pinv(as_tensor_variable([[2.0, 0.0, 0.0]])).eval()
        array([[0.5],
               [0. ],
               [0. ]])
    """
    return PseudoInverse()(x)


def matrix_dot(*matrices):
    """Le produit de plusieurs matrices, de gauche à droite."""
    first, *others = matrices
    for other in others:
        first = dot(first, other)
    return first


def batched_dot(x, y):
    """Un produit par exemple : résultat[i] = dot(x[i], y[i]).

    Paramètres
        x, y : tableaux d’au moins un axe, de même longueur sur le premier (à un axe : un nombre par
            exemple ; à deux, un vecteur ; à trois, une matrice).

    Exemple
        >>> batched_dot(as_tensor_variable([[1.0, 2.0]]), as_tensor_variable([[3.0, 4.0]])).eval()
        array([11.])
    """
    x, y = as_tensor_variable(x), as_tensor_variable(y)
    if 0 in (x.ndim, y.ndim):
        raise ShapeError(
            "batched_dot : un exemple par élément de l'axe 0",
            expected="au moins un axe de chaque côté",
            received=f"{x.short()} et {y.short()}",
        )
    if 1 in (x.ndim, y.ndim):
        few, many = (x, y) if x.ndim == 1 else (y, x)
        return few.dimshuffle(0, *["x"] * (many.ndim - 1)) * many
    if max(x.ndim, y.ndim) > 3:
        return batched_tensordot(x, y, [[x.ndim - 1], [max(1, y.ndim - 2)]])
    left = x.dimshuffle(0, "x", 1) if x.ndim == 2 else x
    right = y.dimshuffle(0, 1, "x") if y.ndim == 2 else y
    result = BatchedDot()(left, right)
    kept = [0, *([1] if x.ndim > 2 else []), *([2] if y.ndim > 2 else [])]
    return result.dimshuffle(*kept)


def tensorinv(a, ind=2):
    """L’inverse de a pour `tensordot` : tensordot(tensorinv(a, ind), b, ind) résout a x = b.

    Paramètres
        a : tableau dont les `ind` premières longueurs ont le même produit que les autres.
    """
    a = as_tensor_variable(a)
    if not 0 < ind < a.ndim:
        raise ShapeError("tensorinv : ind", expected=f"entre 1 et {a.ndim - 1}", received=ind)
    lengths = [a.shape[axis] for axis in range(a.ndim)]
    rows = prod(stack(lengths[:ind]))
    return matrix_inverse(a.reshape((rows, -1))).reshape((*lengths[ind:], *lengths[:ind]))


def tensorsolve(a, b, axes=None):
    """La solution x de tensordot(a, x, x.ndim) = b, comme `numpy.linalg.tensorsolve`.

    Paramètres
        a : tableau de forme (*b.shape, *x.shape), les deux produits de longueurs étant égaux.
        axes : les axes de a à ranger d’abord à la fin.
    """
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    last = [axis % a.ndim for axis in axes or ()]
    a = a.dimshuffle(*(axis for axis in range(a.ndim) if axis not in last), *last)
    if a.ndim <= b.ndim:
        raise ShapeError("tensorsolve : a a plus d'axes que b", received=f"{a.ndim} et {b.ndim}")
    lengths = [a.shape[axis] for axis in range(b.ndim, a.ndim)]
    return Solve()(a.reshape((-1, prod(stack(lengths)))), b.flatten()).reshape(lengths)
