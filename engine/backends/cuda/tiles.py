"""Le produit par tuiles de registres : le texte d’un noyau, d’après sa tuile et ses opérandes.

Un bloc calcule une tuile de `rows` × `columns` du résultat, en avançant de `depth` en `depth` le
long de k. À chaque pas il lit deux panneaux, un de a, un de b, range le panneau suivant dans des
registres pendant qu’il calcule, puis dans la moitié libre de la mémoire partagée : une seule
barrière par pas. Chaque fil tient 4·down × 4·across sommes dans ses registres, en carrés de 4 × 4
écartés d’une demi-tuile : ses lectures de la mémoire partagée font 128 bits et ne se heurtent pas.

Les deux panneaux y sont rangés de même, ligne k, colonne i (ou j). Une matrice dont les éléments se
suivent le long de k est transposée au passage, l’autre recopiée.

Source : le produit SIMT de CUTLASS (NVIDIA, 2017), dont ce sont les tuiles.

Ordre de lecture : `Tile`, `Operands`, `product_body`, puis les morceaux du texte.
"""

from typing import NamedTuple

PAD = 4  # éléments de plus par ligne partagée : les colonnes ne tombent pas dans la même banque
QUAD = 4


class Tile(NamedTuple):
    """Une tuile : ce que fait un bloc, et la part d’un fil, en carrés de 4 × 4."""

    rows: int
    columns: int
    depth: int
    down: int
    across: int
    lanes: int = 8  # fils d’un warp le long d’une ligne de la tuile
    residents: int = 1  # blocs qui doivent tenir ensemble : borne les registres

    @property
    def threads(self):
        """Les fils d’un bloc."""
        return self.wide * (self.rows // (QUAD * self.down))

    @property
    def wide(self):
        """Les fils le long d’une ligne de la tuile."""
        return self.columns // (QUAD * self.across)


class Operands(NamedTuple):
    """Ce qui change le texte : les types, le sens des matrices, l’alignement.

    `along` : les éléments se suivent-ils le long de k, pour a, pour b ? `aligned` : tout accès à
    quatre éléments est-il permis ?
    """

    stored: str
    dtype: str
    along: tuple
    aligned: bool


CONVERT = {  # de ce qui est rangé à ce qui se calcule, et retour
    "float16": ("from_half({})", "to_half({})"),
    "bfloat16": ("from_brain({})", "to_brain({})"),
}
_AS_IS = ("{}", "{}")


def product_body(tile, operands, stored_out):
    """Le texte de `out = a @ b`, par tuiles, par piles, et par tranches de k (`parts`)."""
    dtype, (rows, columns, depth) = operands.dtype, tile[:3]
    tall, wide = rows + PAD, columns + PAD
    sums = QUAD * tile.down * QUAD * tile.across
    a = _Panel("a", "i0", "m", rows, tall, tile, operands, operands.along[0])
    b = _Panel("b", "j0", "n", columns, wide, tile, operands, operands.along[1])
    steps = "".join(_step(tile, k, tall, wide) for k in range(depth))
    return f"""RESIDENTS = {tile.residents}


def kernel(out, a, b, m, n, k, a_step, b_step, a_pile, b_pile, across, tall, parts, depth):
    sa = pointer(cuda.shared.array({2 * depth * tall}, np.{dtype}))
    sb = pointer(cuda.shared.array({2 * depth * wide}, np.{dtype}))
    acc = cuda.local.array({sums}, np.{dtype})
    ra = cuda.local.array({QUAD * tile.down}, np.{dtype})
    rb = cuda.local.array({QUAD * tile.across}, np.{dtype})
    zero = {dtype}(0)
    t = uint32(cuda.threadIdx.x)
    lane, warp = t % {4 * tile.lanes}, t // {4 * tile.lanes}
    x = uint32(warp % {tile.wide // tile.lanes} * {tile.lanes} + lane % {tile.lanes})
    y = uint32(warp // {tile.wide // tile.lanes} * 4 + lane // {tile.lanes})
    place = uint32(cuda.blockIdx.x)
    j0 = uint32(place % across * {columns})
    place = uint32(place // across)
    i0 = uint32(place % tall * {rows})
    place = uint32(place // tall)
    part, pile = uint32(place % parts), uint32(place // parts)
    at = uint32(part * depth)
    stop = uint32(min(k, at + depth))
{a.places()}{b.places()}{a.fetch(4)}{b.fetch(4)}{a.keep(4)}{b.keep(4)}    cuda.syncthreads()
    for i in range({sums}):
        acc[i] = zero
    turn = uint32(0)
    while at < stop:
        at = uint32(at + {depth})
        more = at < stop
        if more:
{a.fetch(12)}{b.fetch(12)}        oa = uint32(turn * {depth * tall} + y * 4)
        ob = uint32(turn * {depth * wide} + x * 4)
{steps}        turn = uint32(1 - turn)
        if more:
{a.keep(12)}{b.keep(12)}        cuda.syncthreads()
{_write(tile, operands, stored_out)}"""


class _Panel:
    """Comment un bloc apporte le panneau d’une matrice dans la mémoire partagée."""

    def __init__(self, name, origin, length, extent, pitch, tile, operands, along):
        self.name, self.origin, self.length, self.extent = name, origin, length, extent
        self.pitch, self.tile, self.operands, self.along = pitch, tile, operands, along
        quads = extent * tile.depth // QUAD
        self.count = -(-quads // tile.threads)
        self.guarded = quads % tile.threads != 0
        self.quads = quads

    def places(self):
        """Où le fil lit (`ia0`) et range (`oa0`), à partir de quel k ; le bord se répète."""
        x, text = self.name, ""
        per = (self.tile.depth if self.along else self.extent) // QUAD
        for rank in range(self.count):
            q = f"(t + {rank * self.tile.threads})"
            inner, outer = f"{q} % {per} * 4", f"{q} // {per}"
            k, o = (inner, outer) if self.along else (outer, inner)
            first = f"{self.origin} + {o}"
            if self.along:
                place = f"min({first}, {self.length} - 1) * {x}_step + at + k{x}{rank}"
            elif self.operands.aligned:
                place = f"(at + k{x}{rank}) * {x}_step + min({first}, {self.length} - 4)"
            else:
                place = f"(at + k{x}{rank}) * {x}_step + {first}"
            text += f"    k{x}{rank} = uint32({k})\n"
            text += f"    o{x}{rank} = uint32(k{x}{rank} * {self.pitch} + {o})\n"
            text += f"    i{x}{rank} = uint32(pile * {x}_pile + {place})\n"
            if not (self.along or self.operands.aligned):
                text += f"    e{x}{rank} = uint32({first})\n"
        return text

    def fetch(self, indent):
        """Le panneau qui commence en `at`, de la mémoire aux registres ; des zéros après k."""
        x, text = self.name, ""
        convert = CONVERT.get(self.operands.stored, _AS_IS)[0]
        for rank in range(self.count):
            names = [f"{x}{rank}_{e}" for e in range(4)]
            inside = f"uint32(at + k{x}{rank}) < stop"
            if self.operands.aligned:
                read = [f"if {inside}:", f"    {', '.join(names)} = load4({x}, i{x}{rank})"]
                if convert != "{}":
                    read = [f"if {inside}:", f"    w0, w1, w2, w3 = load4({x}, i{x}{rank})"]
                    read += [f"    {n} = {convert.format(f'w{e}')}" for e, n in enumerate(names)]
                read += ["else:", *[f"    {n} = zero" for n in names]]
            else:
                read = [f"{n} = zero" for n in names]
                for e, n in enumerate(names):
                    item = convert.format(f"{x}[uint32(i{x}{rank} + {e})]")
                    if self.along:
                        read.append(f"if uint32(at + k{x}{rank} + {e}) < stop:")
                    else:
                        edge = f"uint32(e{x}{rank} + {e}) < {self.length}"
                        read.append(f"if {inside} and {edge}:")
                    read.append(f"    {n} = {item}")
            stride = self.tile.depth if self.along else f"{self.tile.depth} * {x}_step"
            read.append(f"i{x}{rank} = uint32(i{x}{rank} + {stride})")
            text += "".join(f"{' ' * indent}{line}\n" for line in read)
        return text

    def keep(self, indent):
        """Des registres à la moitié `turn` de la mémoire partagée."""
        x, text = self.name, ""
        for rank in range(self.count):
            names = [f"{x}{rank}_{e}" for e in range(4)]
            turn = "" if indent == 4 else f"turn * {self.tile.depth * self.pitch} + "
            place = f"uint32({turn}o{x}{rank})"
            if self.along:
                lines = [f"s{x}[{place} + {e * self.pitch}] = {n}" for e, n in enumerate(names)]
            else:
                lines = [f"store4(s{x}, {place}, {', '.join(names)})"]
            if self.guarded:
                lines = [f"if t + {rank * self.tile.threads} < {self.quads}:",
                         *[f"    {line}" for line in lines]]  # fmt: skip
            text += "".join(f"{' ' * indent}{line}\n" for line in lines)
        return text


def _step(tile, k, tall, wide):
    """Un rang de k : les fragments, puis leurs produits."""
    lines = []
    for name, count, pitch, extent in (
        ("a", tile.down, tall, tile.rows),
        ("b", tile.across, wide, tile.columns),
    ):
        for q in range(count):
            names = ", ".join(f"r{name}[{QUAD * q + e}]" for e in range(QUAD))
            shift = k * pitch + q * extent // count
            lines.append(f"{names} = load4(s{name}, o{name} + {shift})")
    width = QUAD * tile.across
    lines += [
        f"for i in range({QUAD * tile.down}):",
        f"    for j in range({width}):",
        f"        acc[i * {width} + j] += ra[i] * rb[j]",
    ]
    return "".join(f"        {line}\n" for line in lines)


def _write(tile, operands, stored_out):
    """Les sommes du fil, à leur place."""
    width = QUAD * tile.across
    convert = CONVERT.get(stored_out, _AS_IS)[1]
    items = [convert.format(f"acc[i * {width} + 4 * q + {e}]") for e in range(4)]
    text = f"""    first = int64(uint32(pile * parts + part)) * m * n
    for i in range({QUAD * tile.down}):
        row = uint32(i0 + (i // 4) * {tile.rows // tile.down} + y * 4 + i % 4)
        if row < m:
            for q in range({tile.across}):
                column = uint32(j0 + q * {tile.columns // tile.across} + x * 4)
                o = first + int64(row) * n + column
"""
    if operands.aligned:
        return (
            text
            + f"""                if column < n:
                    store4(out, o, {", ".join(items)})
"""
        )
    for e, item in enumerate(items):
        text += f"""                if uint32(column + {e}) < n:
                    out[o + {e}] = {item}
"""
    return text
