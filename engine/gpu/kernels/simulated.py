"""Les jumeaux, pour le simulateur, de ce que `intrinsics` donne au compilateur.

Les tableaux y sont ceux de NumPy ; chaque fil d’un bloc est un fil de Python.

Ordre de lecture : `simulated_functions`, `shuffle_xor`.
"""

import numpy as np

from engine.core.errors import ShapeError

WARP = 4  # fils d’un warp simulé


def _load(count):
    def load(a, i):
        """Des éléments voisins ; `i` est un multiple de leur nombre, comme l’exige le GPU."""
        _aligned(i, count)
        return tuple([a[i + k] for k in range(count)])

    return load


def _store(count):
    def store(a, i, *values):
        """Les écrit."""
        _aligned(i, count)
        for k in range(count):
            a[i + k] = values[k]

    return store


load2, load4, load8 = map(_load, (2, 4, 8))
store2, store4, store8 = map(_store, (2, 4, 8))


def pointer(shared):
    """Le tableau lui-même : ses indices sont contrôlés."""
    return shared


def _aligned(i, count):
    if i % count:
        raise ShapeError(
            f"accès à {count} éléments non aligné", expected=f"un multiple de {count}",
            received=str(i),
        )  # fmt: skip


class Exchange(tuple):
    """Ce qu’un fil montre à ceux de son warp, et comment chacun s’en sert."""


def shuffle_xor(x, d):
    """La valeur que tient le fil de rang t ^ d du même warp ; tous ses fils doivent appeler."""
    return Exchange((lambda held, lane: held[lane ^ d], x, None))


def exchanged(fibres, width):
    """Les fils de chaque warp, tous venus, reçoivent ce qu’ils attendent."""
    warps = {}
    for fibre in fibres:
        size = fibre.said[2] or width
        warps.setdefault((fibre.thread // size, size), {})[fibre.thread] = fibre
    for (warp, size), lanes in warps.items():
        if len(lanes) < size:
            raise ShapeError(f"{len(lanes)} fils du warp {warp} attendent en vain")
        held = [lanes[warp * size + k].said[1] for k in range(size)]
        for thread, fibre in lanes.items():
            fibre.said = fibre.said[0], held, thread - warp * size
    for fibre in fibres:
        give, held, lane = fibre.said
        fibre.said = give(held, lane)
    return fibres


def to_tf32(x):
    """L’arrondi à dix bits de mantisse, les milieux loin de zéro."""
    bits = np.float32(x).view("uint32")
    moved = bits + np.uint32(0x1000) if np.isfinite(x) else bits
    return (moved & np.uint32(0xFFFFE000)).view("float32")


def multiply_16_8_8(*held):
    """c + a @ b par 32 fils : leurs morceaux deviennent deux matrices, puis se reprennent."""
    return Exchange((_multiplied, held, 32))


def _multiplied(rows, lane):
    # [g, q, element] : g, la ligne de a et la colonne de b ; q, le rang de k
    held = np.array(rows, "float32").reshape(8, 4, 10)
    a = held[..., :4].reshape(8, 4, 2, 2).transpose(3, 0, 2, 1).reshape(16, 8)
    b = held[..., 4:6].transpose(2, 1, 0).reshape(8, 8)
    products = (a @ b).reshape(2, 8, 4, 2)  # moitié, g, q, voisine
    g, q = divmod(lane, 4)
    return tuple(held[g, q, 6:] + products[:, g, q].ravel())


def simulated_functions():
    """Les fonctions, par nom."""
    return {
        "load2": load2, "load4": load4, "load8": load8,
        "store2": store2, "store4": store4, "store8": store8,
        "pointer": pointer, "shuffle_xor": shuffle_xor,
        "to_tf32": to_tf32, "multiply_16_8_8": multiply_16_8_8,
        "from_half": np.float32, "to_half": np.float16,
    }  # fmt: skip
