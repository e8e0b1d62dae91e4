"""L’indexation : lire et écrire des morceaux de tableau.

Un indice est décrit par un gabarit (`template`), un élément par axe : `"i"` un entier, `("s",
début, fin, pas)` une tranche (vrai où une borne est donnée), `"n"` un nouvel axe, `"..."` les axes
restants, `"a"` un tableau d’entiers ou de booléens. Les valeurs, elles, sont des entrées du nœud.

Ordre de lecture : `split_index`, `Subtensor` (lecture), `IncSubtensor` (écriture, ou accumulation).
"""

import numpy as np

from engine.core.dtypes import holds, in_float32
from engine.core.errors import DtypeError, ShapeError
from engine.core.graph import Apply, Op
from engine.core.types import FLOATS, TensorConstant, TensorType, as_tensor_variable, constant
from engine.ops.arguments import as_length


def split_index(index):
    """Sépare un indice Python en (gabarit, entrées symboliques).

    Lève
        DtypeError : un indice flottant.
    """
    template, inputs = [], []
    if isinstance(index, list) and any(
        isinstance(item, slice) or item is None or item is Ellipsis for item in index
    ):
        index = tuple(index)  # comme NumPy autrefois : une liste de tranches
    for item in index if isinstance(index, tuple) else (index,):
        if item is None or (isinstance(item, str) and item == "x"):
            template.append("n")
        elif item is Ellipsis:
            template.append("...")
        elif isinstance(item, slice):
            bounds = [item.start, item.stop, item.step]
            template.append(("s", *(bound is not None for bound in bounds)))
            inputs += [as_length(bound) for bound in bounds if bound is not None]
        else:
            variable = (
                constant(np.asarray(item)) if isinstance(item, list) else as_tensor_variable(item)
            )
            if variable.dtype in FLOATS:
                raise DtypeError(
                    "un indice est un entier ou un booléen",
                    received=f"{variable} : {variable.short()}",
                    hint="int(i) pour un nombre, i.astype('int64') pour une variable",
                    expected="un entier, une tranche, un tableau d'entiers ou de booléens",
                )
            is_integer = variable.ndim == 0 and variable.dtype != "bool"
            template.append("i" if is_integer else "a")
            inputs.append(as_length(item) if is_integer else variable)
    return tuple(template), inputs


def join_index(template, values):
    """L’inverse de `split_index`, sur des valeurs NumPy : l’indice à donner au tableau."""
    values, index = iter(values), []
    for item in template:
        if item == "n":
            index.append(None)
        elif item == "...":
            index.append(Ellipsis)
        elif item == "i":
            index.append(int(next(values)))
        elif item == "a":
            index.append(next(values))
        else:
            index.append(slice(*(int(next(values)) if given else None for given in item[1:])))
    return tuple(index)


def _static_result(type_, template, inputs):
    """Forme connue (ou non) du résultat, par un essai de NumPy sur un tableau de même rang."""
    values, consumed, lengths = iter(inputs), 0, []
    n_axes = sum(
        entry.ndim if entry.dtype == "bool" else 1 for entry in _array_inputs(template, inputs)
    ) + sum(item == "i" or item[0] == "s" for item in template)
    if n_axes > type_.ndim:
        raise ShapeError(
            "trop d'indices",
            expected=f"au plus {type_.ndim}",
            received=str(n_axes),
            hint="un indice par axe ; x.ndim dit combien il y en a",
        )
    arrays, array_position = [], None
    separated, last_was_array = False, False
    for item in [*template, *([] if "..." in template else ["..."])]:
        is_array = item == "a" or (item == "i" and "a" in template)
        if is_array:
            entry = next(values)
            separated |= array_position is not None and not last_was_array
            array_position = len(lengths) if array_position is None else array_position
            arrays.append((None,) if entry.dtype == "bool" else entry.type.shape)
            consumed += entry.ndim if entry.dtype == "bool" else 1
        elif item == "n":
            lengths.append(1)
        elif item == "...":
            for _ in range(type_.ndim - n_axes):
                lengths.append(type_.shape[consumed])
                consumed += 1
        elif item == "i":
            next(values)
            consumed += 1
        else:
            bounds = [next(values) if given else None for given in item[1:]]
            length = type_.shape[consumed]
            known = all(bound is None or isinstance(bound, TensorConstant) for bound in bounds)
            whole = all(bound is None for bound in bounds)
            if length is not None and known:
                cut = slice(*(None if bound is None else int(bound.data) for bound in bounds))
                length = len(range(*cut.indices(length)))
            elif not whole:
                length = None
            lengths.append(length)
            consumed += 1
        last_was_array = is_array
    if arrays:
        ndim = max(len(shape) for shape in arrays)
        common = []
        for axis in range(-ndim, 0):
            found = {shape[axis] for shape in arrays if len(shape) >= -axis}
            wide = found - {1, None}
            common.append(wide.pop() if wide else None if None in found else 1)
        position = 0 if separated else array_position
        lengths[position:position] = common
    return lengths


