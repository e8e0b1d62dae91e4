"""Le dos de calcul Numba : des noyaux compilés pour le processeur.

Ordre de lecture : `compiling`, `elementwise`, `reductions`, `softmax`, `indexing`, `pooling`.
"""

from engine.backends.numba import elementwise, indexing, pooling, reductions, softmax
