"""La normalisation par lot, et les moyennes glissantes qu’elle demande.

Ordre de lecture : `BatchNormalization`, `running_updates`.
"""

from collections import OrderedDict
from functools import partial

from engine import tensor as T
from engine.core.errors import UpdateError
from engine.core.graph import ancestors
from engine.nn.initializers import constant
from engine.nn.layers.parameters import make_parameter


class BatchNormalization:
    """Centre et réduit chaque canal, puis le met à l’échelle : gamma (x - m) / √(v + ε) + beta.

    Pendant l’apprentissage, m et v sont la moyenne et la variance du lot ; après, leurs moyennes
    glissantes, que `running_updates` met à jour.

    Paramètres
        n : nombre de canaux (images) ou de composantes (vecteurs), l’axe 1.
        epsilon : nombre positif ajouté à la variance.
        running_average_factor : part du dernier lot dans les moyennes glissantes.
        name : préfixe du nom des paramètres.

    Attributs
        gamma, beta : les paramètres appris, forme (n,) ; au départ 1 et 0.
        mean, var : les moyennes glissantes, forme (n,), réunies par `states` ; à garder avec
            les paramètres quand on enregistre un modèle.

    Lève
        EngineError : epsilon n’est pas positif, au moment de l’appel.

    Source
        Ioffe et Szegedy, « Batch Normalization: Accelerating Deep Network Training by Reducing
        Internal Covariate Shift », ICML, 2015.

    Exemple
        >>> layer = BatchNormalization(2, name="n")
        >>> layer([[1.0, 5.0], [3.0, 5.0]], train=True).eval().round(2)
        array([[-1.,  0.],
               [ 1.,  0.]])
        >>> layer.parameters, layer.states
        ([n.gamma, n.beta], [n.mean, n.var])
    """

    has_train = True

    def __init__(self, n, epsilon=1e-4, running_average_factor=0.1, name=None):
        self.epsilon, self.running_average_factor = epsilon, running_average_factor
        one = partial(constant, value=1.0)
        roles = {"gamma": one, "beta": constant, "mean": constant, "var": one}
        self.gamma, self.beta, self.mean, self.var = (
            make_parameter(start((n,)), (n,), role, name) for role, start in roles.items()
        )

    @property
    def parameters(self):
        """[gamma, beta]."""
        return [self.gamma, self.beta]

    @property
    def states(self):
        """[mean, var], que la descente de gradient ne change pas."""
        return [self.mean, self.var]

    def __call__(self, x, train=False):
        """Rend l’expression de x, de même forme (lot, n, ...)."""
        options = ("spatial", self.epsilon)
        if not train:
            return T.nnet.batch_normalization_test(
                x, self.gamma, self.beta, self.mean, self.var, *options
            )
        out, _, _, mean, var = T.nnet.batch_normalization_train(
            x, self.gamma, self.beta, *options, self.running_average_factor, self.mean, self.var
        )
        out.tag.running_updates = [(self.mean, mean), (self.var, var)]
        return out


def running_updates(*expressions):
    """Les mises à jour des moyennes glissantes dont des expressions dépendent.

    Paramètres
        expressions : le coût de l’apprentissage, fait de `layer(x, train=True)`.

    Renvoie
        `OrderedDict` moyenne -> nouvelle valeur, à joindre à celles de l’optimiseur :
        `sgd(cost, parameters, 0.1) | running_updates(cost)`.

    Lève
        UpdateError : une couche est appelée deux fois en apprentissage, sur deux lots : il y a
            deux nouvelles moyennes.

    Exemple
        >>> layer = BatchNormalization(1, name="n", running_average_factor=0.5)
        >>> cost = layer([[2.0], [4.0]], train=True).sum()
        >>> [float(value.eval()[0]) for value in running_updates(cost).values()]
        [1.5, 1.5]
    """
    updates = OrderedDict()
    for variable in ancestors(expressions):
        for average, value in getattr(variable.tag, "running_updates", ()):
            if average in updates:
                raise UpdateError(
                    f"{average} recevrait deux nouvelles valeurs",
                    expected="un seul appel avec train=True par couche de normalisation",
                    hint="réunissez les deux lots avec T.concatenate, ou faites deux couches",
                    received="deux appels avec train=True",
                )
            updates[average] = value
    return updates
