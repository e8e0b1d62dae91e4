"""Rejouer la réécriture d’une fonction compilée, image par image.

`history(f)` refait la réécriture de `f` sur une copie neuve de son graphe, et le dessine avant,
après, et entre-temps. Un même nœud garde son `id` d’une image à l’autre.

Noms publics : `Frame`, `history`, `light`, `rule_reasons`.
"""

import math
from typing import NamedTuple

from course.typography import typeset
from engine.printing import graph_data
from engine.rewriting import GRAPH_REWRITES, REWRITES

DRAWN = 100_000  # nœuds dessinés en tout, toutes images comprises

# ce que le moteur de réécriture fait de lui-même, sans règle
_BUILT_IN = {
    "constantes_repliées": "un nœud dont toutes les entrées sont connues est calculé d'avance",
    "fusion_des_doublons": "deux nœuds de même op et de mêmes entrées n'en font qu'un",
}


class Frame(NamedTuple):
    """Une image : les raisons des remplacements qui y mènent, le graphe, nœuds changés allumés."""

    reasons: list
    data: dict


def history(f, limit=None, values=None):
    """Rejoue la réécriture de `f`.

    Paramètres
        f : la fonction compilée.
        limit : nombre maximal d’images entre la première et la dernière ; None le choisit selon la
            taille du graphe (une par remplacement s’il est petit) ; 0 : l’avant et l’après seuls.
        values : {entrée (ou son nom): valeur}, pour que chaque image montre les valeurs (voir
            `graph_data`).

    Renvoie
        une liste de `Frame`. Dans chacune sont allumés les nœuds qu’un remplacement vient de
        mettre là ; dans la première, ceux qui vont disparaître. Si des images manquent, une image
        rend compte de plusieurs remplacements.

    Exemple
        >>> from engine import function, tensor as T
        >>> x = T.dscalar("x")
        >>> [frame.reasons for frame in history(function([x], T.log(1 + T.exp(x))))]
        [[], ['log_un_plus'], ['log1p_exp']]
    """
    fgraph, pool, pending, frames = f.original_graph(), {}, [], []
    total = len(f.fgraph.log)
    written = set(fgraph.nodes)
    options = {"values": values, "pool": pool, "labels": f.output_labels}
    frames.append(Frame([], graph_data(fgraph, **options)))
    if limit is None:
        limit = max(10, DRAWN // max(len(frames[0].data["nodes"]), 1))
    stride = max(1, math.ceil(total / limit)) if limit else total + 1
    before, failures = set(written), []

    def draw():
        present = set(fgraph.nodes)
        changed = (present - before) | {row.new.owner or row.new for row in pending}
        data = graph_data(fgraph, lit=changed, **options)
        frames.append(Frame([row.reason for row in pending], data))
        before.clear()
        before.update(present)
        pending.clear()

    def note(replacement):
        pending.append(replacement)
        if len(pending) == stride:
            try:
                draw()
            except Exception as error:  # le moteur la prendrait pour l’échec d’une règle
                failures.append(error)

    fgraph.on_replace = note
    f.rewrite(fgraph)
    if failures:
        raise failures[0]
    if pending or len(frames) == 1:
        draw()
    gone = {pool[node]["id"] for node in written - set(fgraph.nodes)}
    frames[0] = Frame([], light(frames[0].data, gone))
    return frames


def light(data, identifiers):
    """Le même graphe, où ces nœuds sont allumés et eux seuls."""
    return {**data, "nodes": [{**n, "lit": n["id"] in identifiers} for n in data["nodes"]]}


def rule_reasons():
    """{nom: raison} de chaque règle, et de ce que le moteur fait de lui-même."""
    rules = {rule.name: rule.reason for rule in (REWRITES | GRAPH_REWRITES).values()}
    return {name: typeset(reason) for name, reason in (rules | _BUILT_IN).items()}
