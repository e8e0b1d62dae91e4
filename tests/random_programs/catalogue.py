"""Les fonctions publiques, une ligne chacune : leurs arguments, leur texte, leur valeur en NumPy.

`ROWS` : nom -> tirage. Un tirage prend le `Maker` et le nom, choisit des arguments, ajoute un nœud
et rend son rang. Le nom est celui de la fonction dans `engine.tensor`, points compris.

Ordre de lecture : règles de dtype ; terme à terme ; réductions ; formes ; indexation ; créations ;
cumuls et tris ; algèbre linéaire ; réseaux ; images et signaux.
"""

import numpy as np

ROWS = {}


class Impossible(Exception):
    """Ce tirage ne donne rien ; on en fait un autre."""


NOT_DRAWN = {
    "grad": "le juge s’en sert pour chaque programme",
    "Lop": "une dérivée : tests/core/test_function.py",
    "Rop": "une dérivée : tests/core/test_function.py",
    "hessian": "une dérivée : tests/core/test_function.py",
    "jacobian": "une dérivée : tests/core/test_function.py",
    "verify_grad": "une épreuve, non une op",
    "constant": "une entrée du programme, de genre « constante »",
    "as_tensor_variable": "ce que fait chaque fonction de ses arguments",
    **dict.fromkeys(
        ["extra_ops.product_of_others", "extra_ops.first_extremum"],
        "ce dont prod et max font leur gradient : tests/ops/test_ties_and_zeros.py",
    ),
    **dict.fromkeys(
        """
        nnet.conv2d_transpose nnet.separable_conv2d nnet.h_softmax nlinalg.eig nlinalg.tensorinv
        nlinalg.tensorsolve slinalg.eigvalsh slinalg.expm extra_ops.take_along
        """.split(),
        "contre NumPy, valeur et gradient : tests/tensor/test_other_names.py",
    ),
}


def row(*names):
    """Déclare le tirage de ces fonctions."""

    def register(draw):
        ROWS.update(dict.fromkeys(names, draw))
        return draw

    return register


# ---- règles de dtype (celles de Theano) --------------------------------------------------


def common(*dtypes):
    """Le plus petit qui contient les autres."""
    return str(np.result_type(*map(np.dtype, dtypes)))


def floating(*dtypes):
    """Un flottant : float32 pour des entiers d’un ou deux octets."""
    found = np.dtype(common(*dtypes))
    return str(found) if found.kind == "f" else "float32" if found.itemsize <= 2 else "float64"


def number(*dtypes):
    """Comme `common`, mais un booléen devient int8."""
    found = common(*dtypes)
    return "int8" if found == "bool" else found


def quotient(*dtypes):
    """Comme `common`, mais floatX pour des entiers."""
    found = common(*dtypes)
    return found if found.startswith("float") else "float64"


def accumulated(dtype):
    """Ce qui contient une somme."""
    return {"f": dtype, "u": "uint64"}.get(np.dtype(dtype).kind, "int64")


# ---- terme à terme -----------------------------------------------------------------------

_UNARY = {  # nom : (NumPy, domaine)
    **{name: (f"np.{name}({{0}})", "moderate") for name in
       ("exp", "expm1", "exp2", "sin", "cos", "arctan", "arcsinh", "sinh", "cosh", "tanh")},
    **{name: (f"np.{name}({{0}})", "positive") for name in ("log", "log2", "log10", "sqrt")},
    "log1p": ("np.log1p({0})", "above_-1"),
    **{name: (f"np.{name}({{0}})", "inside") for name in ("tan", "arcsin", "arccos", "arctanh")},
    "arccosh": ("np.arccosh({0})", "above_1"),
    **{name: (f"{name}({{0}})", "moderate") for name in ("sigmoid", "softplus", "erf", "erfc")},
    "gammaln": ("gammaln({0})", "positive"),
    "psi": ("special('psi', {0})", "positive"),
    "nnet.sigmoid": ("sigmoid({0})", "moderate"),
    "nnet.softplus": ("softplus({0})", "moderate"),
}  # fmt: skip


@row(*_UNARY)
def _unary(m, name):
    text, domain = _UNARY[name]
    x = m.array("f" if m.chance(0.8) else "fiub", domain=domain if m.chance(0.8) else "plain")
    dtype = floating(m.dtype(x))
    method = "." not in name and m.chance(0.3)
    engine = f"{{0}}.{name}()" if method else f"T.{name}({{0}})"
    near = name in ("gammaln", "psi")
    return m.node(name, engine, text, [x], dtype, dtype, passes_by_1=near)


_STEPS = {name: f"np.{name}({{0}})" for name in ("floor", "ceil", "trunc")}
_STEPS |= {"round_half_to_even": "np.rint({0})", "round_half_away_from_zero": "round_away({0})"}


@row(*_STEPS)
def _step(m, name):
    x = m.array()
    dtype = floating(m.dtype(x))
    return m.node(name, f"T.{name}({{0}})", _STEPS[name], [x], dtype, dtype, rounds=False)


@row("round")
def _round(m, name):
    x, away = m.array(), m.chance(0.5)
    mode = ", mode='half_away_from_zero'" if away else ""
    text, dtype = "round_away({0})" if away else "np.rint({0})", floating(m.dtype(x))
    return m.node(name, f"T.round({{0}}{mode})", text, [x], dtype, dtype, rounds=False)


_NUMBERS = {"neg": ("-{0}", "np.negative({0})"), "abs": ("abs({0})", "np.abs({0})"),
            "sgn": ("T.sgn({0})", "np.sign({0})"), "sqr": ("T.sqr({0})", "np.square({0})")}  # fmt: skip


@row(*_NUMBERS)
def _number(m, name):
    x = m.array()
    engine, numpy = _NUMBERS[name]
    dtype = number(m.dtype(x))
    return m.node(name, engine, numpy, [x], dtype, dtype, rounds=name == "sqr")


@row("isnan", "isinf")
def _test(m, name):
    return m.node(name, f"T.{name}({{0}})", f"np.{name}({{0}})", [m.array()], "bool", rounds=False)


@row("invert")
def _invert(m, name):
    x = m.array("iub")
    return m.node(name, "~{0}", "np.invert({0})", [x], m.dtype(x))


_BINARY = {  # nom : (symbole, NumPy, dtype, arrondit, domaine du second)
    "add": ("+", "np.add", common, True, "plain"),
    "sub": ("-", "np.subtract", number, True, "plain"),
    "mul": ("*", "np.multiply", common, True, "plain"),
    "true_div": ("/", "np.true_divide", quotient, True, "plain"),
    "int_div": ("//", "np.floor_divide", number, True, "plain"),
    "mod": ("%", "np.mod", number, True, "plain"),
    "pow": ("**", "np.power", number, True, "moderate"),
    "maximum": (None, "np.maximum", common, False, "plain"),
    "minimum": (None, "np.minimum", common, False, "plain"),
    "arctan2": (None, "np.arctan2", floating, True, "plain"),
    "hypot": (None, "np.hypot", floating, True, "plain"),
    "logaddexp": (None, "np.logaddexp", floating, True, "moderate"),
    "largest": (None, "np.maximum", common, False, "plain"),
    "smallest": (None, "np.minimum", common, False, "plain"),
}


