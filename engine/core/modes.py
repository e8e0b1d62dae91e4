"""Les modes de compilation : quelles réécritures, quel dos de calcul, qui surveille.

`FAST_RUN` (tout, Numba s’il est là), `FAST_COMPILE` (le minimum, NumPy), ou `Mode(...)`. Un
`Watcher` regarde une fonction se compiler et tourner (profil, garde, vérification) ; sans lui, le
programme émis n’en porte aucune trace : il ne coûte rien.
"""

import copy
import warnings

from engine.core.errors import ModeError
from engine.core.registry import PLACES, is_available, load
from engine.core.rewriting import STAGES
from engine.core.settings import config

_told = []  # que Numba manque a été dit
LINKERS = ("numba", "numpy", "py", "cuda")
THEANO_LINKERS = ("c", "c|py", "cvm", "cvm_nogc", "vm", "vm_nogc")  # valent « le meilleur présent »
_OPTIMIZERS = {
    "fast_run": set(STAGES),
    "fast_compile": {"canonicalize"},
    "None": set(),
}


def _best_linker():
    """Numba s’il se charge ; sinon NumPy, et l’utilisateur l’apprend, une fois."""
    if is_available("numba"):
        return "numba"
    if _told or "numba" not in PLACES:  # le cœur seul : la référence
        return "numpy"
    _told.append(True)
    warnings.warn(
        "Numba ne se charge pas : tout se calcule par NumPy, juste mais plus lent "
        "(pour l’installer : pip install numba)",
        stacklevel=5,  # la ligne de l’utilisateur, qui a appelé engine.function
    )
    return "numpy"


class Watcher:
    """Ce qui surveille une fonction : créé avec son graphe, avant toute réécriture.

    Paramètres
        fgraph : le graphe à réécrire ; poser `fgraph.on_replace` montre chaque remplacement.
        name : le nom de la fonction.

    `looks_inside` : surveiller aussi chaque nœud d’une boucle, alors faite en Python.
    `is_profile` : c’est lui que `f.profile` montre.
    """

    looks_inside = True
    is_profile = False

    def __init__(self, fgraph, name):
        self.fgraph = fgraph
        self.name = name

    def wrap(self, node, call):
        """Rend la fonction des tableaux qui remplace `call` pour calculer `node`."""
        return call

    def wrap_call(self, program):
        """Rend la fonction qui remplace le programme entier."""
        return program


class Mode:
    """Un mode : le dos de calcul (`linker`) et les étapes de réécriture (`optimizer`).

    Paramètres
        linker : "numba", "numpy" (alias "py") ; None, le meilleur présent.
        optimizer : "fast_run", "fast_compile" ou None (aucune réécriture).

    Lève
        ModeError : nom inconnu.

    Exemple
        >>> Mode("numpy").excluding("fusion")
        Mode(numpy, fast_run, sans fusion)
    """

    def __init__(self, linker=None, optimizer="fast_run", include=(), exclude=(), watch=()):
        optimizer = str(optimizer)
        if linker in (None, *THEANO_LINKERS):
            linker = _best_linker() if config.device == "cpu" else "cuda"
        linker = "numpy" if linker == "py" else linker
        if linker not in LINKERS or optimizer not in _OPTIMIZERS:
            raise ModeError(
                "mode inconnu",
                expected=f"linker : {', '.join(LINKERS)} ; optimizer : {', '.join(_OPTIMIZERS)}",
                received=f"linker={linker!r}, optimizer={optimizer!r}",
                hint="Mode('numba') est le plus rapide, Mode('numpy') le plus simple",
            )
        if linker != "numpy" and not is_available(linker):
            raise ModeError(
                f"le dos de calcul {linker} ne se charge pas sur cette machine",
                hint="pip install numba ; ou, plus lent, mode=Mode('numpy')",
            )
        self.linker = linker
        self.optimizer = optimizer
        self.include = frozenset(include)
        self.exclude = frozenset(exclude)
        self.watch = tuple(watch)

    @property
    def backends(self):
        """Les dos de calcul à essayer, dans l’ordre, avant `perform`."""
        if self.linker == "numpy":  # et rien de Numba ne se charge
            return ("numpy",)
        host = ("numba", "numpy") if is_available("numba") else ("numpy",)
        return ("cuda", *host) if self.linker == "cuda" else host

    def including(self, *tags):
        """Le même mode, avec ces règles ou ces étapes en plus."""
        return self._with(include=self.include | set(tags), exclude=self.exclude - set(tags))

    def excluding(self, *tags):
        """Le même mode, sans ces règles ou ces étapes."""
        return self._with(include=self.include - set(tags), exclude=self.exclude | set(tags))

    def watching(self, *factories):
        """Le même mode, avec ces fabriques de `Watcher` en plus."""
        return self._with(watch=(*self.watch, *factories))

    def _with(self, **changes):
        mode = copy.copy(self)
        vars(mode).update(changes)
        return mode

    def selects(self, rule):
        """Dit si la règle s’applique dans ce mode."""
        tags = {rule.name, rule.stage}
        if tags & self.exclude:
            return False
        return bool(tags & self.include) or rule.stage in _OPTIMIZERS[self.optimizer]

    def __repr__(self):
        without = f", sans {', '.join(sorted(self.exclude))}" if self.exclude else ""
        added = f", avec {', '.join(sorted(self.include))}" if self.include else ""
        return f"{type(self).__name__}({self.linker}, {self.optimizer}{added}{without})"


# nom -> ce qui construit le mode ; engine.look.debug y ajoute le sien
MODES = {
    "FAST_RUN": Mode,
    "FAST_COMPILE": lambda: Mode("numpy", "fast_compile"),
}


WATCHERS = {}  # nom -> fabrique de `Watcher` ; `engine.look.profiling` y met le sien


def watcher_named(name):
    """La fabrique de `Watcher` de ce nom."""
    load("look")
    return WATCHERS[name]


def get_mode(mode):
    """Rend un `Mode` : celui donné, celui de ce nom, ou celui du réglage `mode`.

    Lève
        ModeError : nom inconnu.
    """
    mode = config.mode if mode is None else mode
    if isinstance(mode, Mode):
        return mode
    if isinstance(mode, str) and mode not in MODES:
        load("look")
    if not isinstance(mode, str) or mode not in MODES:
        raise ModeError(
            f"mode inconnu : {mode}",
            expected=", ".join(MODES) + ", ou un Mode(linker=..., optimizer=...)",
            received=repr(mode),
            hint="mode='FAST_RUN' convient presque toujours",
        )
    return MODES[mode]()
