"""Placer un graphe orienté par couches, de haut en bas (méthode de Sugiyama).

Quatre temps, lisibles dans cet ordre : le rang de chaque nœud (`_ranks`), les relais des arêtes
longues et des étiquettes (`_Layers`), l’ordre dans chaque couche par barycentres (`_order`), les
abscisses par moindres carrés sous contrainte d’écart (`_place`). Rien n’est tiré au hasard et rien
n’est récursif : le même graphe donne toujours le même dessin.

Nom public : `layered_layout`, qui rend un `Layout`.

Source : K. Sugiyama, S. Tagawa et M. Toda, « Methods for visual understanding of hierarchical
system structures », IEEE Trans. SMC 11, 1981.
"""

import dataclasses
import math
from bisect import bisect_left, insort
from itertools import pairwise

STRAIGHTNESS = 6.0  # un relais tire plus fort qu’un nœud : les arêtes longues restent droites
SWEEPS = 6
WALL = 3  # blanc entre une arête et le nœud qu’elle longe
RELAYS = 20_000  # au-delà, les arêtes les plus longues deviennent des renvois : deux bouts
STUB = 14  # longueur d’un bout


@dataclasses.dataclass
class Layout:
    """Un dessin : sa taille, le centre de chaque nœud, le chemin SVG de chaque arête."""

    width: float
    height: float
    centres: dict
    paths: list
    label_centres: list


def layered_layout(sizes, edges, labels=None, gap=(22, 30), margin=10):
    """Place un graphe et trace ses arêtes.

    Paramètres
        sizes : {nœud : (largeur, hauteur)} en pixels.
        edges : liste de couples (source, cible) ; un circuit éventuel est coupé, pas refusé.
        labels : taille (largeur, hauteur) de l’étiquette de chaque arête, ou None pour aucune.
        gap : écarts minimaux entre voisins et entre couches.
        margin : blanc autour du dessin.

    Renvoie
        un `Layout` ; aucun nœud n’en couvre un autre, et toute arête d’un graphe sans circuit
        descend.

    Exemple
        >>> layout = layered_layout({"x": (40, 20), "y": (40, 20)}, [("x", "y")])
        >>> layout.centres["x"][1] < layout.centres["y"][1]
        True
    """
    labels = labels or [None] * len(edges)
    ranks = _ranks(sizes, edges)
    if any(labels):
        ranks = {node: 2 * rank for node, rank in ranks.items()}
    layers = _Layers(sizes, edges, labels, ranks)
    order = _order(layers)
    x = _place(layers, order, gap[0])
    y, reach, height = _heights(layers, order, gap[1], margin, halved=any(labels))
    left = min((x[n] - layers.widths[n] / 2 for n in x), default=0) - margin
    right = max((x[n] + layers.widths[n] / 2 for n in x), default=0) + margin
    centres = {n: (x[n] - left, y[n]) for n in x}
    return Layout(
        width=right - left,
        height=height,
        centres={node: centres[node] for node in sizes},
        paths=_paths(layers, edges, sizes, centres, _Corridors(layers, order, centres, reach)),
        label_centres=[centres[n] if n is not None else None for n in layers.label_nodes],
    )


def _ranks(sizes, edges):
    """Rang = plus long chemin depuis une source ; les sources descendent ensuite au plus bas."""
    targets = {node: [] for node in sizes}
    waiting = dict.fromkeys(sizes, 0)
    for source, target in edges:
        targets[source].append(target)
        waiting[target] += 1
    sources = [node for node, count in waiting.items() if not count]
    ranks, ready, pending = {}, list(sources), iter(sizes)
    lowest = dict.fromkeys(sizes, 0)
    while len(ranks) < len(sizes):
        # Sans nœud prêt il reste un circuit : on le coupe au premier nœud non placé.
        node = ready.pop() if ready else next(n for n in pending if n not in ranks)
        if node in ranks:
            continue
        ranks[node] = lowest[node]
        for target in targets[node]:
            lowest[target] = max(lowest[target], ranks[node] + 1)
            waiting[target] -= 1
            if not waiting[target] and target not in ranks:
                ready.append(target)
    for node in sources:
        if targets[node]:
            ranks[node] = min(ranks[target] for target in targets[node]) - 1
    return ranks


