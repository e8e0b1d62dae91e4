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

    def ours(self):
        """Le temps d’un bloc Python, un seul fil d’exécution se sert de cette machine."""
        return self.turn

    def borrowed(self, zone):
        """Cette zone, pour un plan, qui ne la fait pas vivre."""
        return zone

    def fetch(self, target, source):
        """Copie un tableau contigu d’une autre carte dans un de celle-ci, contigu."""
        self.write(target, source.to_host())

    def loop(self, loop, shape, outs, ins, launch):
        """Une boucle terme à terme, par le lancement déjà préparé pour ces tableaux."""
        launch(*outs, *ins)

    def become(self, target, source):
        """`target` prend les valeurs de `source`, dont la place peut dès lors être la sienne."""
        target.take(source)

    def next_step(self):
        """Un pas de boucle commence."""

    def call(self, function, *arguments):
        """Appelle une bibliothèque, qui travaille dans le flux de la machine."""
        return function(*arguments)
