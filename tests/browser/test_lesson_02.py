"""Le widget de la leçon 02 dans un vrai notebook : compter en glissant, chronométrer à l’arrêt."""

import pytest

pytestmark = pytest.mark.browser

CODE = "from course.viz import OrdersWidget\nw = OrdersWidget([1024, 256, 256, 256, 1])\nw"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_orders_are_counted_then_timed_by_keyboard(lab, theme):
    with lab.open(lab.notebook(f"ordres_{theme}", CODE), theme) as page:
        assert page.run_all() == []
        widget = page.page.locator(".chainage")
        widget.locator("svg").wait_for()
        status = widget.locator("[aria-live=polite]")
        assert "mode arrière" in status.text_content()
        page.screenshot("ordres")
        assert page.violations() == []
        outputs = widget.get_by_label("Sorties")
        outputs.focus()
        outputs.press("End")
        assert outputs.get_attribute("aria-valuetext") == "1024"
        inputs = widget.get_by_label("Entrées")
        inputs.focus()
        inputs.press("Home")
        page.page.wait_for_function(
            "() => /mode avant.*Le plus rapide/.test("
            "document.querySelector('.chainage [aria-live]').textContent)"
        )
        assert page.run_python("print(w.sizes)") == "[1, 256, 256, 256, 1024]"
        page.screenshot("ordres-avant")
        page.run_python("w.sizes = w.timed = [1024, 256, 4, 256, 1024]")
        page.page.wait_for_function(
            "() => /53,4 fois autant/.test("
            "document.querySelector('.chainage [aria-live]').textContent)"
        )
        assert inputs.input_value() == outputs.input_value() == "10"
        assert widget.get_by_label("Milieu").input_value() == "2"
        page.screenshot("ordres-goulot")
        assert page.violations() == []
        assert page.errors == []
