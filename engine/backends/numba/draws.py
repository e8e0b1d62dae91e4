"""Les tirages aléatoires : les mots de Philox en une boucle, puis la loi écrite dans l’op.

Seuls les mots entiers sont calculés ici ; leur conversion en uniformes ou en normales reste celle
de l’op, si bien que les nombres sont les mêmes, au bit près, que ceux de la référence NumPy.
"""

import numpy as np
from numba import types

from engine.backends.numba.compiling import compile_kernel, contiguous
from engine.backends.scalar_text import PHILOX
from engine.core.registry import kernel
from engine.ops.rng import (
    STATE_LENGTH,
    WORDS_PER_BLOCK,
    RandomNormal,
    RandomUniform,
    output_shape,
)

# un tour de boucle externe : un bloc, quatre mots ; un littéral signé donnerait un flottant
_BODY = f"""def kernel(state, words):
    low, shift = uint64(0xFFFFFFFF), uint64(32)
    for block in range(words.shape[0]):
{PHILOX}        words[block, 0] = c0
        words[block, 1] = c1
        words[block, 2] = c2
        words[block, 3] = c3
"""
_SIGNATURE = (
    types.Array(types.uint64, 1, "C", readonly=True),
    types.Array(types.uint64, 2, "C"),
)


def draw_kernel(node, reuse):
    """Un tirage uniforme ou normal."""
    compiled = compile_kernel("philox", "Philox 4x32-10", _BODY, _SIGNATURE)
    op, perform = node.op, node.op.perform

    def call(state, *lengths):
        if state.shape != (STATE_LENGTH,):
            perform(node, (state, *lengths), [[None]])  # lève l’erreur
        shape = output_shape(lengths)
        count = int(np.prod(shape, dtype="int64"))
        needed = op.words_needed(count)
        words = np.empty((-(-needed // WORDS_PER_BLOCK), WORDS_PER_BLOCK), dtype="uint64")
        compiled(contiguous(state), words)
        return op.from_words(words.reshape(-1)[:needed], count).reshape(shape)

    return call


for _class in (RandomUniform, RandomNormal):
    kernel(_class, "numba")(draw_kernel)
