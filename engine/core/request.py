"""Lire ce que l’on demande de compiler : entrées, sorties, mises à jour, remplacements.

Chaque demande impossible est refusée ici, avant que rien ne se compile.

Ordre de lecture : `In`, `Out`, puis les lectures, dans l’ordre où `function` les fait.
"""

import copy
import warnings
from collections.abc import ItemsView, Iterator

import numpy as np

from engine.core.dtypes import holds
from engine.core.elemwise import cast
from engine.core.errors import (
    DtypeError,
    InputError,
    UnusedInputError,
    UpdateError,
)
from engine.core.exact_types import exact_update
from engine.core.graph import Variable, ancestors, checked_name, clone_with_map
from engine.core.settings import FLAGS
from engine.core.sharedvalue import SharedVariable
from engine.core.types import as_tensor_variable


class In:
    """Une entrée de fonction, avec ses options.

    Paramètres
        variable : la variable à fournir.
        name : nom à l’appel (celui de la variable par défaut).
        value : valeur par défaut.
        update : expression de la nouvelle valeur par défaut après chaque appel.
        strict, allow_downcast : voir `TensorType.filter`.
    """

    def __init__(
        self, variable, name=None, value=None, update=None, mutable=False, strict=False,
        allow_downcast=None, borrow=False,
    ):  # fmt: skip
        self.variable = variable
        self.name = checked_name(name) if name is not None else variable.name
        self.value = value
        self.update = update
        self.strict = strict
        self.allow_downcast = allow_downcast


class Out:
    """Une sortie de fonction. `borrow` ne change que ce qui reste sur une carte (voir
    `transfer`) : le tableau lui-même, où l’appel suivant écrira, plutôt qu’une copie.
    """

    def __init__(self, variable, borrow=False):
        lend = getattr(getattr(variable.owner, "op", None), "borrowed", None) if borrow else None
        self.variable = lend(variable) if lend else variable
        self.borrow = borrow


def as_list(items):
    """La liste d’un objet seul, d’une suite, ou de rien (None)."""
    if items is None:
        return []
    return list(items) if isinstance(items, list | tuple) else [items]


def as_pairs(items, name, pair, error):
    """La liste des paires d’un dictionnaire, ou d’une suite de paires."""
    items = items.items() if hasattr(items, "items") else items
    pairs = list(items) if isinstance(items, ItemsView | Iterator) else as_list(items)
    for item in pairs:
        if not (isinstance(item, tuple | list) and len(item) == 2):
            raise error(
                f"{name} est fait de paires",
                expected=f"un dictionnaire, ou une liste de paires {pair}",
                received=repr(item),
                hint=f"une seule paire aussi se met dans une liste : {name}=[(a, b)]",
            )
    return pairs


def as_input(item, allow_downcast):
    if isinstance(item, tuple | list) and len(item) == 2:
        item = In(item[0], value=item[1])
    if isinstance(item, In):  # une copie : deux fonctions n’ont pas le même état
        spec = copy.copy(item)
        spec.value = spec.value.copy() if isinstance(spec.value, np.ndarray) else spec.value
        return spec
    if isinstance(item, SharedVariable):
        raise InputError(
            f"{item} est une variable partagée : elle est fournie d'elle-même",
            expected="une entrée symbolique",
            hint=f"ôtez {item} des entrées, ou remplacez-la avec givens",
            received=f"{item} : {type(item).__name__}",
        )
    if not isinstance(item, Variable):
        raise InputError(
            "une entrée de function est une variable symbolique",
            expected="par exemple T.matrix('x')",
            received=f"{item!r} ({type(item).__name__})",
            hint="donnez la variable elle-même, non son nom ou sa valeur ; {x: 3.0} à eval",
        )
    return In(item, allow_downcast=allow_downcast)


