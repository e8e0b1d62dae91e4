"""L’explorateur de graphe : le dessin de `graph_drawing`, qui se replie et se parcourt au clavier.

Le placement reste en Python (un seul endroit place les graphes) : replier change le trait `folds`,
Python redessine et envoie le SVG. Le clavier et la souris sont dans `static/explorer.js`.

Noms publics : `GraphExplorer`, `explore`.
"""

import traitlets

from course.typography import typeset
from course.viz.folding import default_folds, group_id, groups_of
from course.viz.graph_drawing import draw_graph
from course.viz.graph_plan import describe, graph_of
from course.viz.picture import Picture
from course.viz.widget import CourseWidget, script


def explore(data, title="Graphe de calcul", **options):
    """Ouvre l’explorateur sur un graphe.

    Paramètres
        data : ce que rend `engine.printing.graph_data` d’une fonction ou de variables.
        title : le titre, lu aussi par les lecteurs d’écran.
        options : `edge_text` ("types", "values" ou "none"), `folds`, `alt`.

    Renvoie
        un `GraphExplorer`.
    """
    return GraphExplorer(data, title=title, **options)


class GraphExplorer(CourseWidget):
    """Graphe de calcul à explorer : replier, déplier, lire types ou valeurs sur les arêtes.

    Paramètres
        data : le dictionnaire du graphe.
        title : son titre.
        edge_text : ce qui s’écrit sur les arêtes, "types", "values" ou "none".
        folds : plis de départ ; à défaut, `default_folds(data)`.
        alt : texte de remplacement de l’image fixe ; à défaut, une description du graphe.

    Exemple
        >>> x = {"id": "x", "kind": "input", "label": "x", "detail": "float32 ()"}
        >>> GraphExplorer({"nodes": [x], "edges": []})
        <GraphExplorer>
    """

    _esm = script("explorer")

    title = traitlets.Unicode().tag(sync=True)
    svg = traitlets.Unicode().tag(sync=True)
    summary = traitlets.Unicode().tag(sync=True)
    folds = traitlets.List(traitlets.Unicode()).tag(sync=True)
    compact = traitlets.List(traitlets.Unicode()).tag(sync=True)
    groups = traitlets.List(traitlets.Unicode()).tag(sync=True)
    edge_text = traitlets.Enum(["types", "values", "none"], "types").tag(sync=True)

    def __init__(self, data, *, title="Graphe de calcul", edge_text="types", folds=None, alt=None):
        data = self._data = graph_of(data)
        self._alt = typeset(alt or describe(data, title))
        super().__init__(
            title=title,
            summary=self._alt,
            edge_text=edge_text,
            folds=default_folds(data) if folds is None else list(folds),
            compact=_compact(data),
            groups=groups_of(data),
        )
        self._redraw()
        self.observe(self._redraw, ["folds", "edge_text"])

    def fallback(self):
        """Renvoie l’image fixe du graphe tel qu’il est replié."""
        svg = draw_graph(self._data, title=self.title, edge_text=self.edge_text, folds=self.folds)
        return Picture(svg, self._alt)

    def _redraw(self, _change=None):
        self.svg = draw_graph(
            self._data,
            title=self.title,
            edge_text=self.edge_text,
            folds=self.folds,
            interactive=True,
        )


def _compact(data):
    """Renvoie les plis du bouton « Tout replier » : les groupes, ou à défaut chaque sortie."""
    folds = [group_id(name) for name in groups_of(data)]
    return folds or [node["id"] for node in data["nodes"] if node["kind"] == "output"]
