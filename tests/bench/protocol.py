"""Ce que chaque concurrent doit savoir faire."""

from collections.abc import Callable
from typing import NamedTuple


class Contestant(NamedTuple):
    """Un concurrent prêt à courir.

    Champs
        step : fonction numéro de minilot -> coût ; un pas complet, mises à jour comprises.
        parameters : fonction -> liste de tableaux ; attend la fin des calculs différés.
        reset : remet les paramètres à zéro.
        version : celle de la bibliothèque.
        compile_seconds : du graphe au premier pas achevé.
    """

    step: Callable
    parameters: Callable
    reset: Callable
    version: str
    compile_seconds: float
