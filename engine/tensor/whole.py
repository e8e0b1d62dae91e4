"""Où le cœur trouve le reste du moteur, au premier besoin."""

from engine.core.registry import provide

provide(
    rules=("engine.rewriting", "engine.rewriting.exact", "engine.rewriting.speed", "engine.loops",
           "engine.gpu.compiling"),
    numpy=("engine.backends.numpy",),
    numba=("engine.backends.numba",),
    cuda=("engine.gpu.kernels", "engine.gpu"),
    look=("engine.look",),
)  # fmt: skip
