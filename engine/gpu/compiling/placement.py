"""Placer les nœuds sur le périphérique, et poser les transferts qu’il faut, pas un de plus.

Un nœud y va si le dos de calcul a un noyau pour lui et qu’il y a de quoi faire : il rend un
tableau, ou lit une valeur qui s’y trouve déjà. Les calculs de longueurs et d’indices, des nombres
seuls, restent sur l’hôte. Une variable partagée rangée sur le périphérique y est lue et mise à
jour sans transfert.

Ordre de lecture : `place`, `_worth_moving`.
"""

from dataclasses import replace

from engine.core.elemwise import elemwise
from engine.core.fgraph import OUTPUT, FunctionGraph
from engine.core.graph import Apply
from engine.core.rewriting import graph_rewrite
from engine.core.sharedvalue import SharedVariable
from engine.core.types import FLOATS
from engine.gpu.compiling.nested import DeviceBranch, DeviceLoop
from engine.gpu.compiling.sections import is_slice_of_shared
from engine.gpu.compiling.transfers import OnDevice, ToDevice, ToHost
from engine.loops.branches import LazyIfElse
from engine.loops.loop_op import Scan
from engine.ops.shape import MakeVector, Shape, ShapeAxis
from engine.ops.transfer import Transfer

_READS_SHAPE_ONLY = (Shape, ShapeAxis)  # la forme se lit sans transfert
_HOSTS_OWN = (ToHost, MakeVector)  # un vecteur de longueurs n’a rien à faire ailleurs
_TAKES_ITS_ARRAYS = (OnDevice, ToDevice, DeviceLoop, DeviceBranch, *_READS_SHAPE_ONLY)


@graph_rewrite("sur_le_gpu", "placement", "un noyau du périphérique calcule ce nœud")
def place(fgraph, has_kernel):
    """Place les nœuds d’un graphe, si la fonction se compile pour un périphérique.

    `fgraph.device` (`DeviceNotes`) dit ce qui a un noyau et ce qui reste ; la passe y note ce qui
    n’en a pas.
    """
    if fgraph.device is not None:
        _keep_there(fgraph)
        _place(fgraph)
        _store_there(fgraph)
        _give_slices(fgraph)


def _place(fgraph):
    moved = {}
    for node in fgraph.toposort():
        nested = {Scan: _loop, LazyIfElse: _branch}.get(type(node.op))
        new = nested and nested(fgraph, node, moved)
        if new is None:
            host = fgraph.device.host_inputs(node)
            if host is None and not isinstance(node.op, _HOSTS_OWN) and _worth_moving(node, ()):
                fgraph.device.left_on_host.append(node)
            if host is None or not _worth_moving(node, host):
                continue
            new = OnDevice(node.op, host).apply(node, _entries(node.inputs, host, moved))
        for old, output in zip(node.outputs, new.outputs, strict=True):
            if fgraph.clients.get(old):
                fgraph.replace(old, ToHost()(output), "sur_le_gpu")
    _bring_back(fgraph)


def _keep_there(fgraph):
    """Une sortie que l’on a voulue sur la carte y reste ; ailleurs, `transfer` ne fait rien."""
    for position, output in enumerate(fgraph.outputs):
        op = output.owner and output.owner.op
        if not isinstance(op, Transfer) or op.target == "cpu":
            continue
        (source,) = output.owner.inputs
        if any(source is other for other in fgraph.outputs):  # chacune sa mémoire
            source = elemwise("second")(source, source)
        fgraph.device.resident.add(position)
        fgraph.device.lent[position] = op.lent
        fgraph.replace_for(output, source, [(OUTPUT, position)], "sur_le_gpu")
    for node in fgraph.toposort():
        if isinstance(node.op, Transfer):
            fgraph.replace(node.out, node.inputs[0], "sur_le_gpu")


def _store_there(fgraph):
    """Une case du périphérique ne reçoit que ce qui s’y trouve : une entrée, un résultat de l’hôte
    y sont portés.
    """
    for position in sorted(fgraph.device.resident):
        output = fgraph.outputs[position]
        stored = isinstance(output, SharedVariable) and output.storage.on_device
        if not stored and (output.owner is None or not _is_on_device(output, fgraph)):
            fgraph.replace_for(output, ToDevice()(output), [(OUTPUT, position)], "sur_le_gpu")


def _give_slices(fgraph):
    """La tranche d’une variable partagée (un lot) se donne à la section comme une entrée :
    son début est une donnée, seule sa longueur compte au rejeu.
    """
    for node in fgraph.toposort():
        if is_slice_of_shared(node):
            readers = [
                (client, position)
                for client, position in fgraph.clients[node.out]
                if client is not OUTPUT
                and isinstance(client.op, OnDevice | DeviceLoop | DeviceBranch)
            ]
            if readers:
                fgraph.replace_for(node.out, ToDevice()(node.out), readers, "sur_le_gpu")


