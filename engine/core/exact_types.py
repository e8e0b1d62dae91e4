"""Donner à une expression le type exact d’une autre, ou dire quel nœud l’en empêche.

Une mise à jour de variable partagée, un état de boucle gardent leur dtype et leur nombre d’axes
d’un pas au suivant. Quand l’expression est plus large (float64 pour float32), l’erreur nomme le
premier nœud qui l’est devenu, et la ligne qui l’a écrit.
"""

from engine.core.dtypes import holds
from engine.core.elemwise import cast
from engine.core.errors import UpdateError
from engine.core.graph import toposort
from engine.core.settings import FLAGS
from engine.core.types import FLOATS, as_tensor_variable


def exact_update(target, expression, what="mise à jour de", error=UpdateError):
    """Rend `expression` au dtype de `target`, si rien ne se perd.

    Paramètres
        target : la variable dont le type est imposé.
        expression : variable ou valeur.
        what : de quoi il s’agit, pour le message.
        error : la classe d’erreur à lever.

    Lève
        error : dtype plus large (la variable fautive est nommée) ou nombre d’axes différent.
    """
    new = as_tensor_variable(expression)
    if new.ndim != target.ndim:
        raise error(
            f"{what} {target} : le nombre d'axes change",
            expected=f"{target.ndim} axe(s), comme {target}",
            received=f"{new} : {new.short()}",
            where=str(new.owner.trace) if new.owner else None,
            hint="réduisez (.mean(axis=0)), ou ajoutez un axe (.dimshuffle('x', 0))",
        )
    if new.dtype == target.dtype:
        return new
    if holds(target.dtype, new.dtype):
        return cast(new, target.dtype)
    guilty, cause = _first_wider(new, target.dtype)
    if target.dtype in FLAGS["floatX"].choices:
        other = f", ou, avant tout, config.floatX = '{target.dtype}'"
    else:
        other = "" if target.dtype in FLOATS else f", ou donnez à {target} un départ flottant (0.0)"
    raise error(
        f"{what} {target} : l'expression est {new.dtype}, la variable {target.dtype}",
        expected=target.dtype,
        received=f"{new.dtype}, à cause de {cause}",
        where=str(guilty.trace) if guilty is not None else None,
        hint=f"convertissez cette valeur : .astype('{target.dtype}'){other}",
    )


def _first_wider(expression, dtype):
    """Le premier nœud du dtype fautif, et l’entrée qui l’a rendu tel."""
    for node in toposort([expression]):
        if node.outputs[0].dtype != expression.dtype:
            continue
        for entry in node.inputs:
            if entry.owner is None and entry.dtype not in (dtype, "bool", "int8", "int16"):
                return node, f"{describe(entry)} ({entry.dtype})"
        names = " et ".join(f"{describe(entry)} ({entry.dtype})" for entry in node.inputs)
        return node, f"l'opération {node.op} entre {names}" if len(
            node.inputs
        ) > 1 else f"l'opération {node.op}"
    return None, str(expression)


def describe(variable):
    """Le nom d’une variable, ou « le résultat de » son opération."""
    return (
        str(variable) if variable.owner is None or variable.name else f"le résultat de {variable}"
    )
