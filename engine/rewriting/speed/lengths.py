"""Comparer des longueurs sans rien calculer : une clé par axe, égale quand la longueur l’est.

Une clé est un entier, l’axe d’une variable (`Axis`), ou un calcul sur des clés (`Computed`). Deux
axes que la diffusion met face à face sans que l’on sache s’ils sont égaux peuvent être supposés
l’être (`assume`) : la supposition est notée, et vérifiée à l’appel sur les formes des arguments.

Ordre de lecture : `Axis`, `Computed`, `value_of`, `Lengths`.
"""

from math import prod
from typing import NamedTuple

from engine.core import trace
from engine.core.elemwise import Elemwise, scalar_name
from engine.core.graph import Variable, walk
from engine.core.rewriting import scalar_value
from engine.core.types import FLOATS, TensorConstant, TensorType
from engine.loops.loop_op import Scan
from engine.loops.step_count import StepCount
from engine.ops.index import Subtensor
from engine.ops.products import Dot
from engine.ops.shape import MakeVector, Reshape, Shape, ShapeAxis

LENGTH = TensorType("int64")


class Axis(NamedTuple):
    """La longueur d’un axe d’une variable."""

    variable: Variable
    axis: int


class Computed(NamedTuple):
    """Une longueur calculée d’après d’autres : l’opération, ses arguments."""

    name: str
    arguments: tuple


_OPERATIONS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda *items: prod(items),
    "int_div": lambda a, b: a // b if b else 0,
    "minimum": min,
    "maximum": max,
    "slice": lambda length, *bounds: len(range(*slice(*bounds).indices(length))),
}
_COMMUTATIVE = ("add", "mul", "minimum", "maximum")


def value_of(key, shapes):
    """La valeur d’une clé ; `shapes` : variable -> forme."""
    if isinstance(key, Axis):
        return shapes[key.variable][key.axis]
    if isinstance(key, Computed):
        return _OPERATIONS[key.name](*(value_of(item, shapes) for item in key.arguments))
    return key


def leaves(key):
    """Les variables dont une clé lit la forme, ou None si elle ne se calcule pas d’après des
    formes.
    """
    if key is None or isinstance(key, int):
        return set()
    if isinstance(key, Axis):
        return {key.variable} if key.variable.owner is None else None
    if isinstance(key, Computed):
        found = [leaves(item) for item in key.arguments]
        return None if None in found else set().union(*found)
    return None


def computed(name, *arguments):
    """Une clé calculée, simplifiée."""
    if all(item is None or isinstance(item, int) for item in arguments):
        return _OPERATIONS[name](*arguments)
    if name in ("minimum", "maximum"):
        flat = []
        for item in arguments:
            nested = isinstance(item, Computed) and item.name == name
            flat += item.arguments if nested else [item]
        arguments = tuple(dict.fromkeys(flat))
        if len(arguments) == 1:
            return arguments[0]
    if name == "mul":
        arguments = tuple(item for item in arguments if item != 1)
        if len(arguments) == 1:
            return arguments[0]
    if name == "add" and 0 in arguments:
        return next(item for item in arguments if item != 0)
    if name == "slice":
        return _slice(*arguments)
    if name in _COMMUTATIVE:
        arguments = sorted(arguments, key=hash)
    return Computed(name, tuple(arguments))


def _slice(length, start, stop, step):
    """La longueur d’une tranche ; `length` est positive ou nulle."""
    if step in (None, 1, -1) and start is None and stop in (None, length):
        return length
    base, surplus = length, 0
    if isinstance(length, Computed) and length.name == "add" and len(length.arguments) == 2:
        numbers = [item for item in length.arguments if isinstance(item, int)]
        if numbers:
            (base,) = (item for item in length.arguments if item is not numbers[0])
            surplus = numbers[0]
    first, last = (0 if start is None else start), (0 if stop is None else stop)
    fixed = isinstance(first, int) and isinstance(last, int) and step in (None, 1)
    if fixed and first >= 0 >= last and (stop is None or last < 0) and first - last <= surplus:
        return computed("add", base, surplus - first + last)  # n + 3, sans 1 devant ni 2 derrière
    if start in (None, 0) and step in (None, 1) and stop is not None and not isinstance(stop, int):
        if isinstance(stop, Computed) and stop.name == "minimum" and length in stop.arguments:
            return stop  # x[: min(len(x), ...)]
    return Computed("slice", (length, start, stop, step))


