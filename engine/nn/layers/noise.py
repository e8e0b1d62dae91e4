"""Le bruit que l’on met pour apprendre : `Dropout`."""

from engine import tensor as T
from engine.core.errors import DomainError, DtypeError, EngineError
from engine.tensor.shared_randomstreams import RandomStreams


class Dropout:
    """Pendant l’apprentissage, annule des composantes au hasard ; après, ne fait rien.

    Une composante est gardée avec la probabilité 1 - rate, et divisée par elle : son espérance ne
    change pas. Chaque appel de la fonction compilée tire de nouvelles composantes.

    Paramètres
        rate : probabilité d’annuler, de 0 compris à 1 non compris.
        generator : `numpy.random.default_rng(graine)`, d’où vient la graine des tirages.
        name : préfixe du nom des états.

    Attributs
        states : les états des tirages, un par appel avec `train=True` ; à garder avec les
            paramètres pour reprendre un apprentissage au bit près.

    Lève
        DomainError : `rate` hors de [0, 1[.
        EngineError : `generator` manque.
        DtypeError : x n’est pas flottant, au moment de l’appel.

    Source
        N. Srivastava et coll., « Dropout: A Simple Way to Prevent Neural Networks from
        Overfitting », JMLR, 2014.

    Exemple
        >>> import numpy as np
        >>> layer, x = Dropout(0.5, np.random.default_rng(0)), T.ones((1000,))
        >>> np.unique(layer(x, train=True).eval()), np.unique(layer(x).eval())
        (array([0., 2.]), array([1.]))
    """

    parameters = ()
    has_train = True

    def __init__(self, rate=0.5, generator=None, name=None):
        if not (isinstance(rate, int | float) and 0 <= rate < 1):
            raise DomainError(
                "Dropout : rate est une probabilité d'annuler",
                expected="de 0 compris à 1 non compris",
                received=str(rate),
                hint="0.5 annule la moitié des valeurs ; 0 n'en annule aucune",
            )
        if generator is None:
            raise EngineError(
                "Dropout tire au hasard, et le générateur manque",
                expected="un générateur semé",
                hint="generator=numpy.random.default_rng(0)",
                received="aucun générateur",
            )
        self.rate, self.name = rate, name
        self.stream = RandomStreams(int(generator.integers(2**63)))

    @property
    def states(self):
        """Les états des tirages, dans l’ordre des appels."""
        return [state for state, _ in self.stream.state_updates]

    def __call__(self, x, train=False):
        """Rend l’expression de x, de même forme ; bruitée si `train` est vrai."""
        if not train or self.rate == 0:
            return x
        x = T.as_tensor_variable(x)
        if not x.dtype.startswith("float"):
            raise DtypeError(
                "Dropout : des flottants sont attendus",
                expected="float32 ou float64",
                received=f"{x} : {x.short()}",
            )
        draws = self.stream.uniform(x.shape, ndim=x.ndim, dtype="float32")
        role = f"draws{len(self.states) - 1}"
        draws.rng.name = role if self.name is None else f"{self.name}.{role}"
        kept = draws >= T.constant(self.rate, dtype="float32")
        return x * T.cast(kept, x.dtype) / T.constant(1 - self.rate, dtype=x.dtype)
