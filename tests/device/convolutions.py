"""Les étages du LeNet 20/50, un lot de 500 : ce que chacun coûte, à côté de cuDNN.

Chaque ligne est une fonction compilée de variables du GPU, dont le résultat y reste ; nous avons
cuDNN là où PyTorch l’a, sinon des colonnes et cuBLAS. PyTorch fait
ses convolutions en TF32 si on le laisse faire : les deux durées sont là.
"""

import functools

import numpy as np

import engine
import engine.tensor as T
from tests.device.rivals import DEFAULT, EXACT, Rival, operation
from tests.device.works import Case, distance, floats, on_gpu

_SHAPES = {  # images, filtres
    "1": ((500, 1, 28, 28), (20, 1, 5, 5)),
    "2": ((500, 20, 12, 12), (50, 20, 5, 5)),
}
_SMALL = ((2, 2, 8, 8), (3, 2, 3, 3))

_TOLERANCE = 1e-4  # un gradient de filtre ajoute 288 000 termes


def forward(x, w, b, g):
    """La convolution."""
    return T.nnet.conv2d(x, w)


def stage(x, w, b, g):
    """La convolution, le maximum, le biais, tanh."""
    pooled = T.signal.pool.pool_2d(T.nnet.conv2d(x, w), (2, 2), ignore_border=True)
    return T.tanh(pooled + b.dimshuffle("x", 0, "x", "x"))


def towards_filters(x, w, b, g):
    """Le gradient des filtres, `g` étant celui du résultat."""
    return T.grad(T.sum(T.nnet.conv2d(x, w) * g), w)


def towards_images(x, w, b, g):
    """Le gradient des images."""
    return T.grad(T.sum(T.nnet.conv2d(x, w) * g), x)


def stage_and_back(x, w, b, g):
    """L’étage, puis le gradient de ses filtres : ce qu’un pas en demande."""
    return T.grad(T.sum(stage(x, w, b, g)), w)


def _torch_stage(torch, x, w, b, g):
    return torch.tanh(torch.max_pool2d(torch.conv2d(x, w), 2) + b[:, None, None])


def _torch_stage_and_back(torch, x, w, b, g):
    w = w.detach().requires_grad_()
    return torch.autograd.grad(_torch_stage(torch, x, w, b, g).sum(), w)


WORKS = {  # nom -> (l’expression, PyTorch, convolutions faites)
    "convolution": (forward, lambda torch, x, w, b, g: torch.conv2d(x, w), 1),
    "étage": (stage, _torch_stage, 1),
    "gradient des filtres": (
        towards_filters,
        lambda torch, x, w, b, g: torch.nn.grad.conv2d_weight(x, w.shape, g), 1,
    ),
    "gradient des images": (
        towards_images,
        lambda torch, x, w, b, g: torch.nn.grad.conv2d_input(x.shape, w, g), 1,
    ),
    "étage et gradient": (stage_and_back, _torch_stage_and_back, 2),
}  # fmt: skip


def row(shapes, work, small):
    """Une ligne : l’expression compilée, sa référence sur le processeur en float64."""
    build, rival, count = work
    images, filters = _SMALL if small else shapes
    height, width = (n - k + 1 for n, k in zip(images[2:], filters[2:], strict=True))
    result = (images[0], filters[0], height, width)
    values = [floats(*images), floats(*filters), floats(filters[0]), floats(*result, seed=1)]

    def compiled():
        variables = [engine.shared(value) for value in values]
        expression = build(*variables)
        out = engine.shared(np.zeros((0,) * expression.ndim, "float32"))
        return engine.function([], updates=[(out, expression)]), out

    step, out = on_gpu(compiled)

    def gap():
        expected = build(*(engine.shared(value.astype("float64")) for value in values))
        return distance(out.get_value(), engine.function([], expected)())

    torchs = {"PyTorch": EXACT, "PyTorch TF32": DEFAULT}
    return Case(
        step, "appels", gap=gap, tolerance=_TOLERANCE,
        operations=2 * count * np.prod(result) * np.prod(filters[1:]),
        bytes=4 * sum(value.size for value in values),
        rivals={
            name: Rival(operation(rival, *values), precision) for name, precision in torchs.items()
        },
    )  # fmt: skip


def convolutions():
    """Chaque travail à chaque étage ; les images n’ont pas de gradient."""
    return {
        f"{name}, étage {level}": functools.partial(row, shapes, work)
        for level, shapes in _SHAPES.items()
        for name, work in WORKS.items()
        if (level, name) != ("1", "gradient des images")
    }
