"""Le zoo : ranger, reprendre, refuser ; et refaire les poids d’une leçon par ses cellules."""

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import engine
from course import zoo
from course.zoo.remaking import prepare, remake
from engine.core.errors import DataError, EngineError, ShapeError


def shared(name, *shape, dtype="float32"):
    return engine.shared(np.arange(np.prod(shape)).reshape(shape).astype(dtype), name=name)


@pytest.fixture
def folder(tmp_path):
    zoo.save("deux", [shared("W", 2, 3), shared("n", 4, dtype="int64")], {"erreur": 0.5}, tmp_path)
    return tmp_path


def test_what_is_saved_comes_back(folder):
    W, n = shared("W", 2, 3), shared("n", 4, dtype="int64")
    W.set_value(-W.get_value())
    card = zoo.load("deux", [n, W], folder)
    assert card.about == {"erreur": 0.5} and card.shapes == {"W": (2, 3), "n": (4,)}
    assert W.get_value().tolist() == [[0, 1, 2], [3, 4, 5]] and W.get_value().dtype == np.float32
    assert zoo.weights("deux", folder)["n"].dtype == np.int64
    assert zoo.cards(folder) == {"deux": card}


def test_weights_take_two_bytes(tmp_path):
    card = zoo.save("gros", [shared("W", 100, 10)], {}, tmp_path)
    assert 2000 < card.size < 2300


def test_a_second_model_keeps_the_first(folder):
    zoo.save("un", [shared("b", 2)], {}, folder)
    zoo.save("deux", [shared("b", 5)], {}, folder)
    assert {name: card.shapes for name, card in zoo.cards(folder).items()} == {
        "deux": {"b": (5,)},
        "un": {"b": (2,)},
    }
    assert sorted(path.name for path in folder.iterdir()) == [
        "SHA256SUMS",
        "deux.safetensors",
        "un.safetensors",
    ]


@pytest.mark.parametrize(
    ("parameters", "error", "said"),
    [
        ([("W", 2, 3)], DataError, "W, n"),
        ([("W", 2, 3), ("n", 4), ("b", 1)], DataError, "W, b, n"),
        ([("n", 4), ("W", 3, 2)], ShapeError, r"\(2, 3\)"),
        ([("W", 2, 3), ("W", 2, 3)], EngineError, "un nom à lui"),
    ],
)
def test_refusals_change_nothing(folder, parameters, error, said):
    variables = [shared(*row) for row in parameters]
    before = [variable.get_value() + 7 for variable in variables]
    for variable, value in zip(variables, before, strict=True):
        variable.set_value(value.astype(variable.dtype))
    with pytest.raises(error, match=said):
        zoo.load("deux", variables, folder)
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable.get_value(), value)


def test_unknown_and_damaged_models_are_named(folder):
    with pytest.raises(DataError, match=r"trois[\s\S]*deux"):
        zoo.weights("trois", folder)
    path = folder / "deux.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="abîmé"):
        zoo.weights("deux", folder)


@pytest.mark.parametrize(("value", "error"), [(np.nan, EngineError), (1e6, DataError)])
def test_numbers_that_cannot_be_written_are_refused(folder, value, error):
    W = shared("W", 2)
    W.set_value(np.array([1, value], "float32"))
    with pytest.raises(error, match="W"):
        zoo.save("deux", [W], {}, folder)
    assert zoo.cards(folder)["deux"].shapes == {"W": (2, 3), "n": (4,)}


def test_a_lesson_remakes_its_weights(tmp_path):
    path = tmp_path / "lecon.ipynb"
    cells = [
        new_markdown_cell("# Essai"),
        new_code_cell("REFAIRE = False  # True : une seconde"),
        new_code_cell(
            "import pathlib\nif REFAIRE:\n    pathlib.Path('fait').write_text('zoo.save(')"
        ),
        new_code_cell("1 / 0"),
    ]
    nbformat.write(new_notebook(cells=cells), path)
    before = path.read_bytes()
    remake(path)
    assert (tmp_path / "fait").exists() and path.read_bytes() == before


def test_a_lesson_without_training_is_refused():
    with pytest.raises(EngineError, match="REFAIRE"):
        prepare(new_notebook(cells=[new_code_cell("zoo.save('a', [], {})")]))


@pytest.mark.parametrize("name", sorted(zoo.cards()))
def test_shipped_models_are_whole_and_described(name):
    card = zoo.cards()[name]
    assert card.about and card.size < 2_000_000
    assert all(np.isfinite(array).all() for array in zoo.weights(name).values())
