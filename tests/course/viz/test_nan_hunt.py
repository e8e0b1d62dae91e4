"""La chasse au NaN : chaque nœud dit ses valeurs, et le premier mauvais est le bon."""

from xml.etree import ElementTree

import numpy as np
import pytest

import engine
import engine.tensor as T
from course.viz import NanHuntWidget
from course.viz.nan_hunt import EXPONENTS, draw_rows, first_bad, walk_values

SCORES = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


@pytest.fixture
def naive():
    """Les scores, et moins le logarithme d’une softmax écrite naïvement."""
    z = T.fmatrix("z")
    e = T.exp(z)
    return z, -T.log(e / e.sum(axis=1, keepdims=True))[:, 0].mean()


def test_rows_follow_the_computation():
    x = T.dvector("x")
    rows = walk_values([x], (T.exp(x) - 1).sum(), [[0.0, np.log(3)]])
    assert [row.label for row in rows] == ["x", "exp([0])", "sub([1], 1)", "sum([2])"]
    assert [(round(row.low, 6), round(row.high, 6)) for row in rows[1:]] == [(1, 3), (0, 2), (2, 2)]
    assert [row.sources for row in rows] == [(), (0,), (1,), (2,)]
    assert first_bad(rows) is None


def test_shared_variables_are_rows_and_lengths_are_not():
    x, w = T.dmatrix("x"), engine.shared(np.array([1.0, np.nan]), name="w")
    rows = walk_values([x], T.dot(x, w).mean(), [np.ones((3, 2))])
    assert [row.label for row in rows] == [
        "x",
        "w",
        "dot([0], [1])",
        "sum([2])",
        "true_div([3], ·)",
    ]
    assert first_bad(rows) == 1 and rows[1].nans == 1


def test_the_infinity_is_born_before_the_nan(naive):
    z, cost = naive
    rows = walk_values([z], cost, [100 * SCORES])
    bad = first_bad(rows)
    assert rows[bad].label == "exp([0])" and rows[bad].infinities == 2 and rows[bad].nans == 0
    nan = next(row for row in rows if row.nans)
    assert nan.label.startswith("true_div")
    assert first_bad(walk_values([z], cost, [100 * SCORES], "rewritten")) is None


def test_the_widget_recomputes_and_keeps_its_place(naive):
    z, cost = naive
    hunt = NanHuntWidget([z], cost, [SCORES], exponent=2)
    assert hunt.step == hunt.last == 9
    hunt.step = 2
    assert "Étape 2 sur 9" in hunt.text
    hunt.exponent = 0.0
    assert hunt.step == 2 and "Aucun mauvais nombre" in hunt.text
    hunt.step = hunt.last
    hunt.graph = "rewritten"
    assert hunt.step == hunt.last < 9  # au bout, on reste au bout
    for exponent in EXPONENTS:
        hunt.exponent = exponent
        assert "Aucun mauvais nombre" in hunt.text
    assert hunt.fallback().alt == hunt.text


@pytest.mark.parametrize("step", [0, 4, 9])
def test_the_picture_is_sound_and_shows_what_was_reached(naive, step):
    z, cost = naive
    rows = walk_values([z], cost, [100 * SCORES])
    svg = draw_rows(rows, step, title="Essai")
    ElementTree.fromstring(svg)
    assert svg.count("…</text>") == len(rows) - 1 - step
    assert svg.count("★ ") == (2 if step else 0)


def test_one_number_and_none():
    x = T.dscalar("x")
    hunt = NanHuntWidget([x], T.log(x), [np.array(-1.0)])
    assert "log([0]) vaut 1 NaN" in hunt.text.replace("\xa0", " ")
