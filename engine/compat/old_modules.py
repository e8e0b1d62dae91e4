"""Rendre `import theano` possible : `install`.

Ordre de lecture : `OldModule`, `Finder`, `install`.
"""

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import types

from engine.compat.old_config import read_flags
from engine.compat.table import ABSENT, MODULES, NAMES
from engine.core.compiler import Function
from engine.core.errors import EngineError
from engine.tensor.math import ELEMENTWISE
from engine.tensor.numpy_calls import OPERATORS, UFUNCS

# `np.exp(x)` bâtit le graphe, comme avec Theano ; sans l’alias, l’erreur dit d’écrire `T.exp(x)`
NUMPY_CALLS = {u: ELEMENTWISE[row.name] for u, row in UFUNCS.items() if u not in OPERATORS}


class OldModule(types.ModuleType):
    """Un ancien module : chaque nom y est cherché dans les tables, quand on le demande."""

    def __getattr__(self, name):
        full = f"{self.__name__}.{name}"
        found = _ours(self.__name__, name)
        if full in MODULES and not callable(found):
            return importlib.import_module(full)
        if found is None:
            raise AttributeError(_missing(full))
        return found

    def __setattr__(self, name, value):
        """Une fonction (`tensor.var`, `tensor.sort`) l’emporte sur le sous-module homonyme, que
        `import` range ici.
        """
        if not (isinstance(value, OldModule) and callable(_ours(self.__name__, name))):
            super().__setattr__(name, value)

    def __dir__(self):
        names = {name for place in MODULES[self.__name__] for name in _names_of(place)}
        for full in (*NAMES, *MODULES):
            parent, _, name = full.rpartition(".")
            names |= {name} if parent == self.__name__ else set()
        return sorted(names)


def _ours(module, name):
    """Ce que les tables donnent à `name` dans un ancien module, ou None."""
    full = f"{module}.{name}"
    if full in NAMES:
        return _find(NAMES[full])
    for place in MODULES[module]:
        with contextlib.suppress(ImportError):
            found = getattr(importlib.import_module(place), name, None)
            if found is not None:
                return found
    return None


def _names_of(place):
    try:
        return [name for name in dir(importlib.import_module(place)) if not name.startswith("_")]
    except ImportError:
        return []


def _find(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _missing(full):
    """Le message de ce qui n’existe pas ici, avec sa raison si on la connaît."""
    why = next((why for start, why in ABSENT.items() if full.startswith(start)), None)
    error = EngineError(
        f"{full} n'existe pas ici",
        hint=why or "voyez les noms avec dir(theano), dir(theano.tensor)",
    )
    return str(error)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Ce qui rend `import theano...` possible."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "theano" and not fullname.startswith("theano."):
            return None
        if fullname not in MODULES:
            raise ModuleNotFoundError(_missing(fullname), name=fullname)
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec):
        return OldModule(spec.name, f"Ce que ce moteur répond sous le nom de {spec.name}.")

    def exec_module(self, module):
        pass


FINDER = Finder()


def install():
    """Fait que `import theano`, et tout ce qui est dessous, trouve ce moteur.

    Les réglages de la variable d’environnement `THEANO_FLAGS` sont lus.

    Exemple
        >>> install()
        >>> import theano
        >>> x = theano.tensor.dscalar("x")
        >>> theano.function([x], theano.tensor.sqr(x))(3.0)
        array(9.)
        >>> uninstall()
    """
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)
        Function.maker = property(lambda self: self)  # f.maker.fgraph
        OPERATORS.update(NUMPY_CALLS)
        read_flags(os.environ.get("THEANO_FLAGS", ""))


def uninstall():
    """Défait `install`."""
    if FINDER in sys.meta_path:
        sys.meta_path.remove(FINDER)
        del Function.maker
        for ufunc in NUMPY_CALLS:
            del OPERATORS[ufunc]
    for name in [name for name in sys.modules if name.split(".")[0] == "theano"]:
        del sys.modules[name]
