"""Ce qu’une fonction fait sur le périphérique d’un seul tenant : sa section.

Le programme émis d’une fonction placée (`rewriting.placement`) se coupe en trois : ce que l’hôte
calcule avant, la section, ce que l’hôte calcule après. La section ne dépend de l’hôte que par les
tableaux qu’il lui porte et par des valeurs qui restent sur l’hôte (longueurs, indices) : à formes
et valeurs égales, elle fait toujours les mêmes lancements, que le dos de calcul peut rejouer.

Ordre de lecture : `Section`, `find_section`.
"""

from dataclasses import dataclass, field

from engine.core.graph import Constant
from engine.core.sharedvalue import SharedVariable
from engine.gpu.compiling.nested import DeviceBranch, DeviceLoop
from engine.gpu.compiling.transfers import OnDevice, ToDevice, ToHost
from engine.ops.index import Subtensor
from engine.ops.shape import Shape, ShapeAxis

_BEFORE, _DEVICE, _LENGTH, _AFTER = range(4)  # quand une valeur est connue, et où


@dataclass
class Section:
    """Une coupe : les nœuds d’avant, de la section, d’après ; ce qui passe de l’un à l’autre.

    Attributs
        before, nodes, after : les nœuds, dans l’ordre.
        uploaded : transferts (variable de l’hôte, la même sur le périphérique).
        host : valeurs de l’hôte que la section lit, et qui y restent.
        resident : tableaux du périphérique qu’elle lit, variables partagées.
        brought : transferts (variable du périphérique, la même sur l’hôte).
        kept : sorties qui restent sur le périphérique.
        values : valeurs de l’hôte qu’elle rend (des longueurs).
    """

    before: list = field(default_factory=list)
    nodes: list = field(default_factory=list)
    after: list = field(default_factory=list)
    uploaded: list = field(default_factory=list)
    host: list = field(default_factory=list)
    resident: list = field(default_factory=list)
    brought: list = field(default_factory=list)
    kept: list = field(default_factory=list)
    values: list = field(default_factory=list)


def find_section(order, outputs):
    """Coupe un programme ; None si le périphérique n’y fait rien, ou pas d’un seul tenant.

    Paramètres
        order : ses nœuds, dans l’ordre.
        outputs : les variables qu’il rend.
    """
    section, moments = Section(), {}
    for node in order:
        moment = _moment(node, moments)
        if moment is None:
            return None
        moments.update((output, moment) for output in node.outputs)
        if isinstance(node.op, ToHost) and moments.get(node.inputs[0]) == _DEVICE:
            section.brought.append((node.inputs[0], node.outputs[0]))
        elif isinstance(node.op, ToDevice) and _is_given(node, moments):
            section.uploaded.append((node.inputs[0], node.outputs[0]))
        else:
            {_BEFORE: section.before, _AFTER: section.after}.get(moment, section.nodes).append(node)
    if not section.nodes:
        return None
    _link(section, moments, outputs)
    return section


def _moment(node, moments):
    """Quand ce nœud se calcule ; None si la section devrait attendre l’hôte."""
    op = node.op
    if is_slice_of_shared(node) and all(moments.get(v, _BEFORE) == _BEFORE for v in node.inputs):
        return _BEFORE
    known = {moments.get(entry, _BEFORE) for entry in node.inputs}
    if isinstance(op, OnDevice | DeviceLoop | DeviceBranch | ToDevice):
        return None if _AFTER in known else _DEVICE
    if isinstance(op, Shape | ShapeAxis) and _on_device(node.inputs[0], moments):
        return _LENGTH
    if isinstance(op, ToHost) or known & {_AFTER, _DEVICE}:
        return _AFTER
    if _LENGTH in known:
        return _LENGTH if all(output.ndim <= 1 for output in node.outputs) else _AFTER
    return _BEFORE


def is_slice_of_shared(node):
    """Est-ce la tranche d’une variable du périphérique, à une place qui peut changer ?"""
    op = getattr(node.op, "op", None)
    if not (isinstance(node.op, OnDevice) and isinstance(op, Subtensor) and "a" not in op.template):
        return False
    x, *places = node.inputs
    moves = any(not isinstance(place, Constant) for place in places)
    return moves and isinstance(x, SharedVariable) and x.storage.on_device


def _on_device(variable, moments):
    return moments.get(variable) == _DEVICE


def _is_given(node, moments):
    """Le transfert d’une valeur de l’hôte connue avant la section, et qui peut changer."""
    (entry,) = node.inputs
    return moments.get(entry, _BEFORE) == _BEFORE and not isinstance(entry, Constant)


def _link(section, moments, outputs):
    """Ce qui entre dans la section, et ce qui en sort."""
    inside = {output for node in section.nodes for output in node.outputs}
    given = {variable for _, variable in section.uploaded}
    for node in section.nodes:
        for entry in node.inputs:
            if entry in inside or entry in given or isinstance(entry, Constant):
                continue
            resident = isinstance(entry, SharedVariable) and entry.storage.on_device
            row = section.resident if resident else section.host
            if entry not in row:
                row.append(entry)
    later = [entry for node in section.after for entry in node.inputs] + list(outputs)
    for variable in dict.fromkeys(later):
        if variable in given:
            section.kept.append(variable)
        elif variable in inside:
            row = section.kept if moments[variable] == _DEVICE else section.values
            row.append(variable)
