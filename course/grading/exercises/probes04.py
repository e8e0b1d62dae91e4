"""Sondes de l’exercice 04 : elles compilent, chez l’élève, ce que rendent ses fonctions.

Les pertes sont évaluées sans aucune réécriture : seule compte l’expression écrite. Les règles sont
essayées seules, le temps d’une compilation, et le registre du moteur est rendu comme il était ; une
règle qui échoue devient une erreur, que l’élève lit. Une sonde rend None quand la réponse est encore
vide.
"""

import warnings
from contextlib import contextmanager

import numpy as np

import engine
import engine.tensor as T
from engine.core.graph import toposort
from engine.rewriting import REWRITES, pattern, rewrite

PLAIN = engine.Mode("numpy", None)
RULE = "règle de l’élève"
EXPRESSIONS = (
    lambda x: T.log(1 + T.exp(x)),
    lambda x: 1 / (1 + T.exp(-x)),
    lambda x: T.exp(x) - 1,
    lambda x: x * x / x,
    lambda x: T.log(1 - T.nnet.sigmoid(x)),
    lambda x: T.exp(T.constant(0.0)) * x,
    lambda x: T.sqrt(x + 0),
)


# ---- la perte ----------------------------------------------------------------------------


def loss_value(build, scores, labels):
    """La valeur de `build(scores, etiquettes)`."""
    return _loss(build, scores, labels, lambda cost, z: cost)


def loss_slope(build, scores, labels):
    """La dérivée de `build(scores, etiquettes)` par rapport à chaque score."""
    return _loss(build, scores, labels, engine.grad)


def _loss(build, scores, labels, wanted):
    z, y = T.dvectors("zy")
    cost = build(z, y)
    if cost is None:
        return None
    evaluate = engine.function([z, y], wanted(cost, z), mode=PLAIN, on_unused_input="ignore")
    with np.errstate(all="ignore"):
        return evaluate(scores, labels)


# ---- le journal --------------------------------------------------------------------------


def compiled_sum(ranks):
    """Une fonction compilée : la somme des `EXPRESSIONS` de ces rangs."""
    x = T.dvector("x")
    total = sum((EXPRESSIONS[rank](x) for rank in ranks), start=x)
    return engine.function([x], total, mode=engine.Mode("numpy"))


def names_found(build, ranks):
    """Ce que l’élève lit dans le journal de `compiled_sum(ranks)`."""
    return build(compiled_sum(ranks))


# ---- les règles --------------------------------------------------------------------------


@contextmanager
def _alone():
    """Dans ce bloc, on peut déclarer `RULE` ; le mode rendu n’applique qu’elle."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            yield PLAIN.including(RULE)
        finally:
            REWRITES.pop(RULE, None)


def product_rule(build, left, right):
    """Ce que devient exp(a) exp(b) sous la règle de l’élève : {valeurs, exponentielles}.

    `left` et `right` sont les valeurs de a et b.
    """
    return _with_pattern(build, lambda a, b: T.exp(a) * T.exp(b), left, right)


def flipped_product_rule(build, left, right):
    """La même chose, au milieu d’une expression et dans l’autre sens."""
    return _with_pattern(build, lambda a, b: T.log(T.exp(b) * T.exp(a)) - a, left, right)


def foreign_rule(build, left, right):
    """Ce que devient (exp(a) + exp(b)) (a exp(b)), qui ne ressemble pas au motif."""
    return _with_pattern(
        build, lambda a, b: (T.exp(a) + T.exp(b)) * (a * T.exp(b)), left, right
    )


def _with_pattern(build, write, left, right):
    pair = build()
    if pair is None:
        return None
    search, replace = pair
    a, b = T.dvectors("ab")
    with _alone() as mode:
        pattern(RULE, "stabilize", search, replace, reason="essai")
        f = engine.function([a, b], write(a, b), mode=mode)
    exponentials = sum(str(node.op) == "exp" for node in f.fgraph.toposort())
    with np.errstate(all="ignore"):
        return {"values": f(left, right), "exponentials": exponentials}


def power_rule(rule, exponent, points):
    """Ce que devient log(x ** exponent) : {valeurs, nombre d’applications de la règle}."""
    return _with_function(rule, lambda x: T.log(x**exponent), points)


def power_of_variable_rule(rule, points):
    """Ce que devient log(x ** x), où l’exposant n’est pas une constante."""
    return _with_function(rule, lambda x: T.log(x**x), points)


def other_logarithms_rule(rule, points):
    """Ce que devient log(x) + log(3 x) : il n’y a pas de puissance."""
    return _with_function(rule, lambda x: T.log(x) + T.log(3 * x), points)


def _with_function(rule, write, points):
    x = T.dvector("x")
    if all(rule(toposort([T.log(x**n)])[-1]) is None for n in (2, 3)):
        return None
    with _alone() as mode:
        rewrite(RULE, "stabilize", on=["log"], reason="essai")(rule)
        f = engine.function([x], write(x), mode=mode)
    applied = sum(row.reason == RULE for row in f.fgraph.log)
    with np.errstate(all="ignore"):
        return {"values": f(points), "applied": applied}
