"""Le texte du produit rapide : comment un bloc avance le long de k, et apporte ses panneaux.

Un bloc calcule une tuile de `rows` × `columns` du résultat, en avançant de `depth` en `depth` le
long de k. À chaque pas il lit deux panneaux, un de a, un de b, range le panneau suivant dans des
registres pendant qu’il calcule, puis dans la moitié libre de la mémoire partagée : une seule
barrière par pas. Les deux panneaux y sont rangés de même, ligne k, colonne i (ou j). Une matrice
dont les éléments se suivent le long de k est transposée au passage, l’autre recopiée. Ce que chaque
fil calcule, c’est la tuile qui le dit (`tiles`).

Source : le produit de CUTLASS (NVIDIA, 2017), dont ce sont les étapes.

Ordre de lecture : `Operands`, `product_body`, `Panel`.
"""

from typing import NamedTuple

from engine.gpu.kernels.tiles import CONVERT, QUAD


class Operands(NamedTuple):
    """Ce qui change le texte : les types, le sens des matrices, l’alignement.

    `along` : les éléments se suivent-ils le long de k, pour a, pour b ? `aligned` : tout accès à
    quatre éléments est-il permis ?
    """

    stored: str
    dtype: str
    along: tuple
    aligned: bool


def product_body(tile, operands, stored_out):
    """Le texte de `out = a @ b`, par tuiles, par piles, et par tranches de k (`parts`)."""
    dtype, depth = operands.dtype, tile.depth
    a = Panel("a", "i0", "m", tile.rows, tile, operands, operands.along[0])
    b = Panel("b", "j0", "n", tile.columns, tile, operands, operands.along[1])
    return f"""RESIDENTS = {tile.residents}


def kernel(out, a, b, m, n, k, a_step, b_step, a_pile, b_pile, across, tall, parts, depth):
    sa = pointer(cuda.shared.array({2 * depth * a.pitch}, np.{dtype}))
    sb = pointer(cuda.shared.array({2 * depth * b.pitch}, np.{dtype}))
    acc = cuda.local.array({tile.sums}, np.{dtype})
    ra = cuda.local.array({tile.fragments[0]}, np.{dtype})
    rb = cuda.local.array({tile.fragments[1]}, np.{dtype})
    zero = {dtype}(0)
    t = uint32(cuda.threadIdx.x)
{tile.mapping(a.pitch, b.pitch)}    place = uint32(cuda.blockIdx.x)
    j0 = uint32(place % across * {tile.columns})
    place = uint32(place // across)
    i0 = uint32(place % tall * {tile.rows})
    place = uint32(place // tall)
    part, pile = uint32(place % parts), uint32(place // parts)
    at = uint32(part * depth)
    stop = uint32(min(k, at + depth))
{a.places()}{b.places()}{a.fetch(4)}{b.fetch(4)}{a.keep(4)}{b.keep(4)}    cuda.syncthreads()
    for i in range({tile.sums}):
        acc[i] = zero
    turn = uint32(0)
    while at < stop:
        at = uint32(at + {depth})
{a.fetch(8)}{b.fetch(8)}        oa = uint32(turn * {depth * a.pitch} + ya)
        ob = uint32(turn * {depth * b.pitch} + xb)
{tile.steps(a.pitch, b.pitch)}        turn = uint32(1 - turn)
{a.keep(8)}{b.keep(8)}        cuda.syncthreads()
{tile.write(stored_out, operands.aligned)}"""


class Panel:
    """Comment un bloc apporte le panneau d’une matrice dans la mémoire partagée."""

    def __init__(self, name, origin, length, extent, tile, operands, along):
        self.name, self.origin, self.length, self.extent = name, origin, length, extent
        self.pitch = extent + tile.pad
        self.tile, self.operands, self.along = tile, operands, along
        self.convert = CONVERT[operands.stored][0] if operands.stored in CONVERT else tile.rounded
        quads = extent * tile.depth // QUAD
        self.count = -(-quads // tile.threads)
        self.guarded = quads % tile.threads != 0
        self.quads = quads

    def places(self):
        """Où le fil lit (`ia0`) et range (`oa0`), à partir de quel k ; le bord se répète."""
        x, text = self.name, ""
        per = (self.tile.depth if self.along else self.extent) // QUAD
        for position in range(self.count):
            shift = position * self.tile.threads
            q, more = (f"(t + {shift})", 0) if self.tile.threads % per else ("t", shift // per)
            inner, outer = f"{q} % {per} * 4", f"{q} // {per} + {more}"
            k, o = (inner, outer) if self.along else (outer, inner)
            first = f"{self.origin} + {o}"
            if self.along:
                place = f"min({first}, {self.length} - 1) * {x}_step + at + k{x}{position}"
            elif self.operands.aligned:
                place = f"(at + k{x}{position}) * {x}_step + min({first}, {self.length} - 4)"
            else:
                place = f"(at + k{x}{position}) * {x}_step + {first}"
            text += f"    k{x}{position} = uint32({k})\n"
            text += f"    o{x}{position} = uint32(k{x}{position} * {self.pitch} + {o})\n"
            text += f"    i{x}{position} = uint32(pile * {x}_pile + {place})\n"
            if not (self.along or self.operands.aligned):
                text += f"    e{x}{position} = uint32({first})\n"
        return text

    def fetch(self, indent):
        """Le panneau qui commence en `at`, de la mémoire aux registres ; des zéros après k."""
        x, text = self.name, ""
        convert = self.convert
        for position in range(self.count):
            names = [f"{x}{position}_{e}" for e in range(4)]
            inside = f"uint32(at + k{x}{position}) < stop"
            if self.operands.aligned:
                read = [f"if {inside}:", f"    {', '.join(names)} = load4({x}, i{x}{position})"]
                if convert != "{}":
                    read = [f"if {inside}:", f"    w0, w1, w2, w3 = load4({x}, i{x}{position})"]
                    read += [f"    {n} = {convert.format(f'w{e}')}" for e, n in enumerate(names)]
                read += ["else:", *[f"    {n} = zero" for n in names]]
            else:
                read = [f"{n} = zero" for n in names]
                for e, n in enumerate(names):
                    item = convert.format(f"{x}[uint32(i{x}{position} + {e})]")
                    if self.along:
                        read.append(f"if uint32(at + k{x}{position} + {e}) < stop:")
                    else:
                        edge = f"uint32(e{x}{position} + {e}) < {self.length}"
                        read.append(f"if {inside} and {edge}:")
                    read.append(f"    {n} = {item}")
            stride = self.tile.depth if self.along else f"{self.tile.depth} * {x}_step"
            read.append(f"i{x}{position} = uint32(i{x}{position} + {stride})")
            text += "".join(f"{' ' * indent}{line}\n" for line in read)
        return text

    def keep(self, indent):
        """Des registres à la moitié `turn` de la mémoire partagée."""
        x, text = self.name, ""
        for k in range(self.count):
            names = [f"{x}{k}_{e}" for e in range(4)]
            turn = "" if indent == 4 else f"turn * {self.tile.depth * self.pitch} + "
            place = f"uint32({turn}o{x}{k})"
            if self.along:
                lines = [f"s{x}[{place} + {e * self.pitch}] = {n}" for e, n in enumerate(names)]
            else:
                lines = [f"store4(s{x}, {place}, {', '.join(names)})"]
            if self.guarded:
                lines = [f"if t + {k * self.tile.threads} < {self.quads}:",
                         *[f"    {line}" for line in lines]]  # fmt: skip
            text += "".join(f"{' ' * indent}{line}\n" for line in lines)
        return text
