"""Tracer un graphe avec matplotlib : le même placement que le SVG, en PNG ou en PDF.

Nom public : `draw_figure`, qui rend une figure dont l’unité est le pixel du plan.
"""

import math
import re

from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, FancyBboxPatch
from matplotlib.path import Path

from course.viz.graph_plan import FONT_SIZE, KINDS, LEGEND_HEIGHT, LIT, RING, SMALL, legend_label
from course.viz.palette import CONCEPTS

TEXT, MUTED, BACKGROUND = "#222222", "#595959", "#ffffff"
POINTS = 72  # par pouce : un pixel du plan fait un point
_NUMBER = re.compile(r"-?\d+\.?\d*")


def draw_figure(plan):
    """Trace un `Plan` (voir `graph_plan.arrange`) et rend la figure, prête à écrire.

    Exemple
        >>> from course.viz.graph_plan import arrange
        >>> x = {"id": "x", "kind": "input", "label": "x", "detail": "float32 ()"}
        >>> figure = draw_figure(arrange({"nodes": [x], "edges": []}))
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['x', 'float32 ()', 'entrée']
    """
    figure = Figure(figsize=(plan.width / POINTS, plan.height / POINTS), facecolor=BACKGROUND)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, plan.width), ylim=(plan.height, 0))
    axes.set_axis_off()
    canvas = _Canvas(axes, plan.shift, plan.tint)
    canvas.edges(plan.layout.paths)
    for text, centre in zip(plan.texts, plan.layout.label_centres, strict=True):
        if text and centre:
            canvas.text(*centre, text, SMALL, MUTED, box={"fc": BACKGROUND, "ec": "none", "pad": 1})
    for node in plan.nodes:
        canvas.node(node, plan)
    canvas.shift = 0
    y = plan.layout.height + LEGEND_HEIGHT / 2
    for name, x in plan.legend:
        node = {"kind": "apply", "lit": True} if name == LIT else {"kind": name}
        canvas.outline(node, x + 11, y, *((16, 8) if name == LIT else (22, 14)))
        canvas.text(x + 28, y, legend_label(name), SMALL, MUTED, align="left")
    return figure


class _Canvas:
    """Les axes, décalés de `shift`, et ce qui s’y trace."""

    def __init__(self, axes, shift, tint):
        self.axes, self.shift, self.tint = axes, shift, tint

    def text(self, x, y, text, size=FONT_SIZE, colour=TEXT, *, weight="normal", align="center",
             box=None):  # fmt: skip
        # parse_math : un « $ » dans un nom est un dollar
        self.axes.text(
            x + self.shift, y, text, size=0.93 * size, color=colour, weight=weight, ha=align,
            va="center_baseline", bbox=box, parse_math=False,
        )  # fmt: skip

    def edges(self, paths):
        """Trace des chemins SVG faits de « M » et de « C », chacun avec sa flèche."""
        lines, arrows = [], []
        for path in paths:
            for piece in path.split("M")[1:]:
                numbers = [float(number) for number in _NUMBER.findall(piece)]
                points = [
                    (x + self.shift, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)
                ]
                lines.append(Path(points, [Path.MOVETO] + [Path.CURVE4] * (len(points) - 1)))
            (x1, y1), (x2, y2) = points[-2:]
            length = math.hypot(x2 - x1, y2 - y1) or 1.0
            dx, dy = (x2 - x1) / length, (y2 - y1) / length
            x, y = x2 - 8 * dx, y2 - 8 * dy
            arrows.append([(x2, y2), (x - 4 * dy, y + 4 * dx), (x + 4 * dy, y - 4 * dx)])
        self.axes.add_collection(PathCollection(lines, fc="none", ec=MUTED, lw=1.3))
        self.axes.add_collection(PolyCollection(arrows, fc=MUTED, ec="none"))

    def outline(self, node, x, y, width, height):
        """Trace la forme d’un nœud, et l’anneau d’un nœud allumé."""
        kind = KINDS[node["kind"]]
        colour = node.get("colour") or CONCEPTS[kind.concept].light
        dash = (0, tuple(map(float, kind.dash.split()))) if kind.dash else "-"
        tint = 0.0 if kind.form == "ellipse" and not node.get("colour") else self.tint
        corner = height / 2 if kind.form != "box" else 6

        def shape(inset, **style):
            w, h = width - 2 * inset, height - 2 * inset
            if kind.form == "ellipse":
                self.axes.add_patch(Ellipse((x + self.shift, y), w, h, **style))
                return
            box = (x + self.shift - w / 2, y - h / 2)
            round_off = f"round,pad=0,rounding_size={max(min(corner - inset, h / 2), 2):.1f}"
            self.axes.add_patch(FancyBboxPatch(box, w, h, boxstyle=round_off, **style))

        if node.get("lit"):
            shape(-RING, fill=False, ec=CONCEPTS["training"].light, lw=3)
        shape(0, fc=BACKGROUND, ec="none")
        shape(0, fc=(colour, tint), ec=colour, lw=kind.stroke, ls=dash)
        if kind.double:
            shape(4, fill=False, ec=colour, lw=1)

    def node(self, node, plan):
        """Trace un nœud et ce qui y est écrit."""
        lines, (x, y) = plan.lines[node["id"]], plan.layout.centres[node["id"]]
        width, height = plan.sizes[node["id"]]
        self.outline(node, x, y, width, height)
        flat, hidden = KINDS[node["kind"]].form != "ellipse", node.get("hidden", 0)
        text_x, top = x - (15 if hidden and flat else 0), y - 9 * (len(lines) - 1)
        self.text(text_x, top, lines[0], weight="bold")
        for line in lines[1:]:
            self.text(text_x, top + 18, line, SMALL)
        if hidden:
            badge = {"boxstyle": "round,pad=0.3", "fc": BACKGROUND, "ec": MUTED}
            place = (x + width / 2 - 20, y) if flat else (x + width / 2, y - height / 2)
            self.text(*place, f"+{hidden}", SMALL, box=badge)
