"""Les opérations, une famille par fichier ; aucun n’importe son voisin.

`elemwise` (fonctions terme à terme), `reduce` (sommes, maximums), `shape` (formes), `index`
(indexation), `linalg` (produits), `linear_algebra` (systèmes, factorisations), `extra` (tris,
cumuls), `nnet` (softmax), `conv` et `pool` (convolutions, poolings), `rng` (le hasard), `probes`
(regarder passer une valeur), `gradient_views` (changer le gradient qui passe), `from_python` (une
fonction de l’utilisateur).
"""
