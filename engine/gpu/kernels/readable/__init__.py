"""Les noyaux qui se lisent : un fichier par famille, aucun tour d’adresse.

maps          une carte : un fil, un élément (`relu`, `axpy`)
chains        une chaîne d’opérations fondue en un seul noyau
reductions    une somme, en arbre, en mémoire partagée
softmaxes     le softmax d’une ligne, un bloc par ligne
products      le produit de deux matrices, naïf puis par tuiles
convolutions  la convolution d’images
pooling       le sous-échantillonnage par maximum
updates       un pas de descente de gradient, sur place

Partout : la sortie vient en premier, la docstring dit quel fil fait quoi, les bornes sont gardées,
la géométrie vient de `engine.gpu.kernels.geometry`, et rien n’est calculé en double précision.
"""
