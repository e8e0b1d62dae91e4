"""Le widget de la leçon 11 dans un vrai notebook : chercher le NaN au clavier, puis le guérir."""

import pytest

pytestmark = pytest.mark.browser

CODE = """import numpy as np
import engine.tensor as T
from course.viz import NanHuntWidget
z = T.fmatrix("z")
e = T.exp(z)
cost = -T.log(e / e.sum(axis=1, keepdims=True))[:, 0].mean()
scores = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
w = NanHuntWidget([z], cost, [scores], exponent=2)
w"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_nan_is_hunted_by_keyboard_and_gone_once_rewritten(lab, theme):
    with lab.open(lab.notebook(f"nan_{theme}", CODE), theme) as page:
        assert page.run_all() == []
        widget = page.page.locator(".chainage")
        widget.locator("svg").wait_for()
        status = widget.locator("[aria-live=polite]")
        assert "Premier NaN à l’étape 4" in status.text_content()
        page.screenshot("nan")
        assert page.violations() == []
        step = widget.get_by_label("Étape")
        step.focus()
        step.press("Home")
        page.page.wait_for_function(
            "() => /Aucun mauvais nombre/.test("
            "document.querySelector('.chainage [aria-live]').textContent)"
        )
        step.press("ArrowRight")
        page.page.wait_for_function(
            "() => /Étape 1 sur 9.*infinis/.test("
            "document.querySelector('.chainage [aria-live]').textContent)"
        )
        page.screenshot("nan-pas")
        assert page.violations() == []
        step.press("End")
        widget.get_by_label("Graphe").select_option("rewritten")
        page.page.wait_for_function(
            "() => /réécrit.*Aucun mauvais nombre/.test("
            "document.querySelector('.chainage [aria-live]').textContent)"
        )
        assert int(step.get_attribute("max")) < 9
        page.screenshot("nan-gueri")
        scale = widget.get_by_label("Échelle des entrées")
        scale.focus()
        scale.press("End")
        page.page.wait_for_function(
            "() => /multipliées par 10/.test("
            "document.querySelector('.chainage [aria-live]').textContent)"
        )
        assert page.run_python("print(w.exponent, w.graph)") == "4.0 rewritten"
        page.screenshot("nan-echelle")
        assert page.violations() == []
        assert page.errors == []
