"""Le dos de calcul Numba : des noyaux compilés pour le processeur.

Ordre de lecture : `compiling`, `recycling`, `elementwise`, `reductions`, `softmax`, `indexing`,
`pooling`, `tiles`, `threads`, `convolving`, `draws`, `multiplying`, `products`, `places`,
`loop_text`, `looping`.

Rien n’est nommé ici : `registry.load` charge tous les fichiers du dossier.
"""
