"""Borner les gradients avant de s’en servir.

Chaque fonction prend une liste de gradients et rend la liste bornée, que l’on passe à un
optimiseur à la place du coût.

Ordre de lecture : `clip_by_value`, `global_norm`, `clip_by_global_norm`.
"""

from engine import tensor as T


def clip_by_value(grads, bound):
    """Ramène chaque composante entre -bound et bound ; la direction peut changer.

    Paramètres
        grads : liste de gradients, de formes et dtypes quelconques.
        bound : nombre ou scalaire symbolique, positif.

    Renvoie
        La liste des gradients bornés, aux mêmes formes et dtypes.

    Exemple
        >>> (g,) = clip_by_value([T.constant([-3.0, 0.5, 4.0])], 1)
        >>> g.eval()
        array([-1. ,  0.5,  1. ])
    """
    bound = T.as_tensor_variable(bound)
    return [T.clip(g, T.cast(-bound, g.dtype), T.cast(bound, g.dtype)) for g in grads]


def global_norm(grads):
    """La norme euclidienne de tous les gradients mis bout à bout.

    Paramètres
        grads : liste de gradients.

    Renvoie
        Un scalaire float64, quel que soit le dtype des gradients : le carré d’un gradient float32
        qui explose ne déborde pas.

    Exemple
        >>> float(global_norm([T.constant([3.0]), T.constant(4.0)]).eval())
        5.0
    """
    return T.sqrt(sum(T.cast(g, "float64").sqr().sum() for g in grads))


def clip_by_global_norm(grads, max_norm):
    """Réduit tous les gradients du même facteur si leur norme globale dépasse `max_norm`.

    La formule : g × min(1, max_norm / ‖g‖). La direction est gardée.

    Paramètres
        grads : liste de gradients.
        max_norm : nombre ou scalaire symbolique, strictement positif.

    Renvoie
        La liste des gradients, aux mêmes formes et dtypes.

    Source : Pascanu, Mikolov et Bengio, « On the difficulty of training recurrent neural
    networks », ICML, 2013, algorithme 1.

    Exemple
        >>> g, h = clip_by_global_norm([T.constant([3.0]), T.constant(4.0)], 1)
        >>> g.eval(), float(h.eval())
        (array([0.6]), 0.8)
    """
    norm = global_norm(grads)
    max_norm = T.cast(max_norm, "float64")
    scale = max_norm / T.maximum(norm, max_norm)  # jamais 0 / 0 quand les gradients sont nuls
    return [g * T.cast(scale, g.dtype) for g in grads]
