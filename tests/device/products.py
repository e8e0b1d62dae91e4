"""Les produits sur le GPU contre NumPy en float64, à chaque niveau : transposées, piles…"""

import itertools

import numpy as np

from engine.core.settings import config
from engine.core.types import TensorType
from engine.gpu.kernels.arrays import upload
from engine.gpu.kernels.registry import device_function
from engine.ops.linear_algebra import BatchedDot
from engine.ops.products import Dot
from tests.device.requests import Recorder, using

SIZES = ((1, 1, 1), (1, 7, 5), (7, 5, 1), (3, 0, 2), (33, 17, 65), (129, 1, 31), (1, 300, 1))
LARGE = ((256, 64, 384), (2000, 40, 1004), (500, 784, 10), (10, 500, 784), (65, 3000, 70))

KINDS = ("float32", "float64")


def as_is(x):
    return x


def flipped(x):
    return x.swapaxes(-1, -2)


def every_other(x):
    return x[..., ::2]


def backwards(x):
    return x[..., ::-1, :]


def corner(x):
    return x[..., 1:, 1:]


VIEWS = {  # ce qu’on range, d’après la forme voulue ; ce qu’on en lit
    as_is: lambda *shape: shape,
    flipped: lambda *shape: (*shape[:-2], shape[-1], shape[-2]),
    every_other: lambda *shape: (*shape[:-1], 2 * shape[-1]),
    backwards: lambda *shape: shape,
    corner: lambda *shape: (*shape[:-2], shape[-2] + 1, shape[-1] + 1),
}


PLAIN = (as_is, flipped)


def operand(rng, shape, view, kind):
    """Les valeurs, et le même tableau sur le GPU, lu par la vue."""
    stored = (rng.standard_normal(VIEWS[view](*shape)) / np.sqrt(max(shape))).astype(kind)
    device = upload(stored)
    return view(stored), (
        device.transpose(*_swapped(device.ndim)) if view is flipped else view(device)
    )


def _swapped(ndim):
    return (*range(ndim - 2), ndim - 1, ndim - 2)


def cases(kind):
    """(titre, op, valeurs, tableaux du GPU)"""
    rng = np.random.default_rng(0)
    sides = [(size, *views) for size in SIZES for views in itertools.product(VIEWS, repeat=2)]
    sides += [(size, *views) for size in LARGE for views in itertools.product(PLAIN, repeat=2)]
    for (m, k, n), left, right in sides:
        title = f"{kind} {m}×{k}×{n} {left.__name__} {right.__name__}"
        (a, da), (b, db) = operand(rng, (m, k), left, kind), operand(rng, (k, n), right, kind)
        yield f"produit {title}", Dot(), (a, b), (da, db)
        yield f"vecteur à droite {title}", Dot(), (a, b[:, -1]), (da, db[:, -1])
        yield f"vecteur à gauche {title}", Dot(), (a[0], b), (da[0], db)
        yield f"deux vecteurs {title}", Dot(), (a[-1], b[:, 0]), (da[-1], db[:, 0])
        (a, da), (b, db) = operand(rng, (3, m, k), left, kind), operand(rng, (3, k, n), right, kind)
        yield f"piles {title}", BatchedDot(), (a, b), (da, db)


def call(op, values, arrays):
    """Le produit, calculé sur le GPU."""
    node = op.make_node(*[TensorType(v.dtype, (False,) * v.ndim)() for v in values])
    return device_function(node)(*arrays)


def requests(architecture):
    """Les noyaux que demandent ces cas, sur cette architecture."""
    with using(Recorder(architecture)) as recorder:
        for kind in KINDS:
            for _, op, values, arrays in cases(kind):
                call(op, values, arrays)
                for array in arrays:
                    array.copy()
    return list(dict.fromkeys(recorder.requests))


def verify(gap, tolerance):
    """Essaie chaque cas à chaque niveau ; renvoie (leur nombre, [échecs])."""
    tried, wrong = 0, []
    for tier in ("library", "readable"):
        with config.change_flags(gpu_tier=tier):
            for title, op, values, arrays in [case for kind in tolerance for case in cases(kind)]:
                found = call(op, values, arrays).to_host()
                exact = np.matmul(*(v.astype("float64") for v in values))
                tried += 1
                error = gap(found.astype("float64"), exact)
                if found.shape != exact.shape or not error <= tolerance[str(values[0].dtype)]:
                    wrong.append((f"{tier}, {title}", f"écart {error:.1e}, forme {found.shape}"))
    return tried, wrong
