"""Les deux niveaux d’un noyau ; et lequel sert, pour quelle raison.

    lisible       les noyaux de `readable/`, ceux de la leçon 10 : tout se lit, tout marche
    bibliothèque  cuBLAS, pour les produits et les convolutions, là où il est installé

Sur un GPU, la bibliothèque vient d’abord ; ce qu’elle ne sait pas faire, le noyau lisible le fait.
Le réglage `gpu_tier` demande l’un ou l’autre.

Ordre de lecture : `Tier`, `choose`.
"""

from typing import NamedTuple

from engine.core.settings import config
from engine.core.typeset import typeset

NAMES = {"library": "bibliothèque", "readable": "lisible"}


class Tier(NamedTuple):
    """Le niveau d’un nœud, et pourquoi celui-là."""

    name: str
    why: str

    def __str__(self):
        return typeset(f"{self.name} : {self.why}" if self.why else self.name)


def choose(readable, library=""):
    """La fonction qui calcule par le meilleur niveau ; son attribut `tier` dit lequel.

    Paramètres
        readable : une fonction des tableaux.
        library : une autre, qui rend None pour les formes qu’elle ne sait pas faire ; ou un texte,
            la raison de son absence.

    Exemple
        >>> add = choose(lambda x, y: x + y, "cuBLAS n'additionne pas")
        >>> add(1, 2), str(add.tier)
        (3, 'lisible : cuBLAS n’additionne pas')
    """
    asked, able = config.gpu_tier, callable(library)

    def call(*arrays):
        found = library(*arrays) if able and asked != "readable" else None
        return readable(*arrays) if found is None else found

    name = "library" if able and asked != "readable" else "readable"
    why = f"gpu_tier={asked}" if name == asked else "" if able else library
    call.tier = Tier(NAMES[name], why)
    return call
