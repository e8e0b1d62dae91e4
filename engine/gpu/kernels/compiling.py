"""Du texte au noyau CUDA : écrire, compiler pour la machine, lancer.

Un noyau est un texte Python autonome, un module que numba-cuda comprend tel quel ; le simulateur le
joue, ses propres noms à la place des imports. Ses paramètres sont des tableaux et des nombres ; le
texte dit quel fil fait quoi, et garde ses bornes. Il est compilé au premier lancement.

Ordre de lecture : `kernel_text`, `make_kernel`, `Kernel`.
"""

import re
from functools import cache

from engine.backends.scalar_text import needed
from engine.core.errors import EngineError
from engine.gpu.kernels.elements import FUNCTIONS
from engine.gpu.kernels.machines import machine, several

_PREAMBLE = '''"""{doc}"""

import math

import numpy as np
from numba import cuda
from numba import int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64

f32 = np.float32
i32 = np.int32
'''
_ROUNDING = re.compile(r"\bnp\.(floor|ceil|trunc|sqrt)\(")


def kernel_text(doc, body):
    """Le texte complet d’un noyau : en-tête, fonctions qu’il appelle, noyau lui-même."""
    names = needed(body, FUNCTIONS)
    helpers = "".join(f"\n\n@cuda.jit(device=True)\n{FUNCTIONS[name]}" for name in names)
    text = f"{_PREAMBLE.format(doc=doc)}{helpers}\n\n{body}"
    text = text.replace("np.rint(", "cuda.libdevice.rint(")
    return _ROUNDING.sub(r"math.\1(", text)  # de NumPy, numba-cuda n’arrondit que des tableaux


_noted = []  # où noter les textes de ce qui se lance


def noting(call, texts):
    """La même fonction, qui range dans `texts` les textes des noyaux de son premier appel."""

    def noted(*arguments):
        if texts:
            return call(*arguments)
        _noted.append(texts)
        try:
            return call(*arguments)
        finally:
            _noted.remove(texts)

    return noted


@cache
def make_kernel(name, doc, body, signature, block=None):
    """Écrit un noyau, une fois par processus.

    Paramètres
        name : sa famille.
        doc : ce qu’il calcule, en une ligne.
        body : le texte d’une fonction `kernel`.
        signature : un mot par paramètre : « float32[:,:] », « float32[::1] » pour un tableau,
            « uint32 » pour un nombre (voir `cubins`).
        block : les fils d’un bloc, si le texte y compte ; sinon la machine choisit.
    """
    return Kernel(name, kernel_text(doc, body), signature, block or machine().block)


class Kernel:
    """Un noyau prêt à lancer ; `text` se lit. Chaque carte où il sert en charge sa copie."""

    def __init__(self, name, text, signature, block):
        self.name = name
        self.text = text
        self.signature = signature
        self.block = block
        self._functions = {}  # rang d’une carte -> ce qu’elle lance

    def prepared(self, where):
        """Ce que cette machine lance ; compilé au premier lancement."""
        found = self._functions.get(where.rank)
        if found is None:
            found = where.prepare(self.name, self.text, self.signature, self.block)
            self._functions[where.rank] = found
        return found

    def __call__(self, threads, *arguments):
        """Lance au moins `threads` fils ; un lancement vide ne fait rien."""
        if threads:
            self.launch(-(-threads // self.block), *arguments)

    def launch(self, blocks, *arguments):
        """Lance `blocks` blocs."""
        self.launch_by(blocks, self.block, arguments)

    def launch_by(self, blocks, block, arguments):
        """Lance `blocks` blocs de `block` fils : des nombres, ou des axes."""
        for texts in _noted:
            texts.setdefault(self.text)
        where = _card_of(self.name, arguments) if several() else machine()
        where.launch(self.prepared(where), blocks, block, arguments)


def _card_of(name, arguments):
    """La machine où se trouvent ces tableaux.

    Lève
        EngineError : ils ne sont pas tous sur la même carte.
    """
    cards = {argument.rank for argument in arguments if hasattr(argument, "buffer")}
    if len(cards) > 1:
        raise EngineError(
            f"noyau « {name} » : ses tableaux sont sur des cartes différentes",
            expected="une seule carte",
            received=" et ".join(f"cuda{rank}" for rank in sorted(cards)),
            hint="x.to('cuda1') rend une copie de x sur cette carte",
        )
    return machine(*cards)
