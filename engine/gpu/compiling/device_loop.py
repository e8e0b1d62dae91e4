"""La boucle d’un périphérique : son graphe intérieur y est placé, ses tableaux n’en sortent pas.

`run` est celui de `Scan` : les lignes d’une séquence sont des vues, les résultats s’écrivent à leur
place dans des tableaux du périphérique. Seule la condition d’arrêt revient, à chaque pas.
"""

from engine.gpu.kernels.arrays import DeviceArray
from engine.gpu.kernels.machines import machine
from engine.loops.loop_op import Scan


class DeviceLoop(Scan):
    """Un `Scan` dont le graphe intérieur calcule avec des tableaux du périphérique.

    Le placement (`rewriting.placement`) la construit ; elle n’est ni dérivée ni réécrite.
    """

    tested_by = "la boucle d’un périphérique : tests/gpu/test_training"

    def run(self, steps, n_steps, *arrays):
        (step,) = steps

        def told(*given):
            machine().next_step()
            return step(*given)

        return super().run([told], n_steps, *arrays)

    def store(self, row, result):
        if isinstance(row, DeviceArray):
            row.become(result)
        else:  # les modes qui surveillent la font tourner sur l’hôte
            super().store(row, result)

    def __str__(self):
        return f"gpu{{{super().__str__()}}}"

    __repr__ = __str__
