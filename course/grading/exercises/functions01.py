"""Fonctions que les vérifications de l’exercice 01 prêtent à `meilleur_pas`.

Elles sont nommées par « module:nom » plutôt que passées en argument : une fonction ne se recopie
pas d’un processus à l’autre. Le meilleur pas n’est pas le même pour toutes : c’est leur raison
d’être.
"""

import math


def exponential(x):
    """exp(x) : courbure et valeur du même ordre, le meilleur pas est voisin de 1e-8."""
    return math.exp(x)


def ripple(x):
    """sin(1000 x) : très courbée, il faut un pas plus petit."""
    return math.sin(1000.0 * x)


def plateau(x):
    """1e6 + x² : presque plate mais haute, l’arrondi domine et il faut un pas plus grand."""
    return 1e6 + x * x
