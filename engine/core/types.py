"""Les tableaux symboliques : `TensorType`, ses variables et ses constantes.

Un type dit le dtype et, pour chaque axe, la longueur quand elle est connue (None sinon). Un axe de
longueur 1 connue est « diffusable » (broadcastable) ; la diffusion se décide de toute façon à
l’exécution, l’information ne sert qu’à mieux compiler et à échouer plus tôt.

Les opérateurs et les méthodes d’une variable sont des fonctions du moteur : `add_methods` les lui
donne, là où elles sont écrites.

Ordre de lecture : `TensorType`, `TensorVariable`, `add_methods`, `TensorConstant`, `constant`.
"""

import numpy as np

from engine.core.dtypes import DTYPES, FLOATS, holds, is_number, need_bfloat16
from engine.core.errors import DtypeError, ShapeError
from engine.core.graph import Constant, Type, Variable, walk
from engine.core.settings import config


class TensorType(Type):
    """Type d’un tableau : dtype et longueur des axes.

    Paramètres
        dtype : nom NumPy (`"float32"`, `"int64"`...) ou `"floatX"`.
        broadcastable : suite de booléens, un par axe (vrai : longueur 1), comme dans Theano.
        shape : suite d’entiers ou None, un par axe ; remplace `broadcastable`.

    Lève
        DtypeError : dtype inconnu.

    Exemple
        >>> TensorType("float32", (False, True))
        TensorType(float32, (?, 1))
    """

    def __init__(self, dtype, broadcastable=(), name=None, *, shape=None):
        try:
            if not (isinstance(dtype, str) and dtype in DTYPES):
                dtype = config.floatX if dtype == "floatX" else str(np.dtype(dtype))
            self.dtype = dtype
        except TypeError:
            self.dtype = repr(dtype)
        if self.dtype not in DTYPES:
            raise DtypeError(
                "dtype inconnu",
                expected=", ".join(DTYPES),
                received=self.dtype,
                hint="'float32' convient presque toujours ; 'int64' pour des étiquettes",
            )
        if self.dtype == "bfloat16":
            need_bfloat16()
        lengths = broadcastable if shape is None else shape
        if not isinstance(lengths, list | tuple):
            raise ShapeError(
                "un type de tableau dit quelque chose de chaque axe",
                expected="broadcastable : une suite de booléens, shape : une suite de longueurs",
                received=repr(lengths),
                hint="TensorType('float32', shape=(None, 784)) ; T.matrix('x') suffit souvent",
            )
        if shape is None:
            shape = [1 if flag else None for flag in broadcastable]
        if not all(n is None or isinstance(n, int | np.integer) for n in shape):
            raise ShapeError(
                "une longueur d'axe est un entier, ou None si elle n'est pas connue",
                expected="par exemple shape=(None, 784)",
                received=repr(shape),
                hint="pour nommer un axe : T.matrix('x', dims=('lot', 'pixels'))",
            )
        self.shape = tuple(None if length is None else int(length) for length in shape)
        self.name = name

    @property
    def ndim(self):
        """Nombre d’axes."""
        return len(self.shape)

    @property
    def broadcastable(self):
        """Pour chaque axe, vrai si sa longueur est 1, connue d’avance."""
        return tuple(length == 1 for length in self.shape)

    @property
    def numpy_dtype(self):
        """Le dtype, en objet NumPy."""
        return np.dtype(self.dtype)

    def with_dtype(self, dtype):
        """Rend le même type avec un autre dtype."""
        return TensorType(dtype, shape=self.shape)

    def accepts(self, other):
        """Même dtype, même nombre d’axes, longueurs connues compatibles."""
        return (
            isinstance(other, TensorType)
            and self.dtype == other.dtype
            and self.ndim == other.ndim
            and all(
                a is None or b is None or a == b
                for a, b in zip(self.shape, other.shape, strict=True)
            )
        )

    def replacement(self, old, new):
        """Rend `new`, prête à prendre la place de `old`, une variable de ce type : elle a les mêmes
        longueurs connues. Celles d’une variable calculée, que l’on n’a pas écrites soi-même, sont
        vérifiées à l’exécution si `new` les ignore.

        Lève
            ShapeError : le nombre d’axes, ou une longueur connue, ne va pas.
        """
        new = as_tensor_variable(new)
        pairs = list(zip(self.shape, new.type.shape, strict=False))
        unsure = any(have is None and known is not None for known, have in pairs)
        clash = any(None not in pair and pair[0] != pair[1] for pair in pairs)
        if new.ndim != self.ndim or clash or (unsure and old.owner is None):
            raise ShapeError(
                f"{old} n'est remplacée que par une variable de même forme",
                expected=self.short(),
                received=f"{new} : {new.short()}",
                hint=f"si elle l'a, dites-le : T.specify_shape({new}, {self.shape})"
                if unsure
                else "refaites l'expression avec la nouvelle variable",
            )
        return new.specify_shape(self.shape) if unsure else new

    def make_variable(self, name=None):
        return TensorVariable(self, name=name)

    def number(self, value):
        """Rend le nombre `value` en constante de ce dtype, sans axe."""
        return TensorType(self.dtype).make_constant(value)

    def make_constant(self, data, name=None):
        """Rend une constante de ce type."""
        return TensorConstant(self, data, name=name)

    def filter(self, value, strict=False, allow_downcast=None):
        """Rend `value` en tableau NumPy de ce type.

        Paramètres
            strict : n’accepter qu’un tableau exactement du bon dtype.
            allow_downcast : True, convertir même avec perte ; None, ne convertir avec perte qu’un
                flottant Python vers `floatX` ; False, jamais.

        Lève
            DtypeError, ShapeError : la valeur ne va pas.
        """
        if isinstance(value, Variable):
            raise DtypeError(
                "une valeur était attendue, une variable symbolique est venue",
                expected=f"un tableau {self.short()}",
                received=f"la variable {value}",
                hint="passez un nombre ou un tableau ; une expression va dans updates ou givens",
            )
        dtype = self.numpy_dtype
        if type(value) is np.ndarray and value.dtype == dtype:
            array = value
        elif strict:
            raise DtypeError(
                "valeur refusée telle quelle (strict)",
                expected=f"un ndarray {self.short()}",
                received=_describe(value),
            )
        else:
            array = self._convert(value, dtype, allow_downcast)
        self.check_shape(array)
        return array

    def check_shape(self, array):
        """Refuse un tableau qui n’a pas les axes du type.

        Lève
            ShapeError : le nombre d’axes ou une longueur connue ne va pas.
        """
        if array.ndim != self.ndim or not all(
            known is None or known == length
            for known, length in zip(self.shape, array.shape, strict=True)
        ):
            raise ShapeError(
                "forme inattendue",
                expected=f"{self.ndim} axe(s), {self.short()}",
                received=f"forme {array.shape}",
                hint="regardez valeur.shape : d'autres données que prévu ? sinon, reshape",
            )

    def _convert(self, value, dtype, allow_downcast):
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise ShapeError(
                "valeur irrégulière",
                expected=self.short(),
                received=str(error),
                hint="complétez les lignes courtes, par des zéros par exemple",
            ) from error
        except TypeError as error:  # un tableau d’un GPU, que NumPy ne va pas chercher
            raise DtypeError(
                "valeur que NumPy ne sait pas lire",
                expected=f"un tableau {self.short()}",
                received=f"{type(value).__name__} ({error})",
                hint="rapportez-la sur l'hôte, ou compilez la fonction pour le GPU "
                "(config.device = 'cuda')",
            ) from error
        if array.dtype == dtype:
            return array
        python_float = isinstance(value, float) and not isinstance(value, np.generic)
        allowed = (
            allow_downcast
            or (is_number(array.dtype) and holds(self.dtype, array.dtype.name))
            or (allow_downcast is None and python_float and self.dtype == config.floatX)
        )
        if not is_number(array.dtype):
            allowed = False
        with np.errstate(all="ignore"):
            converted = array.astype(dtype) if is_number(array.dtype) else None
        if not allowed and converted is not None:
            # listes, scalaires Python ou NumPy : acceptés si rien ne se perd
            allowed = not isinstance(value, np.ndarray) and np.array_equal(
                converted, array, equal_nan=array.dtype.name in FLOATS
            )
        if not allowed:
            raise DtypeError(
                "conversion refusée : elle perdrait de l'information",
                expected=f"des éléments {self.dtype}",
                received=_describe(value),
                hint=f"np.asarray(valeur).astype('{self.dtype}') convertit, avec perte ; pour les "
                "entrées d'une fonction, allow_input_downcast=True"
                if converted is not None
                else "donnez des nombres",
            )
        return converted

    def __eq__(self, other):
        return type(self) is type(other) and (self.dtype, self.shape) == (other.dtype, other.shape)

    def __hash__(self):
        return hash((self.dtype, self.shape))

    def __repr__(self):
        lengths = ", ".join("?" if length is None else str(length) for length in self.shape)
        return f"TensorType({self.dtype}, ({lengths}{',' if self.ndim == 1 else ''}))"

    def short(self):
        """Écriture courte : `float32 (?, 10)`."""
        return repr(self).removeprefix("TensorType(").removesuffix(")").replace(",", "", 1)


