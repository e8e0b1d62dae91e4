"""Les filtres, les figures matplotlib, la palette, les nombres."""

import math

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from course.viz import LiveFilters, Picture, decimal, filter_grid, picture_of, use_course_style
from course.viz.curves import SERIES
from course.viz.filters import REMEMBERED, quantise
from course.viz.palette import CONCEPTS, concept, contrast, css_variables

PNG = b"\x89PNG"


def test_filter_grid_is_a_png_that_can_be_saved(tmp_path):
    weights = np.random.default_rng(0).normal(size=(784, 10))
    picture = filter_grid(weights, titles=range(10), alt="Dix filtres.")
    picture.save(tmp_path / "filtres.png")
    assert (tmp_path / "filtres.png").read_bytes().startswith(PNG)
    assert 'alt="Dix filtres."' in picture._repr_html_()
    assert picture.content == filter_grid(weights, titles=range(10), alt="Dix filtres.").content
    with pytest.raises(ValueError, match=r"\.png"):
        picture.save(tmp_path / "filtres.svg")


def test_filters_of_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match="784"):
        filter_grid(np.zeros((10, 784)))


def test_quantised_zero_is_the_middle_and_the_scale_is_common():
    weights = np.zeros((4, 3))
    weights[0, 0], weights[1, 1] = 2.0, -1.0
    pixels, limit = quantise(weights, (2, 2))
    assert limit == 2.0
    assert list(pixels) == [255, 128, 128, 128, 128, 64, 128, 128, 128, 128, 128, 128]
    assert set(quantise(np.zeros((4, 3)), (2, 2))[0]) == {128}
    assert len(quantise(np.full((4, 3), np.nan), (2, 2))[0]) == 12


def test_live_filters_remember_a_spread_of_epochs():
    live = LiveFilters(10)
    assert "pendant l’entraînement" in live.fallback()._repr_html_()
    for epoch in range(300):
        live.update(np.full((784, 10), epoch + 1.0), epoch)
    assert len(live.epochs) <= REMEMBERED
    assert live.epochs[0] == 0 and live.epochs[-1] == 299
    assert max(b - a for a, b in zip(live.epochs, live.epochs[1:], strict=False)) < 300 / 4
    live.update(np.zeros((784, 10)))
    assert live.epochs[-1] == 300
    assert live.fallback().content.startswith(PNG)


def test_a_new_view_receives_every_remembered_frame(monkeypatch):
    live, sent = LiveFilters(2, shape=(2, 2)), []
    live.update(np.eye(4)[:, :2], 1)
    live.update(np.eye(4)[:, :2], 2)
    monkeypatch.setattr(live, "send", lambda content, buffers: sent.append(content["epoch"]))
    live._handle_custom_msg("all", [])
    assert sent == [1, 2]


def test_figures_have_decimal_commas_and_an_alternative_text():
    with mpl.rc_context():
        use_course_style()
        figures = []
        for _ in range(2):
            fig = Figure()
            axes = fig.subplots()
            axes.plot([0, 0.5], [0, 1.5])
            figures.append(picture_of(fig, "Une droite."))
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert "0,2" in labels
    assert figures[0].content == figures[1].content  # un notebook rejoué ne change pas
    with pytest.raises(ValueError, match="alt"):
        Picture("<svg/>", alt=" ")


@pytest.mark.parametrize("name", CONCEPTS)
def test_strokes_stand_out_in_both_themes(name):
    assert contrast(CONCEPTS[name].light, "#ffffff") >= 3
    assert contrast(CONCEPTS[name].dark, "#111111") >= 3
    assert f"--chainage-{name}: {CONCEPTS[name].dark}" in css_variables()


def test_curves_differ_by_more_than_colour():
    dashes = [CONCEPTS[name].dash for name, _ in SERIES.values()]
    assert len(set(dashes)) == len(dashes)
    with pytest.raises(KeyError, match="notion inconnue"):
        concept("couleur")


@pytest.mark.parametrize(
    "number, text",
    [
        (0, "0"),
        (-2.5, "−2,5"),
        (1234, "1234"),
        (2.5e7, "2,5·10⁷"),
        (0.00012, "0,00012"),
        (1e-9, "1·10⁻⁹"),
        (math.nan, "non défini"),
        (-math.inf, "−∞"),
    ],
)
def test_numbers_are_written_the_french_way(number, text):
    assert decimal(number) == text