def _operands(m, kinds="fiub", domain="plain", literal=True):
    x = m.array(kinds)
    if literal and m.chance(0.12):
        value = m.rng.choice([0, 1, 2, 3, -1, -2, *([0.5, 2.5, -1.5, 0.1] if "f" in kinds else [])])
        whole, exact = isinstance(value, int), np.float32(value) == value
        y = m.literal(value, "int8" if whole else "float32" if exact else "float64")
    else:
        y = m.partner(x, kinds, domain)
    return [x, y] if m.chance(0.7) else [y, x]


@row(*_BINARY)
def _binary(m, name):
    symbol, numpy, rule, rounds, domain = _BINARY[name]
    args = _operands(m, domain=domain)
    dtype = rule(*map(m.dtype, args))
    use_symbol = symbol and m.chance(0.6)
    engine = f"({{0}} {symbol} {{1}})" if use_symbol else f"T.{name}({{0}}, {{1}})"
    rounds = rounds and dtype.startswith("float")
    return m.node(name, engine, f"{numpy}({{0}}, {{1}})", args, dtype, dtype, rounds)


@row("lt", "gt", "le", "ge", "eq", "neq")
def _compare(m, name):
    args = _operands(m)
    function = {"lt": "less", "gt": "greater", "le": "less_equal", "ge": "greater_equal",
                "eq": "equal", "neq": "not_equal"}[name]  # fmt: skip
    symbol = {"lt": "<", "gt": ">", "le": "<=", "ge": ">="}.get(name)
    engine = f"({{0}} {symbol} {{1}})" if symbol and m.chance(0.5) else f"T.{name}({{0}}, {{1}})"
    compute = common(*map(m.dtype, args))
    return m.node(name, engine, f"np.{function}({{0}}, {{1}})", args, "bool", compute, False)


@row("and_", "or_", "xor")
def _bits(m, name):
    args = _operands(m, "iub")
    function = {"and_": "and", "or_": "or", "xor": "xor"}[name]
    dtype = common(*map(m.dtype, args))
    return m.node(name, f"T.{name}({{0}}, {{1}})", f"np.bitwise_{function}({{0}}, {{1}})", args,
                  dtype, dtype, False)  # fmt: skip


@row("polygamma")
def _polygamma(m, name):
    x = m.array("f", domain="positive")
    n = m.fresh(m.dtype(x), [()] * 2, values=[np.array(m.rng.choice([1, 2, 3]), m.dtype(x))] * 2)
    dtype = m.dtype(x)
    return m.node(name, "T.polygamma({0}, {1})", "special('polygamma', {0}, {1})", [n, x], dtype)


@row("switch", "where")
def _switch(m, name):
    y = m.array()
    z = m.partner(y)
    condition = m.partner(y, "b" if m.chance(0.8) else "fiu")
    dtype = common(m.dtype(y), m.dtype(z))
    return m.node(name, f"T.{name}({{0}}, {{1}}, {{2}})", "np.where({0}, {1}, {2})",
                  [condition, y, z], dtype, None, False)  # fmt: skip


@row("clip")
def _clip(m, name):
    x = m.array()
    low, high = m.rng.choice([(0, 1), (-1, 1), (-2, 2), (1, 3), (2, -2)])
    dtype = common(m.dtype(x), "int8")
    return m.node(name, f"T.clip({{0}}, {low}, {high})",
                  f"np.minimum(np.maximum({{0}}, {low}), {high})", [x], dtype, dtype, False)  # fmt: skip


@row("cast")
def _cast(m, name):
    x = m.array()
    to = m.new_dtype("fiub")
    if m.kind(x) == "f" and np.dtype(to).kind in "iu":
        limits = np.iinfo(to)
        inside = (
            np.isfinite(v).all() and (v > limits.min).all() and (v < limits.max).all()
            for v in (values[x] for values in m.values)
        )
        if not all(inside):
            to = "bool"
    engine = f"T.cast({{0}}, '{to}')" if m.chance(0.5) else f"{{0}}.astype('{to}')"
    return m.node(name, engine, "{0}", [x], to, None, to == "float32")


@row("second", "fill")
def _second(m, name):
    x = m.array()
    y = m.partner(x)
    return m.node(name, f"T.{name}({{0}}, {{1}})", "np.broadcast_arrays({0}, {1})[1]", [x, y],
                  m.dtype(y), None, False)  # fmt: skip


@row("inv")
def _inv(m, name):
    x = m.array("f")
    return m.node(name, "T.inv({0})", "1 / {0}", [x], m.dtype(x))


@row("ceil_intdiv")
def _ceil_intdiv(m, name):
    x = m.array("iu")
    y = m.partner(x, "iu")
    dtype = common(m.dtype(x), m.dtype(y))
    if dtype.startswith("float") or any((values[y] == 0).any() for values in m.values):
        raise Impossible
    return m.node(name, "T.ceil_intdiv({0}, {1})", "-(-{0}.astype(object) // {1}.astype(object))",
                  [x, y], dtype, dtype, False)  # fmt: skip


# ---- réductions --------------------------------------------------------------------------


def _reduced(m, x, multiple=True):
    """Le texte des axes d’une réduction."""
    ndim, options = m.ndim(x), []
    if ndim and m.chance(0.75):
        axes = m.rng.sample(range(ndim), m.rng.randint(1, ndim)) if multiple else []
        if len(axes) > 1 and m.chance(0.5):
            options.append(f"axis={tuple(axes)}")
        else:
            options.append(f"axis={m.axis(ndim)}")
    if m.chance(0.25):
        options.append("keepdims=True")
    return "".join(f", {option}" for option in options)


_REDUCTIONS = {  # nom : (dtype, genres, arrondit)
    "sum": (accumulated, "fiub", True),
    "prod": (accumulated, "fiub", True),
    "mean": (quotient, "fiub", True),
    "var": (quotient, "fiub", True),
    "std": (quotient, "fiub", True),
    "max": (str, "fiub", False),
    "min": (str, "fiub", False),
    "all": (lambda dtype: "bool", "fiub", False),
    "any": (lambda dtype: "bool", "fiub", False),
}


@row(*_REDUCTIONS)
def _reduction(m, name):
    rule, kinds, rounds = _REDUCTIONS[name]
    x = m.array(kinds)
    dtype, options = rule(m.dtype(x)), _reduced(m, x)
    if name in ("var", "std") and m.chance(0.3):
        options += ", ddof=1"
    engine = f"{{0}}.{name}({options[2:]})" if m.chance(0.4) else f"T.{name}({{0}}{options})"
    compute = None if dtype == "bool" else dtype
    return m.node(name, engine, f"np.{name}({{0}}{options})", [x], dtype, compute, rounds)


@row("argmax", "argmin")
def _arg(m, name):
    x = m.array()
    options = _reduced(m, x, multiple=False)
    return m.node(name, f"T.{name}({{0}}{options})", f"np.{name}({{0}}{options})", [x], "int64",
                  None, False)  # fmt: skip


@row("max_and_argmax")
def _max_and_argmax(m, name):
    x = m.array()
    options, which = _reduced(m, x, multiple=False), m.rng.randrange(2)
    function = ("max", "argmax")[which]
    dtype = "int64" if which else m.dtype(x)
    return m.node(name, f"T.max_and_argmax({{0}}{options})[{which}]", f"np.{function}({{0}}{options})",
                  [x], dtype, None, False)  # fmt: skip


@row("ptp")
def _ptp(m, name):
    x = m.array()
    axis, dtype = m.axis(m.ndim(x), none=True) if m.ndim(x) else None, number(m.dtype(x))
    return m.node(name, f"T.ptp({{0}}, axis={axis})",
                  f"np.max({{0}}, axis={axis}) - np.min({{0}}, axis={axis})", [x], dtype, dtype)  # fmt: skip


