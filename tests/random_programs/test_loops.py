"""Une tranche des boucles tirées au sort ; la campagne est `tests.random_programs.loops`."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rewriting.moving_out import _MovingOut
from tests.random_programs.loop_programs import Choices, draw_loop
from tests.random_programs.loops import Wrong, check, main, random_choices, shrink


@given(data=st.data())
@settings(max_examples=60, deadline=None, print_blob=True)
def test_loops_without_kernels(data):
    loop = draw_loop(Choices(lambda count: data.draw(st.integers(0, count - 1))))
    check(loop, ["FAST_COMPILE", "NumPy réécrit", "NumPy sans réécriture"])


@pytest.mark.parametrize("seed", range(10))
def test_loops_in_the_default_mode(seed):
    check(draw_loop(random_choices(seed)), ["FAST_RUN"])


@pytest.mark.parametrize("seed", range(12, 18))
def test_loops_under_debug_mode(seed):
    check(draw_loop(random_choices(seed)), ["DebugMode"])


def first_wrong(kind, seeds, modes):
    """Les choix de la première graine dont la boucle est fausse de cette façon."""
    for seed in seeds:
        choices = random_choices(seed)
        try:
            check(draw_loop(choices), modes)
        except Wrong as wrong:
            if wrong.kind == kind:
                return choices.taken
    raise AssertionError(f"aucune faute : {kind}")


def test_a_wrong_order_is_found_and_made_small(monkeypatch):
    """Une réécriture qui range les états à rebours (la faute qu’il y eut) : la campagne la voit."""
    monkeypatch.setattr(_MovingOut, "_in_rows", lambda self, history: history)
    kind, modes = "NumPy réécrit : gradient", ["NumPy réécrit"]
    taken = first_wrong(kind, range(400), modes)
    assert len(shrink(taken, modes, kind, patience=3)) < len(taken)


def test_the_campaign_counts_and_says_what_is_wrong(monkeypatch, capsys):
    assert main(["--count", "3", "--modes", "FAST_COMPILE"]) == 0
    assert "3 boucles, graine 0 : 0 faute(s)" in capsys.readouterr().out
    monkeypatch.setattr(_MovingOut, "_in_rows", lambda self, history: history[1:])
    assert main(["--count", "40", "--modes", "NumPy réécrit", "--patience", "0"]) == 1
    assert "FAUTE, NumPy réécrit" in capsys.readouterr().out
