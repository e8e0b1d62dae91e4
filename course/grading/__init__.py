"""Exercices corrigés sur-le-champ : vérifications, retour, fabrication des carnets.

À lire dans l’ordre : `wire` (ce qui se recopie), `learner` (la couture), `feedback` (ce que lit
l’élève), `checks` (ce qu’écrit l’enseignant), `hidden` (ses vérifications cachées), puis
`exercises/` et `progress` (ce que l’élève a réussi). `execute` et `build` fabriquent les
carnets ; ils ne servent qu’aux auteurs.
"""

from course.grading.checks import Exercise, close, equal, expect
from course.grading.learner import Learner, LocalLearner, Own, Shipped
from course.grading.progress import progression

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
