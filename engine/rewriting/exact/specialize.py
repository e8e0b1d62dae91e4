"""Choisir une opération plus directe quand un cas particulier le permet."""

from engine.core.elemwise import cast, elemwise, scalar_name
from engine.core.rewriting import Domain, fit, pattern, rewrite, scalar_value
from engine.core.types import FLOATS

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


@rewrite(
    "masque_converti",
    "specialize",
    ["neq"],
    "un booléen converti est non nul où il est vrai",
    Domain("tous"),
    [lambda x: cast(x > 0, "float32").neq(0), lambda x: cast(x > 0, "int8").neq(0)],
)
def converted_truth(node):
    converted, zero = node.inputs
    if scalar_value(zero) != 0 or not (scalar_name(converted.owner) or "").startswith("cast["):
        return None
    (truth,) = converted.owner.inputs
    return [fit(truth, node.outputs[0])] if truth.dtype == "bool" else None


@rewrite(
    "masque_répété",
    "specialize",
    ["or_", "and_"],
    "une condition avec elle-même ne dit rien de plus",
    Domain("tous"),
    [lambda x: elemwise("or_")(x > 0, x > 0), lambda x: elemwise("and_")(x > 0, x > 0)],
)
def repeated_truth(node):
    first, second = node.inputs
    return [first] if first is second else None


@rewrite(
    "masque_emboîté",
    "specialize",
    ["switch"],
    "sous une condition, un choix d'après la même est déjà fait",
    Domain("tous"),
    [
        lambda x: (x > 0).switch((x > 0).switch(x, x * 2), x * 3),
        lambda x: (x > 0).switch(x * 3, (x > 0).switch(x, x * 2)),
    ],
)
def nested_choice(node):
    condition, then, otherwise = node.inputs
    kept = [
        entry.owner.inputs[place]
        if scalar_name(entry.owner) == "switch" and entry.owner.inputs[0] is condition
        else entry
        for place, entry in ((1, then), (2, otherwise))
    ]
    if kept == [then, otherwise]:
        return None
    return [fit(elemwise("switch")(condition, *kept), node.outputs[0])]
