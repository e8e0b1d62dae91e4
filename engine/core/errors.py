"""Les erreurs du moteur : toutes disent l’opération, l’attendu, le reçu, l’endroit et quoi essayer.

Chaque classe hérite aussi de l’exception Python qu’un habitué attendrait (`ValueError`,
`TypeError`...), si bien qu’un `except ValueError` écrit pour NumPy continue de servir.

Ordre de lecture : `EngineError`, puis le tableau des classes.
"""

from engine.core.typeset import typeset


class EngineError(Exception):
    """Erreur du moteur, en cinq champs lisibles par un programme comme par une personne.

    Paramètres
        summary : une phrase, ce qui n’a pas marché.
        expected, received : ce qu’il fallait, ce qui est venu.
        where : l’endroit (nœud, fichier, cellule et ligne).
        hint : quoi essayer.

    Exemple
        >>> print(EngineError("dot : formes incompatibles", expected="x.shape[1] == y.shape[0]"))
        dot : formes incompatibles
          Attendu : x.shape[1] == y.shape[0]
    """

    def __init__(self, summary, *, expected=None, received=None, where=None, hint=None):
        super().__init__(summary)
        self.summary = summary
        self.expected = expected
        self.received = received
        self.where = where
        self.hint = hint

    def __str__(self):
        rows = [
            ("Attendu", self.expected),
            ("Reçu", self.received),
            ("Où", self.where),
            ("À essayer", self.hint),
        ]
        lines = [str(self.summary)]
        lines += [f"  {title} : {_indent(text)}" for title, text in rows if text]
        return typeset("\n".join(lines))


def _indent(text):
    return str(text).replace("\n", "\n    ")


class ShapeError(EngineError, ValueError):
    """Des formes (shapes) ne vont pas ensemble."""


class DtypeError(EngineError, TypeError):
    """Un type d’éléments (dtype) n’est pas celui qu’il faut."""


class DomainError(EngineError, ValueError):
    """Une valeur sort du domaine permis (probabilité négative, bornes inversées...)."""


class MatrixError(EngineError, ValueError):
    """Une matrice n’a pas la propriété que le calcul demande (inversible, définie positive...)."""


class InputError(EngineError, TypeError):
    """Les arguments d’une fonction compilée ne conviennent pas (nombre, nom, valeur)."""


class MissingInputError(EngineError, ValueError):
    """Le graphe dépend d’une variable que personne ne fournit."""


class UnusedInputError(EngineError, ValueError):
    """Une entrée déclarée ne sert à aucune sortie."""


class UpdateError(EngineError, TypeError):
    """Une mise à jour n’a pas le type de sa variable partagée."""


class GradientError(EngineError, ValueError):
    """Le gradient demandé n’a pas de sens (coût non scalaire, opération sans dérivée...)."""


class DisconnectedInputError(GradientError):
    """Le coût ne dépend pas de la variable par rapport à laquelle on dérive."""


class ModeError(EngineError, ValueError):
    """Mode de compilation inconnu."""


class ConfigError(EngineError, ValueError):
    """Réglage inconnu ou valeur refusée."""


class DataError(EngineError, OSError):
    """Fichier de données absent, abîmé ou illisible."""


class RuntimeNodeError(EngineError, RuntimeError):
    """Un nœud du graphe a échoué pendant l’exécution."""


class BadValueError(EngineError, FloatingPointError):
    """Un nœud a rendu un NaN, un infini ou un nombre démesuré (`NanGuardMode`)."""


class DebugModeError(EngineError, AssertionError):
    """Ce que `DebugMode` trouve ; les classes qui suivent portent les noms de celles de Theano."""


class BadOptimization(DebugModeError):
    """Une réécriture change la valeur, ou rompt le graphe."""


class BadThunkOutput(DebugModeError):
    """Un noyau ne rend pas la valeur de la référence."""


class InvalidValueError(DebugModeError):
    """`perform` rend autre chose qu’un tableau du dtype et des axes annoncés."""


class BadViewMap(DebugModeError):
    """Une sortie occupe la mémoire d’un autre sans que `view_map` le dise."""


class BadDestroyMap(DebugModeError):
    """Une entrée a été écrasée sans que `destroy_map` le dise."""


class MissingTestValueError(EngineError, AttributeError):
    """Une variable n’a pas de `tag.test_value`, et `compute_test_value` vaut "raise"."""
