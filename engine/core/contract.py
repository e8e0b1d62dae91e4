"""Le contrat de `perform` : ce qu’une op rend, et dans quelle mémoire (voir `graph.Op`).

Chaque sortie est un tableau NumPy du dtype et du nombre d’axes annoncés. Sa mémoire est à lui seul,
sauf si `view_map` ou `destroy_map` le dit : un nœud voisin écrira peut-être dedans.

Deux façons de le tenir :

- `perform_call`, pour calculer : un scalaire NumPy devient un tableau, une mémoire qui est à
  quelqu’un d’autre est copiée, le reste est refusé ;
- `strict_perform`, pour vérifier (`check_op`, `DebugMode`) : tout manquement est une erreur, qui
  dit ce qui était promis, ce qui est venu, et à qui est la mémoire.

Ordre de lecture : `perform_call`, `strict_perform`.

Référence : les erreurs du module `debugmode` de Theano, dont elles portent les noms.
"""

from sys import getrefcount

import numpy as np

from engine.core.errors import BadDestroyMap, BadViewMap, InvalidValueError

MAX_OVERLAP = 10_000  # essais pour savoir si deux vues d’une même mémoire se recouvrent


def _references(cell):
    """Combien de noms tiennent le tableau d’une case, dont un ici."""
    value = cell[0]
    return getrefcount(value)


_ALONE = _references([np.empty(0)])  # personne d’autre : selon la version de Python


def perform_call(node):
    """La fonction des tableaux qui calcule un nœud par `perform`, et tient son contrat."""
    op, n_outputs = node.op, len(node.outputs)
    perform, promises = op.perform, [_promise(node, rank) for rank in range(n_outputs)]
    (first, *others) = promises
    # les ops du moteur sont éprouvées ; une autre écrirait peut-être dans ce qu’elle lit
    wary = not (type(op).__module__.startswith("engine.") or op.view_map or op.destroy_map)

    def call(*inputs):
        storage = [[None] for _ in promises]
        if wary:
            _perform_on_views(node, inputs, storage)
        else:
            perform(node, inputs, storage)
        if not others:
            return first(storage[0])
        return [promise(cell) for promise, cell in zip(promises, storage, strict=True)]

    return call


def _promise(node, rank):
    """La fonction qui rend le tableau d’une case, rendu conforme à la sortie de ce rang."""
    output, op = node.outputs[rank], node.op
    dtype, ndim, array = output.type.numpy_dtype, output.ndim, np.ndarray
    shares, lies = rank in op.view_map, rank in op.destroy_map

    def kept(cell):
        value = cell[0]
        if type(value) is not array or value.dtype != dtype or value.ndim != ndim:
            value = cell[0] = _as_array(node, rank, value)
        if shares:
            return value
        base = value.base
        owned = lies or (
            getrefcount(value) == _ALONE
            and (
                base is None
                or (type(base) is array and base.base is None and getrefcount(base) == _ALONE)
            )
        )
        flags = value.flags  # une référence de plus : après le compte
        return value if owned and flags.c_contiguous and flags.writeable else value.copy()

    return kept


def _as_array(node, rank, value):
    """Le tableau que `value` veut dire ; refuse ce qui n’a ni le dtype ni les axes annoncés."""
    output = node.outputs[rank]
    if isinstance(value, np.ndarray | np.generic | bool | int | float):
        array = np.array(value)
        plain = not isinstance(value, np.ndarray | np.generic)
        if plain and array.dtype.kind == output.type.numpy_dtype.kind:
            array = array.astype(output.dtype)
        if array.dtype == output.dtype and array.ndim == output.ndim:
            return array
    raise _invalid(node, rank, value, "perform")


def _perform_on_views(node, inputs, storage):
    """`perform` sur des vues en lecture seule : l’entrée est peut-être à l’appelant."""
    views = [value.view() for value in inputs]
    for view in views:
        view.flags.writeable = False
    try:
        node.op.perform(node, views, storage)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise _destroyed(node, "une de ses entrées", "sa position") from error


# ---- vérifier ------------------------------------------------------------------------------


