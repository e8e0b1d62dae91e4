"""Exemple, pour l’enseignant : des vérifications cachées pour l’exercice 01.

À copier hors du dépôt sous le nom `01_regle_de_chainage.py`, dans un dossier que nomme la variable
d’environnement `CHAINAGE_VERIFICATIONS_CACHEES` (voir `course.grading.hidden`). L’élève ne voit que
« Vérification de l’enseignant » et les points : ni titre, ni entrées, ni indices.

À retenir : des entrées tirées au hasard (une fonction de l’élève voit les entrées qu’elle reçoit),
des cas que les vérifications publiques ne couvrent pas, et des tolérances essayées sur de mauvaises
réponses.
"""

import math

from course.grading import Exercise, close

exercise = Exercise("01_regle_de_chainage")


@exercise.check("q1", points=1)
def parity(learner, draw):
    "La dérivée d’une fonction paire est impaire"
    x = round(draw.uniform(0.1, 2), 3)
    close(learner.derivee(-x), -learner.derivee(x))
    close(learner.derivee(x), math.exp(math.sin(x * x)) * math.cos(x * x) * 2 * x, rel=1e-12)


@exercise.check("q4", points=1)
def long_chain(learner, draw):
    "Une longue chaîne : le produit, et rien d’autre"
    slopes = [round(draw.uniform(0.8, 1.2), 2) for _ in range(40)]
    edges = [[f"n{rank}", f"n{rank + 1}", slope] for rank, slope in enumerate(slopes)]
    close(learner.somme_des_chemins(edges, "n0", "n40"), math.prod(slopes))
