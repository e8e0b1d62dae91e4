"""Chaque leçon telle qu’elle s’ouvre, sans rien exécuter : première page, images, accessibilité."""

from pathlib import Path

import nbformat
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.notebooks]

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OURS = ".jp-OutputArea-output[data-mime-type='text/html']"
# JupyterLab ne dessine que les cellules proches de l’écran : demander toutes les sorties.
EVERY_OUTPUT_SHOWN = """([count, ours]) => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  if (notebook.notebookConfig.windowingMode !== "none")
    notebook.notebookConfig = { ...notebook.notebookConfig, windowingMode: "none" };
  notebook.widgets.forEach((cell, rank) => {
    if (cell.model.type === "code" && cell.isPlaceholder()) notebook.renderCellOutputs(rank);
  });
  return notebook.node.querySelectorAll(ours).length === count;
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
        page.page.wait_for_function(
            EVERY_OUTPUT_SHOWN,
            arg=[len(html_outputs(notebook)), OURS],
            polling=300,
        )
        images = page.page.locator(f"{OURS} img").evaluate_all(IMAGES)
        assert len(images) == sum(html.count("<img") for html in html_outputs(notebook))
        assert all(len(alt) > 10 and width > 50 for alt, width in images)
        if html_outputs(notebook):
            assert page.violations(OURS) == []
        assert page.errors == []
