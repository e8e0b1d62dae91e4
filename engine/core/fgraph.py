"""Le graphe d’une fonction : un graphe fermé que les réécritures transforment.

`FunctionGraph` sait, pour chaque variable, qui l’utilise (`clients`), remplace une variable par une
autre partout (`replace`), note chaque remplacement avec sa raison (`log`) et sait se vérifier
(`check`).
"""

from typing import NamedTuple

from engine.core.errors import EngineError, MissingInputError
from engine.core.graph import Constant, Variable, clone_with_map, toposort, walk
from engine.core.sharedvalue import SharedVariable

OUTPUT = "output"  # client fictif : la variable est une sortie du graphe


class Replacement(NamedTuple):
    """Une ligne du journal : la raison, ce qui était là, ce qui l’a remplacé."""

    reason: str
    old: Variable
    new: Variable


class FunctionGraph:
    """Copie du graphe qui va de `inputs` à `outputs`, prête à être réécrite.

    Paramètres
        inputs : variables fournies par l’appelant (des intermédiaires coupent le graphe).
        outputs : variables à calculer.

    Lève
        MissingInputError : une variable libre n’est ni fournie, ni partagée, ni constante.
    """

    def __init__(self, inputs, outputs):
        fresh = {variable: variable.clone() for variable in inputs}
        missing = _first_missing(inputs, outputs)
        if missing is not None:
            raise missing
        self.outputs, self.origin = clone_with_map(outputs, fresh, copy_inputs=True)
        self.inputs = [fresh[variable] for variable in inputs]
        self._input_set = set(self.inputs)
        # variable -> ses clients (nœud, rang), clés d’un dictionnaire : ôtés sans recherche
        self.clients = {}
        self.log = []
        self.selected = None  # règle -> booléen : celles du mode, quand on réécrit
        self.lengths = None  # les longueurs des axes, comparées (`engine.rewriting.speed.lengths`)
        self.guards = None  # ce que l’on suppose des formes, et vérifie ; None : ne rien supposer
        self.device = None  # ce que note le périphérique qui calculera (`engine.gpu.compiling`)
        self.launches = False  # chaque op y coûtera un lancement : en faire le moins possible
        self.on_replace = None  # appelé avec le Replacement une fois fait, si quelqu’un surveille
        self.added = []  # les nœuds, dans l’ordre où ils entrent
        self.reference_nodes = set()  # ceux que le compilateur fait calculer par la référence NumPy
        self._nodes = {}
        for variable in self._input_set:
            self.clients.setdefault(variable, {})
        for position, output in enumerate(self.outputs):
            self._attach(output, (OUTPUT, position))

    @property
    def nodes(self):
        """Les nœuds présents, sans ordre particulier."""
        return list(self._nodes)

    @property
    def shared(self):
        """Les variables partagées dont le graphe dépend."""
        return [variable for variable in self.clients if isinstance(variable, SharedVariable)]

    def __contains__(self, node):
        return node in self._nodes

    def toposort(self):
        """Les nœuds, chacun après ceux dont il dépend."""
        return toposort(self.outputs, self.inputs)

    def replace(self, old, new, reason):
        """Remplace `old` par `new` chez tous ses clients, et note pourquoi.

        Lève
            EngineError : les types ne vont pas ensemble, ou `old` n’est pas dans le graphe.
        """
        if old is new:
            return
        if not old.type.accepts(new.type):
            raise EngineError(
                f"réécriture « {reason} » : types incompatibles",
                expected=str(old.type),
                received=str(new.type),
                where=str(old.owner.trace) if old.owner else None,
            )
        if new.name is None and new.owner is not None:
            new.name = old.name
        self.replace_for(old, new, list(self.clients[old]), reason)

    def replace_for(self, old, new, readers, reason):
        """Remplace `old` par `new` chez les clients `readers` seulement : couples (nœud, rang)."""
        self.log.append(Replacement(reason, old, new))
        for client, position in readers:
            self._attach(new, (client, position))
            if client is OUTPUT:
                self.outputs[position] = new
            else:
                client.inputs[position] = new
        # `new` peut dépendre de `old` (sa longueur...) : ces clients-là lui restent
        for client in readers:
            del self.clients[old][client]
        self._prune(old)
        if self.on_replace is not None:
            self.on_replace(self.log[-1])

    def _attach(self, variable, client):
        for needed in walk([variable], stop=self.clients.keys()):
            if needed in self.clients:
                continue
            self.clients[needed] = {}
            node = needed.owner
            if node is not None and node not in self._nodes:
                self._nodes[node] = True
                self.added.append(node)
                for position, entry in enumerate(node.inputs):
                    self.clients[entry][node, position] = True
                for output in node.outputs:
                    self.clients.setdefault(output, {})
        self.clients[variable][client] = True

    def _prune(self, variable):
        pending = [variable]
        while pending:
            variable = pending.pop()
            node = variable.owner
            if self.clients.get(variable) or variable in self._input_set:
                continue
            if node is None:
                self.clients.pop(variable, None)
                continue
            if node not in self._nodes or any(self.clients[output] for output in node.outputs):
                continue
            del self._nodes[node]
            for output in node.outputs:
                del self.clients[output]
            for position, entry in enumerate(node.inputs):
                del self.clients[entry][node, position]
                pending.append(entry)

    def check(self):
        """Vérifie les invariants : clients exacts, pas de nœud orphelin, entrées connues.

        Lève
            EngineError : le premier invariant rompu.
        """
        present = set(self.toposort())
        if present - self._nodes.keys():
            raise EngineError("fgraph : un nœud utilisé n'est pas enregistré")
        expected = {}
        for node in self._nodes:
            for position, entry in enumerate(node.inputs):
                expected.setdefault(entry, []).append((node, position))
        for position, output in enumerate(self.outputs):
            expected.setdefault(output, []).append((OUTPUT, position))
        for variable, clients in expected.items():
            found = self.clients.get(variable, {})
            if sorted(map(_client_key, found)) != sorted(map(_client_key, clients)):
                raise EngineError("fgraph : clients inexacts", received=str(variable))
        for node in self._nodes:
            for entry in node.inputs:
                known = entry.owner is not None or entry in self.inputs
                if not known and not isinstance(entry, Constant | SharedVariable):
                    raise EngineError("fgraph : entrée inconnue", received=str(entry))


