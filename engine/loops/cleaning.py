"""Réécrire les boucles et les branches.

Le graphe porté par un `Scan` est réécrit comme les autres ; ce qui ne dépend pas de la récurrence
sort de la boucle ; ce dont personne ne lit l’histoire n’en garde pas.

Ordre de lecture : `lazy_branches`, `merge_twins`, `clean_loops`, `forget_history`,
`finish_bodies` ; puis `moving_out`.
"""

from typing import NamedTuple

from engine.core import trace
from engine.core.fgraph import OUTPUT, FunctionGraph
from engine.core.graph import Apply, Constant, ancestors, toposort
from engine.core.rewriting import finish, graph_rewrite, scalar_value, simplify
from engine.core.types import TensorConstant
from engine.loops.branches import IfElse, LazyIfElse
from engine.loops.loop_op import Scan
from engine.loops.nested import Nested
from engine.ops.index import Subtensor
from engine.tensor.cloning import clone


def scan_nodes(fgraph):
    return [node for node in fgraph.toposort() if isinstance(node.op, Scan)]


# ---- branches ----------------------------------------------------------------------------


@graph_rewrite("branches_paresseuses", "canonicalize", "seule la branche choisie est calculée")
def lazy_branches(fgraph, has_kernel):
    for node in reversed(fgraph.toposort()):
        if node in fgraph and isinstance(node.op, IfElse):
            n = node.op.n
            graphs = [_own_graph(fgraph, node, range(1, n + 1))]
            graphs.append(_own_graph(fgraph, node, range(n + 1, 2 * n + 1)))
            inner = [(list(inputs.values()), outputs) for inputs, outputs in graphs]
            with trace.inherit(node.trace):
                new = LazyIfElse(inner, node.op.name).apply(
                    node.inputs[0], *graphs[0][0], *graphs[1][0]
                )
            replace_outputs(fgraph, node.outputs, new, "branches_paresseuses")


def _own_graph(fgraph, node, positions):
    """Le graphe de ce qui ne sert qu’à ces entrées du nœud : ({dehors: dedans}, sorties)."""
    positions, own = set(positions), set()
    wanted = [node.inputs[position] for position in sorted(positions)]
    for candidate in reversed(toposort(wanted, fgraph.inputs)):
        clients = [client for output in candidate.outputs for client in fgraph.clients[output]]
        if all(client in own or (client is node and k in positions) for client, k in clients):
            own.add(candidate)
    borders = {}
    for variable in [*wanted, *(entry for inner in own for entry in inner.inputs)]:
        if variable.owner not in own and not isinstance(variable, Constant):
            borders[variable] = variable.type.make_variable(variable.name)
    return borders, clone(wanted, borders)


def replace_outputs(fgraph, old_outputs, new_outputs, reason):
    for old, new in zip(old_outputs, new_outputs, strict=True):
        if new is not None and old in fgraph.clients:
            fgraph.replace(old, new, reason)


# ---- jumelles ----------------------------------------------------------------------------


@graph_rewrite(
    "boucles_jumelles", "canonicalize", "deux boucles qui font les mêmes pas n'en font qu'une"
)
def merge_twins(fgraph, has_kernel):
    """L’aller, et l’aller qui garde en plus de quoi remonter, partagent leur graphe intérieur."""
    groups = {}
    for node in scan_nodes(fgraph):
        states = tuple(node.op.outputs[: node.op.n_states])
        key = (*node.inputs, *node.op.inputs, *states, node.op.reverse, node.op.keep)
        groups.setdefault(key, []).append(node)
    for first, *others in groups.values():
        if not others or any(node.op.until for node in (first, *others)):
            continue
        op = first.op
        collected = dict.fromkeys(
            value for node in (first, *others) for value in node.op.split_outputs()[1]
        )
        whole = op.with_graph(op.inputs, op.outputs[: op.n_states] + list(collected))
        with trace.inherit(first.trace):
            made = whole.apply(*first.inputs)
        positions = {value: op.n_states + k for k, value in enumerate(collected)}
        for node in (first, *others):
            states, values, _ = node.op.split_outputs()
            new = made[: len(states)] + [made[positions[value]] for value in values]
            replace_outputs(fgraph, node.outputs, new, "boucles_jumelles")


# ---- graphe intérieur --------------------------------------------------------------------


