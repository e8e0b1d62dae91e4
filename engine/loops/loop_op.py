"""La boucle comme une opération : `Scan`, qui porte un graphe intérieur et l’applique pas à pas.

Au pas t, le graphe intérieur reçoit la ligne t de chaque séquence, les valeurs passées de chaque
état (ses `taps` : -1 le pas d’avant, -2 celui d’encore avant...) et les autres entrées, les mêmes à
tous les pas. Il rend les nouveaux états, les valeurs à recueillir et, au besoin, la condition
d’arrêt.

Le gradient d’une boucle est une boucle qui tourne dans l’autre sens (`L_op`).

Ordre de lecture : `Scan`, `Scan.run`, `Scan.L_op`, puis `engine.loops.back_loop`.

Référence : P. Werbos, « Backpropagation through time: what it does and how to do it »,
Proceedings of the IEEE, 1990.
"""

import itertools

import numpy as np

from engine.core.errors import ShapeError
from engine.core.graph import Apply, clone_with_map, tell_built, walk
from engine.core.settings import config
from engine.core.types import TensorType, as_tensor_variable, constant
from engine.loops.back_loop import BackwardLoop
from engine.loops.nested import Nested, graph_key
from engine.loops.step_count import negative_count, too_short
from engine.ops.arguments import as_length
from engine.ops.test_value import get_test_value
from engine.tensor.cloning import clone


