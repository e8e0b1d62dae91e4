"""Où un gradient est nul d’office, quelles que soient les valeurs.

La branche qu’un `switch` n’a pas prise, l’élément qu’un indice n’a pas lu, le perdant d’un maximum
reçoivent un gradient nul. Plus bas, une dérivée infinie (celle de la racine en 0, du logarithme, de
la division) en ferait 0 x infini, soit NaN. `alive` retrouve le masque dans le graphe même du
gradient, au travers de ce qui ne fait que l’additionner, ou le déplacer (`mask_through`) ; `grad`
le pose sur le gradient avant de dériver plus bas.

Limite : un produit de matrices, une boucle ou une convolution mêlent les éléments ; au travers,
seule une condition sans axe reste connue.

Ailleurs, cela s’écrit à la main, par deux `where` : FAQ de JAX, « Gradients contain NaN where using
where ».
"""

from engine.core.elemwise import Elemwise, scalar_name, unmask
from engine.core.types import TensorConstant, constant

NEVER = constant(False)
# celles qui passent le gradient, ou n’en gardent que des éléments : jamais de 0 x infini
HARMLESS = ("add", "sub", "neg", "second", "switch", "maximum", "minimum")
# leur dérivée est bornée : une porte dont on a lu des tranches n’a pas besoin de leur masque, qui
# empêcherait une boucle d’être faite d’un noyau
BOUNDED = ("sigmoid", "tanh", "softplus", "sin", "cos", "erf", "erfc", "arctan")


MASKS = {}  # classe d’op -> ce qui rend le masque d’un gradient qu’elle déplace, d’après son nœud


def mask_through(*classes):
    """Déclare la fonction décorée : nœud -> le masque de sa sortie, comme `alive`."""

    def register(function):
        MASKS.update(dict.fromkeys(classes, function))
        return function

    return register


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
        if node is not None and node.op.assembles:
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
    if is_zeros(grad):
        return NEVER
    node = grad.owner
    if node is None:
        return None
    name = scalar_name(node) or ""
    if name == "add":
        return either(*map(alive, node.inputs))
    if name == "neg" or name.startswith("cast["):
        return alive(node.inputs[0])
    if name == "second":
        return alive(node.inputs[1])
    through = MASKS.get(type(node.op))
    return None if through is None else through(node)


def either(one, other):
    """Le masque d’une somme de deux gradients."""
    if one is None or other is None:
        return None
    if one is NEVER or one is other:
        return other
    return one if other is NEVER else one | other


def is_zeros(x):
    """Dit si un tableau n’est fait que de zéros, sans rien calculer."""
    while x.owner is not None and x.owner.op.fills:
        x = x.owner.inputs[0]
    return isinstance(x, TensorConstant) and not x.data.any()
