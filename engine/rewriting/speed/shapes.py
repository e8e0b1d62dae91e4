"""Oublier ce qui ne sert qu’à la diffusion : sommes sans objet, remplissages, formes calculées.

La diffusion se décide à l’exécution : le gradient d’une somme doit, pour chaque terme, additionner
sur les axes qui auraient été étirés (`sum_to`). Presque toujours, aucun ne l’est. Quand les formes
sont sûrement égales, la somme disparaît (`use_equal_shapes`) ; quand elles le sont presque
sûrement, elle disparaît aussi, et la fonction vérifie à l’appel, sur les formes de ses arguments,
que l’on a eu raison (`assume_equal_shapes`) : sinon elle se recompile sans rien supposer.

Ordre de lecture : `use_equal_shapes`, `assume_equal_shapes`, `_simplify`.
"""

from engine.core import trace
from engine.core.dead_gradients import is_zeros
from engine.core.elemwise import Elemwise, cast, scalar_name
from engine.core.fgraph import FunctionGraph
from engine.core.rewriting import graph_rewrite, scalar_value
from engine.loops.cleaning import replace_outputs
from engine.loops.loop_op import Scan
from engine.ops.index import IncSubtensor, Subtensor
from engine.ops.shape import Alloc, Join, ShapeAxis
from engine.ops.sum_to import SumTo
from engine.rewriting.speed.guards import Guards
from engine.rewriting.speed.lengths import Lengths, computed


@graph_rewrite("formes_égales", "specialize", "les formes sont égales : rien à sommer ni à remplir")
def use_equal_shapes(fgraph, has_kernel):
    if _concerned(fgraph):
        lengths = Lengths()
        _learn(fgraph, lengths)
        _simplify(fgraph, lengths, "formes_égales", inside=False)


@graph_rewrite(
    "formes_supposées",
    "specialize",
    "ces longueurs seront égales à l'appel ; sinon la fonction se refait sans le supposer",
)
def assume_equal_shapes(fgraph, has_kernel):
    if fgraph.guards is None or not _concerned(fgraph):
        return
    fgraph.lengths = lengths = Lengths(assume=True)
    fgraph.guards = Guards(lengths)
    _learn(fgraph, lengths)
    lengths.relied = _simplify(fgraph, lengths, "formes_supposées", inside=True)


@graph_rewrite(
    "tranche_d'abord", "specialize", "de ce qui se calcule terme à terme, seulement ce qui est lu"
)
def slice_first(fgraph, has_kernel):
    """f(x)[i:j] devient f(x[i:j]), si rien d’autre ne lit f(x)."""
    for node in reversed(fgraph.toposort()):
        if node not in fgraph or not isinstance(node.op, Subtensor) or "a" in node.op.template:
            continue
        read, *places = node.inputs
        inner = read.owner
        alone = inner is not None and isinstance(inner.op, Elemwise) and len(inner.inputs) == 1
        if alone and len(inner.outputs) == len(fgraph.clients[read]) == 1:
            with trace.inherit(inner.trace):
                new = inner.op(node.op(inner.inputs[0], *places))
            fgraph.replace(node.out, new, "tranche_d'abord")


def _concerned(fgraph):
    return any(isinstance(node.op, SumTo | Alloc | Scan | IncSubtensor) for node in fgraph.nodes)


def _learn(fgraph, lengths):
    for node in fgraph.toposort():
        if isinstance(node.op, Scan):
            lengths.scan(node, *node.op.inner_graphs()[0])
        for output in node.outputs:
            lengths.of(output)


def _simplify(fgraph, lengths, reason, inside):
    """Réécrit d’après les longueurs connues ; rend vrai si quelque chose a changé."""
    before = len(fgraph.log)
    _join_slices(fgraph, lengths, reason)
    axes = {}  # clé -> (entrée du graphe, axe) qui la donne
    for variable in [*fgraph.inputs, *fgraph.shared]:
        for axis, key in enumerate(lengths.of(variable)):
            axes.setdefault(key, (variable, axis))
    for node in fgraph.toposort():
        if node not in fgraph:
            continue
        if isinstance(node.op, SumTo):
            gradient, shape = node.inputs
            wanted = lengths.vector(shape)
            if wanted and lengths.of(gradient) == [lengths.find(key) for key in wanted]:
                fgraph.replace(node.out, gradient, reason)
        elif isinstance(node.op, ShapeAxis):
            _read_elsewhere(fgraph, node, lengths, axes, reason)
        elif isinstance(node.op, Elemwise) and len(node.outputs) == 1 and node.out.ndim:
            _drop_fills(fgraph, node, lengths, reason)
        elif isinstance(node.op, Subtensor | IncSubtensor):
            _drop_slices(fgraph, node, lengths, reason)
        elif isinstance(node.op, Scan) and inside:
            _simplify_loop(fgraph, node, lengths, reason)
    return len(fgraph.log) > before


def _read_elsewhere(fgraph, node, lengths, axes, reason):
    """Une longueur se lit sur une entrée plutôt que sur un tableau calculé."""
    (x,) = node.inputs
    key = lengths.of(x)[node.op.axis]
    if x.owner is None or isinstance(key, int) or key not in axes:
        return
    source, axis = axes[key]
    with trace.inherit(node.trace):
        fgraph.replace(node.out, ShapeAxis(axis)(source), reason)


