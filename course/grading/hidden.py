"""Les vérifications cachées : mêmes fonctions, mais dans un dossier de l’enseignant.

Le dossier est nommé par la variable d’environnement `CHAINAGE_VERIFICATIONS_CACHEES`, ou donné à
`load`. Il contient un fichier par exercice, du même nom que son carnet
(`01_regle_de_chainage.py`), qui définit `exercise = Exercise("01_regle_de_chainage")` et y inscrit
ses vérifications comme le font les publiques. Un exemple complet est livré :
`course/grading/exercises/exemple_cachees.py`.

Ce qui vient de ce dossier est caché parce que cela en vient : rien n’est à marquer, rien ne peut
être oublié. Le retour ne montre alors ni titre, ni entrées, ni indices. Elles passent en dernier,
pour qu’un élève ne puisse accorder ses réponses publiques à ce qu’elles lui envoient.
"""

import importlib.util
import os
from dataclasses import replace
from pathlib import Path

from course.grading.checks import Exercise

VARIABLE = "CHAINAGE_VERIFICATIONS_CACHEES"


def load(public, folder=None):
    """L’exercice `public`, augmenté des vérifications cachées de `folder` s’il en a pour lui.

    Lève
        FileNotFoundError : le dossier nommé n’existe pas (mieux vaut ne pas noter que mal noter).
        ValueError : le fichier ne définit pas `exercise`, ou celui d’un autre carnet.
    """
    folder = folder or os.environ.get(VARIABLE)
    if not folder:
        return public
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"Dossier de vérifications cachées introuvable\u00a0: {folder}")
    path = folder / f"{public.slug}.py"
    if not path.exists():
        return public
    teacher = _import(path)
    if getattr(teacher, "slug", None) != public.slug:
        raise ValueError(f'{path}\u00a0: il faut `exercise = Exercise("{public.slug}")`.')
    return Exercise(public.slug, public.checks + [replace(c, hidden=True) for c in teacher.checks])


def _import(path):
    spec = importlib.util.spec_from_file_location(f"hidden_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, "exercise", None)
