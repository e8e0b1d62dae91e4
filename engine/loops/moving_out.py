"""Sortir d’une boucle ce qui ne dépend pas de la récurrence.

Ordre de lecture : `move_out`, `_MovingOut` ; les règles op par op sont dans `lifting`.
"""

from engine.core import trace
from engine.core.elemwise import Elemwise, scalar_name
from engine.core.graph import Constant, ancestors, toposort
from engine.core.rewriting import graph_rewrite
from engine.loops.back_loop import is_cheap
from engine.loops.cleaning import clean_loops, last_readers, replace_outputs, scan_nodes
from engine.loops.lifting import lift_node, total
from engine.ops.nnet import LogSoftmax, Softmax
from engine.ops.products import Dot
from engine.ops.shape import Alloc, DimShuffle, ShapeAxis
from engine.tensor.cloning import clone


@graph_rewrite(
    "sortir_de_la_boucle",
    "stabilize",
    "ce qui ne dépend pas de la récurrence se calcule pour tous les pas à la fois",
)
def move_out(fgraph, has_kernel):
    for node in scan_nodes(fgraph):
        if node in fgraph and not node.op.until:
            _MovingOut(fgraph, node).apply()
    clean_loops(fgraph, has_kernel)


class _MovingOut:
    """Partage le graphe d’une boucle entre le dedans (la récurrence) et le dehors (le reste).

    - fixe : ce qui ne lit que les entrées fixes ; calculé une fois, dehors ;
    - levable : ce qui ne lit que les séquences, par des ops qui savent se lever ; les produits
      sont faits dehors, et leurs lignes deviennent une séquence ;
    - recueilli : une valeur dont la récurrence ne dépend pas est calculée dehors, d’après ce que
      la boucle recueille ;
    - additionné : un accumulateur dont seule la valeur finale est lue (le gradient d’un poids)
      devient une somme faite dehors, un seul grand produit.
    """

    def __init__(self, fgraph, node):
        self.fgraph, self.node, self.op = fgraph, node, node.op
        op = self.op
        self.steps, sequences, self.initials, others = op.split_outer(node.inputs)
        self.sequences, self.taps, self.others = op.split_inner()
        self.new_states, self.collected, _ = op.split_outputs()
        self.order = toposort(op.outputs, op.inputs)
        self.outside = {}  # variable du dedans -> (variable du dehors, levée ?)
        self.outside.update((v, (x, True)) for v, x in zip(self.sequences, sequences, strict=True))
        self.outside.update((v, (x, False)) for v, x in zip(self.others, others, strict=True))
        self.extra = []  # ce que la boucle doit recueillir en plus
        self.made = {}  # ancienne sortie, ou valeur promise -> sortie de la nouvelle boucle
        self.placeholders = {}  # ... et la variable qui en tient lieu dehors, en attendant

    def apply(self):
        self._lift_rows()
        sums = self._sums()
        core = [k for k in range(self.op.n_states) if k not in sums]
        self.needed = set(ancestors([self.new_states[k] for k in core], set(self.op.inputs)))
        totals = {k: self._total(term) for k, term in sums.items()}
        totals = {k: value for k, value in totals.items() if value is not None}
        values = {k: self._move_value(value) for k, value in enumerate(self.collected)}
        values = {k: value for k, value in values.items() if value is not None}
        self._make_loop(totals, values)

    # ---- ce qui ne dépend que des séquences

    def _lift_rows(self):
        """Lève tout ce qui peut l’être à partir des séquences et des entrées fixes."""
        self.row_products = []
        for node in self.order:
            if all(entry in self.outside or isinstance(entry, Constant) for entry in node.inputs):
                if self._lift(node) and self.outside[node.out][1]:
                    if not is_cheap(node) or self._is_a_launch(node):
                        self.row_products.append(node.out)

    def _is_a_launch(self, node):
        """Sur un périphérique, un petit calcul que la fusion n’absorbe pas (il se diffuse ensuite)
        coûterait un lancement par pas.
        """
        on_device = self.fgraph.launches and isinstance(node.op, Elemwise)
        return on_device and any(node.out.broadcastable) and not all(node.out.broadcastable)

    def _lift(self, node):
        if isinstance(node.op, ShapeAxis) and self._is_computed_inside(node.inputs[0]):
            return False  # la lever ferait calculer dehors, pour sa forme, ce qui l’est dedans
        pairs = [self.outside.get(entry, (entry, False)) for entry in node.inputs]
        with trace.inherit(node.trace):
            result = lift_node(node, [x for x, _ in pairs], [up for _, up in pairs], self.steps)
        if result is None:
            return False
        self.outside[node.out] = result
        return True

    def _is_computed_inside(self, variable):
        is_leaf = variable.owner is None or variable in self.row_products
        return not is_leaf and self.outside.get(variable, (None, True))[1]

    # ---- ce que le dehors demande

    def resolve(self, variable):
        """La variable, vue du dehors ; la boucle recueille ce qu’il faut."""
        for item in self._pending(variable):
            if item in self.outside:
                continue
            if isinstance(item, Constant):
                self.outside[item] = (item, False)
            elif item in self.needed or item.owner is None or not self._lift(item.owner):
                self.outside[item] = (self._collect(item), True)
        return self.outside[variable]

    def _pending(self, variable):
        """Ce qu’il faut connaître avant `variable`, entrées d’abord."""
        stack, order, seen = [variable], [], set()
        while stack:
            item = stack.pop()
            if item in seen:
                continue
            seen.add(item)
            order.append(item)
            if item not in self.outside and item not in self.needed and item.owner is not None:
                stack += item.owner.inputs
        known = set(order)
        return [v for v in self._sorted(known) if v in known]

    def _sorted(self, known):
        leaves = [variable for variable in known if variable.owner is None]
        return leaves + [out for node in self.order for out in node.outputs if out in known]

    def _collect(self, variable):
        for position, (taps, inners) in enumerate(zip(self.op.taps, self.taps, strict=True)):
            history, depth = self.node.outputs[position], self.op.depths[position]
            if not self.op.keep[position]:
                continue
            if variable is self.new_states[position]:
                return self._in_rows(history[depth:])
            for tap, inner in zip(taps, inners, strict=True):
                if variable is inner:
                    return self._in_rows(history[depth + tap : tap])
        if variable in self.collected:
            return self.node.outputs[self.op.n_states + self.collected.index(variable)]
        if variable not in self.placeholders:
            self.extra.append(variable)
            shape = (None, *variable.type.shape)
            type_ = variable.type.__class__(variable.dtype, shape=shape)
            self.placeholders[variable] = type_.make_variable()
        return self.placeholders[variable]

    def _in_rows(self, history):
        """Les états sont rangés pas après pas ; les séquences et ce que l’on recueille, selon les
        lignes, que la boucle lit peut-être de la dernière à la première.
        """
        return history[::-1] if self.op.reverse else history

    # ---- valeurs recueillies

    def _move_value(self, value):
        """L’expression du dehors d’une valeur recueillie, ou None si elle reste dans la boucle."""
        if value in self.outside and value.owner is not None and value not in self.placeholders:
            result, lifted = self.outside[value]
            return result if lifted else self._repeat(result)
        if value in self.needed or value.owner is None or not self._is_worth(value):
            return None
        result, lifted = self.resolve(value)
        return result if lifted and result is not self.placeholders.get(value) else None

    def _repeat(self, fixed):
        lengths = [fixed.shape[axis] for axis in range(fixed.ndim)]
        return Alloc()(fixed, self.steps, *lengths)

    def _is_worth(self, value):
        """Un produit par un poids gagne à être fait pour tous les pas à la fois ; un softmax, à
        rencontrer dehors le logarithme qui le suit.
        """
        stack, seen = [value], set()
        while stack:
            item = stack.pop()
            node = item.owner
            if item in seen or item in self.needed or item in self.outside or node is None:
                continue
            seen.add(item)
            if isinstance(node.op, Softmax | LogSoftmax):
                return True
            if isinstance(node.op, Dot) and any(
                isinstance(entry, Constant) or self.outside.get(entry, (None, True))[1] is False
                for entry in node.inputs
            ):
                return True
            stack += node.inputs
        return False

    # ---- accumulateurs

    def _sums(self):
        """{rang: terme} des états qui ne font qu’additionner, lus à la fin seulement."""
        inputs = {tap for taps in self.taps for tap in taps}
        found = {}
        for position, new in enumerate(self.new_states):
            node = new.owner
            plain = node is not None and self.op.taps[position] == (-1,) and self.op.keep[position]
            if not plain or scalar_name(node) != "add":
                continue
            tap = self.taps[position][0]
            terms = [entry for entry in node.inputs if entry is not tap]
            readers = [n for n in self.order if tap in n.inputs]
            if len(terms) != 1 or readers != [node] or tap in self.op.outputs:
                continue
            reads = [new in n.inputs for n in self.order]
            shared = any(reads) or self.op.outputs.count(new) > 1
            if (
                not shared
                and terms[0] not in inputs
                and last_readers(self.fgraph, self.node, position)
            ):
                found[position] = terms[0]
        return found

    def _total(self, term):
        if term.type.ndim == 0:
            return None
        before = list(self.extra), dict(self.placeholders), dict(self.outside)
        with trace.inherit(term.owner.trace if term.owner is not None else self.node.trace):
            result = total(term, self.resolve, self.steps, self.needed)
        if result is None:
            self.extra, self.placeholders, self.outside = before
        return result

    # ---- la nouvelle boucle

    def _make_loop(self, totals, values):
        op, node = self.op, self.node
        core = [k for k in range(op.n_states) if k not in totals]
        staying = [k for k in range(op.n_collected) if k not in values]
        roots = [self.new_states[k] for k in core]
        roots += [self.collected[k] for k in staying] + self.extra
        rows, fixed = self._borders(roots)
        if not (totals or values or rows or fixed):
            return
        if roots:
            self._make(core, staying, roots, rows, fixed)
        with trace.inherit(node.trace):
            for position, value in values.items():
                self._swap(node.outputs[op.n_states + position], value)
            for position, value in totals.items():
                final = _first_row(self.initials[position]) + value
                for reader in last_readers(self.fgraph, node, position):
                    result = final
                    if reader.node.op.template != ("i",) or not reader.is_sure(1, self.steps):
                        rows = final.dimshuffle("x", *range(final.ndim))
                        result = reader.again(rows, 1, self.steps)
                    self._swap(reader.node.out, result)

    def _swap(self, old, new):
        if old in self.fgraph.clients:
            new = clone(new, self.made)
            if old.type.accepts(new.type):
                self.fgraph.replace(old, new, "sortir_de_la_boucle")

    def _borders(self, roots):
        """Ce que le dedans lira du dehors au lieu de le calculer : (produits levés, fixes)."""
        rows, fixed = {}, {}
        stack, seen = list(roots), set()
        while stack:
            item = stack.pop()
            if item in seen or item.owner is None or item in self.op.inputs:
                continue
            seen.add(item)
            known = self.outside.get(item)
            if known is not None and not known[1] and item not in self.placeholders:
                fixed[item] = known[0]
            elif item in self.row_products:
                rows[item] = known[0]
            else:
                stack += item.owner.inputs
        return rows, fixed

    def _make(self, core, staying, roots, rows, fixed):
        op, node = self.op, self.node
        new_rows = {item: item.type.make_variable(item.name) for item in rows}
        new_fixed = {item: item.type.make_variable(item.name) for item in fixed}
        inner = [
            *self.sequences, *new_rows.values(),
            *(tap for k in core for tap in self.taps[k]),
            *self.others, *new_fixed.values(),
        ]  # fmt: skip
        loop = op.with_graph(
            inner,
            clone(roots, {**new_rows, **new_fixed}),
            n_sequences=op.n_sequences + len(rows),
            taps=[op.taps[k] for k in core],
            keep=[op.keep[k] for k in core],
        )
        _, sequences, initials, others = op.split_outer(node.inputs)
        with trace.inherit(node.trace):
            made = loop.apply(
                self.steps, *sequences, *rows.values(),
                *(initials[k] for k in core), *others, *fixed.values(),
            )  # fmt: skip
        olds = [node.outputs[k] for k in core]
        olds += [node.outputs[op.n_states + k] for k in staying]
        self.made = dict(zip(olds, made, strict=False))
        self.made.update(
            (self.placeholders[value], output)
            for value, output in zip(self.extra, made[len(olds) :], strict=True)
        )
        replace_outputs(self.fgraph, olds, made[: len(olds)], "sortir_de_la_boucle")


def _first_row(initial):
    """La valeur initiale d’un état de retard 1, sans l’axe du temps qu’on lui avait ajouté."""
    node = initial.owner
    if node is not None and isinstance(node.op, DimShuffle) and node.op.order[0] == "x":
        (x,) = node.inputs
        if node.op.order[1:] == tuple(range(x.ndim)):
            return x
    return initial[0]
