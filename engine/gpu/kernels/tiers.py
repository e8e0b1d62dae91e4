"""Les niveaux d’un noyau : lisible, rapide, bibliothèque ; et lequel sert, pour quelle raison.

    lisible       les noyaux de `readable/`, ceux de la leçon 10 : tout se lit, tout marche
    rapide        la même opération par tuiles de registres, accès de 128 bits, calculs fondus
    bibliothèque  cuBLAS, pour les produits et les convolutions, là où il est installé

Une fabrique propose ses niveaux à `choose`. Sur un GPU, l’ordre est bibliothèque, rapide, lisible ;
le simulateur, où chaque fil coûte, commence par le lisible. Le réglage `gpu_tier` en met un
en tête. Un niveau qui ne sait pas faire une forme rend None : le suivant s’en charge.

Ordre de lecture : `Tier`, `choose`.
"""

from typing import NamedTuple

from engine.core.settings import config
from engine.core.typeset import typeset
from engine.gpu.kernels.machines import machine

NAMES = {"library": "bibliothèque", "fast": "rapide", "readable": "lisible"}


class Tier(NamedTuple):
    """Le niveau d’un nœud, et pourquoi celui-là."""

    name: str
    why: str

    def __str__(self):
        return typeset(f"{self.name} : {self.why}" if self.why else self.name)


def choose(**offers):
    """La fonction qui calcule par le meilleur niveau ; son attribut `tier` dit lequel.

    Paramètres
        library, fast, readable : une fonction des tableaux (elle rend None pour les formes qu’elle
            ne sait pas faire), ou un texte, la raison de son absence. Un au moins est une fonction.

    Exemple
        >>> add = choose(readable=lambda x, y: x + y, library="cuBLAS n'additionne pas")
        >>> add(1, 2), add.tier.name
        (3, 'lisible')
    """
    order = list(NAMES)
    if machine().is_simulated:
        order.reverse()
    asked = config.gpu_tier
    if asked != "auto":
        order.sort(key=lambda name: name != asked)
    refused, able = [], []
    for name in order:
        offer = offers.get(name)
        if callable(offer):
            able.append((name, offer))
        elif offer and not able:
            refused.append(offer)

    def call(*arrays):
        for _, function in able:
            result = function(*arrays)
            if result is not None:
                return result
        return None

    first, function = able[0]
    if len(able) == 1:
        call = function
    call.tier = Tier(NAMES[first], f"gpu_tier={asked}" if first == asked else ", ".join(refused))
    return call
