"""Le réseau tiré au hasard du widget de la leçon 05 : le calcul, l’image fixe, les refus."""

import math

import numpy as np
import pytest

import engine
import engine.tensor as T
from course.viz import InitializationWidget
from course.viz.initialization import DECADES, draw_signals
from course.viz.signals import ACTIVATIONS, DEPTH, EDGE, UNITS, cross, draws

THE_ENGINE_S = {
    "identity": lambda z: z,
    "tanh": T.tanh,
    "relu": T.nnet.relu,
    "sigmoid": T.nnet.sigmoid,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_both_ways_agree_with_the_engine(activation):
    examples, pulled_back, weights = draws()
    gain = 1.3
    x = T.dmatrix("x")
    output = x
    for matrix in weights:
        output = THE_ENGINE_S[activation](T.dot(output, matrix * (gain / math.sqrt(UNITS))))
    slope = engine.grad((output * pulled_back).sum(), x)
    value, effect = engine.function([x], [output, slope])(examples)
    signals = cross(activation, gain)
    assert len(signals.forward) == len(signals.backward) == DEPTH + 1
    assert signals.backward[-1] == 1
    assert signals.forward[-1] == pytest.approx(np.sqrt(np.mean(value**2)))
    assert signals.backward[0] == pytest.approx(
        np.linalg.norm(effect) / np.linalg.norm(pulled_back)
    )


@pytest.mark.parametrize(("activation", "gain"), [("identity", 1.0), ("relu", math.sqrt(2))])
def test_the_rule_of_each_activation_keeps_both_signals(activation, gain):
    kept, halved = cross(activation, gain), cross(activation, gain / 2)
    for right, small in zip(kept[:2], halved[:2], strict=True):
        assert all(0.5 < value < 2 for value in right)
        assert min(small) < 2e-3


def test_shares_count_everything_even_beyond_the_edge():
    wide = cross("identity", 4.0).shares[-1]
    assert sum(wide) == pytest.approx(1)
    assert wide[0] + wide[-1] > 0.99
    saturated = cross("tanh", 4.0).shares[-1]
    assert saturated[0] == saturated[-1] == 0  # tanh reste entre -1 et 1, EDGE est au-delà
    assert EDGE > 1


def test_widget_shows_something_before_anyone_moves_anything():
    widget = InitializationWidget("relu", gain=1.41)
    assert widget.svg.count("<polyline") == 4  # deux courbes, et leur légende
    assert "entrée" in widget.svg and f">{DEPTH}<" in widget.svg
    assert "étalement (échelle log)" in widget.svg
    assert repr(widget) == "<InitializationWidget>"


def test_static_image_follows_the_traits_and_says_what_it_shows():
    widget = InitializationWidget("tanh")
    before = widget.fallback()
    widget.activation, widget.gain = "sigmoid", 0.5
    after = widget.fallback()
    assert before.content != after.content
    assert "sigmoïde" in after.alt and "0,5/√n" in after.alt


def test_what_leaves_the_scale_stays_at_its_edge():
    beyond = cross("identity", 1.0)._replace(backward=[10.0 ** (-2 * DECADES)] * (DEPTH + 1))
    nothing = beyond._replace(backward=[0.0] * (DEPTH + 1))
    assert draw_signals(beyond, "essai") == draw_signals(nothing, "essai")


@pytest.mark.parametrize("settings", [("sinus", 1.0), ("tanh", 0.0)])
def test_settings_without_meaning_are_named(settings):
    activation, gain = settings
    with pytest.raises(ValueError, match=f"{activation}, gain {gain}"):
        InitializationWidget(activation, gain=gain)
