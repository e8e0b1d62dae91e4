"""Les certificats des règles : ce que chacune dit d’elle-même, vérifié par machine.

Une règle du moteur porte un domaine (`engine.core.rewriting.Domain`) et des exemples. `check` les
calcule sans elle et avec elle, sur des valeurs ordinaires et extrêmes, dans chaque dtype : valeur,
gradient, dtype, forme, erreur levée. L’arbitre est l’expression elle-même, évaluée en décimal avec
des centaines de chiffres (`truth`), qui ne partage rien avec le moteur. `python -m
tests.certificates` parcourt les 2³² float32 des règles d’une variable.

Ordre de lecture : `truth`, `check`, `walk`.
"""
