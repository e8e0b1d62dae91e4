"""Préparer un dessin comme MNIST : la boîte, le centre de masse, les gris ; et la feuille."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import center_of_mass

from course.data import mnist
from course.viz import DigitPad
from course.viz.digit_pad import describe_answer, quantise_maps
from course.viz.digits import BOX, prepare_digit


def ink(top, left, tall, wide, side=140):
    """Une feuille qui porte un triangle plein, haut de `tall` et large de `wide`."""
    sheet = np.zeros((side, side))
    rows, columns = np.mgrid[:tall, :wide]
    sheet[top : top + tall, left : left + wide] = columns * tall <= rows * wide
    return sheet


def spans(image):
    """La hauteur et la largeur de ce qui est écrit."""
    return [axis.max() - axis.min() + 1 for axis in np.nonzero(image > 0)]


def read(image):
    halves = np.stack([image[:14], -image[14:]])
    return {"maps": {"moitiés": halves}, "probabilities": np.eye(10)[int(image.sum()) % 10]}


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(20, 80), st.integers(20, 80))
def test_digit_is_boxed_and_centred_wherever_it_was_drawn(top, left, tall, wide):
    drawn = ink(top, left, tall, wide)
    image = prepare_digit(drawn)
    before, after = spans(drawn), spans(image)
    assert max(after) == BOX
    assert abs(min(after) - BOX * min(before) / max(before)) <= 1  # sans déformer
    assert np.allclose(center_of_mass(image), 14, atol=0.56)  # comme dans MNIST


def test_result_has_the_type_and_the_greys_of_mnist():
    image = prepare_digit(ink(10, 20, 60, 45))
    assert image.shape == (28, 28) and image.dtype == np.float32
    assert image.max() == np.float32(255 / 256)
    assert np.array_equal(256 * image, np.rint(256 * image))
    assert np.array_equal(image, prepare_digit(ink(60, 75, 60, 45)))


def test_blank_sheet_stays_blank_and_a_dot_fills_the_box():
    assert not prepare_digit(np.zeros((50, 50))).any()
    assert not prepare_digit(np.full((50, 50), 0.05)).any()
    dot = np.zeros((50, 50))
    dot[3, 7] = 1
    assert prepare_digit(dot).sum() == pytest.approx(BOX * BOX * 255 / 256)


def test_box_stays_inside_even_when_the_weight_is_at_one_end():
    sheet = np.zeros((100, 100))
    sheet[:, 48:50] = 1
    sheet[80:, 20:80] = 1
    image = prepare_digit(sheet)
    assert image.sum() == pytest.approx(sheet.sum() / 25, rel=0.01)  # rien n’est coupé


def test_digits_of_mnist_come_back_as_they_are():
    originals = mnist().test.x[:100].reshape(-1, 28, 28)
    enlarged = originals.repeat(5, axis=1).repeat(5, axis=2)
    same = [np.array_equal(a, prepare_digit(b)) for a, b in zip(originals, enlarged, strict=True)]
    assert np.mean(same) >= 0.99  # un trait trop pâle peut rétrécir la boîte


def test_pad_has_read_something_before_anyone_draws():
    start = prepare_digit(ink(0, 0, 60, 30))
    pad = DigitPad(read, start, {"un trait": ink(4, 14, 20, 3, side=28).ravel()})
    assert repr(pad) == "<DigitPad>"
    assert pad.samples == ["l’image de départ", "un trait"]
    assert pad.answer["sample"] == 0 and np.array_equal(pad.image, start)
    assert pad.answer["image"] == (256 * start).astype(np.uint8).tobytes()
    (layer,) = pad.answer["maps"]
    assert layer["shape"] == [2, 14, 28] and len(layer["pixels"]) == 2 * 14 * 28
    assert "Réponse" in pad.answer["text"]
    assert pad.answer["text"] in pad.fallback().alt
    assert "moitiés\u00a0: 2 cartes de 14 × 28" in pad.fallback().alt


def test_pad_answers_ink_and_samples():
    pad = DigitPad(read, np.zeros(784), {"un trait": ink(4, 14, 20, 3, side=28)})
    drawn = ink(20, 30, 70, 40)
    pad._listen(
        pad, {"side": 140, "asked": 1}, [memoryview((255 * drawn).astype(np.uint8).ravel())]
    )
    assert np.array_equal(pad.image, prepare_digit(drawn))
    assert "sample" not in pad.answer and pad.answer["asked"] == 1
    pad._listen(pad, {"sample": 1, "asked": 2}, [])
    assert pad.answer["sample"] == 1 and pad.image[23].any()
    pad._listen(pad, {"side": 140, "asked": 3}, [bytes(140 * 140)])
    assert "Feuille blanche" in pad.answer["text"]


def test_answer_in_words():
    probabilities = [0.0, 0.2, 0.0, 0.75, 0.05]
    said = describe_answer(np.ones((28, 28)), probabilities).replace("\u00a0", " ")
    assert "Réponse : 3, avec une probabilité de 75 %" in said and "puis 1, avec 20 %" in said
    sure = describe_answer(np.ones((28, 28)), [0.0, 0.001, 0.999])
    assert "plus de 99" in sure and "puis" not in sure


def test_maps_share_one_scale_centred_on_zero():
    maps = np.zeros((2, 1, 2))
    maps[0, 0, 1], maps[1, 0, 0] = -4.0, 2.0
    assert list(quantise_maps(maps)) == [128, 1, 192, 128]


@pytest.mark.parametrize(
    "answer",
    [
        {"maps": {"c": np.zeros((1, 2, 3, 3))}, "probabilities": np.ones(10)},
        {"maps": {}},
        {"maps": {}, "probabilities": 3},
        np.ones(10),
    ],
)
def test_a_reading_of_the_wrong_form_is_refused(answer):
    with pytest.raises(ValueError, match="read doit rendre"):
        DigitPad(lambda image: answer, np.zeros(784))


def test_an_image_of_the_wrong_size_is_named():
    with pytest.raises(ValueError, match=r"un neuf.*28"):
        DigitPad(read, np.zeros(784), {"un neuf": np.zeros((32, 32))})
