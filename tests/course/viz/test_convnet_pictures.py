"""Les images d’un réseau convolutif : ce qui excite un filtre, ses cartes, la saillance."""

import io

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

from course.viz import (
    confusion_image,
    excitation_grid,
    filter_mosaic,
    ideal_images,
    maps_image,
    saliency_grid,
    strongest_patches,
    use_course_style,
)
from engine import config, function
from engine import tensor as T
from engine.nn import Convolution, Pooling, chain

PNG = b"\x89PNG"


@pytest.fixture(autouse=True)
def floatx(request):
    dtype = getattr(request, "param", "float32")
    with config.change_flags(floatX=dtype):
        yield dtype


@pytest.fixture
def layer():
    return Convolution(1, 3, 3, name="c", generator=np.random.default_rng(0))


def compiled(layers):
    x = T.tensor4("x")
    return function([x], layers(x))


def images(count, side, seed=1):
    pixels = np.random.default_rng(seed).random((count, 1, side, side))
    return pixels.astype(config.floatX)


def test_strongest_patches_are_the_strongest(layer):
    """Aucun morceau d’aucune image n’excite plus un filtre que le premier rendu."""
    seen = images(7, 8)
    patches = strongest_patches(compiled(layer), seen, size=3, count=2)
    assert patches.shape == (3, 2, 3, 3)
    maps = compiled(layer)(seen)
    answers = compiled(layer)(patches.reshape(-1, 1, 3, 3)).reshape(3, 2, 3)
    for rank in range(3):
        by_image = np.sort(maps[:, rank].max(axis=(1, 2)))[::-1]
        np.testing.assert_allclose(answers[rank, :, rank], by_image[:2], rtol=1e-4)


def test_the_patches_of_a_second_stage(layer):
    """Un point de la seconde couche voit 8 pixels : 3, deux fois 2 pour ses trois points, 1."""
    second = Convolution(3, 2, 3, name="d", generator=np.random.default_rng(2))
    stages = chain(layer, Pooling(2), T.tanh, second)
    seen = images(5, 14)
    patches = strongest_patches(compiled(stages), seen, size=8, stride=2, count=1)
    answers = compiled(stages)(patches.reshape(-1, 1, 8, 8))
    assert answers.shape == (2, 2, 1, 1)
    tops = compiled(stages)(seen).max(axis=(0, 2, 3))
    np.testing.assert_allclose(np.diagonal(answers[:, :, 0, 0]), tops, rtol=1e-4)


def test_many_images_are_taken_in_chunks(layer, monkeypatch):
    whole = strongest_patches(compiled(layer), images(9, 6), size=3)
    monkeypatch.setattr("course.viz.excitation.CHUNK", 4)
    np.testing.assert_array_equal(strongest_patches(compiled(layer), images(9, 6), size=3), whole)


@pytest.mark.parametrize("floatx", ["float32", "float64"], indirect=True)
def test_the_ideal_image_of_a_linear_filter_inks_its_positive_weights(layer, floatx):
    best = ideal_images(layer, count=3, size=3)
    assert best.dtype == floatx
    flipped = layer.W.get_value()[:, 0, ::-1, ::-1]
    clear = np.abs(flipped) > 0.05 * np.abs(flipped).max()
    assert np.array_equal((best > 0.5)[clear], (flipped > 0)[clear])
    assert best.min() >= 0 and best.max() <= 1


def test_climbing_climbs(layer):
    stages = chain(layer, T.tanh, Convolution(3, 2, 3, generator=np.random.default_rng(3)))
    start, end = (ideal_images(stages, count=2, size=5, steps=steps) for steps in (0, 50))
    before, after = (np.diagonal(compiled(stages)(x[:, None])[:, :, 0, 0]) for x in (start, end))
    assert (after > before).all()


def test_every_picture_has_its_text_and_is_the_same_twice(layer):
    generator = np.random.default_rng(0)
    patches, ideals = generator.random((5, 2, 3, 3)), generator.random((5, 3, 3))
    signed = generator.normal(size=(5, 3, 3))
    weights = generator.normal(size=(4, 2, 3, 3))
    makers = [
        lambda: excitation_grid(patches, ideals, "Titre", "Cinq filtres.", weights=signed),
        lambda: excitation_grid(patches, ideals, "Titre", "Cinq filtres.", columns=3),
        lambda: filter_mosaic(weights, "Titre", "Huit carrés."),
        lambda: maps_image(ideals[0], {"a": signed, "b": signed * 0}, "Titre", "Cinq cartes."),
        lambda: saliency_grid(ideals, signed, range(5), "Titre", "Cinq images."),
    ]
    for make in makers:
        picture = make()
        assert picture.content.startswith(PNG)
        assert picture.alt in picture._repr_html_()
        assert picture.content == make().content


def test_the_title_stays_clear_of_the_column_names(layer):
    """`use_course_style` demande à matplotlib de placer tout ; ici les marges sont faites main."""
    patches, ideals = np.zeros((4, 2, 3, 3)), np.zeros((4, 3, 3))
    with mpl.rc_context():
        use_course_style()
        picture = excitation_grid(patches, ideals, "Titre", "Des filtres.")
    pixels = plt.imread(io.BytesIO(picture.content))[..., :3]
    inked = (pixels < 0.9).any(axis=(1, 2))[:100]
    bands = np.count_nonzero(np.diff(inked.astype(int)) == 1)
    assert bands >= 2  # le titre, du blanc, les noms des colonnes


def test_the_confusions_are_counted_off_the_diagonal():
    with mpl.rc_context():
        use_course_style()
        counts = np.array([[50, 3], [0, 47]])
        picture = confusion_image(counts, "Trois erreurs", "Deux classes.", names=["a", "b"])
    text = picture.content.decode()
    assert picture.kind == "svg"
    assert all(f"<!-- {shown} -->" in text for shown in ("50", "3", "47", "a", "b"))
    assert "<!-- 0 -->" not in text  # un zéro ne se montre pas
