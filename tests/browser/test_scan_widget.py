"""La boucle dépliée de la leçon 08 dans un vrai JupyterLab : curseurs, clavier, retour, thèmes."""

import pytest

pytestmark = pytest.mark.browser

THEMES = pytest.mark.parametrize("theme", ["light", "dark"])
CODE = "from course.viz import ScanWidget\nw = ScanWidget(turns=4, parameter=1.5)\nw"
HORNER = """
from course.viz import ScanWidget
w = ScanWidget("horner", start=0, parameter=3, span=(-3, 3), rows=[2, 0, 1], turns=3, backward=True)
w
"""


def contains(page, text):
    page.page.wait_for_function(
        "text => document.querySelector('.chainage svg')?.textContent.includes(text)", arg=text
    )


@THEMES
def test_sliders_unfold_and_the_button_climbs_back(lab, theme):
    with lab.open(lab.notebook(f"scan_{theme}", CODE), theme) as page:
        assert page.run_all() == []
        contains(page, "p₄")
        widget = page.page.locator(".chainage")
        page.screenshot("scan")
        assert page.violations() == []
        active = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
        selected = page.page.evaluate(active)
        turns = widget.get_by_label("Nombre de tours")
        turns.focus()
        turns.press("ArrowRight")
        contains(page, "p₅")
        assert page.run_python("print(w.turns)") == "5"
        turns.press("End")
        contains(page, "p₈")
        widget.get_by_label("Valeur de A").press("Home")
        contains(page, "A = −2")
        assert "p₈ vaut 256" in widget.locator("[aria-live=polite]").text_content()
        button = widget.get_by_role("button")
        assert button.text_content() == "Remonter les tours"
        button.press("Enter")
        contains(page, "effet de chaque p")
        assert button.text_content() == "Cacher le retour"
        page.screenshot("scan-retour")
        assert page.violations() == []
        assert page.page.evaluate(active) == selected  # les flèches n’ont pas changé de cellule
        page.run_python("w.turns = 2; w.parameter = 0.5")
        contains(page, "A = 0,5")
        assert turns.input_value() == "2"
        assert "celui de A, somme d’une part par tour, est 1." in widget.text_content()
        assert page.errors == []


@THEMES
def test_a_sequence_enters_one_element_per_turn(lab, theme):
    with lab.open(lab.notebook(f"horner_{theme}", HORNER), theme) as page:
        assert page.run_all() == []
        contains(page, "s₃")
        widget = page.page.locator(".chainage")
        assert "s₃ vaut 19" in widget.locator("[aria-live=polite]").text_content()
        assert widget.get_by_label("Nombre de tours").get_attribute("max") == "3"
        page.screenshot("scan-horner")
        assert page.violations() == []
        assert page.errors == []
