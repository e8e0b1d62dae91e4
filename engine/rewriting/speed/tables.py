"""Les petites tables de vecteurs : multiplier la table plutôt que chaque ligne qu’on en tire.

Un modèle de caractères lit des milliers de lignes d’une table qui n’en a que quelques dizaines.
Le produit `table[x] W` se fait alors une fois par ligne de la table, avant la lecture ; de même au
retour, où l’on additionne d’abord les gradients de chaque caractère.

Ordre de lecture : `multiply_tables`, `_Reading`.
"""

from engine import tensor
from engine.core import trace
from engine.core.dead_gradients import is_zeros
from engine.core.elemwise import Elemwise, scalar_name
from engine.core.fgraph import OUTPUT
from engine.core.rewriting import graph_rewrite
from engine.core.sharedvalue import SharedVariable
from engine.core.types import TensorType
from engine.loops.cleaning import replace_outputs, scan_nodes
from engine.ops.index import IncSubtensor, Subtensor
from engine.ops.products import Dot
from engine.ops.reduce import Reduce
from engine.ops.shape import DimShuffle, Reshape, ShapeAxis
from engine.rewriting.speed.lengths import computed
from engine.tensor.cloning import clone

MAX_ROWS = 1000  # lignes d’une table que l’on suppose moins nombreuses que les lectures


@graph_rewrite(
    "table_d'abord", "specialize", "multiplier la table avant de la lire : elle a moins de lignes"
)
def multiply_tables(fgraph, has_kernel):
    """Seulement quand la table s’apprend (son gradient est là) : on lit alors de longs textes."""
    if fgraph.guards is None or fgraph.lengths is None:
        return
    for node in fgraph.toposort():
        if node in fgraph and isinstance(node.op, Subtensor) and node.op.template == ("a",):
            table, x = node.inputs
            shared = isinstance(table, SharedVariable) and table.ndim == 2
            if shared and x.dtype != "bool" and len(table.get_value(borrow=True)) <= MAX_ROWS:
                _Reading(fgraph, node).multiply()


