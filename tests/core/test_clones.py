"""Une copie n’a rien de commun avec son original, et un nœud dont une entrée change de type est
refait : aucune longueur périmée.
"""

import copy

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine import clone, config, function, scan, shared
from engine.core.errors import EngineError
from engine.core.types import TensorType
from engine.loops.branches import ifelse
from engine.nn import BatchNormalization, running_updates


def vector(length):
    return TensorType("float64", shape=(length,))("x")


def test_the_value_of_a_copy_is_its_own():
    a, b = shared(1.0), shared(100.0)
    y = a * 2
    assert y.eval() == 2.0
    z = clone(y, {a: b})
    assert z.eval() == 200.0 and y.eval() == 2.0
    w = copy.copy(y)
    assert w is not y and w.eval() == 2.0


def test_notes_follow_the_copy():
    x, z = T.dscalar("x"), T.dscalar("z")
    y = x * 2
    y.tag.other, y.tag.mine = [x + 1, {"deux": (y, 3)}], "à moi"
    copied = clone(y, {x: z})
    copied.tag.mine = "à lui"
    assert y.tag.mine == "à moi"
    plus, inside = copied.tag.other
    assert plus.eval({z: 4.0}) == 5.0
    assert inside["deux"][0] is copied and inside["deux"][1] == 3


