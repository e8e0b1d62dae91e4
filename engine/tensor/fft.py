"""La transformée de Fourier d’un signal réel, avec les appels de Theano.

Les nombres complexes sont des couples (partie réelle, partie imaginaire), sur un axe de plus.
"""

import math

import numpy as np

from engine.core.elemwise import cast
from engine.core.errors import EngineError
from engine.core.types import as_tensor_variable
from engine.ops.fft import InverseRealFFT, RealFFT

NORMS = (None, "ortho", "no_norm")


def rfft(inp, norm=None):
    """La transformée de Fourier d’un lot de signaux réels : Σ_t x_t exp(-2iπ k t / n).

    Paramètres
        inp : forme (lot, ..., n), réelle ; tous les axes sauf le premier sont transformés.
        norm : None ou "no_norm", sans facteur ; "ortho", divisée par √N, N éléments par signal.

    Renvoie
        Forme (lot, ..., n // 2 + 1, 2) : parties réelle et imaginaire des coefficients k ≤ n / 2,
        les autres étant leurs conjugués ; du dtype de `inp`.

    Lève
        ShapeError : moins de deux axes, ou un signal vide.
        EngineError : norme inconnue.

    Source
        J. Cooley et J. Tukey, 1965 ; `theano.tensor.fft.rfft`.

    Exemple
        >>> rfft([[1.0, 0.0, 0.0, 0.0]]).eval()[0].T
        array([[1., 1., 1.],
               [0., 0., 0.]])
    """
    inp = as_tensor_variable(inp)
    spectrum = RealFFT(doubled=False)(inp)
    return _divided(spectrum, norm, [inp.shape[axis] for axis in range(1, inp.ndim)], ("ortho",))


def irfft(inp, norm=None, is_odd=False):
    """L’inverse de `rfft` : des signaux réels, d’après la moitié de leurs coefficients.

    Paramètres
        inp : forme (lot, ..., n // 2 + 1, 2), parties réelle et imaginaire.
        norm : None, divisée par N, le nombre d’éléments d’un signal ; "ortho", par √N ; "no_norm",
            sans facteur. La même que celle donnée à `rfft` (None pour None) rend le signal.
        is_odd : le dernier axe du signal est de longueur impaire.

    Renvoie
        Forme (lot, ..., n), où n vaut deux fois le nombre de coefficients moins un, moins un
        (impair) ou moins deux (pair) ; du dtype de `inp`.

    Lève
        ShapeError : `inp` n’a pas la forme d’un spectre.
        EngineError : norme inconnue.

    Source
        J. Cooley et J. Tukey, 1965 ; `theano.tensor.fft.irfft`.

    Exemple
        >>> irfft(rfft([[1.0, 5.0, 2.0]]), is_odd=True).eval()
        array([[1., 5., 2.]])
    """
    inp = as_tensor_variable(inp)
    n = 2 * (inp.shape[max(inp.ndim - 2, 0)] - 1) + (1 if is_odd else 0)
    signal = InverseRealFFT(doubled=True)(inp, n)
    lengths = [*(inp.shape[axis] for axis in range(1, inp.ndim - 2)), n]
    return _divided(signal, norm, lengths, (None, "ortho"))


def _divided(x, norm, lengths, norms):
    """x, divisé par le nombre d’éléments d’un signal ou sa racine, si `norm` est dans `norms`."""
    if norm not in NORMS:
        raise EngineError(
            "transformée de Fourier : norme inconnue",
            expected=", ".join(map(repr, NORMS)),
            received=repr(norm),
        )
    if norm not in norms:
        return x
    count = cast(math.prod(lengths, start=as_tensor_variable(np.int64(1))), x.dtype)
    return x / (count.sqrt() if norm == "ortho" else count)
