"""Les valeurs de départ des paramètres : des tableaux NumPy tirés d’un générateur qu’on a semé.

Une fonction d’initialisation prend une forme et un `numpy.random.Generator`, et rend un tableau de
dtype floatX ; on fixe ses options par `functools.partial(normal, std=0.1)`. Rien n’est tiré d’un
état global : la même graine redonne les mêmes poids.

Les formes : (entrées, sorties) pour une matrice, (sorties, entrées, *noyau) pour des filtres.

Ordre de lecture : `fans`, `glorot_uniform`, `orthogonal`.
"""

import math

import numpy as np

from engine import config
from engine.core.errors import ShapeError

SQRT_2 = math.sqrt(2)  # relu annule la moitié des activations


def fans(shape):
    """Le nombre d’entrées et de sorties reliées à chaque unité.

    Paramètres
        shape : (entrées, sorties), ou (sorties, entrées, *noyau) pour une convolution.

    Renvoie
        Le couple (entrées, sorties) ; un noyau compte pour autant d’entrées que de points.

    Lève
        ShapeError : moins de deux axes.

    Exemple
        >>> fans((784, 10)), fans((16, 3, 5, 5))
        ((784, 10), (75, 400))
    """
    if len(shape) < 2:
        raise ShapeError(
            "initialisation : pas d'entrées et de sorties à compter",
            expected="une forme d'au moins deux axes",
            received=str(tuple(shape)),
            hint="pour un vecteur de biais, prenez constant, uniform ou normal",
        )
    if len(shape) == 2:
        return tuple(shape)
    points = math.prod(shape[2:])
    return shape[1] * points, shape[0] * points


def constant(shape, generator=None, value=0.0):
    """Un tableau rempli de `value` (zéro par défaut : c’est l’usage pour les biais).

    Paramètres
        shape : forme voulue.
        generator : ignoré ; il est là pour que toutes les initialisations s’appellent de même.

    Renvoie
        Un tableau de dtype floatX.

    Exemple
        >>> constant((2,), value=1)
        array([1., 1.])
    """
    return np.full(shape, value, dtype=config.floatX)


def uniform(shape, generator, low=-0.01, high=0.01):
    """Des tirages uniformes entre `low` (compris) et `high`.

    Paramètres
        shape : forme voulue.
        generator : `numpy.random.default_rng(graine)`.

    Renvoie
        Un tableau de dtype floatX.

    Exemple
        >>> W = uniform((3, 4), np.random.default_rng(0), low=0, high=1)
        >>> W.shape, bool(((0 <= W) & (W < 1)).all())
        ((3, 4), True)
    """
    return generator.uniform(low, high, shape).astype(config.floatX)


def normal(shape, generator, std=0.01, mean=0.0):
    """Des tirages gaussiens de moyenne `mean` et d’écart type `std`.

    Paramètres
        shape : forme voulue.
        generator : `numpy.random.default_rng(graine)`.

    Renvoie
        Un tableau de dtype floatX.

    Exemple
        >>> normal((3, 4), np.random.default_rng(0), std=0.1).shape
        (3, 4)
    """
    return generator.normal(mean, std, shape).astype(config.floatX)


def glorot_uniform(shape, generator, gain=1.0):
    """Uniforme de variance 2 gain² / (entrées + sorties) : pour tanh et les sorties linéaires.

    Les bornes sont ±gain √(6 / (entrées + sorties)) ; la variance des activations et celle des
    gradients se conservent à peu près d’une couche à l’autre.

    Paramètres
        shape : au moins deux axes, voir `fans`.
        generator : `numpy.random.default_rng(graine)`.
        gain : facteur propre à l’activation (4 pour la sigmoïde, d’après les auteurs).

    Renvoie
        Un tableau de dtype floatX.

    Lève
        ShapeError : moins de deux axes.

    Source : Glorot et Bengio, « Understanding the difficulty of training deep feedforward neural
    networks », AISTATS, 2010, équation 16.

    Exemple
        >>> W = glorot_uniform((784, 10), np.random.default_rng(0))
        >>> bool(np.abs(W).max() < (6 / 794) ** 0.5)
        True
    """
    return _uniform_of_std(shape, generator, gain * _glorot_std(shape))


def glorot_normal(shape, generator, gain=1.0):
    """Gaussienne de variance 2 gain² / (entrées + sorties).

    Paramètres, erreurs et source : ceux de `glorot_uniform`.

    Exemple
        >>> glorot_normal((784, 10), np.random.default_rng(0)).shape
        (784, 10)
    """
    return normal(shape, generator, std=gain * _glorot_std(shape))


def he_uniform(shape, generator, gain=SQRT_2):
    """Uniforme de variance gain² / entrées, soit 2 / entrées : pour relu.

    Paramètres
        shape : au moins deux axes, voir `fans`.
        generator : `numpy.random.default_rng(graine)`.
        gain : √2 pour relu, qui annule la moitié des activations ; √(2 / (1 + a²)) si sa pente
            négative vaut a.

    Renvoie
        Un tableau de dtype floatX.

    Lève
        ShapeError : moins de deux axes.

    Source : He, Zhang, Ren et Sun, « Delving Deep into Rectifiers », ICCV, 2015, équation 10.

    Exemple
        >>> W = he_uniform((784, 10), np.random.default_rng(0))
        >>> bool(np.abs(W).max() < (6 / 784) ** 0.5)
        True
    """
    return _uniform_of_std(shape, generator, gain / math.sqrt(fans(shape)[0]))


def he_normal(shape, generator, gain=SQRT_2):
    """Gaussienne de variance gain² / entrées, soit 2 / entrées : pour relu.

    Paramètres, erreurs et source : ceux de `he_uniform`.

    Exemple
        >>> he_normal((784, 10), np.random.default_rng(0)).shape
        (784, 10)
    """
    return normal(shape, generator, std=gain / math.sqrt(fans(shape)[0]))


def orthogonal(shape, generator, gain=1.0):
    """Une matrice orthogonale tirée uniformément (mesure de Haar), multipliée par `gain`.

    Le plus petit des deux côtés est orthonormé ; des filtres sont vus comme une matrice
    (sorties, entrées × noyau).

    Paramètres
        shape : au moins deux axes.
        generator : `numpy.random.default_rng(graine)`.
        gain : facteur propre à l’activation (√2 pour relu).

    Renvoie
        Un tableau de dtype floatX.

    Lève
        ShapeError : moins de deux axes.

    Sources : Saxe, McClelland et Ganguli, « Exact solutions to the nonlinear dynamics of learning
    in deep linear neural networks », ICLR, 2014 (arXiv, 2013) ; Mezzadri, « How to generate random
    matrices from the classical compact groups », 2007, pour les signes de la factorisation QR.

    Exemple
        >>> W = orthogonal((3, 5), np.random.default_rng(0))
        >>> bool(np.allclose(W @ W.T, np.eye(3)))
        True
    """
    fans(shape)  # refuse les formes de moins de deux axes
    rows, columns = shape[0], math.prod(shape[1:])
    tall = generator.normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)  # sinon QR favorise certaines matrices
    matrix = q if rows >= columns else q.T
    return (gain * matrix).reshape(shape).astype(config.floatX)


def _glorot_std(shape):
    return math.sqrt(2 / sum(fans(shape)))


def _uniform_of_std(shape, generator, std):
    bound = math.sqrt(3) * std  # la variance de l’uniforme sur [-a, a] est a²/3
    return uniform(shape, generator, low=-bound, high=bound)
