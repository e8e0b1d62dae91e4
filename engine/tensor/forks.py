"""Un `fork` pendant qu’un autre fil compile, ou tient un tour.

Ordre de lecture : `FORK_LOCKS`, `free_all`.
"""

import os

from engine.core.registry import loading
from engine.core.turns import TURNS

# Un fork attend que ces verrous se rendent : l’enfant ne finirait ni l’import ni la compilation
# qu’un autre fil a commencés. Un dos de calcul qui se charge ajoute les siens.
FORK_LOCKS = [loading]
_held = []


def _hold():
    for lock in FORK_LOCKS:  # le premier tenu, la liste ne change plus
        lock.__enter__()
        _held.append(lock)


def _release():
    while _held:
        _held.pop().__exit__(None, None, None)


def free_all():
    """Dans le processus né d’un `fork`, les fils qui tenaient un tour n’existent plus."""
    for turn in TURNS:
        turn.free = True


def _released_in_child():
    _release()
    free_all()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_released_in_child)
