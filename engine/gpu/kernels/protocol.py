"""Ce que toutes les machines ont en commun, le GPU et celui que joue Python (voir `machines`).

Ordre de lecture : `Machine`, `aligned`.
"""

import threading

GRAIN = 512  # octets : l’alignement que garantit le pilote, et celui des zones d’une arène


def aligned(size):
    """La taille, arrondie à cet alignement.

    Exemple
        >>> aligned(1), aligned(512)
        (512, 512)
    """
    return -(-size // GRAIN) * GRAIN


class Machine:
    """Ce que toutes les machines font de même ; un journal (`journal.Recorder`) l’intercepte."""

    def __init__(self, rank=0):
        self.rank = rank
        self.turn = threading.RLock()  # une arène, un flux : une fonction compilée à la fois

    def loop(self, loop, shape, outs, ins, launch):
        """Une boucle terme à terme, par le lancement déjà préparé pour ces tableaux."""
        launch(*outs, *ins)

    def product(self, multiply, out, a, b):
        """Le produit de deux matrices, ou de deux piles, par `multiply`."""
        multiply(out, a, b)

    def call(self, function, *arguments):
        """Appelle une bibliothèque, qui travaille dans le flux de la machine."""
        return function(*arguments)
