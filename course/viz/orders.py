"""Dans quel ordre multiplier quatre jacobiennes : le widget de la leçon 02.

Python compte, chronomètre et dessine (`draw_orders`) ; le JavaScript (`static/orders.js`) ne tient
que les curseurs. Un curseur qui bouge redessine les comptes ; quand il s’arrête, les cinq produits
sont faits pour de bon et leur temps s’ajoute.

Noms publics : `OrdersWidget`, `draw_orders`.
"""

import functools
import math

import traitlets

from course.typography import typeset
from course.viz import palette
from course.viz.parentheses import all_orders, multiplications, seconds, written
from course.viz.picture import Picture, decimal
from course.viz.svg import document, text
from course.viz.widget import CourseWidget, script

WIDTH, MARGIN = 820, 12
CHAIN = 150  # hauteur de la chaîne de jacobiennes, en tête
ROW = 34
COUNT_X, TIME_X, BAR = 276, 572, 150  # où commencent les barres, et leur longueur
POWERS = [2**power for power in range(11)]  # ce que les curseurs proposent
ORDERS = all_orders(4)
NAMES = {ORDERS[0]: "mode arrière", ORDERS[-1]: "mode avant"}

_text = functools.partial(text, anchor="start")


class OrdersWidget(CourseWidget):
    """Compte et chronomètre les cinq ordres d’un produit de quatre jacobiennes.

    Paramètres
        sizes : les cinq longueurs, de l’entrée à la sortie, des puissances de deux jusqu’à 1024 ;
            les curseurs en règlent trois, la première, celle du milieu et la dernière.
        title : titre du widget.

    Exemple
        >>> OrdersWidget([4, 4, 4, 4, 1])
        <OrdersWidget>
    """

    _esm = script("orders")

    title = traitlets.Unicode().tag(sync=True)
    sizes = traitlets.List(traitlets.Int()).tag(sync=True)
    timed = traitlets.List(traitlets.Int()).tag(sync=True)  # les longueurs à chronométrer
    svg = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)

    def __init__(self, sizes=(1024, 256, 256, 256, 1), *, title="Cinq ordres, un même produit"):
        sizes = list(sizes)
        if len(sizes) != 5 or any(size not in POWERS for size in sizes):
            raise ValueError(
                typeset(f"cinq puissances de deux, de 1 à {POWERS[-1]}, attendues : {sizes}")
            )
        super().__init__(title=typeset(title), sizes=sizes, timed=sizes)
        self._refresh()
        self.observe(self._refresh, ["sizes", "timed"])

    def fallback(self):
        """Renvoie l’image fixe des cinq ordres."""
        return Picture(self.svg, describe_orders(self.sizes))

    def _refresh(self, _change=None):
        times = seconds(ORDERS, self.sizes) if self.timed == self.sizes else None
        with self.hold_sync():
            self.svg = draw_orders(self.sizes, times, title=self.title)
            self.text = describe_orders(self.sizes) + (_fastest(times) if times else "")


def describe_orders(sizes):
    """Dit en une phrase l’ordre le moins cher, et de combien."""
    counts = [multiplications(order, sizes) for order in ORDERS]
    best = min(counts)
    cheapest = " ou ".join(
        written(order) + (f" ({NAMES[order]})" if order in NAMES else "")
        for order, count in zip(ORDERS, counts, strict=True)
        if count == best
    )
    return typeset(
        f"Longueurs, de l'entrée à la sortie : {', '.join(map(str, sizes))}. Le moins cher : "
        f"{cheapest}, {decimal(best)} multiplications ; le plus cher en demande "
        f"{decimal(max(counts) / best)} fois autant."
    )


def _fastest(times):
    best = min(times)
    order = written(ORDERS[times.index(best)])
    return typeset(f" Le plus rapide, mesuré : {order}, {decimal(1000 * best, 2)} ms.")


def draw_orders(sizes, times=None, *, title=""):
    """Renvoie le texte SVG : les quatre jacobiennes, puis une ligne par ordre.

    Paramètres
        sizes : les longueurs, de l’entrée à la sortie.
        times : les secondes de chaque ordre ; None tant qu’elles ne sont pas mesurées.
        title : le titre lu par les lecteurs d’écran.
    """
    counts = [multiplications(order, sizes) for order in ORDERS]
    top = CHAIN + 34
    height = top + ROW * len(ORDERS) + 6
    body = [_jacobian(rank, sizes[rank], sizes[rank - 1]) for rank in range(4, 0, -1)]
    note = "côtés à l'échelle logarithmique"
    body.append(_text(WIDTH / 2, CHAIN - 12, note, anchor="middle", colour=palette.MUTED))
    body.append(_text(MARGIN, CHAIN + 12, "ordre", colour=palette.MUTED))
    body.append(_text(COUNT_X, CHAIN + 12, "multiplications", colour=palette.MUTED))
    body.append(_text(TIME_X, CHAIN + 12, "temps mesuré (ms)", colour=palette.MUTED))
    for row, order in enumerate(ORDERS):
        y, cheapest = top + ROW * row, counts[row] == min(counts)
        weight = "700" if cheapest else "normal"
        body.append(_text(MARGIN, y + 14, written(order), size=15, weight=weight))
        label = NAMES.get(order, "") + (" ★" if cheapest else "")
        body.append(_text(148, y + 14, label.strip(), weight=weight))
        share = counts[row] / max(counts)
        body.append(_bar(COUNT_X, y, share, decimal(counts[row]), "gradient", weight))
        if times:
            share = times[row] / max(times)
            body.append(_bar(TIME_X, y, share, decimal(1000 * times[row], 2), "constant", weight))
        else:
            body.append(_text(TIME_X, y + 14, "…"))
    return document(WIDTH, height, title or "Les ordres d’un produit", body)


def _jacobian(rank, rows, columns):
    """Un rectangle de `rows` sur `columns`, les côtés à l’échelle logarithmique."""
    wide, tall = (8 + 7.6 * math.log2(size) for size in (columns, rows))
    middle, base = MARGIN + 100 + 198 * (4 - rank), CHAIN - 56
    return (
        f'<rect x="{middle - wide / 2:.1f}" y="{base - tall:.1f}" width="{wide:.1f}" '
        f'height="{tall:.1f}" fill="{palette.BACKGROUND}" stroke-width="2" '
        f'stroke="{palette.variable("gradient")}"/>'
        + _text(
            middle, base + 20, f"{written(rank)} : {rows} × {columns}", anchor="middle", size=14
        )
    )


def _bar(x, y, share, label, concept, weight):
    length = max(1.0, share * BAR)
    return (
        f'<rect x="{x}" y="{y + 1}" width="{length:.1f}" height="17" '
        f'fill="{palette.variable(concept)}"/>'
        + _text(x + length + 7, y + 14, label, weight=weight)
    )
