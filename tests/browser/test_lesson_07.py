"""La leçon 07 dans un vrai notebook : la souris dessine, le clavier aussi, et LeNet sait lire.

Les deux widgets d’abord, avec un petit réseau qui n’a rien appris ; puis les cellules mêmes de la
leçon, jusqu’à la feuille : le réseau livré doit y lire des chiffres tracés à la souris.
"""

import math
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.browser

LESSON = Path(__file__).resolve().parents[2] / "notebooks" / "07_reseau_convolutif.ipynb"
CELLS_MS = 400_000  # une machine chargée ; seule, vingt secondes

PAD = """
import numpy as np
import engine
import engine.tensor as T
from engine import nn
from course.viz import DigitPad

seeded = np.random.default_rng(0)
x = T.tensor4("x", dtype="float32")
first = nn.Pooling(2)(nn.Convolution(1, 4, 5, T.tanh, name="c", generator=seeded)(x))
second = nn.Convolution(4, 6, 5, T.tanh, name="d", generator=seeded)(first)
scores = nn.Dense(6 * 64, 10, name="e", generator=seeded)(second.flatten(2))
answers = engine.function([x], [first, second, T.nnet.softmax(scores)])

def read(image):
    one, two, shares = answers(image[None, None])
    return {"maps": {"conv 1": one[0], "conv 2": two[0]}, "probabilities": shares[0]}

bar = np.zeros((28, 28))
bar[4:24, 13:15] = 0.9
cross = np.maximum(bar, bar.T)
w = DigitPad(read, start=bar, samples={"une croix": cross})
w
"""
CONVOLUTION = """
import numpy as np
from course.viz import ConvolutionWidget

image = np.zeros((12, 12))
image[2:10, 4:8] = 1
edge = np.array([[1.0, 0.0, -1.0]] * 3)
w = ConvolutionWidget(image, [edge, edge.T], ["bord vertical", "bord horizontal"])
w
"""
TOLD = "text => document.querySelector('.chainage-status').textContent.includes(text)"
CHANGED = "text => document.querySelector('.chainage-status').textContent !== text"


def drag(page, *points):
    """Tire la souris sur la feuille, d’un point (en fractions du côté) au suivant."""
    sheet = page.page.locator(".chainage-sheet")
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    mouse = page.page.mouse
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    mouse.move(*places[0])
    mouse.down()
    for place in places[1:]:
        mouse.move(*place, steps=8)
    mouse.up()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_digit_is_drawn_by_mouse_then_by_keyboard(lab, theme):
    with lab.open(lab.notebook(f"feuille_{theme}", PAD), theme) as page:
        assert page.run_all() == []
        widget = page.page.locator(".chainage")
        widget.locator("canvas").first.wait_for()
        status = widget.locator(".chainage-status")
        assert status.text_content() == page.run_python("print(w.answer['text'])")
        assert widget.locator(".chainage-maps canvas").count() == 10
        page.screenshot("feuille")
        assert page.violations() == []

        widget.get_by_role("button", name="Effacer").click()
        page.page.wait_for_function(TOLD, arg="Feuille blanche")
        drag(page, (0.2, 0.2), (0.8, 0.2), (0.4, 0.85))
        page.page.wait_for_function(CHANGED, arg=status.text_content())
        page.page.wait_for_timeout(500)  # la dernière encre est arrivée
        rows = page.run_python("r, c = np.nonzero(w.image); print(r.min(), r.max(), len(r) > 40)")
        low, high, thick = rows.split()
        assert 17 <= int(high) - int(low) <= 20 and thick == "True"
        assert widget.get_by_label("Exemple").input_value() == ""
        page.screenshot("feuille-sept")

        widget.get_by_role("button", name="Effacer").click()
        page.page.wait_for_function(TOLD, arg="Feuille blanche")
        sheet = widget.get_by_role("application")
        sheet.focus()
        sheet.press("ArrowLeft")
        assert "Plume levée" in widget.locator(".chainage-help").text_content()
        sheet.press("Space")
        for _ in range(15):
            sheet.press("ArrowDown")
        page.page.wait_for_function(
            "() => !document.querySelector('.chainage-status').textContent.includes('blanche')"
        )
        assert "Plume posée" in widget.locator(".chainage-help").text_content()
        page.screenshot("feuille-clavier")

        widget.get_by_label("Exemple").select_option("une croix")
        page.page.wait_for_function(
            "() => document.querySelector('.chainage select').value === '1'"
        )
        page.page.wait_for_timeout(500)
        assert page.run_python("print(np.array_equal(w.image, cross.astype('float32')))") == "True"
        assert page.violations() == []
        assert page.errors == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_filter_moves_by_keyboard_slider_and_mouse(lab, theme):
    with lab.open(lab.notebook(f"filtre_{theme}", CONVOLUTION), theme) as page:
        assert page.run_all() == []
        widget = page.page.locator(".chainage")
        widget.locator("svg").wait_for()
        assert "bord vertical" in widget.locator(".chainage-status").text_content()
        page.screenshot("filtre")
        assert page.violations() == []

        position = widget.get_by_label("Position")
        position.focus()
        position.press("Home")
        page.page.wait_for_function(TOLD, arg="ligne 0, colonne 0")
        drawing = widget.get_by_role("application")
        drawing.focus()
        for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp"):
            drawing.press(key)
        page.page.wait_for_function(TOLD, arg="ligne 1, colonne 1")
        assert position.get_attribute("aria-valuetext") == "ligne 1, colonne 1"

        image = widget.locator("[data-slot=image]")
        image.scroll_into_view_if_needed()
        box = image.bounding_box()  # le milieu de la fenêtre vient sous la souris
        page.page.mouse.click(
            box["x"] + 7.5 / 12 * box["width"], box["y"] + 9.5 / 12 * box["height"]
        )
        page.page.wait_for_function(TOLD, arg="ligne 8, colonne 6")
        widget.get_by_label("Filtre", exact=True).select_option("bord horizontal")
        widget.get_by_label("retourner le filtre").check()
        page.page.wait_for_function(TOLD, arg="Convolution, filtre retourné")
        assert page.run_python("print(w.filter, w.flipped, w.position)") == "1 True 86"
        page.screenshot("filtre-retourne")
        assert page.violations() == []
        assert page.errors == []


