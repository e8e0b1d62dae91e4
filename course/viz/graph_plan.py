"""Ce qu’il y a à dessiner d’un graphe, et où : natures, textes, tailles, placement.

`arrange(data)` rend un `Plan`, le même pour tous les rendus : SVG (`graph_drawing`), PNG et PDF
(`graph_figure`). La page interactive (`graph_page`) refait ces calculs en JavaScript.

`data` vient de `engine.printing.graph_data`. Ordre de lecture : `KINDS`, `Plan`, `arrange`,
`describe`.
"""

import dataclasses
from typing import NamedTuple

from course.typography import typeset
from course.viz.folding import default_folds, fold
from course.viz.layout import Layout, layered_layout
from engine.printing import graph_data

FONT_SIZE = 13
SMALL = 11
ADVANCE = 0.61  # largeur moyenne d’un caractère, en cadratins
LEGEND_HEIGHT = 30
LONGEST = 34  # caractères d’une ligne de texte avant coupure
LIT = "nœud modifié"
RING = 5  # de la forme d’un nœud à l’anneau qui l’allume


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


@dataclasses.dataclass
class Plan:
    """Un graphe replié, écrit et placé.

    Attributs
        nodes, edges : ce qui est visible ; lines, sizes : {nœud : ses lignes, sa taille}.
        texts : ce qui s’écrit sur chaque arête ; layout : le placement.
        legend : les (natures, abscisse) ; `LIT` s’il y a un nœud allumé.
        width, height, shift : la taille du dessin, légende comprise, et le décalage du graphe.
        tint : opacité du fond coloré des boîtes.
    """

    nodes: list
    edges: list
    lines: dict
    sizes: dict
    texts: list
    layout: Layout
    legend: list
    width: float
    height: float
    shift: float
    tint: float


def arrange(data, *, folds=None, edge_text="types", longest=LONGEST, tint=0.13):
    """Replie, écrit et place un graphe.

    Paramètres
        data : le dictionnaire du graphe.
        folds : les plis (voir `folding`) ; None choisit `default_folds(data)`.
        edge_text : ce qui s’écrit sur les arêtes, "types", "values" ou "none".
        longest : nombre de caractères d’une ligne avant coupure.
        tint : opacité du fond coloré des boîtes.

    Renvoie
        un `Plan`.

    Exemple
        >>> x = {"id": "x", "kind": "input", "label": "x", "detail": "float32 ()"}
        >>> arrange({"nodes": [x], "edges": []}).lines
        {'x': ['x', 'float32 ()']}
    """
    folds = default_folds(data) if folds is None else folds
    view = fold(data, folds)
    by_id = {node["id"]: node for node in view["nodes"]}
    lines = {node["id"]: _lines(node, longest) for node in view["nodes"]}
    sizes = {node["id"]: _size(node, lines[node["id"]]) for node in view["nodes"]}
    texts = [_edge_label(edge, by_id[edge["source"]], edge_text) for edge in view["edges"]]
    layout = layered_layout(
        sizes,
        [(edge["source"], edge["target"]) for edge in view["edges"]],
        [(text_width(text, SMALL) + 8, SMALL + 5) if text else None for text in texts],
    )
    legend, legend_width = _legend(view["nodes"])
    width = max(layout.width, legend_width)
    return Plan(
        nodes=view["nodes"],
        edges=view["edges"],
        lines=lines,
        sizes=sizes,
        texts=texts,
        layout=layout,
        legend=legend,
        width=width,
        height=layout.height + LEGEND_HEIGHT,
        shift=(width - layout.width) / 2,
        tint=tint,
    )


def _legend(nodes):
    """Les natures présentes, chacune avec son abscisse ; et la largeur de la ligne."""
    present = [name for name in KINDS if any(node["kind"] == name for node in nodes)]
    present += [LIT] if any(node.get("lit") for node in nodes) else []
    x, rows = 14.0, []
    for name in present:
        rows.append((name, x))
        x += 28 + text_width(legend_label(name), SMALL) + 16
    return rows, x


def legend_label(name):
    """Ce qui s’écrit dans la légende pour une nature (ou `LIT`)."""
    return name if name == LIT else KINDS[name].label


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
            parts.append(f"{len(names)} {noun} ({_listed(names)})")
    changed = [node["label"] for node in data["nodes"] if node.get("lit")]
    if changed:
        noun = LIT if len(changed) == 1 else "nœuds modifiés"
        parts.append(f"{len(changed)} {noun} ({_listed(changed)})")
    return typeset(f"{title} : " + " ; ".join(parts or ["vide"]) + ".")


def _listed(names):
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")


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
    if node.get("lit"):
        text += f", {LIT}"
    return typeset(text[0].upper() + text[1:])


def _plural(label):
    return " ".join(word if word.endswith("s") else word + "s" for word in label.split())


def _shorten(text, longest=LONGEST):
    text = str(text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _lines(node, longest):
    """Renvoie les lignes écrites dans un nœud : son nom, puis son type s’il en dit plus."""
    label = _shorten(node["label"], longest)
    if node["kind"] == "apply" or not node.get("detail") or node["detail"] == node["label"]:
        return [label]
    return [label, _shorten(node["detail"], longest)]


def text_width(text, size):
    """La largeur approchée d’un texte, en pixels."""
    return ADVANCE * size * len(text)


def _size(node, lines):
    width = max(
        text_width(lines[0], FONT_SIZE), *(text_width(line, SMALL) for line in lines[1:]), 18
    )
    if KINDS[node["kind"]].form == "ellipse":
        return (1.2 * width + 22, 30)
    badge = 30 if node.get("hidden") else 0
    return (width + 22 + badge, 18 * len(lines) + 12)


def _edge_label(edge, source, edge_text):
    if edge_text == "none":
        return ""
    if edge_text == "values":
        return _shorten(edge.get("value") or source.get("value") or "")
    text = edge.get("label") or ""
    if source["kind"] not in ("apply", "group"):
        text = text.removeprefix(source.get("detail") or "").strip()  # la boîte le dit déjà
    if edge.get("argument"):
        text = f"{text} → {edge['argument']}" if text else f"→ {edge['argument']}"
    return _shorten(text)
