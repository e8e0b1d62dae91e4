"""Les widgets de la leçon 09 dans un vrai JupyterLab, avec un petit LSTM du moteur."""

import pytest

pytestmark = pytest.mark.browser

THEMES = pytest.mark.parametrize("theme", ["light", "dark"])

MODEL = r"""
import numpy as np
import engine
from engine import tensor as T
from engine.nn.layers import LSTM, Dense

ALPHABET = list("\n abcdefghijklmnopqrstuvwxyz-'éèSM<>")
UNITS, A = 64, len(ALPHABET)
draws = np.random.default_rng(1)
memory = LSTM(A, UNITS, generator=draws, W=lambda shape, *_: draws.normal(size=shape))
output = Dense(UNITS, A, generator=draws, W=lambda shape, *_: draws.normal(size=shape) / 2)
x = T.tensor3("x")
h, c = memory.unfold(x)
before = T.concatenate([T.zeros((1, 1, UNITS)), h[:-1]])
i, f, o, _ = [T.nnet.sigmoid(b) for b in memory.blocks(
    (T.dot(x, memory.W) + memory.b + T.dot(before, memory.U))[:, 0])]
states = engine.function([x], [i, f, o, c[:, 0], h[:, 0], T.nnet.softmax(output(h[:, 0]))])

def ranks(text):
    return [ALPHABET.index(character) for character in text]

def read(text):
    values = states(np.eye(A)[ranks(text)][:, None])
    return dict(zip(["i", "f", "o", "c", "h", "probabilities"], values), alphabet=ALPHABET)

def generate(prompt, temperature, seed):
    chance, text = np.random.default_rng(seed), prompt
    while len(text) < LENGTH and not text.endswith("\n"):
        p = read(text[-20:])["probabilities"][-1] ** (1 / temperature)
        text += chance.choice(ALPHABET, p=p / p.sum())
    return text.strip()
"""
MEMORY = (
    "from course.viz import MemoryWidget\nw = MemoryWidget(read, text='le sens de la vie est')\nw"
)
GENERATION = (
    "from course.viz import GenerationWidget\nLENGTH = 90\nw = GenerationWidget(generate)\nw"
)
NAMES = """
LENGTH = 12
w = GenerationWidget(generate, 'Saint-', count=5, title='Cinq noms')
w
"""


def says(page, text):
    page.page.wait_for_function(
        "text => document.querySelector('.chainage [role=status]').textContent.includes(text)",
        arg=text,
    )


@THEMES
def test_memory_follows_the_keyboard_the_mouse_and_the_text(lab, theme):
    with lab.open(lab.notebook(f"memoire_{theme}", MODEL, MEMORY), theme) as page:
        assert page.run_all() == []
        widget = page.page.locator(".chainage")
        widget.locator("svg").wait_for()
        says(page, "Après «\u00a0le sens de la vie est\u00a0»")
        page.screenshot("memoire")
        assert page.violations() == []
        active = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
        selected = page.page.evaluate(active)
        current = widget.locator(".chainage-node[tabindex='0']")
        current.focus()
        page.page.keyboard.press("ArrowLeft")
        says(page, "Après «\u00a0le sens de la vie es\u00a0»")
        page.page.keyboard.press("Home")
        says(page, "Après «\u00a0l\u00a0»")
        page.page.keyboard.press("ArrowDown")
        page.page.wait_for_function(
            "() => document.activeElement.dataset.position === '0'"
        )  # le dessin est neuf, le focus est resté
        first, second = map(int, page.run_python("print(*w.units[:2])").split())
        says(page, f"Unité {second}")
        widget.get_by_label("Carte").select_option("f")
        page.page.wait_for_function(
            "text => document.querySelector('.chainage svg').textContent.includes(text)",
            arg=f"Unité {second}\u00a0: porte d’oubli",
        )
        place = widget.get_by_label("Caractère", exact=True)
        place.press("End")
        place.press("ArrowLeft")
        says(page, "vie es\u00a0»")
        assert place.get_attribute("aria-valuetext") == "20 sur 21"
        assert page.page.evaluate(active) == selected
        box = widget.locator(".chainage-map").bounding_box()
        page.page.mouse.click(
            box["x"] + 6.5 / 21 * box["width"], box["y"] + 0.5 / 24 * box["height"]
        )
        says(page, "Après «\u00a0le sens\u00a0»")
        says(page, f"Unité {first}")
        field = widget.get_by_label("Texte lu")
        field.fill("Saint-Martin-d@es-M<b>")
        field.press("Enter")
        says(page, "laissé de côté\u00a0: @")
        assert field.input_value() == "Saint-Martin-des-M<b>"
        assert page.run_python("print(w.position, w.text)") == "20 Saint-Martin-des-M<b>"
        page.screenshot("memoire-apres")
        assert page.violations() == []
        page.run_python("w.asked = 'la maison de la forêt est belle et le chat dort près du feu é'")
        says(page, "laissé de côté\u00a0: ê")
        page.screenshot("memoire-longue")
        page.run_python("w.asked = 'Sa'")
        says(page, "Après «\u00a0Sa\u00a0»")
        page.screenshot("memoire-courte")
        assert page.errors == []


@THEMES
def test_generation_follows_the_temperature(lab, theme):
    with lab.open(lab.notebook(f"generation_{theme}", MODEL, GENERATION), theme) as page:
        assert page.run_all() == []
        widget = page.page.locator(".chainage")
        widget.locator("dd").last.wait_for()
        says(page, "Température 0,7, tirage 1")
        assert widget.locator("dt").all_text_contents() == ["0,2", "0,5", "1", "1,5"]
        page.screenshot("generation")
        assert page.violations() == []
        warmth = widget.get_by_label("Température")
        warmth.press("End")
        says(page, "Température 2, tirage 1")
        for _ in range(5):
            warmth.press("ArrowLeft")
        says(page, "Température 1,6, tirage 1")
        assert warmth.get_attribute("aria-valuetext") == "1,6"
        before = widget.locator("dd").last.text_content()
        widget.get_by_role("button").press("Enter")
        says(page, "Température 1,6, tirage 2")
        page.page.wait_for_function(
            "before => document.querySelector('.chainage dd:last-of-type').textContent !== before",
            arg=before,
        )
        field = widget.get_by_label("Début")
        field.fill("la <b>vie</b> ")
        field.press("Enter")
        says(page, "generate a échoué")
        field.fill("la <b> est ")
        field.press("Enter")
        says(page, "la <b> est ")
        assert widget.locator("b").count() == 0
        page.screenshot("generation-apres")
        assert page.violations() == []
        page.run_python("w.temperature = 0.3")
        says(page, "Température 0,3, tirage 2")
        assert page.errors == []


@THEMES
def test_several_names_at_each_temperature(lab, theme):
    with lab.open(lab.notebook(f"noms_{theme}", MODEL, GENERATION + NAMES), theme) as page:
        assert page.run_all() == []
        widget = page.page.locator(".chainage")
        widget.locator("dd").last.wait_for()
        assert widget.locator("[role=status] p").count() == 5
        page.screenshot("generation-noms")
        assert page.violations() == []
        assert page.errors == []
