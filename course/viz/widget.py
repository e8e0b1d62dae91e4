"""Ce que tous les widgets du cours ont en commun.

Un widget du cours : un `__repr__` fixe (les notebooks se comparent), une feuille de style commune,
un programme JavaScript court dans `static/`, et une image fixe avec texte de remplacement
(`fallback`) là où il n’est pas exécuté. Son affichage porte les deux : la vue du widget, et
l’image en `text/html`. Un notebook enregistré sans la vue (`static_output`) montre donc l’image,
sans qu’aucun état de widget soit écrit.

Noms publics : `CourseWidget`, `script`, `static_output`.
"""

import pathlib

import anywidget

from course.viz import palette

STATIC = pathlib.Path(__file__).parent / "static"
VIEW = "application/vnd.jupyter.widget-view+json"


def script(name):
    """Renvoie le programme JavaScript du widget `name`, la partie commune devant."""
    parts = ("common.js", f"{name}.js")
    return "\n".join((STATIC / part).read_text(encoding="utf-8") for part in parts)


def static_output(data):
    """Retire d’une sortie de cellule la vue du widget quand une image fixe l’accompagne.

    Paramètres
        data : le dictionnaire « type MIME : contenu » d’une sortie ; il n’est pas modifié.

    Renvoie
        un dictionnaire sans la vue : un notebook rouvert sans noyau montre l’image au lieu de
        « model not found ».

    Exemple
        >>> static_output({VIEW: {"model_id": "1"}, "text/html": "<img alt='...'>"})
        {'text/html': "<img alt='...'>"}
    """
    if "text/html" not in data:
        return dict(data)
    return {kind: content for kind, content in data.items() if kind != VIEW}


class CourseWidget(anywidget.AnyWidget):
    """Base des widgets du cours ; une sous-classe définit `_esm`, ses traits et `fallback`."""

    _css = palette.css_variables() + (STATIC / "course.css").read_text(encoding="utf-8")

    def __repr__(self):
        return f"<{type(self).__name__}>"

    def fallback(self):
        """Renvoie l’image (`Picture`, `Placeholder`) à montrer quand rien ne s’exécute."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return {**data, "text/html": self.fallback()._repr_html_()}, metadata