# ---- formes ------------------------------------------------------------------------------


def _moved(m, name, engine, numpy, *args):
    """Un nœud qui ne fait que déplacer les éléments du premier argument."""
    return m.node(name, engine, numpy, args, m.dtype(args[0]), None, False)


@row("dimshuffle")
def _dimshuffle(m, name):
    x = m.array()
    shapes = m.shapes(x)
    kept = [
        axis
        for axis in range(m.ndim(x))
        if not (all(shape[axis] == 1 for shape in shapes) and m.chance(0.4))
    ]
    dropped = [axis for axis in range(m.ndim(x)) if axis not in kept]
    m.rng.shuffle(kept)
    order = list(kept)
    for _ in range(m.rng.choice([0, 0, 1, 1, 2])):
        order.insert(m.rng.randint(0, len(order)), "x")
    new = tuple(place for place, item in enumerate(order) if item == "x")
    numpy = f"np.expand_dims(np.squeeze({{0}}.transpose({kept + dropped}), "
    numpy += f"{tuple(range(len(kept), m.ndim(x)))}), {new})"
    engine = f"{{0}}.dimshuffle({', '.join(map(repr, order))})"
    return _moved(m, name, engine, numpy, x)


@row("transpose")
def _transpose(m, name):
    x = m.array()
    if m.chance(0.5):
        return _moved(m, name, "{0}.T", "{0}.T", x)
    axes = m.rng.sample(range(m.ndim(x)), m.ndim(x))
    return _moved(m, name, f"T.transpose({{0}}, {axes})", f"np.transpose({{0}}, {axes})", x)


@row("reshape")
def _reshape(m, name):
    x = m.array()
    ndim = m.ndim(x)
    lengths = [f"{{0}}.shape[{axis}]" for axis in range(ndim)]
    m.rng.shuffle(lengths)
    while len(lengths) > 1 and m.chance(0.6):
        k = m.rng.randrange(len(lengths) - 1)
        lengths[k : k + 2] = [f"{lengths[k]} * {lengths[k + 1]}"]
    if m.chance(0.3):
        lengths.insert(m.rng.randint(0, len(lengths)), "1")
    if lengths and m.chance(0.4):
        lengths[m.rng.randrange(len(lengths))] = "-1"
    shape = "(" + "".join(f"{length}, " for length in lengths) + ")"
    engine = f"{{0}}.reshape({shape})" if m.chance(0.5) else f"T.reshape({{0}}, {shape})"
    return _moved(m, name, engine, f"np.reshape({{0}}, {shape})", x)


@row("flatten")
def _flatten(m, name):
    x = m.array(ndims=range(1, 5))
    ndim = m.rng.randint(1, m.ndim(x))
    numpy = f"np.reshape({{0}}, (*{{0}}.shape[:{ndim - 1}], np.prod({{0}}.shape[{ndim - 1}:], dtype=int)))"
    return _moved(m, name, f"T.flatten({{0}}, ndim={ndim})", numpy, x)


@row("squeeze")
def _squeeze(m, name):
    x = m.array()
    return _moved(m, name, "T.squeeze({0})",
                  _squeezed(m, x), x)  # fmt: skip


def _squeezed(m, x):
    """`squeeze` n’ôte que les axes dont le type dit la longueur : ceux d’une entrée, ici."""
    item = m.program.items[x]
    static = getattr(item, "static", None)
    if static is None or item.kind != "argument":
        raise Impossible
    axes = tuple(axis for axis, length in enumerate(static) if length == 1)
    return f"np.squeeze({{0}}, {axes})"


@row("swapaxes")
def _swapaxes(m, name):
    x = m.array(ndims=range(1, 5))
    axes = f"{m.axis(m.ndim(x))}, {m.axis(m.ndim(x))}"
    return _moved(m, name, f"T.swapaxes({{0}}, {axes})", f"np.swapaxes({{0}}, {axes})", x)


@row("shape_padleft", "shape_padright")
def _pad(m, name):
    x, n = m.array(ndims=range(4)), m.rng.randint(1, 2)
    numpy = {"shape_padleft": f"np.expand_dims({{0}}, {tuple(range(n))})",
             "shape_padright": f"np.expand_dims({{0}}, {tuple(range(-n, 0))})"}[name]  # fmt: skip
    return _moved(m, name, f"T.{name}({{0}}, {n})", numpy, x)


@row("shape_padaxis")
def _pad_axis(m, name):
    x = m.array(ndims=range(4))
    axis = m.axis(m.ndim(x) + 1)
    return _moved(m, name, f"T.shape_padaxis({{0}}, {axis})", f"np.expand_dims({{0}}, {axis})", x)


def _of_length_1(m, x):
    return [a for a in range(m.ndim(x)) if all(shape[a] == 1 for shape in m.shapes(x))]


@row("addbroadcast", "unbroadcast")
def _broadcast(m, name):
    x = m.array(ndims=range(1, 5))
    axes = "".join(f", {axis}" for axis in _of_length_1(m, x) if m.chance(0.7))
    return _moved(m, name, f"T.{name}({{0}}{axes})", "{0}", x)


@row("patternbroadcast")
def _pattern(m, name):
    x = m.array(ndims=range(1, 5))
    ones = _of_length_1(m, x)
    pattern = [axis in ones and m.chance(0.5) for axis in range(m.ndim(x))]
    return _moved(m, name, f"T.patternbroadcast({{0}}, {pattern})", "{0}", x)


@row("concatenate", "join")
def _concatenate(m, name):
    x = m.array(ndims=range(1, 4))
    axis = m.rng.randrange(m.ndim(x))
    items = [x]
    for _ in range(m.rng.choice([0, 1, 1, 2])):
        length = m.length()
        shapes = [
            (*shape[:axis], n, *shape[axis + 1 :])
            for shape, n in zip(m.shapes(x), length, strict=True)
        ]
        items.append(m.of_shapes(shapes))
    m.rng.shuffle(items)
    axis -= m.ndim(x) * m.chance(0.3)
    dtype = common(*map(m.dtype, items))
    listed = ", ".join(f"{{{k}}}" for k in range(len(items)))
    engine = (f"T.join({axis}, {listed})" if name == "join"
              else f"T.concatenate([{listed}], axis={axis})")  # fmt: skip
    return m.node(
        name, engine, f"np.concatenate([{listed}], axis={axis})", items, dtype, dtype, False
    )


@row("stack")
def _stack(m, name):
    x = m.array(ndims=range(4))
    items = [x, *(m.of_shapes(m.shapes(x)) for _ in range(m.rng.randint(0, 2)))]
    axis = m.axis(m.ndim(x) + 1)
    dtype = common(*map(m.dtype, items))
    listed = ", ".join(f"{{{k}}}" for k in range(len(items)))
    return m.node(name, f"T.stack([{listed}], axis={axis})", f"np.stack([{listed}], axis={axis})",
                  items, dtype, dtype, False)  # fmt: skip


@row("split")
def _split(m, name):
    x = m.array(ndims=range(1, 4))
    axis = m.rng.randrange(m.ndim(x))
    first = m.rng.randint(0, min(shape[axis] for shape in m.shapes(x)))
    which = m.rng.randrange(2)
    lengths = f"[{first}, {{0}}.shape[{axis}] - {first}]"
    return _moved(m, name, f"T.split({{0}}, {lengths}, 2, axis={axis})[{which}]",
                  f"pieces({{0}}, {lengths}, {axis})[{which}]", x)  # fmt: skip


