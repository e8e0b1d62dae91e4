"""Portes et mémoire d’un LSTM, caractère par caractère : le widget de la leçon 09.

`read` lit un texte et rend ce que la couche a calculé à chaque caractère ; Python trie les unités,
décrit et dessine (`memory_drawing`) à chaque geste ; le JavaScript (`static/memory.js`) ne tient
que les commandes.

Ordre de lecture : `QUANTITIES`, `Reading`, `MemoryWidget`, `describe_memory`.
"""

from typing import NamedTuple

import numpy as np
import traitlets

from course.typography import NBSP, typeset
from course.viz.memory_drawing import SPOKEN, draw_memory, percent, visible
from course.viz.picture import Picture, decimal
from course.viz.widget import CourseWidget, script

LONGEST = 60  # caractères lus au plus : au-delà, les colonnes seraient illisibles
QUOTED = 24  # caractères cités au plus dans la description

QUANTITIES = {
    # clef de `read` : son nom, son nom court
    "i": ("porte d’entrée",  "entrée"),
    "f": ("porte d’oubli",   "oubli"),
    "o": ("porte de sortie", "sortie"),
    "c": ("cellule",         "cellule"),
    "h": ("état caché",      "état caché"),
}  # fmt: skip


class Reading(NamedTuple):
    """Ce que la couche a calculé en lisant un texte."""

    text: str
    values: dict  # clef de `QUANTITIES` : tableau (caractères, unités)
    probabilities: np.ndarray  # (caractères, alphabet), celles du caractère suivant
    alphabet: list

    @classmethod
    def of(cls, text, state):
        """Range le dictionnaire rendu par `read(text)`.

        Lève
            ValueError : une clef manque, ou une forme ne convient pas.
        """
        missing = [key for key in (*QUANTITIES, "probabilities", "alphabet") if key not in state]
        if missing:
            raise ValueError(typeset(f"read : il manque {', '.join(missing)} dans ce qu'il rend"))
        values = {key: np.asarray(state[key], dtype=np.float64) for key in QUANTITIES}
        probabilities = np.asarray(state["probabilities"], dtype=np.float64)
        alphabet = list(state["alphabet"])
        expected = (len(text), values["c"].shape[-1])
        wanted = [(key, array.shape, expected) for key, array in values.items()]
        wanted += [("probabilities", probabilities.shape, (len(text), len(alphabet)))]
        for key, received, needed in wanted:
            if received != needed:
                raise ValueError(
                    typeset(f"read : {key} de forme {needed} attendu, reçu de forme {received}")
                )
        return cls(text, values, probabilities, alphabet)

    def order(self):
        """Les unités, celles dont la cellule bouge le plus d’abord."""
        return np.argsort(-self.values["c"].std(axis=0), kind="stable").tolist()

    def span(self, quantity):
        """Les bornes de l’échelle d’une grandeur : les portes de 0 à 1, le reste autour de 0."""
        if quantity in ("i", "f", "o"):
            return 0.0, 1.0
        limit = 1.0 if quantity == "h" else float(np.abs(self.values["c"]).max()) or 1.0
        return -limit, limit

    def likely(self, position, count=3):
        """Les caractères suivants les plus probables : [(caractère, probabilité), ...]."""
        row = self.probabilities[position]
        ranks = np.argsort(-row, kind="stable")[:count]
        return [(self.alphabet[rank], float(row[rank])) for rank in ranks]


