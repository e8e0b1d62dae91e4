"""Le gradient des filtres par tuiles de registres : le niveau rapide, en deux passes.

    gw[o, c, u, v] = Σ_{b, i, j} x[b, c, i + u − p, j + v − p] g[b, o, i, j]

La somme porte sur toutes les places de toutes les images ; elle est coupée en tranches d’images.
Première passe : un bloc pose dans la mémoire partagée quelques images à la fois, et chaque fil
garde en registres les kh × kw poids de `filters` filtres et d’un canal. S’il y a peu de poids
(une première couche), `lanes` fils voisins se partagent les places d’un même filtre, puis
réunissent leurs sommes par échanges : à chaque tour, un fil garde une moitié des siennes et donne
l’autre. Une seconde passe additionne les tranches, toujours dans le même ordre : pas d’ajout
atomique, le même résultat à chaque fois.

    fil t : places (`lanes` fils), puis canal, puis groupe de filtres
    bloc  : (tranche d’images, groupes de filtres, canaux)

Ordre de lecture : `Correlation` (ce qu’il y a à calculer), `Share` et `share_for` (qui fait quoi) ;
puis `filter_texts`, qui les écrit.
"""

import math
from typing import NamedTuple

from engine.gpu.kernels.direct_convolutions import QUAD, SHARED, even_share, odd_quads

_TOTALS = 50  # sommes qu’un fil garde en registres, à peu près
_MOST_TOTALS = 64
_BLOCKS = 264  # deux par multiprocesseur d’un H100 : assez de tranches pour les occuper


class Correlation(NamedTuple):
    """Le gradient des filtres d’une convolution de pas 1.

    `reversed` : les poids d’un filtre se rangent depuis la fin ; `aligned` : les lignes de x et
    de g se lisent quatre éléments à la fois ; `pooled` : g est donné par carrés de 2 × 2, avec le
    rang du pixel qui reçoit tout.
    """

    dtype: str
    channels: int
    image: tuple
    filters: int
    places: tuple
    kernel: tuple
    before: tuple
    reversed: bool
    aligned: bool
    pooled: bool = False

    @property
    def taps(self):
        """Les poids d’un filtre, pour un canal."""
        return math.prod(self.kernel)

    def is_bordered(self, axis):
        """Lit-on hors de l’image le long de cet axe ?"""
        last = self.places[axis] + self.kernel[axis] - 1 - self.before[axis]
        return self.before[axis] > 0 or last > self.image[axis]


class Share(NamedTuple):
    """Qui fait quoi. Un fil : `filters` filtres d’un canal, `columns` places à la fois. Un bloc :
    `groups` groupes de filtres, `channels` canaux, `lanes` fils par couple, `images` à la fois.
    """

    filters: int
    columns: int
    segments: int
    groups: int
    channels: int
    lanes: int
    rows: int  # lignes de places posées à la fois ; toutes, ou une image à la fois
    images: int
    direct: bool  # g se lit dans la mémoire, sans passer par la mémoire partagée
    warp: int

    @property
    def couples(self):
        """Les couples (groupe de filtres, canal) d’un bloc."""
        return self.groups * self.channels

    @property
    def threads(self):
        """Les fils d’un bloc ; des warps entiers s’ils échangent."""
        count = self.couples * self.lanes
        return count if self.lanes == 1 else -(-count // self.warp) * self.warp

    def totals(self, work):
        """Les sommes d’un fil."""
        return self.filters * work.taps

    def blocks(self, work):
        """Les blocs d’une tranche d’images : (groupes de filtres, canaux)."""
        return -(-work.filters // (self.filters * self.groups)), -(-work.channels // self.channels)

    def strips(self, work):
        """Les bandes de lignes d’une image."""
        return -(-work.places[0] // self.rows)

    def heights(self, work):
        """Les lignes posées : de x, de g."""
        if self.strips(work) == 1:
            return work.image[0], work.places[0]
        return self.rows + work.kernel[0] - 1, self.rows

    def planes(self, work):
        """La mémoire partagée : largeur et plan de x, largeur et plan de g."""
        x_height, g_height = self.heights(work)
        width = work.image[1]
        if work.is_bordered(1) or self.segments > 1:
            width = max(width, self.segments * self.columns + work.kernel[1] - 1)
        width = odd_quads(width)
        row = -(-self.segments * self.columns // QUAD) * QUAD
        return width, odd_quads(x_height * width), row, odd_quads(g_height * row)

    def items(self, work):
        """Les éléments de la mémoire partagée : ceux de x, ceux de g."""
        _, x_plane, _, g_plane = self.planes(work)
        g_items = 0 if self.direct else self.groups * self.filters * g_plane
        return self.images * self.channels * x_plane, self.images * g_items


def share_for(work, count, block, warp):
    """Le partage de ce travail entre les fils, pour `count` images ; None s’il ne tient pas.

    Paramètres
        block, warp : les fils d’un bloc, à peu près, et d’un warp.
    """
    if work.taps > _MOST_TOTALS:
        return None
    limit = block * 5 // 4
    item = 8 if work.dtype == "float64" else 4
    filters = min(max(1, _TOTALS * 4 // item // work.taps), 8, work.filters)
    width = work.places[1]
    columns = width if width <= 2 * QUAD else min((2 * QUAD, QUAD), key=lambda c: -width % c)
    channels = even_share(work.channels, min(limit, 32))
    groups = even_share(-(-work.filters // filters), max(1, limit // channels))
    share = Share(filters, columns, -(-width // columns), groups, channels, 1, work.places[0], 1,
                  channels <= 2, warp)  # fmt: skip
    while sum(share.items(work)) * item > SHARED:
        if share.rows > QUAD:
            share = share._replace(rows=-(-share.rows // 2))
        elif share.groups > max(share.channels // 4, 1) and not share.direct:
            share = share._replace(groups=-(-share.groups // 2))
        elif share.channels > 1:
            share = share._replace(channels=-(-share.channels // 2))
        elif share.rows > 1:
            share = share._replace(rows=-(-share.rows // 2))
        else:
            return None
    if work.pooled and not (share.direct and columns % 2 == 0 == width % columns):
        return None
    lanes = 1
    while 2 * lanes <= warp and 2 * lanes * share.couples <= limit:
        lanes *= 2
    share = share._replace(lanes=lanes)
    fit = SHARED // (sum(share.items(work)) * item) if share.strips(work) == 1 else 1
    slice_ = -(-count * math.prod(share.blocks(work)) // _BLOCKS)
    return share._replace(images=max(1, min(fit, slice_, count)))


def slices(work, share, count):
    """Les tranches d’images : combien, et combien d’images chacune."""
    each = -(-count * math.prod(share.blocks(work)) // _BLOCKS)
    each = -(-each // share.images) * share.images
    return -(-count // each), each
