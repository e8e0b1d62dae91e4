"""La réécriture rejouée dans un vrai notebook : souris, clavier, Python, accessibilité."""

import pytest

pytestmark = pytest.mark.browser

CODE = """
import engine, engine.tensor as T
from course.viz import RewritingReplay
x = T.dscalar("x")
cost = T.log(1 + T.exp(x))
f = engine.function([x], [cost, engine.grad(cost, x)])
replay = RewritingReplay(f, values={x: 1000.0}, title="Le coût et sa pente en x = 1000")
replay
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_replay_answers_buttons_keys_and_python(lab, theme):
    with lab.open(lab.notebook(f"reecriture_{theme}", CODE), theme) as page:
        assert page.run_all() == []
        page.page.wait_for_selector(".chainage svg", timeout=20_000)
        widget = page.page.locator(".chainage")
        page.screenshot("reecriture-debut")
        assert page.violations() == []
        captions = page.run_python("print('\\n'.join(replay.captions))").split("\n")
        status = widget.locator("[role=status]")
        assert status.text_content() == captions[0]
        drawn = "() => document.querySelectorAll('.chainage svg')[1].innerHTML"
        first = page.page.evaluate(drawn)

        widget.get_by_role("button", name="Suivante").click()
        assert status.text_content() == captions[1]
        page.page.wait_for_function(f"(old) => ({drawn})() !== old", arg=first)
        slider = widget.get_by_label("Étape", exact=True)
        slider.press("End")
        assert status.text_content() == captions[-1]
        assert slider.get_attribute("aria-valuetext") == f"{len(captions)} sur {len(captions)}"
        widget.get_by_role("button", name="Suivante").click()  # au bout, rien ne dépasse
        page.page.wait_for_function(
            "() => document.querySelectorAll('.chainage svg')[1].textContent.includes('softplus')"
        )
        assert page.run_python("print(replay.step)") == str(len(captions))
        page.screenshot("reecriture-fin")

        page.run_python("replay.step = 1")
        page.page.wait_for_function(f"(old) => ({drawn})() === old", arg=first)
        assert slider.input_value() == "1"
        assert page.errors == []
