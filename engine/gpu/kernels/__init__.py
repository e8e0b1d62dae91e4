"""Les noyaux CUDA : là où ils s’exécutent, ce qu’on en voit, et ceux qui se lisent.

geometry    combien de fils, en combien de blocs
traces      ce qu’un lancement a lu et écrit : comptes, paquets, courses
simulator   exécuter un noyau fil par fil ; noter, si on veut, ce qu’il lit et écrit
device      le GPU s’il y en a un, sinon ce simulateur : `cuda`, `launch`, `place`
readable/   les noyaux de la leçon 10, un fichier par famille

Rien n’est chargé ici.
"""