def _describe(value):
    if isinstance(value, np.ndarray):
        return f"un tableau {value.dtype} de forme {value.shape}"
    text = repr(value)
    return f"{text if len(text) < 60 else text[:57] + '...'} ({type(value).__name__})"


class TensorVariable(Variable):
    """Un tableau symbolique. Ses opérateurs et méthodes sont ceux de NumPy."""

    __array_priority__ = 1000  # NumPy laisse la main à nos opérateurs

    @property
    def dtype(self):
        """Nom du dtype, une chaîne ordinaire."""
        return self.type.dtype

    @property
    def ndim(self):
        """Nombre d’axes."""
        return self.type.ndim

    @property
    def broadcastable(self):
        """Pour chaque axe, vrai si sa longueur est 1, connue d’avance."""
        return self.type.broadcastable

    @property
    def dims(self):
        """Le nom de chaque axe (None : sans nom), donné ou déduit des entrées.

        Exemple
            >>> from engine import tensor as T
            >>> x = T.matrix("x", dims=("lot", "pixels"))
            >>> x.T.dims, x.sum(axis=0).dims
            (('pixels', 'lot'), ('pixels',))
        """
        if self._dims is None:
            _name_axes(self)
        return self._dims

    @dims.setter
    def dims(self, names):
        names = tuple(names)
        if len(names) != self.ndim or not all(n is None or isinstance(n, str) for n in names):
            raise ShapeError(
                f"noms d'axes de {self}",
                expected=f"{self.ndim} nom(s), un par axe (None : sans nom)",
                received=repr(names),
                hint="une suite de noms : dims=('lot', 'pixels')",
            )
        self._dims = names

    def short(self):
        """Écriture courte du type, avec les noms des axes : `float32 (lot=?, pixels=784)`."""
        if not any(self.dims):
            return self.type.short()
        lengths = ["?" if length is None else length for length in self.type.shape]
        return f"{self.dtype} {self.shape_text(lengths)}"

    def shape_text(self, shape):
        """Une forme, avec les noms des axes : `(lot=3, pixels=784)`."""
        if not any(self.dims):
            return str(tuple(shape))
        pairs = zip(self.dims, shape, strict=True)
        return f"({', '.join(f'{name}={n}' if name else f'{n}' for name, n in pairs)})"

    def __bool__(self):
        if self.owner is not None and getattr(self.owner.op, "is_comparison", False):
            raise DtypeError(
                "une comparaison symbolique n'est ni vraie ni fausse avant d'être calculée",
                received=repr(self),
                hint="utilisez switch(condition, a, b), ou calculez d'abord la valeur",
                expected="une valeur, vraie ou fausse",
            )
        return True


