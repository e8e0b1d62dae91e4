"""Ce qu’un modèle de langue écrit quand la température change : le widget de la leçon 09.

Python fait écrire le modèle ; le JavaScript (`static/generation.js`) tient les commandes, et
n’envoie une température que lorsque la précédente a eu sa réponse.

Noms publics : `GenerationWidget`, `Passages`.
"""

import html

import traitlets

from course.typography import typeset
from course.viz.picture import decimal
from course.viz.widget import CourseWidget, script

COLDEST, HOTTEST = 0.1, 2.0
FIXED = (0.2, 0.5, 1.0, 1.5)  # les températures montrées d’emblée


class Passages:
    """Des textes rangés par température, l’image fixe de `GenerationWidget`.

    Paramètres
        caption : ce que le tableau montre.
        rows : des couples (température, textes).

    Exemple
        >>> Passages("Deux essais", [(0.2, ["la vie"]), (1.5, ["lv aie"])])
        <Deux essais>
    """

    def __init__(self, caption, rows):
        self.caption, self.rows = caption, list(rows)

    def __repr__(self):
        return f"<{self.caption}>"

    def _repr_html_(self):
        head = '<tr><th scope="col">température</th><th scope="col">texte</th></tr>'
        lines = (
            f'<tr><th scope="row">{decimal(temperature)}</th>'
            f'<td style="text-align:left">{"<br/>".join(map(_as_html, texts))}</td></tr>'
            for temperature, texts in self.rows
        )
        return (
            f"<table><caption>{html.escape(self.caption)}</caption>{head}{''.join(lines)}</table>"
        )


def _as_html(text):
    return html.escape(text).replace("\n", "<br/>")


class GenerationWidget(CourseWidget):
    """Fait écrire un modèle à la température choisie, à côté de quatre températures fixes.

    Paramètres
        generate : fonction `generate(prompt, temperature, seed)` ; rend le texte.
        prompt : le début du texte.
        temperature : celle du départ, de 0,1 à 2.
        seed : la graine du premier tirage ; la même à toutes les températures.
        count : le nombre de textes par température (plusieurs, s’ils sont courts).
        title : titre du widget.

    Lève
        ValueError : température hors de l’échelle, ou nombre de textes nul.

    Exemple
        >>> GenerationWidget(lambda prompt, temperature, seed: prompt + "belle")
        <GenerationWidget>
    """

    _esm = script("generation")

    title = traitlets.Unicode().tag(sync=True)
    prompt = traitlets.Unicode().tag(sync=True)
    temperature = traitlets.Float().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)
    span = traitlets.List([COLDEST, HOTTEST]).tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)  # la réponse : ses réglages, ses textes, sa faute
    fixed = traitlets.List().tag(sync=True)  # [température, textes], de la plus froide

    def __init__(
        self,
        generate,
        prompt="le sens de la vie est ",
        temperature=0.7,
        *,
        seed=0,
        count=1,
        title="Ce que la température change",
    ):
        if not COLDEST <= temperature <= HOTTEST or count < 1:
            raise ValueError(
                typeset(
                    f"température {decimal(temperature)}, {count} textes : il faut une température "
                    f"de {decimal(COLDEST)} à {decimal(HOTTEST)} et au moins un texte"
                )
            )
        self._generate, self._count = generate, count
        super().__init__(title=typeset(title), prompt=prompt, temperature=temperature, seed=seed)
        self._write()
        self._write_fixed()
        self.observe(self._follow, ["prompt", "temperature", "seed"])

    def fallback(self):
        """Renvoie le tableau des textes aux températures fixes."""
        return Passages(typeset(f"{self.title} : « {self.prompt.strip()} »"), self.fixed)

    def _follow(self, change):
        try:
            self._write()
            if change["name"] != "temperature":
                self._write_fixed()
        except Exception as failure:  # `generate` est à l’élève : sa faute se lit ici
            self._answer(error=typeset(f"generate a échoué : {type(failure).__name__}, {failure}"))

    def _write(self):
        self._answer(self._texts(self.temperature))

    def _write_fixed(self):
        self.fixed = [[temperature, self._texts(temperature)] for temperature in FIXED]

    def _answer(self, texts=(), error=""):
        settings = {name: getattr(self, name) for name in ("prompt", "temperature", "seed")}
        self.chosen = {**settings, "texts": list(texts), "error": error}

    def _texts(self, temperature):
        seeds = range(self.seed * self._count, (self.seed + 1) * self._count)
        return [self._generate(self.prompt, temperature, seed) for seed in seeds]
