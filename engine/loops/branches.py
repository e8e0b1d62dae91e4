"""Choisir : `ifelse` ne calcule que la branche dont la condition a décidé.

`IfElse` choisit entre des variables ; une réécriture y fait entrer, sous forme de graphes, ce qui
ne sert qu’à une branche (`LazyIfElse`) : l’autre n’est jamais calculée.

Ordre de lecture : `IfElse`, `LazyIfElse`, `ifelse`.

Référence : la fonction `theano.ifelse.ifelse`.
"""

from engine.core.dtypes import upcast
from engine.core.elemwise import cast
from engine.core.errors import ShapeError
from engine.core.graph import Apply, Op, clone_with_map
from engine.core.types import FLOATS, TensorType, as_tensor_variable
from engine.loops.nested import Nested, graph_key


class IfElse(Op):
    """Rend les `n` premières entrées après la condition si elle est vraie, sinon les suivantes."""

    host_only = "une réécriture en fait un LazyIfElse, qui est placé"
    tested_by = "une branche est paresseuse : test_ifelse"
    __props__ = ("n", "name")

    def __init__(self, n, name=None):
        self.n = n
        self.name = name

    def make_node(self, condition, *values):
        condition = as_tensor_variable(condition)
        values = [as_tensor_variable(value) for value in values]
        return Apply(self, [condition, *values], _chosen(values[: self.n], values[self.n :]))

    def infer_shape(self, node, input_shapes):
        pairs = zip(input_shapes[1 : self.n + 1], input_shapes[self.n + 1 :], strict=True)
        return [
            tuple(a if a is b else None for a, b in zip(left, right, strict=True))
            for left, right in pairs
        ]

    def perform(self, node, inputs, output_storage):
        condition, *values = inputs
        chosen = values[: self.n] if condition else values[self.n :]
        for cell, value in zip(output_storage, chosen, strict=True):
            cell[0] = value.copy()

    def L_op(self, inputs, outputs, output_grads):
        condition, *values = inputs
        halves = ([], [])
        for place in range(self.n):
            left, right, gradient = values[place], values[self.n + place], output_grads[place]
            if gradient is None or left.dtype not in FLOATS:
                halves[0].append(None)
                halves[1].append(None)
                continue
            choose = IfElse(1, self.name)
            halves[0].append(choose(condition, gradient, left.zeros_like()))
            halves[1].append(choose(condition, right.zeros_like(), gradient))
        return [None, *halves[0], *halves[1]]

    def __str__(self):
        return f"ifelse{{{self.name}}}" if self.name else "ifelse"


class LazyIfElse(Nested):
    """Un choix entre deux graphes : seul celui de la branche choisie est calculé.

    Entrées du nœud : la condition, puis celles du premier graphe, puis celles du second.
    """

    tested_by = "une branche est paresseuse : test_ifelse"

    def __init__(self, graphs, name=None):
        super().__init__()
        self.graphs = [(list(inputs), list(outputs)) for inputs, outputs in graphs]
        self.name = name

    def inner_graphs(self):
        return self.graphs

    def with_graphs(self, graphs):
        return type(self)(graphs, self.name)

    def _key(self):
        return (type(self), self.name, *(graph_key(*graph) for graph in self.graphs))

    def __reduce__(self):
        return type(self), (self.graphs, self.name)

    def make_node(self, condition, *inputs):
        (_, left), (_, right) = self.graphs
        return Apply(self, [condition, *inputs], _chosen(left, right))

    def remake(self, inputs):
        condition, *rest = inputs
        graphs = []
        for old, outputs in self.graphs:
            fresh = [x.type(entry.name) for x, entry in zip(rest, old, strict=False)]
            replace = dict(zip(old, fresh, strict=True))
            graphs.append((fresh, clone_with_map(outputs, replace)[0]))
            rest = rest[len(old) :]
        return self.with_graphs(graphs).make_node(condition, *inputs[1:])

    def run(self, steps, condition, *arrays):
        n_first = len(self.graphs[0][0])
        if condition:
            return steps[0](*arrays[:n_first])
        return steps[1](*arrays[n_first:])

    def __str__(self):
        return f"ifelse{{{self.name}}}" if self.name else "ifelse"


def _chosen(lefts, rights):
    """Les résultats d’un choix : d’une longueur, ce que les deux branches en savent."""
    outputs = []
    for left, right in zip(lefts, rights, strict=True):
        lengths = zip(left.type.shape, right.type.shape, strict=True)
        outputs.append(TensorType(left.dtype, shape=[a if a == b else None for a, b in lengths])())
    return outputs


def ifelse(condition, then_branch, else_branch, name=None):
    """Rend `then_branch` si la condition est vraie, sinon `else_branch` ; l’autre branche n’est pas
    calculée.

    Paramètres
        condition : scalaire.
        then_branch, else_branch : variables, ou listes de même longueur ; même nombre d’axes.
        name : un nom, pour les dessins.

    Renvoie
        Une variable, ou une liste.

    Lève
        ShapeError : condition non scalaire, branches de structures différentes.

    Exemple
        >>> from engine import tensor as T
        >>> x, y = T.dscalars("xy")
        >>> ifelse(x < y, x, y * 2).eval({x: 1.0, y: 3.0})
        array(1.)
    """
    condition = as_tensor_variable(condition)
    if condition.ndim:
        raise ShapeError(
            "ifelse attend une condition scalaire",
            received=f"{condition} : {condition.short()}",
            hint="pour choisir terme à terme, switch(condition, a, b)",
            expected="un booléen sans axe",
        )
    single = not isinstance(then_branch, list | tuple)
    left = [then_branch] if single else list(then_branch)
    right = list(else_branch) if isinstance(else_branch, list | tuple) else [else_branch]
    left, right = ([as_tensor_variable(value) for value in values] for values in (left, right))
    if [value.ndim for value in left] != [value.ndim for value in right]:
        raise ShapeError(
            "ifelse : les deux branches ne se correspondent pas",
            expected="autant de valeurs des deux côtés, avec les mêmes nombres d'axes",
            received=f"{[v.short() for v in left]} et {[v.short() for v in right]}",
            hint="pour choisir terme à terme, switch ; sinon, ajoutez des axes avec dimshuffle",
        )
    dtypes = [upcast(a.dtype, b.dtype) for a, b in zip(left, right, strict=True)]
    left, right = (
        [cast(value, dtype) for value, dtype in zip(values, dtypes, strict=True)]
        for values in (left, right)
    )
    results = IfElse(len(left), name)(condition, *left, *right)
    return results if single or isinstance(results, list) else [results]
