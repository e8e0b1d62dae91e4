"""Les réécritures du graphe, étape par étape : canonicalize, stabilize, specialize, fusion,
placement, inplace.
"""

from engine.rewriting.exact import canonicalize, specialize, stabilize
from engine.gpu.compiling import device_convolutions, device_fusion, placement
from engine.rewriting.speed import fusion, inplace, shapes
from engine.loops import cleaning as loops, moving_out, tables
from engine.core.rewriting import GRAPH_REWRITES, REWRITES, explain, graph_rewrite, pattern, rewrite
