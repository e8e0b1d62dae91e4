"""Le softmax : deux réductions et une carte, un bloc par ligne."""

import math

import numpy as np

from engine.gpu.kernels.device import cuda

THREADS = 8  # par bloc, une puissance de deux
ZERO = np.float32(0)
LOWEST = np.float32(-np.inf)


@cuda.jit
def softmax_rows(out, x):
    """out[i, j] = exp(x[i, j] − m) / Σₖ exp(x[i, k] − m), où m est le maximum de la ligne i.

    Le bloc i s’occupe de la ligne i ; son fil t, des colonnes t, t + THREADS, …
    """
    i, t = cuda.blockIdx.x, cuda.threadIdx.x
    columns = x.shape[1]
    best = cuda.shared.array(THREADS, np.float32)
    total = cuda.shared.array(THREADS, np.float32)

    mine = LOWEST
    for j in range(t, columns, THREADS):
        mine = max(mine, x[i, j])
    best[t] = mine
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            best[t] = max(best[t], best[t + half])
        cuda.syncthreads()
        half //= 2

    highest = best[0]
    mine = ZERO
    for j in range(t, columns, THREADS):
        mine += math.exp(x[i, j] - highest)
    total[t] = mine
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            total[t] += total[t + half]
        cuda.syncthreads()
        half //= 2

    for j in range(t, columns, THREADS):
        out[i, j] = math.exp(x[i, j] - highest) / total[0]
