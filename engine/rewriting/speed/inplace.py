"""Écrire sur place : réutiliser la mémoire d’une entrée que plus personne ne lira.

Une seule passe, la dernière, à partir des durées de vie : pour chaque valeur, on sait quel nœud la
lit en dernier. Les entrées, les variables partagées et les constantes ne sont jamais écrasées.
"""

from engine.core.elemwise import Elemwise
from engine.core.fgraph import memory_roots
from engine.core.graph import Apply, Constant
from engine.core.rewriting import graph_rewrite
from engine.core.sharedvalue import SharedVariable
from engine.ops.index import IncSubtensor


@graph_rewrite("sur_place", "inplace", "le résultat prend la place d'une entrée qui ne sert plus")
def write_in_place(fgraph, has_kernel):
    order = fgraph.toposort()
    roots = memory_roots(order)
    aliases = {}
    for variable, root in roots.items():
        aliases.setdefault(root, []).append(variable)
    last_read = {}
    for moment, node in enumerate(order):
        for entry in node.inputs:
            last_read[roots.get(entry, entry)] = moment
    for output in fgraph.outputs:
        last_read[roots.get(output, output)] = len(order)
    fixed = {*fgraph.inputs}
    for moment, node in enumerate(order):
        position = _place(node, moment, roots, last_read, fixed)
        if position is None:
            continue
        root = roots.get(node.inputs[position], node.inputs[position])
        op = (
            Elemwise(node.op.scalar, inplace=position)
            if isinstance(node.op, Elemwise)
            else IncSubtensor(node.op.template, node.op.set_instead, inplace=True)
        )
        new = Apply(op, node.inputs, [node.outputs[0].type()])
        new.trace = node.trace
        old = node.outputs[0]
        for alias in aliases.pop(old, ()):
            roots[alias] = root
            aliases.setdefault(root, []).append(alias)
        roots[new.outputs[0]] = root
        aliases.setdefault(root, []).append(new.outputs[0])
        last_read[root] = max(last_read[root], last_read.pop(old, moment))
        fgraph.replace(old, new.outputs[0], "sur_place")


def _place(node, moment, roots, last_read, fixed):
    """Le rang de l’entrée dont le nœud peut prendre la mémoire, ou None."""
    if len(node.outputs) > 1:
        return None
    if isinstance(node.op, Elemwise) and node.op.inplace is None:
        candidates = range(len(node.inputs))
    elif isinstance(node.op, IncSubtensor) and not node.op.inplace:
        candidates = (0,)
    else:
        return None
    (out,) = node.outputs
    entry_roots = [roots.get(entry, entry) for entry in node.inputs]
    for position in candidates:
        entry = node.inputs[position]
        root = entry_roots[position]
        free = (
            not isinstance(root, Constant | SharedVariable)
            and root not in fixed
            and root.owner is not None
        )
        alone = entry_roots.count(root) == 1
        same = entry.type == out.type or (
            entry.dtype == out.dtype and entry.broadcastable == out.broadcastable
        )
        if free and alone and same and last_read.get(root) == moment and out.ndim > 0:
            return position
    return None