def _client_key(client):
    node, position = client
    return (id(node), position)


def _first_missing(inputs, outputs):
    """L’erreur qui nomme la première variable libre que personne ne fournit, ou None."""
    provided = set(inputs)
    for variable in walk(outputs, provided):
        if variable.owner is None and variable not in provided:
            if not isinstance(variable, Constant | SharedVariable):
                users = [node for node in toposort(outputs, inputs) if variable in node.inputs]
                hint = f"ajoutez {variable} aux entrées de function"
                if variable.name is not None and variable.name in [entry.name for entry in inputs]:
                    hint = (
                        f"deux variables distinctes portent le nom {variable} (cellule exécutée "
                        "deux fois ?) : reconstruisez l'expression, ou donnez la bonne"
                    )
                return MissingInputError(
                    f"la variable {variable} n'est fournie par personne",
                    expected=f"{variable} dans inputs, ou dans givens",
                    received=f"inputs = {list(inputs)}",
                    where=str(users[0].trace) if users else None,
                    hint=hint,
                )
    return None


def memory_roots(order):
    """Pour chaque variable, celle dont elle occupe (ou regarde) la mémoire."""
    roots = {}
    for node in order:
        for index, output in enumerate(node.outputs):
            sources = node.op.view_map.get(index) or node.op.destroy_map.get(index) or ()
            roots[output] = output
            for position in sources:
                source = node.inputs[position]
                roots[output] = roots.get(source, source)
    return roots
