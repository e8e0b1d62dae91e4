"""Où le gradient que déplace une op est nul d’office (voir `engine.core.dead_gradients`).

Un masque suit le même chemin que le gradient : posé par un indice, étiré, transposé, tranché,
sommé.
"""

from engine.core.dead_gradients import NEVER, alive, either, mask_through
from engine.core.elemwise import cast
from engine.core.types import constant
from engine.ops.index import IncSubtensor, Subtensor
from engine.ops.reduce import Reduce
from engine.ops.shape import Alloc, DimShuffle, MakeVector, Reshape, ShapeAxis
from engine.ops.sum_to import SumTo


@mask_through(Alloc)
def _stretched(node):
    return alive(node.inputs[0])


@mask_through(IncSubtensor)
def _written(node):
    """Ce qu’un indice a lu reçoit un gradient ; rien d’autre, si ce que l’on complète est nul."""
    if node.op.set_instead:
        return None
    base, value, *index = node.inputs
    below, here = alive(base), alive(value)
    if below is None:
        return None
    known = here is not None and here is not NEVER
    truth = cast(here, base.dtype) if known else constant(1, dtype=base.dtype)
    written = node.op(base.zeros_like(), truth, *index).neq(0)
    return either(below, written)


@mask_through(DimShuffle, Reshape, Subtensor, SumTo, Reduce)
def _carried(node):
    """Le masque suit le même chemin que le gradient."""
    x = node.inputs[0]
    found = alive(x)
    if found is None or found is NEVER:
        return found
    found = found.dimshuffle(*["x"] * (x.ndim - found.ndim), *range(found.ndim))
    if isinstance(node.op, Reduce):
        if node.op.reduction.name != "sum":
            return None
        if all(found.broadcastable[axis] for axis in node.op.axes):
            kept = [axis for axis in range(x.ndim) if axis not in node.op.axes]
            return found.dimshuffle(*kept)
        return node.op(cast(found, x.dtype)).neq(0)
    if isinstance(node.op, SumTo):
        return _summed(found, node.inputs[1], x.dtype)
    if found.broadcastable != x.broadcastable:
        found = Alloc()(found, *(ShapeAxis(axis)(x) for axis in range(x.ndim)))
    return node.op(found, *node.inputs[1:])


def _summed(found, shape, dtype):
    """Le masque d’un gradient sommé à la forme `shape` : il n’y a rien à sommer où il s’étire."""
    kept = [axis for axis in range(found.ndim) if not found.broadcastable[axis]]
    if not kept:
        return found
    lengths = MakeVector()(*(shape[axis] for axis in kept))
    truth = SumTo()(cast(found.dimshuffle(*kept), dtype), lengths).neq(0)
    return truth.dimshuffle(*(kept.index(a) if a in kept else "x" for a in range(found.ndim)))
