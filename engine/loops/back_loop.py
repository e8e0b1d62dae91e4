"""Dériver une boucle : une boucle qui remonte du dernier pas au premier.

Référence : P. Werbos, « Backpropagation through time: what it does and how to do it »,
Proceedings of the IEEE, 1990.
"""

from engine.core.elemwise import Elemwise, cast, scalar_name
from engine.core.gradient import backward
from engine.core.graph import ancestors, toposort, walk
from engine.core.types import FLOATS, TensorType
from engine.ops.reduce import Reduce
from engine.ops.shape import Alloc, MakeVector, Shape, ShapeAxis
from engine.tensor import inc_subtensor
from engine.tensor.cloning import clone


def is_cheap(node):
    """Dit si l’on refait un calcul plus volontiers qu’on n’en garde le résultat à chaque pas.

    Une somme d’exponentielles est refaite : gardée, elle aurait débordé, et les réécritures de la
    remontée ne reconnaîtraient plus de quoi elle est la somme.
    """
    op = node.op
    if isinstance(op, Elemwise | Shape | ShapeAxis | Alloc | MakeVector) or bool(op.view_map):
        return True
    terms = node.inputs[0].owner if isinstance(op, Reduce) else None
    return scalar_name(terms) == "exp"


class BackwardLoop:
    """Le gradient d’une boucle : une boucle qui remonte du dernier pas au premier.

    Au pas t, le gradient d’un état est ce que le dehors en veut, plus ce que les pas suivants en
    attendent (`pending`, un accumulateur par retard). Le gradient intérieur en tire la part de
    chaque entrée : recueillie pour une séquence, additionnée pour ce qui sert à tous les pas.

    Les valeurs coûteuses (produits, réductions...) que la remontée relit sont gardées par la boucle
    aller (`saved`) ; celles qu’il est facile de refaire sont refaites.
    """

    def __init__(self, op, inputs, outputs, output_grads):
        self.op = op
        self.outer_inputs = list(inputs)
        self.n_steps, self.sequences, self.initials, self.others = op.split_outer(inputs)
        self.inner_sequences, self.inner_states, self.inner_others = op.split_inner()
        self.new_states, self.collected, _ = op.split_outputs()
        self.outputs = list(outputs)
        self.output_grads = list(output_grads)
        self.steps = self._actual_steps()
        self.window = self.steps
        if op.truncate > 0:
            self.window = self.steps.minimum(op.truncate).astype("int64")
        self.rows = []  # (variable intérieure, séquence du dehors) de la remontée
        self.states = []  # (variable intérieure, valeur initiale, nouvelle valeur)

    def _actual_steps(self):
        if not self.op.until:
            return self.n_steps
        depth = self.op.depths[0] if self.op.taps else 0
        return self.outputs[0].shape[0] - depth

    def contributions(self):
        active = self._active()
        seeds, pending = {}, {}
        for position in sorted(active):
            for variable, gradient in self._seed(position, pending):
                seeds[variable] = seeds[variable] + gradient if variable in seeds else gradient
        wrt = [variable for variable in self.op.inputs if variable.dtype in FLOATS]
        grads = backward(seeds, wrt) if seeds else {}
        grads = {variable: cast(grads[variable], variable.dtype) for variable in wrt
                 if variable in grads}  # fmt: skip
        for position, accumulators in pending.items():
            self._follow(position, accumulators, grads)
        totals = self._totals(grads)
        wanted = [variable for variable in self.inner_sequences if variable in grads]
        results = self._run([grads[variable] for variable in wanted])
        finals, rows = results[: len(self.states)], results[len(self.states) :]
        rows = dict(zip(wanted, rows, strict=True))
        finals = {inner: final for (inner, _, _), final in zip(self.states, finals, strict=True)}
        return [
            None,
            *(self._sequence_gradient(v, x, rows) for v, x in zip(
                self.inner_sequences, self.sequences, strict=True)),
            *(self._initial_gradient(k, pending, finals) for k in range(self.op.n_states)),
            *(finals[totals[v]][-1] if v in totals else None for v in self.inner_others),
        ]  # fmt: skip

    def _active(self):
        """Les rangs des sorties dont le coût dépend, au travers des pas suivants compris."""
        values = [*self.new_states, *self.collected]
        needs = [set(ancestors([value], set(self.op.inputs))) for value in values]
        active = {
            k
            for k, gradient in enumerate(self.output_grads)
            if gradient is not None and values[k].dtype in FLOATS
        }
        growing = True
        while growing:
            growing = False
            for position, taps in enumerate(self.inner_states):
                if position in active or taps[0].dtype not in FLOATS:
                    continue
                if any(tap in needs[other] for tap in taps for other in active):
                    active.add(position)
                    growing = True
        return active

    def _seed(self, position, pending):
        """Les gradients reçus par la sortie intérieure `position`."""
        op, gradient = self.op, self.output_grads[position]
        if position >= op.n_states:
            inner = self.collected[position - op.n_states]
            yield inner, self._row(inner, self._ordered(gradient))
            return
        inner, depth = self.new_states[position], op.depths[position]
        if gradient is not None:
            yield inner, self._row(inner, self._past(gradient, depth, 0))
        accumulators = [self.inner_states[position][0].type.make_variable() for _ in range(depth)]
        pending[position] = accumulators
        yield inner, accumulators[0]

    def _row(self, like, sequence):
        """Une entrée intérieure de plus, qui lit `sequence` ligne par ligne."""
        row = TensorType(sequence.dtype, shape=like.type.shape)()
        self.rows.append((row, sequence))
        return row

    def _ordered(self, x):
        """La fenêtre des lignes d’une séquence, ou d’une valeur recueillie."""
        if self.op.reverse:
            return x if self.op.truncate < 0 else x[: self.window]
        if self.op.truncate < 0:
            return x[: self.steps] if self.op.until else x
        return x[self.steps - self.window : self.steps]

    def _past(self, history, depth, tap):
        """La fenêtre des valeurs d’un état, retardées de `tap`, dans l’ordre de la remontée."""
        start = depth + tap if self.op.truncate < 0 else depth + tap + self.steps - self.window
        rows = history[start : (tap if tap else None)]
        return rows[::-1] if self.op.reverse else rows

    def _follow(self, position, accumulators, grads):
        """Ce que chaque pas attend de cet état des pas d’avant : un décalage par retard."""
        taps = dict(zip(self.op.taps[position], self.inner_states[position], strict=True))
        start = self.initials[position][:1].zeros_like()
        for place, accumulator in enumerate(accumulators):
            later = accumulators[place + 1] if place + 1 < len(accumulators) else None
            gradient = grads.get(taps.get(-place - 1))
            parts = [part for part in (later, gradient) if part is not None]
            value = parts[0] if parts else accumulator.zeros_like()
            self.states.append((accumulator, start, value + parts[1] if len(parts) > 1 else value))

    def _totals(self, grads):
        """Un accumulateur par entrée qui sert à tous les pas ; rend {entrée: accumulateur}."""
        totals = {}
        for inner, outer in zip(self.inner_others, self.others, strict=True):
            if inner in grads:
                totals[inner] = total = inner.type.make_variable()
                start = outer.zeros_like(dtype=inner.dtype).dimshuffle("x", *range(outer.ndim))
                self.states.append((total, start, total + grads[inner]))
        return totals

    def _run(self, wanted):
        """Construit la boucle qui remonte ; rend ses sorties."""
        values = [new for _, _, new in self.states] + wanted
        if not values:
            return []
        values = self._use_saved(values)
        op = self.op
        for inner, outer in zip(self.inner_sequences, self.sequences, strict=True):
            self.rows.append((inner, self._ordered(outer)))
        for position, (taps, inners) in enumerate(zip(op.taps, self.inner_states, strict=True)):
            for tap, inner in zip(taps, inners, strict=True):
                history = self._past(self.outputs[position], op.depths[position], tap)
                self.rows.append((inner, history))
        inputs = [
            *(row for row, _ in self.rows),
            *(inner for inner, _, _ in self.states),
            *self.inner_others,
        ]
        loop = op.with_graph(
            inputs,
            values,
            n_sequences=len(self.rows),
            taps=[(-1,)] * len(self.states),
            until=False,
            reverse=not op.reverse,
            truncate=-1,
            keep=None,
            name=f"gradient de {op.name}" if op.name else "gradient",
        )
        arguments = [*(x for _, x in self.rows), *(start for _, start, _ in self.states)]
        return loop.apply(self.window, *arguments, *self.others)

    def _use_saved(self, values):
        """Remplace, dans la remontée, les valeurs coûteuses par celles que l’aller a gardées."""
        op = self.op
        inputs = set(op.inputs)
        stored = {*self.new_states, *self.collected} - inputs
        kept = {
            variable
            for variable in ancestors(op.outputs, inputs)
            if variable.owner is not None and variable not in inputs
            and (variable in stored or not is_cheap(variable.owner))
        }  # fmt: skip
        found = [variable for variable in walk(values, kept | inputs) if variable in kept]
        found = list(dict.fromkeys(self._summed_up(found, values)))
        if not found:
            return values
        extra = [variable for variable in found if variable not in stored]
        outputs = self.outputs
        if extra:
            place = op.n_states + op.n_collected
            inner = [*op.outputs[:place], *extra, *op.outputs[place:]]
            outputs = op.with_graph(op.inputs, inner).apply(*self.outer_inputs)
        replacements = {}
        for variable in found:
            if variable in self.new_states:
                position = self.new_states.index(variable)
                rows = self._past(outputs[position], op.depths[position], 0)
            elif variable in self.collected:
                rows = self._ordered(outputs[op.n_states + self.collected.index(variable)])
            else:
                rows = self._ordered(outputs[op.n_states + op.n_collected + extra.index(variable)])
            replacements[variable] = self._row(variable, rows)
        return clone(values, replacements)

    def _summed_up(self, found, values):
        """Plutôt qu’une valeur, ce que l’aller en fait, si la remontée n’en lit rien d’autre : de
        x + h U, la somme, et x n’a plus à être relu. Celles dont seule la forme sert sont omises.
        """
        forward, readers = set(ancestors(self.op.outputs, set(self.op.inputs))), {}
        for node in toposort(values, self.op.inputs):
            for entry in () if isinstance(node.op, Shape | ShapeAxis) else node.inputs:
                readers.setdefault(entry, set()).add(node)
        for variable in found:
            last, nodes = variable, readers.get(variable, ())
            if not nodes and variable not in values:
                continue
            while last not in self.new_states and len(nodes) == 1:
                (node,) = nodes
                new = node.outputs[0]
                if not isinstance(node.op, Elemwise) or new not in forward or new in values:
                    break
                if new.type != variable.type:
                    break
                last, nodes = new, readers.get(new, ())
            yield last

    def _sequence_gradient(self, inner, outer, rows):
        if inner not in rows:
            return None
        if self.op.truncate < 0 and not self.op.until:
            return rows[inner]
        start = 0 if self.op.reverse else self.steps - self.window
        zeros = outer.zeros_like(dtype=inner.dtype)
        return inc_subtensor(zeros[start : start + self.window], rows[inner])

    def _initial_gradient(self, position, pending, finals):
        if position not in pending:
            return None
        rows = [finals[accumulator][-1:] for accumulator in reversed(pending[position])]
        gradient = rows[0].join_with(0, *rows[1:]) if len(rows) > 1 else rows[0]
        if self.op.truncate > 0:  # la remontée s’est arrêtée avant le premier pas
            gradient = gradient * self.window.eq(self.steps).astype(gradient.dtype)
        outside = self.output_grads[position]
        return gradient if outside is None else gradient + outside[: self.op.depths[position]]
