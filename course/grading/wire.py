"""Ce qui passe entre le code de l’élève et les vérifications : des données simples, recopiées.

`plain(value)` rend une copie faite uniquement de None, bool, int, float, str, list et dict (clés :
str), c’est-à-dire ce que JSON transporte sans perte. Les tuples deviennent des listes et les
tableaux NumPy des listes de nombres ; tout le reste est refusé par `NotPlain`.

La copie passe par les méthodes des types de base, jamais par celles de l’objet reçu : un `__eq__`
complaisant, une sous-classe de `ndarray` ou de `float` n’y survivent pas. Les vérifications d’un
carnet ouvert et la notation dans un autre processus voient donc exactement les mêmes valeurs.
"""

import numpy as np

MAX_DEPTH = 20
MAX_ITEMS = 1_000_000


class NotPlain(TypeError):
    """Une valeur qui ne se recopie pas en données simples."""


def plain(value):
    """Recopie `value` en données simples.

    Lève
        NotPlain : type inconnu, trop d’éléments, trop de niveaux.

    Exemple
        >>> plain((1, np.float32(0.5), np.array([[True, False]])))
        [1, 0.5, [[True, False]]]
    """
    return _copy(value, [MAX_ITEMS], 0)


def _copy(value, left, depth):
    left[0] -= 1
    if depth > MAX_DEPTH or left[0] < 0:
        raise NotPlain("la valeur a trop de niveaux ou trop d'éléments")
    kind = type(value)  # et non isinstance : __class__ peut mentir
    if value is None or kind is bool:
        return value
    if issubclass(kind, np.ndarray):
        return _copy_array(value, left)
    if issubclass(kind, np.generic):
        return _copy_array(np.ndarray.view(np.array(value), np.ndarray), left)
    if issubclass(kind, int):
        return int.__pos__(value)
    if issubclass(kind, float):
        return float.__pos__(value)
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, list):
        return [_copy(item, left, depth + 1) for item in list.__iter__(value)]
    if issubclass(kind, tuple):
        return [_copy(item, left, depth + 1) for item in tuple.__iter__(value)]
    if issubclass(kind, dict):
        return {_key(k): _copy(v, left, depth + 1) for k, v in dict.items(value)}
    raise NotPlain(f"type `{kind.__name__}`")


def _copy_array(array, left):
    array = np.ndarray.view(array, np.ndarray)
    if array.dtype.kind not in "biuf" or array.dtype.isbuiltin != 1:
        raise NotPlain(f"tableau d'éléments `{array.dtype}`")
    left[0] -= array.size
    if left[0] < 0:
        raise NotPlain("tableau trop grand")
    return array.tolist()


def _key(key):
    if not issubclass(type(key), str):
        raise NotPlain(f"clé de dictionnaire de type `{type(key).__name__}`")
    return str.__str__(key)
