"""La boucle et le choix d’un périphérique : leurs graphes y sont placés, leurs tableaux y restent.

Les lignes d’une séquence sont des vues, les résultats d’un pas s’écrivent à leur place. Seules
reviennent, à chaque fois, une condition d’arrêt, celle d’un choix.
"""

from engine.gpu.kernels.arrays import DeviceArray
from engine.gpu.kernels.machines import machine
from engine.loops.branches import LazyIfElse
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


class DeviceBranch(LazyIfElse):
    """Un `LazyIfElse` dont les deux graphes calculent avec des tableaux du périphérique.

    Le placement (`rewriting.placement`) le construit ; il n’est ni dérivé ni réécrit.
    """

    tested_by = "le choix d’un périphérique : tests/gpu/test_branches"

    def __str__(self):
        return f"gpu{{{super().__str__()}}}"

    __repr__ = __str__
