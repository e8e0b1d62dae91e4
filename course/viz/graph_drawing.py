"""Dessiner un graphe de calcul en SVG, lisible dans les deux thèmes et sans la couleur.

`draw_graph(data)` rend le texte SVG, `graph_image(data, alt)` l’image fixe à mettre dans un
notebook, `rewriting_image(f)` l’avant et l’après d’une fonction compilée, nœuds changés allumés.
Ce qu’il y a à dessiner, et où, vient de `graph_plan` ; `data`, de
`engine.printing.graph_data`.
"""

import html
import re

from course.typography import typeset
from course.viz import palette
from course.viz.graph_plan import (
    FONT_SIZE,
    KINDS,
    LEGEND_HEIGHT,
    LIT,
    RING,
    SMALL,
    arrange,
    describe,
    graph_of,
    legend_label,
    node_summary,
    text_width,
)
from course.viz.history import history
from course.viz.picture import Picture, SideBySide
from course.viz.svg import arrowhead

SHRINK = 0.75  # un dessin plus large que la page rétrécit jusque là, puis défile


def graph_image(data, alt=None, *, title="Graphe de calcul", edge_text="types", folds=None):
    """Dessine le graphe en image fixe, avec son texte de remplacement.

    Paramètres
        data : le dictionnaire du graphe.
        alt : ce que l’image montre ; à défaut, une description tirée du graphe.
        title, edge_text : voir `draw_graph`.
        folds : les plis ; à défaut, `default_folds(data)`.

    Renvoie
        une `Picture`.
    """
    data = graph_of(data)
    svg = draw_graph(data, title=title, edge_text=edge_text, folds=folds)
    return Picture(svg, alt or describe(data, title))


def rewriting_image(f, *, edge_text="types", folds=None):
    """Dessine côte à côte le graphe écrit et le graphe réécrit d’une fonction compilée.

    Paramètres
        f : la fonction ; à gauche s’allument les nœuds qui ont disparu, à droite les nouveaux.
        edge_text, folds : voir `draw_graph`.

    Renvoie
        un `SideBySide`.

    Exemple
        >>> from engine import function, tensor as T
        >>> x = T.dscalar("x")
        >>> before, after = rewriting_image(function([x], T.log(1 + T.exp(x)))).pictures
        >>> "(exp, add, log)" in before.alt, "(softplus)" in after.alt
        (True, True)
    """
    before, after = history(f, limit=0)
    options = {"edge_text": edge_text, "folds": folds}
    return SideBySide(
        graph_image(before.data, title="Avant réécriture", **options),
        graph_image(after.data, title="Après réécriture", **options),
    )


def draw_graph(data, *, title="Graphe de calcul", interactive=False, **options):
    """Renvoie le texte SVG du graphe.

    Paramètres
        data : le dictionnaire du graphe ; plusieurs centaines de nœuds au plus restent utiles.
        title : le titre lu par les lecteurs d’écran.
        interactive : rend les nœuds atteignables au clavier, pour `GraphExplorer`.
        options : `folds`, `edge_text`, `longest`, `tint` (voir `graph_plan.arrange`).

    Exemple
        >>> x = {"id": "x", "kind": "input", "label": "x", "detail": "float32 ()"}
        >>> "<title>" in draw_graph({"nodes": [x], "edges": []})
        True
    """
    plan = arrange(graph_of(data), **options)
    layout, width, height = plan.layout, plan.width, plan.height
    body = [_edge(edge, path) for edge, path in zip(plan.edges, layout.paths, strict=True)]
    for text, centre in zip(plan.texts, layout.label_centres, strict=True):
        if text and centre:
            body.append(_halo(*centre, text))
    fed = {edge["target"] for edge in plan.edges}
    for node in plan.nodes:
        keyboard = _keyboard(node, node["id"] in fed) if interactive else ""
        body.append(_node(node, plan, keyboard))
    role = "group" if interactive else "img"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="chainage-graph" role="{role}" '
            f'aria-label="{_escape(typeset(title))}" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" style="min-width:{SHRINK * width:.0f}px" '
            f'font-family="{palette.FONT}">',
            "" if interactive else f"<title>{_escape(typeset(title))}</title>",
            f"<defs>{arrowhead('chainage-arrow', palette.MUTED)}</defs>",
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="{palette.BACKGROUND}"/>',
            f'<g transform="translate({plan.shift:.1f},0)">',
            *body,
            "</g>",
            _legend(plan),
            "</svg>",
        ]
    )


# ce qu’un nom peut contenir, et que XML n’admet pas
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _escape(text):
    return html.escape(_FORBIDDEN.sub("\ufffd", str(text)))


def _edge(edge, path):
    return (
        f'<path class="chainage-edge" data-source="{_escape(edge["source"])}" '
        f'data-target="{_escape(edge["target"])}" d="{path}" fill="none" '
        f'stroke="{palette.MUTED}" stroke-width="1.3" marker-end="url(#chainage-arrow)"/>'
    )


