"""Les tuiles du produit rapide : la part de chaque fil, et le texte de ses calculs.

    Tile        chaque fil tient 4·down × 4·across sommes dans ses registres, en carrés de 4 × 4
                écartés : ses lectures de la mémoire partagée font 128 bits et ne se heurtent pas
    TensorTile  les 32 fils d’un warp multiplient ensemble des blocs de 16 × 8 × 8 sur les cœurs
                tensoriels, où les facteurs n’ont que dix bits de mantisse (TF32) ; les sommes sont
                en float32. Un float16 ou un bfloat16 y entre sans rien perdre.

Sources : CUTLASS (NVIDIA, 2017) ; PTX ISA 9.0, « mma.m16n8k8 » pour la place de chaque élément.

Ordre de lecture : `Tile`, `TensorTile`.
"""

from typing import NamedTuple

QUAD = 4
CONVERT = {  # de ce qui est rangé à ce qui se calcule, et retour
    "float16": ("from_half({})", "to_half({})"),
    "bfloat16": ("from_brain({})", "to_brain({})"),
}
_AS_IS = ("{}", "{}")


class Tile(NamedTuple):
    """Une tuile : ce que fait un bloc, et la part d’un fil, en carrés de 4 × 4."""

    rows: int
    columns: int
    depth: int
    down: int
    across: int
    lanes: int = 8  # fils d’un warp le long d’une ligne de la tuile
    residents: int = 1  # blocs qui doivent tenir ensemble : borne les registres

    pad = 4  # éléments de plus par ligne partagée : ses colonnes changent de banque
    rounded = "{}"

    @property
    def wide(self):
        """Les fils le long d’une ligne de la tuile."""
        return self.columns // (QUAD * self.across)

    @property
    def threads(self):
        """Les fils d’un bloc."""
        return self.wide * (self.rows // (QUAD * self.down))

    @property
    def sums(self):
        """Les sommes d’un fil."""
        return QUAD * self.down * QUAD * self.across

    @property
    def fragments(self):
        """Ce qu’un fil lit de a, et de b, à chaque rang de k."""
        return QUAD * self.down, QUAD * self.across

    def mapping(self, a_pitch, b_pitch):
        """La colonne x et la ligne y du fil, en carrés, et où commencent ses lectures."""
        return f"""    lane, warp = t % {4 * self.lanes}, t // {4 * self.lanes}
    x = uint32(warp % {self.wide // self.lanes} * {self.lanes} + lane % {self.lanes})
    y = uint32(warp // {self.wide // self.lanes} * 4 + lane // {self.lanes})
    ya, xb = uint32(y * 4), uint32(x * 4)
"""

    def steps(self, a_pitch, b_pitch):
        """Les rangs de k d’un panneau : à chacun les fragments, puis leurs produits."""
        lines = []
        for k in range(self.depth):
            for name, count, pitch, extent in (
                ("a", self.down, a_pitch, self.rows),
                ("b", self.across, b_pitch, self.columns),
            ):
                for q in range(count):
                    names = ", ".join(f"r{name}[{QUAD * q + e}]" for e in range(QUAD))
                    shift = k * pitch + q * extent // count
                    lines.append(f"{names} = load4(s{name}, o{name} + {shift})")
            lines += [
                f"for i in range({QUAD * self.down}):",
                f"    for j in range({QUAD * self.across}):",
                f"        acc[i * {QUAD * self.across} + j] += ra[i] * rb[j]",
            ]
        return "".join(f"        {line}\n" for line in lines)

    def write(self, stored, aligned):
        """Les sommes du fil, à leur place : par quatre voisines."""
        sums = [f"acc[i * {QUAD * self.across} + 4 * q + {e}]" for e in range(QUAD)]
        return f"""    first = int64(uint32(pile * parts + part)) * m * n
    for i in range({QUAD * self.down}):
        row = uint32(i0 + (i // 4) * {self.rows // self.down} + y * 4 + i % 4)
        if row < m:
            for q in range({self.across}):
                column = uint32(j0 + q * {self.columns // self.across} + x * 4)
                o = first + int64(row) * n + column
{_neighbours(sums, stored, aligned, 16)}"""


class TensorTile(NamedTuple):
    """Une tuile pour les cœurs tensoriels : un warp y fait 16·down lignes de 8·across colonnes.

    Dans un warp, le fil 4·g + q tient, d’un bloc de 16 × 8 : de a, les lignes g et g + 8, les
    rangs de k q et q + 4 ; de b, la colonne g, les mêmes rangs ; du résultat, les lignes g et
    g + 8, les colonnes 2q et 2q + 1. Quelles lignes de la tuile portent les numéros g et g + 8 est
    libre : ici 2g et 2g + 1, que le fil lit d’un coup.
    """

    rows: int
    columns: int
    depth: int
    down: int
    across: int
    residents: int = 1

    pad = 8  # quatre lignes de huit colonnes : trente-deux banques différentes
    rounded = "to_tf32({})"

    @property
    def wide(self):
        """Les warps le long d’une ligne de la tuile."""
        return self.columns // (8 * self.across)

    @property
    def threads(self):
        """Les fils d’un bloc."""
        return 32 * self.wide * (self.rows // (16 * self.down))

    @property
    def sums(self):
        """Les sommes d’un fil."""
        return 4 * self.down * self.across

    @property
    def fragments(self):
        """Ce qu’un fil lit de a, et de b, tous les huit rangs de k."""
        return 4 * self.down, 2 * self.across

    def mapping(self, a_pitch, b_pitch):
        """La ligne y et la colonne x où commence le warp, et où commencent les lectures du fil."""
        return f"""    # à partir de sm_80
    lane, warp = t % 32, t // 32
    g, q = uint32(lane // 4), uint32(lane % 4)
    x = uint32(warp % {self.wide} * {8 * self.across})
    y = uint32(warp // {self.wide} * {16 * self.down})
    ya, xb = uint32(q * {a_pitch} + y + 2 * g), uint32(q * {b_pitch} + x + g)
"""

    def steps(self, a_pitch, b_pitch):
        """Les rangs de k d’un panneau, huit par huit : les fragments, puis leurs produits."""
        lines = []
        for k in range(0, self.depth, 8):
            for half in range(2):
                a, b = ((k + 4 * half) * pitch for pitch in (a_pitch, b_pitch))
                lines += [
                    f"for i in range({self.down}):",
                    f"    ra[4 * i + {2 * half}], ra[4 * i + {2 * half + 1}] ="
                    f" load2(sa, oa + 16 * i + {a})",
                    f"for j in range({self.across}):",
                    f"    rb[2 * j + {half}] = sb[ob + 8 * j + {b}]",
                ]
            lines += [
                f"for i in range({self.down}):",
                f"    for j in range({self.across}):",
                f"        c = 4 * ({self.across} * i + j)",
                "        acc[c], acc[c + 1], acc[c + 2], acc[c + 3] = multiply_16_8_8(",
                "            ra[4 * i], ra[4 * i + 1], ra[4 * i + 2], ra[4 * i + 3],",
                "            rb[2 * j], rb[2 * j + 1], acc[c], acc[c + 1], acc[c + 2], acc[c + 3])",
            ]
        return "".join(f"        {line}\n" for line in lines)

    def write(self, stored, aligned):
        """Les sommes du fil, à leur place : par deux voisines."""
        sums = [f"acc[4 * ({self.across} * i + j) + 2 * h + {e}]" for e in range(2)]
        return f"""    first = int64(uint32(pile * parts + part)) * m * n
    for i in range({self.down}):
        for h in range(2):
            row = uint32(i0 + y + 16 * i + 2 * g + h)
            if row < m:
                for j in range({self.across}):
                    column = uint32(j0 + x + 8 * j + 2 * q)
                    o = first + int64(row) * n + column
{_neighbours(sums, stored, aligned, 20)}"""


def _neighbours(sums, stored, aligned, indent):
    """Des sommes voisines, à partir de `o`, sous garde."""
    items = [CONVERT.get(stored, _AS_IS)[1].format(item) for item in sums]
    if aligned:
        lines = ["if column < n:", f"    store{len(items)}(out, o, {', '.join(items)})"]
    else:
        lines = [
            line
            for e, item in enumerate(items)
            for line in (f"if uint32(column + {e}) < n:", f"    out[o + {e}] = {item}")
        ]
    return "".join(f"{' ' * indent}{line}\n" for line in lines)
