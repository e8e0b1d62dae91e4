"""Ce dont seul le cours a besoin ; il n’emploie que les noms publics du moteur.

`viz/` : les widgets et les figures ; `grading/` : la correction des exercices ; `zoo/` : les
modèles livrés ; `data/` : les données ; `typography/` : l’usage français ; `book` : le site.
"""
