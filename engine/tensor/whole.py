"""Où le cœur trouve le reste du moteur, au premier besoin."""

from engine.core.graph import BUILD_HOOKS
from engine.core.registry import part, provide
from engine.core.settings import config

provide(
    rules=("engine.rewriting", "engine.rewriting.exact", "engine.rewriting.speed", "engine.loops",
           "engine.gpu.compiling"),
    numpy=("engine.backends.numpy",),
    numba=("engine.backends.numba",),
    cuda=("engine.gpu.kernels", "engine.gpu"),
    look=("engine.look",),
)  # fmt: skip


def check_test_values(node):
    """Calcule la valeur d’essai d’un nœud neuf, si `config.compute_test_value` en demande."""
    if config.compute_test_value != "off":
        part("look", "debug").compute_test_values(node)


BUILD_HOOKS.append(check_test_values)
