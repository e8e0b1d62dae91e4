"""Une boucle entière en un seul noyau : le graphe intérieur d’un `Scan`, écrit pas après pas.

Ni tableau créé, ni retour à Python entre deux pas : chaque résultat est écrit à la ligne qu’il
occupera, une tranche ou une transposée n’est qu’une autre façon d’indicer, une somme « c + a b »
part de c. Quand aucune ligne des états ne dépend d’une autre (les exemples d’un lot), les fils se
partagent les lignes et font chacun tous les pas, sans s’attendre.

Un graphe qui contient autre chose que des opérations terme à terme, des produits, des tranches, des
transpositions et des mises bout à bout n’est pas écrit ainsi : la boucle reste en Python, de même
pour un appel dont les formes demandent une diffusion imprévue.

Ordre de lecture : `loop_kernel`, `_Loop` (un appel), `shapes_of`, `separable` ; le texte est dans
`loop_text`.
"""

import itertools
from math import prod

import numpy as np

from engine.backends.numba.compiling import compile_kernel, contiguous
from engine.backends.numba.indexing import inside
from engine.backends.numba.loop_text import LANES, Writer, is_view
from engine.backends.numba.threads import run_parts, slices
from engine.backends.scalar_text import follow, steps_of
from engine.core.dtypes import HALVES
from engine.core.elemwise import Elemwise
from engine.core.graph import toposort
from engine.core.registry import kernel
from engine.core.types import TensorConstant
from engine.loops.loop_op import Scan
from engine.ops.index import Subtensor, join_index
from engine.ops.products import Dot
from engine.ops.shape import DimShuffle, Join

MIN_ROWS = 8  # lignes par fil
MIN_WORK = 20_000  # éléments calculés en tout, au-dessous desquels un seul fil suffit
MAX_PLANS = 100  # formes d’arguments que l’on garde préparées
STRETCH = 100_000_000  # éléments calculés d’affilée : entre deux fois, Ctrl-C est entendu
PRODUCTS = 100  # multiplications d’un produit de matrices dans le temps d’un élément calculé


@kernel(Scan, "numba")
def loop_kernel(node, reuse):
    """La fonction des tableaux qui fait toute la boucle, ou rend None si les formes d’un appel ne
    s’y prêtent pas ; None si le graphe intérieur ne s’y prête pas.
    """
    op = node.op
    order = toposort(op.outputs, op.inputs)
    sequences, _, others = op.split_inner()
    products = {inner.out.dtype for inner in order if isinstance(inner.op, Dot)}
    if (
        op.until
        or len(products) > 1
        or not all(_writable(inner, sequences, others) for inner in order)
    ):
        return None
    writer = Writer(op, order)
    body = writer.text()
    compiled = compile_kernel("loop", str(op), body, writer.signature(node), nogil=True)
    return _Loop(op, order, writer, compiled, reuse)


def _writable(node, sequences, others):
    """Dit si l’on sait écrire ce nœud d’une boucle, dont voici les entrées venues du dehors."""
    op, dtypes = node.op, {variable.dtype for variable in (*node.inputs, *node.outputs)}
    if dtypes.intersection(HALVES):
        return False
    if isinstance(op, Elemwise):
        return not any({*s.computes, s.dtype}.intersection(HALVES) for s in steps_of(node))
    if isinstance(op, Dot):
        return len(dtypes) == 1 and dtypes <= LANES.keys()
    if isinstance(op, Subtensor) and op.template == ("a",):
        table, positions = node.inputs
        whole = table.ndim == 2 and positions.ndim == 1 and positions.dtype in ("int32", "int64")
        return whole and table in others and positions in [*sequences, *others]
    if isinstance(op, Subtensor):
        return all(
            item in ("n", "i") or (item[0] == "s" and not item[3]) for item in op.template
        ) and all(
            isinstance(bound, TensorConstant) and bound.data >= 0 for bound in node.inputs[1:]
        )
    return isinstance(op, DimShuffle | Join) and len(dtypes) == 1


