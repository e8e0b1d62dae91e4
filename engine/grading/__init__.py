"""Exercices corrigés sur-le-champ : vérifications, retour, fabrication des carnets.

À lire dans l’ordre : `wire` (ce qui se recopie), `learner` (la couture), `feedback` (ce que lit
l’élève), `checks` (ce qu’écrit l’enseignant), `hidden` (ses vérifications cachées), puis
`exercises/` et `progress` (ce que l’élève a réussi). `execute` et `build` fabriquent les
carnets ; ils ne servent qu’aux auteurs.
"""

from engine.grading.checks import Exercise, close, equal, expect
from engine.grading.learner import Learner, LocalLearner, Own, Shipped
from engine.grading.progress import progression

__all__ = [
    "Exercise",
    "Learner",
    "LocalLearner",
    "Own",
    "Shipped",
    "close",
    "equal",
    "expect",
    "progression",
]
