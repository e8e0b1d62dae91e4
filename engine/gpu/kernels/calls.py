"""Parler au pilote du GPU : chaque appel est vérifié, chaque refus devient une erreur en français.

Ordre de lecture : `checked`, `DeviceError`, `DeviceMemoryError`.
"""

from engine.core.errors import EngineError

try:
    from cuda.bindings import driver as api
except ImportError:  # pas de GPU ici : `machines` ne choisira pas la machine qui s’en sert
    api = None

drains = []  # ce qu’on appelle quand la mémoire manque : reprendre ce qui a été prêté puis rendu


class DeviceError(EngineError, RuntimeError):
    """Le pilote du GPU a refusé, ou un noyau a échoué."""


class DeviceMemoryError(EngineError, MemoryError):
    """Il n’y a plus assez de mémoire sur le GPU."""


def checked(result, action):
    """Ce que rend un appel du pilote, ou une erreur qui dit ce qu’on faisait."""
    code, *values = result
    if code:
        raise DeviceError(
            f"GPU : {action} a échoué",
            received=f"{code.name} ({int(code)})",
            hint=_HINTS.get(code.name),
        )
    return values[0] if len(values) == 1 else values


_HINTS = {
    "CUDA_ERROR_NO_DEVICE": "config.device = 'cpu' : cette machine n'a pas de GPU NVIDIA visible",
    "CUDA_ERROR_INVALID_DEVICE": "config.device = 'cuda0' : il n'y a pas tant de GPU",
    "CUDA_ERROR_ILLEGAL_ADDRESS": "un noyau a lu ou écrit hors de ses tableaux ; le GPU ne répond "
    "plus à ce processus : relancez-le, et rejouez sur le simulateur (CUDA_VISIBLE_DEVICES= )",
    "CUDA_ERROR_NO_BINARY_FOR_GPU": "les noyaux emportés sont compilés pour un autre GPU",
}
