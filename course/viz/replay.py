"""La réécriture d’une fonction, rejouée règle par règle : le widget de la leçon 04.

Les images viennent de `history`. Python dessine la paire « avant, après » de l’étape demandée
(trait `step`) ; le curseur et les boutons sont dans `static/replay.js`. L’image fixe montre les
deux bouts : le graphe écrit, le graphe réécrit.

Nom public : `RewritingReplay`.
"""

import traitlets

from course.typography import typeset
from course.viz.graph_drawing import draw_graph, graph_image
from course.viz.history import history, light, rule_reasons
from course.viz.picture import SideBySide
from course.viz.widget import CourseWidget, script


class RewritingReplay(CourseWidget):
    """La réécriture d’une fonction compilée, un remplacement à la fois.

    À gauche, le graphe avant l’étape, les nœuds qui vont partir allumés ; à droite, le graphe
    après, ceux qui viennent d’arriver allumés.

    Paramètres
        f : la fonction compilée.
        values : {entrée (ou son nom): valeur} ; les arêtes portent alors les valeurs, calculées par
            la référence NumPy. À défaut, elles portent les types.
        title : le titre du widget.

    Exemple
        >>> from engine import function, tensor as T
        >>> x = T.dscalar("x")
        >>> replay = RewritingReplay(function([x], T.log(1 + T.exp(x))), values={x: 1000.0})
        >>> [caption.partition("\\u00a0:")[0] for caption in replay.captions]
        ['log_un_plus', 'log1p_exp']
    """

    _esm = script("replay")

    title = traitlets.Unicode().tag(sync=True)
    captions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    step = traitlets.Int(1).tag(sync=True)
    before = traitlets.Unicode().tag(sync=True)
    after = traitlets.Unicode().tag(sync=True)

    def __init__(self, f, *, values=None, title="La réécriture, règle par règle"):
        frames, reasons = history(f, values=values), rule_reasons()
        self._frames = [frame.data for frame in frames]
        self._edge_text = "values" if values else "types"
        captions = [_caption(frame.reasons, reasons) for frame in frames[1:]]
        super().__init__(title=typeset(title), captions=captions)
        self._redraw()
        self.observe(self._redraw, "step")

    @traitlets.validate("step")
    def _within(self, proposal):
        return min(max(proposal["value"], 1), len(self.captions))

    def fallback(self):
        """Renvoie l’image fixe : le graphe écrit à côté du graphe réécrit."""
        first, last = self._frames[0], self._frames[-1]
        pair = {
            "Avant réécriture": light(first, _operations(first) - _operations(last)),
            "Après réécriture": light(last, _operations(last) - _operations(first)),
        }
        options = {"edge_text": self._edge_text}
        return SideBySide(*(graph_image(data, title=t, **options) for t, data in pair.items()))

    def _redraw(self, _change=None):
        before, after = self._frames[self.step - 1], self._frames[self.step]
        leaving = light(before, _operations(before) - _operations(after))
        self.before = draw_graph(leaving, title="Avant l’étape", edge_text=self._edge_text)
        self.after = draw_graph(after, title="Après l’étape", edge_text=self._edge_text)


def _caption(names, reasons):
    """« règle : raison », autant de fois qu’il y a de remplacements."""
    if not names:
        return typeset("aucune règle ne s’applique")
    return typeset(" ; ".join(f"{name} : {reasons[name]}" for name in names))


def _operations(data):
    return {node["id"] for node in data["nodes"] if node["kind"] == "apply"}
