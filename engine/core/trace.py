"""D’où vient un nœud : la cellule et la ligne qui l’ont créé.

Chaque nœud garde une `Trace`. Une réécriture ou un gradient crée ses nœuds sous `inherit(trace)` :
ils portent la trace du nœud qu’ils remplacent ou dérivent, si bien qu’une erreur désigne toujours
une ligne écrite par l’utilisateur. Ces blocs ne valent que pour le fil (ou la tâche) qui y entre.

Ordre de lecture : `Trace`, `capture`, `inherit`.
"""

import contextlib
import linecache
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from engine.core.settings import config

_PASSED = [str(Path(__file__).parents[1])]
_inherited = ContextVar("la trace que prennent les nœuds de ce bloc", default=None)
_scope = ContextVar("la couche que l’on construit", default="")


class Frame(NamedTuple):
    """Un appel de la pile : fichier, ligne (à partir de 1), fonction."""

    filename: str
    line: int
    function: str

    def __str__(self):
        place, shown = self.filename, Path(self.filename).name
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        described = shell.compile.format_code_name(place) if shell is not None else None
        if described is not None:
            number = described[1].removeprefix("In[").removesuffix("]")
            shown = f"cellule {number}"
        source = linecache.getline(place, self.line).strip()
        inside = "" if self.function == "<module>" else f", dans {self.function}"
        return f"{shown}, ligne {self.line}{inside}" + (f" : `{source}`" if source else "")


class Trace(NamedTuple):
    """Les appels (le plus proche d’abord) qui ont créé un nœud, à quel titre (`note`), dans quelle
    couche (`scope`).
    """

    frames: tuple
    note: str = ""
    scope: str = ""

    def __str__(self):
        if not self.frames:
            return "endroit inconnu"
        note = f" ({self.note})" if self.note else ""
        return f"{self.frames[0]}{note}" + "".join(
            f"\nappelé par {frame}" for frame in self.frames[1:]
        )


def capture():
    """Rend la `Trace` de l’appelant : celle du bloc `inherit` en cours, sinon la pile hors du
    moteur.
    """
    inherited = _inherited.get()
    if inherited is not None:
        return inherited
    frame, frames, passed = sys._getframe(2), [], tuple(_PASSED)
    while frame is not None and len(frames) < config.trace_depth:
        code = frame.f_code
        if not code.co_filename.startswith(passed):
            frames.append(Frame(code.co_filename, frame.f_lineno, code.co_name))
            if code.co_name == "<module>":  # au-delà : la machinerie du notebook ou de pytest
                break
        frame = frame.f_back
    return Trace(tuple(frames), scope=_scope.get())


def pass_over(folder):
    """Les lignes du dossier `folder` ne sont pas à l’utilisateur : une trace les passe."""
    _PASSED.append(str(folder))


class inherit:
    """Dans ce bloc, tout nœud créé porte `trace` (et la note, si la trace n’en a pas déjà une)."""

    __slots__ = ("token", "trace")

    def __init__(self, trace, note=""):
        self.trace = trace._replace(note=note) if note and not trace.note else trace

    def __enter__(self):
        self.token = _inherited.set(self.trace)

    def __exit__(self, *error):
        _inherited.reset(self.token)


@contextlib.contextmanager
def scope(name):
    """Dans ce bloc, tout nœud créé appartient à `name` (une couche) : un dessin peut le replier.

    Paramètres
        name : le nom de la couche ; dans un autre bloc `scope`, il s’écrit à la suite du sien.

    Exemple
        >>> from engine import tensor as T
        >>> x = T.dscalar("x")
        >>> with scope("couche 1"):
        ...     y = T.tanh(2 * x)
        >>> y.owner.trace.scope
        'couche 1'
    """
    outer = _scope.get()
    token = _scope.set(f"{outer}/{name}" if outer else f"{name}")
    try:
        yield
    finally:
        _scope.reset(token)
