"""Les modes de compilation : quelles réécritures, quel dos de calcul.

`FAST_RUN` (tout, Numba s’il est là), `FAST_COMPILE` (le minimum, NumPy), ou `Mode(...)`.
"""

from engine.backends.registry import is_available
from engine.errors import ModeError
from engine.rewriting.core import STAGES
from engine.settings import config

LINKERS = ("numba", "numpy", "py")
_OPTIMIZERS = {
    "fast_run": set(STAGES),
    "fast_compile": {"canonicalize"},
    "None": set(),
}


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

    def __init__(self, linker=None, optimizer="fast_run", include=(), exclude=()):
        optimizer = str(optimizer)
        best = "numba" if is_available("numba") else "numpy"
        linker = {None: best, "py": "numpy"}.get(linker, linker)
        if linker not in LINKERS or optimizer not in _OPTIMIZERS:
            raise ModeError(
                "mode inconnu",
                expected=f"linker : {', '.join(LINKERS)} ; optimizer : {', '.join(_OPTIMIZERS)}",
                received=f"linker={linker!r}, optimizer={optimizer!r}",
            )
        self.linker = linker
        self.optimizer = optimizer
        self.include = frozenset(include)
        self.exclude = frozenset(exclude)

    @property
    def backends(self):
        """Les dos de calcul à essayer, dans l’ordre, avant `perform`."""
        return ("numba", "numpy") if self.linker == "numba" else ("numpy",)

    def including(self, *tags):
        """Le même mode, avec ces règles ou ces étapes en plus."""
        return Mode(self.linker, self.optimizer, self.include | set(tags), self.exclude - set(tags))

    def excluding(self, *tags):
        """Le même mode, sans ces règles ou ces étapes."""
        return Mode(self.linker, self.optimizer, self.include - set(tags), self.exclude | set(tags))

    def selects(self, rule):
        """Dit si la règle s’applique dans ce mode."""
        tags = {rule.name, rule.stage}
        if tags & self.exclude:
            return False
        return bool(tags & self.include) or rule.stage in _OPTIMIZERS[self.optimizer]

    def __repr__(self):
        without = f", sans {', '.join(sorted(self.exclude))}" if self.exclude else ""
        added = f", avec {', '.join(sorted(self.include))}" if self.include else ""
        return f"Mode({self.linker}, {self.optimizer}{added}{without})"


def get_mode(mode):
    """Rend un `Mode` : celui donné, celui de ce nom, ou celui du réglage `mode`.

    Lève
        ModeError : nom inconnu.
    """
    mode = config.mode if mode is None else mode
    if isinstance(mode, Mode):
        return mode
    builders = {
        "FAST_RUN": Mode,
        "FAST_COMPILE": lambda: Mode("numpy", "fast_compile"),
    }
    if mode not in builders:
        raise ModeError(
            f"mode inconnu : {mode}",
            expected=", ".join(builders) + ", ou un Mode(linker=..., optimizer=...)",
            received=repr(mode),
            hint="mode='FAST_RUN' convient presque toujours",
        )
    return builders[mode]()
