"""La transformée de Fourier d’un signal réel, et son inverse.

Un signal réel a un spectre hermitien : la moitié suffit. Les deux ops sont linéaires, et chacune
est la transposée de l’autre, à ceci près qu’un coefficient gardé y vaut pour lui et pour son
conjugué absent (`doubled`), ou pour lui seul.

Ordre de lecture : `_Fourier`, `RealFFT`, `InverseRealFFT`.

Référence : J. Cooley et J. Tukey, « An algorithm for the machine calculation of complex Fourier
series », 1965.
"""

import numpy as np

from engine.core.errors import ShapeError
from engine.core.graph import Apply, Op
from engine.core.types import TensorConstant, TensorType, as_tensor_variable, constant
from engine.ops.arguments import as_length


class _Fourier(Op):
    """Ce que les deux ops partagent.

    `doubled` : compter deux fois les coefficients dont le conjugué n’est pas gardé.
    """

    __props__ = ("doubled",)

    def __init__(self, doubled):
        self.doubled = doubled

    def weights(self, n, half):
        """Ce que vaut chaque coefficient gardé du dernier axe, de longueur n en tout."""
        position = np.arange(half)
        alone = (position == 0) | (2 * position == n) | (not self.doubled)
        return np.where(alone, 1, 2)

    def check(self, shape):
        """Vérifie qu’il y a un signal : au moins deux axes, aucun vide après le premier."""
        if len(shape) < 2 or 0 in shape[1:]:
            raise ShapeError(
                f"{self} : pas de signal à transformer",
                expected="une forme (lot, ..., n), n > 0",
                received=str(tuple(shape)),
                hint="pour un seul signal, ajoutez l'axe du lot : x.dimshuffle('x', 0)",
            )

    def __str__(self):
        return self.label + ("{doubled}" if self.doubled else "")


def _floats(x):
    x = as_tensor_variable(x)
    return x if x.dtype in ("float32", "float64") else x.astype("float64")


class RealFFT(_Fourier):
    """Σ_t x_t exp(-2iπ k t / n), 0 ≤ k ≤ n / 2 : (lot, ..., n) donne (lot, ..., n // 2 + 1, 2).

    Le dernier axe du résultat sépare la partie réelle de la partie imaginaire ; les axes entre le
    lot et le dernier sont transformés aussi, en entier.
    """

    host_only = "pocketfft, sur l’hôte"
    label = "rfft"

    def make_node(self, x):
        x = _floats(x)
        self.check(x.type.shape)
        *others, n = x.type.shape
        shape = (*others, None if n is None else n // 2 + 1, 2)
        return Apply(self, [x], [TensorType(x.dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        *others, n = input_shapes[0]
        return [(*others, n // 2 + 1, constant(np.int64(2)))]

    def perform(self, node, inputs, output_storage):
        (x,) = inputs
        self.check(x.shape)
        half = np.fft.rfftn(x, axes=range(1, x.ndim)) if x.size else _nothing(x)
        half = half * self.weights(x.shape[-1], half.shape[-1])
        output_storage[0][0] = np.stack([half.real, half.imag], axis=-1).astype(x.dtype, copy=False)

    def L_op(self, inputs, outputs, output_grads):
        (x,), (g,) = inputs, output_grads
        return [InverseRealFFT(self.doubled)(g, x.shape[x.ndim - 1])]

    @classmethod
    def variants(cls):
        return [cls(False), cls(True)]

    def samples(self):
        rng = np.random.default_rng(0)
        return [[rng.normal(size=shape)] for shape in [(2, 5), (1, 6), (2, 3, 4), (2, 1)]]


class InverseRealFFT(_Fourier):
    """Σ_k Re(z_k exp(2iπ k t / n)) : (lot, ..., n // 2 + 1, 2), et n, donnent (lot, ..., n)."""

    host_only = "pocketfft, sur l’hôte"
    label = "irfft"

    def make_node(self, z, n):
        z, n = _floats(z), as_length(n)
        if z.ndim < 3 or z.type.shape[-1] not in (None, 2):
            raise ShapeError(
                f"{self} : un spectre a un lot, des axes, puis (partie réelle, partie imaginaire)",
                expected="(lot, ..., n // 2 + 1, 2)",
                received=f"{z} : {z.short()}",
            )
        known = int(n.data) if isinstance(n, TensorConstant) else None
        return Apply(self, [z, n], [TensorType(z.dtype, shape=(*z.type.shape[:-2], known))()])

    def infer_shape(self, node, input_shapes):
        return [(*input_shapes[0][:-2], node.inputs[1])]

    def perform(self, node, inputs, output_storage):
        z, n = inputs[0], int(inputs[1])
        shape = (*z.shape[:-2], n)
        self.check(shape)
        if z.shape[-2:] != (n // 2 + 1, 2):
            raise ShapeError(
                f"{self} : le spectre n'a pas la longueur qu'il faut",
                expected=f"(..., {n // 2 + 1}, 2) pour un signal de longueur {n}",
                received=str(z.shape),
            )
        half = z[..., 0] + 1j * z[..., 1]
        # NumPy compte deux fois chaque coefficient sans conjugué
        half = half * (self.weights(n, n // 2 + 1) / _Fourier(True).weights(n, n // 2 + 1))
        axes = range(1, len(shape))
        signal = np.fft.irfftn(half, shape[1:], axes, norm="forward") if z.size else half.real
        output_storage[0][0] = signal.reshape(shape).astype(z.dtype, copy=False)

    def L_op(self, inputs, outputs, output_grads):
        return [RealFFT(self.doubled)(output_grads[0]), None]

    @classmethod
    def variants(cls):
        return [cls(False), cls(True)]

    def samples(self):
        rng = np.random.default_rng(1)
        shapes = [((2, 3, 2), 5), ((1, 4, 2), 6), ((2, 3, 3, 2), 4), ((2, 1, 2), 1)]
        return [[rng.normal(size=shape), np.array(n)] for shape, n in shapes]


def _nothing(x):
    """Le spectre d’un lot vide."""
    return np.zeros((*x.shape[:-1], x.shape[-1] // 2 + 1), complex)
