"""Charge tous les noyaux du périphérique, pour que le registre les connaisse.

Ordre de lecture : `elementwise`, `views`, `reductions`, `softmaxes`, `products`, `indexing`.
"""

from engine.backends.cuda import elementwise, indexing, products, reductions, softmaxes, views
from engine.backends.cuda.registry import host_inputs

__all__ = ["elementwise", "host_inputs", "indexing", "products", "reductions", "softmaxes", "views"]
