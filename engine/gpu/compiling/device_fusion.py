"""Pour un périphérique : la perte d’un softmax et son gradient, en un seul passage sur les scores.

Sur un GPU, un petit calcul coûte surtout son lancement, et un grand ses lectures. Écrite à la
Theano, la perte d’un classifieur en demande une dizaine : le logarithme du softmax, le choix des
étiquettes, puis, pour le gradient, un tableau de zéros, une écriture par étiquettes, le softmax, et
leur réunion. `LogLikelihood` rend la perte de chaque ligne et son gradient d’une seule lecture.

Ordre de lecture : `fuse_likelihoods`, `_value`, `_gradient`, `_unite`.
"""

from engine.core import trace
from engine.core.dead_gradients import is_zeros
from engine.core.elemwise import scalar_name
from engine.core.fgraph import OUTPUT
from engine.core.graph import ancestors
from engine.core.rewriting import graph_rewrite, scalar_value
from engine.core.types import FLOATS
from engine.gpu.compiling.likelihood import LogLikelihood
from engine.ops.index import IncSubtensor, Subtensor
from engine.ops.nnet import LogSoftmax, LogSoftmaxGrad, Softmax
from engine.ops.reduce import REDUCTIONS, Reduce
from engine.ops.shape import Alloc, ARange, DimShuffle, ShapeAxis

_NAME = "vraisemblance_fondue"
_BY_LABELS = ("a", "a")
_ROW_SUM = Reduce(REDUCTIONS["sum"], (1,))


@graph_rewrite(_NAME, "fusion", "perte et gradient d'un softmax, d'une lecture des scores")
def fuse_likelihoods(fgraph, has_kernel):
    """Remplace, sur un périphérique, la perte, son gradient, ou les deux à la fois.

    `arange(len(z))` et des étiquettes : que les longueurs soient égales se suppose, et se vérifie à
    l’appel (voir `lengths`).
    """
    if fgraph.device is None:
        return
    order, found = fgraph.toposort(), {}
    if fgraph.lengths is not None:
        for node in order:
            for output in node.outputs:
                fgraph.lengths.of(output)
    for node in order:
        for kind, match in (("value", _value(node, fgraph)), ("gradient", _gradient(node, fgraph))):
            if match is not None:
                z, target, *received = match
                found.setdefault((z, target), {}).setdefault(kind, (node, *received))
    for (z, target), parts in found.items():
        _unite(fgraph, z, target, parts.get("value"), parts.get("gradient"))
    if found and fgraph.lengths is not None:
        fgraph.lengths.relied = True


# ---- reconnaître -------------------------------------------------------------------------


def _value(node, fgraph):
    """(z, cible) si le nœud est la vraisemblance de chaque ligne, sinon None."""
    if isinstance(node.op, Subtensor) and node.op.template == _BY_LABELS:
        log_p, *indices = node.inputs
        z, target = _scores(log_p, LogSoftmax), _labels(indices, fgraph)
        return None if z is None or target is None else (z, target)
    for log_p, target in _read_both_ways(node.inputs[0]) if node.op == _ROW_SUM else ():
        z = _scores(log_p, LogSoftmax)
        if z is not None and target.dtype == z.dtype:
            return z, target
    return None


def _gradient(node, fgraph):
    """(z, cible, g) si le nœud est la dérivée en z de g fois cette vraisemblance, sinon None."""
    if not isinstance(node.op, LogSoftmaxGrad) or node.op.axis != -1:
        return None
    received, p = node.inputs
    z = _scores(p, Softmax)
    if z is None or received.owner is None:
        return None
    inner = received.owner
    if isinstance(inner.op, IncSubtensor) and inner.op.template == _BY_LABELS:
        zeros, g, *indices = inner.inputs
        target, g = _labels(indices, fgraph), _per_row(g)
        if inner.op.set_instead or not is_zeros(zeros) or None in (target, g):
            return None
        return z, target, g
    for weights, target in _read_both_ways(received):
        g = _column(weights)
        if g is not None and target.dtype == z.dtype and target.broadcastable == z.broadcastable:
            return z, target, g
    return None


