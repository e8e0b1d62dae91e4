"""Une chaîne d’opérations, fondue : chaque intermédiaire reste dans un registre du fil."""

import math

import numpy as np

from engine.gpu.kernels.device import cuda

ONE = np.float32(1)


@cuda.jit
def scaled_sigmoid(out, x, scale, bias):
    """out[i, j] = scale · σ(x[i, j] + bias[j]). Le fil de colonne j et de ligne i fait (i, j).

    Trois opérations, une lecture et une écriture par élément : écrite en trois noyaux, la chaîne
    écrirait puis relirait deux tableaux intermédiaires.
    """
    j, i = cuda.grid(2)
    if i < out.shape[0] and j < out.shape[1]:
        shifted = x[i, j] + bias[j]
        out[i, j] = scale * (ONE / (ONE + math.exp(-shifted)))