@row("roll")
def _roll(m, name):
    x = m.array()
    axis = m.axis(m.ndim(x), none=True) if m.ndim(x) else None
    shift = m.rng.randint(-6, 6)
    return _moved(
        m, name, f"T.roll({{0}}, {shift}, axis={axis})", f"np.roll({{0}}, {shift}, {axis})", x
    )


@row("tile")
def _tile(m, name):
    x = m.array(ndims=range(4))
    reps = [m.rng.choice([0, 1, 1, 2, 2, 3]) for _ in range(m.rng.randint(1, 3))]
    reps = reps[0] if len(reps) == 1 else tuple(reps)
    return _moved(m, name, f"T.tile({{0}}, {reps})", f"np.tile({{0}}, {reps})", x)


@row("repeat")
def _repeat(m, name):
    x = m.array()
    axis = m.axis(m.ndim(x), none=True) if m.ndim(x) else None
    if axis is not None and m.chance(0.3):
        shapes = [(shape[axis],) for shape in m.shapes(x)]
        values = [m.numbers.integers(0, 3, shape) for shape in shapes]
        times = m.fresh("int64", shapes, values=values)
        return _moved(m, name, f"T.repeat({{0}}, {{1}}, axis={axis})",
                      f"np.repeat({{0}}, {{1}}, axis={axis})", x, times)  # fmt: skip
    n = m.rng.choice([0, 1, 2, 3])
    return _moved(
        m, name, f"T.repeat({{0}}, {n}, axis={axis})", f"np.repeat({{0}}, {n}, axis={axis})", x
    )


@row("shape")
def _shape(m, name):
    x = m.array()
    if m.ndim(x) and m.chance(0.5):
        axis = m.axis(m.ndim(x))
        return m.node(name, f"{{0}}.shape[{axis}]", f"{{0}}.shape[{axis}]", [x], "int64")
    engine = "{0}.size" if m.chance(0.3) else "T.shape({0})"
    numpy = "{0}.size" if engine == "{0}.size" else "np.array({0}.shape, dtype='int64')"
    return m.node(name, engine, numpy, [x], "int64")


# ---- indexation --------------------------------------------------------------------------


def _bound(m, args):
    if m.chance(0.4):
        return ""
    value = m.rng.randint(-5, 5)
    if m.chance(0.25):
        dtype = m.rng.choice(["int64", "int32", "int8"])
        args.append(m.fresh(dtype, [()] * 2, values=[np.array(value, dtype)] * 2))
        return f"{{{len(args) - 1}}}"
    return str(value)


def _one_index(m, args, lengths, distinct):
    """L’indice d’un axe, et s’il en fait un « tableau »."""
    low = min(lengths)
    way = m.rng.random()
    if way < 0.5 or low == 0:
        step = m.rng.choice(["", "", ":1", ":2", ":-1", ":-1", ":-2"])
        return f"{_bound(m, args)}:{_bound(m, args)}{step}"
    if way < 0.75:
        value = m.rng.randrange(-low, low)
        if m.chance(0.3):
            dtype = m.rng.choice(["int64", "int32", "int8"])
            args.append(m.fresh(dtype, [()] * 2, values=[np.array(value, dtype)] * 2))
            return f"{{{len(args) - 1}}}"
        return str(value)
    if way < 0.88:
        if distinct:
            chosen = m.rng.sample(range(low), m.rng.randint(0, low))
        else:
            chosen = [m.rng.randrange(-low, low) for _ in range(m.rng.randint(0, 4))]
        if m.chance(0.4):
            return f"np.array({chosen}, 'int64')"
        args.append(m.fresh("int64", [(len(chosen),)] * 2, values=[np.array(chosen, "int64")] * 2))
        return f"{{{len(args) - 1}}}"
    shapes = [(n,) for n in lengths]
    args.append(m.of_shapes(shapes, "b"))
    return f"{{{len(args) - 1}}}"


def _index(m, x, args, distinct=False):
    """Le texte d’un indice de x ; ses tableaux s’ajoutent à `args`."""
    ndim, shapes = m.ndim(x), m.shapes(x)
    if ndim and m.chance(0.08):
        args.append(m.of_shapes(shapes, "b"))
        return f"{{{len(args) - 1}}}"
    if ndim > 1 and m.chance(0.12) and min(map(min, shapes)) > 0:
        n = m.rng.randint(1, 4)
        wide = m.chance(0.3)
        for axis in range(2):
            low = min(shape[axis] for shape in shapes)
            size = (n, 1) if wide and axis == 0 else (n,)
            if distinct:
                chosen = m.numbers.permutation(low)[:n]
                size = (min(n, low),)
            else:
                chosen = m.numbers.integers(-low, low, size)
            args.append(m.fresh("int64", [chosen.shape] * 2, values=[chosen.astype("int64")] * 2))
        if (
            distinct
            and len({args_shape for args_shape in (m.shapes(args[-1])[0], m.shapes(args[-2])[0])})
            > 1
        ):
            raise Impossible
        return f"{{{len(args) - 2}}}, {{{len(args) - 1}}}"
    count = m.rng.randint(0, ndim)
    from_the_end = m.chance(0.2)
    axes = range(ndim - count, ndim) if from_the_end else range(count)
    items = [_one_index(m, args, [shape[axis] for shape in shapes], distinct) for axis in axes]
    if from_the_end or m.chance(0.1):
        items.insert(0 if from_the_end else len(items), "...")
    if m.chance(0.15) and ndim < 4:
        items.insert(m.rng.randint(0, len(items)), "None")
    return ", ".join(items) or "..."


@row(*(f"index {k}" for k in range(6)))
def _read(m, name):
    x = m.array(ndims=range(1, 5))
    args = [x]
    index = _index(m, x, args)
    return m.node("indexer", f"{{0}}[{index}]", f"{{0}}[{index}]", args, m.dtype(x), None, False)


@row("set_subtensor", "inc_subtensor")
def _write(m, name):
    adds = name == "inc_subtensor"
    x = m.array("fiu" if adds else "fiub", ndims=range(1, 5))
    args = [x]
    index = _index(m, x, args, distinct=not adds)
    kept = len(m.program.items)
    region = m.node("indexer", f"{{0}}[{index}]", f"{{0}}[{index}]", args, m.dtype(x), None, False)
    shapes = m.shapes(region)
    assert region == kept
    m.forget(kept)
    if m.dtype(x) != "bool" and m.chance(0.2):  # un int8 ne tient pas dans un booléen
        value = m.literal(m.rng.choice([0, 1, 2]), "int8")
    else:
        value = m.partner_of(shapes, "fiub", inside=True)
        if common(m.dtype(x), m.dtype(value)) != m.dtype(x):
            value = m.partner_of(shapes, "fiub", dtype=m.dtype(x), inside=True)
    args.append(value)
    place = f"{{{len(args) - 1}}}"
    numpy = "added" if adds else "written"
    return m.node(name, f"T.{name}({{0}}[{index}], {place})", f"{numpy}({{0}}, np.s_[{index}], {place})",
                  args, m.dtype(x), None, adds)  # fmt: skip


