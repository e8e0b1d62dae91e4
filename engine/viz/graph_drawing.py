"""Dessiner un graphe de calcul en SVG, lisible dans les deux thèmes et sans la couleur.

`draw_graph(data)` rend le texte SVG, `graph_image(data, alt)` l’image fixe à mettre dans un
notebook. Une nature de nœud se reconnaît à sa forme et à son trait autant qu’à sa couleur (table
`KINDS`). `data` vient de `engine.printing.graph_data` :

    {"nodes": [{"id", "kind", "label", "detail", "shape", "dtype", "value", "group", "trace"}],
     "edges": [{"source", "target", "label"}]}

Ordre de lecture : `KINDS`, `draw_graph`, les petites fonctions de tracé, `describe`.
"""

import html
from typing import NamedTuple

from engine.printing import graph_data
from engine.typography import typeset
from engine.viz import palette
from engine.viz.folding import default_folds, fold
from engine.viz.layout import layered_layout
from engine.viz.picture import Picture

FONT_SIZE = 13
SMALL = 11
ADVANCE = 0.61  # largeur moyenne d’un caractère, en cadratins
LEGEND_HEIGHT = 30
SHRINK = 0.75  # un dessin plus large que la page rétrécit jusque là, puis défile
LONGEST = 34  # caractères d’une ligne de texte avant coupure


class Kind(NamedTuple):
    """Une nature de nœud : son nom, sa notion (couleur), sa forme et son trait."""

    label: str
    concept: str
    form: str  # "box", "pill" ou "ellipse"
    dash: str
    stroke: float
    double: bool


KINDS = {
    "input":        Kind("entrée",              "input",      "box",     "",    2.0, False),
    "shared":       Kind("variable partagée",   "parameter",  "box",     "",    1.5, True),
    "constant":     Kind("constante",           "constant",   "box",     "4 3", 1.5, False),
    "intermediate": Kind("intermédiaire",       "activation", "box",     "1 3", 1.5, False),
    "output":       Kind("sortie",              "activation", "pill",    "",    3.0, False),
    "apply":        Kind("opération",           "test",       "ellipse", "",    1.2, False),
    "group":        Kind("groupe replié",       "cost",       "box",     "8 3", 2.0, True),
}  # fmt: skip


def graph_of(thing):
    """Renvoie le dictionnaire d’un graphe : tel quel, ou tiré d’une fonction ou de variables."""
    return thing if isinstance(thing, dict) else graph_data(thing)


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


def draw_graph(data, *, title="Graphe de calcul", edge_text="types", folds=None, interactive=False):
    """Renvoie le texte SVG du graphe.

    Paramètres
        data : le dictionnaire du graphe ; plusieurs centaines de nœuds au plus restent utiles.
        title : le titre lu par les lecteurs d’écran.
        edge_text : ce qui s’écrit sur les arêtes, "types", "values" ou "none".
        folds : les plis (voir `folding`) ; None choisit `default_folds(data)`.
        interactive : rend les nœuds atteignables au clavier, pour `GraphExplorer`.

    Exemple
        >>> x = {"id": "x", "kind": "input", "label": "x", "detail": "float32 ()"}
        >>> "<title>" in draw_graph({"nodes": [x], "edges": []})
        True
    """
    data = graph_of(data)
    folds = default_folds(data) if folds is None else folds
    view = fold(data, folds)
    by_id = {node["id"]: node for node in view["nodes"]}
    lines = {node["id"]: _lines(node) for node in view["nodes"]}
    sizes = {node["id"]: _size(node, lines[node["id"]]) for node in view["nodes"]}
    texts = [_edge_label(edge, by_id[edge["source"]], edge_text) for edge in view["edges"]]
    layout = layered_layout(
        sizes,
        [(edge["source"], edge["target"]) for edge in view["edges"]],
        [(_width(text, SMALL) + 8, SMALL + 5) if text else None for text in texts],
    )
    legend, legend_width = _legend(view["nodes"], layout.height)
    width, height = max(layout.width, legend_width), layout.height + LEGEND_HEIGHT
    shift = (width - layout.width) / 2
    body = [_edge(edge, path) for edge, path in zip(view["edges"], layout.paths, strict=True)]
    for text, centre in zip(texts, layout.label_centres, strict=True):
        if text and centre:
            body.append(_halo(*centre, text))
    fed = {edge["target"] for edge in view["edges"]}
    for node in view["nodes"]:
        centre, size = layout.centres[node["id"]], sizes[node["id"]]
        keyboard = _keyboard(node, node["id"] in fed, node["id"] in folds) if interactive else ""
        body.append(_node(node, lines[node["id"]], centre, size, keyboard))
    role = "group" if interactive else "img"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="chainage-graph" role="{role}" '
            f'aria-label="{_escape(typeset(title))}" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" style="min-width:{SHRINK * width:.0f}px" '
            f'font-family="{palette.FONT}">',
            "" if interactive else f"<title>{_escape(typeset(title))}</title>",
            f'<defs><marker id="chainage-arrow" viewBox="0 0 8 8" refX="7" refY="4" '
            f'markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">'
            f'<path d="M0,0.5 L8,4 L0,7.5 z" fill="{palette.MUTED}"/></marker></defs>',
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="{palette.BACKGROUND}"/>',
            f'<g transform="translate({shift:.1f},0)">',
            *body,
            "</g>",
            legend,
            "</svg>",
        ]
    )


