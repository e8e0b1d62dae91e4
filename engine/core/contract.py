"""Le contrat de `perform` : ce qu’une op rend, et dans quelle mémoire (voir `graph.Op`).

Chaque sortie est un tableau NumPy du dtype et du nombre d’axes annoncés. Sa mémoire est à lui seul,
sauf si `view_map` ou `destroy_map` le dit : un nœud voisin écrira peut-être dedans.

`perform_call` le tient à chaque calcul : un scalaire NumPy devient un tableau, une mémoire qui
est à quelqu’un d’autre est copiée, le reste est refusé. `engine.look.contract` le vérifie.

Référence : les erreurs du module `debugmode` de Theano, dont elles portent les noms.
"""

from sys import getrefcount

import numpy as np

from engine.core.errors import BadDestroyMap, InvalidValueError


def references(cell):
    """Combien de noms tiennent le tableau d’une case, dont un ici."""
    value = cell[0]
    return getrefcount(value)


ALONE = references([np.empty(0)])  # personne d’autre : selon la version de Python


def perform_call(node):
    """La fonction des tableaux qui calcule un nœud par `perform`, et tient son contrat."""
    op, n_outputs = node.op, len(node.outputs)
    perform, promises = op.perform, [_promise(node, position) for position in range(n_outputs)]
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


def _promise(node, position):
    """La fonction qui rend le tableau d’une case, rendu conforme à la sortie de ce rang."""
    output, op = node.outputs[position], node.op
    dtype, ndim, array = output.type.numpy_dtype, output.ndim, np.ndarray
    shares, lies = position in op.view_map, position in op.destroy_map

    def kept(cell):
        value = cell[0]
        if type(value) is not array or value.dtype != dtype or value.ndim != ndim:
            value = cell[0] = _as_array(node, position, value)
        if shares:
            return value
        base = value.base
        owned = lies or (
            getrefcount(value) == ALONE
            and (
                base is None
                or (type(base) is array and base.base is None and getrefcount(base) == ALONE)
            )
        )
        flags = value.flags  # une référence de plus : après le compte
        return value if owned and flags.c_contiguous and flags.writeable else value.copy()

    return kept


def _as_array(node, position, value):
    """Le tableau que `value` veut dire ; refuse ce qui n’a ni le dtype ni les axes annoncés."""
    output = node.outputs[position]
    if isinstance(value, np.ndarray | np.generic | bool | int | float):
        array = np.array(value)
        plain = not isinstance(value, np.ndarray | np.generic)
        if plain and array.dtype.kind == output.type.numpy_dtype.kind:
            array = array.astype(output.dtype)
        if array.dtype == output.dtype and array.ndim == output.ndim:
            return array
    raise invalid(node, position, value, "perform")


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
        raise destroyed(node, "une de ses entrées", "sa position") from error


# ---- le dire -------------------------------------------------------------------------------


def name_of(position, node):
    """Comment on nomme une sortie."""
    return f"sa sortie {position}" if len(node.outputs) > 1 else "sa sortie"


def _describe(value):
    if isinstance(value, np.ndarray):
        kind = "un tableau" if type(value) is np.ndarray else f"un {type(value).__name__}"
        return f"{kind} {value.dtype} de forme {value.shape}"
    if isinstance(value, np.generic):
        return f"le scalaire NumPy {value} ({value.dtype}), qui n'est pas un tableau"
    if value is None:
        return "rien : perform n'a pas rempli cette case"
    return f"un objet {type(value).__name__}, qui n'est pas un tableau"


def invalid(node, position, value, who):
    """L’erreur d’une sortie qui n’est pas le tableau annoncé."""
    output = node.outputs[position]
    return InvalidValueError(
        f"{node.op} : {who} ne rend pas, pour {name_of(position, node)}, ce que l'op annonce",
        expected=f"un tableau NumPy {output.type.short()}",
        received=_describe(value),
        where=str(node.trace),
        hint=f"output_storage[{position}][0] = np.asarray(résultat, dtype={output.dtype!r}), "
        "ou changez le type que make_node annonce",
    )


def destroyed(node, what, position):
    """L’erreur d’une entrée écrasée sans le dire."""
    return BadDestroyMap(
        f"{node.op} : perform a écrasé {what} sans l'annoncer",
        expected=f"une entrée intacte, ou {position} dans destroy_map",
        received="une écriture dans la mémoire de l'entrée",
        where=str(node.trace),
        hint="calculez dans une copie : x = inputs[0].copy()",
    )