@row("take")
def _take(m, name):
    x = m.array(ndims=range(1, 4))
    axis = m.axis(m.ndim(x), none=True)
    lengths = [np.prod(s, dtype=int) if axis is None else s[axis] for s in m.shapes(x)]
    low = int(min(lengths))
    if low == 0:
        raise Impossible
    chosen = m.numbers.integers(0, low, m.rng.choice([(), (3,), (2, 2), (0,)]))
    chosen = np.asarray(chosen, "int64")
    index = m.fresh("int64", [chosen.shape] * 2, values=[chosen] * 2)
    return _moved(
        m,
        name,
        f"T.take({{0}}, {{1}}, axis={axis})",
        f"np.take({{0}}, {{1}}, axis={axis})",
        x,
        index,
    )


# ---- créations ---------------------------------------------------------------------------


@row("zeros_like", "ones_like")
def _like(m, name):
    x = m.array()
    dtype = m.new_dtype("fiub") if m.chance(0.4) else None
    option = f", dtype='{dtype}'" if dtype else ""
    dtype = dtype or m.dtype(x)
    return m.node(
        name, f"T.{name}({{0}}{option})", f"np.{name}({{0}}, dtype='{dtype}')", [x], dtype
    )


@row("full_like")
def _full_like(m, name):
    x, value = m.array("fi"), m.rng.choice([0, 1, -3])
    return m.node(
        name, f"T.full_like({{0}}, {value})", f"np.full_like({{0}}, {value})", [x], m.dtype(x)
    )


@row("zeros", "ones")
def _filled(m, name):
    x = m.array(ndims=range(1, 4))
    dtype = m.new_dtype("fiub")
    shape = m.rng.choice(["({0}.shape[0], 2)", "{0}.shape", "({0}.shape[-1],)", "3"])
    return m.node(name, f"T.{name}({shape}, dtype='{dtype}')", f"np.{name}({shape}, dtype='{dtype}')",
                  [x], dtype)  # fmt: skip


@row("alloc")
def _alloc(m, name):
    x = m.array(ndims=range(3))
    lengths = [f"{{0}}.shape[{axis}]" for axis in range(m.ndim(x))]
    before = [str(m.rng.randint(0, 3)) for _ in range(m.rng.randint(0, 2))]
    shape = ", ".join([*before, *lengths])
    if not shape:
        raise Impossible
    return _moved(m, name, f"T.alloc({{0}}, {shape})", f"np.broadcast_to({{0}}, ({shape},))", x)


@row("arange")
def _arange(m, name):
    x = m.array("iu", ndims=[0]) if m.chance(0.3) else m.array(ndims=range(1, 4))
    if m.ndim(x):
        stop = f"{{0}}.shape[{m.axis(m.ndim(x))}]"
        return m.node(name, f"T.arange({stop})", f"np.arange({stop})", [x], "int64")
    if any(abs(float(values[x])) > 50 for values in m.values):
        raise Impossible
    start, step = m.rng.randint(-3, 3), m.rng.choice([1, 2, -1, 3])
    dtype = accumulated(m.dtype(x)) if m.dtype(x) == "uint64" else "int64"
    if dtype != "int64":
        raise Impossible
    return m.node(name, f"T.arange({start}, {{0}}, {step})", f"np.arange({start}, int({{0}}), {step})",
                  [x], dtype)  # fmt: skip


@row("eye", "tri")
def _eye(m, name):
    x, k = m.array(ndims=range(1, 4)), m.rng.randint(-2, 2)
    dtype = m.new_dtype("fib")
    args = f"{{0}}.shape[0], {m.rng.choice(['{0}.shape[-1]', '3', 'None'])}, {k}, dtype='{dtype}'"
    return m.node(name, f"T.{name}({args})", f"np.{name}({args})", [x], dtype)


@row("identity_like")
def _identity(m, name):
    x = m.array(ndims=[2])
    dtype = m.dtype(x)
    return m.node(
        name, "T.identity_like({0})", f"np.eye(*{{0}}.shape, dtype='{dtype}')", [x], dtype
    )


@row("tril", "triu")
def _triangle(m, name):
    x, k = m.array(ndims=[2]), m.rng.randint(-2, 2)
    return _moved(m, name, f"T.{name}({{0}}, {k})", f"np.{name}({{0}}, {k})", x)


@row("diag", "nlinalg.alloc_diag", "nlinalg.extract_diag")
def _diag(m, name):
    x, k = m.array(ndims=[1, 2]), m.rng.randint(-2, 2)
    return _moved(m, name, f"T.{name}({{0}}, {k})", f"np.diag({{0}}, {k})", x)


@row("diagonal")
def _diagonal(m, name):
    x, k = m.array(ndims=[2]), m.rng.randint(-2, 2)
    return _moved(m, name, f"T.diagonal({{0}}, {k})", f"np.diagonal({{0}}, {k})", x)


@row("outer")
def _outer(m, name):
    x = m.array(ndims=range(3))
    y = m.array(ndims=range(3))
    dtype = common(m.dtype(x), m.dtype(y))
    return m.node(name, "T.outer({0}, {1})", "np.multiply.outer({0}.ravel(), {1}.ravel())", [x, y],
                  dtype, dtype)  # fmt: skip


# ---- cumuls et tris ----------------------------------------------------------------------


@row("cumsum", "cumprod")
def _cumulate(m, name):
    x = m.array()
    axis = m.axis(m.ndim(x), none=True) if m.ndim(x) else None
    dtype = accumulated(m.dtype(x))
    return m.node(
        name, f"T.{name}({{0}}, axis={axis})", f"np.{name}({{0}}, axis={axis})", [x], dtype, dtype
    )


@row("diff")
def _diff(m, name):
    x = m.array("fiu", ndims=range(1, 4))
    axis, n = m.axis(m.ndim(x)), m.rng.choice([0, 1, 1, 2])
    return m.node(name, f"T.diff({{0}}, n={n}, axis={axis})", f"np.diff({{0}}, n={n}, axis={axis})", [x],
                  m.dtype(x), None)  # fmt: skip


@row("sort", "argsort")
def _sort(m, name):
    x = m.array(ndims=range(1, 4))
    axis = m.axis(m.ndim(x), none=True)
    dtype = "int64" if name == "argsort" else m.dtype(x)
    return m.node(name, f"T.{name}({{0}}, axis={axis})", f"np.{name}({{0}}, axis={axis}, kind='stable')",
                  [x], dtype, None, False)  # fmt: skip


@row("searchsorted")
def _searchsorted(m, name):
    dtype = m.new_dtype("fi")
    shapes = [(n,) for n in m.length()]
    x, v = m.fresh(dtype, shapes, "sorted"), m.array(dtype=dtype, kinds=np.dtype(dtype).kind)
    side = m.rng.choice(["left", "right"])
    return m.node(name, f"T.searchsorted({{0}}, {{1}}, side='{side}')",
                  f"np.searchsorted({{0}}, {{1}}, side='{side}')", [x, v], "int64", None, False)  # fmt: skip


@row("unique")
def _unique(m, name):
    x, which = m.array(), m.rng.randrange(4)
    options = ", return_index=True, return_inverse=True, return_counts=True"
    dtype = "int64" if which else m.dtype(x)
    ravel = ".ravel()" if which else ""
    return m.node(name, f"T.unique({{0}}{options})[{which}]", f"np.unique({{0}}{options})[{which}]{ravel}",
                  [x], dtype, None, False)  # fmt: skip


