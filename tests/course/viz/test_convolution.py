"""Le filtre qui parcourt l’image : les comptes contre le moteur, le dessin, les refus."""

import re

import numpy as np
import pytest

import engine
import engine.tensor as T
from course.viz import ConvolutionWidget
from course.viz.convolution import draw_convolution, slide

IMAGE = np.random.default_rng(0).random((9, 7))
FILTERS = np.random.default_rng(1).normal(size=(2, 3, 2))


@pytest.mark.parametrize("flipped", [False, True])
def test_the_map_is_the_engine_s(flipped):
    used = FILTERS[0]
    four = T.nnet.conv2d(IMAGE[None, None], used[None, None], filter_flip=flipped)
    expected = engine.function([], four)()[0, 0]
    assert np.allclose(slide(IMAGE, used[::-1, ::-1] if flipped else used), expected)


def test_widget_starts_where_the_first_filter_answers_most():
    strength = np.abs(slide(IMAGE, FILTERS[0]))
    assert ConvolutionWidget(IMAGE, FILTERS).position == strength.argmax()


def test_widget_starts_with_numbers():
    widget = ConvolutionWidget(IMAGE, FILTERS, ["bord", "point"], position=(3, 3))
    assert repr(widget) == "<ConvolutionWidget>" and widget.shape == [7, 6]
    assert divmod(widget.position, 6) == (3, 3)
    assert "Corrélation" in widget.text and "« bord »".replace(" ", "\u00a0") in widget.text
    assert "ligne 3, colonne 3" in widget.text and "6 produits" in widget.text
    assert widget.fallback().alt == widget.text
    assert widget.svg.count("<image") == 2 and "somme" in widget.svg


def test_settings_change_the_sum_that_is_shown():
    widget = ConvolutionWidget(IMAGE, FILTERS, position=(0, 0))
    texts = {widget.text}
    for name, value in (("position", 8), ("filter", 1), ("flipped", True)):
        setattr(widget, name, value)
        texts.add(widget.text)
    assert len(texts) == 4
    assert "Convolution, filtre retourné" in widget.text and "ligne 1, colonne 2" in widget.text
    window = IMAGE[1:4, 2:4]
    total = f"{(window * FILTERS[1, ::-1, ::-1]).sum():.3g}".replace(".", ",").replace("-", "−")
    assert f"vaut {total}." in widget.text and f">{total}</text>" in widget.svg


def test_every_table_shows_its_numbers_in_french():
    svg = draw_convolution(np.eye(4), np.array([[0.5, -1.0], [0.0, 2.0]]), (1, 1), "Essai")
    cells = re.findall(r'font-size="12"[^>]*>([^<]*)<', svg)
    assert cells == ["1", "0", "0", "1", "0,5", "−1", "0", "2", "0,5", "0", "0", "2"]
    assert "2,5" in svg


def test_an_image_of_zeros_divides_by_nothing():
    with np.errstate(all="raise"):
        assert "vaut 0" in ConvolutionWidget(np.zeros((4, 4)), np.zeros((1, 2, 2))).text


@pytest.mark.parametrize(
    ("image", "filters", "options"),
    [
        (np.zeros((4, 4)), np.zeros((2, 2)), {}),
        (np.zeros((1, 4, 4)), np.zeros((1, 2, 2)), {}),
        (np.zeros((4, 4)), np.zeros((1, 5, 2)), {}),
        (np.zeros((4, 4)), np.zeros((1, 2, 2)), {"position": (3, 0)}),
    ],
)
def test_impossible_shapes_and_places_are_refused(image, filters, options):
    with pytest.raises(ValueError, match=r"filtres|hors de la carte"):
        ConvolutionWidget(image, filters, **options)
