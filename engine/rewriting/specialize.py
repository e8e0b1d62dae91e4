"""Choisir une opération plus directe quand un cas particulier le permet."""

from engine.rewriting.core import Domain, fit, pattern, rewrite, scalar_value
from engine.types import FLOATS

pattern(
    "moins_un_fois_x",
    "specialize",
    lambda x: x * -1,
    lambda x: -x,
    "changer de signe suffit",
    Domain("tous"),
)
pattern(
    "x_fois_x",
    "specialize",
    lambda x: x * x,
    lambda x: x.sqr(),
    "un carré lit x une fois",
    Domain("tous"),
)
pattern(
    "zéro_moins_x",
    "specialize",
    lambda x: 0 - x,
    lambda x: -x,
    "changer de signe suffit",
    Domain("tous"),
)


@rewrite(
    "petite_puissance",
    "specialize",
    ["pow"],
    "une puissance entière se fait par produits",
    Domain(
        "tous", exact="x != -inf", changes="la racine de moins l'infini : NaN au lieu de l'infini"
    ),
    [lambda x: x**2, lambda x: x**0.5, lambda x: x**-1, lambda x: x**3],
)
def small_power(node):
    x, exponent = node.inputs
    by_value = {
        2: x.sqr,
        0.5: x.sqrt,
        -1: lambda: 1 / x,
        3: lambda: x * x.sqr(),
    }
    value = scalar_value(exponent)
    if value is None or float(value) not in by_value or x.dtype != node.outputs[0].dtype:
        return None
    if value < 0 and x.dtype not in FLOATS:
        return None
    return [fit(by_value[float(value)](), node.outputs[0])]