@row("bincount")
def _bincount(m, name):
    lengths = m.length()
    values = [m.numbers.integers(0, 5, n) for n in lengths]
    dtype = m.rng.choice(["int64", "int32", "uint8"])
    x = m.fresh(dtype, [(n,) for n in lengths], values=[v.astype(dtype) for v in values])
    options = m.rng.choice(["", ", minlength=6", ", minlength=0"])
    if m.chance(0.4):
        w = m.of_shapes(m.shapes(x), "f")
        return m.node(name, f"T.bincount({{0}}, weights={{1}}{options})",
                      f"narrow(np.bincount, {{0}}, {{1}}{options})", [x, w], m.dtype(w))  # fmt: skip
    return m.node(name, f"T.bincount({{0}}{options})", f"np.bincount({{0}}{options})", [x], "int64")


@row("nonzero")
def _nonzero(m, name):
    x = m.array(ndims=range(1, 4))
    which = m.rng.randrange(m.ndim(x))
    if m.chance(0.3):
        return m.node(name, "T.nonzero({0}, return_matrix=True)", "np.array(np.nonzero({0}))", [x],
                      "int64", None, False)  # fmt: skip
    return m.node(
        name, f"T.nonzero({{0}})[{which}]", f"np.nonzero({{0}})[{which}]", [x], "int64", None, False
    )


@row("flatnonzero")
def _flatnonzero(m, name):
    return m.node(
        name, "T.flatnonzero({0})", "np.flatnonzero({0})", [m.array()], "int64", None, False
    )


@row("nonzero_values")
def _nonzero_values(m, name):
    return _moved(m, name, "T.nonzero_values({0})", "{0}.ravel()[np.flatnonzero({0})]", m.array())


@row("to_one_hot")
def _one_hot(m, name):
    n = m.rng.randint(1, 5)
    lengths = m.length()
    values = [m.numbers.integers(0, n, length) for length in lengths]
    y = m.fresh("int64", [(k,) for k in lengths], values=values)
    dtype = m.new_dtype("fib")
    return m.node(
        name, f"T.to_one_hot({{0}}, {n}, dtype='{dtype}')", f"np.eye({n})[{{0}}]", [y], dtype
    )


@row("deg2rad", "rad2deg")
def _degrees(m, name):
    x = m.array("f")
    return m.node(name, f"T.{name}({{0}})", f"np.{name}({{0}})", [x], m.dtype(x))


@row("divmod")
def _divmod(m, name):
    args, which = _operands(m, literal=False), m.rng.randrange(2)
    dtype = number(*map(m.dtype, args))
    numpy = f"np.{('floor_divide', 'mod')[which]}({{0}}, {{1}})"
    return m.node(name, f"T.divmod({{0}}, {{1}})[{which}]", numpy, args, dtype, dtype)


@row("topk", "argtopk", "topk_and_argtopk")
def _topk(m, name):
    x = m.array(ndims=range(1, 4))
    axis, k = m.axis(m.ndim(x)), m.rng.choice([1, 2, 3, -1, -2])
    places = name == "argtopk" or (name == "topk_and_argtopk" and m.chance(0.5))
    pick = f"[{int(places)}]" if name == "topk_and_argtopk" else ""
    return m.node(
        name,
        f"T.{name}({{0}}, {k}, axis={axis}){pick}",
        f"largest_first({{0}}, {k}, {axis})[{int(places)}]",
        [x],
        "int64" if places else m.dtype(x),
        None,
        False,
    )


@row("choose")
def _choose(m, name):
    x = m.array("f", ndims=range(3))
    items = [x, m.of_shapes(m.shapes(x)), m.of_shapes(m.shapes(x))]
    values = [m.numbers.integers(0, 3, shape) for shape in m.shapes(x)]
    a = m.fresh("int64", m.shapes(x), values=[np.asarray(v) for v in values])
    dtype = common(*map(m.dtype, items))
    return m.node(
        name, "T.choose({0}, [{1}, {2}, {3}])", "np.choose({0}, [{1}, {2}, {3}])", [a, *items], dtype,
        None, False,
    )  # fmt: skip


@row("compress")
def _compress(m, name):
    x = m.array(ndims=range(1, 4))
    axis = m.axis(m.ndim(x))
    condition = m.of_shapes([(shape[axis],) for shape in m.shapes(x)], "b")
    texts = (f"{module}.compress({{1}}, {{0}}, axis={axis})" for module in ("T", "np"))
    return _moved(m, name, *texts, x, condition)


@row("fill_diagonal", "fill_diagonal_offset")
def _fill_diagonal(m, name):
    x, value = m.array("f", ndims=[2]), m.array("f", ndims=[0])
    if common(m.dtype(x), m.dtype(value)) != m.dtype(x):
        raise Impossible
    offset = m.rng.randint(-2, 2) if name.endswith("offset") else 0
    last = f", {offset}" if name.endswith("offset") else ""
    numpy = f"np.where(np.eye(*{{0}}.shape, {offset}) == 1, {{1}}, {{0}})"
    return _moved(m, name, f"T.{name}({{0}}, {{1}}{last})", numpy, x, value)


@row("inverse_permutation")
def _inverse_permutation(m, name):
    lengths = m.length()
    values = [m.numbers.permutation(n) for n in lengths]
    x = m.fresh("int64", [(n,) for n in lengths], values=values)
    return m.node(name, f"T.{name}({{0}})", "np.argsort({0})", [x], "int64", None, False)


@row("permute_row_elements")
def _permute_rows(m, name):
    x, inverse = m.array(ndims=[1, 2]), m.rng.randrange(2)
    values = [m.numbers.permutation(shape[-1]) for shape in m.shapes(x)]
    y = m.fresh("int64", [v.shape for v in values], values=values)
    order = "np.argsort({1})" if inverse else "{1}"
    return _moved(m, name, f"T.{name}({{0}}, {{1}}, {inverse})", f"{{0}}[..., {order}]", x, y)


@row("specify_shape")
def _specify_shape(m, name):
    x = m.array(ndims=range(1, 4))
    shape = "(" + "".join(f"{{0}}.shape[{axis}], " for axis in range(m.ndim(x))) + ")"
    return _moved(m, name, f"T.specify_shape({{0}}, {shape})", "{0}", x)


@row("batched_tensordot")
def _batched_tensordot(m, name):
    x = m.array("f", ndims=[3])
    y = m.of_shapes([(s[0], s[2], n) for s, n in zip(m.shapes(x), m.length(), strict=True)], "f")
    dtype = common(m.dtype(x), m.dtype(y))
    return m.node(
        name, "T.batched_tensordot({0}, {1}, axes=1)", "batched(np.dot, {0}, {1})", [x, y], dtype, dtype
    )  # fmt: skip


@row("cov")
def _cov(m, name):
    # modérées : près du plus grand float32, les sommes d’une covariance débordent en chemin
    x = m.array(
        "f",
        ndims=[2],
        domain="moderate",
        suits=lambda values: all(min(v.shape) > 1 for v in values),
    )
    option = m.rng.choice(["", ", rowvar=False", ", bias=True", ", ddof=0"])
    return m.node(name, f"T.cov({{0}}{option})", f"narrow(np.cov, {{0}}{option})", [x], m.dtype(x))


# ---- algèbre linéaire --------------------------------------------------------------------


