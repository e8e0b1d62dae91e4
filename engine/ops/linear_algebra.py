"""L’algèbre linéaire : inverse, déterminant, systèmes, factorisations.

Ordre de lecture : `BatchedDot`, `MatrixInverse`, `PseudoInverse`, `Det`, `Solve`, `Cholesky`, puis
les factorisations à plusieurs sorties : `Eigh`, `Eig`, `LeastSquares`, `QR`, `SVD` ; `Expm`.

Référence : M. Giles, « An extended collection of matrix derivative results », 2008 ; I. Murray,
« Differentiation of the Cholesky decomposition », 2016.
"""

import numpy as np

from engine.core.dtypes import in_float32, upcast
from engine.core.errors import GradientError, MatrixError, ShapeError
from engine.core.graph import Apply, Op
from engine.core.types import TensorType, as_tensor_variable

WELL_CONDITIONED = np.array([[2.0, 0.5, -0.3], [0.4, 3.0, 0.7], [-0.2, 0.1, 1.5]])
POSITIVE = WELL_CONDITIONED @ WELL_CONDITIONED.T
TALL = np.array([[1.0, -0.5], [0.3, 2.0], [0.7, 0.2]])


def _float_of(*dtypes):
    dtype = upcast(*dtypes)
    return dtype if dtype in ("float32", "float64") else "float64"


def _matrix(x, name, square=True):
    x = as_tensor_variable(x)
    rows_and_columns = set(x.type.shape) - {None}
    if x.ndim != 2 or (square and len(rows_and_columns) > 1):
        raise ShapeError(
            f"{name} : une matrice {'carrée ' if square else ''}est attendue",
            expected="(n, n)" if square else "(m, n)",
            received=f"{x} : {x.short()}",
            hint="ajoutez ou ôtez des axes avec dimshuffle ; un produit A.T.dot(A) est carré",
        )
    return x


def _compute(function, name, node, *inputs):
    dtype = node.outputs[0].dtype
    try:
        return function(*(np.asarray(value, dtype=dtype) for value in inputs))
    except np.linalg.LinAlgError as error:
        raise MatrixError(
            f"{name} : le calcul n'aboutit pas",
            expected={"cholesky": "une matrice définie positive"}.get(
                name, "une matrice carrée inversible"
            ),
            received=f"formes {', '.join(str(value.shape) for value in inputs)} ({error})",
            hint="presque singulière ? ajoutez à la diagonale un petit nombre (1e-6)",
        ) from error


def _half_lower(x):
    """Le triangle inférieur, la diagonale comptée pour moitié."""
    return 0.5 * (x.tril() + x.tril(-1))


class BatchedDot(Op):
    """Produits de matrices deux à deux : (b, m, k) et (b, k, n) donnent (b, m, n)."""

    def make_node(self, x, y):
        x, y = as_tensor_variable(x), as_tensor_variable(y)
        if (x.ndim, y.ndim) != (3, 3):
            raise ShapeError(
                "batched_dot : deux piles de matrices sont attendues",
                expected="(b, m, k) et (b, k, n)",
                received=f"{x.short()} et {y.short()}",
            )
        shape = (x.type.shape[0], x.type.shape[1], y.type.shape[2])
        return Apply(self, [x, y], [TensorType(upcast(x.dtype, y.dtype), shape=shape)()])

    def infer_shape(self, node, input_shapes):
        left, right = input_shapes
        return [(left[0], left[1], right[2])]

    @in_float32
    def perform(self, node, inputs, output_storage):
        x, y = inputs
        if x.shape[0] != y.shape[0] or x.shape[2] != y.shape[1]:
            raise ShapeError(
                "batched_dot : formes incompatibles",
                expected="(b, m, k) et (b, k, n)",
                received=f"{x.shape} et {y.shape}",
            )
        output_storage[0][0] = np.asarray(np.matmul(x, y), dtype=node.out.dtype)

    def L_op(self, inputs, outputs, output_grads):
        (x, y), (g,) = inputs, output_grads
        return [self(g, y.dimshuffle(0, 2, 1)), self(x.dimshuffle(0, 2, 1), g)]

    def samples(self):
        return [[np.arange(12.0).reshape(2, 2, 3) - 5, np.arange(24.0).reshape(2, 3, 4) / 7]]

    def __str__(self):
        return "batched_dot"


