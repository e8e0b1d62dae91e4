"""La page interactive d’un graphe : un seul fichier HTML, qui s’ouvre sans réseau ni Python.

Elle montre une variable, une liste ou une fonction compilée : se déplacer, zoomer, chercher,
replier les couches et les ancêtres, ouvrir les boucles (`scan`, boucles fusionnées), lire le
détail d’un nœud, rejouer la réécriture, colorer selon le temps mesuré. Le placement et les plis de
`layout` et `folding` y sont refaits en JavaScript (`static/graph_layout.js`,
`static/graph_fold.js`).

Noms publics : `graph_page`, `graph_document`.
"""

import html
import json
import pathlib
import string

from course.typography import typeset
from course.viz import palette
from course.viz.graph_drawing import graph_image
from course.viz.graph_plan import ADVANCE, FONT_SIZE, KINDS, LONGEST, SMALL, describe
from course.viz.history import Frame, history, rule_reasons
from engine.printing import graph_data

STATIC = pathlib.Path(__file__).parent / "static"
SCRIPTS = ("graph_layout.js", "graph_fold.js", "graph_page.js", "graph_events.js")
_HELP = (
    "Choisissez un nœud pour lire ce qu'il est. Souris : glisser pour se déplacer, molette pour "
    "zoomer, double-clic pour replier, déplier ou ouvrir. Clavier : Tab entre dans le dessin, les "
    "flèches suivent les arêtes, Entrée replie, déplie ou ouvre, + et − zooment, 0 montre tout, "
    "/ cherche."
)
_HEAT = (
    '<label><input id="profil" type="checkbox" checked><span>Colorer selon le temps</span></label>'
)
_REPLAY = """<div class="barre" role="group" aria-label="Réécriture du graphe">
<span class="bloc"><button id="avant" type="button">Avant réécriture</button>
<button id="recule" type="button" aria-label="Étape précédente">‹</button>
<input id="etape" type="range" min="0" max="{last}" step="1" aria-label="Étape de la réécriture">
<button id="avance" type="button" aria-label="Étape suivante">›</button>
<button id="apres" type="button">Après réécriture</button>
<span id="numero"></span></span>
<span id="raison" role="status"></span>
</div>"""


def graph_page(thing, title=None, values=None):
    """Rend le texte HTML de la page.

    Paramètres
        thing : une variable, une liste de variables ou une fonction compilée (sa réécriture est
            alors rejouée, et le temps de chaque nœud coloré si elle a été mesurée).
        title : le titre de la page.
        values : {entrée: valeur}, pour montrer la valeur de chaque nœud (voir `graph_data`) ; pour
            une fonction, dans le graphe réécrit.

    Exemple
        >>> from engine import tensor as T
        >>> graph_page(T.exp(T.dscalar("x")))[:15]
        '<!DOCTYPE html>'
    """
    document = graph_document(thing, values)
    last = _frame_data(document, -1)
    title = typeset(title or _title(thing))
    template = string.Template((STATIC / "graph_page.html").read_text(encoding="utf-8"))
    style = palette.css_variables() + (STATIC / "graph_page.css").read_text(encoding="utf-8")
    script = "\n".join((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS)
    frames = len(document["frames"])
    return template.substitute(
        title=html.escape(title),
        alt=html.escape(describe(last, title)),
        style=_page_wide(style),
        heat=_HEAT if document["profiled"] else "",
        replay=_REPLAY.format(last=frames - 1) if frames > 1 else "",
        picture=graph_image(last, title=title)._repr_html_(),
        data=json.dumps(document, ensure_ascii=False).replace("</", "<\\/"),
        script=script,
    )


def _title(thing):
    return f"Fonction {thing.name}" if hasattr(thing, "fgraph") else "Graphe de calcul"


def _page_wide(style):
    """Les teintes des widgets, posées sur la page entière."""
    return style.replace(
        '[data-jp-theme-light="false"] .chainage', ':root[data-jp-theme-light="false"]'
    ).replace(".chainage {", ":root {", 1)


def graph_document(thing, values=None):
    """Rend les données de la page : les nœuds et les arêtes, une fois chacun, et les images qui
    les désignent par leur rang.
    """
    is_function = hasattr(thing, "original_graph")
    frames = history(thing) if is_function else [Frame([], graph_data(thing, values))]
    if is_function and values:
        _copy_values(graph_data(thing, values), frames[-1].data)
    profiled = is_function and thing.profile is not None and thing.profile.calls > 0
    if profiled:
        _add_profile(thing, frames[-1].data)
    nodes, edges, table = {}, {}, []
    for frame in frames:
        bare = [{**node, "lit": False} for node in frame.data["nodes"]]
        table.append(
            {
                "reasons": frame.reasons,
                "nodes": [_rank(nodes, node) for node in bare],
                "edges": [_rank(edges, edge) for edge in frame.data["edges"]],
                "lit": [node["id"] for node in frame.data["nodes"] if node.get("lit")],
            }
        )
    rules = rule_reasons()
    used = {reason for frame in frames for reason in frame.reasons}
    return {
        "nodes": [node for node, _ in nodes.values()],
        "edges": [edge for edge, _ in edges.values()],
        "frames": table,
        "reasons": {name: rules[name] for name in sorted(used & rules.keys())},
        "kinds": {name: kind._asdict() for name, kind in KINDS.items()},
        "metrics": {"fontSize": FONT_SIZE, "small": SMALL, "advance": ADVANCE, "longest": LONGEST},
        "profiled": bool(profiled),
        "help": typeset(_HELP),
    }


def _rank(table, item):
    """Le rang de `item` dans la table ; la clé laisse de côté le graphe contenu, propre à l’id."""
    key = tuple((name, value) for name, value in item.items() if name != "inner")
    return table.setdefault(key, (item, len(table)))[1]


def _frame_data(document, rank):
    frame = document["frames"][rank]
    return {
        "nodes": [document["nodes"][i] for i in frame["nodes"]],
        "edges": [document["edges"][i] for i in frame["edges"]],
    }


def _copy_values(source, target):
    """Recopie les valeurs d’un dessin de même graphe : les nœuds y sont dans le même ordre."""
    for kind in ("nodes", "edges"):
        for item, (rank, other) in zip(source[kind], enumerate(target[kind]), strict=True):
            if item.get("value") is not None:
                target[kind][rank] = {**other, "value": item["value"]}


def _add_profile(f, data):
    """Donne à chaque opération son temps : elles sont dans l’ordre du programme."""
    rows = {row.node: row for row in f.profile.by_node()}
    ranks = [rank for rank, node in enumerate(data["nodes"]) if node["kind"] == "apply"]
    for rank, node in zip(ranks, f.fgraph.toposort(), strict=True):
        row = rows.get(node)
        if row is not None:
            data["nodes"][rank] = {
                **data["nodes"][rank],
                "share": f.profile.share(row),
                "seconds": row.seconds,
                "calls": row.calls,
                "memory": row.memory,
            }
