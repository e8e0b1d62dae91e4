"""Chaque règle tient parole ; une règle fausse n’entre pas."""

import numpy as np
import pytest

from engine.core.elemwise import elemwise, scalar_name
from engine.core.rewriting import Domain, pattern, rewrite
from engine.gradient import disconnected_grad
from engine.rewriting import REWRITES
from tests.certificates.check import failures
from tests.certificates.walk import walk, walkable


@pytest.mark.parametrize("name", REWRITES)
def test_the_rule_keeps_its_word(name):
    found = failures(REWRITES[name])
    assert not found, "\n".join(found[:10])


# ---- des règles fausses ------------------------------------------------------------------


def _declared(declare):
    """La règle que `declare` ajoute, sans la laisser dans la table du moteur."""
    before = dict(REWRITES)
    try:
        declare()
        (name,) = REWRITES.keys() - before.keys()
        return REWRITES[name]
    finally:
        for name in REWRITES.keys() - before.keys():
            del REWRITES[name]


def _double_sigmoid():
    pattern(
        "fausse", "stabilize", lambda x: 2 * (x * 2).sigmoid() - 1, lambda x: (x * 2).tanh(),
        "une identité de mémoire : c'est tanh(x)", Domain(),
    )  # fmt: skip


def _root_of_square():
    pattern("fausse", "canonicalize", lambda x: x.sqr().sqrt(), lambda x: x, "essai", Domain())


def _positive_only():
    """Dite exacte pour x >= 0 : ailleurs, la racine du carré est un nombre, et change."""
    domain = Domain(exact="x >= 0", changes="le signe")
    pattern("fausse", "canonicalize", lambda x: x.sqr().sqrt(), lambda x: x, "essai", domain)


def _without_dtype_guard():
    @rewrite("fausse", "canonicalize", ["add"], "essai", Domain("tous"), [lambda x, y: x + (-y)])
    def unguarded(node):
        x, y = node.inputs
        if scalar_name(y.owner) != "neg":
            return None
        new = elemwise("sub")(x, y.owner.inputs[0])
        return [new] if new.dtype == node.out.dtype else None


def _loses_small_values():
    pattern("fausse", "stabilize", lambda x: x.expm1(), lambda x: x.exp() - 1, "essai", Domain())


def _wrong_slope():
    """Bonne valeur, mauvais gradient : la moitié de ce qu’il faut."""
    pattern("fausse", "stabilize", lambda x: x.sqr(), lambda x: disconnected_grad(x) * x, "essai",
            Domain())  # fmt: skip


def _forgets_the_shape():
    @rewrite("fausse", "canonicalize", ["mul"], "essai", Domain("tous"), [lambda x: x.sum() * x])
    def narrow(node):
        return [node.inputs[0]]


def _changes_nan():
    pattern("fausse", "canonicalize", lambda x: x.maximum(x - x), lambda x: (x + abs(x)) * 0.5,
            "essai", Domain())  # fmt: skip


def _hides_an_error():
    @rewrite("fausse", "canonicalize", ["neg"], "essai", Domain("tous"), [lambda x: -x.max()])
    def silent(node):
        return [node.out.zeros_like() - node.inputs[0].owner.inputs[0].sum()]


def _never_fires():
    rewrite("fausse", "canonicalize", ["exp"], "essai", Domain(), [lambda x: x.exp()])(
        lambda node: None
    )


def _says_nothing():
    pattern("fausse", "canonicalize", lambda x: x.sqr().sqrt(), abs, "essai")


def _no_sample():
    rewrite("fausse", "canonicalize", ["exp"], "essai", Domain())(lambda node: None)


FALSE = {
    _double_sigmoid: "x = ",
    _root_of_square: "x = ",
    _positive_only: "x = ",
    _without_dtype_guard: "int32, uint8",
    _loses_small_values: "devient",
    _forgets_the_shape: "à la place de",
    _hides_an_error: "devient|sans elle",
    _never_fires: "ne la déclenche pas",
    _says_nothing: "ne dit pas où elle est exacte",
    _no_sample: "n’a pas d’exemple",
    _wrong_slope: "gradient",
    _changes_nan: "x = ",
}


@pytest.mark.parametrize("declare", FALSE, ids=lambda declare: declare.__name__)
def test_a_false_rule_is_refused(declare):
    found = failures(_declared(declare))
    assert found
    assert any(part in "\n".join(found) for part in FALSE[declare].split("|")), found[:3]
    assert "fausse" not in REWRITES


# ---- un pas de la promenade --------------------------------------------------------------


@pytest.mark.parametrize("name", walkable())
def test_a_share_of_all_the_numbers(name):
    """Un float32 sur deux cent mille : jamais pire que la forme naïve, plus un arrondi de noyau."""
    row = walk(name, step=200_003)
    assert row.tried == -(-(2**32) // 200_003)
    assert row.after <= max(row.before, 16), str(row)
    assert np.isfinite(row.after)