class Lengths:
    """Les clés des axes des variables d’un graphe, parcouru des entrées vers les sorties.

    Paramètres
        assume : supposer égales deux longueurs que la diffusion rapproche.

    Attributs
        assumed : les couples de clés supposées égales.
        relied : une passe s’est servie de ces clés ; ce qu’elles supposent est à vérifier.
    """

    def __init__(self, assume=False):
        self.assume = assume
        self.assumed = []
        self.relied = False
        self.outside = {}  # entrée d’une boucle -> ce qu’on lui donne
        self._known = {}
        self._values = {}  # entrée d’un graphe intérieur -> clé (scalaire) ou clés (vecteur)
        self._same = {}  # clé -> clé qui la représente

    def from_outside(self, x):
        """Ce qui entre dans la boucle pour cette variable intérieure ; elle-même, ailleurs."""
        while x in self.outside:
            x = self.outside[x]
        return x

    def find(self, key):
        """Le représentant d’une clé."""
        while key in self._same:
            key = self._same[key]
        return key

    def unify(self, first, second):
        """Tient deux clés pour égales : rend leur représentant."""
        first, second = self.find(first), self.find(second)
        if first == second:
            return first
        if isinstance(first, int):
            first, second = second, first
        self._same[first] = second  # un entier représente toujours sa classe
        return second

    def equal(self, first, second):
        """Dit si deux longueurs sont égales, ou supposées l’être."""
        first, second = self.find(first), self.find(second)
        numbers = isinstance(first, int) and isinstance(second, int)
        known = all(leaves(key) is not None for key in (first, second))
        if first != second and self.assume and known and not numbers:
            self.assumed.append((first, second))
            self.unify(first, second)
            return True
        return first == second

    def set(self, variable, keys):
        """Donne les clés d’une variable (une entrée d’un graphe intérieur)."""
        self._known[variable] = list(keys)

    def of(self, variable):
        """Les clés des axes de la variable ; ses parents sont déjà connus."""
        if variable not in self._known:
            found = self._infer(variable) if variable.owner is not None else None
            keys = found or [None] * variable.ndim
            self._known[variable] = [
                static if static is not None else Axis(variable, axis) if key is None else key
                for axis, (static, key) in enumerate(zip(variable.type.shape, keys, strict=True))
            ]
        return [self.find(key) for key in self._known[variable]]

    def vector(self, shape):
        """Les clés des éléments d’un vecteur de longueurs, ou None."""
        if shape in self._values:
            return self._values[shape]
        if isinstance(shape, TensorConstant):
            integers = shape.ndim == 1 and shape.dtype not in FLOATS
            return [int(length) for length in shape.data] if integers else None
        if shape.owner is not None and isinstance(shape.owner.op, MakeVector):
            return [self.scalar(item) for item in shape.owner.inputs]
        if shape.owner is not None and isinstance(shape.owner.op, Shape):
            return self.of(shape.owner.inputs[0])
        return None

    def scalar(self, length, symbols=None):
        """La clé d’une expression de longueur."""
        keys = dict(symbols or {})
        for item in walk([length]):
            if item not in keys:
                keys[item] = self._scalar(item, keys)
        return self.find(keys[length])

    def _scalar(self, item, keys):
        if item in self._values:
            return self._values[item]
        value, node = scalar_value(item), item.owner
        if value is not None and item.ndim == 0 and item.dtype not in FLOATS:
            return int(value)
        if node is None:
            return item
        if isinstance(node.op, ShapeAxis):
            return self.of(node.inputs[0])[node.op.axis]
        arguments = [keys[entry] for entry in node.inputs]
        if isinstance(node.op, Elemwise):
            name = scalar_name(node)
            if name in ("cast[int32]", "cast[int64]"):  # plus étroit, une longueur déborderait
                return arguments[0]
            if name == "minimum":  # le nombre de pas d’une boucle : autant que de lignes
                self.equal(*arguments)
            if name in _OPERATIONS:
                return computed(name, *map(self.find, arguments))
        if isinstance(node.op, StepCount):
            return arguments[0]
        if isinstance(node.op, Subtensor) and node.op.template == ("i",):
            items = self.vector(node.inputs[0])
            if items is not None and isinstance(arguments[1], int):
                return items[arguments[1]]
        return item

    def _infer(self, variable):
        node = variable.owner
        if isinstance(node.op, Elemwise):
            return self._broadcast(node)
        if isinstance(node.op, Subtensor) and "a" not in node.op.template:
            return self._index(node)
        if isinstance(node.op, Reshape):
            return self._reshape(node)
        keys = [self.of(entry) for entry in node.inputs]
        if isinstance(node.op, Dot):  # sinon le produit dirait la faute
            self.equal(keys[0][-1], keys[1][-2 if len(keys[1]) > 1 else 0])
        symbol = {key: LENGTH() for shape in keys for key in shape}  # infer_shape les compare
        with trace.inherit(node.trace):
            shape = node.op.infer_shape(node, [tuple(map(symbol.get, shape)) for shape in keys])
        found, symbols = shape[variable.index], {length: key for key, length in symbol.items()}
        if found is None:
            return None
        return [None if length is None else self.scalar(length, symbols) for length in found]

    def _broadcast(self, node):
        shapes, keys = [self.of(entry) for entry in node.inputs], []
        for axis in range(-node.outputs[0].ndim, 0):
            present = [shape[axis] for shape in shapes if len(shape) >= -axis]
            wide = list(dict.fromkeys(key for key in present if key != 1))
            if len(wide) <= 1:
                keys.append(wide[0] if wide else 1)
                continue
            if self.assume and all(leaves(key) is not None for key in wide):
                numbers = {key for key in wide if isinstance(key, int)}
                if len(numbers) <= 1:
                    for other in wide[1:]:
                        self.assumed.append((wide[0], other))
                        self.unify(wide[0], other)
                    keys.append(self.find(wide[0]))
                    continue
            sure = [key for key in wide if isinstance(key, int)]
            keys.append(sure[0] if sure else None)
        return keys

    def _index(self, node):
        x, *values = node.inputs
        rest, values, keys = self.of(x), iter(values), []
        template = node.op.template
        used = sum(item == "i" or item[0] == "s" for item in template)
        for item in [*template, *([] if "..." in template else ["..."])]:
            if item == "...":
                count = len(rest) - used
                keys += rest[:count]
                rest = rest[count:]
            elif item == "n":
                keys.append(1)
            else:
                length, used = rest.pop(0), used - 1
                if item == "i":
                    next(values)
                    continue
                bounds = [self.scalar(next(values)) if given else None for given in item[1:]]
                keys.append(computed("slice", self.find(length), *bounds))
        return keys

    def _reshape(self, node):
        x, shape = node.inputs
        items = self.vector(shape)
        if items is None:
            return None
        if -1 in items:
            others = [item for item in items if item != -1]
            rest = computed("int_div", computed("mul", *self.of(x)), computed("mul", *others))
            items = [rest if item == -1 else item for item in items]
        return items

    def scan(self, node, inputs, outputs):
        """Les clés du graphe intérieur d’une boucle, puis celles de ses sorties.

        Paramètres
            inputs, outputs : le graphe intérieur, qui peut être une copie de celui de l’op.
        """
        op = node.op
        copy = op.with_graph(inputs, outputs)
        sequences, states, others = copy.split_inner()
        _, rows, initials, rest = op.split_outer(node.inputs)
        for inner, outer in zip([*sequences, *others], [*rows, *rest], strict=True):
            self.set(inner, self.of(outer)[1:] if inner in sequences else self.of(outer))
        self.outside.update(zip(others, rest, strict=True))
        for inner, outer in zip(others, rest, strict=True):
            if outer.dtype.startswith("int") and outer.ndim < 2:
                found = self.vector(outer) if outer.ndim else self.scalar(outer)
                if found is not None:
                    self._values[inner] = found
        for taps, initial in zip(states, initials, strict=True):
            for tap in taps:
                self.set(tap, self.of(initial)[1:])
        for variable in walk(outputs, set(inputs)):
            if variable.owner is not None and isinstance(variable.owner.op, Scan):
                self.scan(variable.owner, *variable.owner.op.inner_graphs()[0])
            self.of(variable)
        new_states, collected, _ = copy.split_outputs()
        for new, taps in zip(new_states, states, strict=True):
            for key, other in zip(self.of(new), self.of(taps[0]), strict=True):
                self.unify(key, other)  # la boucle le vérifie à chaque pas
        for value, output in zip(collected, node.outputs[op.n_states :], strict=True):
            steps = None if op.until else self.scalar(node.inputs[0])
            self.set(output, [Axis(output, 0) if steps is None else steps, *self.of(value)])
