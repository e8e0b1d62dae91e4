"""Des pas d’apprentissage qui changent au fil des itérations.

Chaque fonction rend une expression d’un compteur d’itérations (une variable partagée), que l’on
passe comme `learning_rate` à un optimiseur. Les calculs se font en float64, le résultat est en
floatX ; l’optimiseur le convertit au dtype de chaque paramètre.

Ordre de lecture : `iteration_counter`, `exponential_decay`, `warm_up`.
"""

import math

import numpy as np

from engine import config, shared
from engine import tensor as T
from engine.core.errors import DomainError


def iteration_counter(name="iteration"):
    """Un compteur qui avance de 1 à chaque appel d’une fonction qui s’en sert.

    Il vaut 0 au premier appel. L’avance est sa mise à jour par défaut (`default_update`) : la
    fonction d’entraînement l’applique seule ; compilez les autres avec `no_default_updates=True`
    si elles le lisent.

    Renvoie
        Une variable partagée int64 sans axe.

    Exemple
        >>> from engine import function
        >>> t = iteration_counter()
        >>> f = function([], t * 10)
        >>> int(f()), int(f()), int(t.get_value())
        (0, 10, 2)
    """
    counter = shared(np.int64(0), name=name)
    counter.default_update = counter + 1
    return counter


def step_decay(iteration, initial, every, factor=0.1):
    """Multiplié par `factor` toutes les `every` itérations : initial × factor^⌊t / every⌋.

    Paramètres
        iteration : compteur d’itérations (scalaire entier).
        initial : pas de départ, nombre ou scalaire symbolique.
        every : nombre entier d’itérations d’un palier.

    Renvoie
        Un scalaire symbolique floatX.

    Exemple
        >>> t = T.lscalar("t")
        >>> rate = step_decay(t, 1.0, every=10, factor=0.5)
        >>> [float(rate.eval({t: n})) for n in (0, 9, 10, 25)]
        [1.0, 1.0, 0.5, 0.25]
    """
    return _rate(
        _double(initial) * _double(factor) ** T.cast(iteration // _positive(every), "float64")
    )


def exponential_decay(iteration, initial, every, factor=0.1):
    """Décroissance continue : initial × factor^(t / every).

    Paramètres
        iteration : compteur d’itérations (scalaire entier).
        initial : pas de départ, nombre ou scalaire symbolique.
        every : nombre d’itérations au bout duquel le pas est multiplié par `factor`.

    Renvoie
        Un scalaire symbolique floatX.

    Exemple
        >>> t = T.lscalar("t")
        >>> rate = exponential_decay(t, 1.0, every=10, factor=0.25)
        >>> [float(rate.eval({t: n})) for n in (0, 5, 10)]
        [1.0, 0.5, 0.25]
    """
    return _rate(_double(initial) * _double(factor) ** (_double(iteration) / _positive(every)))


def cosine_decay(iteration, initial, length, final=0.0):
    """De `initial` à `final` en une demi-période de cosinus, puis constant.

    La formule : final + (initial - final) (1 + cos(π t / length)) / 2.

    Paramètres
        iteration : compteur d’itérations (scalaire entier).
        initial, final : pas de départ et d’arrivée, nombres ou scalaires symboliques.
        length : nombre d’itérations de la descente.

    Renvoie
        Un scalaire symbolique floatX.

    Source : Loshchilov et Hutter, « SGDR: Stochastic Gradient Descent with Warm Restarts »,
    ICLR, 2017, équation 5 (sans redémarrage).

    Exemple
        >>> t = T.lscalar("t")
        >>> rate = cosine_decay(t, 1.0, length=10)
        >>> [round(float(rate.eval({t: n})), 6) for n in (0, 5, 10, 99)]
        [1.0, 0.5, 0.0, 0.0]
    """
    progress = T.minimum(_double(iteration) / _positive(length), 1.0)
    wave = (1 + T.cos(progress * T.constant(math.pi, dtype="float64"))) / 2
    return _rate(_double(final) + (_double(initial) - _double(final)) * wave)


def warm_up(iteration, rate, length):
    """Montée linéaire : rate × min(1, (t + 1) / length).

    Se compose avec une autre règle : `warm_up(t, cosine_decay(t, 0.1, 1000), 50)`.

    Paramètres
        iteration : compteur d’itérations (scalaire entier).
        rate : pas visé, nombre ou expression.
        length : nombre d’itérations de la montée.

    Renvoie
        Un scalaire symbolique floatX.

    Source : Goyal et coll., « Accurate, Large Minibatch SGD », arXiv, 2017, paragraphe 2.2.

    Exemple
        >>> t = T.lscalar("t")
        >>> rate = warm_up(t, 1.0, length=4)
        >>> [float(rate.eval({t: n})) for n in (0, 1, 3, 100)]
        [0.25, 0.5, 1.0, 1.0]
    """
    return _rate(_double(rate) * T.minimum((_double(iteration) + 1) / _positive(length), 1.0))


def _positive(length):
    """Un nombre d’itérations, s’il est connu d’avance, d’au moins 1."""
    if not isinstance(length, T.TensorVariable) and length < 1:
        raise DomainError(
            "un palier, une décroissance durent au moins une itération",
            expected="un nombre d'au moins 1",
            received=repr(length),
            hint="le nombre de minilots par époque, par exemple",
        )
    return length


def _double(value):
    """Un nombre ou une variable, en float64."""
    if isinstance(value, T.TensorVariable):
        return T.cast(value, "float64")
    return T.constant(value, dtype="float64")


def _rate(value):
    return T.cast(value, config.floatX)
