"""Vérifier le contrat de `perform` : tout manquement est une erreur, qui dit ce qui était promis,
ce qui est venu, et à qui est la mémoire. `check_op` et `DebugMode` s’en servent.

Ordre de lecture : `strict_perform`, `check_results`.

Référence : les erreurs du module `debugmode` de Theano, dont elles portent les noms.
"""

import numpy as np

from engine.core.contract import ALONE, destroyed, invalid, name_of, references
from engine.core.errors import BadViewMap

MAX_OVERLAP = 10_000  # essais pour savoir si deux vues d’une même mémoire se recouvrent


def strict_perform(node, inputs):
    """Les sorties du nœud par `perform`, sur des copies des entrées.

    Lève
        InvalidValueError, BadViewMap : voir `check_results`.
        BadDestroyMap : une entrée a changé sans que `destroy_map` le dise.
    """
    copies, storage = _run(node, inputs)
    kept = [references(cell) != ALONE or _is_view(cell[0]) for cell in storage]
    values = [cell[0] for cell in storage]
    allowed = {position for positions in node.op.destroy_map.values() for position in positions}
    for position, (before, after) in enumerate(zip(inputs, copies, strict=True)):
        if position not in allowed and np.asarray(before).tobytes() != after.tobytes():
            raise destroyed(node, f"son entrée {position}", str(position))
    check_results(node, values, copies)
    for index, value in enumerate(values):
        if kept[index] and not _may_share(node, index):  # quelqu’un la tient : on recommence
            again = _run(node, inputs)[1][index][0]
            if isinstance(again, np.ndarray) and _overlap(value, again):
                raise _borrowed(node, index, "l'op, qui la garde d'un calcul à l'autre")
    return values


def check_results(node, values, inputs, who="perform"):
    """Vérifie les sorties que `who` rend pour ces entrées.

    Lève
        InvalidValueError : une sortie n’est pas un tableau du dtype et de la forme annoncés.
        BadViewMap : une sortie occupe la mémoire d’une entrée ou d’une autre sortie sans que
            `view_map` le dise.
    """
    for index, value in enumerate(values):
        output, allowed = node.outputs[index], _may_share(node, index)
        same = (
            type(value) is np.ndarray and value.dtype == output.dtype and value.ndim == output.ndim
        )
        if not same or any(
            known not in (None, length)
            for known, length in zip(output.type.shape, value.shape, strict=True)
        ):
            raise invalid(node, index, value, who)
        for position, entry in enumerate(inputs):
            if position not in allowed and np.may_share_memory(value, entry):
                declared = f"view_map = {{{index}: [{position}]}}"
                raise _borrowed(node, index, f"l'entrée {position}", declared)
        for place, other in enumerate(values[:index]):
            if not allowed and _overlap(value, other):
                raise _borrowed(node, index, f"la sortie {place}")


def _run(node, inputs):
    copies = [np.array(value) for value in inputs]
    storage = [[None] for _ in node.outputs]
    node.op.perform(node, copies, storage)
    return copies, storage


def _is_view(value):
    return isinstance(value, np.ndarray) and value.base is not None


def _may_share(node, index):
    return {*node.op.view_map.get(index, ()), *node.op.destroy_map.get(index, ())}


def _overlap(first, second):
    try:
        return np.shares_memory(first, second, max_work=MAX_OVERLAP)
    except np.exceptions.TooHardError:
        return False


def _borrowed(node, index, owner, declared=None):
    return BadViewMap(
        f"{node.op} : {name_of(index, node)} occupe une mémoire qui n'est pas à elle",
        expected="un tableau neuf" + (f", ou {declared} dans la classe" if declared else ""),
        received=f"la mémoire de {owner}",
        where=str(node.trace),
        hint=f"output_storage[{index}][0] = résultat.copy()",
    )
