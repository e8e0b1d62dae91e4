"""Les réécritures du graphe, étape par étape : canonicalize, stabilize, specialize, fusion,
inplace.
"""

from engine.rewriting import (
    canonicalize,
    fusion,
    inplace,
    loops,
    moving_out,
    shapes,
    specialize,
    stabilize,
    tables,
)
from engine.rewriting.core import GRAPH_REWRITES, REWRITES, explain, graph_rewrite, pattern, rewrite
