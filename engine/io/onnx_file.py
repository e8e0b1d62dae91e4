"""Écrire un graphe au format ONNX : le modèle se lit alors sans Python, ni ce moteur.

`write_onnx(chemin, entrées, sorties)` écrit le graphe tel qu’il est construit ; les variables
partagées y deviennent des constantes (« initializers »). Les ops des modèles denses et
convolutifs sont dans la table `WRITERS` ; une op qui n’y est pas est refusée, et nommée.

Ordre de lecture : `write_onnx`, `Writer`, puis les tables `ELEMENTWISE` et `WRITERS`.

Référence : « Open Neural Network Exchange, Operator Schemas », opset 18.
"""

import importlib
import itertools
import math

import numpy as np

from engine.core.elemwise import Elemwise
from engine.core.errors import EngineError, ShapeError
from engine.core.graph import Constant, toposort
from engine.io.files import write_whole
from engine.ops.conv import Convolution
from engine.ops.index import Subtensor
from engine.ops.nnet import LogSoftmax, LogSumExp, Softmax
from engine.ops.pool import Pool
from engine.ops.probes import Print
from engine.ops.products import Dot
from engine.ops.reduce import ArgReduce, Reduce
from engine.ops.shape import Alloc, DimShuffle, Join, MakeVector, Reshape, Shape, ShapeAxis

OPSET = 18
IR_VERSION = 10  # lu par les programmes ONNX de 2024 et après
LAST = np.iinfo("int64").max


def write_onnx(path, inputs, outputs, name="modèle"):
    """Écrit le modèle qui calcule `outputs` d’après `inputs`.

    Paramètres
        path : le fichier à écrire, d’ordinaire en `.onnx`.
        inputs : variable, ou liste de variables ; les longueurs inconnues restent libres.
        outputs : variable, ou liste de variables. Celles qui ont un nom le gardent.
        name : le nom du modèle.

    Renvoie
        Le modèle ONNX, vérifié par `onnx.checker`.

    Lève
        EngineError : une op n’a pas d’équivalent connu (elle est nommée), ou la bibliothèque
            `onnx` manque.

    Source
        « Open Neural Network Exchange, Operator Schemas ».
    """
    inputs, outputs = (list(v) if isinstance(v, list | tuple) else [v] for v in (inputs, outputs))
    writer = Writer(_library(), inputs, outputs)
    for node in toposort(outputs, inputs):
        writer.convert(node)
    model = writer.finish(inputs, outputs, name)
    write_whole(path, model.SerializeToString())
    return model


def _library():
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise EngineError(
            "la bibliothèque onnx manque", hint="installez-la : pip install onnx"
        ) from error