class _Loop:
    """La fonction d’appel : formes vérifiées, mémoire prévue, noyau lancé.

    `reuse` : garder la mémoire des résultats d’un appel à l’autre.
    """

    def __init__(self, op, order, writer, compiled, reuse):
        self.op, self.order, self.writer = op, order, writer
        self.kernel, self.reuse = compiled, reuse
        self.constants = [contiguous(variable.data) for variable in writer.constants]
        self.alone = not separable(op, order)
        places = {v: k for k, v in enumerate((*op.split_inner()[0], *op.split_inner()[2]))}
        self.gathers = [
            tuple(places[entry] for entry in inner.inputs)
            for inner in order
            if isinstance(inner.op, Subtensor) and not is_view(inner.op)
        ]
        self.plans = {}
        states, collected, _ = op.split_outputs()
        self.results = [(v, v.type.numpy_dtype) for v in (*states, *collected)]
        self.memory = [np.empty(0, dtype) for _, dtype in self.results]

    def __call__(self, n_steps, *arrays):
        op, n_steps = self.op, int(n_steps)
        first, second = op.n_sequences, op.n_sequences + op.n_states
        shapes = tuple([array.shape for array in arrays])
        plan = self.plans.get((n_steps, shapes))
        if plan is None:
            if len(self.plans) >= MAX_PLANS:
                self.plans.clear()
            plan = self._plan(n_steps, shapes[:first], shapes[first:second], shapes[second:])
            self.plans[n_steps, shapes] = plan
        if not plan:
            return None
        rows, parts, stretch = plan
        fixed = arrays[:first] + arrays[second:]
        if not all(inside(fixed[table], fixed[positions]) for table, positions in self.gathers):
            return None
        results = [self._room(k, shape) for k, shape in enumerate(rows)]
        for buffer, initial, depth in zip(results, arrays[first:second], op.depths, strict=False):
            buffer[:depth] = initial
        inputs = [contiguous(array) for array in fixed]
        arguments = (*inputs, *self.constants, *results)
        for begin in range(0, n_steps, stretch):
            steps = begin, min(begin + stretch, n_steps), n_steps
            run_parts(self.kernel, [(*steps, numbers, *arguments) for numbers in parts])
        for k, (keep, depth) in enumerate(zip(op.keep, op.depths, strict=True)):
            if not keep:
                lines = [(n_steps + place) % (depth + 1) for place in range(depth)]
                results[k] = results[k][lines]
        return results if len(results) > 1 else results[0]

    def _plan(self, n_steps, sequences, initials, others):
        """Les formes des résultats, les nombres de chaque fil, et combien de pas le noyau fait
        d’affilée ; False si c’est impossible.
        """
        op = self.op
        if n_steps < 1 or any(shape[0] != n_steps for shape in sequences):
            return False
        if any(shape[0] != depth for shape, depth in zip(initials, op.depths, strict=True)):
            return False
        taps = [shape[1:] for shape, lags in zip(initials, op.taps, strict=True) for _ in lags]
        known = [*(shape[1:] for shape in sequences), *taps, *others]
        shapes = shapes_of(op, self.order, known)
        if shapes is None:
            return False
        rows = []
        for k, (variable, _) in enumerate(self.results):
            count = n_steps
            if k < op.n_states:
                if shapes[variable] != initials[k][1:]:
                    return False
                count = op.depths[k] + (n_steps if op.keep[k] else 1)
            rows.append((count, *shapes[variable]))
        numbers = [shapes[variable][axis] for variable, axis in self.writer.lengths]
        spread = [shapes[variable][0] for variable in self.writer.bounded]
        parts = [(0, None)]
        work = sum(prod(shapes[v]) for node in self.order for v in node.outputs)
        products = sum(
            prod(shapes[node.out]) * shapes[node.inputs[0]][-1]
            for node in self.order
            if isinstance(node.op, Dot)
        )
        stretch = STRETCH // (work + products // PRODUCTS + 1) + 1
        if not self.alone and len(set(spread)) == 1 and n_steps * work > MIN_WORK:
            parts = slices(spread[0], MIN_ROWS)
        numbers = [
            np.array(
                [*numbers, *(bound for length in spread for bound in (begin, end or length))],
                "int64",
            )
            for begin, end in parts
        ]
        return rows, numbers, stretch

    def _room(self, position, shape):
        if self.reuse and self.memory[position].shape == shape:
            return self.memory[position]
        room = np.empty(shape, self.results[position][1])
        if self.reuse:
            self.memory[position] = room
        return room


