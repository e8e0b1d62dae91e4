"""Une tranche des boucles tirées au sort ; la campagne est `tests.random_programs.loops`."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.loops.loop_op import Scan
from engine.loops.moving_out import _MovingOut
from tests.random_programs.campaign import Counts, Wrong, run
from tests.random_programs.loop_programs import Choices, draw_loop
from tests.random_programs.loops import check, judge, make, reduce_loop


@given(data=st.data())
@settings(max_examples=60, deadline=None, print_blob=True)
def test_loops_without_kernels(data):
    loop = draw_loop(Choices(lambda count: data.draw(st.integers(0, count - 1))))
    check(loop, ["FAST_COMPILE", "NumPy réécrit", "NumPy sans réécriture"], Counts())


@pytest.mark.parametrize("seed", range(10))
def test_loops_in_the_default_mode(seed):
    check(make(seed).loop, ["FAST_RUN"], Counts())


@pytest.mark.parametrize("seed", range(12, 18))
def test_loops_under_debug_mode(seed):
    check(make(seed).loop, ["DebugMode"], Counts())


def test_a_wrong_order_is_found_and_made_small(monkeypatch):
    """Une réécriture qui range les états à rebours (la faute qu’il y eut) : la campagne la voit."""
    monkeypatch.setattr(_MovingOut, "_in_rows", lambda self, history: history)
    for seed in range(600):
        drawn = make(seed)
        try:
            check(drawn.loop, ["NumPy réécrit"], Counts())
        except Wrong as wrong:
            if wrong.kind == "NumPy réécrit : gradient":
                text = reduce_loop(drawn, wrong, patience=3)
                break
    else:
        raise AssertionError("aucun gradient faux")
    assert "T.dot" in text
    assert "appel" in text


def test_the_campaign_counts_and_says_what_is_wrong(monkeypatch):
    said, counts = [], Counts()
    assert (
        run(make, judge, reduce_loop, counts, [1, 2], lambda text, flush: said.append(text)) == {}
    )
    assert counts.sections["comparé"]["valeurs"] > 1
    assert said == []
    finish = Scan._finish
    monkeypatch.setattr(Scan, "_finish", lambda *args: [x + 1 for x in finish(*args)])
    wrong = run(make, judge, lambda *_: "", counts, range(3), lambda text, flush: said.append(text))
    assert wrong
    assert "valeur" in said[0]