def _entries(inputs, host, moved):
    return [entry if k in host else _to_device(entry, moved) for k, entry in enumerate(inputs)]


def _loop(fgraph, node, moved):
    """La boucle, son graphe intérieur placé ; None si elle ne lit aucun tableau."""
    op = node.op
    inner = _inside(fgraph, op.inputs, op.outputs)
    sequences, _, others = op.with_graph(inner.inputs, inner.outputs).split_inner()
    kept = {v for v in (*sequences, *others) if _wanted_on_host(inner, v)}
    fixed = [None, *sequences, *[None] * op.n_states, *others]
    host = {k for k, variable in enumerate(fixed) if k == 0 or variable in kept}
    if len(host) == len(node.inputs):
        return None
    _settle(inner, kept, op.n_states + op.n_collected)
    loop = DeviceLoop(inner.inputs, inner.outputs, **op.settings)
    new = Apply(
        loop, _entries(node.inputs, host, moved), [v.type(name=v.name) for v in node.outputs]
    )
    new.trace = node.trace
    return new


def _branch(fgraph, node, moved):
    """Le choix, ses deux graphes placés ; la condition reste sur l’hôte. None s’il ne rend ni ne
    lit aucun tableau.
    """
    graphs = [_inside(fgraph, *graph) for graph in node.op.inner_graphs()]
    kept = [{v for v in inner.inputs if _wanted_on_host(inner, v)} for inner in graphs]
    given = [v in row for inner, row in zip(graphs, kept, strict=True) for v in inner.inputs]
    host = {0} | {k for k, stays in enumerate(given, 1) if stays}
    if not _worth_moving(node, host):
        return None
    for inner, row in zip(graphs, kept, strict=True):
        _settle(inner, row, len(inner.outputs))
    choice = DeviceBranch([(inner.inputs, inner.outputs) for inner in graphs], node.op.name)
    entries = _entries(node.inputs, host, moved)
    new = Apply(choice, entries, [v.type(name=v.name) for v in node.outputs])
    new.trace = node.trace
    return new


def _inside(fgraph, inputs, outputs):
    """Un graphe porté par un nœud de `fgraph`, à placer comme lui."""
    inner = FunctionGraph(inputs, outputs)
    inner.device, inner.launches = replace(fgraph.device, resident=set()), True
    return inner


def _settle(inner, kept, n_resident):
    """Place un graphe porté : ses entrées, sauf `kept`, et ses `n_resident` premières sorties sont
    sur le périphérique.
    """
    for variable in inner.inputs:
        readers = list(inner.clients[variable])
        if variable not in kept and readers:
            inner.replace_for(variable, ToHost()(variable), readers, "sur_le_gpu")
    inner.device.resident = set(range(n_resident))
    _place(inner)
    uploaded = {}
    for position in sorted(inner.device.resident):
        output = inner.outputs[position]
        if output in kept or not _is_on_device(output, inner):
            inside = _to_device(output, uploaded)
            inner.replace_for(output, inside, [(OUTPUT, position)], "reste_sur_le_gpu")


def _wanted_on_host(inner, variable):
    """Vrai si un nœud de la boucle veut cette valeur sur l’hôte (un indice, une longueur), ou le
    nombre entier qu’il en tire.
    """
    for client, position in inner.clients[variable]:
        if client is OUTPUT:
            continue
        number = all(v.ndim == 0 and v.dtype not in FLOATS for v in client.outputs)
        if position in (inner.device.host_inputs(client) or ()) or (
            number and variable.ndim == 0 and any(_wanted_on_host(inner, v) for v in client.outputs)
        ):
            return True
    return False


def _is_on_device(variable, inner):
    if variable.owner is None:
        return variable in inner.inputs
    return isinstance(variable.owner.op, OnDevice | DeviceLoop | DeviceBranch | ToDevice)


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
    read = [entry for k, entry in enumerate(node.inputs) if k not in host]
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
            (client, k)
            for client, k in fgraph.clients[variable]
            if client is OUTPUT or not isinstance(client.op, _TAKES_ITS_ARRAYS)
        ]
        if readers:
            fgraph.replace_for(variable, ToHost()(variable), readers, "sur_le_gpu")
    for position in sorted(fgraph.device.resident):
        output = fgraph.outputs[position]
        if output.owner is not None and isinstance(output.owner.op, ToHost):
            inside = output.owner.inputs[0]
            fgraph.replace_for(output, inside, [(OUTPUT, position)], "reste_sur_le_gpu")
    for node in fgraph.toposort():
        if isinstance(node.op, _READS_SHAPE_ONLY) and _is_resident(node.inputs[0]):
            output = node.inputs[0]
            if output.owner is not None:
                fgraph.replace_for(output, output.owner.inputs[0], [(node, 0)], "reste_sur_le_gpu")