def test_running_updates_follow_the_copy():
    x, z = T.dmatrix("x"), T.dmatrix("z")
    layer = BatchNormalization(3)
    y = clone(layer(x, train=True).sum(), {x: z})
    updates = running_updates(y)
    assert len(updates) == 2
    f = function([z], y, updates=updates)  # rien n’y dépend plus de x
    f(np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("share", [False, True])
def test_test_values_of_a_copy_are_computed_again(share):
    with config.change_flags(compute_test_value="raise"):
        x, z = T.dscalar("x"), T.dscalar("z")
        x.tag.test_value, z.tag.test_value = 1.0, 5.0
        y = T.exp(x * 2)
        copied = clone(y, {x: z}, share_inputs=share)
        assert copied.tag.test_value == np.exp(10) and y.tag.test_value == np.exp(2)
        again = clone(y, share_inputs=False)
        assert again is not y and again.tag.test_value == np.exp(2)


# ---- une entrée change de type -----------------------------------------------------------


def in_a_loop(x):
    """La longueur de x sert dans le pas : moyenne, forme, diffusion."""
    rows, _ = scan(lambda k, total: total + x * k / x.shape[0], T.arange(3.0), T.zeros_like(x))
    return rows[-1] + rows.sum(axis=0).mean()


def in_a_sequence(x):
    lines = T.outer(T.arange(3.0), x)
    means, _ = scan(lambda line: line.mean() * line.shape[0], lines)
    return means + 0 * x.sum()


def in_a_branch(x):
    return ifelse(x.sum() > -1e9, x.mean() * T.ones_like(x), x)


EXPRESSIONS = {
    "moyenne": (lambda x: (x * 2).mean(), lambda v: 2 * v.mean()),
    "longueur": (lambda x: (x * 2).shape[0] + 0 * x.sum(), lambda v: float(len(v))),
    "tous": (lambda x: T.ones_like(x * 2) / x.size, lambda v: np.ones_like(v) / v.size),
    "tuile": (lambda x: T.concatenate([x, x + 1]), lambda v: np.concatenate([v, v + 1])),
    "dernier": (lambda x: x[::-1][-1] + x[-1], lambda v: v[0] + v[-1]),
    "gradient": (lambda x: T.grad((x**2).mean(), x), lambda v: 2 * v / len(v)),
    "softmax": (lambda x: T.nnet.softmax(x)[0], lambda v: np.exp(v) / np.exp(v).sum()),
    "boucle": (
        in_a_loop,
        lambda v: v * 3 / len(v) + (v * 4 / len(v)).mean(),
    ),
    "suite": (in_a_sequence, lambda v: np.arange(3.0) * v.sum()),
    "branche": (in_a_branch, lambda v: v.mean() * np.ones_like(v)),
}
MODES = ["FAST_RUN", "FAST_COMPILE", "DebugMode", engine.Mode("numpy", None)]


@pytest.mark.parametrize("known", [1, 3])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_written_length_is_that_of_what_replaces_it(name, known):
    """Le graphe s’est servi de la longueur : qui la remplace doit l’avoir."""
    build, wanted = EXPRESSIONS[name]
    x, same = vector(known), vector(known)
    y = build(x)
    for refused in (T.dvector(), vector(5), T.dmatrix(), T.dscalar()):
        with pytest.raises(EngineError, match="même forme"):
            clone(y, {x: refused})
        with pytest.raises(EngineError, match="même forme"):
            function([refused], y, givens={x: refused})
    value = np.linspace(-1, 2, known)
    for f in (function([same], y, givens={x: same}), function([same], clone(y, {x: same}))):
        np.testing.assert_allclose(f(value), wanted(value))


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_deduced_length_is_checked_in_what_replaces_it(name, mode):
    build, wanted = EXPRESSIONS[name]
    h = T.exp(vector(3))
    y, w, read = build(h), T.dvector("w"), h.sum()
    f = function([w], [y, read], givens={h: w}, mode=mode)
    g = function([w], clone([y, read], {h: w}), mode=mode)
    for call in (f, g):
        value = np.linspace(-1, 2, 3)
        np.testing.assert_allclose(call(value)[0], wanted(value))
        with pytest.raises(EngineError, match="forme"):
            call(np.linspace(-1, 2, 5))


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_length_that_becomes_known(name, mode):
    build, wanted = EXPRESSIONS[name]
    x, three = T.dvector("x"), vector(3)
    y = build(x)
    value = np.linspace(-1, 2, 3)
    for f in (function([three], clone(y, {x: three}), mode=mode), function([x], y, mode=mode)):
        np.testing.assert_allclose(f(value), wanted(value))


def test_a_row_is_not_replaced_by_a_matrix():
    r, m = T.drow("r"), T.dmatrix("m")
    outputs = [(r * 2).mean(axis=0), (r + 1).shape[0]]
    with pytest.raises(EngineError, match="même forme"):
        function([m], outputs, givens={r: m})
    f = function([m], outputs, givens={r: T.addbroadcast(m, 0)})
    assert [out.tolist() for out in f([[1.0, 2.0]])] == [[2.0, 4.0], 1]
    with pytest.raises(EngineError):
        f(np.ones((2, 2)))
    assert (clone(m * 2, {m: r}).type.shape) == (1, None)


def test_a_shared_variable_swapped_for_one_of_another_type():
    a = shared(np.ones((1, 3)), broadcastable=(True, False))
    b = shared(np.full((1, 3), 2.0), broadcastable=(True, False))
    f = function([], [(a * 2).mean(axis=0), (a * 2).shape[0]], updates=[(a, a + 1)])
    mean, length = f.copy(swap={a: b})()
    assert mean.tolist() == [4.0, 4.0, 4.0] and length == 1
    assert np.all(b.get_value() == 3.0) and np.all(a.get_value() == 1.0)
    for refused in (
        shared(np.ones((2, 3))),
        shared(1.0),
        T.dmatrix(),
        shared(np.ones((1, 3), "int8")),
    ):
        with pytest.raises(EngineError):
            f.copy(swap={a: refused})


def test_a_dtype_replaced_by_a_wider_one():
    x, z = T.fvector("x"), T.dvector("z")
    rows, _ = scan(lambda v: v * 2, x)
    y = clone(rows.sum() + T.exp(x).sum(), {x: z})
    assert y.dtype == "float64"
    assert function([z], y)([1e-9]) == 2e-9 + np.exp(1e-9)


# ---- les constantes ----------------------------------------------------------------------


def views(a):
    """De quoi partager la mémoire de `a`, sans que rien ne le laisse paraître."""
    frozen = a.view()
    frozen.flags.writeable = False
    yield from (a, frozen, a[...], frozen[...], a.reshape(a.shape), np.asarray(memoryview(a)))
    yield a.view(type("Sienne", (np.ndarray,), {}))


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 2), (0,)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_constant_shares_nothing_and_freezes_nothing(shape, order, tmp_path):
    before = np.full(shape, 0.5)
    made = np.array(before, order=order)
    mapped = np.memmap(tmp_path / "m", "float64", "w+", shape=shape or (1,))
    mapped[...] = 0.5
    for value in (*views(made), mapped):
        frozen = value.flags.writeable
        c = T.constant(value)
        y = T.zeros(value.shape) + value
        if made.size:
            made[...] = mapped[...] = 7.0
        assert np.all(c.data == 0.5) and np.all(y.eval() == 0.5)
        assert not np.shares_memory(c.data, made) and not np.shares_memory(c.data, mapped)
        assert value.flags.writeable == frozen and made.flags.writeable
        assert type(c.data) is np.ndarray
        with pytest.raises(ValueError):
            c.data[...] = 1.0
        made[...] = mapped[...] = 0.5


def test_a_default_value_is_copied():
    value = np.array(1.0)
    x = T.dscalar("x")
    f = function([engine.In(x, value=value)], x)
    value[...] = 9.0
    assert f() == 1.0 and value.flags.writeable
