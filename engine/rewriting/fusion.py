"""Fusionner : plusieurs opérations terme à terme en une seule boucle.

Un nœud rejoint son consommateur si tous ses clients y sont déjà et si les deux ont la même forme.
Chaque élément n’est alors lu et écrit qu’une fois, au lieu d’une fois par opération.
"""

from engine import trace
from engine.graph import Apply
from engine.ops.elemwise import Composite, Elemwise, Step
from engine.rewriting.core import graph_rewrite
from engine.types import TensorConstant

MAX_STEPS = 40  # au-delà, la compilation coûte plus que la lecture épargnée


@graph_rewrite("fusion_des_boucles", "fusion", "une boucle au lieu de plusieurs")
def fuse_elementwise(fgraph, has_kernel):
    taken, order = set(), fgraph.toposort()
    ranks = {node: rank for rank, node in enumerate(order)}
    for root in reversed(order):
        if root in taken or not _fusible(root, has_kernel):
            continue
        group = _grow(fgraph, root, has_kernel)
        taken |= group
        if len(group) > 1 or any(isinstance(entry, TensorConstant) for entry in root.inputs):
            _replace_group(fgraph, root, sorted(group, key=ranks.get))


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
        if same_shape and all(client in group for client, _ in fgraph.clients[variable]):
            group.add(node)
            frontier += node.inputs
            # un voisin refusé faute d’un client encore dehors peut maintenant entrer
            frontier += [
                entry for member in group for entry in member.inputs if entry.owner not in group
            ]
            frontier = list(dict.fromkeys(frontier))
    return group


def _replace_group(fgraph, root, members):
    inputs, steps, place = [], [], {}
    for node in members:
        args = []
        for entry in node.inputs:
            if entry in place:
                args.append(("step", place[entry]))
            elif (
                isinstance(entry, TensorConstant)
                and entry.data.size == 1
                and entry.ndim <= root.out.ndim
            ):
                args.append(("const", entry.data.item()))
            else:
                if entry not in inputs:
                    inputs.append(entry)
                args.append(("in", inputs.index(entry)))
        out = node.out
        computes = node.op.scalar.compute_dtypes([entry.dtype for entry in node.inputs], out.dtype)
        place[out] = len(steps)
        steps.append(Step(node.op.scalar, tuple(args), tuple(computes), out.dtype))
    if not inputs or max(entry.ndim for entry in inputs) < root.out.ndim:
        return  # seules des constantes, inscrites dans le texte, donneraient la forme
    traces = [node.trace for node in members]
    composite = Composite(steps, [entry.dtype for entry in inputs], traces)
    with trace.inherit(root.trace):
        fused = Apply(Elemwise(composite), inputs, [root.out.type()])
    fgraph.replace(root.out, fused.out, "fusion_des_boucles")
