"""Regarder une valeur au passage : l’afficher (`Print`), s’arrêter dessus (`PdbBreakpoint`).

Les deux rendent leurs entrées telles quelles ; le gradient les traverse. Une réécriture ne les ôte
pas, ni ne les calcule d’avance.

Référence : les ops `theano.printing.Print` et `theano.tests.breakpoint.PdbBreakpoint`.
"""

import pdb

import numpy as np

from engine.core.errors import ShapeError
from engine.core.graph import Apply, Op
from engine.core.types import as_tensor_variable


def show(op, value):
    """Affiche chaque attribut demandé de la valeur : « message attribut = texte »."""
    for name in op.attrs:
        attribute = getattr(value, name)
        print(op.message, name, "=", attribute() if callable(attribute) else attribute)


class Print(Op):
    """L’identité, qui affiche sa valeur chaque fois qu’elle est calculée.

    Paramètres
        message : ce qui précède la valeur.
        attrs : attributs ou méthodes sans argument du tableau à afficher ("shape", "mean"...).
        global_fn : fonction (op, tableau) qui affiche à la place.

    Renvoie
        Appelée sur une variable, une variable de même type, à employer à la place de la première :
        ce qui ne sert pas n’est pas calculé, donc pas affiché.

    Exemple
        >>> from engine import function, tensor as T
        >>> x = T.dvector("x")
        >>> f = function([x], Print("x vaut", attrs=["shape", "__str__"])(x) * 2)
        >>> f([1.0, 2.0])
        x vaut shape = (2,)
        x vaut __str__ = [1. 2.]
        array([2., 4.])
    """

    host_only = "imprime : l’hôte seul le peut"
    __props__ = ("message", "attrs", "global_fn")
    view_map = {0: [0]}
    foldable = False

    def __init__(self, message="", attrs=("__str__",), global_fn=show):
        self.message = message
        self.attrs = tuple(attrs)
        self.global_fn = global_fn

    def make_node(self, x):
        x = as_tensor_variable(x)
        return Apply(self, [x], [x.type()])

    def infer_shape(self, node, input_shapes):
        return list(input_shapes)

    def infer_dims(self, node):
        return [node.inputs[0].dims]

    def perform(self, node, inputs, output_storage):
        self.global_fn(self, inputs[0])
        output_storage[0][0] = inputs[0]

    def L_op(self, inputs, outputs, output_grads):
        return list(output_grads)

    @classmethod
    def variants(cls):
        return [cls("x")]

    def samples(self):
        return [[np.array([[1.0, -2.0, 0.5]])], [np.zeros((0, 2))]]

    def __str__(self):
        return f"Print{{{self.message}}}"


def debugger(name, values):
    """Ouvre le débogueur de Python ; `values` est la liste des tableaux surveillés."""
    print(f"Point d’arrêt « {name} » : les tableaux sont dans `values`.")
    pdb.set_trace()


class PdbBreakpoint(Op):
    """L’identité de plusieurs variables, qui s’arrête quand une condition est vraie.

    Paramètres
        name : le nom du point d’arrêt.
        hook : fonction (nom, liste de tableaux) appelée à l’arrêt ; par défaut, `pdb`.

    Appelée sur (condition sans axe, variables...), rend les variables (des copies) à employer à la
    suite.

    Lève
        ShapeError : la condition a des axes.

    Exemple
        >>> from engine import function, tensor as T
        >>> x = T.dscalar("x")
        >>> stop = PdbBreakpoint("x négatif", hook=lambda name, values: print(name, *values))
        >>> f = function([x], stop(T.lt(x, 0), x) * 2)
        >>> f(1.0), f(-1.0)
        x négatif -1.0
        (array(2.), array(-2.))
    """

    host_only = "s’arrête : l’hôte seul le peut"
    __props__ = ("name", "hook")
    foldable = False

    def __init__(self, name, hook=debugger):
        self.name = name
        self.hook = hook

    def make_node(self, condition, *monitored):
        condition = as_tensor_variable(condition)
        monitored = [as_tensor_variable(entry) for entry in monitored]
        if condition.ndim != 0 or not monitored:
            raise ShapeError(
                f"point d'arrêt « {self.name} » : arguments impossibles",
                expected="une condition sans axe, puis au moins une variable",
                received=f"condition {condition.short()}, {len(monitored)} variable(s)",
                hint="ramenez la condition à un scalaire avec any() ou all()",
            )
        return Apply(self, [condition, *monitored], [entry.type() for entry in monitored])

    def infer_shape(self, node, input_shapes):
        return list(input_shapes[1:])

    def perform(self, node, inputs, output_storage):
        condition, *values = inputs
        if condition:
            self.hook(self.name, values)
        for cell, value in zip(output_storage, values, strict=True):
            cell[0] = value.copy()

    def L_op(self, inputs, outputs, output_grads):
        return [None, *output_grads]

    @classmethod
    def variants(cls):
        return [cls("x")]

    def samples(self):
        return [[np.array(False), np.array([[1.0, -2.0, 0.5]])]]

    def __str__(self):
        return f"PdbBreakpoint{{{self.name}}}"