class _Reading:
    """Une lecture `table[x]`, et les produits qui s’en servent.

    - table[x] W devient (table W)[x] ; un biais ajouté l’est à la table ;
    - table[x]ᵀ G devient tableᵀ S, où S additionne les lignes de G qui vont au même caractère ;
    - la somme, par caractère, des lignes de G Wᵀ devient S Wᵀ ; celle de toutes les lignes de G, la
      somme des lignes de S.
    """

    def __init__(self, fgraph, node):
        self.fgraph, self.node = fgraph, node
        self.table, self.x = node.inputs
        self.places = self.x.flatten()
        self.sums = {}

    def multiply(self):
        rows = [variable for variable in self._same_rows(self.node.out) if variable.ndim == 2]
        products = [
            client
            for variable in rows
            for client in self._clients(variable, Dot)
            if client.inputs[0] is variable and client.inputs[1].ndim == 2
        ]
        weights = [
            client
            for variable in rows
            for turned in self._clients(variable, DimShuffle)
            if turned.op.order == (1, 0)
            for client in self._clients(turned.out, Dot)
            if client.inputs[0] is turned.out and client.inputs[1].ndim == 2
        ]
        if not products or not weights or not self._is_small():
            return
        for variable in rows:
            for client in self._clients(variable, ShapeAxis):
                if client.op.axis == 0:
                    self._replace(client, ShapeAxis(0)(self.places))
        for node in products:
            self._read_after(node)
        for node in weights:
            self._replace(node, tensor.dot(self.table.T, self._sum(node.inputs[1])))
        for node in list(self.fgraph.nodes):
            if node in self.fgraph and isinstance(node.op, IncSubtensor):
                self._gather_first(node)
        for rows in list(self.sums):
            self._sum_again(rows)

    def _is_small(self):
        """Note la supposition : pas plus de lignes que de lectures."""
        lengths = self.fgraph.lengths
        n_rows, reads = lengths.of(self.table)[0], computed("mul", *lengths.of(self.x))
        if not lengths.equal(computed("minimum", n_rows, reads), n_rows):
            return False
        lengths.relied = True
        return True

    def _clients(self, variable, op_class):
        clients = [client for client, _ in self.fgraph.clients.get(variable, ())]
        return [node for node in clients if node is not OUTPUT and isinstance(node.op, op_class)]

    def _same_rows(self, variable):
        """La variable, et ce qui ne fait qu’en réunir ou séparer les premiers axes."""
        lengths = self.fgraph.lengths
        yield variable
        for node in self._clients(variable, Reshape):
            if lengths.of(node.out)[-1:] == lengths.of(variable)[-1:]:
                yield from self._same_rows(node.out)

    def _replace(self, node, new):
        if node.outputs[0] not in self.fgraph.clients:
            return  # plus personne ne le lit
        with trace.inherit(node.trace):
            self.fgraph.replace(node.outputs[0], new, "table_d'abord")

    def _read_after(self, product):
        """table[x] W, et le biais qui le suit."""
        multiplied = tensor.dot(self.table, product.inputs[1])
        for variable in list(self._same_rows(product.out)):
            for client in self._clients(variable, Elemwise):
                bias = [entry for entry in client.inputs if entry is not variable]
                if scalar_name(client) == "add" and len(bias) == 1 and bias[0].ndim == 1:
                    self._replace(client, self._read_like(variable, multiplied + bias[0]))
        self._replace(product, multiplied[self.places])

    def _read_like(self, variable, table):
        """La lecture de `table`, mise à la forme de la variable."""
        node, lengths = variable.owner, self.fgraph.lengths
        if lengths.of(variable)[:-1] == lengths.of(self.x):
            return table[self.x]
        read = table[self.places]
        if isinstance(node.op, Reshape):
            return Reshape(variable.ndim)(read, node.inputs[1])
        return read

    def _sum(self, rows):
        """Une ligne par caractère : la somme des lignes de `rows` qui y vont."""
        if rows not in self.sums:
            shape = ShapeAxis(0)(self.table), ShapeAxis(1)(rows)
            zeros = tensor.zeros(shape, rows.dtype)
            self.sums[rows] = tensor.inc_subtensor(zeros[self.places], rows)
        return self.sums[rows]

    def _gather_first(self, node):
        zeros, value, *index = node.inputs
        if node.op.template != ("a",) or node.op.set_instead or index != [self.x]:
            return
        while value.owner is not None and isinstance(value.owner.op, Reshape):
            before = value.owner.inputs[0]
            if self.fgraph.lengths.of(before)[-1:] != self.fgraph.lengths.of(value)[-1:]:
                return
            value = before
        product = value.owner
        if (
            product is not None
            and isinstance(product.op, Dot)
            and is_zeros(self.fgraph.lengths.from_outside(zeros))
        ):
            rows, matrix = product.inputs
            if rows.ndim == matrix.ndim == 2 and value.dtype == node.out.dtype:
                self._replace(node, tensor.dot(self._sum(rows), matrix))

    def _sum_again(self, rows):
        """La somme de toutes les lignes (le gradient d’un biais) est celle des sommes."""
        first = rows
        while first.owner is not None and isinstance(first.owner.op, Reshape):
            first = first.owner.inputs[0]
        for variable in list(self._same_rows(first)):
            for node in self._clients(variable, Reduce):
                leading = tuple(range(variable.ndim - 1))
                if node.op.reduction.name == "sum" and node.op.axes == leading:
                    self._replace(node, self.sums[rows].sum(axis=0))


@graph_rewrite(
    "lecture_dans_la_boucle", "specialize", "chaque pas lit ses lignes dans la table, encore proche"
)
def read_inside_loops(fgraph, has_kernel):
    """Une suite lue d’avance dans une table ne sert qu’à une boucle : la boucle la lira.

    Pas sur un périphérique, où ce serait un lancement de plus par pas.
    """
    if fgraph.launches:
        return
    for node in scan_nodes(fgraph):
        reads = {
            k: sequence.owner
            for k, sequence in enumerate(node.op.split_outer(node.inputs)[1])
            if has_kernel(node.op) and _is_read_for(fgraph, sequence)
        }
        if reads:
            _read_inside(fgraph, node, reads)


def _is_read_for(fgraph, sequence):
    node = sequence.owner
    return (
        node is not None
        and isinstance(node.op, Subtensor)
        and node.op.template == ("a",)
        and node.inputs[0].ndim == node.inputs[1].ndim == 2
        and node.inputs[1].dtype != "bool"
        and len(fgraph.clients[sequence]) == 1
    )


def _read_inside(fgraph, node, reads):
    op = node.op
    n_steps, rows, initials, rest = op.split_outer(node.inputs)
    inners, taps, others = op.split_inner()
    read = {}
    for position, reading in reads.items():
        table, x = reading.inputs
        inner = table.type.make_variable()
        rows_read = TensorType(x.dtype, shape=x.type.shape[1:])()
        read[inners[position]] = reading.op(inner, rows_read)
        inners[position], rows[position] = rows_read, x
        others, rest = [*others, inner], [*rest, table]
    inputs = [*inners, *(tap for group in taps for tap in group), *others]
    with trace.inherit(node.trace):
        new = op.with_graph(inputs, clone(op.outputs, read))
        made = new.apply(n_steps, *rows, *initials, *rest)
    replace_outputs(fgraph, node.outputs, made, "lecture_dans_la_boucle")
