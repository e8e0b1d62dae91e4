"""Les dos de calcul du processeur, et leur cache : `python -m engine.backends` le montre.

Importe : core, ops, tensor, loops, io.

`numpy/` : quelques appels directs ; `numba/` : un fichier par famille de noyaux ; `scalar_text` et
`polynomials` : le texte des fonctions scalaires, le même pour Numba et pour CUDA ; `cache` : les
noyaux compilés, sur le disque.

On y vient ajouter un noyau (`@kernel(Op, "numba")` dans un fichier de `numba/`, trouvé tout seul),
une fonction float32 (`polynomials`), ou changer ce que le cache garde.
"""
