"""Un signal traverse un réseau profond tiré au hasard : ce que chaque couche en laisse passer.

C’est le calcul du widget de la leçon 05 (`initialization`). Le réseau n’a pas de biais ; ses
couches ont toutes n unités, et leurs poids sont gaussiens, d’écart type gain / √n.

Noms publics : `ACTIVATIONS`, `Signals`, `cross`, `draws`.
"""

import functools
from typing import NamedTuple

import numpy as np

UNITS, DEPTH, EXAMPLES = 100, 10, 200
EDGE, BINS = 2.0, 41  # les histogrammes vont de -EDGE à EDGE

ACTIVATIONS = {
    # clef : son nom, la fonction de z, sa dérivée d’après z et la sortie a
    "identity": ("aucune", lambda z: z,                          lambda z, a: np.ones_like(z)),
    "tanh":     ("tanh",     np.tanh,                            lambda z, a: 1 - a * a),
    "relu":     ("relu",     lambda z: np.maximum(z, 0.0),       lambda z, a: 1.0 * (z > 0)),
    "sigmoid":  ("sigmoïde", lambda z: (1 + np.tanh(z / 2)) / 2, lambda z, a: a * (1 - a)),
}  # fmt: skip


class Signals(NamedTuple):
    """Ce que la traversée laisse, de l’entrée (rang 0) à la dernière couche.

    Champs
        forward : racine de la moyenne des carrés des activations.
        backward : celle du gradient par rapport à ces activations, qui vaut 1 à la dernière.
        shares : par rang, la part des activations dans chaque intervalle de [-EDGE, EDGE] ; les
            deux intervalles du bout comptent aussi tout ce qui est au-delà.
    """

    forward: list
    backward: list
    shares: list


def cross(activation, gain):
    """Envoie des exemples dans le réseau, puis un gradient en sens inverse.

    Paramètres
        activation : clef d’`ACTIVATIONS`.
        gain : écart type des poids, multiplié par √n.

    Renvoie
        des `Signals`, toujours les mêmes pour les mêmes arguments.

    Exemple
        >>> kept = cross("identity", 1.0)
        >>> doubled = cross("identity", 2.0)
        >>> float(round(doubled.forward[-1] / kept.forward[-1]))
        1024.0
    """
    _, function, slope = ACTIVATIONS[activation]
    examples, pulled_back, weights = draws()
    weights = weights * (gain / np.sqrt(UNITS))
    values, slopes = [examples], []
    for matrix in weights:
        scores = values[-1] @ matrix
        values.append(function(scores))
        slopes.append(slope(scores, values[-1]))
    grads = [pulled_back]
    for matrix, local in zip(weights[::-1], slopes[::-1], strict=True):
        grads.append((grads[-1] * local) @ matrix.T)
    backward = [_spread(g) / _spread(pulled_back) for g in grads[::-1]]
    return Signals([_spread(v) for v in values], backward, [_shares(v) for v in values])


@functools.cache
def draws():
    """Les exemples, le gradient renvoyé, les poids d’écart type 1 : tirés une fois pour toutes."""
    generator = np.random.default_rng(0)
    shapes = (EXAMPLES, UNITS), (EXAMPLES, UNITS), (DEPTH, UNITS, UNITS)
    return [generator.normal(size=shape) for shape in shapes]


def _spread(values):
    return float(np.sqrt(np.mean(values**2)))


def _shares(values):
    counts, _ = np.histogram(np.clip(values, -EDGE, EDGE), BINS, (-EDGE, EDGE))
    return (counts / values.size).tolist()
