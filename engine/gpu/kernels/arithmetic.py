"""Calculer, depuis Python, sur des tableaux d’une carte : `a + b`, `a @ b`, `a.sum()`.

Chaque opération est une fonction compilée du moteur, faite une fois pour ces dtypes et ces nombres
d’axes ; rien ne passe par l’hôte. Un nombre de Python prend le dtype du tableau, comme dans NumPy.

Ordre de lecture : `computed`, puis `_compiled`. Les méthodes sont dans `arrays`.
"""

from functools import cache

import numpy as np

from engine.core.compiler import function
from engine.core.request import Out
from engine.core.settings import config
from engine.core.types import TensorType
from engine.gpu.kernels.arrays import DeviceArray, upload
from engine.ops.transfer import transfer


def computed(build, *operands, **settings):
    """Le tableau que donne cette opération.

    Paramètres
        build : une fonction des variables symboliques.
        operands : des tableaux de cette carte, de l’hôte, ou des nombres.
        settings : ce que `build` reçoit de plus (un axe).
    """
    ours = next(x for x in operands if isinstance(x, DeviceArray))
    arrays = [_as_array(x, ours) for x in operands]
    kinds = tuple((str(x.dtype), tuple(n == 1 for n in x.shape)) for x in arrays)
    return _compiled(build, ours.rank, kinds, tuple(settings.items()))(*arrays)


def _as_array(x, ours):
    if isinstance(x, DeviceArray):
        return x
    if isinstance(x, bool | int | float):
        x = np.asarray(x, np.result_type(ours.dtype, x))
    return upload(np.asarray(x), ours.rank)


@cache
def _compiled(build, rank, kinds, settings):
    variables = [TensorType(dtype, ones)() for dtype, ones in kinds]
    result = build(*variables, **dict(settings))
    card = f"cuda{rank}"
    with config.change_flags(device=card):
        return function(variables, Out(transfer(result, card)), on_unused_input="ignore")