class _OfOneMatrix(Op):
    """Une matrice carrée en donne une de la même forme, par une fonction de NumPy."""

    host_only = "LAPACK, sur l’hôte"
    label = compute = None

    def make_node(self, x):
        x = _matrix(x, self.label)
        return Apply(self, [x], [TensorType(_float_of(x.dtype), shape=x.type.shape)()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = _compute(type(self).compute, self.label, node, *inputs)

    def __str__(self):
        return self.label


class MatrixInverse(_OfOneMatrix):
    """A⁻¹ ; gradient : -A⁻ᵀ g A⁻ᵀ."""

    label, compute = "matrix_inverse", np.linalg.inv

    def L_op(self, inputs, outputs, output_grads):
        (out,), (g,) = outputs, output_grads
        return [-out.T.dot(g).dot(out.T)]

    def samples(self):
        return [[WELL_CONDITIONED]]


class PseudoInverse(Op):
    """A⁺, la pseudo-inverse de Moore-Penrose ; son gradient vaut là où le rang ne change pas.

    Source : G. Golub et V. Pereyra, « The Differentiation of Pseudo-Inverses and Nonlinear Least
    Squares Problems Whose Variables Separate », SIAM J. Numer. Anal. 10, 1973.
    """

    host_only = "LAPACK, sur l’hôte"

    def make_node(self, x):
        x = _matrix(x, "pinv", square=False)
        return Apply(self, [x], [TensorType(_float_of(x.dtype), shape=x.type.shape[::-1])()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0][::-1]]

    def infer_dims(self, node):
        return [node.inputs[0].dims[::-1]]

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = _compute(np.linalg.pinv, "pinv", node, *inputs)

    def L_op(self, inputs, outputs, output_grads):
        (a,), (z,), g = inputs, outputs, output_grads[0].T
        left = g.dot(z).dot(z.T)  # les deux derniers termes n’existent que si A n’est pas carrée
        right = z.T.dot(z).dot(g)
        return [left - a.dot(z).dot(left) + right - right.dot(z).dot(a) - (z.dot(g).dot(z)).T]

    def samples(self):
        return [[WELL_CONDITIONED], [TALL], [TALL.T]]

    def __str__(self):
        return "pinv"


class Det(Op):
    """Déterminant ; gradient : g det(A) A⁻ᵀ (A inversible)."""

    host_only = "LAPACK, sur l’hôte"

    def make_node(self, x):
        x = _matrix(x, "det")
        return Apply(self, [x], [TensorType(_float_of(x.dtype))()])

    def infer_shape(self, node, input_shapes):
        return [()]

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = np.asarray(_compute(np.linalg.det, "det", node, *inputs))

    def L_op(self, inputs, outputs, output_grads):
        (x,), (out,), (g,) = inputs, outputs, output_grads
        return [g * out * MatrixInverse()(x).T]

    def samples(self):
        return [[WELL_CONDITIONED]]

    def __str__(self):
        return "det"


class Solve(Op):
    """La solution x de A x = b ; b est un vecteur, ou une matrice dont chaque colonne compte."""

    host_only = "LAPACK, sur l’hôte"

    def make_node(self, a, b):
        a, b = _matrix(a, "solve"), as_tensor_variable(b)
        if b.ndim not in (1, 2):
            raise ShapeError("solve : second membre", expected="un ou deux axes",
                             received=b.short())  # fmt: skip
        dtype = _float_of(a.dtype, b.dtype)
        return Apply(self, [a, b], [TensorType(dtype, shape=b.type.shape)()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[1]]

    def perform(self, node, inputs, output_storage):
        a, b = inputs
        if a.shape[0] != a.shape[1] or a.shape[1] != b.shape[0]:
            raise ShapeError("solve : formes incompatibles", expected="(n, n) et (n,) ou (n, k)",
                             received=f"{a.shape} et {b.shape}")  # fmt: skip
        output_storage[0][0] = _compute(np.linalg.solve, "solve", node, a, b)

    def L_op(self, inputs, outputs, output_grads):
        (a, b), (out,), (g,) = inputs, outputs, output_grads
        g_b = self(a.T, g)
        if b.ndim == 1:
            return [-g_b.dimshuffle(0, "x") * out.dimshuffle("x", 0), g_b]
        return [-g_b.dot(out.T), g_b]

    def samples(self):
        return [[WELL_CONDITIONED, np.array([1.0, -2.0, 0.5])], [WELL_CONDITIONED, TALL]]

    def __str__(self):
        return "solve"


class Cholesky(_OfOneMatrix):
    """La matrice triangulaire inférieure L telle que A = L Lᵀ ; seul le bas de A est lu."""

    label, compute = "cholesky", np.linalg.cholesky

    def L_op(self, inputs, outputs, output_grads):
        (low,), (g,) = outputs, output_grads
        middle = _half_lower(low.T.dot(g.tril()))
        left = Solve()(low.T, middle)
        s = Solve()(low.T, left.T).T  # L⁻ᵀ Φ(Lᵀ g) L⁻¹
        return [_half_lower(s + s.T)]

    def samples(self):
        return [[POSITIVE]]


class Eigh(Op):
    """Valeurs propres (croissantes) et vecteurs propres d’une matrice symétrique.

    `uplo` : le triangle lu, "L" ou "U". Entre valeurs propres égales, les vecteurs n’ont pas de
    dérivée : leur contribution est comptée nulle.
    """

    host_only = "LAPACK, sur l’hôte"
    __props__ = ("uplo",)

    def __init__(self, uplo="L"):
        self.uplo = uplo

    def make_node(self, x):
        x = _matrix(x, "eigh")
        dtype, shape = _float_of(x.dtype), x.type.shape
        return Apply(
            self, [x], [TensorType(dtype, shape=shape[:1])(), TensorType(dtype, shape=shape)()]
        )

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0][:1], input_shapes[0]]

    def perform(self, node, inputs, output_storage):
        found = _compute(lambda x: np.linalg.eigh(x, self.uplo), "eigh", node, *inputs)
        output_storage[0][0], output_storage[1][0] = found

    def L_op(self, inputs, outputs, output_grads):
        (w, v), (g_w, g_v) = outputs, output_grads
        total = 0
        if g_w is not None:
            total = (v * g_w.dimshuffle("x", 0)).dot(v.T)
        if g_v is not None:
            gap = w.dimshuffle("x", 0) - w.dimshuffle(0, "x")
            same = gap.eq(0)
            inner = same.switch(0, v.T.dot(g_v) / same.switch(1, gap))
            total = total + v.dot(inner).dot(v.T)
        lower = _half_lower(total + total.T)
        return [lower if self.uplo == "L" else lower.T]

    def samples(self):
        return [[POSITIVE]]

    def __str__(self):
        return "eigh"


class Eig(Op):
    """Valeurs et vecteurs propres d’une matrice carrée dont les valeurs propres sont réelles."""

    host_only = "LAPACK, sur l’hôte"

    def make_node(self, x):
        x = _matrix(x, "eig")
        dtype, shape = _float_of(x.dtype), x.type.shape
        return Apply(
            self, [x], [TensorType(dtype, shape=shape[:1])(), TensorType(dtype, shape=shape)()]
        )

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0][:1], input_shapes[0]]

    def perform(self, node, inputs, output_storage):
        found = _compute(np.linalg.eig, "eig", node, *inputs)
        if any(np.iscomplexobj(part) for part in found):
            raise MatrixError(
                "eig : une valeur propre n'est pas réelle",
                expected="une matrice dont les valeurs propres sont réelles",
                received=f"une matrice de forme {inputs[0].shape}",
                hint="une matrice symétrique les a réelles : eigh",
            )
        output_storage[0][0], output_storage[1][0] = found

    def samples(self):
        return [[np.array([[2.0, 1.0], [0.5, -1.0]])]]

    def __str__(self):
        return "eig"


