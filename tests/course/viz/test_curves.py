"""Les courbes : recueillir sans navigateur, annoncer l’échelle, graduer, dire les valeurs."""

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.viz import LiveCurves
from course.viz.curves import DRAWN, draw_curves

SVG = "{http://www.w3.org/2000/svg}"
LABELS = ("titre", "époque", "coût")


def texts(svg):
    return [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_points_are_collected_and_last_values_said():
    curves = LiveCurves("L’erreur descend", y_label="erreur (%)")
    curves.add(1, train=12.5, valid=11.89)
    curves.add(2, valid=10.52, test=math.nan)
    curves.flush()
    assert curves.points["valid"] == [(1.0, 11.89), (2.0, 10.52)]
    assert curves.points["test"] == []
    assert curves.text == "époque 2\u00a0: entraînement 12,5\u202f; validation 10,52"
    assert {"entraînement", "validation", "erreur (%)", "L’erreur descend"} <= set(
        texts(curves.svg)
    )


def test_log_scale_is_announced_and_leaves_out_what_it_cannot_show():
    curves = LiveCurves(scale="log")
    for epoch, value in enumerate([1.0, 0.1, 0.0, -1.0, 0.01]):
        curves.add(epoch, train=value)
    curves.flush()
    assert "coût (échelle logarithmique)" in texts(curves.svg)
    drawn = re.search(r'<polyline points="([^"]+)"', curves.svg).group(1)
    assert len(drawn.split()) == 3
    with pytest.raises(ValueError, match="échelle"):
        LiveCurves(scale="cubique")


def test_image_has_an_alternative_text_before_and_after_points():
    curves = LiveCurves("Coût")
    assert "pas encore" in curves.image().alt
    assert curves.fallback()._repr_html_().startswith("<p>")
    curves.add(1, train=0.5)
    assert curves.fallback()._repr_html_().startswith("<img")
    assert curves.image("Le coût baisse.")._repr_html_().startswith('<img alt="Le coût baisse."')
    assert repr(curves) == "<LiveCurves>"


def test_fast_additions_cost_little_and_the_last_one_is_drawn():
    curves = LiveCurves()
    for step in range(20_000):
        curves.add(step, train=1 / (step + 1))
    assert "19999" in curves.image().alt
    drawn = re.search(r'<polyline points="([^"]+)"', curves.svg).group(1).split()
    assert len(drawn) <= DRAWN + 1
    assert len(curves.points["train"]) == 20_000


finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(st.tuples(st.integers(0, 500), finite), max_size=30), st.booleans())
def test_every_point_falls_inside_the_frame(points, log):
    svg = draw_curves({"train": sorted(points)}, LABELS, log=log)
    ElementTree.fromstring(svg)
    for polyline in re.findall(r'<polyline points="([^"]+)"', svg):
        for pair in polyline.split():
            x, y = map(float, pair.split(","))
            assert -0.1 <= x <= 680.1 and -0.1 <= y <= 340.1
