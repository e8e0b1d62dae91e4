"""La géométrie d’un lancement : assez de blocs pour couvrir la sortie, et la place d’un fil."""

from engine.core.errors import ShapeError

MOST = 65535  # blocs d’une grille le long de y, et de z ; x en prend deux milliards


def geometry(shape, block):
    """Renvoie `(grille, bloc)`, de quoi donner au moins un fil à chaque élément de `shape`.

    Les formes s’écrivent comme celles des tableaux, (lignes, colonnes) ; CUDA compte à l’envers, x
    d’abord. Le dernier axe va donc à x : des fils voisins touchent des éléments voisins.

    Paramètres
        shape : la forme à couvrir, un entier ou de un à trois entiers.
        block : les fils d’un bloc selon les mêmes axes ; 1024 au plus en tout.

    Renvoie
        deux tuples dans l’ordre de CUDA. Le dernier bloc d’un axe peut dépasser : le noyau a une
        garde.

    Lève
        ShapeError : les deux formes n’ont pas le même nombre d’axes, ou il y a trop de fils dans
            le bloc, de blocs dans la grille.

    Exemple
        >>> geometry(10, 4)
        ((3,), (4,))
        >>> geometry((5, 9), (4, 2))
        ((5, 2), (2, 4))
    """
    shape, block = as_tuple(shape), as_tuple(block)
    if len(shape) != len(block) or not 1 <= len(shape) <= 3:
        raise ShapeError(
            "un lancement prend autant d’axes pour le bloc que pour la forme, de un à trois",
            expected=f"un bloc à {len(shape)} axe(s)",
            received=str(block),
        )
    if threads_in(block) > 1024 or min(block) < 1:
        raise ShapeError(
            "un bloc compte de 1 à 1024 fils",
            received=f"{block}, soit {threads_in(block)} fils",
            hint="des blocs plus petits, et davantage de blocs",
        )
    blocks = [max(1, -(-length // width)) for length, width in zip(shape, block, strict=True)]
    if max(blocks[:-1], default=1) > MOST:
        raise ShapeError(
            "une grille est trop longue",
            expected=f"{MOST} blocs au plus selon chaque axe, sauf le dernier",
            received=f"{tuple(blocks)} blocs pour la forme {shape}",
            hint="le plus long axe en dernier, de plus grands blocs, ou plusieurs lancements",
        )
    return tuple(blocks)[::-1], block[::-1]


def threads_in(dims):
    """Le nombre de fils (ou de blocs) d’une forme.

    Exemple
        >>> threads_in((4, 8))
        32
    """
    total = 1
    for length in dims:
        total *= length
    return total


def as_tuple(dims):
    """Un entier devient un tuple d’un entier.

    Exemple
        >>> as_tuple(5), as_tuple([2, 3])
        ((5,), (2, 3))
    """
    return (int(dims),) if isinstance(dims, int) else tuple(map(int, dims))
