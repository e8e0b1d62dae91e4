"""Les couches des images (et des volumes) : convolution, pooling.

Ordre de lecture : `Convolution`, `Pooling`.
"""

from engine import tensor as T
from engine.core.errors import EngineError
from engine.nn.initializers import constant, glorot_uniform
from engine.nn.layers.parameters import make_parameter


class Convolution:
    """Une couche de convolution : activation(x * W + b), un biais par image de sortie.

    Paramètres
        n_in, n_out : nombres de canaux en entrée et en sortie.
        size : taille des filtres en pixels, (hauteur, largeur), ou (profondeur, hauteur, largeur)
            pour des volumes ; un entier k vaut (k, k).
        activation : fonction d’expression à expression ; None, linéaire.
        border_mode : celui de `T.nnet.conv2d` ("valid", "half", "full", un nombre de pixels...), ou
            "same" : autant de sorties que d’entrées (divisées par le pas), même pour un filtre de
            taille paire.
        stride, dilation : pas, et écart entre les points du filtre, en pixels.
        W : forme (n_out, n_in, *size). Une fonction d’initialisation, un tableau, ou une variable
            partagée.
        b : forme (n_out,), donné de même ; None, pas de biais.
        name : préfixe du nom des paramètres.
        generator : `numpy.random.default_rng(graine)`, pour les fonctions d’initialisation.

    Lève
        ShapeError : un tableau donné n’a pas la forme qu’il faut.
        EngineError : réglage impossible ; une initialisation tire au hasard et `generator` manque.

    Source
        Y. LeCun et coll., « Gradient-Based Learning Applied to Document Recognition », 1998.

    Exemple
        >>> import numpy as np
        >>> layer = Convolution(1, 20, 5, T.tanh, name="c", generator=np.random.default_rng(0))
        >>> layer.parameters, layer(T.zeros((2, 1, 28, 28))).eval().shape
        ([c.W, c.b], (2, 20, 24, 24))
    """

    def __init__(
        self,
        n_in,
        n_out,
        size,
        activation=None,
        border_mode="valid",
        stride=1,
        dilation=1,
        W=glorot_uniform,
        b=constant,
        name=None,
        generator=None,
    ):
        size = (size, size) if isinstance(size, int) else tuple(size)
        if len(size) not in (2, 3):
            raise EngineError(
                "Convolution : taille de filtre impossible",
                expected="un entier, (hauteur, largeur) ou (profondeur, hauteur, largeur)",
                received=repr(size),
                hint="3 pour un filtre carré de côté 3",
            )
        self.activation = activation
        self.stride, self.dilation = (
            (each,) * len(size) if isinstance(each, int) else tuple(each)
            for each in (stride, dilation)
        )
        self.border_mode = border_mode
        if border_mode == "same":
            around = [(k - 1) * d for k, d in zip(size, self.dilation, strict=True)]
            self.border_mode = tuple((n // 2, n - n // 2) for n in around)
        self.W = make_parameter(W, (n_out, n_in, *size), "W", name, generator)
        self.b = None if b is None else make_parameter(b, (n_out,), "b", name, generator)

    @property
    def parameters(self):
        """[W, b], ou [W] sans biais."""
        return [self.W] if self.b is None else [self.W, self.b]

    def __call__(self, x):
        """Rend l’expression (lot, n_out, *image') de x, forme (lot, n_in, *image)."""
        space = len(self.stride)
        convolve = {2: T.nnet.conv2d, 3: T.nnet.conv3d}[space]
        maps = convolve(
            x,
            self.W,
            border_mode=self.border_mode,
            subsample=self.stride,
            filter_dilation=self.dilation,
        )
        if self.b is not None:
            maps = maps + self.b.dimshuffle("x", 0, *["x"] * space)
        return maps if self.activation is None else self.activation(maps)


class Pooling:
    """Résume chaque fenêtre d’une image par un nombre ; sans paramètre.

    Paramètres
        size : taille de la fenêtre en pixels, (hauteur, largeur) ou à trois axes ; un entier k
            vaut (k, k).
        stride : pas de la fenêtre ; par défaut `size`.
        mode : "max", "sum", "average_inc_pad" ou "average_exc_pad".
        pad : bords ajoutés, en pixels ; un maximum ne les voit pas.
        ignore_border : vrai, une fenêtre incomplète est laissée de côté.

    Lève
        EngineError : réglage impossible, au moment de l’appel.

    Source
        Y. LeCun et coll., 1998.

    Exemple
        >>> Pooling(2)(T.zeros((5, 3, 24, 24))).eval().shape
        (5, 3, 12, 12)
    """

    parameters = ()

    def __init__(self, size, stride=None, mode="max", pad=0, ignore_border=True):
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        self.stride, self.mode, self.pad, self.ignore_border = stride, mode, pad, ignore_border

    def __call__(self, x):
        """Rend l’expression (..., *image') de x, forme (..., *image)."""
        pool = T.signal.pool.pool_3d if len(self.size) == 3 else T.signal.pool.pool_2d
        return pool(x, self.size, self.ignore_border, self.stride, self.pad, self.mode)
