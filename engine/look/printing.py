"""Regarder un graphe : en formule (`pp`), en arbre (`debugprint`), en dessin (`graph_data`).

Les trois acceptent une variable, une liste de variables ou une fonction compilée (son graphe
réécrit). `graph_data` rend les données d’un dessin, que `course.viz` met en image.
"""

import sys

import numpy as np

from engine.core.contract import perform_call
from engine.core.errors import InputError
from engine.core.graph import Constant, Variable, toposort, walk
from engine.core.sharedvalue import SharedVariable

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _outputs_of(thing):
    fgraph = getattr(thing, "fgraph", thing)
    if hasattr(fgraph, "clients"):
        return list(fgraph.outputs), fgraph
    outputs = list(thing) if isinstance(thing, list | tuple) else [thing]
    for output in outputs:
        if not isinstance(output, Variable):
            raise InputError(
                "rien à montrer : ce n'est ni une variable ni une fonction compilée",
                expected="une variable, une liste de variables, ou ce que rend engine.function",
                received=f"{output!r} ({type(output).__name__})",
                hint="debugprint(cost), debugprint(f)",
            )
    return outputs, None


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


def _letters(position):
    text = ""
    position += 1
    while position:
        position, letter = divmod(position - 1, 26)
        text = _LETTERS[letter] + text
    return text


_IDS = {"CHAR": _letters, "auto": _letters, "int": str, "": lambda position: "", "id": None}