# ---- formes et lignes ----------------------------------------------------------------------


def shapes_of(op, order, known):
    """Les formes de toutes les variables intérieures ; None si elles demandent une diffusion que
    les types n’annoncent pas, ou ne s’accordent pas.
    """
    shapes = dict(zip(op.inputs, map(tuple, known), strict=True))
    for variable in itertools.chain(op.outputs, *(node.inputs for node in order)):
        if isinstance(variable, TensorConstant):
            shapes[variable] = variable.data.shape
    for node in order:
        shape = _shape(node, [shapes[entry] for entry in node.inputs])
        if shape is None:
            return None
        shapes.update((output, shape) for output in node.outputs)
    return shapes


def _shape(node, shapes):
    op, out = node.op, node.outputs[0]
    if isinstance(op, Elemwise):
        lengths = [set() for _ in range(out.ndim)]
        for entry, shape in zip(node.inputs, shapes, strict=True):
            axes = follow(entry.type, out.type)[out.ndim - entry.ndim :]
            for found, moves, length in zip(
                lengths[out.ndim - entry.ndim :], axes, shape, strict=True
            ):
                if moves:
                    found.add(length)
        if any(len(found) > 1 for found in lengths):
            return None
        return tuple(found.pop() if found else 1 for found in lengths)
    if isinstance(op, Dot):
        left, right = shapes
        return left[:-1] + right[1:] if left[-1] == right[0] else None
    if isinstance(op, Subtensor) and not is_view(op):
        return shapes[1] + shapes[0][1:]
    if isinstance(op, DimShuffle):
        (shape,) = shapes
        if any(shape[axis] != 1 for axis in set(range(len(shape))).difference(op.order)):
            return None
        return tuple(1 if axis == "x" else shape[axis] for axis in op.order)
    if isinstance(op, Subtensor):
        index = join_index(op.template, [bound.data for bound in node.inputs[1:]])
        try:
            return np.broadcast_to(0, shapes[0])[index].shape
        except IndexError:
            return None
    rests = {shape[: op.axis] + shape[op.axis + 1 :] for shape in shapes}
    if len(rests) > 1:
        return None
    total = sum(shape[op.axis] for shape in shapes)
    return (*shapes[0][: op.axis], total, *shapes[0][op.axis + 1 :])


def separable(op, order):
    """Dit si chaque ligne (premier axe) de ce que la boucle calcule ne dépend que des mêmes lignes
    de ce qu’elle a calculé ; ce qui vient du dehors se lit comme on veut.
    """
    computed = {tap for taps in op.split_inner()[1] for tap in taps}
    if not all(tap.ndim for tap in computed):
        return False
    for node in order:
        inside = [entry for entry in node.inputs if entry in computed]
        if is_view(node.op):
            if not inside:
                continue
            if isinstance(node.op, DimShuffle):
                kept = bool(node.op.order) and node.op.order[0] == 0
            else:
                kept = node.op.template[0] == ("s", False, False, False)
        elif isinstance(node.op, Dot):
            kept = node.inputs[0].ndim == 2 and node.inputs[1] not in computed
        elif isinstance(node.op, Join):
            kept = node.op.axis != 0
        elif isinstance(node.op, Subtensor):
            kept = True
        else:
            out = node.outputs[0]
            kept = out.ndim > 0 and all(
                entry.ndim == out.ndim and entry.type.shape[0] != 1 for entry in inside
            )
        if not kept:
            return False
        computed.update(node.outputs)
    return True
