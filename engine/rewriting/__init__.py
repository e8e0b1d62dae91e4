"""Les réécritures du graphe, étape par étape : canonicalize, stabilize, specialize, fusion,
placement, inplace.
"""

from engine.rewriting import (
    canonicalize,
    device_convolutions,
    device_fusion,
    fusion,
    inplace,
    loops,
    moving_out,
    placement,
    shapes,
    specialize,
    stabilize,
    tables,
)
from engine.rewriting.core import GRAPH_REWRITES, REWRITES, explain, graph_rewrite, pattern, rewrite