def describe(data, title="Graphe de calcul"):
    """Décrit le graphe en une phrase, pour qui ne voit pas le dessin."""
    counts = {}
    for node in data["nodes"]:
        counts.setdefault(node["kind"], []).append(node["label"])
    parts = []
    for kind, spec in KINDS.items():
        names = counts.get(kind, [])
        if names:
            noun = spec.label if len(names) == 1 else _plural(spec.label)
            listed = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
            parts.append(f"{len(names)} {noun} ({listed})")
    return typeset(f"{title} : " + " ; ".join(parts or ["vide"]) + ".")


def node_summary(node):
    """Renvoie ce qu’un nœud dit de lui en une ligne : nature, nom, détail, valeur, origine."""
    kind = KINDS[node["kind"]]
    text = f"{kind.label} {node['label']}"
    if node.get("detail"):
        text += f", {node['detail']}"
    if node.get("value"):
        text += f", valeur {node['value']}"
    if node.get("trace"):
        text += f", origine : {node['trace']}"
    if node.get("hidden"):
        text += f", cache {node['hidden']} nœuds"
    return typeset(text[0].upper() + text[1:])


def _plural(label):
    return " ".join(word if word.endswith("s") else word + "s" for word in label.split())


def _escape(text):
    return html.escape(str(text))


def _shorten(text):
    text = str(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _lines(node):
    """Renvoie les lignes écrites dans un nœud : son nom, puis son type s’il en dit plus."""
    label = _shorten(node["label"])
    if node["kind"] == "apply" or not node.get("detail") or node["detail"] == node["label"]:
        return [label]
    return [label, _shorten(node["detail"])]


def _width(text, size):
    return ADVANCE * size * len(text)


def _size(node, lines):
    width = max(_width(lines[0], FONT_SIZE), *(_width(line, SMALL) for line in lines[1:]), 18)
    if KINDS[node["kind"]].form == "ellipse":
        return (1.2 * width + 22, 30)
    badge = 30 if node.get("hidden") else 0
    return (width + 22 + badge, 18 * len(lines) + 12)


def _edge_label(edge, source, edge_text):
    if edge_text == "none":
        return ""
    if edge_text == "values":
        return _shorten(source.get("value") or "")
    text = edge.get("label") or ""
    if source["kind"] not in ("apply", "group"):
        text = text.removeprefix(source.get("detail") or "").strip()  # la boîte le dit déjà
    if edge.get("argument"):
        text = f"{text} → {edge['argument']}" if text else f"→ {edge['argument']}"
    return _shorten(text)


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
    width = _width(text, SMALL) + 2
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - 8:.1f}" width="{width:.1f}" height="16" '
        f'fill="{palette.BACKGROUND}"/>' + _text(x, y, text, SMALL, colour=palette.MUTED)
    )


def _outline(kind, x, y, width, height):
    """Trace la forme d’une nature de nœud, sur un fond opaque qui cache les arêtes."""
    colour = palette.variable(kind.concept)
    line = f'class="chainage-outline" stroke="{colour}" stroke-width="{kind.stroke}"'
    line += f' stroke-dasharray="{kind.dash}"' if kind.dash else ""
    if kind.form == "ellipse":
        place = f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{width / 2:.1f}" ry="{height / 2:.1f}"'
        return f'{place} fill="{palette.BACKGROUND}" {line}/>'

    def box(inset, fill, opacity=""):
        round_off = height / 2 if kind.form == "pill" else 6
        return (
            f'<rect x="{x - width / 2 + inset:.1f}" y="{y - height / 2 + inset:.1f}" '
            f'width="{width - 2 * inset:.1f}" height="{height - 2 * inset:.1f}" '
            f'rx="{max(round_off - inset, 2):.1f}" fill="{fill}" {opacity} '
        )

    shapes = [
        box(0, palette.BACKGROUND) + "/>",
        box(0, colour, 'fill-opacity="0.13"') + f"{line}/>",
    ]
    if kind.double:
        shapes.append(box(4, "none") + f'stroke="{colour}" stroke-width="1"/>')
    return "".join(shapes)


def _keyboard(node, has_ancestors, folded):
    """Renvoie les attributs qui rendent un nœud atteignable et repliable au clavier."""
    text = f' tabindex="0" role="button" aria-label="{_escape(node_summary(node))}"'
    text += f' data-label="{_escape(node["label"])}"'
    if node.get("group"):
        text += f' data-group="{_escape(node["group"])}"'
    folded = folded or bool(node.get("hidden"))
    if folded or has_ancestors:
        text += f' aria-expanded="{"false" if folded else "true"}"'
    return text


def _node(node, lines, centre, size, keyboard):
    kind = KINDS[node["kind"]]
    x, y = centre
    summary = _escape(node_summary(node))
    hidden = node.get("hidden", 0)
    attributes = f'class="chainage-node" data-id="{_escape(node["id"])}"{keyboard}'
    parts = [f"<g {attributes}>", f"<title>{summary}</title>", _outline(kind, x, y, *size)]
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
    width = _width(text, SMALL) + 8
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - 8:.1f}" width="{width:.1f}" height="16" rx="8" '
        f'fill="{palette.BACKGROUND}" stroke="{palette.MUTED}"/>' + _text(x, y, text, SMALL)
    )


def _legend(nodes, top):
    """Trace la légende des natures présentes, sur une ligne ; renvoie aussi sa largeur."""
    present = [name for name in KINDS if any(node["kind"] == name for node in nodes)]
    x, y, parts = 14.0, top + LEGEND_HEIGHT / 2, []
    for name in present:
        kind = KINDS[name]
        parts.append(_outline(kind, x + 11, y, 22, 14))
        width = _width(kind.label, SMALL)
        parts.append(_text(x + 28 + width / 2, y, kind.label, SMALL, colour=palette.MUTED))
        x += 28 + width + 16
    return '<g class="chainage-legend">' + "".join(parts) + "</g>", x