class Writer:
    """Le modèle en cours d’écriture : ses nœuds, ses constantes, le nom de chaque variable."""

    def __init__(self, onnx, inputs, outputs):
        self.onnx = onnx
        self.nodes, self.constants, self.names = [], [], {}
        self._taken = set()
        for position, variable in enumerate(inputs):
            self.names[variable] = self.fresh(variable.name or f"x{position}")
        self.final = [self.fresh(v.name or f"y{k}") for k, v in enumerate(outputs)]

    def fresh(self, wanted):
        """Ce nom, ou ce nom et un numéro s’il est pris."""
        numbered = (f"{wanted}_{count}" for count in itertools.count(1))
        name = wanted if wanted not in self._taken else next(filter(self._is_free, numbered))
        self._taken.add(name)
        return name

    def _is_free(self, name):
        return name not in self._taken

    def convert(self, node):
        """Ajoute ce qui calcule les sorties du nœud."""
        write = WRITERS.get(type(node.op))
        if write is None:
            raise self.refuse(node, "cette op n'a pas d'équivalent connu")
        self.names[node.outputs[0]] = write(self, node)

    def refuse(self, node, why):
        """L’erreur d’un nœud que l’on ne sait pas écrire."""
        return EngineError(
            f"ONNX : {node.op} ne s'écrit pas : {why}",
            expected="les ops d'un modèle dense ou convolutif",
            received=str(node),
            where=str(node.trace),
            hint="refaites ce calcul avec des ops plus simples, ou laissez-le hors du modèle",
        )

    def name_of(self, variable):
        """Le nom d’une variable ; une constante ou une variable partagée est écrite au besoin."""
        if variable not in self.names:
            value = value_of(variable)
            if value is None:
                raise EngineError(
                    f"ONNX : personne ne fournit {variable}",
                    expected="une entrée du modèle",
                    hint="ajoutez-la à inputs",
                    received=f"{variable} : {variable.type}",
                )
            self.names[variable] = self.constant(value, variable.name)
        return self.names[variable]

    def constant(self, value, name=None):
        """Écrit un tableau, et rend son nom."""
        name = self.fresh(name or f"c{len(self.constants)}")
        tensor = self.onnx.numpy_helper.from_array(np.asarray(value), name=name)
        self.constants.append(tensor)
        return name

    def integers(self, *values):
        """Écrit un vecteur d’entiers, et rend son nom."""
        return self.constant(np.array(values, dtype="int64"))

    def add(self, kind, *entries, **attributes):
        """Ajoute un nœud ONNX, et rend le nom de sa sortie."""
        name = self.fresh(f"t{len(self.nodes)}")
        self.nodes.append(self.onnx.helper.make_node(kind, list(entries), [name], **attributes))
        return name

    def cast(self, name, have, want):
        """La variable convertie, si elle n’est pas déjà du bon dtype."""
        if have == want:
            return name
        code = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(want))
        return self.add("Cast", name, to=code)

    def entries(self, node):
        """Les noms des entrées du nœud."""
        return [self.name_of(entry) for entry in node.inputs]

    def finish(self, inputs, outputs, name):
        """Assemble le modèle et le vérifie."""
        helper = self.onnx.helper
        for variable, wanted in zip(outputs, self.final, strict=True):
            entry = self.name_of(variable)
            self.nodes.append(helper.make_node("Identity", [entry], [wanted]))

        def describe(variable, label):
            code = helper.np_dtype_to_tensor_dtype(np.dtype(variable.dtype))
            free = [f"{label}_{axis}" for axis in range(variable.ndim)]
            lengths = [
                letter if n is None else n
                for n, letter in zip(variable.type.shape, free, strict=True)
            ]
            return helper.make_tensor_value_info(label, code, lengths)

        graph = helper.make_graph(
            self.nodes,
            name,
            [describe(variable, self.names[variable]) for variable in inputs],
            [
                describe(variable, label)
                for variable, label in zip(outputs, self.final, strict=True)
            ],
            self.constants,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        self.onnx.checker.check_model(model)
        return model


def value_of(variable):
    """La valeur d’une constante ou d’une variable partagée, sinon None."""
    if isinstance(variable, Constant):
        return variable.data
    return variable.get_value(borrow=True) if hasattr(variable, "get_value") else None


# ---- terme à terme -----------------------------------------------------------------------

ELEMENTWISE = {  # nom scalaire -> op ONNX de mêmes entrées
    "add": "Add", "sub": "Sub", "mul": "Mul", "true_div": "Div", "pow": "Pow", "mod": "Mod",
    "maximum": "Max", "minimum": "Min", "neg": "Neg", "abs": "Abs", "sgn": "Sign", "exp": "Exp",
    "log": "Log", "sqrt": "Sqrt", "tanh": "Tanh", "sigmoid": "Sigmoid", "softplus": "Softplus",
    "sin": "Sin", "cos": "Cos", "tan": "Tan", "arcsin": "Asin", "arccos": "Acos",
    "arctan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "arcsinh": "Asinh", "arccosh": "Acosh",
    "arctanh": "Atanh", "erf": "Erf", "floor": "Floor", "ceil": "Ceil",
    "round_half_to_even": "Round", "isnan": "IsNaN", "isinf": "IsInf", "lt": "Less",
    "gt": "Greater", "le": "LessOrEqual", "ge": "GreaterOrEqual", "eq": "Equal",
    "switch": "Where", "and_": "And", "or_": "Or", "xor": "Xor", "invert": "Not",
}  # fmt: skip
LOGICAL = ("and_", "or_", "xor", "invert")


def _elementwise(writer, node):
    scalar, dtype = node.op.scalar, node.outputs[0].dtype
    name, have = str(scalar), [entry.dtype for entry in node.inputs]
    if name.startswith("cast["):
        return writer.cast(writer.name_of(node.inputs[0]), have[0], dtype)
    wanted = scalar.compute_dtypes(have, dtype)
    entries = [writer.cast(*row) for row in zip(writer.entries(node), have, wanted, strict=True)]
    if name in LOGICAL and dtype != "bool":
        raise writer.refuse(node, "une opération sur des bits d'entiers")
    if name in ELEMENTWISE:
        options = {"fmod": 0 if dtype.startswith("int") else 1} if name == "mod" else {}
        return writer.add(ELEMENTWISE[name], *entries, **options)
    one = np.ones((), dtype=dtype)
    if name == "sqr":
        return writer.add("Mul", entries[0], entries[0])
    if name == "log1p":
        return writer.add("Log", writer.add("Add", entries[0], writer.constant(one)))
    if name == "expm1":
        return writer.add("Sub", writer.add("Exp", entries[0]), writer.constant(one))
    if name == "neq":
        return writer.add("Not", writer.add("Equal", *entries))
    raise writer.refuse(node, "cette fonction n'a pas d'équivalent connu")


# ---- formes ------------------------------------------------------------------------------


def _dimshuffle(writer, node):
    (x,), order = writer.entries(node), node.op.order
    ndim = node.inputs[0].ndim
    dropped = [axis for axis in range(ndim) if axis not in order]
    kept = [axis for axis in range(ndim) if axis in order]
    if dropped:
        x = writer.add("Squeeze", x, writer.integers(*dropped))
    permutation = [kept.index(axis) for axis in order if axis != "x"]
    if permutation != sorted(permutation):
        x = writer.add("Transpose", x, perm=permutation)
    added = [k for k, axis in enumerate(order) if axis == "x"]
    return writer.add("Unsqueeze", x, writer.integers(*added)) if added else x


def _vector(writer, variables):
    """Le vecteur int64 de plusieurs longueurs."""
    items = [
        writer.add(
            "Unsqueeze",
            writer.cast(writer.name_of(item), item.dtype, "int64"),
            writer.integers(0),
        )
        for item in variables
    ]
    return writer.add("Concat", *items, axis=0) if items else writer.integers()


def _reshape(writer, node):
    x, shape = node.inputs
    shape = writer.cast(writer.name_of(shape), shape.dtype, "int64")
    return writer.add("Reshape", writer.name_of(x), shape, allowzero=1)


def _subtensor(writer, node):
    x, values = writer.name_of(node.inputs[0]), iter(node.inputs[1:])
    axis = 0
    for item in node.op.template:
        if item == "i" or (item == "a" and node.op.template.count("a") == 1):
            index = next(values)
            if index.dtype == "bool":
                raise writer.refuse(node, "un indice booléen")
            x = writer.add("Gather", x, writer.name_of(index), axis=axis)
            axis += index.ndim
        elif item == "n":
            x = writer.add("Unsqueeze", x, writer.integers(axis))
            axis += 1
        elif item[0] == "s":
            bounds = [next(values) if given else None for given in item[1:]]
            x = _slice(writer, node, x, bounds, axis)
            axis += 1
        else:
            raise writer.refuse(node, "cet indice")
    return x


def _slice(writer, node, x, bounds, axis):
    start, stop, step = bounds
    pace = 1 if step is None else value_of(step)
    if pace is None:
        raise writer.refuse(node, "un pas symbolique")
    defaults = (0, LAST) if pace > 0 else (LAST, -LAST)
    first, last = (
        writer.integers(default) if bound is None else _vector(writer, [bound])
        for bound, default in zip((start, stop), defaults, strict=True)
    )
    return writer.add("Slice", x, first, last, writer.integers(axis), writer.integers(int(pace)))


# ---- réductions, produits ------------------------------------------------------------------

REDUCTIONS = {"sum": "ReduceSum", "prod": "ReduceProd", "max": "ReduceMax", "min": "ReduceMin"}


def _reduce(writer, node):
    kind = REDUCTIONS.get(node.op.reduction.name)
    if kind is None:
        raise writer.refuse(node, "cette réduction")
    (x,), (entry,) = node.inputs, writer.entries(node)
    entry = writer.cast(entry, x.dtype, node.outputs[0].dtype)
    if not node.op.axes:  # ONNX prendrait tous les axes
        return entry
    return writer.add(kind, entry, writer.integers(*node.op.axes), keepdims=0)


def _arg_reduce(writer, node):
    (x,), axis = writer.entries(node), node.op.axis
    if axis is None:
        x, axis = writer.add("Reshape", x, writer.integers(-1)), 0
    return writer.add("ArgMax" if node.op.which == "max" else "ArgMin", x, axis=axis, keepdims=0)


def _dot(writer, node):
    dtype = node.outputs[0].dtype
    names = zip(writer.entries(node), node.inputs, strict=True)
    return writer.add("MatMul", *(writer.cast(name, v.dtype, dtype) for name, v in names))


# ---- images ------------------------------------------------------------------------------


def _convolution(writer, node):
    (x, w), op, dtype = node.inputs, node.op, node.outputs[0].dtype
    value = value_of(w)
    lengths = (w.type.shape if value is None else value.shape)[2:]
    if None in lengths:
        raise ShapeError(f"ONNX : la taille des filtres {w} n'est pas connue")
    if value is not None and op.filter_flip:
        filters = writer.constant(np.flip(value, tuple(range(2, w.ndim))).copy())
    elif op.filter_flip:
        axes = range(2, w.ndim)
        rows = ([LAST] * len(axes), [-LAST] * len(axes), axes, [-1] * len(axes))
        filters = writer.add("Slice", writer.name_of(w), *(writer.integers(*row) for row in rows))
    else:
        filters = writer.name_of(w)
    borders = [op.padding(k, axis) for axis, k in enumerate(lengths)]
    return writer.add(
        "Conv",
        writer.cast(writer.name_of(x), x.dtype, dtype),
        writer.cast(filters, w.dtype, dtype),
        kernel_shape=list(lengths),
        strides=list(op.subsample),
        dilations=list(op.filter_dilation),
        pads=[before for before, _ in borders] + [after for _, after in borders],
    )


def _pool(writer, node):
    op, (x,) = node.op, writer.entries(node)
    if node.inputs[0].ndim != 2 + len(op.ws):
        raise writer.refuse(node, "ONNX veut deux axes, lot et canaux, avant ceux de la fenêtre")
    if not op.ignore_border and any(s > w for s, w in zip(op.stride, op.ws, strict=True)):
        raise writer.refuse(node, "une fenêtre incomplète, d'un pas plus long qu'elle")
    options = dict(
        kernel_shape=list(op.ws),
        strides=list(op.stride),
        pads=[*op.pad, *op.pad],
        ceil_mode=int(not op.ignore_border),
    )
    if op.mode == "max":
        return writer.add("MaxPool", x, **options)
    if op.mode == "sum" and not op.ignore_border:
        raise writer.refuse(node, "la somme d'une fenêtre incomplète")
    include = int(op.mode != "average_exc_pad")
    mean = writer.add("AveragePool", x, count_include_pad=include, **options)
    if op.mode != "sum":
        return mean
    area = np.asarray(math.prod(op.ws), dtype=node.outputs[0].dtype)
    return writer.add("Mul", mean, writer.constant(area))


WRITERS = {
    Elemwise: _elementwise,
    DimShuffle: _dimshuffle,
    Reshape: _reshape,
    Shape: lambda writer, node: writer.add("Shape", *writer.entries(node)),
    ShapeAxis: lambda writer, node: writer.add(
        "Gather",
        writer.add("Shape", *writer.entries(node)),
        writer.constant(np.int64(node.op.axis)),
    ),
    MakeVector: lambda writer, node: _vector(writer, node.inputs),
    Alloc: lambda writer, node: writer.add(
        "Expand", writer.name_of(node.inputs[0]), _vector(writer, node.inputs[1:])
    ),
    Join: lambda writer, node: writer.add("Concat", *writer.entries(node), axis=node.op.axis),
    Subtensor: _subtensor,
    Reduce: _reduce,
    ArgReduce: _arg_reduce,
    LogSumExp: lambda writer, node: writer.add(
        "ReduceLogSumExp", *writer.entries(node), writer.integers(*node.op.axes), keepdims=0
    ),
    Softmax: lambda writer, node: writer.add("Softmax", *writer.entries(node), axis=node.op.axis),
    LogSoftmax: lambda writer, node: writer.add(
        "LogSoftmax", *writer.entries(node), axis=node.op.axis
    ),
    Dot: _dot,
    Convolution: _convolution,
    Pool: _pool,
    Print: lambda writer, node: writer.name_of(node.inputs[0]),
}