def debugprint(thing, depth=-1, print_type=False, file=None, ids="CHAR", text=False):
    """Écrit l’arbre d’un graphe, une ligne par variable, sorties en haut.

    Paramètres
        depth : nombre de niveaux (-1 : tous).
        print_type : ajouter le type de chaque variable.
        file : où écrire ; `"str"` rend le texte au lieu de l’écrire.
        ids : ce qui distingue les variables : "CHAR" des lettres, "int" des nombres, "id"
            l’identité Python, "" rien.
        text : sous l’arbre, le texte des noyaux de chaque nœud qu’un GPU calcule, une fois la
            fonction appelée (celui du processeur est `f.source`).

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
    if ids not in _IDS:
        raise InputError(
            "debugprint : ids inconnu", expected=", ".join(map(repr, _IDS)), received=repr(ids)
        )
    outputs, fgraph = _outputs_of(thing)
    order = {node: k for k, node in enumerate(fgraph.toposort())} if fgraph else {}
    reference = getattr(fgraph, "reference_nodes", ())
    letters, lines = {}, []
    pending = [(output, "", "", 0) for output in reversed(outputs)]
    while pending:
        variable, head, margin, level = pending.pop()
        node, seen = variable.owner, variable in letters
        if not seen:
            letters[variable] = str(id(variable)) if ids == "id" else _IDS[ids](len(letters))
        letter = letters[variable]
        line = f"{head}{_label(variable)}" + (f" [{letter}]" if letter else "")
        if node is not None and node in order:
            line += f" {order[node]}" + (" (NumPy)" if node in reference else "")
            reason = fgraph.device and fgraph.device.said_of(node)
            line += f" ({reason})" if reason else ""
        if node is not None and variable.name is not None:
            line += f" '{variable.name}'"
        if print_type:
            line += f" : {variable.short()}"
        lines.append(line + (" ···" if seen and node is not None else ""))
        if node is None or seen or level == depth - 1:
            continue
        last = len(node.inputs) - 1
        for position in range(last, -1, -1):
            branch, below = (" └─ ", "    ") if position == last else (" ├─ ", " │  ")
            entry = node.inputs[position]
            pending.append((entry, margin + branch, margin + below, level + 1))
    if text and fgraph and fgraph.device:
        for node, texts in fgraph.device.texts.items():
            if node in order:
                said = texts or ["appelez la fonction : un noyau s’écrit pour ce qu’il reçoit"]
                lines += ["", f"---- {order[node]}, {node.op}", *said]
    said = "\n".join(lines)
    if file == "str":
        return said
    print(said, file=file or sys.stdout)
    return None


def _label(variable):
    node = variable.owner
    if node is None:
        return repr(variable)
    return str(node.op) + (f".{variable.index}" if len(node.outputs) > 1 else "")


# ---- dessin ------------------------------------------------------------------------------

_SHORT = 40  # caractères d’une formule au-delà desquels elle est abrégée dans une autre


def graph_data(thing, values=None, lit=(), pool=None, compact=True, labels=None):
    """Rend les nœuds et les arêtes d’un graphe, prêts à dessiner.

    Paramètres
        thing : une variable, une liste de variables, ou une fonction compilée.
        values : {entrée (ou son nom): valeur} ; chaque nœud qui n’en demande pas d’autre est
            calculé par la référence NumPy, et sa valeur écrite.
        lit : les variables ou les nœuds à mettre en lumière ; une variable allume son nœud.
        pool : un dictionnaire à redonner d’un appel à l’autre pour qu’un même nœud garde le même
            `id` (les images successives d’une réécriture).
        compact : False fait un nœud de chaque intermédiaire, même sans nom.

    Renvoie
        {"nodes": [...], "edges": [...]} ; un nœud a `id`, `kind` ("input", "shared", "constant",
        "intermediate", "output", "apply"), `label`, `detail`, `dtype`, `shape`, `value`, `group`
        (la portée, ou « gradient »), `line`, `trace`, `formula` et, s’il y a lieu, `lit` et
        `inner` (le graphe que l’op contient) ; une arête a `source`, `target`, `label`, et `value`
        si elle est connue. Un intermédiaire sans nom n’est pas un nœud : son type est écrit sur
        l’arête.

    Lève
        InputError : une clé de `values` n’est pas une entrée du graphe.

    Exemple
        >>> from engine import tensor as T
        >>> x = T.dscalar("x")
        >>> data = graph_data(T.sqrt(x) + 1, values={x: 4.0})
        >>> [(node["label"], node["value"]) for node in data["nodes"]]
        [('x', '4.'), ('sqrt', '2.'), ('1', '1'), ('add', '3.'), ('sortie', '3.')]
    """
    outputs, fgraph = _outputs_of(thing)
    order = toposort(outputs, fgraph.inputs if fgraph else ())
    known = _compute(outputs, fgraph, order, values) if values else {}
    collector = _Collector({} if pool is None else pool, known, set(lit), compact)
    labels = labels or getattr(thing, "output_labels", ())
    collector.labels = dict(zip(outputs, labels, strict=False))
    data = collector.collect(order, outputs)
    while collector.inner:
        inside, graphs = collector.inner.pop()
        outputs = [output for _, inner_outputs in graphs for output in inner_outputs]
        inputs = [entry for inner_inputs, _ in graphs for entry in inner_inputs]
        inside |= collector.collect(toposort(outputs, inputs), outputs)
    return data


class _Collector:
    """Ce qui fait des nœuds et des arêtes d’un graphe ; `inner`, les graphes contenus à faire."""

    def __init__(self, pool, known, lit, compact):
        self.pool, self.known, self.lit, self.compact = pool, known, lit, compact
        self.inner, self.texts, self.labels = [], {}, {}

    def collect(self, order, outputs):
        """Rend le dictionnaire du graphe dont `order` donne les nœuds."""
        shown, nodes, edges, here = set(outputs), [], [], set()

        def add_variable(variable):
            if variable in here:
                return
            here.add(variable)
            nodes.append(self._variable(variable, variable in shown))
            if variable.owner is not None and variable.owner in here:
                edges.append(self._edge(variable.owner, variable, variable))

        for node in order:
            for entry in node.inputs:
                if entry.owner is None or entry.owner not in here:
                    add_variable(entry)
            here.add(node)
            nodes.append(self._apply(node))
            for position, entry in enumerate(node.inputs):
                edge = self._edge(entry if entry in here else entry.owner, node, entry)
                if len(node.inputs) > 1 and _ordered(node):
                    edge["argument"] = position + 1
                edges.append(edge)
            for output in node.outputs:
                if output in shown or output.name is not None or not self.compact:
                    add_variable(output)
        for output in outputs:
            add_variable(output)
        return {"nodes": nodes, "edges": edges}

    def _identify(self, thing):
        """Le nœud du dessin de `thing` : celui d’un appel précédent, ou un neuf."""
        return self.pool.setdefault(thing, {"id": f"n{len(self.pool)}"})

    def _apply(self, node):
        drawn = self._identify(node)
        if "kind" not in drawn:
            inner = node.op.inner_graphs()
            frames = node.trace.frames
            drawn |= {
                "kind": "apply",
                "label": _op_label(node.op, inner),
                "detail": type(node.op).__name__,
                "shape": str(node.outputs[0].type.shape) if node.outputs else None,
                "dtype": node.outputs[0].type.short() if node.outputs else None,
                "value": None,
                "group": _group(node.trace),
                "line": str(frames[0]).partition(" : `")[0] if frames else None,
                "trace": str(node.trace),
            }
            if inner:
                drawn["inner"] = {}
                self.inner.append((drawn["inner"], inner))
        drawn = {**drawn, "formula": self._formula(node)}
        if self.lit and (node in self.lit or not self.lit.isdisjoint(node.outputs)):
            drawn["lit"] = True
        if node.outputs and node.outputs[0] in self.known:
            drawn["value"] = _value_text(self.known[node.outputs[0]])
        return drawn

    def _variable(self, variable, is_output):
        drawn = self._identify(variable)
        kind, value = "intermediate", None
        if isinstance(variable, Constant):
            kind, value = "constant", repr(variable)
        elif isinstance(variable, SharedVariable):
            kind, value = "shared", _value_text(variable.get_value(borrow=True))
        elif variable.owner is None:
            kind = "input"
        elif is_output:
            kind = "output"
        if variable in self.known and kind != "constant":
            value = _value_text(self.known[variable])
        owner = variable.owner
        drawn = {
            "id": drawn["id"],
            "kind": kind,
            "label": variable.name or self.labels.get(variable) or _default_label(kind, value),
            "detail": _type_text(variable),
            "dtype": variable.dtype,
            "shape": str(variable.type.shape),
            "value": value,
            "group": None,
            "line": None,
            "trace": str(owner.trace) if owner is not None else None,
            "formula": self.texts.get(variable) if owner is not None else None,
        }
        return {**drawn, "lit": True} if variable in self.lit else drawn

    def _edge(self, source, target, variable):
        ends = self.pool[source]["id"], self.pool[target]["id"]
        edge = {"source": ends[0], "target": ends[1], "label": _type_text(variable)}
        if variable in self.known:
            edge["value"] = _value_text(self.known[variable])
        return edge

    def _formula(self, node):
        """La formule du nœud, ses arguments trop longs abrégés : la longueur reste bornée."""
        arguments = []
        for entry in node.inputs:
            text = repr(entry) if entry.owner is None else entry.name or self.texts.get(entry, "…")
            arguments.append(text if len(text) <= _SHORT else _abridged(entry))
        for output in node.outputs:
            self.texts[output] = _node_formula(node, arguments, output)
        return self.texts[node.outputs[0]] if node.outputs else None


_KIND_NAMES = {
    "input": "entrée", "shared": "partagée", "output": "sortie", "intermediate": "intermédiaire",
}  # fmt: skip


def _default_label(kind, value):
    return value if kind == "constant" else _KIND_NAMES[kind]


def _group(trace):
    """La couche et le titre : « couche 1 », « gradient », « couche 1 (gradient) »."""
    if trace.scope and trace.note:
        return f"{trace.scope} ({trace.note})"
    return trace.scope or trace.note or None


def _abridged(variable):
    return "…" if variable.owner is None else f"{variable.owner.op}(…)"


def _op_label(op, inner):
    """Une boucle fusionnée écrirait toute sa formule ; le graphe contenu la dit déjà."""
    return type(op.scalar).__name__ if inner and hasattr(op, "scalar") else str(op)


def _ordered(node):
    return not getattr(getattr(node.op, "scalar", None), "commutative", False)


def _compute(outputs, fgraph, order, values):
    """Les valeurs {variable: tableau} de tout ce que `values` suffit à déterminer."""
    leaves = [variable for variable in walk(outputs) if variable.owner is None]
    entries = dict.fromkeys([*(fgraph.inputs if fgraph else ()), *leaves])
    by_name = {entry.name: entry for entry in entries if entry.name is not None}
    origin = fgraph.origin if fgraph else {}
    known = {entry: entry.data for entry in entries if isinstance(entry, Constant)}
    for entry in entries:
        if isinstance(entry, SharedVariable):
            known[entry] = entry.get_value(borrow=True)
    for key, value in values.items():
        entry = by_name.get(key) if isinstance(key, str) else origin.get(key, key)
        if entry not in entries:
            raise InputError(
                f"{key} n'est pas une entrée du graphe",
                expected=", ".join(map(str, by_name)) or "un graphe qui a des entrées",
                received=str(key),
            )
        known[entry] = entry.type.filter(value, allow_downcast=True)
    for node in order:
        if all(entry in known for entry in node.inputs):
            # un op en place écraserait une valeur à montrer
            spoiled = {k for positions in node.op.destroy_map.values() for k in positions}
            arguments = [
                known[entry].copy() if k in spoiled else known[entry]
                for k, entry in enumerate(node.inputs)
            ]
            results = perform_call(node)(*arguments)
            results = results if len(node.outputs) > 1 else [results]
            known.update(zip(node.outputs, results, strict=True))
    return known


def _value_text(value):
    if getattr(value, "size", 7) > 6:
        return f"tableau de forme {value.shape}" if hasattr(value, "shape") else str(value)
    return np.array2string(np.asarray(value), precision=4).replace("\n", "")


def _type_text(variable):
    """Le type, avec la forme du moment pour une variable partagée."""
    if isinstance(variable, SharedVariable):
        return f"{variable.dtype} {variable.shape_text(variable.get_value(borrow=True).shape)}"
    return variable.short()