def add_methods(**methods):
    """Donne aux variables des opérateurs et des méthodes : nom -> fonction, ou propriété."""
    for name, function in methods.items():
        setattr(TensorVariable, name, function)


class _WithNamedAxes:
    """Les variables dont les noms d’axes sont déjà connus."""

    def __contains__(self, variable):
        return variable._dims is not None


def _name_axes(variable):
    """Donne un nom, ou None, à chaque axe de la variable et de tout ce dont elle dépend."""
    for item in walk([variable], _WithNamedAxes()):
        if item._dims is None:
            node = item.owner
            names = node.op.infer_dims(node)[item.index] if node is not None else None
            item._dims = (None,) * item.ndim if names is None else tuple(names)


def axis_clash(x, x_axis, x_length, y, y_axis, y_length):
    """Dit, avec leurs noms, que deux axes n’ont pas la même longueur ; vide s’ils n’en ont pas."""
    first, second = x.dims[x_axis], y.dims[y_axis]
    if first is None and second is None:
        return ""
    left = f"l'axe {first} de {x}" if first else f"l'axe {x_axis % x.ndim} de {x}"
    right = f"l'axe {second} de {y}" if second else f"l'axe {y_axis % y.ndim} de {y}"
    right = f"celui de {y}" if first == second else right
    return f" : {left} vaut {x_length}, {right} {y_length}"


