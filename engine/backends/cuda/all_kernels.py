"""Charge tous les noyaux du périphérique, pour que le registre les connaisse.

Ordre de lecture : `elementwise`, `views`, `reductions`, `extremes`,
`softmaxes`, `losses`, `products`, `indexing`, `convolutions`,
`poolings`.
"""

from engine.backends.cuda import (
    accumulations,
    convolution_pools,
    convolutions,
    counting,
    draws,
    elementwise,
    extremes,
    indexing,
    losses,
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
    "convolution_pools",
    "convolutions",
    "counting",
    "draws",
    "elementwise",
    "extremes",
    "host_inputs",
    "indexing",
    "losses",
    "poolings",
    "products",
    "reductions",
    "softmaxes",
    "sorting",
    "views",
]
