"""Les couches denses et les tables de vecteurs.

Ordre de lecture : `Dense`, `Embedding`, `Flatten`.
"""

from engine import tensor as T
from engine.core.errors import EngineError
from engine.nn.initializers import constant, glorot_uniform, normal
from engine.nn.layers.parameters import make_parameter


class Dense:
    """Une couche dense : activation(x W + b).

    Paramètres
        n_in, n_out : nombres d’entrées et de sorties.
        activation : fonction d’expression à expression (`T.tanh`, `T.nnet.relu`) ; None, linéaire.
        W : forme (n_in, n_out). Une fonction d’initialisation, un tableau, ou une variable partagée
            (des poids communs à deux couches).
        b : forme (n_out,), donné de même ; None, pas de biais.
        name : préfixe du nom des paramètres ; `"h"` donne `h.W` et `h.b`.
        generator : `numpy.random.default_rng(graine)`, pour les fonctions d’initialisation.

    Lève
        ShapeError : un tableau donné n’a pas la forme qu’il faut.
        EngineError : une initialisation tire au hasard et `generator` manque.

    Exemple
        >>> import numpy as np
        >>> layer = Dense(3, 2, activation=T.tanh, name="h", generator=np.random.default_rng(0))
        >>> layer.parameters, layer(T.constant(np.zeros((5, 3)))).eval().shape
        ([h.W, h.b], (5, 2))
    """

    def __init__(
        self,
        n_in,
        n_out,
        activation=None,
        W=glorot_uniform,
        b=constant,
        name=None,
        generator=None,
    ):
        if activation is not None and not callable(activation):
            raise EngineError(
                "Dense : l'activation est une fonction d'expression à expression",
                expected="T.tanh, T.nnet.relu... ou None",
                received=repr(activation),
                hint="la fonction elle-même, sans guillemets",
            )
        self.activation = activation
        self.W = make_parameter(W, (n_in, n_out), "W", name, generator)
        self.b = None if b is None else make_parameter(b, (n_out,), "b", name, generator)

    @property
    def parameters(self):
        """[W, b], ou [W] sans biais."""
        return [self.W] if self.b is None else [self.W, self.b]

    def __call__(self, x):
        """Rend l’expression (..., n_out) de x, forme (..., n_in)."""
        scores = T.dot(x, self.W)
        if self.b is not None:
            scores = scores + self.b
        return scores if self.activation is None else self.activation(scores)


class Embedding:
    """Une table de vecteurs, un par symbole : W[indices].

    Paramètres
        n_symbols : nombre de symboles (mots, caractères).
        size : longueur de chaque vecteur.
        W : forme (n_symbols, size) ; fonction d’initialisation, tableau ou variable partagée.
        name, generator : ceux de `Dense`.

    Lève
        ShapeError, EngineError : comme `Dense`.

    Exemple
        >>> import numpy as np
        >>> layer = Embedding(3, 2, W=np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]))
        >>> layer(T.constant([2, 1])).eval()
        array([[3., 4.],
               [1., 2.]])
    """

    def __init__(self, n_symbols, size, W=normal, name=None, generator=None):
        self.W = make_parameter(W, (n_symbols, size), "W", name, generator)

    @property
    def parameters(self):
        """[W]."""
        return [self.W]

    def __call__(self, indices):
        """Rend l’expression (*forme de indices, size) d’indices entiers."""
        return self.W[indices]


class Flatten:
    """Garde le premier axe (celui du lot) et réunit les autres ; sans paramètre.

    Exemple
        >>> Flatten()(T.zeros((5, 2, 3))).eval().shape
        (5, 6)
    """

    parameters = ()

    def __call__(self, x):
        """Rend l’expression (n, produit des autres longueurs) de x."""
        return T.flatten(x, 2)
