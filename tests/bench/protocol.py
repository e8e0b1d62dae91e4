"""Ce qu’un travail donne à calculer (`Problem`), et ce qu’un concurrent sait faire (`Contestant`).

Un dossier par sorte de travail : `problem.py` y rend un `Problem` d’après des tailles, et chaque
`with_<bibliothèque>.py` en écrit l’expression, comme l’écrirait quelqu’un qui la connaît. Ce qui
entoure l’expression (compiler, descendre le gradient, attendre) est dans `libraries/`, une fois par
bibliothèque.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass
class Problem:
    """Un travail, ses tailles fixées.

    Champs
        title : son nom, tel qu’imprimé.
        batches : les minilots, un n-uplet de tableaux chacun ; les mêmes pour tous.
        flop, moved : opérations flottantes et octets d’un pas, au moins ; le plancher en vient.
        reference : fonction nombre de pas -> tableaux, les résultats en NumPy float64.
        initial : paramètres de départ, float32 ; vide quand rien ne s’apprend.
        rate : pas de la descente de gradient.
        checked : nombre de pas après lesquels on compare à la référence.
        warm_up, steps : pas avant de mesurer, pas mesurés.
        sizes : ce que les expressions ont besoin de connaître.
    """

    title: str
    batches: list
    flop: float
    moved: float
    reference: Callable
    initial: list = field(default_factory=list)
    rate: float = 0.1
    checked: int = 50
    warm_up: int = 2
    steps: int = 10
    sizes: dict = field(default_factory=dict)

    def batch(self, index):
        """Le minilot du pas `index`."""
        return self.batches[index % len(self.batches)]


class Contestant(NamedTuple):
    """Un concurrent prêt à courir.

    Champs
        step : fonction numéro de pas -> rien ; un pas complet, mises à jour comprises.
        results : fonction -> paramètres, ou dernière valeur calculée ; attend les calculs différés.
        reset : remet les paramètres à leur départ.
        version : celle de la bibliothèque.
        compile_seconds : du graphe au premier pas achevé.
    """

    step: Callable
    results: Callable
    reset: Callable
    version: str
    compile_seconds: float