class LeastSquares(Op):
    """La solution x qui rend ‖a x - b‖ la plus petite. Entrées : a, b, seuil.

    Sorties, celles de `numpy.linalg.lstsq` : la solution, les résidus, le rang, les valeurs
    singulières de a ; celles plus petites que le seuil fois la plus grande comptent pour nulles.
    """

    host_only = "LAPACK, sur l’hôte"

    def make_node(self, a, b, threshold):
        a, b = _matrix(a, "lstsq", square=False), as_tensor_variable(b)
        if b.ndim not in (1, 2):
            raise ShapeError(
                "lstsq : second membre", expected="un ou deux axes", received=b.short()
            )
        dtype = _float_of(a.dtype, b.dtype)
        vector = TensorType(dtype, shape=(None,))
        solution = TensorType(dtype, shape=(a.type.shape[1], *b.type.shape[1:]))
        outputs = [solution(), vector(), TensorType("int64")(), vector()]
        return Apply(self, [a, b, as_tensor_variable(threshold)], outputs)

    def perform(self, node, inputs, output_storage):
        *system, threshold = inputs
        found = _compute(
            lambda a, b: np.linalg.lstsq(a, b, rcond=float(threshold)), "lstsq", node, *system
        )
        for cell, value, output in zip(output_storage, found, node.outputs, strict=True):
            cell[0] = np.asarray(value, dtype=output.dtype)

    def samples(self):
        return [[TALL, np.array([1.0, -2.0, 0.5]), np.array(1e-12)]]

    def __str__(self):
        return "lstsq"


