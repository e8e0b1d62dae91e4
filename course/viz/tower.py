"""La tour des outils : le widget de la leçon 00.

Chaque étage est une fonction que la leçon vient de définir ; toutes calculent la même chose, avec
des outils de plus en plus bas. Cliquer un étage montre son texte, le fait calculer pour de bon et
range le résultat et le temps sur l’étage. Python calcule et chronomètre ; le JavaScript
(`static/tower.js`) ne tient que les boutons.

Noms publics : `Floor`, `TowerWidget`, `draw_tower`.
"""

import inspect
import math
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass

import traitlets

from course.typography import typeset
from course.viz import palette, svg
from course.viz.picture import Picture, decimal
from course.viz.widget import CourseWidget, script

WIDTH, ROW, GAP, MARGIN = 820, 40, 4, 12
TOP, STEP = 300, 36  # largeur du sommet, et ce que chaque étage ajoute


@dataclass(frozen=True)
class Floor:
    """Un étage de la tour.

    Attributs
        name : son nom.
        role : ce qu’il fait pour l’étage du dessus, en une phrase.
        function : calcule le modèle avec les outils de cet étage ; rend un nombre.
        shown : la fonction dont montrer le texte, si ce n’est pas `function`.
        lesson : la leçon qui l’ouvre, en deux chiffres.
    """

    name: str
    role: str
    function: Callable
    shown: Callable | None = None
    lesson: str = ""

    @property
    def code(self):
        """Le texte de la fonction, tel que la leçon l’a écrit."""
        return textwrap.dedent(inspect.getsource(self.shown or self.function)).rstrip()

    @property
    def lines(self):
        """Le nombre de lignes de ce texte, l’en-tête `def` et les décorateurs mis à part."""
        text = self.code.splitlines()
        first = next(rank for rank, line in enumerate(text) if line.startswith("def "))
        return sum(bool(line.strip()) for line in text[first + 1 :])


class TowerWidget(CourseWidget):
    """La tour : un bouton par étage, le texte de l’étage choisi, son résultat et son temps.

    Paramètres
        floors : les étages (`Floor`), de haut en bas.
        arguments : ce que reçoit la fonction de chaque étage.
        title : titre du widget.

    Exemple
        >>> def double(x):
        ...     return 2 * x
        >>> TowerWidget([Floor("Python", "calcule", double)], [21.0])
        <TowerWidget>
    """

    _esm = script("tower")

    title = traitlets.Unicode().tag(sync=True)
    floors = traitlets.List(traitlets.Dict()).tag(sync=True)
    selected = traitlets.Int(0).tag(sync=True)
    results = traitlets.List(traitlets.Unicode()).tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)

    def __init__(self, floors, arguments, *, title="La tour des outils"):
        self._floors, self._arguments = list(floors), list(arguments)
        self._values = {}
        described = [
            {
                "name": typeset(floor.name),
                "role": typeset(floor.role),
                "code": floor.code,
                "lesson": floor.lesson,
                "lines": floor.lines,
            }
            for floor in self._floors
        ]
        super().__init__(title=typeset(title), floors=described, results=[""] * len(described))
        self._run()
        self.observe(self._run, "selected")

    def fallback(self):
        """Renvoie l’image fixe de la tour : les étages et leurs nombres de lignes."""
        return Picture(draw_tower(self.floors, title=self.title), describe_tower(self.floors))

    def _run(self, _change=None):
        """Fait calculer l’étage choisi et dit ce qu’il rend."""
        floor = self._floors[self.selected]
        start = time.perf_counter()
        try:
            value = float(floor.function(*self._arguments))
        except Exception as error:  # le code est celui de l’élève, qui peut l’avoir changé
            self._values.pop(self.selected, None)
            shown, said = "erreur", f" s'arrête sur une erreur, {type(error).__name__} : {error}"
        else:
            duration = _duration(time.perf_counter() - start)
            self._values[self.selected] = value
            shown = f"{decimal(value, 6)} en {duration}"
            said = f" rend {shown}, en {_count(self.floors[self.selected])}. {self._comparison()}"
        results = list(self.results)
        results[self.selected] = typeset(shown)
        with self.hold_sync():
            self.results = results
            self.text = typeset(f"{floor.name}{said}")

    def _comparison(self):
        mine = self._values[self.selected]
        others = [value for rank, value in self._values.items() if rank != self.selected]
        if not others:
            return "Choisissez un autre étage : le nombre changera-t-il ?"
        if all(math.isclose(mine, other, rel_tol=1e-9) for other in others):
            return f"Les {len(self._values)} étages déjà visités donnent le même nombre."
        return "Ce nombre n'est pas celui des autres étages : lequel a changé ?"


def _count(floor):
    return f"{floor['lines']} ligne{'s' if floor['lines'] > 1 else ''}"


def _duration(seconds):
    unit, scale = ("s", 1) if seconds >= 1 else ("ms", 1e3)
    return f"{decimal(seconds * scale, 2)}\u00a0{unit}"


def describe_tower(floors):
    """Dit la tour de haut en bas, avec les nombres de lignes."""
    rows = (f"{floor['name']} ({_count(floor)})" for floor in floors)
    return typeset(f"La tour des outils, de haut en bas : {', '.join(rows)}.")


def draw_tower(floors, *, title=""):
    """Renvoie le texte SVG de la tour : un bloc par étage, plus large à mesure que l’on descend."""
    height = 2 * MARGIN + (ROW + GAP) * len(floors)
    body = []
    for rank, floor in enumerate(floors):
        wide, y = TOP + STEP * rank, MARGIN + (ROW + GAP) * rank
        body.append(
            f'<rect x="{MARGIN}" y="{y}" width="{wide}" height="{ROW}" rx="4" '
            f'fill="{palette.BACKGROUND}" stroke="{palette.variable("training")}" '
            'stroke-width="2"/>'
            + svg.text(MARGIN + 12, y + 25, floor["name"], anchor="start", weight="600")
            + svg.text(
                MARGIN + wide + 10, y + 25, _count(floor), anchor="start", colour=palette.MUTED
            )
        )
    return svg.document(WIDTH, height, title, body)
