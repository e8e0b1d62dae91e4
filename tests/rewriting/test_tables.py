"""Une petite table est multipliée avant d’être lue : quand il le faut, et seulement alors."""

import numpy as np
import pytest

from engine import function, shared
from engine import tensor as T
from engine.core.modes import Mode
from engine.nn.layers import LSTM, Embedding

N_ROWS = 7


def model():
    """Une table, un produit, un biais : le coût et ce qui s’apprend."""
    rng = np.random.default_rng(0)
    table = shared(rng.normal(size=(N_ROWS, 4)), name="table")
    W, b = shared(rng.normal(size=(4, 3)), name="W"), shared(rng.normal(size=3), name="b")
    x = T.lmatrix("x")
    scores = T.tanh(T.dot(table[x], W) + b)
    return x, (scores**3).sum(), [table, W, b]


def reasons(f):
    return {entry.reason for entry in f.fgraph.log}


@pytest.mark.parametrize("shape", [(5, 6), (1, 7), (2, 1), (1, 1)])
def test_values_with_more_readings_than_rows_or_fewer(shape):
    x, cost, parameters = model()
    outputs = [cost, *T.grad(cost, parameters)]
    f, plain = function([x], outputs), function([x], outputs, mode=Mode("numpy", None))
    assert "table_d'abord" in reasons(f)
    value = np.random.default_rng(1).integers(-N_ROWS, N_ROWS, shape)
    for one, other in zip(f(value), plain(value), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)


def test_without_a_gradient_the_table_is_read_first():
    x, cost, _ = model()
    assert "table_d'abord" not in reasons(function([x], cost))


def test_an_index_out_of_the_table_is_refused():
    x, cost, parameters = model()
    f = function([x], T.grad(cost, parameters))
    with pytest.raises(Exception, match="7"):
        f(np.full((4, 5), N_ROWS))


def test_a_loop_reads_its_rows_itself():
    embedding = Embedding(N_ROWS, 4, generator=np.random.default_rng(0))
    layer = LSTM(4, 3, generator=np.random.default_rng(1))
    x, mask = T.lmatrix("x"), T.dmatrix("mask")
    cost = (layer(embedding(x), mask) ** 2).sum()
    outputs = [cost, *T.grad(cost, [*embedding.parameters, *layer.parameters])]
    f, plain = function([x, mask], outputs), function([x, mask], outputs, mode=Mode("numpy", None))
    assert "lecture_dans_la_boucle" in reasons(f)
    rng = np.random.default_rng(2)
    for shape in [(5, 4), (2, 1)]:
        value, present = rng.integers(-N_ROWS, N_ROWS, shape), rng.integers(0, 2, shape) * 1.0
        for one, other in zip(f(value, present), plain(value, present), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    with pytest.raises(Exception, match="7"):
        f(np.full((5, 4), N_ROWS), np.ones((5, 4)))
