"""Les mises à jour : un dictionnaire variable partagée -> nouvelle valeur, dans l’ordre d’ajout.

`scan` en rend un ; `function(updates=...)` en prend un, comme une liste de paires.
"""

from collections import OrderedDict

from engine.core.errors import UpdateError
from engine.core.sharedvalue import SharedVariable


class OrderedUpdates(OrderedDict):
    """Un dictionnaire dont les clefs sont des variables partagées ; `+` en réunit deux.

    Paramètres
        updates : dictionnaire ou paires (variable partagée, nouvelle valeur).

    Lève
        UpdateError : une clef n’est pas une variable partagée, ou deux dictionnaires réunis
            donnent deux valeurs à la même.

    Source
        `theano.updates.OrderedUpdates`.

    Exemple
        >>> from engine import shared
        >>> total, count = shared(0.0, name="total"), shared(0, name="count")
        >>> OrderedUpdates([(total, total + 2.0)]) + {count: count + 1}
        OrderedUpdates({total: add, count: add})
    """

    def __setitem__(self, target, value):
        if not isinstance(target, SharedVariable):
            raise UpdateError(
                "on ne met à jour que des variables partagées",
                expected="des paires (variable partagée, expression)",
                received=f"{target} : {type(target).__name__}",
            )
        super().__setitem__(target, value)

    def __add__(self, other):
        merged = OrderedUpdates(self)
        for target, value in dict(other).items():
            if target in merged and merged[target] is not value:
                raise UpdateError(
                    f"deux mises à jour pour la même variable {target}",
                    expected="une seule",
                    received=f"{merged[target]} et {value}",
                )
            merged[target] = value
        return merged

    def __radd__(self, other):
        return OrderedUpdates(other) + self

    def __repr__(self):
        rows = ", ".join(f"{target}: {value}" for target, value in self.items())
        return f"OrderedUpdates({{{rows}}})"
