"""Ce qui n’est utile qu’au cours ; le moteur s’en passe.

book         la table des leçons, dont vient toute la navigation
viz          les dessins, les widgets des leçons, les courbes
data         les jeux de données livrés, et les flux de minilots
zoo          les modèles livrés, refaits par les cellules mêmes des leçons
grading      les exercices : vérifications, retour, progression, fabrication des carnets
typography   l’orthotypographie française des fichiers
places       les dossiers du cours

Le cours n’emploie du moteur que les noms publics. Le moteur n’importe le cours qu’en deux endroits,
pour dessiner un graphe (`engine/look/drawing.py`, `d3viz.py`), et seulement quand on le demande.

Ce que l’on change le plus souvent : une leçon (`book.py`, puis son carnet), les vérifications d’un
exercice (`grading/exercises/`), un widget (`viz/`, et son programme dans `viz/static/`).
"""

from course.places import DATASETS, ROOT
