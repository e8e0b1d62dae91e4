"""Où se calcule un nœud : sur l’hôte, ou sur le périphérique (un GPU) ; les transferts entre eux.

Une variable a le même type des deux côtés : seule sa valeur y est rangée autrement. `OnDevice(op)`
calcule `op` avec des tableaux du périphérique ; `ToDevice` et `ToHost` les y portent et les en
rapportent. Une réécriture (`rewriting.placement`) les pose ; personne ne les écrit.

Ordre de lecture : `ToDevice`, `ToHost`, `OnDevice`.
"""

from engine.core.graph import Apply, Op


class _Transfer(Op):
    """Ce que les deux transferts partagent : une entrée, une sortie de même type."""

    tested_by = "le placement seul la pose : tests/gpu/test_training"
    foldable = False

    def make_node(self, x):
        return Apply(self, [x], [x.type(name=x.name)])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0]  # la référence ne connaît que l’hôte

    def infer_shape(self, node, input_shapes):
        return input_shapes

    def infer_dims(self, node):
        return [node.inputs[0].dims]


class ToDevice(_Transfer):
    """Porte une valeur sur le périphérique ; une valeur qui s’y trouve déjà est rendue telle
    quelle.
    """

    view_map = {0: [0]}

    def __str__(self):
        return "vers_le_gpu"


class ToHost(_Transfer):
    """Rapporte une valeur sur l’hôte, dans un tableau neuf."""

    any_layout = True

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0].copy()

    def __str__(self):
        return "vers_l_hôte"


class OnDevice(Op):
    """`op`, calculé par le périphérique.

    `host` : les rangs des entrées qui restent des tableaux de l’hôte (des longueurs, des indices).
    """

    tested_by = "le placement seul la pose : tests/gpu/test_parity"
    __props__ = ("op", "host")
    foldable = False

    def __init__(self, op, host=()):
        self.op = op
        self.host = tuple(host)

    def apply(self, node, inputs):
        """Le nœud qui fait sur le périphérique ce que `node` fait sur l’hôte."""
        new = Apply(self, inputs, [output.type(name=output.name) for output in node.outputs])
        new.trace = node.trace
        return new

    def perform(self, node, inputs, output_storage):
        self.op.perform(node, inputs, output_storage)
        for position in self.op.view_map:  # un noyau écrit dans un tableau à lui
            output_storage[position][0] = output_storage[position][0].copy()

    def infer_shape(self, node, input_shapes):
        return self.op.infer_shape(node, input_shapes)

    def inner_graphs(self):
        return self.op.inner_graphs()

    def __str__(self):
        return f"gpu{{{self.op}}}"
