"""La couture entre les vérifications et le code de l’élève.

Une vérification ne touche l’élève que par un `Learner` :

- `learner.derivee(0.5)` appelle la fonction `derivee` de l’élève et rend une copie du résultat ;
- `learner.value("taux")` rend une copie d’une valeur ;
- `learner.run(Shipped("module:sonde"), Own("cout"), ...)` fait exécuter, *chez l’élève*, une sonde
  livrée avec le cours : c’est ainsi qu’une expression symbolique devient des nombres.

Les arguments sont des données simples (voir `wire`), ou l’une des deux références : `Shipped`, une
fonction livrée, nommée par « module:nom » ; `Own`, une fonction de l’élève. Rien d’autre ne
traverse : `LocalLearner` (le carnet ouvert) et un mandataire vers un autre processus se
remplacent donc l’un l’autre. Un tel mandataire n’a qu’à écrire `_perform` et `_read`.

Ce qui peut arriver : `Missing` (nom absent), `Blank` (réponse encore vide, c’est-à-dire None),
`Raised` (le code de l’élève a échoué), `Interrupted`, `NotPlain` (valeur qui ne se recopie pas).
"""

import importlib
import traceback
from abc import ABC, abstractmethod
from dataclasses import dataclass

from course.grading.wire import NotPlain, plain


@dataclass(frozen=True)
class Shipped:
    """Une fonction livrée avec le cours, « module:nom », résolue dans le processus de l’élève."""

    path: str

    def __str__(self):
        return self.path.rpartition(":")[2]


@dataclass(frozen=True)
class Own:
    """Une fonction de l’élève, passée en argument à une sonde."""

    name: str

    def __str__(self):
        return self.name


class Missing(Exception):
    """L’élève n’a pas (encore) défini ce nom."""


class Blank(Exception):
    """La réponse est encore vide : None est revenu."""


class Interrupted(Exception):
    """Le calcul ne rendait pas la main et a été interrompu."""


class Raised(Exception):
    """Le code de l’élève a levé une exception : son type, son texte, sa ligne."""

    def __init__(self, kind, text, where=""):
        super().__init__(kind, text, where)
        self.kind, self.text, self.where = kind, text, where


class Learner(ABC):
    """Le protocole ; `last_call` garde le texte du dernier appel, pour les messages."""

    def __init__(self):
        self.last_call = ""

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args: self.run(Own(name), *args)

    def run(self, target, *args, shown=None):
        """Appelle `target` (Own ou Shipped) chez l’élève et rend une copie simple du résultat.

        `shown` remplace le texte de l’appel dans les messages.
        """
        self.last_call = shown or _describe(target, args)
        result = plain(self._perform(target, [_sendable(arg) for arg in args]))
        if result is None:
            raise Blank
        return result

    def value(self, name):
        """Une copie simple de la valeur que l’élève a nommée `name`."""
        self.last_call = name
        result = plain(self._read(name))
        if result is None:
            raise Blank
        return result

    @abstractmethod
    def _perform(self, target, args):
        """Appelle `target` avec `args` chez l’élève et rend ce qui en revient."""

    @abstractmethod
    def _read(self, name):
        """Rend la valeur que l’élève a nommée `name`."""


class LocalLearner(Learner):
    """L’élève est ici : son espace de noms est celui du carnet ouvert."""

    def __init__(self, namespace):
        super().__init__()
        self._namespace = namespace

    def _perform(self, target, args):
        function = self._resolve(target)
        try:
            return function(*(self._resolve(arg) for arg in args))
        except KeyboardInterrupt:
            raise Interrupted from None
        except (Missing, Blank, NotPlain):
            raise
        except BaseException as error:  # exit() et les récursions sans fin comprises
            where = self._line(error)
            raise Raised(type(error).__name__, str(error), where) from None

    def _read(self, name):
        if name not in self._namespace:
            raise Missing(name)
        return self._namespace[name]

    def _resolve(self, thing):
        if isinstance(thing, Shipped):
            module, _, name = thing.path.partition(":")
            return getattr(importlib.import_module(module), name)
        if isinstance(thing, Own):
            function = self._read(thing.name)
            if not callable(function):
                raise Missing(thing.name)
            return function
        return thing

    def _line(self, error):
        """La dernière ligne de l’élève dans la trace (« ligne 3, dans derivee »), ou rien."""
        frames = traceback.walk_tb(error.__traceback__)
        mine = [(line, f.f_code.co_name) for f, line in frames if f.f_globals is self._namespace]
        return f"ligne {mine[-1][0]}, dans `{mine[-1][1]}`" if mine else ""


def _sendable(arg):
    return arg if isinstance(arg, (Shipped, Own)) else plain(arg)


def _describe(target, args):
    if isinstance(target, Shipped) and args and isinstance(args[0], Own):
        target, args = args[0], args[1:]  # une sonde se montre comme l’appel de l’élève
    inside = ", ".join(str(a) if isinstance(a, (Shipped, Own)) else repr(plain(a)) for a in args)
    return f"{target}({inside})"
