"""Les ops qui portent des graphes : ce que les boucles et les branches ont en commun.

Un op `Nested` dit quels graphes il porte (`inner_graphs`), sait s’en refaire un autour d’autres
(`with_graphs`), et calcule à partir de fonctions qui les calculent (`run`). La référence les
parcourt nœud par nœud ; le compilateur écrit un programme pour chacun.
"""

from engine.core.contract import perform_call
from engine.core.emission import Program
from engine.core.fgraph import FunctionGraph
from engine.core.graph import Constant, Op, ancestors, toposort, walk


class Nested(Op):
    """Un op qui porte un ou plusieurs graphes intérieurs.

    `copies_results` : `run` recopie aussitôt ce que rendent les fonctions des graphes.
    """

    tested_by = "ce que boucles et branches partagent"
    foldable = False
    runs_graphs = any_layout = True
    copies_results = False

    def __init__(self):
        self._steps = None

    def inner_graphs(self):
        """Les graphes portés : des couples (entrées, sorties)."""
        raise NotImplementedError(f"{type(self).__name__}.inner_graphs")

    def with_graphs(self, graphs):
        """Le même op autour d’autres graphes, qui calculent la même chose."""
        raise NotImplementedError(f"{type(self).__name__}.with_graphs")

    def run(self, steps, *arrays):
        """Calcule les sorties ; `steps` : une fonction des tableaux par graphe porté."""
        raise NotImplementedError(f"{type(self).__name__}.run")

    def apply(self, *inputs):
        """Applique l’op ; rend toujours une liste."""
        outputs = self(*inputs)
        return outputs if isinstance(outputs, list) else [outputs]

    def call_in(self, program, kernel):
        """Ce qui calcule l’op dans ce programme : `kernel`, et là où il rend None, `run`."""
        steps = []

        def prepare():
            steps.extend(_emit(self, graph, program) for graph in self.inner_graphs())

        def call(*arrays):
            results = None if kernel is None else kernel(*arrays)
            if results is not None:
                return results
            if not steps:
                prepare()
            results = self.run(steps, *arrays)
            return results if len(results) > 1 else results[0]

        if kernel is None:
            prepare()
        return call

    def perform(self, node, inputs, output_storage):
        if self._steps is None:
            self._steps = [reference_step(*graph) for graph in self.inner_graphs()]
        for cell, value in zip(output_storage, self.run(self._steps, *inputs), strict=True):
            cell[0] = value if self.copies_results else value.copy()


def _emit(op, graph, outside):
    """La fonction `step` d’un graphe porté par un op : ni vérifications, ni mises à jour.

    Ses résultats sont recopiés aussitôt par l’op s’il le dit (`copies_results`) : les noyaux
    gardent alors toute leur mémoire d’un pas à l’autre.
    """
    name = f"{outside.name}, {op}"
    program = Program(FunctionGraph(*graph), outside.backends, name, outside.watchers)
    if op.copies_results:
        program.escaping = set()
    names = [program.name_it(variable, variable.name) for variable in program.fgraph.inputs]
    program.head = f"def step({', '.join(names)}):"
    program.compute()
    if op.copies_results:
        texts = [program.argument(output) for output in program.fgraph.outputs]
        program.lines.append(f"    return [{', '.join(texts)}]")
    else:
        program.give_results((), len(program.fgraph.outputs))
    return program.finish()[1]


def reference_step(inputs, outputs):
    """La fonction des tableaux qui calcule un graphe nœud par nœud, par `perform`."""
    nodes = toposort(outputs, inputs)
    calls = {node: perform_call(node) for node in nodes}
    leaves = ancestors(outputs, set(inputs))
    known = {leaf: leaf.data for leaf in leaves if isinstance(leaf, Constant)}

    def step(*arrays):
        values = {**known, **dict(zip(inputs, arrays, strict=True))}
        for node in nodes:
            results = calls[node](*(values[entry] for entry in node.inputs))
            values.update(
                zip(node.outputs, results if len(node.outputs) > 1 else [results], strict=True)
            )
        return [values[output] for output in outputs]

    return step


def graph_key(inputs, outputs):
    """Une clé égale pour deux graphes de même structure, leurs entrées prises dans l’ordre."""
    positions = {variable: k for k, variable in enumerate(inputs)}
    rows, fixed = [], set(inputs)
    for variable in walk(outputs, fixed):
        if variable in positions:
            continue
        node = variable.owner
        made = [variable] if node is None else node.outputs
        if node is None:
            rows.append(variable.signature())
        else:
            rows.append((node.op, *(positions[entry] for entry in node.inputs)))
        for item in made:
            positions.setdefault(item, len(positions))
    types = tuple(variable.type for variable in inputs)
    return types, tuple(rows), tuple(positions[output] for output in outputs)
