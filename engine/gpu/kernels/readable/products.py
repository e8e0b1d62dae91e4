"""Le produit de deux matrices : c = a @ b, naïf, puis par tuiles."""

import numpy as np

from engine.gpu.kernels.device import cuda

TILE = 2  # côté d’une tuile et d’un bloc ; petit, pour se lire. Un vrai GPU prend 16 ou 32.
ZERO = np.float32(0)


@cuda.jit
def naive_product(c, a, b):
    """c[i, j] = Σₖ a[i, k] · b[k, j]. Le fil de colonne j et de ligne i fait (i, j).

    Il lit pour lui seul toute la ligne i de a et toute la colonne j de b.
    """
    j, i = cuda.grid(2)
    if i < c.shape[0] and j < c.shape[1]:
        total = ZERO
        for k in range(a.shape[1]):
            total += a[i, k] * b[k, j]
        c[i, j] = total


@cuda.jit
def tiled_product(c, a, b):
    """c[i, j] = Σₖ a[i, k] · b[k, j]. Le fil de colonne j et de ligne i fait (i, j).

    Un bloc de TILE × TILE fils avance de tuile en tuile : chaque fil apporte un élément de a et un
    de b dans la mémoire partagée, puis tous s’en servent. Chaque élément lu sert TILE fois.
    """
    j, i = cuda.grid(2)
    column, row = cuda.threadIdx.x, cuda.threadIdx.y
    tile_a = cuda.shared.array((TILE, TILE), np.float32)
    tile_b = cuda.shared.array((TILE, TILE), np.float32)
    total = ZERO
    for start in range(0, a.shape[1], TILE):
        inside_a = i < a.shape[0] and start + column < a.shape[1]
        inside_b = start + row < b.shape[0] and j < b.shape[1]
        tile_a[row, column] = a[i, start + column] if inside_a else ZERO
        tile_b[row, column] = b[start + row, j] if inside_b else ZERO
        cuda.syncthreads()  # la tuile est pleine
        for k in range(TILE):
            total += tile_a[row, k] * tile_b[k, column]
        cuda.syncthreads()  # plus personne ne s’en sert : on peut la remplir à nouveau
    if i < c.shape[0] and j < c.shape[1]:
        c[i, j] = total
