"""Le sous-échantillonnage : d’un carré de l’image, ne garder que le maximum."""

from engine.gpu.kernels.device import cuda


@cuda.jit
def max_pool(out, images, size):
    """out[p, i, j] = le maximum du carré de `size` de côté qui commence en (i·size, j·size).

    Formes : out (plans, h, w), images (plans, H, W) ; h = H // size, w = W // size, les bords en
    trop sont ignorés. Le fil x fait la colonne x ; y, la ligne y ; z, le plan z.
    """
    j, i, plane = cuda.grid(3)
    if plane < out.shape[0] and i < out.shape[1] and j < out.shape[2]:
        best = images[plane, i * size, j * size]
        for u in range(size):
            for v in range(size):
                value = images[plane, i * size + u, j * size + v]
                if value > best or value != value:  # un NaN l’emporte, et ne se perd plus
                    best = value
        out[plane, i, j] = best
