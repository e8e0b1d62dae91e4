"""Le dos de calcul Numba : des noyaux compilés pour le processeur.

Ordre de lecture : `compiling`, `elementwise`, `reductions`, `softmax`, `indexing`, `pooling`,
`tiles`, `threads`, `convolving`, `draws`.
"""

from engine.backends.numba import (
    convolving,
    draws,
    elementwise,
    indexing,
    pooling,
    reductions,
    softmax,
)
