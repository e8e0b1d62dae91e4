"""La génération quand la température change : ce qui est demandé au modèle, ce qui est montré."""

import pytest

from course.viz import GenerationWidget
from course.viz.generation import FIXED


class Model:
    """Écrit ses réglages, et retient ce qui lui est demandé."""

    def __init__(self):
        self.asked = []

    def __call__(self, prompt, temperature, seed):
        self.asked.append((prompt, temperature, seed))
        if "@" in prompt:
            raise KeyError("@")
        return f"{prompt}<{temperature}, {seed}>"


def test_four_temperatures_and_the_chosen_one_share_their_seed():
    model = Model()
    widget = GenerationWidget(model, "la vie ", 0.7, seed=3)
    assert widget.chosen["texts"] == ["la vie <0.7, 3>"]
    assert widget.fixed == [[t, [f"la vie <{t}, 3>"]] for t in FIXED]
    assert {seed for _, _, seed in model.asked} == {3}
    assert repr(widget) == "<GenerationWidget>"


def test_moving_the_temperature_writes_one_text_only():
    model = Model()
    widget = GenerationWidget(model, "la vie ")
    model.asked.clear()
    widget.temperature = 1.2
    assert model.asked == [("la vie ", 1.2, 0)]
    assert widget.chosen["texts"] == ["la vie <1.2, 0>"] and widget.chosen["temperature"] == 1.2


def test_another_draw_and_another_prompt_write_everything_again():
    model = Model()
    widget = GenerationWidget(model, "la vie ")
    widget.seed = 1
    assert widget.fixed[0][1] == ["la vie <0.2, 1>"] and widget.chosen["texts"] == [
        "la vie <0.7, 1>"
    ]
    model.asked.clear()
    widget.prompt = "un "
    assert len(model.asked) == 1 + len(FIXED)
    assert widget.fixed[-1][1] == ["un <1.5, 1>"] and widget.chosen["prompt"] == "un "


def test_several_texts_have_seeds_that_no_other_draw_uses():
    model = Model()
    widget = GenerationWidget(model, "", count=5)
    assert [seed for _, t, seed in model.asked if t == 0.7] == [0, 1, 2, 3, 4]
    model.asked.clear()
    widget.seed = 1
    assert [seed for _, t, seed in model.asked if t == 0.7] == [5, 6, 7, 8, 9]
    assert len(widget.chosen["texts"]) == 5


def test_the_still_picture_is_a_table_of_escaped_text():
    widget = GenerationWidget(
        lambda prompt, *_: prompt + "belle\n<b>", "la vie est ", title="Essai"
    )
    page = widget.fallback()._repr_html_()
    assert page.count('scope="row"') == 4 and '<th scope="row">0,2</th>' in page
    assert "la vie est belle<br/>&lt;b&gt;" in page
    assert "<caption>Essai\u00a0: «\u00a0la vie est\u00a0»</caption>" in page
    assert widget._repr_mimebundle_()[0]["text/html"] == page


def test_a_failure_is_read_in_the_widget():
    widget = GenerationWidget(Model(), "la vie ")
    widget.prompt = "@"
    assert "KeyError" in widget.chosen["error"] and widget.chosen["texts"] == []
    assert widget.fixed[0][1] == ["la vie <0.2, 0>"]
    widget.prompt = "un "
    assert widget.chosen["error"] == ""
    with pytest.raises(KeyError):
        GenerationWidget(Model(), "@")


@pytest.mark.parametrize("options", [{"temperature": 0.05}, {"temperature": 2.5}, {"count": 0}])
def test_settings_the_widget_cannot_show_are_refused(options):
    with pytest.raises(ValueError, match="de 0,1 à 2"):
        GenerationWidget(Model(), **options)