class Scan(Nested):
    """Applique un graphe intérieur pas à pas.

    Entrées du nœud : le nombre de pas, les séquences (une ligne par pas), la valeur initiale de
    chaque état (autant de lignes que son plus grand retard), les autres. Sorties : l’histoire de
    chaque état, lignes initiales comprises (ou ses dernières lignes seulement, si `keep` est
    faux), puis chaque valeur recueillie, une ligne par pas.

    Paramètres
        inputs : variables intérieures (lignes des séquences, retards des états, autres).
        outputs : variables intérieures (nouveaux états, valeurs recueillies, condition d’arrêt).
        n_sequences : nombre de séquences.
        taps : pour chaque état, ses retards, négatifs.
        until : la dernière sortie intérieure est une condition d’arrêt.
        reverse : lire les séquences, et ranger les valeurs recueillies, de la dernière ligne à la
            première.
        truncate : nombre de pas que le gradient remonte (-1 : tous).
        keep : pour chaque état, garder toute son histoire.
        name : le nom de la boucle, pour les messages et les dessins.
    """

    tested_by = "un graphe intérieur : test_scan"
    copies_results = True

    def __init__(
        self,
        inputs,
        outputs,
        n_sequences,
        taps,
        until=False,
        reverse=False,
        truncate=-1,
        keep=None,
        name=None,
    ):
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.n_sequences = n_sequences
        self.taps = tuple(map(tuple, taps))
        self.until = until
        self.reverse = reverse
        self.truncate = truncate
        self.keep = tuple(keep) if keep is not None else (True,) * len(self.taps)
        self.name = name
        self.depths = tuple(-min(taps) for taps in self.taps)
        super().__init__()
        self._signature = self._hash = None

    # ---- ce que le graphe intérieur contient -----------------------------------------------

    @property
    def settings(self):
        """Les réglages, sans le graphe : ce que `with_graph` conserve."""
        names = ("n_sequences", "taps", "until", "reverse", "truncate", "keep", "name")
        return {name: getattr(self, name) for name in names}

    def with_graph(self, inputs, outputs, **changes):
        """La même boucle autour d’un autre graphe intérieur."""
        return type(self)(inputs, outputs, **{**self.settings, **changes})

    def inner_graphs(self):
        return [(self.inputs, self.outputs)]

    def with_graphs(self, graphs):
        ((inputs, outputs),) = graphs
        return self.with_graph(inputs, outputs)

    @property
    def n_states(self):
        """Le nombre d’états."""
        return len(self.taps)

    @property
    def n_collected(self):
        """Le nombre de valeurs recueillies."""
        return len(self.outputs) - self.n_states - self.until

    def split_inner(self):
        """Les entrées intérieures : séquences, retards (une liste par état), autres."""
        rest = iter(self.inputs)
        sequences = list(itertools.islice(rest, self.n_sequences))
        states = [list(itertools.islice(rest, len(taps))) for taps in self.taps]
        return sequences, states, list(rest)

    def split_outer(self, inputs):
        """Les entrées du nœud : nombre de pas, séquences, valeurs initiales, autres."""
        first, second = 1 + self.n_sequences, 1 + self.n_sequences + self.n_states
        return inputs[0], list(inputs[1:first]), list(inputs[first:second]), list(inputs[second:])

    def split_outputs(self):
        """Les sorties intérieures : nouveaux états, valeurs recueillies, condition (ou None)."""
        states = self.outputs[: self.n_states]
        collected = self.outputs[self.n_states : self.n_states + self.n_collected]
        return states, collected, self.outputs[-1] if self.until else None

    def _key(self):
        if self._signature is None:
            settings = tuple(sorted(self.settings.items()))
            self._signature = (type(self), settings, graph_key(self.inputs, self.outputs))
        return self._signature

    def __hash__(self):
        if self._hash is None:
            self._hash = hash(self._key())
        return self._hash

    def __reduce__(self):
        return _unpickled, (type(self), self.inputs, self.outputs, self.settings)

    # ---- construire, connaître la forme ----------------------------------------------------

    def make_node(self, n_steps, *inputs):
        inputs = [as_length(n_steps), *map(as_tensor_variable, inputs)]
        _, _, initials, _ = self.split_outer(inputs)
        _, collected, _ = self.split_outputs()
        types = [
            TensorType(initial.dtype, shape=(None, *initial.type.shape[1:])) for initial in initials
        ]
        types += [TensorType(value.dtype, shape=(None, *value.type.shape)) for value in collected]
        outputs = [type_.make_variable() for type_ in types]
        return Apply(self, inputs, outputs)

    def remake(self, inputs):
        """Refait le pas pour des lignes, des états et des valeurs d’autres types."""
        _, sequences, initials, others = self.split_outer(inputs)
        types = [TensorType(x.dtype, shape=x.type.shape[1:]) for x in sequences]
        for initial, taps in zip(initials, self.taps, strict=True):
            # une longueur initiale de 1 n’engage pas les pas suivants
            shape = [None if length == 1 else length for length in initial.type.shape[1:]]
            types += [TensorType(initial.dtype, shape=shape)] * len(taps)
        types += [x.type for x in others]
        fresh = [type_(old.name) for type_, old in zip(types, self.inputs, strict=True)]
        replace = dict(zip(self.inputs, fresh, strict=True))
        outputs, _ = clone_with_map(self.outputs, replace)
        return self.with_graph(fresh, outputs).make_node(*inputs)

    def infer_shape(self, node, input_shapes):
        n_steps = node.inputs[0]
        _, _, initial_shapes, _ = self.split_outer(input_shapes)
        shapes = []
        for shape, depth, keep in zip(initial_shapes, self.depths, self.keep, strict=True):
            length = constant(np.int64(depth))
            if keep:
                length = None if self.until else n_steps + depth
            shapes.append((length, *shape[1:]))
        steps = None if self.until else n_steps
        return shapes + [(steps, *row) for row in self._row_shapes(node, input_shapes)]

    def _row_shapes(self, node, input_shapes):
        """La forme de chaque valeur recueillie, en longueurs du dehors (None : inconnue)."""
        _, collected, _ = self.split_outputs()
        if not collected:
            return []
        sequences, states, others = self.split_inner()
        _, outer_sequences, initial_shapes, outer_others = self.split_outer(input_shapes)
        shapes = dict(zip(others, outer_others, strict=True))
        shapes.update(zip(sequences, (shape[1:] for shape in outer_sequences), strict=True))
        for taps, shape in zip(states, initial_shapes, strict=True):
            shapes.update((tap, shape[1:]) for tap in taps)
        unknown = set()
        for variable in walk(collected, stop=shapes.keys()):
            if variable not in shapes:
                shapes[variable] = _inner_shape(variable, shapes, unknown)
        same = dict(zip(others, self.split_outer(node.inputs)[3], strict=True))
        inner = set(self.inputs) - same.keys() | unknown

        def outside(length):
            leaves = walk([length], stop=inner)
            return None if any(leaf in inner for leaf in leaves) else clone(length, same)

        return [tuple(outside(length) for length in shapes[value]) for value in collected]

    def infer_dims(self, node):
        _, sequences, initials, _ = self.split_outer(node.inputs)
        time = next((x.dims[0] for x in sequences if x.dims[0]), None)
        states, collected, _ = self.split_outputs()
        rows = [
            tuple(a or b for a, b in zip(initial.dims[1:], new.dims, strict=True))
            for initial, new in zip(initials, states, strict=True)
        ]
        rows += [value.dims for value in collected]
        return [(time, *names) for names in rows]

    # ---- calculer --------------------------------------------------------------------------

    def run(self, steps, n_steps, *arrays):
        (step,) = steps
        n_steps = int(n_steps)
        first, second = self.n_sequences, self.n_sequences + self.n_states
        sequences, initials, others = arrays[:first], arrays[first:second], arrays[second:]
        self._check(n_steps, sequences, initials)
        histories, reads = [], []
        for initial, taps, depth, keep in zip(
            initials, self.taps, self.depths, self.keep, strict=True
        ):
            # une ligne de plus que les retards : ce qu’un pas lit n’est jamais ce qu’il écrit
            count = depth + (n_steps if keep else 1)
            buffer = _room(initial, (count, *initial.shape[1:]))
            buffer[:depth] = initial
            rows = _rows(buffer)
            histories.append((buffer, rows, depth, buffer.shape[1:]))
            reads += [(rows, depth + tap, count) for tap in taps]
        columns = [_rows(sequence) for sequence in sequences]
        if self.reverse:
            columns = [reversed(column) for column in columns]
        collected = _Collected(self, n_steps)
        lines = zip(*columns, strict=True) if columns else itertools.repeat(())
        n_states, done = self.n_states, n_steps
        for t, row in zip(range(n_steps), lines, strict=False):
            past = [rows[(t + shift) % count] for rows, shift, count in reads]
            results = step(*row, *past, *others)
            for position, (_, rows, depth, shape) in enumerate(histories):
                result = results[position]
                if result.shape != shape:
                    raise self._wrong_shape(position, t, result, shape)
                self.store(rows[(t + depth) % len(rows)], result)
            collected.store(t, results[n_states : n_states + self.n_collected])
            if self.until and results[-1]:
                done = t + 1
                break
        if not n_steps:
            collected.histories = self._nothing_collected(step, sequences, initials, others)
        return self._finish(histories, collected.histories, done, n_steps)

    def store(self, row, result):
        """Range le résultat d’un pas à sa ligne, que rien de ce pas ne lit."""
        row[...] = result

    def _nothing_collected(self, step, sequences, initials, others):
        """Ce que recueille une boucle sans aucun pas : zéro ligne, de la forme qu’elles auraient.

        Cette forme se découvre en faisant un pas sur des zéros, dont le résultat est jeté ; si les
        zéros ne conviennent pas au pas, les longueurs que l’on ignore sont nulles.
        """
        values = self.split_outputs()[1]
        shapes = [value.type.shape for value in values]
        like = [*initials, *sequences, *others, np.empty(0)][0]
        if any(None in shape for shape in shapes):
            rows = [_room(sequence, sequence.shape[1:]) for sequence in sequences]
            for row in rows:
                row[...] = 0
            reads = zip(self.taps, initials, strict=True)
            past = [_rows(initial)[0] for taps, initial in reads for _ in taps]
            try:
                with np.errstate(all="ignore"):
                    results = step(*rows, *past, *others)
                shapes = [value.shape for value in results[self.n_states :]]
            except Exception:
                shapes = [[length or 0 for length in shape] for shape in shapes]
        pairs = zip(values, shapes, strict=False)
        return [_room(like, (0, *shape), value.dtype) for value, shape in pairs]

    def _finish(self, histories, collected, done, n_steps):
        outputs = []
        for (buffer, rows, depth, _), keep in zip(histories, self.keep, strict=True):
            if keep:
                outputs.append(buffer if done == n_steps else buffer[: depth + done])
            elif depth == 1:
                outputs.append(buffer[done % len(rows) : done % len(rows) + 1])
            else:
                last = _room(buffer, (depth, *buffer.shape[1:]))
                for place in range(depth):
                    last[place] = rows[(done + place) % len(rows)]
                outputs.append(last)
        outputs += [history if done == n_steps else history[:done] for history in collected]
        return outputs

    def _check(self, n_steps, sequences, initials):
        if n_steps < 0:
            raise negative_count(self, n_steps)
        for variable, sequence in zip(self.inputs, sequences, strict=False):
            if len(sequence) != n_steps:
                raise too_short(self, n_steps, variable, len(sequence))
        for initial, depth, tap in zip(initials, self.depths, self.split_inner()[1], strict=True):
            if len(initial) != depth:
                raise ShapeError(
                    f"{self} : la valeur initiale de {tap[0]} n'a pas une ligne par retard",
                    expected=f"{depth} ligne(s)",
                    received=f"forme {initial.shape}",
                )

    def _wrong_shape(self, position, t, result, shape):
        (tap, *_) = self.split_inner()[1][position]
        return ShapeError(
            f"{self} : un état change de forme au pas {t}",
            expected=f"{shape}, la forme de la valeur initiale de {tap}",
            received=f"{result.shape}",
            hint="donnez à la valeur initiale la forme que la fonction rend (T.zeros(...), "
            "T.alloc(...))",
        )

    # ---- dériver ---------------------------------------------------------------------------

    def L_op(self, inputs, outputs, output_grads):
        with config.change_flags(compute_test_value="off"):  # le dedans n’en a pas
            found = BackwardLoop(self, inputs, outputs, output_grads).contributions()
        if config.compute_test_value != "off":
            _announce([item for item in found if item is not None], {*inputs, *outputs})
        return found

    def __str__(self):
        return f"scan{{{self.name}}}" if self.name else "scan"


