"""La convolution d’un lot d’images par des filtres, retournés comme dans `nnet.conv2d`."""

import numpy as np

from engine.gpu.kernels.device import cuda

ZERO = np.float32(0)


@cuda.jit
def convolve(out, images, filters):
    """out[n, o, i, j] = Σ images[n, c, i + u, j + v] · filters[o, c, −1 − u, −1 − v].

    Formes : out (lot, sorties, h, w), images (lot, canaux, H, W), filters (sorties, canaux, k, l) ;
    h = H − k + 1, w = W − l + 1. Le fil x fait la colonne x ; y, la ligne y ; z parcourt les
    couples (image, filtre).
    """
    j, i, plane = cuda.grid(3)
    batch, outputs, height, width = out.shape
    if i >= height or j >= width or plane >= batch * outputs:
        return
    n, o = plane // outputs, plane % outputs
    tall, wide = filters.shape[2], filters.shape[3]
    total = ZERO
    for c in range(images.shape[1]):
        for u in range(tall):
            for v in range(wide):
                total += images[n, c, i + u, j + v] * filters[o, c, tall - 1 - u, wide - 1 - v]
    out[n, o, i, j] = total
