"""Le dos de calcul Numba : des noyaux compilés pour le processeur.

Ordre de lecture : `compiling`, `elementwise`, `reductions`, `softmax`, `indexing`, `pooling`,
`tiles`, `threads`, `convolving`, `draws`, `products`, `places`, `looping`, `multiplying`.
"""

from engine.backends.numba import (
    convolving,
    draws,
    elementwise,
    indexing,
    looping,
    multiplying,
    pooling,
    reductions,
    softmax,
)
