"""La chaîne et sa perturbation : le calcul, les cases à remplir, l’image fixe."""

import math
import re

import pytest

from course.viz import PerturbationWidget, Step
from course.viz.chains import EXP_SIN_SQUARE, FUNCTIONS, propagate


@pytest.mark.parametrize("key", FUNCTIONS)
def test_each_slope_is_the_derivative_of_its_function(key):
    moved = propagate([Step("y", key, key)], 0.7, 1e-6)
    assert moved.ratio == pytest.approx(moved.product, rel=1e-4)


def test_product_of_slopes_meets_the_measured_ratio_as_the_push_shrinks():
    gaps = [
        abs(moved.ratio - moved.product)
        for moved in (propagate(EXP_SIN_SQUARE, 1.1, dx) for dx in (0.1, 0.01, 0.001))
    ]
    assert gaps[0] > 5 * gaps[1] > 25 * gaps[2]


def test_outside_the_domain_everything_after_is_undefined():
    moved = propagate([Step("u", "log x", "log"), Step("y", "exp u", "exp")], -1.0, 0.1)
    assert all(map(math.isnan, (*moved.values[1:], moved.product, moved.ratio)))
    widget = PerturbationWidget([("u", "log x", "log")], x=-1.0)
    assert "non défini" in widget.svg


def test_widget_shows_something_before_anyone_moves_anything():
    widget = PerturbationWidget(x=1.1, dx=0.1)
    slots = re.findall(r'data-slot="([^"]+)"', widget.svg)
    expected = ["value", "change", "bar"]
    assert {f"{name}-{i}" for name in expected for i in range(4)} <= set(slots)
    assert {"slope-0", "slope-2", "product", "ratio", "dot"} <= set(slots)
    assert len(slots) == len(set(slots))
    assert ">1,979<" in widget.svg and ">1,464<" in widget.svg


def test_static_image_follows_the_traits_and_says_what_it_shows():
    widget = PerturbationWidget()
    widget.x, widget.dx = 0.0, 0.01
    assert "produit des dérivées locales 0" in widget.fallback().alt
    assert repr(widget) == "<PerturbationWidget>"


def test_an_unknown_link_is_named():
    with pytest.raises(ValueError, match="sinus"):
        PerturbationWidget([("y", "sinus x", "sinus")])
