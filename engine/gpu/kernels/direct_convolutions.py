"""La convolution par tuiles de registres : le niveau rapide, pour un pas et une dilatation de 1.

Un fil garde en registres `rows` × `columns` places de `filters` filtres voisins. Canal par canal,
le bloc pose dans la mémoire partagée un plan de chacune de ses images et les poids de ses filtres,
rangés pour que quatre filtres voisins se lisent d’un seul accès ; puis chaque fil fait glisser une
fenêtre de l’image dans ses registres : une lecture sert à kh × kw × `filters` produits. Pendant ce
temps, les valeurs du canal suivant arrivent déjà de la mémoire.

    fil t : filtre le plus vite, puis image, segment de colonnes, paire de lignes
    bloc  : (images, lignes, filtres) ; le dernier de chaque axe peut dépasser

Le gradient des images est la même convolution, de g par les filtres retournés, les deux premiers
axes échangés, bordée de kh − 1 − p zéros : le même texte sert aux deux.

Ordre de lecture : `Direct` (ce qu’il y a à calculer), `Tile` et `tile_for` (qui fait quoi) ; puis
`direct_texts`, qui l’écrit.

Référence : A. Lavin, « maxDNN : an efficient convolution kernel », 2015 (tuiles de registres).
"""

import math
from typing import NamedTuple

SHARED = 48 * 1024  # octets qu’un bloc obtient sans rien demander
QUAD = 4  # éléments d’un accès de 128 bits en float32


class Direct(NamedTuple):
    """Une convolution de pas 1 : out[b, o] = Σ_c x[b, c] par les filtres (o, c).

    `out_step` et `in_step` : où commencent, dans w, les poids du filtre o et du canal c ;
    `reversed` : les poids d’un filtre se lisent depuis la fin ; `aligned` : les lignes de x
    se lisent quatre éléments à la fois ; `pooled` : le texte d’une fonction de v, appliquée au
    maximum de chaque carré de 2 × 2 et au biais (vide : la convolution est rendue telle quelle).
    """

    dtype: str
    channels: int
    image: tuple
    filters: int
    places: tuple
    kernel: tuple
    before: tuple
    out_step: int
    in_step: int
    reversed: bool
    aligned: bool
    pooled: str = ""

    @property
    def taps(self):
        """Les poids d’un filtre, pour un canal."""
        return math.prod(self.kernel)

    def overflows(self, axis):
        """Les zéros qu’une place lit après l’image le long d’un axe."""
        last = self.places[axis] + self.kernel[axis] - 1 - self.before[axis]
        return max(last - self.image[axis], 0)

    def is_bordered(self, axis):
        """Lit-on hors de l’image le long de cet axe ?"""
        return self.before[axis] > 0 or self.overflows(axis) > 0


class Tile(NamedTuple):
    """Qui fait quoi. Un fil : `rows` × `columns` places de `filters` filtres. Un bloc : `groups`
    groupes de filtres, `images` images, `segments` × `slots` fils par plan.
    """

    rows: int
    columns: int
    filters: int
    segments: int
    groups: int
    slots: int
    images: int

    @property
    def threads(self):
        """Les fils d’un bloc."""
        return self.groups * self.images * self.segments * self.slots

    def blocks(self, direct):
        """Les blocs d’une tranche d’images : (groupes de filtres, tranches de lignes)."""
        return (
            -(-direct.filters // (self.filters * self.groups)),
            -(-direct.places[0] // (self.rows * self.slots)),
        )

    def stage(self, direct):
        """La mémoire partagée, en éléments : (lignes, largeur, plan d’une image, filtres)."""
        height = self.slots * self.rows + direct.kernel[0] - 1
        if self.blocks(direct)[1] == 1:
            height = direct.image[0] if direct.is_bordered(0) else max(height, direct.image[0])
        width = direct.image[1]
        if self.segments > 1:
            width = self.segments * self.columns + direct.kernel[1] - 1
        width = odd_quads(width)
        row = self.groups * self.filters
        return height, width, height * width, odd_quads(row) if self.filters == QUAD else row


def odd_quads(length):
    """Au moins cette longueur, en un nombre impair de quadruplets : deux lignes voisines ne se
    disputent pas les mêmes bancs de la mémoire partagée.

    Exemple
        >>> odd_quads(12), odd_quads(13), odd_quads(16)
        (12, 20, 20)
    """
    quads = -(-length // QUAD)
    return QUAD * (quads + 1 - quads % 2)


def tile_for(direct, limit):
    """La tuile de cette convolution, `limit` fils par bloc au plus ; None si elle ne tient pas."""
    height, width = direct.places
    filters = QUAD if direct.filters > 1 else 1
    all_groups = -(-direct.filters // filters)
    rows = 1 if direct.is_bordered(0) else 2
    if direct.pooled and (rows == 1 or height % 2 or width % 2):
        return None
    columns = _columns(direct, rows, all_groups, limit)
    segments = -(-width // columns)
    if segments > limit:
        return None
    groups = even_share(all_groups, max(1, min(limit // segments, limit // 16)))
    all_slots = -(-height // rows)
    slots = even_share(all_slots, max(1, limit // (segments * groups)))
    images = max(1, limit // (segments * groups * slots)) if slots == all_slots else 1
    while True:
        tile = Tile(rows, columns, filters, segments, groups, slots, images)
        if shared_bytes(direct, tile) <= SHARED:
            return tile
        if images > 1:
            images //= 2
        elif groups > 1:
            groups = -(-groups // 2)
        elif slots > 1:
            slots = -(-slots // 2)
        else:
            return None


def _columns(direct, rows, groups, limit):
    """Les colonnes d’un fil : tout un rang s’il est court, sinon des quadruplets."""
    height, width = direct.places
    if rows == 1:
        return width if width <= 4 * QUAD else 2 * QUAD
    few = -(-height // rows) * -(-width // (2 * QUAD)) * groups < limit // 2
    wide = QUAD if few else 2 * QUAD
    return width if width <= wide or QUAD < width < 2 * QUAD else wide


def even_share(count, limit):
    """Les éléments d’une part, quand `count` se partage en parts égales d’au plus `limit`.

    Exemple
        >>> even_share(25, 12), even_share(24, 12)
        (9, 12)
    """
    return -(-count // -(-count // limit))


def shared_bytes(direct, tile):
    """La mémoire partagée d’un bloc, en octets."""
    _, _, plane, row = tile.stage(direct)
    item = 8 if direct.dtype == "float64" else 4
    return item * (tile.images * plane + direct.taps * row)
