"""Le texte du noyau d’une boucle : son graphe intérieur, nœud après nœud.

Chaque variable a une place (`Place`) : sa ligne dans une suite ou une histoire, une mémoire de
travail, ou un morceau d’une autre. Une opération terme à terme devient des boucles, un produit un
appel à `product`.

Ordre de lecture : `Writer.text`, `_write` et les sortes de nœuds.
"""

import inspect

from numba import types

from engine.backends.numba import elements, products
from engine.backends.numba.compiling import array_type
from engine.backends.numba.places import whole
from engine.backends.scalar_text import (
    convert,
    follow,
    literal,
    results_of,
    scalar_lines,
    steps_of,
)
from engine.core.elemwise import scalar_name
from engine.core.types import TensorConstant
from engine.ops.index import Subtensor, join_index
from engine.ops.products import Dot
from engine.ops.shape import DimShuffle, Join

LANES = {"float32": 16, "float64": 8}  # 64 octets : le plus large des vecteurs


def is_view(op):
    """Dit si un op ne fait qu’indicer autrement."""
    return isinstance(op, DimShuffle) or (isinstance(op, Subtensor) and "a" not in op.template)


class Writer:
    """Écrit le noyau d’une boucle.

    Attributs
        lengths : les axes (variable, rang) dont le noyau reçoit la longueur.
        bounded : les variables calculées dont le noyau reçoit les lignes à faire.
        constants : les tableaux constants qu’il reçoit.
    """

    def __init__(self, op, order):
        self.op, self.order = op, order
        self.lengths, self.bounded, self.constants = [], [], []
        self.before, self.lines, self.places = [], [], {}
        self.packed = {}  # matrice de droite qui ne change pas -> le nom de ses bandes
        self.uses = {}
        for node in order:
            for entry in node.inputs:
                self.uses[entry] = self.uses.get(entry, 0) + 1
        for output in op.outputs:
            self.uses[output] = self.uses.get(output, 0) + 1
        self.started = {}  # somme -> le produit qui part de l’autre terme, et ce terme

    def text(self):
        """Le texte du noyau."""
        op = self.op
        sequences, states, others = op.split_inner()
        new_states, collected, _ = op.split_outputs()
        names = [f"s{k}" for k in range(len(sequences))]
        names += [f"o{k}" for k in range(len(others))]
        for name, variable in zip(names, sequences, strict=False):
            self.places[variable] = whole(name, variable, ("row",))
        for name, variable in zip(names[len(sequences) :], others, strict=True):
            self.places[variable] = whole(name, variable)
        self.invariant = set(others)
        turns = []
        for position, (taps, depth, keep) in enumerate(
            zip(states, op.depths, op.keep, strict=True)
        ):
            wrap = "" if keep else f" % {depth + 1}"
            for tap, lag in zip(taps, op.taps[position], strict=True):
                turns.append(f"r{len(turns)} = (t + {depth + lag}){wrap}")
                self.places[tap] = whole(f"h{position}", tap, (f"r{len(turns) - 1}",))
            turns.append(f"w{position} = (t + {depth}){wrap}")
        results = [(f"h{k}", v, f"w{k}") for k, v in enumerate(new_states)]
        results += [(f"c{k}", v, "row") for k, v in enumerate(collected)]
        copies = []
        for name, variable, row in results:
            place = whole(name, variable, (row,))
            computed = variable.owner is not None and variable not in self.places
            if computed and not is_view(variable.owner.op):
                self.places[variable] = place
            else:
                copies.append((variable, place))
        self._place_pieces()
        self._find_started()
        for node in self.order:
            self._write(node)
        for variable, place in copies:
            self._copy(variable, place)
        names += [f"k{position}" for position in range(len(self.constants))]
        names += [name for name, *_ in results]
        row = "n_steps - 1 - t" if op.reverse else "t"
        numbers = [f"n{k} = n[{k}]" for k in range(len(self.lengths))]
        for position in range(len(self.bounded)):
            place = len(self.lengths) + 2 * position
            numbers.append(f"b{position}, e{position} = n[{place}], n[{place + 1}]")
        inside = [f"row = {row}", *turns, *self.lines]
        lines = [
            f"def kernel(first, last, n_steps, n, {', '.join(names)}):",
            *("    " + line for line in (*numbers, *self.before)),
            "    for t in range(first, last):",
            *("        " + line for line in inside),
        ]
        text = "\n".join(lines) + "\n\n\n" + inspect.getsource(elements)
        dtypes = {node.outputs[0].dtype for node in self.order if isinstance(node.op, Dot)}
        if dtypes:
            (lanes,) = {LANES[dtype] for dtype in dtypes}
            text += inspect.getsource(products) + products.product_of(lanes)
        return text

    def signature(self, node):
        """Les types des arguments du noyau."""
        op = self.op
        _, sequences, _, others = op.split_outer(node.inputs)
        read = [*sequences, *others, *self.constants]
        return (
            *(types.int64, types.int64, types.int64),
            types.Array(types.int64, 1, "C"),
            *(array_type(variable) for variable in read),
            *(array_type(output, readonly=False) for output in node.outputs),
        )

    # ---- où sont les valeurs ---------------------------------------------------------------

    def _place_pieces(self):
        """Les morceaux d’une mise bout à bout sont écrits à leur place dans le tout."""
        for node in reversed(self.order):
            if not isinstance(node.op, Join):
                continue
            for piece, target in self._pieces(node):
                made = piece.owner is not None and not is_view(piece.owner.op)
                if made and piece not in self.places:
                    self.places[piece] = target

    def _pieces(self, node):
        """Chaque morceau d’une mise bout à bout, et sa place dans le tout."""
        place, axis = self._place(node.out), node.op.axis
        for piece in node.inputs:
            yield piece, place
            place = place.shifted(axis, self._length(piece, axis))

    def _find_started(self):
        for node in self.order:
            if scalar_name(node) != "add":
                continue
            for term, other in (node.inputs, node.inputs[::-1]):
                product = term.owner
                if (
                    product is not None and isinstance(product.op, Dot)
                    and self.uses[term] == 1
                    and other.type == term.type == node.out.type and other is not term
                ):  # fmt: skip
                    self.started[node] = product, other
                    break

    def _place(self, variable):
        """La place d’une variable ; une mémoire de travail si elle n’en a pas encore."""
        if variable in self.places:
            return self.places[variable]
        if isinstance(variable, TensorConstant):
            name = f"k{len(self.constants)}"
            self.constants.append(variable)
            self.invariant.add(variable)
        elif is_view(variable.owner.op):
            return self._view(variable)
        else:
            name = f"v{len(self.places)}"
            self._allocate(name, variable)
        self.places[variable] = whole(name, variable)
        return self.places[variable]

    def _allocate(self, name, variable):
        lengths = "".join(f"{self._length(variable, axis)}, " for axis in range(variable.ndim))
        self.before.append(f"{name} = np.empty(({lengths}), np.{variable.type.numpy_dtype})")

    def _view(self, variable):
        node = variable.owner
        x = node.inputs[0]
        place = self._place(x)
        if isinstance(node.op, DimShuffle):
            place = place.permuted(node.op.order)
        else:
            index = join_index(node.op.template, [bound.data for bound in node.inputs[1:]])
            place = place.indexed(index)
        if x in self.invariant:
            self.invariant.add(variable)
        self.places[variable] = place
        return place

    def _length(self, variable, axis):
        if variable.type.shape[axis] is not None:
            return str(variable.type.shape[axis])
        if (variable, axis) not in self.lengths:
            self.lengths.append((variable, axis))
        return f"n{self.lengths.index((variable, axis))}"

    def _bounds(self, variable):
        """Les lignes de la variable que ce fil calcule."""
        if variable not in self.bounded:
            self.bounded.append(variable)
        position = self.bounded.index(variable)
        return f"b{position}, e{position}"

    # ---- ce qui se calcule -----------------------------------------------------------------

    def _write(self, node):
        if is_view(node.op):
            self._place(node.out)
        elif isinstance(node.op, Dot):
            if all(product is not node for product, _ in self.started.values()):
                self._product(node, node.out, None)
        elif isinstance(node.op, Join):
            self._join(node)
        elif isinstance(node.op, Subtensor):
            self._gather(node)
        elif node in self.started:
            product, other = self.started[node]
            self._product(product, node.out, other)
        else:
            self._elementwise(node)

    def _loops(self, out, still, lines):
        """Entoure des lignes des boucles sur les axes de `out` ; celles de `still` restent avant la
        dernière boucle.
        """
        depth = 0
        for axis in range(out.ndim):
            if axis == out.ndim - 1:
                self.lines += ["    " * depth + line for line in still]
            bounds = self._bounds(out) if axis == 0 else self._length(out, axis)
            self.lines.append(f"{'    ' * depth}for i{axis} in range({bounds}):")
            depth += 1
        self.lines += ["    " * depth + line for line in ([] if out.ndim else still) + lines]

    def _element(self, variable, indices, moves, still):
        """Le tableau et le rang d’un élément, en texte ; ce qui ne dépend pas du dernier indice est
        calculé une fois par ligne (`still`).
        """
        place = self._place(variable)
        if not indices or (moves and not place.follows()):
            return place.base, place.position(indices)
        name = f"q{len(still)}"
        still.append(f"{name} = {place.position([*indices[:-1], '0'])}")
        return place.base, f"{name} + {indices[-1]}" if moves else name

    def _elementwise(self, node):
        out, steps = node.outputs[0], steps_of(node)
        indices = [f"i{axis}" for axis in range(out.ndim)]
        texts, still = [], []
        for entry in node.inputs:
            if isinstance(entry, TensorConstant) and entry.data.size == 1:
                texts.append(literal(entry.data.item(), entry.dtype))
                continue
            axes = follow(entry.type, out.type)
            missing = out.ndim - entry.ndim
            used = [indices[axis] if axes[axis] else "0" for axis in range(missing, out.ndim)]
            moves = bool(used) and axes[-1]
            text = "read({}, {})".format(*self._element(entry, used, moves, still))
            if not moves:
                still.append(f"x{len(still)} = {text}")
                text = f"x{len(still) - 1}"
            texts.append(text)
        lines, values = scalar_lines(steps, texts, [entry.dtype for entry in node.inputs])
        for output, k in zip(node.outputs, results_of(node), strict=True):
            value = convert(values[k], steps[k].dtype, output.dtype)
            place = self._element(output, indices, out.ndim > 0, still)
            lines.append(f"write({', '.join(place)}, {value})")
        self._loops(out, still, lines)

    def _copy(self, variable, place):
        indices = [f"i{axis}" for axis in range(variable.ndim)]
        source = self._place(variable)
        value = f"read({source.base}, {source.position(indices)})"
        self._loops(variable, [], [f"write({place.base}, {place.position(indices)}, {value})"])

    def _join(self, node):
        for piece, target in self._pieces(node):
            if self._place(piece) != target:
                self._copy(piece, target)

    def _gather(self, node):
        """Les lignes d’une table, à des rangs que l’appel a vérifiés."""
        table, positions = map(self._place, node.inputs)
        out, length = self._place(node.out), self._length(node.inputs[0], 0)
        still = [
            f"j = read({positions.base}, {positions.position(['i0'])})",
            f"j += {length} * (j < 0)",
            f"q0 = {table.position(['j', '0'])}",
            f"q1 = {out.position(['i0', '0'])}",
        ]
        text = f"write({out.base}, q1 + i1, read({table.base}, q0 + i1))"
        self._loops(node.out, still, [text])

    def _product(self, node, out, other):
        a, b = node.inputs
        left, right = self._rows(a), self._packed(b)
        depth = self._length(a, a.ndim - 1)
        columns = self._length(b, 1) if b.ndim == 2 else "1"
        target = self._place(out).rows(out.ndim, b.ndim)
        start = ("0", "0", "0") if other is None else self._place(other).rows(other.ndim, b.ndim)
        if start is None:
            start = self._moved(other).rows(other.ndim, b.ndim)
        begin = (target[0], "0", "0", "0") if other is None else (*start, columns)
        bounds = self._bounds(out) if a.ndim == 2 else "0, 1"
        arguments = [*left, right, depth, *begin, *target, columns, bounds]
        self.lines.append(f"product({', '.join(arguments)})")

    def _rows(self, variable):
        rows = self._place(variable).rows(variable.ndim, 2)
        return self._moved(variable).rows(variable.ndim, 2) if rows is None else rows

    def _moved(self, variable):
        """La place d’une copie contiguë."""
        name = f"m{len(self.before)}"
        self._allocate(name, variable)
        place = whole(name, variable)
        self._copy(variable, place)
        return place

    def _packed(self, b):
        """Le nom des bandes de la matrice de droite, rangées à chaque pas si elle change."""
        if b in self.packed:
            return self.packed[b]
        place, lanes = self._place(b), LANES[b.dtype]
        name = f"p{len(self.packed)}_{len(self.lines)}"
        depth = self._length(b, 0)
        columns = self._length(b, 1) if b.ndim == 2 else "1"
        self.before.append(
            f"{name} = np.zeros(({columns} + {lanes - 1}) // {lanes} * {lanes} * {depth}, "
            f"np.{b.dtype})"
        )
        lines = [
            f"for k in range({depth}):",
            f"    for j in range({columns}):",
            f"        {name}[j // {lanes} * {depth} * {lanes} + k * {lanes} + j % {lanes}] = "
            f"read({place.base}, {place.position(['k', 'j'][: b.ndim])})",
        ]
        if b in self.invariant:
            self.before += lines
            self.packed[b] = name
        else:
            self.lines += lines
        return name
