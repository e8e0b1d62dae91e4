"""Les réécritures du graphe : `exact`, les règles de mathématiques ; `speed`, ce qui va plus vite ;
`order`, l’ordre des passes.

Les passes des boucles sont dans `engine.loops`, celles du GPU dans `engine.gpu.compiling`. Les noms
de `engine.core.rewriting` se prennent ici une fois toutes les règles chargées.
"""

from engine.core import registry, rewriting


def __getattr__(name):
    if name.startswith("_"):
        raise AttributeError(name)
    registry.load("rules")
    return getattr(rewriting, name)
