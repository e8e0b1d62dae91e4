"""Les noyaux CUDA : là où ils s’exécutent, ce qu’on en voit, et ceux qui se lisent.

geometry    combien de fils, en combien de blocs
traces      ce qu’un lancement a lu et écrit : comptes, paquets, courses
tracing     exécuter un noyau pas à pas, en notant chaque lecture et chaque écriture
device      le GPU s’il y en a un, sinon le simulateur de Numba : `cuda`, `launch`, `place`
readable/   les noyaux de la leçon 10, un fichier par famille

Rien n’est chargé ici : `tracing` se passe de Numba, que `device` met une seconde à chercher.
"""
