"""La première page dans un vrai JupyterLab : la tour au clavier et à la souris, la progression."""

import pytest

from course import book
from course.grading.progress import VARIABLE

pytestmark = pytest.mark.browser
LESSON = book.ROOT / "notebooks" / book.lesson(0).file
RIGHT = (
    "from course.grading.exercises.ex00 import verifier\n"
    "def un_pas(parametre, effet, taux): return parametre - taux * effet\n"
    "verifier('q3')"
)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_floor_of_the_tower_gives_the_same_number(lab, theme):
    with lab.open(LESSON, theme) as page:
        assert page.run_all() == []
        widget = page.page.locator(".chainage")
        widget.locator("button").first.wait_for()
        status = widget.locator("[aria-live=polite]")
        page.screenshot("tour")
        assert page.violations() == []
        buttons = widget.locator("button")
        assert buttons.count() == 9
        buttons.first.focus()
        for rank in range(1, 9):
            page.page.keyboard.press("ArrowDown")
            page.page.keyboard.press("Enter")
            page.page.wait_for_function(
                "n => document.querySelector('.chainage [aria-live]').textContent"
                ".includes(`Les ${n} étages`)",
                arg=rank + 1,
            )
        assert buttons.nth(8).get_attribute("aria-pressed") == "true"
        assert "def noyau" in widget.locator("code").text_content()
        page.screenshot("tour-parcourue")
        buttons.nth(5).click()
        page.page.wait_for_function(
            "() => document.querySelector('.chainage [aria-live]').textContent"
            ".includes('Tenseur rend')"
        )
        assert "0,357398" in status.text_content()
        page.screenshot("tour-tenseur")
        assert page.violations() == []
        assert page.errors == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_progress_fills_up_after_an_exercise(lab, theme, tmp_path):
    cells = (
        f"import os\nos.environ[{VARIABLE!r}] = {str(tmp_path / 'progression.json')!r}\n"
        "from course.grading import progression",
        "progression()",
        RIGHT,
        "progression()",
    )
    with lab.open(lab.notebook(f"progression_{theme}", *cells), theme) as page:
        assert page.run_all() == []
        tables = page.page.locator(".jp-OutputArea table")
        tables.nth(1).wait_for()
        before, after = (tables.nth(rank).locator("progress").first for rank in (0, 1))
        assert before.get_attribute("value") == "0" and after.get_attribute("value") == "2"
        assert after.get_attribute("aria-label").replace("\u00a0", " ") == (
            "Leçon 00 : 2 sur 6 points"
        )
        page.screenshot("progression", ".jp-OutputArea:has(table)")
        page.screenshot("progression-apres", ".jp-Cell:nth-of-type(4) .jp-OutputArea")
        assert page.violations(".jp-OutputArea table") == []
        assert page.errors == []