def _unpickled(kind, inputs, outputs, settings):
    return kind(inputs, outputs, **settings)


def _announce(variables, known):
    """Présente aux crochets de construction les nœuds faits sans eux."""
    for node in dict.fromkeys(variable.owner for variable in walk(variables, known)):
        if node is not None and get_test_value(node.outputs[0]) is None:
            tell_built(node)


def _inner_shape(variable, shapes, unknown):
    """La forme d’une variable intérieure, d’après celles de ses entrées."""
    node, found = variable.owner, None
    if node is not None:
        found = node.op.infer_shape(node, [shapes[entry] for entry in node.inputs])[variable.index]
    lengths = []
    for static, length in zip(variable.type.shape, found or [None] * variable.ndim, strict=True):
        if static is not None:
            lengths.append(constant(np.int64(static)))
        elif length is not None:
            lengths.append(length)
        else:
            lengths.append(TensorType("int64")())
            unknown.add(lengths[-1])
    return tuple(lengths)


def _room(like, shape, dtype=None):
    """Un tableau à remplir, au même endroit que `like` (l’hôte, un GPU), et de même dtype."""
    dtype = like.dtype if dtype is None else np.dtype(dtype)
    if isinstance(like, np.ndarray | np.generic):
        return np.empty(shape, dtype)
    return like.room(shape, dtype)


