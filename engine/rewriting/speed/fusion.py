"""Fusionner : plusieurs opérations terme à terme en une seule boucle.

Un nœud rejoint son consommateur si tous ses clients y sont déjà et si les deux ont la même forme.
Chaque élément n’est alors lu et écrit qu’une fois, au lieu d’une fois par opération.

Sur un GPU, une conversion de demi-flottants rejoint chacun de ses clients, quitte à être refaite :
relire deux octets coûte moins qu’en ranger quatre.
"""

from engine.core import trace
from engine.core.dtypes import HALVES, widened
from engine.core.elemwise import Elemwise
from engine.core.fgraph import OUTPUT
from engine.core.graph import Apply
from engine.core.rewriting import graph_rewrite
from engine.core.scalars import cast_scalar
from engine.core.types import TensorConstant
from engine.ops.composite import Composite, Step

MAX_UNITED_STEPS = 100
MAX_STEPS = 40  # au-delà, la compilation coûte plus que la lecture épargnée


@graph_rewrite("fusion_des_boucles", "fusion", "une boucle au lieu de plusieurs")
def fuse_elementwise(fgraph, has_kernel):
    taken, order = set(), fgraph.toposort()
    positions = {node: k for k, node in enumerate(order)}
    for root in reversed(order):
        if root in taken or not _fusible(root, has_kernel):
            continue
        group = _grow(fgraph, root, has_kernel)
        taken |= group
        if len(group) > 1 or any(isinstance(entry, TensorConstant) for entry in root.inputs):
            _replace_group(fgraph, root, sorted(group, key=positions.get))


def _fusible(node, has_kernel):
    return (
        isinstance(node.op, Elemwise)
        and not isinstance(node.op.scalar, Composite)
        and has_kernel(node.op)
    )


def _grow(fgraph, root, has_kernel):
    group, frontier = {root}, list(root.inputs)
    while frontier and len(group) < MAX_STEPS:
        variable = frontier.pop()
        node = variable.owner
        if node is None or node in group or not _fusible(node, has_kernel):
            continue
        same_shape = node.out.ndim == root.out.ndim and (
            node.out.type.broadcastable == root.out.type.broadcastable
        )
        alone = all(client in group for client, _ in fgraph.clients[variable])
        if same_shape and (alone or _reads_halves(fgraph, node)):
            group.add(node)
            frontier += node.inputs
            # un voisin refusé faute d’un client encore dehors peut maintenant entrer
            frontier += [
                entry for member in group for entry in member.inputs if entry.owner not in group
            ]
            frontier = list(dict.fromkeys(frontier))
    return group


def _reads_halves(fgraph, node):
    """Vrai d’une conversion de demi-flottants, dans une fonction du périphérique."""
    entry, scalar = node.inputs[0], node.op.scalar
    widens = entry.dtype in HALVES and scalar is cast_scalar(widened(entry.dtype))
    return widens and fgraph.launches


def _replace_group(fgraph, root, members):
    fused = _compose(members, [root])
    if fused is not None:
        fgraph.replace(root.out, fused.out, "fusion_des_boucles")


def _compose(members, wanted):
    """Une boucle qui calcule `members`, dans l’ordre, et rend les résultats de `wanted` ; None si
    des constantes, inscrites dans le texte, étaient seules à donner la forme.
    """
    inputs, steps, traces, where = [], [], [], {}
    for node in members:
        arguments = [_source(entry, where, inputs) for entry in node.inputs]
        where[node.out] = _add_steps(node, arguments, steps, traces)
    if not inputs or max(entry.ndim for entry in inputs) < wanted[-1].out.ndim:
        return None
    composite = Composite(
        steps, [entry.dtype for entry in inputs], traces, [where[node.out] for node in wanted]
    )
    with trace.inherit(wanted[-1].trace):
        return Apply(Elemwise(composite), inputs, [node.out.type() for node in wanted])


# ---- plusieurs résultats -----------------------------------------------------------------


@graph_rewrite("boucles_réunies", "fusion", "plusieurs résultats de même forme en un seul passage")
def unite_loops(fgraph, has_kernel):
    """Réunit les boucles de même forme que rien d’autre ne sépare.

    Chaque nœud a un niveau : celui de ses clients s’ils sont de la même forme, un de moins sinon.
    Une arête mène d’un groupe (forme, niveau) à lui-même ou à un niveau supérieur : les réunir ne
    fait pas de cercle.
    """
    if fgraph.lengths is None:
        return
    order = fgraph.toposort()
    shapes = {}
    for node in order:
        for output in node.outputs:
            keys = fgraph.lengths.of(output)
        if (
            isinstance(node.op, Elemwise)
            and len(node.outputs) == 1
            and keys
            and has_kernel(node.op)
        ):
            shapes[node] = (tuple(keys), node.out.broadcastable)
    levels, groups = {}, {}
    for node in reversed(order):
        level = 0
        for output in node.outputs:
            for client, _ in fgraph.clients[output]:
                if client != OUTPUT:
                    same = node in shapes and shapes[node] == shapes.get(client)
                    level = min(level, levels[client] - (not same))
        levels[node] = level
        if node in shapes:
            groups.setdefault((shapes[node], level), []).append(node)
    positions = {node: k for k, node in enumerate(order)}
    for members in groups.values():
        if len(members) > 1:
            _unite(fgraph, sorted(members, key=positions.get))


def _unite(fgraph, members):
    """Remplace des boucles de même forme par une seule, à plusieurs résultats."""
    group = set(members)
    wanted = [
        node
        for node in members
        if any(client not in group for client, _ in fgraph.clients[node.out])
    ]
    united = _compose(members, wanted)
    if united is None or len(united.op.scalar.steps) > MAX_UNITED_STEPS:
        return
    fgraph.lengths.relied = True
    for node, output in zip(wanted, united.outputs, strict=True):
        fgraph.replace(node.out, output, "boucles_réunies")


def _source(entry, where, inputs):
    if entry in where:
        return ("step", where[entry])
    if isinstance(entry, TensorConstant) and entry.data.size == 1:
        return ("const", entry.data.item())
    if entry not in inputs:
        inputs.append(entry)
    return ("in", inputs.index(entry))


def _add_steps(node, arguments, steps, traces):
    """Ajoute les instructions d’un nœud, sans répéter celles déjà là ; rend le rang du résultat."""
    scalar = node.op.scalar
    if not isinstance(scalar, Composite):
        dtypes = [entry.dtype for entry in node.inputs]
        computes = tuple(scalar.compute_dtypes(dtypes, node.out.dtype))
        return _add_step(Step(scalar, tuple(arguments), computes, node.out.dtype), node.trace,
                         steps, traces)  # fmt: skip
    places = []
    for step, origin in zip(scalar.steps, scalar.traces, strict=True):
        args = tuple(
            arguments[item] if kind == "in" else ("step", places[item]) if kind == "step"
            else (kind, item)
            for kind, item in step.args
        )  # fmt: skip
        places.append(_add_step(step._replace(args=args), origin, steps, traces))
    return places[scalar.results[0]]


def _add_step(step, origin, steps, traces):
    if step not in steps:
        steps.append(step)
        traces.append(origin)
    return steps.index(step)