@graph_rewrite(
    "boucle_épurée", "canonicalize", "la boucle ne porte que ce qui sert, sous forme simple"
)
def clean_loops(fgraph, has_kernel):
    for node in reversed(fgraph.toposort()):  # ce qui lit d’abord : il dit ce qui sert
        if node in fgraph and isinstance(node.op, Scan):
            _trim(fgraph, node, has_kernel)


def _trim(fgraph, node, has_kernel):
    """Refait la boucle sans les sorties que personne ne lit ni les entrées qui ne servent plus."""
    op = node.op
    inner = FunctionGraph(*_with_constants(node))
    simplify(inner, fgraph.selected, has_kernel)
    sequences, states, others = op.with_graph(inner.inputs, inner.outputs).split_inner()
    used = [bool(fgraph.clients.get(output)) for output in node.outputs]
    live = _live_states(op, states, inner.outputs, used)
    kept_states = [k for k in range(op.n_states) if live[k]]
    kept_values = [k for k in range(op.n_states, op.n_states + op.n_collected) if used[k]]
    outputs = [inner.outputs[k] for k in kept_states + kept_values]
    outputs += inner.outputs[-1:] if op.until else []
    needed = set(ancestors(outputs, set(inner.inputs)))
    n_steps, rows, initials, rest = op.split_outer(node.inputs)
    rows = _Distinct(needed, sequences, rows)
    rest = _Distinct(needed, others, rest)
    outputs = clone(outputs, {**rows.same, **rest.same})
    new = op.with_graph(
        [*rows.inner, *(tap for k in kept_states for tap in states[k]), *rest.inner],
        outputs,
        n_sequences=len(rows.inner),
        taps=[op.taps[k] for k in kept_states],
        keep=[op.keep[k] for k in kept_states],
    )
    with trace.inherit(node.trace):
        made = new.apply(n_steps, *rows.outer, *(initials[k] for k in kept_states), *rest.outer)
    if new == op and made[0].owner.inputs == node.inputs:
        return
    results = [None] * len(node.outputs)
    for position, output in zip(kept_states + kept_values, made, strict=True):
        results[position] = output
    replace_outputs(fgraph, node.outputs, results, "boucle_épurée")


def _with_constants(node):
    """Le graphe intérieur, les entrées qui sont des constantes mises à leur place."""
    op, (*_, others) = node.op, node.op.split_outer(node.inputs)
    known = {
        inner: outer
        for inner, outer in zip(op.split_inner()[2], others, strict=True)
        if isinstance(outer, TensorConstant)
    }
    return op.inputs, clone(op.outputs, known)


def _live_states(op, states, outputs, used):
    """Les états que quelqu’un lit, dehors ou au pas suivant d’une sortie qui vit."""
    inputs = {variable for taps in states for variable in taps}
    reach = [set(ancestors([output], inputs)) for output in outputs]
    live = list(used)
    live += [True] * (len(outputs) - len(live))
    growing = True
    while growing:
        growing = False
        for position, taps in enumerate(states):
            if not live[position] and any(
                tap in reach[other] for other, alive in enumerate(live) if alive for tap in taps
            ):
                live[position] = growing = True
    return live


class _Distinct:
    """Les entrées qui servent, chacune une fois : `inner`, `outer`, et `same` pour les doubles."""

    def __init__(self, needed, inner, outer):
        first, self.same = {}, {}
        for variable, source in zip(inner, outer, strict=True):
            if variable not in needed:
                continue
            if source in first and first[source].type == variable.type:
                self.same[variable] = first[source]
            else:
                first.setdefault(source, variable)
        pairs = [
            (variable, source)
            for variable, source in zip(inner, outer, strict=True)
            if variable in needed and variable not in self.same
        ]
        self.inner = [variable for variable, _ in pairs]
        self.outer = [source for _, source in pairs]


# ---- mémoire -----------------------------------------------------------------------------


class LastRead(NamedTuple):
    """Une lecture de la fin d’une histoire ; `skips` : de ce qui y suit la valeur initiale."""

    node: Apply
    skips: bool

    def is_sure(self, depth, n_steps):
        """Vrai si, ne faisant que si peu de pas, la boucle a pourtant ce qui est lu."""
        count = scalar_value(n_steps)
        return not self.skips or (count is not None and count >= depth)

    def again(self, rows, depth, n_steps):
        """La même lecture, dans les dernières lignes de l’histoire : ce qui n’existe pas n’y est
        pas plus lu que dans l’histoire entière.
        """
        if not self.is_sure(depth, n_steps):
            rows = rows[depth - n_steps.minimum(depth) :]
        return self.node.op(rows, *self.node.inputs[1:])