def _drop_fills(fgraph, node, lengths, reason):
    """Une entrée remplie d’un scalaire devient ce scalaire, si une autre donne déjà la forme."""
    shapes = [lengths.of(entry) for entry in node.inputs]
    for position, entry in enumerate(list(node.inputs)):
        if entry.owner is None or not isinstance(entry.owner.op, Alloc):
            continue
        value, others = entry.owner.inputs[0], shapes[:position] + shapes[position + 1 :]
        alone = not any(others)  # les autres sont des scalaires : remplir après le calcul
        if value.ndim == 0 and (alone or shapes[position] in others):
            inputs = list(node.inputs)
            inputs[position] = value
            with trace.inherit(node.trace):
                new = node.op(*inputs)
                new = Alloc()(new, *entry.owner.inputs[1:]) if alone else new
            lengths.set(new, lengths.of(node.out))
            fgraph.replace(node.out, new, reason)
            return


def _drop_slices(fgraph, node, lengths, reason):
    """Une tranche qui prend tout n’est rien ; relire ce que l’on vient d’écrire, c’est ce que l’on
    a écrit.
    """
    x, *values = node.inputs
    if any(item[0] != "s" or item[3] for item in node.op.template):
        return
    if isinstance(node.op, Subtensor):
        written = _written(x, node.op.template, values, lengths)
        if written is not None and lengths.of(written) == lengths.of(node.out):
            fgraph.replace(node.out, cast(written, node.out.dtype), reason)
        elif _from_start(node.op.template, values) and lengths.of(node.out) == lengths.of(x):
            fgraph.replace(node.out, x, reason)
        return
    value, *bounds = values
    start = _from_start(node.op.template, bounds)
    region = Subtensor(node.op.template)(x, *bounds)
    if (
        start
        and _forgotten(node, lengths)
        and lengths.of(value) == lengths.of(region) == lengths.of(x)
    ):
        fgraph.replace(node.out, cast(value, node.out.dtype), reason)


def _from_start(template, bounds):
    """Dit si chaque tranche part du début."""
    values = iter(bounds)
    starts = []
    for _, has_start, has_stop, _ in template:
        starts += [scalar_value(next(values))] if has_start else [0]
        starts += [0] if has_stop and next(values) is not None else []
    return not any(start != 0 for start in starts)


def _forgotten(node, lengths):
    """Dit si une écriture ne garde rien de ce qu’il y avait dessous."""
    return node.op.set_instead or is_zeros(lengths.from_outside(node.inputs[0]))


def _written(x, template, bounds, lengths):
    """Ce que x a reçu à cette tranche même, ou None."""
    node = x.owner
    if node is None or not isinstance(node.op, IncSubtensor) or node.op.template != template:
        return None
    same = [scalar_value(bound) for bound in node.inputs[2:]]
    if (
        None in same
        or same != [scalar_value(bound) for bound in bounds]
        or not _forgotten(node, lengths)
    ):
        return None
    return node.inputs[1]


def _join_slices(fgraph, lengths, reason):
    """Une somme de morceaux, chacun posé à sa place parmi des zéros, est leur mise bout à bout."""
    for node in reversed(fgraph.toposort()):
        if node not in fgraph or scalar_name(node) != "add":
            continue
        axis, values = _pieces(node, lengths) or (None, ())
        if not values:
            continue
        with trace.inherit(node.trace):
            joined = cast(Join(axis)(*values), node.out.dtype)
        lengths.set(joined, lengths.of(node.out))
        fgraph.replace(node.out, joined, reason)


def _pieces(node, lengths):
    """Les morceaux, dans l’ordre, et leur axe ; None si ce n’en sont pas, ou s’il en manque."""
    pending, found = list(node.inputs), []
    while pending:
        item = pending.pop()
        if scalar_name(item.owner) == "add":
            pending += item.owner.inputs
            continue
        piece = _piece(item, lengths)
        if piece is None:
            return None
        found.append(piece)
    found.sort(key=lambda piece: piece[1])
    axis, place = found[0][0], 0
    for other_axis, start, stop, _ in found:
        if other_axis != axis or start != place:
            return None
        place = stop
    whole = place is None or lengths.equal(lengths.of(node.out)[axis], place)
    return (axis, [value for *_, value in found]) if whole else None


def _piece(item, lengths):
    """(axe, début, fin, valeur) d’une tranche écrite parmi des zéros, ou None."""
    node = item.owner
    if node is None or not isinstance(node.op, IncSubtensor) or node.op.set_instead:
        return None
    zeros, value, *bounds = node.inputs
    if not is_zeros(lengths.from_outside(zeros)) or value.ndim != zeros.ndim:
        return None
    cut = [
        (axis, part) for axis, part in enumerate(node.op.template)
        if part != ("s", False, False, False)
    ]  # fmt: skip
    if len(cut) != 1 or cut[0][1][0] != "s" or cut[0][1][3]:
        return None
    (axis, (_, has_start, has_stop, _)), numbers = cut[0], [scalar_value(v) for v in bounds]
    if None in numbers or any(number < 0 for number in numbers):
        return None
    start = int(numbers[0]) if has_start else 0
    stop = int(numbers[-1]) if has_stop else None
    region = lengths.of(item)
    region[axis] = lengths.find(
        computed("slice", region[axis], start if has_start else None, stop, None)
    )
    return (axis, start, stop, value) if lengths.of(value) == region else None


def _simplify_loop(fgraph, node, lengths, reason):
    inner = FunctionGraph(*node.op.inner_graphs()[0])
    lengths.scan(node, inner.inputs, inner.outputs)
    if _simplify(inner, lengths, reason, inside=True):
        with trace.inherit(node.trace):
            made = node.op.with_graphs([(inner.inputs, inner.outputs)]).apply(*node.inputs)
        for old, new in zip(node.outputs, made, strict=True):
            lengths.set(new, lengths.of(old))
        replace_outputs(fgraph, node.outputs, made, reason)
