"""Le dos de calcul Numba : des noyaux compilés pour le processeur.

Ordre de lecture : `compiling`, `recycling`, `elementwise`, `reductions`, `softmax`, `indexing`,
`pooling`, `tiles`, `threads`, `convolving`, `draws`, `multiplying`, `products`, `places`,
`loop_text`, `looping`.
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