class Expm(Op):
    """L’exponentielle d’une matrice.

    Gradient : exp([[Aᵀ, g], [0, Aᵀ]]) a pour bloc haut-droit la contribution de A.

    Source : N. Higham, « The Scaling and Squaring Method for the Matrix Exponential Revisited »,
    2005 (ici la série de Taylor de x / 2ˢ, puis s carrés).
    """

    host_only = "LAPACK, sur l’hôte"

    def make_node(self, x):
        x = _matrix(x, "expm")
        return Apply(self, [x], [TensorType(_float_of(x.dtype), shape=x.type.shape)()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    def perform(self, node, inputs, output_storage):
        x = inputs[0].astype("float64")
        if x.shape[0] != x.shape[1]:
            raise ShapeError("expm", expected="une matrice carrée", received=str(x.shape))
        size = np.abs(x).sum(axis=0).max(initial=0)
        squarings = max(0, int(np.ceil(np.log2(size))) + 3) if 0 < size < np.inf else 0
        small, term = x / 2.0**squarings, np.eye(len(x))
        result = term.copy()
        for k in range(1, 14):  # (1/8)**14 / 14 ! < 1e-23
            term = term @ small / k
            result += term
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(squarings):
                result = result @ result
            output_storage[0][0] = result.astype(node.out.dtype)

    def L_op(self, inputs, outputs, output_grads):
        (x,), (g,) = inputs, output_grads
        n = x.shape[0]
        top = x.T.join_with(1, g)
        bottom = x.zeros_like(dtype=g.dtype).join_with(1, x.T)
        return [self(top.join_with(0, bottom))[:n, n:]]

    def samples(self):
        return [[WELL_CONDITIONED]]

    def __str__(self):
        return "expm"


class QR(Op):
    """A = Q R : Q à colonnes orthonormées, R triangulaire supérieure ; formes réduites."""

    host_only = "LAPACK, sur l’hôte"

    def make_node(self, x):
        x = _matrix(x, "qr", square=False)
        dtype = _float_of(x.dtype)
        free = TensorType(dtype, shape=(None, None))
        return Apply(self, [x], [free(), free()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0], output_storage[1][0] = _compute(np.linalg.qr, "qr", node, *inputs)

    def L_op(self, inputs, outputs, output_grads):
        """A = [X Y], R = [U V], où X et U ont k = min(m, n) colonnes : Y = Q V, et X = Q U de rang
        plein (Roberts et Roberts, « QR and LQ decomposition matrix backpropagation », 2020).
        """
        (x,), (q, r), (g_q, g_r) = inputs, outputs, output_grads
        g_q = q.zeros_like() if g_q is None else g_q
        g_r = r.zeros_like() if g_r is None else g_r
        k = q.shape[1]
        u, g_u, g_v = r[:, :k], g_r[:, :k], g_r[:, k:]
        g_q = g_q + x[:, k:].dot(g_v.T)
        m = u.dot(g_u.T) - g_q.T.dot(q)
        total = g_q + q.dot(m.tril() + m.tril(-1).T)
        return [Solve()(u, total.T).T.join_with(1, q.dot(g_v))]

    def samples(self):
        return [[TALL], [TALL.T]]

    def __str__(self):
        return "qr"


class SVD(Op):
    """A = U diag(s) Vᵀ, les valeurs singulières s en ordre décroissant.

    `full` : U et V carrées, sinon réduites. Seules les valeurs singulières se dérivent.
    """

    host_only = "LAPACK, sur l’hôte"
    __props__ = ("full",)

    def __init__(self, full=True):
        self.full = full

    def make_node(self, x):
        x = _matrix(x, "svd", square=False)
        free = TensorType(_float_of(x.dtype), shape=(None, None))
        return Apply(self, [x], [free(), TensorType(free.dtype, shape=(None,))(), free()])

    def perform(self, node, inputs, output_storage):
        found = _compute(lambda x: np.linalg.svd(x, self.full), "svd", node, *inputs)
        for storage, value in zip(output_storage, found, strict=True):
            storage[0] = value

    def L_op(self, inputs, outputs, output_grads):
        (u, s, v), (g_u, g_s, g_v) = outputs, output_grads
        if g_u is not None or g_v is not None:
            raise GradientError(
                "svd : les vecteurs singuliers ne se dérivent pas ici",
                expected="un coût qui ne dépend que des valeurs singulières",
                received="un coût qui dépend de U ou de V",
                hint="dérivez à travers eigh(A.T.dot(A)), ou coupez avec disconnected_grad",
            )
        rank = s.shape[0]
        return [(u[:, :rank] * g_s.dimshuffle("x", 0)).dot(v[:rank])]

    def samples(self):
        return [[TALL]]

    def __str__(self):
        return "svd"