def strict_perform(node, inputs):
    """Les sorties du nœud par `perform`, sur des copies des entrées.

    Lève
        InvalidValueError, BadViewMap : voir `check_results`.
        BadDestroyMap : une entrée a changé sans que `destroy_map` le dise.
    """
    copies, storage = _run(node, inputs)
    kept = [_references(cell) != _ALONE or _is_view(cell[0]) for cell in storage]
    values = [cell[0] for cell in storage]
    allowed = {position for positions in node.op.destroy_map.values() for position in positions}
    for position, (before, after) in enumerate(zip(inputs, copies, strict=True)):
        if position not in allowed and np.asarray(before).tobytes() != after.tobytes():
            raise _destroyed(node, f"son entrée {position}", str(position))
    check_results(node, values, copies)
    for rank, value in enumerate(values):
        if kept[rank] and not _may_share(node, rank):  # quelqu’un la tient : on recommence
            again = _run(node, inputs)[1][rank][0]
            if isinstance(again, np.ndarray) and _overlap(value, again):
                raise _borrowed(node, rank, "l'op, qui la garde d'un calcul à l'autre")
    return values


def check_results(node, values, inputs, who="perform"):
    """Vérifie les sorties que `who` rend pour ces entrées.

    Lève
        InvalidValueError : une sortie n’est pas un tableau du dtype et de la forme annoncés.
        BadViewMap : une sortie occupe la mémoire d’une entrée ou d’une autre sortie sans que
            `view_map` le dise.
    """
    for rank, value in enumerate(values):
        output, allowed = node.outputs[rank], _may_share(node, rank)
        same = (
            type(value) is np.ndarray and value.dtype == output.dtype and value.ndim == output.ndim
        )
        if not same or any(
            known not in (None, length)
            for known, length in zip(output.type.shape, value.shape, strict=True)
        ):
            raise _invalid(node, rank, value, who)
        for position, entry in enumerate(inputs):
            if position not in allowed and np.may_share_memory(value, entry):
                declared = f"view_map = {{{rank}: [{position}]}}"
                raise _borrowed(node, rank, f"l'entrée {position}", declared)
        for place, other in enumerate(values[:rank]):
            if not allowed and _overlap(value, other):
                raise _borrowed(node, rank, f"la sortie {place}")


def _run(node, inputs):
    copies = [np.array(value) for value in inputs]
    storage = [[None] for _ in node.outputs]
    node.op.perform(node, copies, storage)
    return copies, storage


def _is_view(value):
    return isinstance(value, np.ndarray) and value.base is not None


def _may_share(node, rank):
    return {*node.op.view_map.get(rank, ()), *node.op.destroy_map.get(rank, ())}


def _overlap(first, second):
    try:
        return np.shares_memory(first, second, max_work=MAX_OVERLAP)
    except np.exceptions.TooHardError:
        return False


# ---- le dire -------------------------------------------------------------------------------


def _name(rank, node):
    return f"sa sortie {rank}" if len(node.outputs) > 1 else "sa sortie"


def _describe(value):
    if isinstance(value, np.ndarray):
        kind = "un tableau" if type(value) is np.ndarray else f"un {type(value).__name__}"
        return f"{kind} {value.dtype} de forme {value.shape}"
    if isinstance(value, np.generic):
        return f"le scalaire NumPy {value} ({value.dtype}), qui n'est pas un tableau"
    if value is None:
        return "rien : perform n'a pas rempli cette case"
    return f"un objet {type(value).__name__}, qui n'est pas un tableau"


def _invalid(node, rank, value, who):
    output = node.outputs[rank]
    return InvalidValueError(
        f"{node.op} : {who} ne rend pas, pour {_name(rank, node)}, ce que l'op annonce",
        expected=f"un tableau NumPy {output.type.short()}",
        received=_describe(value),
        where=str(node.trace),
        hint=f"output_storage[{rank}][0] = np.asarray(résultat, dtype={output.dtype!r}), "
        "ou changez le type que make_node annonce",
    )


def _borrowed(node, rank, owner, declared=None):
    return BadViewMap(
        f"{node.op} : {_name(rank, node)} occupe une mémoire qui n'est pas à elle",
        expected="un tableau neuf" + (f", ou {declared} dans la classe" if declared else ""),
        received=f"la mémoire de {owner}",
        where=str(node.trace),
        hint=f"output_storage[{rank}][0] = résultat.copy()",
    )


def _destroyed(node, what, position):
    return BadDestroyMap(
        f"{node.op} : perform a écrasé {what} sans l'annoncer",
        expected=f"une entrée intacte, ou {position} dans destroy_map",
        received="une écriture dans la mémoire de l'entrée",
        where=str(node.trace),
        hint="calculez dans une copie : x = inputs[0].copy()",
    )
