"""Le widget de la leçon 05 dans un vrai JupyterLab : curseur, menu, clavier, deux thèmes."""

import pytest

pytestmark = pytest.mark.browser

CODE = "from course.viz import InitializationWidget\nw = InitializationWidget('tanh')\nw"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_initialization_answers_the_slider_the_menu_and_python(lab, theme):
    with lab.open(lab.notebook(f"initialisation_{theme}", CODE), theme) as page:
        assert page.run_all() == []
        widget = page.page.locator(".chainage")
        widget.locator("svg").wait_for()
        status = widget.locator("[aria-live=polite]")
        assert "tanh" in status.text_content()
        page.screenshot("initialisation")
        assert page.violations() == []

        gain = widget.get_by_label("Écart type des poids, fois √n")
        gain.focus()
        gain.press("End")
        page.page.wait_for_function(
            "() => document.querySelector('.chainage-status').textContent.includes(' 4/√n')"
        )
        assert widget.locator("output").text_content() == "4"
        assert page.run_python("print(w.gain)") == "4.0"
        page.screenshot("initialisation-4")

        widget.get_by_label("Activation").select_option("relu")
        page.page.wait_for_function(
            "() => document.querySelector('.chainage-status').textContent.includes('relu')"
        )
        page.run_python("w.gain = 1.41")
        page.page.wait_for_function(
            "() => document.querySelector('.chainage-status').textContent.includes('1,41/√n')"
        )
        assert widget.locator("output").text_content() == "1,41"
        assert status.text_content() == page.run_python("print(w.text)")
        page.screenshot("initialisation-relu")
        assert page.errors == []