def _array_inputs(template, inputs):
    values = iter(inputs)
    for item in template:
        if item == "a":
            yield next(values)
        elif item == "i":
            next(values)
        elif item[0] == "s":
            for given in item[1:]:
                if given:
                    next(values)


_WHOLE = ("s", False, False, False)
_SAMPLES = {  # gabarit -> des indices, pour un tableau (3, 4)
    ("i",): [[1], [-3]],
    (("s", True, True, False),): [[0, 2], [-2, 9]],
    (_WHOLE, ("s", False, False, True)): [[-1], [2]],
    ("n", "...", "i"): [[-1]],
    ("a",): [[[2, 2, 0]], [[[1, 0], [-1, 2]]], [[True, False, True]], [np.eye(3, 4) > 0]],
    ("a", "a"): [[[0, 2, 0], [1, 3, 1]], [[0, 2, 1], [1, -1, 1]], [[[0], [1]], [2, 0]]],
    (_WHOLE, "a"): [[[2, 0, -1]]],
    ("i", "a"): [[1, [0, -1]]],
}


def _index_samples(template):
    """Un tableau d’essai, et les entrées de chaque indice d’essai de ce gabarit."""
    return np.arange(12.0).reshape(3, 4), [list(map(np.array, i)) for i in _SAMPLES[template]]