def flatten_outputs(outputs):
    """Rend la liste plate des variables et la façon de rendre les résultats."""

    def one(item):
        return as_tensor_variable(item.variable if isinstance(item, Out) else item)

    if outputs is None:
        return [], list
    if isinstance(outputs, dict):
        if not all(isinstance(key, str) for key in outputs):
            raise InputError(
                "les clés d'un dictionnaire de sorties sont des noms",
                expected="des chaînes de caractères",
                received=", ".join(map(repr, outputs)),
                hint="{'coût': cost, 'erreur': error}, ou une liste de sorties",
            )
        keys = sorted(outputs)
        return [one(outputs[key]) for key in keys], _AsDictionary(keys)
    if isinstance(outputs, list | tuple):
        return [one(item) for item in outputs], list
    return [one(outputs)], None


def collect_updates(updates):
    """Les mises à jour demandées, {variable partagée: expression du même type}."""
    checked = {}
    pair = "(variable partagée, expression)"
    for target, new in as_pairs(updates, "updates", pair, UpdateError):
        check_shared(target, "on ne met à jour que des variables partagées", f"des paires {pair}")
        if target in checked:
            raise UpdateError(
                f"deux mises à jour pour la même variable {target}",
                expected="une seule",
                received="deux expressions",
                hint="réunissez-les en une expression : toutes lisent l'ancienne valeur",
            )
        checked[target] = exact_update(target, new)
    return checked


def check_shared(target, summary, expected="une variable partagée (engine.shared)"):
    if not isinstance(target, SharedVariable):
        raise UpdateError(
            summary,
            expected=expected,
            received=f"{target} : {type(target).__name__}",
            hint="créez-la par shared(valeur, name='w') ; la paire est (w, nouvelle valeur)",
        )


def default_updates(expressions, inputs, replaced, explicit, refused):
    """Les mises à jour par défaut des variables partagées dont la fonction dépend : celles que les
    entrées ne coupent pas, et que `givens` n’a pas remplacées.
    """
    if refused is True:
        return {}
    refused = list(refused or ())
    for target in refused:
        check_shared(target, "no_default_updates : True, ou une liste de variables partagées")
    found, roots, cut = {}, expressions, set(inputs)
    while roots:  # une mise à jour par défaut peut en appeler d’autres
        updates = {
            variable: exact_update(variable, variable.default_update)
            for variable in ancestors(roots, cut)
            if getattr(variable, "default_update", None) is not None
            and not any(variable in known for known in (cut, explicit, found, refused))
        }
        roots, _ = clone_with_map(list(updates.values()), replaced)
        found.update(zip(updates, roots, strict=True))
    return found


def as_replacement(old, new):
    new = as_tensor_variable(new)
    if new.dtype != old.dtype and holds(old.dtype, new.dtype):
        new = cast(new, old.dtype)
    if new.dtype != old.dtype:
        raise DtypeError(
            f"givens : {old} et sa remplaçante n'ont pas le même type",
            expected=old.short(),
            received=f"{new} : {new.short()}",
            hint=f"convertissez la remplaçante : .astype('{old.dtype}')",
        )
    return old.type.replacement(old, new)


def check_unused(variables, expressions, policy):
    used = set(ancestors(expressions, stop=set(variables)))
    if policy not in FLAGS["on_unused_input"].choices:
        raise InputError(
            "on_unused_input : réglage inconnu",
            expected="'raise', 'warn' ou 'ignore'",
            received=repr(policy),
            hint="'ignore' compile sans rien dire",
        )
    unused = [variable for variable in variables if variable not in used]
    if not unused or policy == "ignore":
        return
    names = ", ".join(map(str, unused))
    error = UnusedInputError(
        f"entrée inutile : {names}",
        expected="que chaque entrée serve à une sortie ou à une mise à jour",
        received=f"aucune expression ne dépend de {names}",
        hint="causes courantes : une variable recréée sous le même nom (cellule exécutée deux "
        "fois), une sortie oubliée, une constante à la place de l'entrée ; sinon, "
        "on_unused_input='ignore'",
    )
    if policy == "raise":
        raise error
    warnings.warn(str(error), stacklevel=3)


class _AsDictionary:
    """Rend les sorties en dictionnaire."""

    def __init__(self, keys):
        self.keys = keys

    def __call__(self, values):
        return dict(zip(self.keys, values, strict=True))
