"""Charge tous les noyaux du périphérique, pour que le registre les connaisse.

Ordre de lecture : `elementwise`, `views`, `reductions`, `softmaxes`, `products`, `indexing`,
`convolutions`, `poolings`.
"""

from engine.backends.cuda import (
    accumulations,
    convolutions,
    draws,
    elementwise,
    indexing,
    poolings,
    products,
    reductions,
    softmaxes,
    views,
)
from engine.backends.cuda.plans import Section
from engine.backends.cuda.registry import host_inputs

__all__ = [
    "Section",
    "accumulations",
    "convolutions",
    "draws",
    "elementwise",
    "host_inputs",
    "indexing",
    "poolings",
    "products",
    "reductions",
    "softmaxes",
    "views",
]
