"""Les noms des communes de France, lus depuis `datasets/communes`.

Source : INSEE, Code officiel géographique au 1ᵉʳ janvier 2026, Licence Ouverte 2.0.
"""

import csv
from typing import NamedTuple

import numpy as np

from course.data.shipped import DATASETS, read_shipped

PATH = DATASETS / "communes" / "communes-2026.csv"


class Communes(NamedTuple):
    """Les trois jeux de noms : 80 % pour l’entraînement, 10 % pour la validation, 10 % de test."""

    train: list
    valid: list
    test: list


def communes(path=PATH, seed=0):
    """Les noms distincts des communes, mélangés, en trois jeux.

    Plusieurs communes portent le même nom (il y a douze Sainte-Colombe) : chaque nom est gardé une
    fois, si bien qu’aucun nom de test n’est dans le jeu d’entraînement.

    Paramètres
        path : le fichier CSV ; `SHA256SUMS`, à côté, porte son empreinte.
        seed : entier, pour le mélange.

    Renvoie
        `Communes(train, valid, test)`, trois listes de chaînes.

    Lève
        DataError : le fichier manque ou n’est plus celui d’origine ; l’erreur le nomme.

    Exemple
        >>> train, valid, test = communes()
        >>> len(train), len(valid), len(test)
        (26189, 3273, 3273)
    """
    lines = read_shipped(path).decode("utf-8").splitlines()
    names = sorted({row["nom"] for row in csv.DictReader(lines)})
    order = np.random.default_rng(seed).permutation(len(names))
    tenth = len(names) // 10
    parts = np.split(order, [len(names) - 2 * tenth, len(names) - tenth])
    return Communes(*([names[rank] for rank in part] for part in parts))