class _Layers:
    """Le graphe en couches : nœuds et relais par rang, voisins d’une couche à la suivante."""

    def __init__(self, sizes, edges, labels, ranks):
        self.widths = {node: size[0] for node, size in sizes.items()}
        self.tall = {node: size[1] for node, size in sizes.items()}
        self.real = set(sizes)
        self.rows = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
        for node in sizes:
            self.rows[ranks[node]].append(node)
        self.above = {node: [] for node in sizes}
        self.below = {node: [] for node in sizes}
        self.chains, self.label_nodes = [], []
        self.cut = _too_long(edges, ranks)
        for number, (source, target) in enumerate(edges):
            self._add_edge(number, source, target, labels[number], ranks)

    def _add_edge(self, number, source, target, label, ranks):
        start, end = ranks[source], ranks[target]
        upper, lower = (source, target) if start < end else (target, source)
        between = range(min(start, end) + 1, max(start, end))
        chain, label_node = [upper], None
        if number in self.cut:
            self.chains.append([source, target])
            self.label_nodes.append(None)
            return
        for rank in between:
            relay = ("relais", number, rank)
            self.widths[relay], self.tall[relay] = 8, 0
            if label and rank == between[len(between) // 2]:
                self.widths[relay], self.tall[relay] = label
                label_node = relay
            self.rows[rank].append(relay)
            self.above[relay], self.below[relay] = [], []
            chain.append(relay)
        chain.append(lower)
        for high, low in pairwise(chain):
            self.below[high].append(low)
            self.above[low].append(high)
        self.chains.append(chain if upper is source else chain[::-1])
        self.label_nodes.append(label_node)


def _too_long(edges, ranks):
    """Les arêtes à ne tracer qu’à leurs bouts, pour que les relais restent en nombre borné."""
    spans = [abs(ranks[target] - ranks[source]) for source, target in edges]
    excess, cut = sum(spans) - max(RELAYS, 2 * len(edges)), set()
    for number in sorted(range(len(edges)), key=lambda number: -spans[number]):
        if excess <= 0:
            break
        cut.add(number)
        excess -= spans[number]
    return cut


def _crossings(layers, order):
    total = 0
    for upper, lower in pairwise(order):
        rank = {node: i for i, node in enumerate(lower)}
        seen = []
        for node in upper:
            ends = sorted(rank[n] for n in layers.below[node] if n in rank)
            total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _order(layers):
    """Balayages alternés : chaque nœud vient au barycentre de ses voisins ; le meilleur reste."""
    order = [list(row) for row in layers.rows]
    best, fewest = [list(row) for row in order], _crossings(layers, order)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        downward = sweep % 2 == 0
        neighbours = layers.above if downward else layers.below
        rows = range(1, len(order)) if downward else range(len(order) - 2, -1, -1)
        for i in rows:
            other = order[i - 1] if downward else order[i + 1]
            rank = {node: j for j, node in enumerate(other)}
            scale = len(other) / max(len(order[i]), 1)
            key = {}
            for j, node in enumerate(order[i]):
                near = [rank[n] for n in neighbours[node] if n in rank]
                key[node] = sum(near) / len(near) if near else j * scale
            order[i].sort(key=key.__getitem__)
        crossings = _crossings(layers, order)
        if crossings < fewest:
            best, fewest = [list(row) for row in order], crossings
    return best


def _place(layers, order, gap):
    """Abscisses : chaque couche se rapproche de ses voisines, à l’ordre et aux écarts près."""
    x = {}
    for row in order:
        edge = 0.0
        for node in row:
            x[node] = edge + layers.widths[node] / 2
            edge += layers.widths[node] + gap
        for node in row:
            x[node] -= edge / 2
    for sweep in range(SWEEPS + 2):
        downward = sweep % 2 == 0
        for row in order if downward else reversed(order):
            wanted, weights = [], []
            for node in row:
                above, below = layers.above[node], layers.below[node]
                if node in layers.real:
                    near = (above or below) if downward else (below or above)
                else:
                    near = above + below  # un relais tient le milieu : l’arête file droit
                wanted.append(sum(x[n] for n in near) / len(near) if near else x[node])
                weights.append(1.0 if node in layers.real else STRAIGHTNESS)
            x.update(zip(row, _spread(layers, row, wanted, weights, gap), strict=True))
    return x


def _spread(layers, row, wanted, weights, gap):
    """Projette `wanted` sur les abscisses permises (régression isotone, blocs fusionnés)."""
    offsets, edge = [], 0.0
    for node in row:
        offsets.append(edge + layers.widths[node] / 2)
        edge += layers.widths[node] + gap
    blocks = []  # (moyenne, poids, nombre)
    for want, own_weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, weight, count = want - offset, own_weight, 1
        while blocks and blocks[-1][0] > mean:
            other, other_weight, other_count = blocks.pop()
            mean = (mean * weight + other * other_weight) / (weight + other_weight)
            weight, count = weight + other_weight, count + other_count
        blocks.append((mean, weight, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _heights(layers, order, gap, margin, halved):
    """Renvoie l’ordonnée de chaque nœud, la demi-hauteur de sa couche, la hauteur du dessin."""
    y, reach, top = {}, {}, margin
    step = gap / 2 if halved else gap
    for row in order:
        tall = max((layers.tall[node] for node in row), default=0)
        for node in row:
            y[node], reach[node] = top + tall / 2, tall / 2
        top += tall + step
    return y, reach, top - step + margin if order else 2 * margin


def _paths(layers, edges, sizes, centres, corridors):
    """Une courbe par arête ; arêtes d’un même nœud séparées, au départ comme à l’arrivée."""
    into, out = {}, {}
    for number, (source, target) in enumerate(edges):
        chain = layers.chains[number]
        into.setdefault(target, []).append((centres[chain[-2]][0], number))
        out.setdefault(source, []).append((centres[chain[1]][0], number))
    port_in = _ports(into, sizes)
    port_out = _ports(out, sizes)
    paths = []
    for number, (source, target) in enumerate(edges):
        (x1, y1), (x2, y2) = centres[source], centres[target]
        down = 1 if y2 >= y1 else -1
        start = (x1 + port_out[number], y1 + down * sizes[source][1] / 2)
        end = (x2 + port_in[number], y2 - down * sizes[target][1] / 2)
        if number in layers.cut:
            out_of, into_it = (start[0], start[1] + down * STUB), (end[0], end[1] - down * STUB)
            paths.append(f"{_curve([start, out_of])} {_curve([into_it, end])}")
            continue
        relays = layers.chains[number][1:-1]
        middle = [centres[relay] for relay in relays]
        slopes = _slopes([start, *middle, end])[1:-1]
        points = [start, (start[0], y1 + down * corridors.reach[source])]
        for relay, slope in zip(relays, slopes, strict=True):
            points += corridors.crossing(relay, down, slope)
        points += [(end[0], y2 - down * corridors.reach[target]), end]
        paths.append(_curve(list(dict.fromkeys(points))))
    return paths


class _Corridors:
    """Par où traverser une couche sans passer sur un nœud : entre ses voisins les plus proches."""

    def __init__(self, layers, order, centres, reach):
        self.centres, self.reach = centres, reach
        self.left, self.right = {}, {}
        for row in order:
            wall = -math.inf
            for node in row:
                self.left[node] = wall
                if layers.tall[node]:
                    wall = centres[node][0] + layers.widths[node] / 2
            wall = math.inf
            for node in reversed(row):
                self.right[node] = wall
                if layers.tall[node]:
                    wall = centres[node][0] - layers.widths[node] / 2

    def crossing(self, relay, down, slope):
        """Renvoie où une arête de pente `slope` entre dans la couche d’un relais et en sort."""
        x, y = self.centres[relay]
        high = self.reach[relay] * down
        low_x, high_x = self.left[relay] + WALL, self.right[relay] - WALL
        return [(min(max(x + slope * dy, low_x), high_x), y + dy) for dy in (-high, high)]


def _slopes(points):
    """Pentes dx/dy en chaque point : nulles aux bouts, moyenne harmonique entre, sans dépassement.

    Source : F. N. Fritsch et J. Butland, SIAM J. Sci. Stat. Comput. 5, 1984.
    """
    steps = [(x2 - x1) / (y2 - y1) if y2 != y1 else 0.0 for (x1, y1), (x2, y2) in pairwise(points)]
    inner = [2 / (1 / a + 1 / b) if a * b > 0 else 0.0 for a, b in pairwise(steps)]
    return [0.0, *inner, 0.0]


def _curve(points):
    """Courbe de Bézier par les points, verticale aux bouts."""
    slopes = _slopes(points)
    path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for i, ((x1, y1), (x2, y2)) in enumerate(pairwise(points)):
        third = (y2 - y1) / 3 if slopes[i] or slopes[i + 1] else (y2 - y1) / 2
        path += (
            f" C{x1 + slopes[i] * third:.1f},{y1 + third:.1f} "
            f"{x2 - slopes[i + 1] * third:.1f},{y2 - third:.1f} {x2:.1f},{y2:.1f}"
        )
    return path


def _ports(by_node, sizes):
    ports = {}
    for node, entries in by_node.items():
        step = min(16.0, 0.5 * sizes[node][0] / len(entries))
        for i, (_, number) in enumerate(sorted(entries)):
            ports[number] = (i - (len(entries) - 1) / 2) * step
    return ports
