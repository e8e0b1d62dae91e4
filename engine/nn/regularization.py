"""Pénaliser la taille des paramètres : une expression à ajouter au coût.

cost = losses.categorical_crossentropy(p, y).mean() + 1e-4 * l2([W])
"""


def l1(parameters):
    """La somme des valeurs absolues : Σ abs(w), qui pousse des poids jusqu’à zéro.

    Paramètres
        parameters : liste de variables flottantes, d’ordinaire les poids sans les biais.

    Renvoie
        Un scalaire symbolique.

    Source : Tibshirani, « Regression shrinkage and selection via the lasso », 1996.

    Exemple
        >>> from engine import tensor as T
        >>> float(l1([T.constant([1.0, -2.0]), T.constant([[3.0]])]).eval())
        6.0
    """
    return sum(abs(parameter).sum() for parameter in parameters)


def l2(parameters):
    """La somme des carrés : Σ w² (sans le facteur 1/2, son gradient est 2 w).

    Paramètres
        parameters : liste de variables flottantes, d’ordinaire les poids sans les biais.

    Renvoie
        Un scalaire symbolique.

    Source : Krogh et Hertz, « A simple weight decay can improve generalization », NIPS, 1991.

    Exemple
        >>> from engine import tensor as T
        >>> float(l2([T.constant([1.0, -2.0]), T.constant([[3.0]])]).eval())
        14.0
    """
    return sum((parameter**2).sum() for parameter in parameters)