class TensorConstant(TensorVariable, Constant):
    """Un tableau connu d’avance, en lecture seule."""

    def __init__(self, type, data, name=None):
        Constant.__init__(self, type, _frozen(np.array(data, type.numpy_dtype)), name=name)

    def __setstate__(self, state):
        vars(self).update(state)
        _frozen(self.data)

    def signature(self):
        return (self.dtype, self.data.shape, self.data.tobytes())

    def __repr__(self):
        if self.name is not None:
            return str(self.name)
        return str(self.data) if self.data.size <= 6 else f"constante {self.type.short()}"


def _frozen(data):
    data.flags.writeable = False
    return data


def as_numbers(value):
    """Rend `value` en tableau NumPy, de l’un des dtypes du moteur.

    Lève
        ShapeError : des lignes de longueurs différentes.
        DtypeError : autre chose que des nombres, ou un entier trop grand.
    """
    try:
        data = np.asarray(value)
    except ValueError as error:
        raise ShapeError(
            "des lignes qui n'ont pas toutes la même longueur ne font pas un tableau",
            expected="la même longueur partout",
            received=_describe(value),
            hint="complétez les lignes courtes, par des zéros par exemple",
        ) from error
    if not is_number(data.dtype):
        too_large = isinstance(value, int)
        raise DtypeError(
            f"impossible d'en faire un tableau : {'entier trop grand' if too_large else 'dtype'}",
            expected=f"un entier de {-(2**63)} à {2**64 - 1}" if too_large else "des nombres",
            received=_describe(value),
            hint="écrivez-le en flottant : 1e20, float(n)"
            if too_large
            else "convertissez d'abord vos données : np.asarray(valeurs, dtype='float32')",
        )
    return data


def constant(value, name=None, ndim=None, dtype=None):
    """Rend la constante de valeur `value`.

    Un flottant Python prend `floatX`, un entier Python le plus petit type entier qui le contient,
    un scalaire ou un tableau NumPy garde son dtype.

    Lève
        DtypeError : la valeur n’est pas un nombre ou un tableau de nombres.
    """
    data = as_numbers(value)
    if dtype is not None:
        data = data.astype(TensorType(dtype).dtype)
    elif not isinstance(value, np.ndarray | np.generic):
        if data.dtype.name in FLOATS:
            data = data.astype(config.floatX)
        elif data.dtype.kind in "iu":
            low, high = (data.min(), data.max()) if data.size else (0, 0)
            names = ("int8", "int16", "int32", "int64", "uint64")
            bounds = ((name, np.iinfo(name)) for name in names)
            data = data.astype(next(name for name, b in bounds if b.min <= low and high <= b.max))
    if ndim is not None and data.ndim < ndim:
        data = data.reshape((1,) * (ndim - data.ndim) + data.shape)
    return TensorConstant(TensorType(data.dtype, shape=data.shape), data, name=name)


def as_tensor_variable(value, name=None, ndim=None):
    """Rend `value` si c’est déjà une variable, sinon la constante de cette valeur.

    Un flottant Python que float32 contient exactement (2,5, mais non 0,1) y prend float32, quel que
    soit `floatX` : ainsi `x * 2.5` garde le dtype float32 de x.

    Une liste qui contient des variables devient leur empilement (voir `engine.tensor.stack`).
    """
    if isinstance(value, TensorVariable):
        return value
    if isinstance(value, Variable):
        raise DtypeError("un tableau symbolique était attendu", received=f"{value} : {value.type}")
    if value is True or value is False:  # souvent le résultat de x == y, comparés comme objets
        raise DtypeError(
            f"{value} n'est pas un tableau symbolique",
            expected="une variable, un nombre, un tableau",
            received=repr(value),
            hint="x == y demande si c'est la même variable ; terme à terme, T.eq(x, y) ; "
            f"pour une constante, T.constant({value})",
        )
    if isinstance(value, list | tuple) and any(isinstance(item, Variable) for item in value):
        return stack_variables([as_tensor_variable(item) for item in value])
    exact = type(value) is float and (_in_float32(value) == value or value != value)
    narrow = exact and config.floatX != "float16"
    return constant(value, name, ndim, "float32" if narrow else None)


def _in_float32(value):
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def stack_variables(items):
    """Empile des scalaires ou des tableaux symboliques le long d’un nouvel axe 0."""
    first, *others = (item.dimshuffle("x", *range(item.ndim)) for item in items)
    return first.join_with(0, *others) if others else first
