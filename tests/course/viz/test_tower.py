"""La tour des outils : elle fait calculer l’étage choisi, compare, et survit à une erreur."""

from xml.etree import ElementTree

import pytest

from course.viz import Floor, TowerWidget
from course.viz.tower import draw_tower


def by_sum(numbers):
    return sum(numbers)


def by_loop(numbers):
    total = 0.0
    for number in numbers:
        total += number
    return total


def by_mistake(numbers):
    return sum(numbers) + 1


def helper(numbers):

    # une ligne vide ne compte pas ; un commentaire, si
    return by_sum(numbers)


FLOORS = [
    Floor("Somme", "additionne", by_sum, lesson="01"),
    Floor("Boucle", "un par un", by_loop),
    Floor("Faute", "se trompe", by_mistake),
    Floor("Panne", "s’arrête", lambda numbers: 1 / 0, shown=helper),
]


@pytest.fixture
def tower():
    return TowerWidget(FLOORS, [[0.1, 0.2, 0.3]])


def test_first_floor_is_open_and_computed_before_anyone_clicks(tower):
    assert tower.selected == 0 and tower.results[0].startswith("0,6 en ")
    assert tower.results[1:] == ["", "", ""]
    assert "Choisissez un autre étage" in tower.text and "en 1 ligne" in tower.text
    assert repr(tower) == "<TowerWidget>"


def test_a_floor_shows_the_text_of_its_function(tower):
    assert tower.floors[1]["code"].startswith("def by_loop(numbers):\n    total = 0.0")
    assert [floor["lines"] for floor in tower.floors] == [1, 4, 1, 2]
    assert tower.floors[3]["code"].startswith("def helper")
    assert [floor["lesson"] for floor in tower.floors] == ["01", "", "", ""]


def test_choosing_a_floor_computes_and_compares(tower):
    tower.selected = 1
    assert tower.results[1].startswith("0,6 en ")
    assert "Les 2 étages déjà visités donnent le même nombre" in tower.text
    tower.selected = 2
    assert "Ce nombre n’est pas celui des autres étages" in tower.text


def test_an_error_is_said_and_forgotten(tower):
    tower.selected = 3
    assert tower.results[3] == "erreur" and "ZeroDivisionError" in tower.text
    tower.selected = 1
    assert "Les 2 étages" in tower.text


def test_picture_is_the_same_on_every_machine(tower):
    before = tower.fallback()
    tower.selected = 1
    assert tower.fallback().content == before.content and tower.fallback().alt == before.alt
    assert "Somme (1 ligne), Boucle (4 lignes)" in before.alt
    root = ElementTree.fromstring(draw_tower(tower.floors, title="Tour"))
    widths = [float(node.get("width")) for node in root.iter() if node.get("rx")]
    assert len(widths) == 4 and widths == sorted(widths) and widths[-1] < 820


def test_a_decorated_function_counts_its_own_lines_only():
    def decorate(function):
        return function

    @decorate
    def plain(numbers):
        return 1.0

    assert Floor("", "", plain).lines == 1
    assert Floor("", "", plain).code.startswith("@decorate\ndef plain")
