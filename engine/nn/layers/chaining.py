"""Enchaîner des couches."""

from engine.core.errors import EngineError
from engine.core.trace import scope


class Chain:
    """Des couches l’une après l’autre, faite par `chain`.

    Attributs
        layers : les couches ou fonctions, dans l’ordre.
    """

    has_train = True

    def __init__(self, layers):
        self.layers = layers

    @property
    def parameters(self):
        """Les paramètres des couches, dans l’ordre, chacun une fois."""
        return self._collected("parameters")

    @property
    def states(self):
        """Ce que les couches gardent sans l’apprendre : moyennes glissantes, états des tirages."""
        return self._collected("states")

    def _collected(self, name):
        found = [variable for layer in self.layers for variable in getattr(layer, name, ())]
        return list(dict.fromkeys(found))

    def __call__(self, x, train=False):
        """Rend l’expression de la dernière couche ; `train` : celle de l’apprentissage."""
        for position, layer in enumerate(self.layers):
            with scope(_label(layer, position)):  # un dessin pourra replier la couche
                x = layer(x, train=train) if getattr(layer, "has_train", False) else layer(x)
        return x


def _label(layer, position):
    """Le nom d’une couche, que ses paramètres portent en préfixe ; à défaut, son rang."""
    parameters = [p for p in getattr(layer, "parameters", ()) if "." in (p.name or "")]
    if parameters and not isinstance(layer, Chain):
        return parameters[0].name.rpartition(".")[0]
    kind = getattr(layer, "__name__", type(layer).__name__)
    return f"{kind} {position + 1}"


def chain(*layers):
    """Enchaîne des couches et des fonctions : chain(f, g)(x) vaut g(f(x)).

    Paramètres
        layers : couches (objets appelables munis de `parameters`) ou fonctions d’expressions.

    Renvoie
        Une couche, avec `parameters` et `layers`.

    Exemple
        >>> import numpy as np
        >>> from engine import tensor as T
        >>> from engine.nn.layers.dense import Dense, Flatten
        >>> generator = np.random.default_rng(0)
        >>> model = chain(
        ...     Flatten(),
        ...     Dense(6, 4, activation=T.tanh, name="h", generator=generator),
        ...     Dense(4, 3, activation=T.nnet.softmax, name="o", generator=generator),
        ... )
        >>> model.parameters, model(T.zeros((5, 2, 3))).eval().shape
        ([h.W, h.b, o.W, o.b], (5, 3))
    """
    for position, layer in enumerate(layers, start=1):
        if not callable(layer):
            raise EngineError(
                f"chain : l'élément {position} n'est ni une couche ni une fonction",
                expected="des couches et des fonctions d'expressions, séparées par des virgules",
                received=repr(layer),
                hint="T.tanh, non 'tanh' ; d'une liste de couches, chain(*couches)",
            )
    return Chain(layers)