def arc(x, y, radius, start, end, *, tall=1.0):
    """Les points d’un arc d’ellipse ; angles en tours, 0 à droite, 0,25 en bas."""
    turns = [2 * math.pi * (start + (end - start) * k / 16) for k in range(17)]
    return [(x + radius * math.cos(t), y + tall * radius * math.sin(t)) for t in turns]


STROKES = {
    0: [arc(0.5, 0.5, 0.22, -0.25, 0.78, tall=1.5)],
    1: [[(0.52, 0.15), (0.48, 0.85)]],
    3: [arc(0.45, 0.32, 0.17, -0.45, 0.25) + arc(0.45, 0.67, 0.19, -0.25, 0.45)],
    4: [[(0.4, 0.15), (0.25, 0.55), (0.75, 0.55)], [(0.62, 0.2), (0.6, 0.88)]],
    7: [[(0.25, 0.2), (0.72, 0.2), (0.45, 0.85)]],
}


@pytest.mark.notebooks
@pytest.mark.slow
def test_the_lesson_reads_digits_drawn_by_mouse(lab):
    code = [c.source for c in nbformat.read(LESSON, as_version=4).cells if c.cell_type == "code"]
    last = next(rank for rank, source in enumerate(code) if "DigitPad(" in source)
    with lab.open(lab.notebook("lecon07", *code[: last + 1])) as page:
        assert page.run_all(timeout=CELLS_MS) == []
        page.page.set_viewport_size({"width": 1300, "height": 1500})
        pad = page.show_cell(last).locator(".chainage")
        pad.locator(".chainage-maps canvas").first.wait_for()
        assert pad.locator(".chainage-maps canvas").count() == 20 + 50
        status = pad.locator(".chainage-status")
        assert "Réponse : 7" in status.text_content().replace("\u00a0", " ")
        read = []
        for digit, strokes in STROKES.items():
            pad.get_by_role("button", name="Effacer").click()
            pad.get_by_text("Feuille blanche").wait_for()
            for points in strokes:
                drag(page, *points)
            page.page.wait_for_timeout(800)  # la dernière encre est arrivée
            read.append(pad.locator(".chainage-best span").first.text_content())
            pad.screenshot(path=lab.captures / f"lecon07-trace-{digit}.png")
        assert read == [str(digit) for digit in STROKES]
        assert page.violations() == []
        assert page.errors == []
