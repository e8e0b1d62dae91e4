"""Regarder un graphe : en formule (`pp`), en arbre (`debugprint`), en dessin (`graph_data`).

Les trois acceptent une variable, une liste de variables ou une fonction compilée (son graphe
réécrit). `graph_data` rend les données d’un dessin, que `engine.viz` met en image.
"""

import sys

from engine.graph import Constant, toposort, walk
from engine.sharedvalue import SharedVariable

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _outputs_of(thing):
    fgraph = getattr(thing, "fgraph", thing)
    if hasattr(fgraph, "clients"):
        return list(fgraph.outputs), fgraph
    return (list(thing) if isinstance(thing, list | tuple) else [thing]), None


# ---- formule -----------------------------------------------------------------------------


def pp(thing):
    """Rend la formule d’une variable (ou de la première sortie d’une fonction).

    Exemple
        >>> from engine import tensor as T
        >>> x, y = T.dscalars("xy")
        >>> pp(T.exp(x + y) * 2)
        '(exp((x + y)) * 2)'
    """
    (output, *_), _ = _outputs_of(thing)
    texts = {}
    for variable in walk([output]):
        node = variable.owner
        if node is None or (variable.name is not None and variable is not output):
            texts[variable] = repr(variable)
        else:
            texts[variable] = _node_formula(node, [texts[entry] for entry in node.inputs], variable)
    return texts[output]


def _node_formula(node, arguments, variable):
    scalar = getattr(node.op, "scalar", None)
    if hasattr(scalar, "formula"):
        return f"({scalar.formula(arguments)})"
    symbol = getattr(scalar, "symbol", None)
    if symbol and len(arguments) == 2:
        return f"({arguments[0]} {symbol} {arguments[1]})"
    if symbol:
        return f"{symbol}{arguments[0]}"
    suffix = f".{variable.index}" if len(node.outputs) > 1 else ""
    return f"{node.op}({', '.join(arguments)}){suffix}"


# ---- arbre -------------------------------------------------------------------------------


def _letters(rank):
    text = ""
    rank += 1
    while rank:
        rank, letter = divmod(rank - 1, 26)
        text = _LETTERS[letter] + text
    return text


def debugprint(thing, depth=-1, print_type=False, file=None):
    """Écrit l’arbre d’un graphe, une ligne par variable, sorties en haut.

    Paramètres
        depth : nombre de niveaux (-1 : tous).
        print_type : ajouter le type de chaque variable.
        file : où écrire ; `"str"` rend le texte au lieu de l’écrire.

    Une variable déjà montrée est rappelée par sa lettre et « ··· ». Dans une fonction compilée,
    chaque nœud porte son rang d’exécution, et « (NumPy) » s’il n’a pas de noyau.

    Exemple
        >>> from engine import tensor as T
        >>> x = T.dscalar("x")
        >>> debugprint(x + T.exp(x))
        add [A]
         ├─ x [B]
         └─ exp [C]
             └─ x [B]
    """
    outputs, fgraph = _outputs_of(thing)
    order = {node: rank for rank, node in enumerate(fgraph.toposort())} if fgraph else {}
    reference = getattr(fgraph, "reference_nodes", ())
    letters, lines = {}, []
    pending = [(output, "", "", 0) for output in reversed(outputs)]
    while pending:
        variable, head, margin, level = pending.pop()
        node, seen = variable.owner, variable in letters
        letter = letters.setdefault(variable, _letters(len(letters)))
        text = f"{head}{_label(variable)} [{letter}]"
        if node is not None and node in order:
            text += f" {order[node]}" + (" (NumPy)" if node in reference else "")
        if node is not None and variable.name is not None:
            text += f" '{variable.name}'"
        if print_type:
            text += f" : {variable.short()}"
        lines.append(text + (" ···" if seen and node is not None else ""))
        if node is None or seen or level == depth - 1:
            continue
        last = len(node.inputs) - 1
        for rank in range(last, -1, -1):
            branch, below = (" └─ ", "    ") if rank == last else (" ├─ ", " │  ")
            entry = node.inputs[rank]
            pending.append((entry, margin + branch, margin + below, level + 1))
    text = "\n".join(lines)
    if file == "str":
        return text
    print(text, file=file or sys.stdout)
    return None


def _label(variable):
    node = variable.owner
    if node is None:
        return repr(variable)
    return str(node.op) + (f".{variable.index}" if len(node.outputs) > 1 else "")


# ---- dessin ------------------------------------------------------------------------------


def graph_data(thing):
    """Rend les nœuds et les arêtes d’un graphe, prêts à dessiner.

    Renvoie
        {"nodes": [...], "edges": [...]} ; un nœud a `id`, `kind` ("input", "shared", "constant",
        "intermediate", "output", "apply"), `label`, `detail`, `dtype`, `shape`, `value`, `group`,
        `trace` ; une arête a `source`, `target`, `label`. Un intermédiaire sans nom n’est pas un
        nœud : son type est écrit sur l’arête.
    """
    outputs, fgraph = _outputs_of(thing)
    shown = set(outputs)
    nodes, edges, ids = [], [], {}

    def add_variable(variable):
        if variable in ids:
            return
        ids[variable] = f"v{len(ids)}"
        nodes.append(_variable_node(variable, ids[variable], variable in shown))
        if variable.owner is not None:
            edges.append(_edge(ids[variable.owner], ids[variable], variable))

    for node in toposort(outputs, fgraph.inputs if fgraph else ()):
        for entry in node.inputs:
            if entry.owner is None or entry.owner not in ids:
                add_variable(entry)
        ids[node] = f"a{len(ids)}"
        nodes.append(
            {
                "id": ids[node],
                "kind": "apply",
                "label": str(node.op),
                "detail": type(node.op).__name__,
                "shape": None,
                "dtype": None,
                "value": None,
                "group": node.trace.note or None,
                "trace": str(node.trace),
            }
        )
        for rank, entry in enumerate(node.inputs):
            source = ids.get(entry) or ids[entry.owner]
            edge = _edge(source, ids[node], entry)
            if len(node.inputs) > 1 and _ordered(node):
                edge["argument"] = rank + 1
            edges.append(edge)
        for output in node.outputs:
            if output in shown or output.name is not None:
                add_variable(output)
    for output in outputs:
        add_variable(output)
    return {"nodes": nodes, "edges": edges}


def _ordered(node):
    return not getattr(getattr(node.op, "scalar", None), "commutative", False)


def _variable_node(variable, identifier, is_output):
    kind, value = "intermediate", None
    if isinstance(variable, Constant):
        kind, value = "constant", repr(variable)
    elif isinstance(variable, SharedVariable):
        data = variable.get_value(borrow=True)
        kind, value = "shared", str(data) if data.size <= 6 else f"tableau de forme {data.shape}"
    elif variable.owner is None:
        kind = "input"
    elif is_output:
        kind = "output"
    return {
        "id": identifier,
        "kind": kind,
        "label": variable.name or (value if kind == "constant" else "sortie"),
        "detail": _type_text(variable),
        "dtype": variable.dtype,
        "shape": str(variable.type.shape),
        "value": value,
        "group": None,
        "trace": str(variable.owner.trace) if variable.owner is not None else None,
    }


def _edge(source, target, variable):
    return {"source": source, "target": target, "label": _type_text(variable)}


def _type_text(variable):
    """Le type, avec la forme du moment pour une variable partagée."""
    if isinstance(variable, SharedVariable):
        return f"{variable.dtype} {variable.shape_text(variable.get_value(borrow=True).shape)}"
    return variable.short()
