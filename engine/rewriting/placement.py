"""Placer les nœuds sur le périphérique, et poser les transferts qu’il faut, pas un de plus.

Un nœud y va si le dos de calcul a un noyau pour lui et qu’il y a de quoi faire : il rend un
tableau, ou lit une valeur qui s’y trouve déjà. Les calculs de longueurs et d’indices, des nombres
seuls, restent sur l’hôte. Une variable partagée rangée sur le périphérique y est lue et mise à
jour sans transfert.

Ordre de lecture : `place`, `_worth_moving`.
"""

from engine.ops.placement import OnDevice, ToDevice, ToHost
from engine.ops.shape import ShapeAxis
from engine.rewriting.core import graph_rewrite
from engine.sharedvalue import SharedVariable

_READS_SHAPE_ONLY = (ShapeAxis,)  # la forme se lit sans transfert


@graph_rewrite("sur_le_gpu", "placement", "un noyau du périphérique calcule ce nœud")
def place(fgraph, has_kernel):
    """Place les nœuds d’un graphe, si la fonction se compile pour un périphérique.

    `fgraph.host_inputs` : nœud -> rangs des entrées qui restent sur l’hôte, ou None sans noyau.
    `fgraph.resident` : rangs des sorties qui restent sur le périphérique.
    """
    if fgraph.host_inputs is None:
        return
    moved = {}
    for node in fgraph.toposort():
        host = fgraph.host_inputs(node)
        if host is None or not _worth_moving(node, host):
            continue
        inputs = [
            entry if rank in host else _to_device(entry, moved)
            for rank, entry in enumerate(node.inputs)
        ]
        new = OnDevice(node.op, host).apply(node, inputs)
        for old, output in zip(node.outputs, new.outputs, strict=True):
            if fgraph.clients.get(old):
                fgraph.replace(old, ToHost()(output), "sur_le_gpu")
    _bring_back(fgraph)


def _to_device(variable, moved):
    """La même valeur, sur le périphérique ; un transfert par variable."""
    if isinstance(variable, SharedVariable) and variable.storage.on_device:
        return variable
    if variable.owner is not None and isinstance(variable.owner.op, ToHost):
        return variable.owner.inputs[0]
    if variable not in moved:
        moved[variable] = ToDevice()(variable)
    return moved[variable]


def _worth_moving(node, host):
    if isinstance(node.op, _READS_SHAPE_ONLY):
        return False
    read = [entry for rank, entry in enumerate(node.inputs) if rank not in host]
    return any(output.ndim for output in node.outputs) or any(map(_is_resident, read))


def _is_resident(variable):
    """Dit si la valeur se trouve déjà sur le périphérique."""
    if isinstance(variable, SharedVariable):
        return variable.storage.on_device
    return variable.owner is not None and isinstance(variable.owner.op, ToHost)


def _bring_back(fgraph):
    """Ce que l’hôte lit d’une case du périphérique passe par un transfert ; ce qui peut y rester y
    reste.
    """
    for variable in fgraph.shared:
        if not variable.storage.on_device:
            continue
        readers = [
            (client, rank)
            for client, rank in fgraph.clients[variable]
            if client == "output" or not isinstance(client.op, OnDevice | ToDevice | ShapeAxis)
        ]
        if readers:
            fgraph.replace_for(variable, ToHost()(variable), readers, "sur_le_gpu")
    for position in sorted(fgraph.resident):
        output = fgraph.outputs[position]
        if output.owner is not None and isinstance(output.owner.op, ToHost):
            inside = output.owner.inputs[0]
            fgraph.replace_for(output, inside, [("output", position)], "reste_sur_le_gpu")
    for node in fgraph.toposort():
        if isinstance(node.op, ShapeAxis) and _is_resident(node.inputs[0]):
            output = node.inputs[0]
            if output.owner is not None:
                fgraph.replace_for(output, output.owner.inputs[0], [(node, 0)], "reste_sur_le_gpu")
