"""Imprimer et dessiner un graphe : les noms de `theano.printing`, réunis."""

from engine.look.drawing import pydotprint
from engine.look.printing import debugprint, graph_data, pp
from engine.ops.probes import Print
