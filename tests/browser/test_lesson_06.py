"""La leçon 06 dans un vrai JupyterLab : tout exécuter, voir les courbes et les dix filtres.

Un second test appuie sur « interrompre » en plein entraînement, relance la cellule, et retrouve
les nombres d’un entraînement que rien n’a coupé.
"""

import re
from pathlib import Path

import nbformat
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.notebooks, pytest.mark.slow]

LESSON = Path(__file__).resolve().parents[2] / "notebooks" / "06_regression_logistique.ipynb"
ALL_CELLS_MS = 400_000  # une machine chargée ; seule, la leçon prend moins d’une minute


def rank_of(text):
    """Le rang de la seule cellule de code qui contient `text`."""
    cells = nbformat.read(LESSON, as_version=4).cells
    (rank,) = [k for k, c in enumerate(cells) if c.cell_type == "code" and text in c.source]
    return rank


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_run_all_shows_curves_and_ten_filters(lab, theme):
    with lab.open(LESSON, theme) as page:
        assert page.run_all(timeout=ALL_CELLS_MS) == []
        page.page.set_viewport_size({"width": 1300, "height": 1500})
        widgets = page.show_cell(rank_of("display(courbes, filtres)")).locator(".chainage")
        curves, filters = widgets.nth(0), widgets.nth(1)
        filters.wait_for()
        assert curves.locator("polyline").count() == 2
        assert "époque 95" in curves.locator("p").text_content()
        assert filters.locator("canvas").count() == 10
        assert filters.locator("output").text_content() == "95"
        drawn = "canvas => new Set(canvas.getContext('2d').getImageData(0, 0, 28, 28).data).size"
        assert all(canvas.evaluate(drawn) > 20 for canvas in filters.locator("canvas").all())
        widgets.nth(0).screenshot(path=lab.captures / f"lecon06-courbes-{theme}.png")
        widgets.nth(1).screenshot(path=lab.captures / f"lecon06-filtres-{theme}.png")
        assert page.violations(".chainage") == []
        pictures = page.show_cell(rank_of("filter_grid")).locator(".jp-OutputArea img")
        pictures.first.wait_for()
        assert pictures.first.evaluate("image => image.complete && image.naturalWidth") > 300
        page.page.screenshot(path=lab.captures / f"lecon06-page-{theme}.png")
        text = "".join(o.get("text", "") for cell in page.outputs() for o in cell)
        for figure in ("11,89 %", "10,52 %", "9,94 %", "époques : 96", "7,22 %", "7,69 %"):
            assert figure in text
        assert page.errors == []


def test_stop_button_loses_nothing(lab):
    setup = """
import time, tempfile, pathlib
import numpy as np, engine
from engine.nn import Training
w = engine.shared(np.zeros(3), name="w")
def step(batch):
    time.sleep(0.005)
    w.set_value(0.9 * w.get_value() + batch)
    return float(w.get_value().sum())
def validate():
    return 1 / (1 + len(t.history))
path = pathlib.Path(tempfile.mkdtemp()) / "w.safetensors"
t = Training(step, 10, validate, [w], checkpoint=path)
"""
    train = "t = Training(step, 10, validate, [w], checkpoint=path)\nt.run(60)\nprint(t.iteration)"
    with lab.open(lab.notebook("arret", setup, train)) as page:
        page.command("runmenu:run-all")
        page.page.locator(".jp-OutputArea [role=progressbar], .progress-bar").first.wait_for()
        page.page.wait_for_timeout(700)
        page.page.screenshot(path=lab.captures / "lecon06-barre.png")
        page.command("notebook:interrupt-kernel")
        page.page.wait_for_function(
            "() => document.querySelector('.jp-Notebook').textContent.includes('Interrompu')"
        )
        stopped = int(re.search(r"\d+\s*$", page.run_python("print(t.iteration)")).group())
        assert 0 < stopped < 600
        page.run_python(train)
        resumed = page.run_python("print(t.iteration, repr(w.get_value()[0]))")
        again = "w.set_value(np.zeros(3))\nt = Training(step, 10, validate, [w])\n"
        page.run_python(again + "t.run(60, progress=False)")
        assert page.run_python("print(t.iteration, repr(w.get_value()[0]))") == resumed
        assert page.errors == []
