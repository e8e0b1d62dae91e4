"""Les vérifications publiques, un module par exercice (`ex01`, `ex06`), livrées avec le cours.

Chacun définit `exercise` et, pour le carnet, `verifier`. `exemple_cachees` montre à l’enseignant
comment écrire les siennes.
"""
