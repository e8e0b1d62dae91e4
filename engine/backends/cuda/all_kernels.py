"""Charge tous les noyaux du périphérique, pour que le registre les connaisse.

Ordre de lecture : `elementwise`, `views`, `reductions`, `softmaxes`, `products`, `indexing`,
`convolutions`, `poolings`.
"""

from engine.backends.cuda import (
    accumulations,
    convolutions,
    counting,
    draws,
    elementwise,
    indexing,
    poolings,
    products,
    reductions,
    softmaxes,
    sorting,
    views,
)
from engine.backends.cuda.machines import bound
from engine.backends.cuda.plans import Section
from engine.backends.cuda.registry import host_inputs

__all__ = [
    "Section",
    "accumulations",
    "bound",
    "convolutions",
    "counting",
    "draws",
    "elementwise",
    "host_inputs",
    "indexing",
    "poolings",
    "products",
    "reductions",
    "softmaxes",
    "sorting",
    "views",
]
