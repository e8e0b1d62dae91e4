"""La boucle dépliée : ses valeurs, ses dérivées, l’image fixe, les traits que règle l’élève."""

import re

import pytest

import engine
import engine.tensor as T
from course.viz import ScanWidget
from course.viz.unrolling import RECURRENCES, unroll

ROWS = [0.3, -0.7, 0.2, 0.9]
STEPS = {
    "power": lambda row, p, a: p * a,
    "horner": lambda row, s, x: s * x + row,
    "tanh": lambda row, h, w: T.tanh(w * h + row),
}


@pytest.mark.parametrize("key", RECURRENCES)
def test_same_values_and_gradients_as_scan(key):
    rows, start, parameter = T.dvector("lignes"), T.dscalar("départ"), T.dscalar("paramètre")
    states, _ = engine.scan(STEPS[key], rows, start, parameter)
    wanted = [states, *engine.grad(states[-1], [start, parameter])]
    f = engine.function([rows, start, parameter], wanted)
    expected, effect, total = f(ROWS, 0.8, -1.3)
    done = unroll(RECURRENCES[key], 0.8, -1.3, ROWS)
    assert done.states[1:] == pytest.approx(list(expected), rel=1e-12)
    assert (done.effects[0], done.total) == pytest.approx((float(effect), float(total)), rel=1e-12)
    assert done.effects[-1] == 1 and len(done.shares) == len(ROWS)


def test_every_copy_of_a_power_has_the_same_share():
    done = unroll(RECURRENCES["power"], 1.0, 1.1, [0.0] * 5)
    assert done.shares == pytest.approx([1.1**4] * 5)


def test_widget_shows_something_before_anyone_moves_anything():
    widget = ScanWidget(turns=3, parameter=2.0)
    for text in ("p₀", "p₃", ">8<", "A = 2", "scan", "au tour suivant"):
        assert text in widget.svg
    assert "p₄" not in widget.svg and "effet" not in widget.svg
    assert "p₃ vaut 8" in widget.fallback().alt
    assert repr(widget) == "<ScanWidget>"


def test_picture_follows_the_traits():
    widget = ScanWidget(turns=3, parameter=2.0)
    widget.backward = True
    assert re.search(r"part de A, par tour.*>12<", widget.svg)
    assert "celui de A, somme d’une part par tour, est 12" in widget.summary
    widget.turns = 5
    assert "p₅ vaut 32" in widget.summary and "80" in widget.summary
    widget.parameter = 0.0
    assert "p₅ vaut 0" in widget.summary


def test_turns_stay_within_the_sequence():
    widget = ScanWidget("tanh", rows=ROWS, turns=9, title="Quatre éléments")
    assert (widget.turns, widget.longest) == (4, 4)
    widget.turns = 0
    assert widget.turns == 1 and "x = 0,3" in widget.svg and "x = −0,7" not in widget.svg


def test_an_unknown_loop_is_named():
    with pytest.raises(ValueError, match="spirale"):
        ScanWidget("spirale")
