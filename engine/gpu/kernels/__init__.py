"""Le GPU au travail : où tournent les noyaux, ce qu’ils calculent, ce qui se rejoue.

Où            machines (laquelle ?), protocol, simulator et traces (celle que joue Python), driver,
              memory, calls (un vrai GPU), device (ce que la leçon 10 importe), geometry
Des tableaux  arrays, arithmetic, storage (les variables partagées), exchange et dlpack (ceux des
              autres bibliothèques)
Un noyau      compiling (texte, noyau), elements, positions, cubins (le code machine), lessons,
              registry (quelle op a un noyau, à quel niveau), faults (un indice hors du tableau)
Les noyaux    readable/ (ceux de la leçon 10), loops, elementwise, writing, views (des cartes)
              rows, reductions, softmaxes, likelihood, accumulations (des lignes)
              products, blas, convolutions, dnn, poolings ; selecting, moving, indexing ; draws
Rejouer       journal (ce qui a été lancé), layouts (où logent les zones), plans

On y vient ajouter un noyau : un fichier d’ici, `@device_kernel(Op)`, se trouve de lui-même. Rien
n’est chargé par ce fichier.
"""