def _rows(array):
    """Les lignes d’un tableau, qui regardent sa mémoire."""
    return list(array) if array.ndim > 1 else [array[t, ...] for t in range(len(array))]


class _Collected:
    """Les valeurs recueillies, rangées à mesure ; leur forme est celle du premier pas."""

    def __init__(self, op, n_steps):
        self.op = op
        self.n_steps = n_steps
        self.histories = [None] * op.n_collected
        self._rows = []

    def store(self, t, results):
        """Range les valeurs du pas t."""
        if not t:
            self._prepare(results)
        for result, rows in zip(results, self._rows, strict=True):
            if result.shape != rows[t].shape:
                raise self._wrong_shape(t, result, rows[t])
            self.op.store(rows[t], result)

    def _prepare(self, results):
        for position, result in enumerate(results):
            self.histories[position] = _room(result, (self.n_steps, *result.shape))
            rows = _rows(self.histories[position])
            self._rows.append(rows[::-1] if self.op.reverse else rows)

    def _wrong_shape(self, t, result, row):
        return ShapeError(
            f"{self.op} : une valeur recueillie change de forme au pas {t}",
            expected=f"{row.shape}, comme aux pas précédents",
            received=f"{result.shape}",
            hint="complétez-la à une longueur fixe, ou ne recueillez que ce qui ne change pas",
        )
