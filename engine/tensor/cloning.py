"""Recopier un graphe, ses notes comprises."""

from types import SimpleNamespace

from engine.core.errors import InputError
from engine.core.graph import Variable, clone_with_map, graph_inputs, tell_built


def clone(outputs, replace=None, strict=True, share_inputs=True):
    """Recopie le graphe de `outputs` en y remplaçant des variables.

    Une longueur que l’ancienne variable connaît, la nouvelle la connaît aussi : le graphe a pu s’en
    servir. Un nœud dont une entrée change de type est refait : ses sorties ont les longueurs et le
    dtype des nouvelles entrées. Les notes (`tag`) sont copiées, leurs variables suivent, et les
    valeurs d’essai sont recalculées.

    Paramètres
        outputs : variable ou liste de variables.
        replace : dictionnaire (ou liste de paires) ancienne variable -> nouvelle.
        strict : accepté pour les programmes écrits pour Theano.
        share_inputs : garder les mêmes entrées ; sinon elles sont recopiées aussi, et la copie
            d’une variable partagée a la même case, donc toujours la même valeur.

    Renvoie
        La copie, de même structure que `outputs`.
    """
    single = isinstance(outputs, Variable)
    listed, fresh = [outputs] if single else list(outputs), {}
    replace = {old: _replacement(old, new) for old, new in dict(replace or {}).items()}
    if not share_inputs:
        leaves = (leaf for leaf in graph_inputs(listed, set(replace)) if leaf not in replace)
        fresh = {x: x.sibling() if hasattr(x, "sibling") else x.clone() for x in leaves}
    copies, mapping = clone_with_map(listed, {**replace, **fresh})
    made = [(old, new) for old, new in mapping.items() if new is not old and old not in replace]
    for old, new in made:
        if old._tag is not None:
            notes = vars(old._tag)
            if old.owner is not None:
                notes = {name: note for name, note in notes.items() if name != "test_value"}
            new._tag = SimpleNamespace(**_follow(notes, mapping))
    for node in dict.fromkeys(new.owner for _, new in made if new.owner is not None):
        tell_built(node)
    return copies[0] if single else copies


def _replacement(old, new):
    if not isinstance(old, Variable):
        raise InputError(
            "clone remplace des variables du graphe",
            expected="{variable: remplaçante}",
            received=f"{old!r} ({type(old).__name__})",
            hint="donnez la variable elle-même, non son nom",
        )
    return old.type.replacement(old, new)


def _follow(note, mapping):
    """La même note, où chaque variable est remplacée par sa copie."""
    if isinstance(note, Variable):
        (copy,), more = clone_with_map([note], mapping)
        mapping.update(more)
        return copy
    if type(note) in (list, tuple):
        return type(note)(_follow(item, mapping) for item in note)
    if type(note) is dict:
        return {name: _follow(item, mapping) for name, item in note.items()}
    return note
