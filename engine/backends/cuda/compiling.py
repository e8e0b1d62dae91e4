"""Du texte au noyau CUDA : écrire, compiler pour la machine, lancer.

Un noyau est un texte Python autonome, comme ceux de Numba pour le processeur. Ses paramètres sont
des tableaux à plat (des adresses, sur un GPU : ni pas, ni indices négatifs) et des nombres ; le
texte dit quel fil fait quoi, et garde ses bornes.

Ordre de lecture : `kernel_text`, `make_kernel`, `Kernel`.
"""

from functools import cache

from engine.backends.cuda.machines import machine
from engine.backends.scalar_text import POLYNOMIALS, needed

_PREAMBLE = '''"""{doc}"""

import math

import numpy as np
from engine.backends.cuda.device import cuda
from numba import int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64

f32 = np.float32
i32 = np.int32
'''


def kernel_text(doc, body):
    """Le texte complet d’un noyau : en-tête, fonctions scalaires, noyau lui-même."""
    helpers = "".join(f"\n\n@cuda.jit(device=True)\n{POLYNOMIALS[name]}" for name in needed(body))
    return f"{_PREAMBLE.format(doc=doc)}{helpers}\n\n{body}"


@cache
def make_kernel(name, doc, body, signature, block=None):
    """Compile un noyau, une fois par processus.

    Paramètres
        name : sa famille.
        doc : ce qu’il calcule, en une ligne.
        body : le texte d’une fonction `kernel`.
        signature : un mot par paramètre : « float32* » pour un tableau, « uint32 » pour un nombre.
        block : les fils d’un bloc, si le texte y compte ; sinon la machine choisit.
    """
    text = kernel_text(doc, body)
    block = block or machine().block
    return Kernel(machine().prepare(name, text, signature, block), text, block)


class Kernel:
    """Un noyau prêt à lancer ; `text` se lit."""

    def __init__(self, function, text, block):
        self.function = function
        self.text = text
        self.block = block

    def __call__(self, threads, *arguments):
        """Lance au moins `threads` fils ; un lancement vide ne fait rien."""
        if threads:
            self.launch(-(-threads // self.block), *arguments)

    def launch(self, blocks, *arguments):
        """Lance `blocks` blocs."""
        machine().launch(self.function, blocks, self.block, arguments)
