"""Réunir ce que tiennent les fils : par échanges dans un warp, en mémoire partagée dans un bloc.

Un groupe de `lanes` fils voisins fait une ligne : une puissance de deux, au plus un warp, ou le
bloc entier. `lanes` est un nombre donné au lancement : un même noyau sert les lignes courtes et les
longues. L’ordre des opérations ne dépend que des rangs des fils : le résultat se répète toujours,
et tous les fils du groupe le connaissent.

Ordre de lecture : `lanes_for`, `group_lines`, `join_lines`.
"""

from engine.gpu.kernels.machines import machine

EACH = 4  # éléments qu’un fil demande d’avance : de quoi attendre la mémoire sans rien faire
_PER_LANE = 8  # au-delà, par fil d’un warp, la ligne prend tout le bloc


def lanes_for(units):
    """Le nombre de fils d’une ligne de `units` éléments (ou groupes de quatre).

    Exemple
        >>> [lanes_for(units) for units in (1, 5, 16, 1000)]  # le warp simulé a 4 fils, le bloc 8
        [1, 2, 4, 8]
    """
    if units > _PER_LANE * machine().warp:
        return machine().reduction_block
    wanted = -(-units // EACH)
    return min(1 << max(wanted - 1, 0).bit_length(), machine().warp)


def group_lines():
    """Les lignes qui situent un fil : `lane` dans son groupe, `row`, la ligne que fait le groupe.

    Au-delà de la dernière des m lignes, un groupe refait celle-ci sans rien écrire (`inside` est
    faux) : tous les fils d’un warp restent ensemble.
    """
    return [
        "t = uint32(cuda.threadIdx.x)",
        "group = uint32(t // lanes)",
        "lane = uint32(t - uint32(group * lanes))",
        f"here = uint32(uint32({machine().reduction_block}) // lanes)",
        "row = uint32(uint32(uint32(cuda.blockIdx.x) * here) + group)",
        "inside = row < m",
        "row = uint32(min(row, uint32(m - uint32(1))))",
    ]


def blocks_for(rows, lanes):
    """Les blocs à lancer pour `rows` lignes."""
    return -(-rows // (machine().reduction_block // lanes))


def join_lines(held, join):
    """Les lignes qui réunissent les valeurs des `lanes` fils d’un groupe.

    Paramètres
        held : {nom: dtype}, ce que tient chaque fil.
        join : les lignes qui mettent dans chaque nom la réunion du sien et de celui d’un autre,
            `other_` suivi du nom.
    """
    warp, block = machine().warp, machine().reduction_block
    lines = [f"d = uint32(uint32(min(lanes, uint32({warp}))) // uint32(2))", "while d > 0:"]
    lines += [f"    other_{name} = shuffle_xor({name}, d)" for name in held]
    lines += [f"    {line}" for line in join]
    lines += ["    d = uint32(d // uint32(2))", f"if lanes > {warp}:"]
    lines += [
        f"    part_{name} = cuda.shared.array({block // warp}, np.{dtype})"
        for name, dtype in held.items()
    ]
    lines += [f"    if t % uint32({warp}) == 0:"]
    lines += [f"        part_{name}[t // uint32({warp})] = {name}" for name in held]
    lines += ["    cuda.syncthreads()"]
    lines += [f"    {name} = part_{name}[0]" for name in held]
    lines += [f"    for w in range(1, {block // warp}):"]
    lines += [f"        other_{name} = part_{name}[w]" for name in held]
    lines += [f"        {line}" for line in join]
    return lines
