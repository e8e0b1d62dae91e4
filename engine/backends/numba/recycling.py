"""Rendre encore la mémoire d’un grand résultat, quand plus personne ne le tient.

Une mémoire neuve se paie à sa première écriture : le système y met des zéros, page par page, aussi
longtemps qu’une copie. Le résultat d’une fonction appartient à l’appelant ; quand il l’a lâché,
l’appel suivant le reprend. On donne une vue : elle tient le tableau tant qu’elle, ou une autre
vue d’elle, est tenue.
"""

from sys import getrefcount

import numpy as np

KEPT = 2  # l’appelant tient encore un résultat quand il demande le suivant


def _counts(arrays):
    return [getrefcount(array) for array in arrays]


_ALONE = _counts([np.empty(0)])[0]  # selon la version de Python


def recycler(dtype):
    """La fonction forme -> tableau non initialisé, qui reprend ce qu’elle a donné.

    Elle est d’un programme, qu’un seul fil à la fois parcourt.
    """
    given = []

    def take(shape):
        counted = zip(given, _counts(given), strict=True)
        usable = (x for x, count in counted if count == _ALONE and x.shape == shape)
        found = next(usable, None)
        if found is None:
            found = np.empty(shape, dtype)
            given.append(found)
            del given[:-KEPT]
        return found[...]

    return take
