"""Où un gradient est nul d’office, quelles que soient les valeurs.

La branche qu’un `switch` n’a pas prise, l’élément qu’un indice n’a pas lu, le perdant d’un maximum
reçoivent un gradient nul. Plus bas, une dérivée infinie (celle de la racine en 0, du logarithme, de
la division) en ferait 0 x infini, soit NaN. `alive` retrouve le masque dans le graphe même du
gradient, au travers de ce qui ne fait que le déplacer ou l’additionner ; `engine.core.gradient` le pose
sur le gradient avant de dériver plus bas.

Limite : un produit de matrices, une boucle ou une convolution mêlent les éléments ; au travers,
seule une condition sans axe reste connue.

Ailleurs, cela s’écrit à la main, par deux `where` : FAQ de JAX, « Gradients contain NaN where using
where ».
"""

from engine.core.elemwise import Elemwise, SumTo, cast, scalar_name, unmask
from engine.ops.index import IncSubtensor, Subtensor
from engine.ops.reduce import Reduce
from engine.ops.shape import Alloc, DimShuffle, MakeVector, Reshape, ShapeAxis
from engine.core.types import TensorConstant, constant

NEVER = constant(False)
# celles qui passent le gradient, ou n’en gardent que des éléments : jamais de 0 x infini
HARMLESS = ("add", "sub", "neg", "second", "switch", "maximum", "minimum")
# leur dérivée est bornée : une porte dont on a lu des tranches n’a pas besoin de leur masque, qui
# empêcherait une boucle d’être faite d’un noyau
BOUNDED = ("sigmoid", "tanh", "softplus", "sin", "cos", "erf", "erfc", "arctan")


def settled(node, grad):
    """Le gradient reçu par la sortie d’un nœud, masqué là où l’on sait qu’il est nul."""
    name = scalar_name(node)
    if not isinstance(node.op, Elemwise) or name in HARMLESS or (name or "").startswith("cast["):
        return grad
    _, rest = unmask(grad)
    if name in BOUNDED and _is_assembled(rest):
        return grad
    found = _moved(rest)
    return grad if found is None or found is NEVER else found.switch(grad, 0)


def _is_assembled(grad):
    """Dit si un gradient est fait de morceaux, posés chacun à sa place."""
    pending = [grad]
    while pending:
        node = pending.pop().owner
        if node is not None and isinstance(node.op, IncSubtensor):
            return True
        name = scalar_name(node) or ""
        if name in ("add", "neg") or name.startswith("cast["):
            pending += node.inputs
    return False


def alive(grad):
    """Un booléen, diffusable à la forme du gradient : faux où il est nul d’office. None : on ne
    sait pas.
    """
    masks, rest = unmask(grad)
    found = _moved(rest)
    for condition, kept in masks:
        truth = condition if condition.dtype == "bool" else condition.neq(0)
        truth = truth if kept else truth.invert()
        found = truth if found is None else found & truth
    return found


def _moved(grad):
    """Le masque de ce dont le gradient est le déplacement ou la somme."""
    if is_filled_with_zeros(grad):
        return NEVER
    node = grad.owner
    if node is None:
        return None
    name = scalar_name(node) or ""
    if name == "add":
        return _either(*map(alive, node.inputs))
    if name == "neg" or name.startswith("cast["):
        return alive(node.inputs[0])
    if isinstance(node.op, IncSubtensor) and not node.op.set_instead:
        return _written(node)
    if name == "second":
        return alive(node.inputs[1])
    if isinstance(node.op, Alloc):
        return alive(node.inputs[0])
    if isinstance(node.op, DimShuffle | Reshape | Subtensor | SumTo | Reduce):
        return _carried(node)
    return None


def _either(one, other):
    if one is None or other is None:
        return None
    if one is NEVER or one is other:
        return other
    return one if other is NEVER else one | other


def is_filled_with_zeros(x):
    """Dit si un tableau n’est fait que de zéros, sans rien calculer."""
    while x.owner is not None and isinstance(x.owner.op, Alloc):
        x = x.owner.inputs[0]
    return isinstance(x, TensorConstant) and not x.data.any()


def _written(node):
    """Ce qu’un indice a lu reçoit un gradient ; rien d’autre, si ce que l’on complète est nul."""
    base, value, *index = node.inputs
    below, here = alive(base), alive(value)
    if below is None:
        return None
    known = here is not None and here is not NEVER
    truth = cast(here, base.dtype) if known else constant(1, dtype=base.dtype)
    written = node.op(base.zeros_like(), truth, *index).neq(0)
    return _either(below, written)


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
