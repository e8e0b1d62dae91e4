"""Portes et mémoire au fil d’un texte : ce qui est lu, choisi, dessiné, dit."""

from xml.etree import ElementTree

import numpy as np
import pytest

from course.viz import MemoryWidget
from course.viz.memory import Reading, describe_memory, shown_units
from course.viz.memory_drawing import percent

ALPHABET = list("\n abcst'<")
UNITS = 30
PLAIN = str.maketrans("\u00a0\u202f", "  ")


def read(text):
    """Une couche écrite à la main : l’unité u bouge d’autant plus que u est grand."""
    ranks = np.array([ALPHABET.index(character) for character in text])
    turns = np.where(np.arange(len(text)) % 2, 1.0, -1.0)
    c = turns[:, None] * np.arange(UNITS) / 10
    gates = np.full(c.shape, 0.25)
    probabilities = np.full((len(text), len(ALPHABET)), 0.5 / (len(ALPHABET) - 1))
    probabilities[np.arange(len(text)), (ranks + 1) % len(ALPHABET)] = 0.5
    state = {"i": gates, "f": gates + 0.5, "o": 1 - gates, "c": c, "h": np.tanh(c)}
    return {**state, "probabilities": probabilities, "alphabet": ALPHABET}


def texts(svg):
    return [node.text for node in ElementTree.fromstring(svg).iter() if node.tag.endswith("text")]


def characters(svg):
    return [n for n in ElementTree.fromstring(svg).iter() if n.get("data-position") is not None]


def test_something_is_shown_before_anyone_moves_anything():
    widget = MemoryWidget(read, text="abac")
    said = widget.summary.translate(PLAIN)
    assert said.startswith("Après « abac », la suite la plus probable est s (50 %). Unité 29 : ")
    assert "entrée 0,25, oubli 0,75, sortie 0,75, cellule 2,9, état caché 0,99" in said
    assert widget.fallback().alt == widget.summary
    assert widget.units == list(range(29, 5, -1))
    assert "et 6 autres unités, dont la cellule bouge moins" in texts(widget.svg)
    assert repr(widget) == "<MemoryWidget>"


def test_the_current_character_is_the_only_one_the_tab_key_reaches():
    widget = MemoryWidget(read, text="a b\n")
    widget.position = 1
    marks = characters(widget.svg)
    assert [mark.get("tabindex") for mark in marks] == ["-1", "0", "-1", "-1"]
    assert [mark.get("aria-pressed") for mark in marks] == ["false", "true", "false", "false"]
    labels = [mark.get("aria-label").translate(PLAIN) for mark in marks]
    assert labels[1::2] == ["caractère 2 : une espace", "caractère 4 : la fin de ligne"]
    assert {"␣", "⏎"} <= set(texts(widget.svg))


def test_what_is_read_is_escaped():
    widget = MemoryWidget(read, text="<'<")
    assert [mark.get("aria-label")[-1] for mark in characters(widget.svg)] == ["<", "'", "<"]


@pytest.mark.parametrize(
    ("key", "name", "ends"),
    [("i", "porte d’entrée", ["0", "1"]), ("h", "état caché", ["−1", "1"])],
)
def test_each_quantity_has_its_scale(key, name, ends):
    widget = MemoryWidget(read, text="abac")
    widget.quantity = key
    shown = texts(widget.svg)
    assert f"Unité 29\u00a0: {name}, au fil du texte" in shown
    assert f"{ends[1]} ({name})" in shown and ends[0] in shown


def test_cell_scale_is_its_largest_value():
    assert Reading.of("abac", read("abac")).span("c") == pytest.approx((-2.9, 2.9))
    silent = {**read("a"), "c": np.zeros((1, UNITS))}
    assert Reading.of("a", silent).span("c") == (-1, 1)


def test_a_followed_unit_is_always_on_the_map():
    widget = MemoryWidget(read, text="abac")
    widget.unit = 2
    assert widget.units[-1] == 2 and len(widget.units) == 24
    assert "Unité 2\u00a0:" in widget.summary
    assert shown_units(Reading.of("ab", read("ab")), 29) == list(range(29, 5, -1))


def test_position_and_unit_stay_where_there_is_something():
    widget = MemoryWidget(read, text="abac")
    widget.position, widget.unit = 99, 99
    assert (widget.position, widget.unit) == (3, 29)
    widget.position, widget.unit = -1, -1
    assert (widget.position, widget.unit) == (0, 0)


def test_another_text_is_read_and_unknown_characters_are_told():
    widget = MemoryWidget(read, text="abac")
    widget.unit = 4
    widget.asked = "tas"
    assert (widget.text, widget.position, widget.unit) == ("tas", 2, 4)
    widget.asked = "t@Zas" + 80 * "a"
    assert widget.text == "tas" + 57 * "a"
    assert widget.summary.endswith("laissé de côté\u00a0: @Z")
    assert "«\u00a0…aaaaaaaaaaaaaaaaaaaaaaaa\u00a0»" in widget.summary
    widget.asked = "@"
    assert widget.text.startswith("tas") and widget.summary.endswith("@")
    widget.asked = "b"
    assert "laissé" not in widget.summary and len(characters(widget.svg)) == 1


def test_a_reading_that_fails_says_so_and_keeps_the_last_text():
    def fragile(text):
        return read(text if text != "b" else "inconnu")

    widget = MemoryWidget(fragile, text="abac")
    widget.asked = "b"
    assert widget.text == "abac"
    assert "read a échoué\u00a0: ValueError" in widget.summary


def test_shapes_and_keys_are_checked():
    incomplete = read("ab")
    del incomplete["o"]
    with pytest.raises(ValueError, match="il manque o"):
        Reading.of("ab", incomplete)
    with pytest.raises(ValueError, match=r"f de forme \(2, 30\).*reçu de forme \(30, 2\)"):
        Reading.of("ab", {**read("ab"), "f": np.ones((30, 2))})
    with pytest.raises(ValueError, match=r"probabilities de forme \(2, 9\)"):
        Reading.of("ab", {**read("ab"), "probabilities": np.ones((3, 9))})


@pytest.mark.parametrize(("text", "quantity"), [("", "c"), (61 * "a", "c"), ("a", "g")])
def test_what_cannot_be_shown_is_refused(text, quantity):
    with pytest.raises(ValueError, match="parmi i, f, o, c, h"):
        MemoryWidget(read, text=text, quantity=quantity)


def test_likely_characters_come_in_order_and_are_named():
    reading = Reading.of("c ", read("c "))
    assert [character for character, _ in reading.likely(0)] == ["s", "\n", " "]
    ended = reading._replace(probabilities=np.eye(len(ALPHABET))[:2])
    assert "est la fin de ligne (100" in describe_memory(ended, 0, 0)


@pytest.mark.parametrize(
    ("share", "shown"), [(0.234, "23 %"), (0.004, "< 1 %"), (0.0, "0 %"), (1.0, "100 %")]
)
def test_percentages(share, shown):
    assert percent(share).translate(PLAIN) == shown
