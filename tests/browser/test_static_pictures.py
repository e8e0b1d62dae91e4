"""Un notebook qu’on ouvre sans l’exécuter : les images fixes et leurs textes sont là."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

import engine
import engine.tensor as T
from course.viz import (
    LiveCurves,
    LiveFilters,
    PerturbationWidget,
    explore,
    picture_of,
    profile_figure,
    rewriting_image,
    static_output,
)

pytestmark = pytest.mark.browser


def displayed():
    """Ce que cinq cellules auraient affiché : quatre widgets et une figure."""
    curves = LiveCurves("L’erreur descend", y_label="erreur (%)", scale="log")
    for epoch in range(1, 30):
        curves.add(epoch, train=20 / epoch, valid=1 + 20 / epoch, test=2 + 20 / epoch)
    x = {"id": "x", "kind": "input", "label": "x", "detail": "float32 (3,)"}
    y = {"id": "y", "kind": "output", "label": "y", "detail": "float32 (3,)"}
    graph = {"nodes": [x, y], "edges": [{"source": "x", "target": "y", "label": ""}]}
    filters = LiveFilters(10)
    filters.update(np.random.default_rng(0).normal(size=(784, 10)))
    widgets = [PerturbationWidget(), explore(graph, title="Identité"), curves, filters]
    fig = Figure(figsize=(5, 2.5))
    fig.subplots().plot(np.linspace(0, 1), np.sqrt(np.linspace(0, 1)))
    figure = picture_of(fig, "La racine carrée.")
    bundles = [static_output(widget._repr_mimebundle_()[0]) for widget in widgets]
    v = T.dvector("x")
    f = engine.function([v], T.log(1 + T.exp(v)).sum(), profile=True)
    f([1.0, 2.0])
    still = [figure, rewriting_image(f), profile_figure(f)]
    html = [{"text/html": one._repr_html_(), "text/plain": repr(one)} for one in still]
    return [*bundles, *html]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_committed_outputs_show_their_pictures(lab, theme):
    path = lab.notebook(f"images_{theme}", *["1"] * 7)
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell, data in zip(notebook["cells"], displayed(), strict=True):
        cell["outputs"] = [{"output_type": "display_data", "data": data, "metadata": {}}]
    path.write_text(json.dumps(notebook), encoding="utf-8")
    with lab.open(path, theme) as page:
        page.page.wait_for_selector(".jp-OutputArea img")
        page.page.set_viewport_size({"width": 1300, "height": 3600})
        images = page.page.locator(".jp-OutputArea img")
        page.page.wait_for_function(
            "() => document.querySelectorAll('.jp-OutputArea img').length === 8"
        )
        for image in images.all():
            image.scroll_into_view_if_needed()
            assert len(image.get_attribute("alt")) > 10
            assert image.evaluate("image => image.complete && image.naturalWidth") > 50
        page.screenshot("images-fixes", ".jp-Notebook")
        assert page.violations(".jp-OutputArea img") == []
