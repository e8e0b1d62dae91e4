"""Les opérations, une famille par fichier ; aucun n’importe son voisin, sauf `arguments`.

Importe : core.

Ordre de lecture : `linalg` (produits), le plus court ; `reduce` (sommes, maximums), `shape`
(formes), `sum_to` (l’inverse de la diffusion), `index` (indexation), `nnet` (softmax), `targets`,
`special` (d’autres lignes de la table), `composite` (plusieurs lignes en une), `extra` (tris,
cumuls), `linear_algebra`, `fft`, `conv` et `pool`, `rng` (le hasard), `probes` (regarder passer une
valeur), `gradient_views` (changer le gradient qui passe), `from_python` (une fonction de
l’utilisateur), `test_value`.

On y vient ajouter une op (un fichier, ou une classe dans celui de sa famille : ses exemples la font
éprouver), changer un gradient (`L_op`), ou une erreur de forme (`make_node`).
"""
