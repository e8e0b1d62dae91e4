"""La transformée de Fourier, contre celle de NumPy : valeurs, retour, dérivées, erreurs."""

import numpy as np
import pytest

from engine import function
from engine import tensor as T
from engine.core.errors import EngineError, ShapeError
from engine.look.testing import check_grads, check_op
from engine.tensor.fft import irfft, rfft

SHAPES = [(3, 8), (3, 7), (2, 3, 4), (2, 4, 5), (2, 2, 3, 3), (2, 1)]
NUMPY_NORM = {None: "backward", "ortho": "ortho", "no_norm": "backward"}


def _signal(shape, dtype="float64"):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm", NUMPY_NORM)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_round_trip(shape, norm, dtype):
    x = _signal(shape, dtype)
    z = check_op(lambda x: rfft(x, norm), [x])
    expected = np.fft.rfftn(x, axes=range(1, x.ndim), norm=NUMPY_NORM[norm])
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(z[..., 0] + 1j * z[..., 1], expected, tolerance, tolerance)
    back = check_op(lambda z: irfft(z, norm, is_odd=shape[-1] % 2 == 1), [z])
    scale = np.prod(shape[1:]) if norm == "no_norm" else 1
    np.testing.assert_allclose(back / scale, x, tolerance, tolerance)
    assert z.dtype == back.dtype == dtype


@pytest.mark.parametrize("norm", NUMPY_NORM)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_derivatives(shape, norm):
    check_grads(lambda x: rfft(x, norm) ** 2, [_signal(shape)])
    spectrum = (*shape[:-1], shape[-1] // 2 + 1, 2)
    check_grads(lambda z: irfft(z, norm, shape[-1] % 2 == 1) ** 2, [_signal(spectrum)])


def test_parseval():
    """La norme "ortho" garde l’énergie : Σ x² = Σ abs(z)², conjugués compris."""
    x = T.dmatrix("x")
    z = rfft(x, norm="ortho")
    energy = function([x], (z[:, 1:] ** 2).sum() * 2 + (z[:, 0] ** 2).sum())
    value = _signal((2, 9))
    np.testing.assert_allclose(energy(value), (value**2).sum())


def test_integers_empty_batches_and_known_lengths():
    assert rfft(T.imatrix("x")).dtype == "float64"
    x = T.dmatrix("x")
    assert rfft(x).eval({x: np.zeros((0, 4))}).shape == (0, 3, 2)
    assert irfft(rfft(x)).eval({x: np.zeros((0, 4))}).shape == (0, 4)
    known = rfft(T.constant(_signal((2, 6))))
    assert known.type.shape == (2, 4, 2)


def test_mistakes_are_told():
    with pytest.raises(ShapeError, match="l’axe du lot"):
        rfft(T.dvector("x"))
    with pytest.raises(ShapeError, match="partie imaginaire"):
        irfft(T.dmatrix("z"))
    with pytest.raises(EngineError, match="norme inconnue"):
        rfft(T.dmatrix("x"), norm="orthogonale")
    z = T.dtensor3("z")
    with pytest.raises(EngineError, match="pas de signal"):
        irfft(z).eval({z: np.zeros((2, 1, 2))})
