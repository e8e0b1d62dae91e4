"""Chaînage : un moteur de graphes de calcul dont le cœur se lit en un week-end.

    >>> import engine
    >>> import engine.tensor as T
    >>> x = T.dscalar("x")
    >>> f = engine.function([x], engine.grad(T.exp(T.sin(x**2)), x))
    >>> round(float(f(0.5)), 6)
    1.240883

Le cœur est `engine.core` ; sa docstring dit dans quel ordre le lire. Ici, chaque nom vient au
premier usage : `import engine` ne coûte presque rien.
"""

import importlib

NAMES = {
    "core.compiler": "Function function",
    "core.request": "In Out",
    "core.gradient": "Lop Rop grad",
    "core.graph": "Apply Constant Op Type Variable",
    "core.modes": "Mode",
    "core.settings": "config",
    "core.sharedvalue": "SharedVariable shared",
    "core.types": "as_tensor_variable",
    "loops.updates": "OrderedUpdates",
    "loops.building": "scan",
    "loops.folds": "foldl foldr map reduce",
    "tensor.cloning": "clone",
    "look.debug": "DebugMode NanGuardMode",
    "look.printing": "debugprint pp",
    "ops.from_python": "as_op",
}
MODULES = {"ifelse": "loops.branches", "scan_module": "loops.building", "d3viz": "look.d3viz",
           "sharedvalue": "core.sharedvalue"}  # fmt: skip
_PLACES = {name: place for place, names in NAMES.items() for name in names.split()}
__all__ = list(_PLACES)


def __getattr__(name):
    if name in _PLACES:
        importlib.import_module("engine.tensor")  # les méthodes des variables
        found = getattr(importlib.import_module(f"engine.{_PLACES[name]}"), name)
    else:
        try:
            found = importlib.import_module(f"engine.{MODULES.get(name, name)}")
        except ModuleNotFoundError as error:
            if error.name != f"engine.{name}":
                raise
            raise AttributeError(f"module 'engine' has no attribute {name!r}") from None
    globals()[name] = found
    return found


def __dir__():
    return sorted({*globals(), *_PLACES})
