"""Les widgets de la leçon 07 dans un vrai notebook : la souris dessine, le clavier aussi."""

import pytest

pytestmark = pytest.mark.browser

PAD = """
import numpy as np
import engine
import engine.tensor as T
from engine import nn
from engine.viz import DigitPad

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
from engine.viz import ConvolutionWidget

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
