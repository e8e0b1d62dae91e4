"""Les réécritures du graphe.

Importe : core, ops, tensor, loops.

`exact/` : les règles de mathématiques, exactes là où elles le disent. `speed/` : ce qui va plus
vite sans rien changer (formes, fusion, tables, écriture sur place). `order` : l’ordre des passes,
une table. Les passes qui ne regardent que les boucles sont dans `engine.loops`, celles du GPU dans
`engine.gpu.compiling` ; le moteur de règles est dans `engine.core.rewriting`, dont les noms se
prennent ici une fois toutes les règles chargées.

On y vient ajouter une règle (`exact/`, ou `speed/`), dire où elle est exacte (`Domain`), ou changer
la place d’une passe (`order`).
"""

from engine.core import registry, rewriting


def __getattr__(name):
    if name.startswith("_"):
        raise AttributeError(name)
    registry.load("rules")
    return getattr(rewriting, name)