class MemoryWidget(CourseWidget):
    """Montre les portes, la cellule et l’état d’un LSTM au fil d’un texte.

    Paramètres
        read : fonction d’un texte ; rend un dictionnaire de tableaux : "i", "f", "o" (les portes),
            "c" et "h" (la cellule, l’état caché), de forme (caractères, unités), "probabilities"
            de forme (caractères, alphabet), celles du caractère suivant, et "alphabet".
        text : le texte lu au départ, de 60 caractères au plus.
        quantity : la grandeur montrée au départ, une clef de `QUANTITIES`.
        title : titre du widget.

    Lève
        ValueError : grandeur inconnue, texte vide ou trop long, formes qui ne conviennent pas.

    Exemple
        >>> ones = np.ones((2, 3))
        >>> def read(text):
        ...     return {**dict.fromkeys("ifoch", ones), "probabilities": ones[:, :2] / 2,
        ...             "alphabet": "ab"}
        >>> MemoryWidget(read, text="ab")
        <MemoryWidget>
    """

    _esm = script("memory")

    title = traitlets.Unicode().tag(sync=True)
    choices = traitlets.List().tag(sync=True)
    longest = traitlets.Int(LONGEST).tag(sync=True)
    asked = traitlets.Unicode().tag(sync=True)  # le texte tapé
    text = traitlets.Unicode().tag(sync=True)  # le texte lu
    position = traitlets.Int().tag(sync=True)  # le rang du caractère courant
    quantity = traitlets.Unicode().tag(sync=True)
    unit = traitlets.Int().tag(sync=True)  # l’unité suivie
    units = traitlets.List(traitlets.Int()).tag(sync=True)  # les unités montrées, dans l’ordre
    svg = traitlets.Unicode().tag(sync=True)
    summary = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        read,
        text="Saint-Martin",
        *,
        quantity="c",
        title="Portes et mémoire d’un LSTM",
    ):
        if quantity not in QUANTITIES or not 0 < len(text) <= LONGEST:
            raise ValueError(
                typeset(
                    f"grandeur {quantity}, texte de {len(text)} caractères : il faut une grandeur "
                    f"parmi {', '.join(QUANTITIES)} et de 1 à {LONGEST} caractères"
                )
            )
        self._read = read
        self._remark = ""
        self._reading = Reading.of(text, read(text))
        super().__init__(
            title=typeset(title),
            choices=[[key, label] for key, (label, _) in QUANTITIES.items()],
            asked=text,
            text=text,
            position=len(text) - 1,
            quantity=quantity,
            unit=self._reading.order()[0],
        )
        self._redraw()
        self.observe(self._read_again, "asked")
        self.observe(self._redraw, ["position", "quantity", "unit"])

    @traitlets.validate("position")
    def _within(self, proposal):
        return min(max(proposal["value"], 0), len(self._reading.text) - 1)

    @traitlets.validate("unit")
    def _existing(self, proposal):
        return min(max(proposal["value"], 0), self._reading.values["c"].shape[1] - 1)

    def fallback(self):
        """Renvoie l’image fixe du texte lu, au caractère courant."""
        return Picture(self.svg, self.summary)

    def _read_again(self, _change):
        known = set(self._reading.alphabet)
        unknown = "".join(dict.fromkeys(c for c in self.asked if c not in known))
        text = "".join(c for c in self.asked if c in known)[:LONGEST]
        with self.hold_sync():
            self._remark = ""
            if unknown:
                self._remark = f"Hors de l'alphabet du modèle, donc laissé de côté : {unknown}"
            if text:
                try:
                    self._reading = Reading.of(text, self._read(text))
                except Exception as error:  # `read` est à l’élève : sa faute se lit ici
                    self._remark = f"read a échoué : {type(error).__name__}, {error}"
                else:
                    self.text, self.position = text, len(text) - 1
            self._redraw()

    def _redraw(self, _change=None):
        with self.hold_sync():
            self.units = shown_units(self._reading, self.unit)
            self.svg = draw_memory(
                self._reading, QUANTITIES, self.quantity, self.position, self.unit, self.units
            )
            summary = describe_memory(self._reading, self.position, self.unit)
            self.summary = f"{summary} {typeset(self._remark)}".strip()


def shown_units(reading, unit, count=24):
    """Choisit les unités à montrer : celles qui bougent le plus, et celle qui est suivie."""
    shown = reading.order()[:count]
    if unit not in shown:
        shown[-1] = unit
    return shown


def describe_memory(reading, position, unit):
    """Dit ce qui a été lu, la suite la plus probable, et l’état de l’unité suivie."""
    read = reading.text[: position + 1]
    quoted = ("…" + read[-QUOTED:]) if len(read) > QUOTED else read
    character, probability = reading.likely(position, 1)[0]
    states = ", ".join(
        f"{short} {decimal(reading.values[key][position, unit], 2)}"
        for key, (_, short) in QUANTITIES.items()
    )
    return (
        f"Après «{NBSP}{quoted}{NBSP}», la suite la plus probable est "
        f"{SPOKEN.get(character, visible(character))} ({percent(probability)}). "
        + typeset(f"Unité {unit} : {states}.")
    )