def _text(x, y, text, size=FONT_SIZE, *, colour=palette.TEXT, weight="normal"):
    return (
        f'<text x="{x:.1f}" y="{y + 0.35 * size:.1f}" text-anchor="middle" '
        f'font-size="{size}" font-weight="{weight}" fill="{colour}">{_escape(text)}</text>'
    )


def _halo(x, y, text):
    """Écrit une étiquette d’arête sur un fond qui interrompt l’arête."""
    width = text_width(text, SMALL) + 2
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - 8:.1f}" width="{width:.1f}" height="16" '
        f'fill="{palette.BACKGROUND}"/>' + _text(x, y, text, SMALL, colour=palette.MUTED)
    )


def _outline(node, x, y, width, height, tint):
    """Trace la forme d’un nœud, sur un fond opaque qui cache les arêtes, et l’anneau d’un nœud
    allumé.
    """
    kind = KINDS[node["kind"]]
    colour = node.get("colour") or palette.variable(kind.concept)
    line = f'class="chainage-outline" stroke="{_escape(colour)}" stroke-width="{kind.stroke}"'
    line += f' stroke-dasharray="{kind.dash}"' if kind.dash else ""
    corner = height / 2 if kind.form != "box" else 6

    def shape(inset, attributes):
        if kind.form == "ellipse":
            return (
                f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{width / 2 - inset:.1f}" '
                f'ry="{height / 2 - inset:.1f}" {attributes}/>'
            )
        return (
            f'<rect x="{x - width / 2 + inset:.1f}" y="{y - height / 2 + inset:.1f}" '
            f'width="{width - 2 * inset:.1f}" height="{height - 2 * inset:.1f}" '
            f'rx="{max(corner - inset, 2):.1f}" {attributes}/>'
        )

    ring = f'fill="none" stroke="{palette.variable("training")}" stroke-width="3"'
    shapes = [shape(-RING, ring)] if node.get("lit") else []
    if kind.form == "ellipse" and not node.get("colour"):
        return "".join([*shapes, shape(0, f'fill="{palette.BACKGROUND}" {line}')])
    shapes += [
        shape(0, f'fill="{palette.BACKGROUND}"'),
        shape(0, f'fill="{_escape(colour)}" fill-opacity="{tint}" {line}'),
    ]
    if kind.double:
        shapes.append(shape(4, f'fill="none" stroke="{colour}" stroke-width="1"'))
    return "".join(shapes)


def _keyboard(node, has_ancestors):
    """Renvoie les attributs qui rendent un nœud atteignable et repliable au clavier."""
    text = f' tabindex="0" role="button" aria-label="{_escape(node_summary(node))}"'
    text += f' data-label="{_escape(node["label"])}"'
    if node.get("group"):
        text += f' data-group="{_escape(node["group"])}"'
    folded = node["folded"] or bool(node.get("hidden"))
    if folded or has_ancestors:
        text += f' aria-expanded="{"false" if folded else "true"}"'
    return text


def _node(node, plan, keyboard):
    kind, lines = KINDS[node["kind"]], plan.lines[node["id"]]
    (x, y), size = plan.layout.centres[node["id"]], plan.sizes[node["id"]]
    summary = _escape(node_summary(node))
    hidden = node.get("hidden", 0)
    attributes = f'class="chainage-node" data-id="{_escape(node["id"])}"{keyboard}'
    outline = _outline(node, x, y, *size, plan.tint)
    parts = [f"<g {attributes}>", f"<title>{summary}</title>", outline]
    text_x = x - (15 if hidden and kind.form != "ellipse" else 0)
    top = y - 9 * (len(lines) - 1)
    parts.append(_text(text_x, top, lines[0], weight="600"))
    parts += [_text(text_x, top + 18, line, SMALL) for line in lines[1:]]
    if hidden:
        badge_x = x + size[0] / 2 - (20 if kind.form != "ellipse" else 0)
        badge_y = y - (0 if kind.form != "ellipse" else size[1] / 2)
        parts.append(_badge(badge_x, badge_y, hidden))
    return "".join([*parts, "</g>"])


def _badge(x, y, hidden):
    """Trace la pastille « +n » d’un nœud qui en cache n autres."""
    text = f"+{hidden}"
    width = text_width(text, SMALL) + 8
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - 8:.1f}" width="{width:.1f}" height="16" rx="8" '
        f'fill="{palette.BACKGROUND}" stroke="{palette.MUTED}"/>' + _text(x, y, text, SMALL)
    )


def _legend(plan):
    """Trace la légende des natures présentes, sur une ligne."""
    y, parts = plan.layout.height + LEGEND_HEIGHT / 2, []
    for name, x in plan.legend:
        node = {"kind": "apply", "lit": True} if name == LIT else {"kind": name}
        size = (16, 8) if name == LIT else (22, 14)
        parts.append(_outline(node, x + 11, y, *size, plan.tint))
        label = legend_label(name)
        centre = x + 28 + text_width(label, SMALL) / 2
        parts.append(_text(centre, y, label, SMALL, colour=palette.MUTED))
    return '<g class="chainage-legend">' + "".join(parts) + "</g>"
