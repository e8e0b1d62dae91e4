"""Une réduction : beaucoup d’éléments, un résultat. Les fils d’un bloc s’y mettent ensemble."""

import numpy as np

from engine.gpu.kernels.device import cuda

THREADS = 8  # par bloc, une puissance de deux ; petit, pour se lire. Un vrai GPU en prend 256.
ZERO = np.float32(0)


@cuda.jit
def block_sums(out, x):
    """out[b] = la somme de ce que le bloc b a lu ; relancez sur `out` pour finir.

    Le fil i de la grille lit x[i], x[i + nombre de fils], … ; puis le bloc additionne ses sommes en
    arbre, dans la mémoire partagée : la moitié des fils à chaque étage.
    """
    t = cuda.threadIdx.x
    sums = cuda.shared.array(THREADS, np.float32)
    mine = ZERO
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        mine += x[i]
    sums[t] = mine
    cuda.syncthreads()  # tous ont écrit, on peut lire chez le voisin
    half = THREADS // 2
    while half > 0:
        if t < half:
            sums[t] += sums[t + half]
        cuda.syncthreads()  # l’étage est fini pour tout le bloc
        half //= 2
    if t == 0:
        out[cuda.blockIdx.x] = sums[0]