def _scores(variable, op_class):
    """z, si la variable est le softmax (ou son logarithme) des lignes d’une matrice z."""
    node = variable.owner
    if node is None or variable.ndim != 2:
        return None
    return node.inputs[0] if node.op == op_class(-1) else None


def _labels(indices, fgraph):
    """Les étiquettes, si les indices sont arange(n) et un vecteur de n entiers."""
    rows, labels = indices
    if rows.owner is None or not isinstance(rows.owner.op, ARange):
        return None
    start, stop, step = rows.owner.inputs
    plain = scalar_value(start) == 0 and scalar_value(step) == 1
    if not plain or labels.ndim != 1 or labels.dtype not in ("int32", "int64"):
        return None
    return labels if _counts(stop, labels, fgraph.lengths) else None


def _counts(stop, labels, lengths):
    node = stop.owner
    if node is not None and isinstance(node.op, ShapeAxis) and node.inputs[0] is labels:
        return True
    return lengths is not None and lengths.equal(lengths.scalar(stop), lengths.of(labels)[0])


def _read_both_ways(variable):
    """Les deux façons de lire un produit ; aucune si ce n’en est pas un."""
    node = variable.owner
    if scalar_name(node) != "mul":
        return ()
    a, b = node.inputs
    return ((a, b), (b, a)) if a.ndim == b.ndim == 2 else ()


def _column(weights):
    """g, si la matrice est la colonne g répétée (plus, parfois, des zéros qui lui donnent sa
    forme).
    """
    node = weights.owner
    if scalar_name(node) == "add":
        a, b = node.inputs
        weights = a if is_zeros(b) else b if is_zeros(a) else weights
        node = weights.owner
    if node is None or not isinstance(node.op, DimShuffle) or node.op.order != (0, "x"):
        return None
    return _per_row(node.inputs[0])


def _per_row(g):
    """Un nombre par ligne ; le nombre lui-même s’il se répète."""
    if g.owner is not None and isinstance(g.owner.op, Alloc) and g.owner.inputs[0].ndim == 0:
        g = g.owner.inputs[0]
    return g if g.ndim <= 1 and g.dtype in FLOATS else None


# ---- remplacer ---------------------------------------------------------------------------


def _unite(fgraph, z, target, value, gradient):
    """Un nœud pour les deux parties, ou un pour chacune si g dépend de la valeur."""
    apart = [part for part in (value, gradient) if part]
    if len(apart) == 2:
        _measure_elsewhere(fgraph, value[0].out, target)
        apart = apart if value[0].out in ancestors([gradient[1]]) else []
    for part in apart:
        node, *received = part
        new = _apply(fgraph, node, z, target, received)
        _replace(fgraph, [(node.out, new[-1])] if new else [])
    if not apart:
        new = _apply(fgraph, gradient[0], z, target, gradient[1:])
        old = (value[0].out, gradient[0].out)
        _replace(fgraph, list(zip(old, new, strict=True)) if new else [])


def _apply(fgraph, node, z, target, received):
    """Les sorties du nœud qui remplace ; None si le périphérique ne sait pas le faire."""
    with trace.inherit(node.trace):
        new = LogLikelihood(bool(received)).make_node(z, target, *received)
    if any(g.dtype != z.dtype for g in received) or fgraph.device.host_inputs(new) is None:
        return None
    return new.outputs


def _replace(fgraph, pairs):
    if all(old.type.accepts(new.type) for old, new in pairs):
        for old, new in pairs:
            fgraph.replace(old, new, _NAME)


def _measure_elsewhere(fgraph, value, target):
    """Lit dans la cible la longueur de la perte : un diviseur ne dépend plus d’elle."""
    for client, _ in list(fgraph.clients[value]):
        if client is not OUTPUT and isinstance(client.op, ShapeAxis):
            fgraph.replace(client.out, ShapeAxis(0)(target), _NAME)
