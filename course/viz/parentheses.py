"""Les façons de parenthéser un produit de jacobiennes : les écrire, les compter, les chronométrer.

Un ordre est un étage seul, nommé par son rang, ou un couple (gauche, droite) d’ordres :
`((3, 2), 1)` se lit (J₃ J₂) J₁. `sizes` donne les longueurs de l’entrée à la sortie ; J_i est de
forme (sizes[i], sizes[i - 1]).

Ordre de lecture : `all_orders`, `written`, `multiplications`, `seconds`.
"""

import time
from itertools import pairwise

import numpy as np

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def all_orders(last, first=1):
    """Tous les ordres du produit J_last … J_first, du mode arrière au mode avant.

    Exemple
        >>> all_orders(3)
        [((3, 2), 1), (3, (2, 1))]
    """
    if last == first:
        return [first]
    return [
        (left, right)
        for cut in range(first + 1, last + 1)
        for left in all_orders(last, cut)
        for right in all_orders(cut - 1, first)
    ]


def written(order):
    """L’ordre en toutes lettres, sans la parenthèse du dehors.

    Exemple
        >>> written(((3, 2), 1)).split()
        ['(J₃', 'J₂)', 'J₁']
    """
    if isinstance(order, int):
        return f"J{order}".translate(_SUBSCRIPTS)
    sides = (written(side) if isinstance(side, int) else f"({written(side)})" for side in order)
    return "\u00a0".join(sides)


def multiplications(order, sizes):
    """Le nombre de multiplications de l’ordre, par la formule p·q·r de chaque produit.

    Exemple
        >>> multiplications(((3, 2), 1), [5, 5, 5, 1]), multiplications((3, (2, 1)), [5, 5, 5, 1])
        (50, 150)
    """
    if isinstance(order, int):
        return 0
    left, right = order
    here = sizes[_end(left, 0)] * sizes[_end(right, 0)] * sizes[_end(right, -1) - 1]
    return here + multiplications(left, sizes) + multiplications(right, sizes)


def seconds(orders, sizes, repeats=5):
    """Le temps de chaque ordre, le meilleur de `repeats` tours, sur des jacobiennes au hasard."""
    draw = np.random.default_rng(0)
    jacobians = {
        rank: draw.normal(size=(rows, columns)).astype(np.float32)
        for rank, (columns, rows) in enumerate(pairwise(sizes), 1)
    }
    rounds = [[_timed(order, jacobians) for order in orders] for _ in range(repeats)]
    return [min(times) for times in zip(*rounds, strict=True)]


def _end(order, side):
    """L’étage du bord gauche (side = 0) ou du bord droit (side = -1) de l’ordre."""
    return order if isinstance(order, int) else _end(order[side], side)


def _product(order, jacobians):
    if isinstance(order, int):
        return jacobians[order]
    left, right = order
    return _product(left, jacobians) @ _product(right, jacobians)


def _timed(order, jacobians):
    start = time.perf_counter()
    _product(order, jacobians)
    return time.perf_counter() - start