class Subtensor(Op):
    """x[indice]. Sans tableau dans l’indice, le résultat partage la mémoire de x."""

    moves = True
    __props__ = ("template",)

    def __init__(self, template):
        self.template = template
        self.view_map = {} if "a" in template else {0: [0]}

    def make_node(self, x, *indices):
        x = as_tensor_variable(x)
        shape = _static_result(x.type, self.template, indices)
        return Apply(self, [x, *indices], [TensorType(x.dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        if self.template == ("a",) and node.inputs[1].dtype != "bool":
            return [(*input_shapes[1], *input_shapes[0][1:])]
        arrays = [entry for entry in node.inputs[1:] if entry.ndim]
        if (
            all(item == "a" for item in self.template)
            and arrays
            and len(self.template) == node.inputs[0].ndim
        ):
            shapes = [
                s for entry, s in zip(node.inputs, input_shapes, strict=True) if entry in arrays
            ]
            same = all(entry.ndim == 1 and entry.dtype != "bool" for entry in arrays)
            return [shapes[0]] if same and len(arrays) == 1 else [None]
        return [None]

    def infer_dims(self, node):
        if self.template == ("a",):
            x, index = node.inputs
            if index.dtype == "bool":  # un masque fait un axe de tous ceux qu’il couvre
                return [(None, *x.dims[index.ndim :])]
            return [(*index.dims, *x.dims[1:])]
        if "a" in self.template:
            return [None]
        names, rest = [], list(node.inputs[0].dims)
        used = sum(item == "i" or item[0] == "s" for item in self.template)
        for item in [*self.template, *([] if "..." in self.template else ["..."])]:
            if item == "...":
                count = len(rest) - used
                names += rest[:count]
                rest = rest[count:]
            elif item == "n":
                names.append(None)
            else:
                name, used = rest.pop(0), used - 1
                names += [name] if item != "i" else []
        return [names]

    def perform(self, node, inputs, output_storage):
        x, *values = inputs
        index = join_index(self.template, values)
        try:
            output_storage[0][0] = np.asarray(x[index])
        except IndexError as error:
            raise out_of_bounds(x, index, error) from error

    def L_op(self, inputs, outputs, output_grads):
        x, *indices = inputs
        zeros = x.zeros_like(dtype=output_grads[0].dtype)
        grad = IncSubtensor(self.template, set_instead=False)(zeros, output_grads[0], *indices)
        return [grad, *([None] * len(indices))]

    @classmethod
    def variants(cls):
        return [cls(template) for template in _SAMPLES]

    def samples(self):
        x, indices = _index_samples(self.template)
        return [[x, *index] for index in indices]

    def __str__(self):
        return f"index[{_template_text(self.template)}]"


class IncSubtensor(Op):
    """x avec y ajouté (ou posé) à l’endroit de l’indice ; les indices répétés s’accumulent.

    `inplace` : écrire dans la mémoire de x au lieu de la copier.
    """

    assembles = True
    __props__ = ("template", "set_instead", "inplace")

    def __init__(self, template, set_instead, inplace=False):
        self.template = template
        self.set_instead = set_instead
        self.inplace = inplace
        self.destroy_map = {0: [0]} if inplace else {}

    def make_node(self, x, y, *indices):
        x, y = as_tensor_variable(x), as_tensor_variable(y)
        region = _static_result(x.type, self.template, indices)
        if y.ndim > len(region):
            raise ShapeError(
                "valeur plus grande que la place indexée",
                expected=f"au plus {len(region)} axe(s)",
                received=y.short(),
                hint="la valeur peut être diffusée vers la place, jamais l'inverse",
            )
        if not holds(x.dtype, y.dtype):
            raise DtypeError(
                f"valeur {y.dtype} dans un tableau {x.dtype}",
                expected=x.dtype,
                received=y.dtype,
                hint=f"valeur.astype('{x.dtype}'), ou un tableau {y.dtype}",
            )
        return Apply(self, [x, y, *indices], [x.type()])

    def infer_shape(self, node, input_shapes):
        return [input_shapes[0]]

    def infer_dims(self, node):
        return [node.inputs[0].dims]

    @in_float32
    def perform(self, node, inputs, output_storage):
        x, y, *values = inputs
        index = join_index(self.template, values)
        result = x if self.inplace else x.copy()
        try:
            if self.set_instead:
                result[index] = y
            elif "a" in self.template:
                np.add.at(result, index, y)
            else:
                result[index] += y
        except IndexError as error:
            raise out_of_bounds(x, index, error) from error
        except ValueError as error:
            raise ShapeError(
                "valeur qui ne tient pas à la place indexée",
                expected=str(x[index].shape),
                received=str(y.shape),
                hint="donnez une valeur de la forme de la place, ou un nombre seul",
            ) from error
        output_storage[0][0] = result

    def L_op(self, inputs, outputs, output_grads):
        _, y, *indices = inputs
        (g,) = output_grads
        g_y = y.match_gradient(Subtensor(self.template)(g, *indices))
        g_x = g
        if self.set_instead:
            g_x = IncSubtensor(self.template, set_instead=True)(
                g, y.zeros_like(dtype=g.dtype), *indices
            )
        return [g_x, g_y, *([None] * len(indices))]

    @classmethod
    def variants(cls):
        return [
            cls(template, set_instead, inplace)
            for template in _SAMPLES
            for set_instead in (True, False)
            for inplace in (False, True)
        ]

    def samples(self):
        x, indices = _index_samples(self.template)
        found = []
        for index in indices:
            y = x[join_index(self.template, index)]
            if not self.set_instead or np.unique(y).size == y.size:  # posé deux fois : lequel ?
                found.append([x, y / 7 - 0.5, *index])
            if any(i.dtype == bool for i in index):  # à l’aveugle, un masque peut ne rien choisir
                found.append([x, y[:1] / 7 - 0.5, *index])
        return found

    def __str__(self):
        sign = "=" if self.set_instead else "+="
        return f"index[{_template_text(self.template)}] {sign}" + (
            " {sur place}" if self.inplace else ""
        )


def _template_text(template):
    names = {"i": "i", "n": "None", "...": "...", "a": "tableau"}
    texts = []
    for item in template:
        if item in names:
            texts.append(names[item])
            continue
        start, stop, step = ("·" if given else "" for given in item[1:])
        texts.append(f"{start}:{stop}" + (f":{step}" if step else ""))
    return ", ".join(texts)


def out_of_bounds(x, index, error):
    """L’erreur d’un indice que NumPy refuse, avec ce qu’il en dit."""
    shown = ", ".join(
        f"{type(i).__name__} {getattr(i, 'shape', '')}" if hasattr(i, "shape") else str(i)
        for i in index
    )
    return ShapeError(
        "indice hors du tableau",
        expected=f"des indices valables pour la forme {x.shape}",
        received=f"[{shown}] ({error})",
        hint=_index_hint(index, x.shape),
    )


def _index_hint(index, shape):
    """Ce qu’il faut regarder, selon ce que l’indice contient."""
    arrays = [item for item in index if isinstance(item, np.ndarray)]
    if any(item.dtype == bool for item in arrays):
        return "un masque a la longueur de l'axe qu'il choisit : comparez mask.shape et x.shape"
    if len({item.shape for item in arrays if item.size != 1}) > 1:
        return "les tableaux d'indices vont ensemble, un élément de chacun : même longueur"
    lengths = ", ".join(f"{n - 1} pour l'axe {axis}" for axis, n in enumerate(shape))
    return f"les indices vont de 0 au dernier ({lengths}), ou de -1 en remontant"
