"""Chaque leçon telle qu’elle s’ouvre, sans rien exécuter : première page, images, accessibilité."""

from pathlib import Path

import nbformat
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.notebooks]

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OURS = ".jp-OutputArea-output[data-mime-type='text/html']"
COUNT = "([selector, n]) => document.querySelectorAll(selector).length"
# JupyterLab attache les cellules peu à peu ; changer de mode avant la fin l’arrête en chemin.
SHOW_EVERY_CELL = """() => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.notebookConfig = { ...notebook.notebookConfig, windowingMode: "none" };
}"""
IMAGES = """images => Promise.all(images.map(async (image) => {
  await image.decode();
  return [image.alt, image.naturalWidth];
}))"""


def html_outputs(notebook):
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    return [o.data["text/html"] for o in outputs if "text/html" in o.get("data", {})]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_opens_whole_and_accessible(lab, path, theme):
    notebook = nbformat.read(path, as_version=4)
    with lab.open(path, theme) as page:
        page.page.wait_for_selector(".jp-Notebook h1")
        page.page.screenshot(path=lab.captures / f"premiere-page-{path.stem}-{theme}.png")
        page.page.wait_for_function(COUNT + " === n", arg=[".jp-Cell", len(notebook.cells)])
        page.page.evaluate(SHOW_EVERY_CELL)
        page.page.wait_for_function(COUNT + " === n", arg=[OURS, len(html_outputs(notebook))])
        images = page.page.locator(f"{OURS} img").evaluate_all(IMAGES)
        assert len(images) == sum(html.count("<img") for html in html_outputs(notebook))
        assert all(len(alt) > 10 and width > 50 for alt, width in images)
        if html_outputs(notebook):
            assert page.violations(OURS) == []
        assert page.errors == []