def last_readers(fgraph, node, position):
    """Les lectures de la fin d’une histoire, si personne n’en lit davantage ; sinon []."""
    depth = node.op.depths[position]
    countable = not node.op.until or depth == 1
    readers = []
    pending = [(node.outputs[position], 0)]
    while pending:
        variable, skipped = pending.pop()
        for client, _ in fgraph.clients.get(variable, ()):
            if client is OUTPUT or not isinstance(client.op, Subtensor):
                return []
            template, values = client.op.template, [scalar_value(v) for v in client.inputs[1:]]
            if template in (("i",), (("s", True, False, False),)) and values[0] is not None:
                if -depth <= values[0] < 0:
                    readers.append(LastRead(client, bool(skipped)))
                    continue
                if template != ("i",) and values[0] == depth and not skipped and countable:
                    pending.append((client.out, depth))  # history[depth:][-1]
                    continue
            return []
    return readers


@graph_rewrite("histoire_oubliée", "specialize", "seule la fin est lue : ne garder qu'elle")
def forget_history(fgraph, has_kernel):
    for node in scan_nodes(fgraph):
        op = node.op
        readers = [last_readers(fgraph, node, k) for k in range(op.n_states)]
        unread = [not fgraph.clients.get(output) for output in node.outputs[: op.n_states]]
        keep = [
            kept and not (found or alone)
            for kept, found, alone in zip(op.keep, readers, unread, strict=True)
        ]
        if keep == list(op.keep):
            continue
        with trace.inherit(node.trace):
            made = op.with_graph(op.inputs, op.outputs, keep=keep).apply(*node.inputs)
            for position, found in enumerate(readers):
                for reader in found:
                    direct = reader.again(made[position], op.depths[position], node.inputs[0])
                    fgraph.replace(reader.node.out, direct, "histoire_oubliée")
        changed = [kept != before for kept, before in zip(keep, op.keep, strict=True)]
        changed += [False] * op.n_collected
        new = [None if other else output for other, output in zip(changed, made, strict=True)]
        replace_outputs(fgraph, node.outputs, new, "histoire_oubliée")


# ---- corps -------------------------------------------------------------------------------


@graph_rewrite("corps_de_boucle", "fusion", "le graphe porté est réécrit jusqu'au bout")
def finish_bodies(fgraph, has_kernel):
    def selected(rule):  # sur un périphérique, le corps est placé plus tard : rien n’y est écrasé
        return fgraph.selected(rule) and (not fgraph.launches or rule.stage != "inplace")

    for node in fgraph.toposort():
        if not isinstance(node.op, Nested):
            continue
        graphs = []
        for inputs, outputs in node.op.inner_graphs():
            inner = FunctionGraph(inputs, outputs)
            if isinstance(node.op, Scan) and fgraph.lengths is not None:
                fgraph.lengths.scan(node, inner.inputs, inner.outputs)
                inner.lengths = fgraph.lengths
            if not isinstance(node.op, Scan):  # une boucle est déjà sous forme simple
                simplify(inner, fgraph.selected, has_kernel)
            finish(inner, selected, has_kernel)
            graphs.append((inner.inputs, inner.outputs))
        op = node.op.with_graphs(graphs)
        with trace.inherit(node.trace):
            made = _without_repeats(op, node) if isinstance(op, Scan) else op.apply(*node.inputs)
        replace_outputs(fgraph, node.outputs, made, "corps_de_boucle")


def _without_repeats(op, node):
    """Les sorties de la boucle : les entrées qui ne servent plus ôtées, une valeur recueillie
    plusieurs fois ne l’étant qu’une.
    """
    states, collected, condition = op.split_outputs()
    once = list(dict.fromkeys(collected))
    outputs = [*states, *once] + [condition] * op.until
    needed = set(ancestors(outputs, set(op.inputs)))
    n_steps, rows, initials, rest = op.split_outer(node.inputs)
    sequences, taps, others = op.split_inner()
    rows, rest = _Distinct(needed, sequences, rows), _Distinct(needed, others, rest)
    outputs = clone(outputs, {**rows.same, **rest.same})
    inputs = [*rows.inner, *(tap for group in taps for tap in group), *rest.inner]
    lean = op.with_graph(inputs, outputs, n_sequences=len(rows.inner))
    made = lean.apply(n_steps, *rows.outer, *initials, *rest.outer)
    return made[: len(states)] + [made[len(states) + once.index(value)] for value in collected]
