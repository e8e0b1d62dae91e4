"""Une carte : un élément de la sortie ne dépend que de ceux de même rang. Un fil, un élément.

Le moteur écrit ses propres cartes dans le texte de `relu` : seule change la ligne qui calcule.
"""

import numpy as np

from engine.gpu.kernels.device import cuda

ZERO = np.float32(0)


@cuda.jit
def relu(out, x):
    """out[i] = max(x[i], 0). Le fil i s’occupe de l’élément i."""
    i = cuda.grid(1)
    if i < out.size:  # la garde : le dernier bloc dépasse
        out[i] = max(x[i], ZERO)


@cuda.jit
def axpy(out, a, x, y):
    """out[i] = a · x[i] + y[i]. Le fil i s’occupe de l’élément i."""
    i = cuda.grid(1)
    if i < out.size:
        out[i] = a * x[i] + y[i]
