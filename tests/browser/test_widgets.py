"""Chaque widget dans un vrai notebook : il se montre, répond, et ne faute pas en accessibilité."""

import re

import pytest

pytestmark = pytest.mark.browser

THEMES = pytest.mark.parametrize("theme", ["light", "dark"])

EXPLORER = """
from course.viz import explore
def node(id, kind, **more):
    return {"id": id, "kind": kind, "label": id, **more}
data = {"nodes": [node("x", "input", detail="float32 (None, 784)", value="[0 0 1]"),
                  node("W", "shared", detail="float32 (784, 10)"),
                  node("b", "shared", detail="float32 (10,)"),
                  node("deux", "constant", detail="int8 ()"),
                  node("dot", "apply", group="couche", trace="cellule 7, ligne 2"),
                  node("add", "apply", group="couche"), node("mul", "apply"),
                  node("y", "output", detail="float32 (None, 10)")],
        "edges": [dict(zip(("source", "target", "label"), edge)) for edge in [
            ("x", "dot", "float32 (None, 784)"), ("W", "dot", ""),
            ("dot", "add", "float32 (None, 10)"), ("b", "add", ""),
            ("add", "mul", "float32 (None, 10)"), ("deux", "mul", ""), ("mul", "y", "")]]}
explorer = explore(data, title="Une couche")
explorer
"""

CURVES = """
from course.viz import LiveCurves
curves = LiveCurves("L’erreur descend", y_label="erreur (%)")
display(curves)
for epoch in range(1, 41):
    curves.add(epoch, train=7 + 9 / epoch, valid=7.2 + 8 / epoch)
"""

FILTERS = """
import numpy as np
from course.viz import LiveFilters
rows, columns = np.mgrid[-1:1:28j, -1:1:28j]
waves = [np.cos(4 * rows + k) * np.exp(-2 * columns**2) for k in range(10)]
target = np.reshape(waves, (10, -1)).T
noise = np.random.default_rng(0)
live = LiveFilters(10)
display(live)
for epoch in range(60):
    live.update(target * epoch / 60 + 0.1 * noise.normal(size=target.shape), epoch)
"""


def run(lab, theme, name, code):
    page = lab.open(lab.notebook(f"{name}_{theme}", code), theme)
    assert page.run_all() == []
    page.page.wait_for_selector(".chainage svg, .chainage canvas", timeout=20_000)
    return page


@THEMES
def test_perturbation_answers_the_slider_and_python(lab, theme):
    code = "from course.viz import PerturbationWidget\nw = PerturbationWidget()\nw"
    with run(lab, theme, "perturbation", code) as page:
        widget = page.page.locator(".chainage")
        assert widget.locator("[data-slot=value-3]").text_content() == "2,55"
        page.screenshot("perturbation")
        assert page.violations() == []
        selected = page.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
        )
        point = widget.get_by_label("Valeur de x")
        point.focus()
        point.press("ArrowRight")
        assert point.input_value() == "1.11"
        page.page.wait_for_timeout(300)
        assert page.run_python("print(round(w.x, 2))") == "1.11"
        page.run_python("w.x = -2.0; w.dx = 0.001")
        page.page.wait_for_function(
            "() => document.querySelector('[data-slot=value-1]').textContent === '4'"
        )
        product = widget.locator("[data-slot=product]").text_content()
        expected = page.run_python(
            "from course.viz import decimal\nfrom course.viz.chains import *\n"
            "print(decimal(propagate(EXP_SIN_SQUARE, -2.0, 0.001).product, 4))"
        )
        assert product == expected
        widget.get_by_role("button", name="Pousser x").click()
        page.page.wait_for_timeout(900)
        assert widget.locator("[data-slot=dot]").get_attribute("visibility") == "visible"
        page.screenshot("perturbation-en-route")
        page.page.emulate_media(reduced_motion="reduce")
        widget.get_by_role("button", name="Pousser x").click()
        assert widget.locator("[data-slot=dot]").get_attribute("visibility") == "hidden"
        now = page.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
        )
        assert now == selected  # les flèches n’ont pas changé de cellule
        assert page.errors == []


def test_javascript_and_python_share_one_table_of_functions(lab):
    code = (
        "from course.viz import PerturbationWidget, Step\nfrom course.viz.chains import FUNCTIONS\n"
        "for key in FUNCTIONS:\n"
        "    display(PerturbationWidget([Step('y', key, key)], x=0.7, dx=0.01, span=(0, 2)))"
    )
    with run(lab, "light", "table", code) as page:
        page.page.wait_for_function("() => document.querySelectorAll('.chainage svg').length === 9")
        shown = page.page.locator("[data-slot=product]").all_text_contents()
        expected = page.run_python(
            "from course.viz.chains import *\nfrom course.viz import decimal\n"
            "for key in FUNCTIONS:\n"
            "    print(decimal(propagate([Step('y', key, key)], 0.7, 0.01).product, 4))"
        )
        assert shown == expected.split("\n")


@THEMES
def test_explorer_folds_and_walks_by_keyboard(lab, theme):
    with run(lab, theme, "explorer", EXPLORER) as page:
        widget = page.page.locator(".chainage")
        page.screenshot("explorateur")
        assert page.violations() == []
        widget.locator("[data-id=y]").focus()
        page.page.keyboard.press("ArrowUp")
        focused = "() => document.activeElement.dataset.id"
        assert page.page.evaluate(focused) == "mul"
        page.page.keyboard.press("Enter")
        page.page.wait_for_function(
            "() => document.querySelectorAll('.chainage-node').length === 2"
        )
        page.page.wait_for_function("() => document.activeElement.dataset?.id === 'mul'")
        page.screenshot("explorateur-replie")
        page.page.keyboard.press("Enter")
        page.page.wait_for_function(
            "() => document.querySelectorAll('.chainage-node').length === 8"
        )
        widget.get_by_label("Replier", exact=True).select_option("group")
        widget.locator("[data-id=add]").press("Enter")
        page.page.wait_for_function("() => document.activeElement.dataset?.id === 'groupe:couche'")
        widget.get_by_label("Sur les arêtes").select_option("values")
        page.page.wait_for_function(
            "() => document.querySelector('.chainage svg').textContent.includes('[0 0 1]')"
        )
        status = widget.locator("[aria-live=polite]").text_content()
        assert re.search("groupe replié couche", status, re.IGNORECASE)
        page.screenshot("explorateur-groupe")
        widget.get_by_role("button", name="Tout déplier").click()
        page.page.wait_for_function(
            "() => document.querySelectorAll('.chainage-node').length === 8"
        )
        assert page.run_python("print(explorer.folds)") == "[]"
        assert page.errors == []


@THEMES
def test_curves_follow_the_training(lab, theme):
    with run(lab, theme, "courbes", CURVES) as page:
        page.page.wait_for_function(
            "() => document.querySelector('.chainage p').textContent.includes('époque 40')"
        )
        page.screenshot("courbes")
        assert page.violations() == []
        assert page.errors == []


@THEMES
def test_filters_form_and_replay(lab, theme):
    with run(lab, theme, "filtres", FILTERS) as page:
        widget = page.page.locator(".chainage")
        page.page.wait_for_function(
            "() => document.querySelector('.chainage output').textContent === '59'"
        )
        page.screenshot("filtres")
        assert page.violations() == []
        replay = widget.get_by_label("Époque montrée")
        replay.focus()
        replay.press("Home")
        assert widget.locator("output").text_content() == "0"
        page.screenshot("filtres-debut")
        kept = int(replay.get_attribute("max")) + 1
        assert kept == int(page.run_python("print(len(live.epochs))"))
        assert page.errors == []
