"""Les jumeaux, pour le simulateur, de ce que `intrinsics` donne au compilateur.

Les tableaux y sont ceux de NumPy ; chaque fil d’un bloc est un fil de Python.

Ordre de lecture : `simulated_functions`, `shuffle_xor`.
"""

import threading

import numpy as np

from engine.errors import ShapeError

WARP = 4  # fils d’un warp simulé : chacun est un fil de Python, 32 seraient lents
_PATIENCE = 20  # secondes : un fil du warp qui n’appelle pas est une faute du noyau
_opening = threading.Lock()


def load4(a, i):
    """Quatre éléments voisins ; `i` est un multiple de 4, comme l’exige le GPU."""
    _aligned(i)
    return a[i], a[i + 1], a[i + 2], a[i + 3]


def store4(a, i, u, v, w, x):
    """Les écrit."""
    _aligned(i)
    a[i], a[i + 1], a[i + 2], a[i + 3] = u, v, w, x


def pointer(shared):
    """Le tableau lui-même : ses indices sont contrôlés."""
    return shared


def _aligned(i):
    if i % 4:
        raise ShapeError("accès à quatre éléments non aligné", expected="un multiple de 4",
                         received=str(i))  # fmt: skip


def shuffle_xor(x, d):
    """La valeur que tient le fil de rang t ^ d du même warp ; tous ses fils doivent appeler."""
    thread = threading.current_thread()
    warp, lane = divmod(thread.thread_id, WARP)
    with _opening:  # `_manager` est le bloc ; un warp y range ce que ses fils se montrent
        warps = vars(thread._manager).setdefault("warps", {})
        barrier, held = warps.setdefault(warp, (threading.Barrier(WARP), [None] * WARP))
    held[lane] = x
    barrier.wait(_PATIENCE)
    found = held[lane ^ d]
    barrier.wait(_PATIENCE)
    return found


def simulated_functions():
    """Les fonctions, par nom."""
    return {
        "load4": load4, "store4": store4, "pointer": pointer, "shuffle_xor": shuffle_xor,
        "from_half": np.float32, "to_half": np.float16,
        "from_brain": np.float32, "to_brain": np.float32,
    }  # fmt: skip