def _contracted(m, x, axis, ndims):
    """Un élément dont l’axe avant-dernier (ou seul) a la longueur de cet axe de x."""
    length = [shape[axis] for shape in m.shapes(x)]
    ndim = m.rng.choice(ndims)
    others = [m.length() for _ in range(ndim - 1)]
    where = max(ndim - 2, 0)
    axes = [*others[:where], tuple(length), *others[where:]]
    return m.of_shapes(list(zip(*axes, strict=True)), "f" if m.chance(0.85) else "fiu")


@row("dot")
def _dot(m, name):
    if m.chance(0.1):
        args = [m.array("fi", ndims=[0]), m.array("f")]
        m.rng.shuffle(args)
    else:
        x = m.array("f" if m.chance(0.85) else "fiu", ndims=[1, 2, 2, 2, 3])
        args = [x, _contracted(m, x, -1, [1, 2, 2, 2, 3])]
    dtype = common(*map(m.dtype, args))
    engine = (
        "({0} @ {1})"
        if max(map(m.ndim, args)) < 3 and min(map(m.ndim, args)) and m.chance(0.4)
        else "T.dot({0}, {1})"
    )
    return m.node(name, engine, "np.dot({0}, {1})", args, dtype, dtype)


@row("nlinalg.matrix_dot")
def _matrix_dot(m, name):
    x = m.array("f", ndims=[2])
    y = _contracted(m, x, -1, [2])
    z = _contracted(m, y, -1, [2])
    dtypes = [m.dtype(v) for v in (x, y, z)]
    return m.node(
        name,
        "T.nlinalg.matrix_dot({0}, {1}, {2})",
        "{0}.dot({1}).dot({2})",
        [x, y, z],
        common(*dtypes),
        min(dtypes),
    )


@row("tensordot")
def _tensordot(m, name):
    x = m.array("fi" if m.chance(0.2) else "f", ndims=range(1, 4))
    n = m.rng.randint(0, min(m.ndim(x), 2))
    extra = [m.length() for _ in range(m.rng.randint(0, 1))]
    axes = m.rng.sample(range(m.ndim(x)), n)
    lengths = [tuple(shape[a] for shape in m.shapes(x)) for a in axes]
    chosen = [*lengths, *extra]
    order = m.rng.sample(range(len(chosen)), len(chosen))
    shapes = list(zip(*(chosen[k] for k in order), strict=True)) if chosen else [()] * 2
    if not chosen:
        raise Impossible
    y = m.of_shapes(shapes, "f")
    where = [order.index(k) for k in range(n)]
    dtype = common(m.dtype(x), m.dtype(y))
    return m.node(name, f"T.tensordot({{0}}, {{1}}, axes=[{axes}, {where}])",
                  f"np.tensordot({{0}}, {{1}}, axes=[{axes}, {where}])", [x, y], dtype, dtype)  # fmt: skip


@row("batched_dot", "nlinalg.batched_dot")
def _batched_dot(m, name):
    x = m.array("f", ndims=[2, 3])
    batch, inner = ([shape[a] for shape in m.shapes(x)] for a in (0, -1))
    if m.chance(0.5):
        shapes = list(zip(batch, inner, strict=True))
    else:
        shapes = list(zip(batch, inner, m.length(), strict=True))
    y = m.of_shapes(shapes, "f")
    dtype = common(m.dtype(x), m.dtype(y))
    return m.node(
        name, f"T.{name}({{0}}, {{1}})", "batched(np.dot, {0}, {1})", [x, y], dtype, dtype
    )


def _square(m, domain):
    n = m.rng.choice([(1, 2), (2, 3), (3, 2), (3, 3), (2, 1)])
    return m.fresh(m.float, [(k, k) for k in n], domain)


_MATRICES = {  # nom : (moteur, NumPy, domaine)
    "nlinalg.matrix_inverse": ("{0})", "linalg('inv', {0})", "regular"),
    "nlinalg.det": ("{0})", "linalg('det', {0})", "regular"),
    "nlinalg.eigh": ("{0})[0]", "linalg('eigh', {0})[0]", "definite"),
    "slinalg.cholesky": ("{0})", "linalg('cholesky', {0})", "definite"),
}


@row(*_MATRICES)
def _matrix(m, name):
    engine, numpy, domain = _MATRICES[name]
    x = _square(m, domain)
    return m.node(name, f"T.{name}({engine}", numpy, [x], m.dtype(x))


@row("nlinalg.trace")
def _trace(m, name):
    x = m.array("fi", ndims=[2])
    dtype = accumulated(m.dtype(x))
    return m.node(name, "T.nlinalg.trace({0})", "np.trace({0})", [x], dtype, dtype)


@row("nlinalg.qr", "nlinalg.svd", "nlinalg.pinv")
def _rectangular(m, name):
    n, k = m.rng.choice([((2, 3), (2, 2)), ((3, 3), (2, 1)), ((2, 2), (2, 2)), ((2, 1), (3, 3))])
    x = m.fresh(m.float, list(zip(n, k, strict=True)), "regular")
    which = m.rng.randrange(2)
    full = m.rng.randrange(2)
    engine, numpy = {
        "nlinalg.qr": [(f"qr({{0}})[{which}]", f"linalg('qr', {{0}})[{which}]"),
                       ("qr({0}, mode='r')", "linalg('qr', {0}, mode='r')")][m.chance(0.3)],
        "nlinalg.svd": [("svd({0})[1]", "linalg('svd', {0})[1]"),
                        (f"svd({{0}}, {full}, 0)", "linalg('svd', {0}, compute_uv=False)")][which],
        "nlinalg.pinv": ("pinv({0})", "linalg('pinv', {0})"),
    }[name]  # fmt: skip
    return m.node(name, f"T.nlinalg.{engine}", numpy, [x], m.dtype(x))


@row("slinalg.solve", "slinalg.solve_lower_triangular", "slinalg.solve_upper_triangular")
def _solve(m, name):
    a = _square(m, "regular")
    shapes = [shape[:1] for shape in m.shapes(a)]
    if m.chance(0.5):
        shapes = [(*shape, n) for shape, n in zip(shapes, m.length(), strict=True)]
    b = m.of_shapes(shapes, "f")
    kept = {"lower": "np.tril({0})", "upper": "np.triu({0})"}.get(
        name.split("_")[-2] if "_" in name else "", "{0}"
    )
    dtype = common(m.dtype(a), m.dtype(b))
    return m.node(
        name, f"T.{name}({{0}}, {{1}})", f"linalg('solve', {kept}, {{1}})", [a, b], dtype, dtype
    )


@row("slinalg.kron")
def _kron(m, name):
    x, y = m.array("fi", ndims=[2]), m.array("f", ndims=[2])
    dtype = common(m.dtype(x), m.dtype(y))
    return m.node(name, "T.slinalg.kron({0}, {1})", "np.kron({0}, {1})", [x, y], dtype, dtype)


# ---- réseaux -----------------------------------------------------------------------------

_ACTIVATIONS = {
    "nnet.relu": "np.maximum({0}, 0)",
    "nnet.hard_sigmoid": "np.clip({0} * {0}.dtype.type(0.2) + {0}.dtype.type(0.5), 0, 1)",
    "nnet.ultra_fast_sigmoid": "ultra_fast_sigmoid({0})",
    "nnet.elu": "elu({0})",
    "nnet.softsign": "{0} / (1 + np.abs({0}))",
    "nnet.selu": "1.0507009873554804934193349852946 * elu({0}, 1.6732632423543772848170429916717)",
}


