"""Ce qu’un périphérique note sur le graphe d’une fonction : `fgraph.device`."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class DeviceNotes:
    """Ce que le placement lit et écrit.

    Attributs
        host_inputs : nœud -> rangs des entrées laissées à l’hôte, ou None s’il n’a pas de noyau.
        resident : rangs des sorties qui restent sur le périphérique.
        lent : rang d’une sortie qui y reste -> rendue telle quelle, ou en copie.
        left_on_host : nœuds restés sur l’hôte faute de noyau.
        tiers : nœud -> par quel niveau de noyau il se calcule, et pourquoi.
        texts : nœud -> les textes de ses noyaux, une fois qu’ils ont tourné.
    """

    host_inputs: Callable
    resident: set = field(default_factory=set)
    lent: dict = field(default_factory=dict)
    left_on_host: list = field(default_factory=list)
    tiers: dict = field(default_factory=dict)
    texts: dict = field(default_factory=dict)

    def said_of(self, node):
        """Comment ce nœud se calcule, s’il y a quelque chose à en dire ; sinon None."""
        for one in self.left_on_host:
            if node.trace is one.trace and type(node.op) is type(one.op):
                return "sur l’hôte : pas de noyau du périphérique"
        return self.tiers.get(node)
