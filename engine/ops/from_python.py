"""Une op faite d’une fonction Python : `as_op`."""

import numpy as np

from engine.core.errors import InputError
from engine.core.graph import Apply, Op
from engine.core.types import as_tensor_variable


class FromFunction(Op):
    """Une op qui appelle une fonction de tableaux NumPy. Elle n’a pas de gradient."""

    host_only = "la fonction de l’utilisateur calcule avec NumPy"
    tested_by = "la fonction est celle de l’utilisateur : test_extending"
    __props__ = ("function", "itypes", "otypes", "shapes")

    def __init__(self, function, itypes, otypes, shapes=None):
        self.function = function
        self.itypes = tuple(itypes)
        self.otypes = tuple(otypes)
        self.shapes = shapes

    def make_node(self, *inputs):
        inputs = [as_tensor_variable(entry) for entry in inputs]
        wrong = len(inputs) != len(self.itypes) or any(
            not wanted.accepts(entry.type)
            for wanted, entry in zip(self.itypes, inputs, strict=False)
        )
        if wrong:
            raise InputError(
                f"{self} : les entrées n'ont pas les types annoncés",
                expected=", ".join(wanted.short() for wanted in self.itypes),
                received=", ".join(entry.short() for entry in inputs),
                hint="convertissez avec astype, ou changez itypes",
            )
        return Apply(self, inputs, [type_() for type_ in self.otypes])

    def infer_shape(self, node, input_shapes):
        if self.shapes is None:
            return [None] * len(self.otypes)
        return self.shapes(node, input_shapes)

    def perform(self, node, inputs, output_storage):
        # la fonction peut garder ce qu’elle reçoit et ce qu’elle rend, ou écrire dedans
        results = self.function(*(entry.copy() for entry in inputs))
        results = results if isinstance(results, list | tuple) else [results]
        for cell, result, type_ in zip(output_storage, results, self.otypes, strict=True):
            cell[0] = np.array(type_.filter(np.asarray(result), allow_downcast=True), order="C")

    def __str__(self):
        return f"as_op({self.function.__name__})"


def as_op(itypes, otypes, infer_shape=None):
    """Décore une fonction de tableaux NumPy pour en faire une op (sans gradient).

    Paramètres
        itypes, otypes : types (ou listes de types) des entrées et des sorties.
        infer_shape : fonction (nœud, formes des entrées) -> formes des sorties, facultative.

    Lève
        InputError : à l’application, des entrées d’un autre type.

    Exemple
        >>> from engine import tensor as T
        >>> @as_op(itypes=[T.dvector], otypes=[T.dscalar])
        ... def median(x):
        ...     return np.median(x)
        >>> median(as_tensor_variable([3.0, 1.0, 2.0])).eval()
        array(2.)
    """
    itypes, otypes = (_types(types) for types in (itypes, otypes))

    def decorate(function):
        return FromFunction(function, itypes, otypes, infer_shape)

    return decorate


def _types(types):
    """Accepte un type, un constructeur (`T.dvector`), ou une liste des deux."""
    types = types if isinstance(types, list | tuple) else [types]
    for type_ in types:
        if not (hasattr(type_, "accepts") or callable(type_)):
            raise InputError(
                "as_op : les types des entrées et des sorties",
                expected="un constructeur comme T.dvector, un TensorType, ou une liste",
                received=repr(type_),
                hint="as_op(itypes=[T.dvector], otypes=[T.dvector])",
            )
    return [type_ if hasattr(type_, "accepts") else type_().type for type_ in types]