@row(*_ACTIVATIONS)
def _activation(m, name):
    x = m.array("f")
    dtype = m.dtype(x)
    return m.node(
        name, f"T.{name}({{0}})", _ACTIVATIONS[name], [x], dtype, dtype, name != "nnet.relu"
    )


@row("nnet.softmax", "nnet.logsoftmax")
def _softmax(m, name):
    x = m.array("f", ndims=range(1, 5))
    axis = m.axis(m.ndim(x))
    function = name.removeprefix("nnet.")
    return m.node(
        name, f"T.{name}({{0}}, axis={axis})", f"{function}({{0}}, {axis})", [x], m.dtype(x)
    )


@row("nnet.categorical_crossentropy")
def _crossentropy(m, name):
    p = m.array("f", ndims=[2], domain="unit", suits=lambda values: all(v.shape[1] for v in values))
    if m.chance(0.5):
        values = [m.numbers.integers(0, shape[1], shape[0]) for shape in m.shapes(p)]
        y = m.fresh("int64", [v.shape for v in values], values=values)
        numpy = "-np.log({0})[np.arange(len({1})), {1}]"
        return m.node(name, f"T.{name}({{0}}, {{1}})", numpy, [p, y], m.dtype(p))
    y = m.of_shapes(m.shapes(p), "f", domain="unit")
    dtype, narrowest = common(m.dtype(p), m.dtype(y)), min(m.dtype(p), m.dtype(y))
    return m.node(
        name,
        f"T.{name}({{0}}, {{1}})",
        "-({1} * np.log({0})).sum(axis=-1)",
        [p, y],
        dtype,
        narrowest,
    )


@row("nnet.binary_crossentropy", "nnet.sigmoid_binary_crossentropy")
def _binary_crossentropy(m, name):
    logits = "sigmoid_" in name
    p = m.array("f", domain="moderate" if logits else "unit")
    y = m.of_shapes(m.shapes(p), "f", domain="unit")
    dtype, narrowest = common(m.dtype(p), m.dtype(y)), min(m.dtype(p), m.dtype(y))
    numpy = ("softplus({0}) - {0} * {1}" if logits
             else "-({1} * np.log({0}) + (1 - {1}) * np.log1p(-{0}))")  # fmt: skip
    return m.node(name, f"T.{name}({{0}}, {{1}})", numpy, [p, y], dtype, narrowest)


@row("nnet.batch_normalization_train", "nnet.batch_normalization_test")
def _batch_normalization(m, name):
    x = m.array(
        "f", ndims=range(2, 5), domain="moderate", suits=lambda values: all(v.size for v in values)
    )
    ndim, dtype = m.ndim(x), m.dtype(x)
    axes, text = m.rng.choice([((0,), "per-activation"), ((0, *range(2, ndim)), "spatial")])
    shapes = [tuple(n for a, n in enumerate(s) if a not in axes) for s in m.shapes(x)]
    gamma, beta, mean = (m.of_shapes(shapes, "f", "moderate", dtype) for _ in range(3))
    var = m.of_shapes(shapes, "f", "positive", dtype)
    spread = [f"np.expand_dims({{{k}}}, {axes})" for k in range(5)]
    if name.endswith("test"):
        numpy = f"({{0}} - {spread[3]}) / np.sqrt({spread[4]} + 1e-4) * {spread[1]} + {spread[2]}"
        engine = f"T.{name}({{0}}, {{1}}, {{2}}, {{3}}, {{4}}, axes={text!r})"
        return m.node(name, engine, numpy, [x, gamma, beta, mean, var], dtype, dtype)
    which = m.rng.randrange(3)
    statistics = f"batch_statistics({{0}}, {axes}, 1e-4)"
    numpy = [
        f"({{0}} - {statistics}[0]) * {statistics}[1] * {spread[1]} + {spread[2]}",
        f"np.squeeze({statistics}[0], {axes})",
        f"np.squeeze({statistics}[1], {axes})",
    ][which]
    engine = f"T.{name}({{0}}, {{1}}, {{2}}, axes={text!r})[{which}]"
    return m.node(name, engine, numpy, [x, gamma, beta], dtype, dtype)


# ---- images et signaux -------------------------------------------------------------------


@row("nnet.conv2d", "nnet.conv3d")
def _conv(m, name):
    n = int(name[-2])
    lengths = (1, 2, 3, 4, 5) if n == 2 else (1, 2, 3)
    batch, channels, outs = (tuple(m.rng.choices([1, 2], k=2)) for _ in range(3))
    images = [tuple(m.rng.choices(lengths, k=2)) for _ in range(n)]
    kernels = [tuple(m.rng.choices((1, 2, 3), k=2)) for _ in range(n)]
    dtype = m.float
    x = m.fresh(dtype, list(zip(batch, channels, *images, strict=True)), "moderate")
    w = m.fresh(dtype, list(zip(outs, channels, *kernels, strict=True)), "moderate")
    pads = m.rng.choice(["valid", "full", "half", tuple(m.rng.choices((0, 1, 2), k=n))])
    steps, dilations = (tuple(m.rng.choices((1, 1, 2), k=n)) for _ in range(2))
    flip = m.chance(0.6)
    engine = (f"T.{name}({{0}}, {{1}}, border_mode={pads!r}, subsample={steps}, filter_flip={flip}, "
              f"filter_dilation={dilations})")  # fmt: skip
    numpy = f"convolve({{0}}, {{1}}, {pads!r}, {steps}, {dilations}, {flip})"
    return m.node(name, engine, numpy, [x, w], dtype)


@row("signal.pool.pool_2d", "signal.pool.pool_3d")
def _pool(m, name):
    n = int(name[-2])
    x = m.array("f", ndims=range(n, 5))
    ws = tuple(m.rng.choices((1, 2, 2, 3), k=n))
    steps = tuple(m.rng.choices((1, 2, 3), k=n)) if m.chance(0.5) else None
    ignore = m.chance(0.6)
    pads = tuple(m.rng.randint(0, w - 1) for w in ws) if ignore and m.chance(0.4) else (0,) * n
    mode = m.rng.choice(["max", "sum", "average_inc_pad", "average_exc_pad"])
    engine = f"T.{name}({{0}}, ws={ws}, ignore_border={ignore}, stride={steps}, pad={pads}, mode={mode!r})"
    numpy = f"pool({{0}}, {ws}, {steps}, {pads}, {ignore}, {mode!r})"
    return m.node(name, engine, numpy, [x], m.dtype(x), None, mode != "max")


@row("fft.rfft")
def _rfft(m, name):
    x, norm = (
        m.array("f", ndims=[2, 3], domain="moderate"),
        m.rng.choice([None, "ortho", "no_norm"]),
    )
    return m.node(
        name, f"T.fft.rfft({{0}}, norm={norm!r})", f"rfft({{0}}, {norm!r})", [x], m.dtype(x)
    )


@row("fft.irfft")
def _irfft(m, name):
    batch, half, other = m.length(), m.rng.choice([(2, 3), (3, 2), (1, 2)]), m.length()
    axes = [batch, other, half] if m.chance(0.4) else [batch, half]
    shapes = [(*shape, 2) for shape in zip(*axes, strict=True)]
    x = m.of_shapes(shapes, "f", "moderate")
    norm, odd = m.rng.choice([None, "ortho", "no_norm"]), m.chance(0.5)
    return m.node(name, f"T.fft.irfft({{0}}, norm={norm!r}, is_odd={odd})",
                  f"irfft({{0}}, {norm!r}, {odd})", [x], m.dtype(x))  # fmt: skip
