"""Le dos de calcul Numba : des noyaux compilés pour le processeur.

Chaque noyau est un texte Python autonome, fait à partir de la table des fonctions scalaires,
compilé pour des tableaux contigus de dtype connu. Une fonction d’appel, écrite pour le nœud,
vérifie les formes, prévoit la sortie et lance le noyau ; une diffusion que les types n’annonçaient
pas retombe sur NumPy.

Ordre de lecture : `scalar_lines` (le corps d’une boucle), `elemwise_kernel`, `compile_kernel`, puis
les noyaux de réduction, de softmax et d’indexation.
"""

import ast
import inspect
import re

import numpy as np
from numba import njit, types

from engine import polynomials
from engine.backends import cache
from engine.backends.calls import perform_call
from engine.backends.registry import kernel
from engine.ops.elemwise import Composite, Elemwise, Step
from engine.ops.index import IncSubtensor, Subtensor
from engine.ops.nnet import LogSoftmax, LogSoftmaxGrad, Softmax, SoftmaxGrad
from engine.ops.reduce import Reduce

MAX_NDIM = 5
_POLYNOMIALS = {
    name: function for name, function in vars(polynomials).items() if inspect.isfunction(function)
}
_PREAMBLE = '''"""{doc}"""

import math

import numpy as np
from numba import njit
from numba import int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64

f32 = np.float32
i32 = np.int32
'''
_MATH = "error_model='numpy', cache=True"


# ---- texte -------------------------------------------------------------------------------


def _needed(text):
    """Les fonctions de `polynomials` dont un texte a besoin, dépendances d’abord."""
    names = [name for name in _POLYNOMIALS if re.search(rf"\b{name}\(", text)]
    ordered = []
    while names:
        name = names.pop()
        if name in ordered:
            ordered.remove(name)
        ordered.insert(0, name)
        body = inspect.getsource(_POLYNOMIALS[name]).split(":\n", 1)[1]
        names += [other for other in _POLYNOMIALS if re.search(rf"\b{other}\(", body)]
    return ordered


def module_text(doc, body, flags="'contract'"):
    """Le texte complet d’un noyau : en-tête, fonctions scalaires, noyau lui-même."""
    helpers = "".join(
        f"\n\n@njit({_MATH})\n{inspect.getsource(_POLYNOMIALS[name])}" for name in _needed(body)
    )
    return f"{_PREAMBLE.format(doc=doc)}{helpers}\n\n@njit({_MATH}, fastmath={{{flags}}})\n{body}"


def compile_kernel(name, doc, body, signature, flags="'contract'"):
    """Compile (ou charge) le noyau `kernel` d’un texte, pour une signature ; compte ce qui a
    servi.
    """
    module, on_disk = cache.load(module_text(doc, body, flags), name)
    function = module.kernel
    known = set(function.overloads)
    try:
        function.compile(signature)
    except OSError as error:  # le disque s’est rempli pendant que Numba y rangeait le code
        cache.warn_once(error, cache.directory())
        function = njit(**{**function.targetoptions, "cache": False})(function.py_func)
        function.compile(signature)
    if set(function.overloads) != known:
        loaded = on_disk and sum(function.stats.cache_hits.values()) > 0
        counters = cache.Counters
        counters.hits, counters.misses = counters.hits + loaded, counters.misses + (not loaded)
    return function


def array_type(variable, readonly=True):
    """Le type Numba d’un tableau contigu."""
    return types.Array(_numba_dtype(variable.dtype), variable.ndim, "C", readonly=readonly)


def _numba_dtype(dtype):
    return types.boolean if dtype == "bool" else getattr(types, dtype)


def _convert(text, source, target):
    if source == target:
        return text
    return f"({text} != 0)" if target == "bool" else f"{target}({text})"


def _literal(value, dtype):
    if dtype == "bool":
        return str(bool(value))
    if value != value or value in (float("inf"), float("-inf")):
        return f"{dtype}({'np.nan' if value != value else 'np.inf' if value > 0 else '-np.inf'})"
    return f"{dtype}({value!r})"


def scalar_lines(steps, input_texts, input_dtypes):
    """Les lignes qui calculent les instructions d’un corps de boucle, et le nom du résultat."""
    lines, names, dtypes = [], [], []
    for step in steps:
        args = []
        for (kind, item), compute in zip(step.args, step.computes, strict=True):
            if kind == "const":
                args.append(_literal(item, compute))
                continue
            text, dtype = (
                (input_texts[item], input_dtypes[item])
                if kind == "in"
                else (names[item], dtypes[item])
            )
            args.append(_convert(text, dtype, compute))
        scalar = step.scalar
        single = step.computes[-1] == "float32" and scalar.code32
        code = scalar.code32 if single else scalar.code
        values = dict(zip("xyz", args, strict=False))
        text = re.sub(r"\b[xyz]\b", lambda found, values=values: values[found.group()], code)
        name = f"t{len(names)}"
        lines.append(f"{name} = {_convert(f'({text})', None, step.dtype)}")
        names.append(name)
        dtypes.append(step.dtype)
    return lines, names[-1]


# ---- terme à terme -----------------------------------------------------------------------


def _steps(node):
    scalar = node.op.scalar
    if isinstance(scalar, Composite):
        return scalar.steps
    dtypes = [entry.dtype for entry in node.inputs]
    args = tuple(("in", rank) for rank in range(scalar.nin))
    out = node.outputs[0].dtype
    return (Step(scalar, args, tuple(scalar.compute_dtypes(dtypes, out)), out),)


@kernel(Elemwise, "numba")
def elemwise_kernel(node, reuse):
    (out,) = node.outputs
    variables = [*node.inputs, out]
    steps = _steps(node)
    used = {dtype for step in steps for dtype in (*step.computes, step.dtype)}
    if out.ndim > MAX_NDIM or "float16" in used | {v.dtype for v in variables}:
        return None
    layout = [_follow(entry.type, out.type) for entry in node.inputs]
    flat = all(all(axes) or not any(axes) for axes in layout) and out.ndim > 0
    body = _elemwise_body(node, steps, layout, flat)
    signature = (*(array_type(entry) for entry in node.inputs), array_type(out, readonly=False))
    compiled = compile_kernel("elemwise", _doc(node), body, signature)
    return _elemwise_call(node, layout, compiled, reuse)


def _doc(node):
    scalar = node.op.scalar
    if isinstance(scalar, Composite):
        return scalar.formula([f"x{rank}" for rank in range(scalar.nin)])
    return f"{scalar}({', '.join(f'x{rank}' for rank in range(scalar.nin))})"


def _follow(type_, out):
    """Pour chaque axe du résultat : l’entrée avance-t-elle avec lui (vrai) ou reste-t-elle en
    0 ?
    """
    missing = out.ndim - type_.ndim
    return [
        axis >= missing and (type_.shape[axis - missing] != 1 or out.shape[axis] == 1)
        for axis in range(out.ndim)
    ]


def _elemwise_body(node, steps, layout, flat):
    (out,) = node.outputs
    names = [f"x{rank}" for rank in range(len(node.inputs))]
    head = f"def kernel({', '.join([*names, 'out'])}):\n"
    setup, texts, loops = [], [], []
    for name, entry, axes in zip(names, node.inputs, layout, strict=True):
        if flat and all(axes):
            setup.append(f"{name} = {name}.reshape({name}.size)")
            texts.append(f"{name}[i]")
        elif not any(axes):
            setup.append(f"{name}_ = {name}[{', '.join(['0'] * entry.ndim) or '()'}]")
            texts.append(f"{name}_")
        else:
            missing = out.ndim - entry.ndim
            indices = (f"i{axis}" if axes[axis] else "0" for axis in range(missing, out.ndim))
            texts.append(f"{name}[{', '.join(indices)}]")
    if out.ndim == 0:
        target = "out[()]"
    elif flat:
        setup.append("out = out.reshape(out.size)")
        loops, target = ["for i in range(out.size):"], "out[i]"
    else:
        loops = [f"for i{axis} in range(out.shape[{axis}]):" for axis in range(out.ndim)]
        target = f"out[{', '.join(f'i{axis}' for axis in range(out.ndim))}]"
    lines, result = scalar_lines(steps, texts, [entry.dtype for entry in node.inputs])
    text = [f"    {line}" for line in setup]
    text += ["    " * (depth + 1) + loop for depth, loop in enumerate(loops)]
    margin = "    " * (len(loops) + 1)
    text += [
        margin + line
        for line in [*lines, f"{target} = {_convert(result, steps[-1].dtype, out.dtype)}"]
    ]
    return head + "\n".join(text) + "\n"


def _elemwise_call(node, layout, compiled, reuse):
    """La fonction d’appel : formes vérifiées, sortie prévue, noyau lancé."""
    (out,) = node.outputs
    names = [f"x{rank}" for rank in range(len(node.inputs))]
    lengths, checks = [], []
    for axis in range(out.ndim):
        moving = [
            f"{name}.shape[{axis - (out.ndim - entry.ndim)}]"
            for name, entry, axes in zip(names, node.inputs, layout, strict=True)
            if axes[axis]
        ]
        lengths.append(moving[0] if moving else "1")
        checks += [f"{other} != {moving[0]}" for other in moving[1:]]
    whole = [name for name, axes in zip(names, layout, strict=True) if axes and all(axes)]
    if out.ndim and len(whole) == len(names):  # le cas courant : tous de la même forme
        shape, checks = "x0.shape", [f"{name}.shape != x0.shape" for name in names[1:]]
    else:
        shape = f"({', '.join(lengths)}{',' if out.ndim else ''})"
    lines = [f"def call({', '.join(names)}):"]
    lines += (
        [f"    if {' or '.join(checks)}:", f"        return slow({', '.join(names)})"]
        if checks
        else []
    )
    if node.op.inplace is not None:
        place = names[node.op.inplace]
        lines += [f"    out = {place} if {place}.shape == {shape} else empty({shape}, dtype)"]
    else:
        lines += _allocation(shape, reuse)
    for name, entry in zip(names, node.inputs, strict=True):
        if maybe_strided(entry):
            lines.append(f"    {name} = contiguous({name})")
    lines += [f"    kernel({', '.join([*names, 'out'])})", "    return out"]
    scope = {"kernel": compiled, "slow": perform_call(node), "dtype": out.type.numpy_dtype}
    return make_call("\n".join(lines), scope)


def _allocation(shape, reuse):
    if not reuse:
        return [f"    out = empty({shape}, dtype)"]
    return [
        "    out = memory[0]",
        f"    if out.shape != {shape}:",
        f"        out = memory[0] = empty({shape}, dtype)",
    ]


def make_call(text, scope):
    """Compile le texte d’une fonction `call` avec les noms de `scope`."""
    scope = {"empty": np.empty, "contiguous": contiguous, **scope}
    scope["memory"] = [np.empty(0, scope["dtype"])]
    exec(text, scope)
    scope["call"].text = text
    return scope["call"]


def contiguous(x):
    """x lui-même s’il est contigu et aligné, sinon une copie qui l’est."""
    flags = x.flags
    return x if flags.c_contiguous and flags.aligned else np.array(x, order="C")


def maybe_strided(variable):
    """Vrai si le tableau peut ne pas être contigu : il vient du dehors, ou d’une vue."""
    return variable.ndim > 0 and (
        variable.owner is None or bool(variable.owner.op.view_map) or not _ours(variable)
    )


def _ours(variable):
    return isinstance(
        variable.owner.op, Elemwise | Reduce | Softmax | LogSoftmax | SoftmaxGrad | LogSoftmaxGrad
    )


# ---- réductions --------------------------------------------------------------------------


@kernel(Reduce, "numba")
def reduce_kernel(node, reuse):
    (x,), (out,), axes = node.inputs, node.outputs, node.op.axes
    contiguous_axes = axes == tuple(range(axes[0], axes[0] + len(axes))) if axes else False
    if not contiguous_axes or "float16" in (x.dtype, out.dtype):
        return None
    reduction = node.op.reduction
    last = axes[-1] == x.ndim - 1
    wide = "float64" if out.dtype == "float32" and reduction.name in ("sum", "prod") else out.dtype
    first = reduction.start == "first"
    start = "{item}" if first else _literal(ast.literal_eval(reduction.start), wide)
    code = re.sub(r"\ba\b", "{acc}", re.sub(r"\bx\b", "{item}", reduction.code))
    update = _convert(f"({code})", None, wide)
    if last:
        item = _convert("x[i, j]", x.dtype, wide)
        begin = start.format(item=_convert("x[i, 0]", x.dtype, wide))
        body = f"""def kernel(x, out):
    for i in range(x.shape[0]):
        acc = {begin}
        for j in range(x.shape[1]):
            acc = {update.format(acc="acc", item=item)}
        out[i] = {_convert("acc", wide, out.dtype)}
"""
    else:
        item = _convert("x[i, j, k]", x.dtype, wide)
        begin = start.format(item=_convert("x[i, 0, k]", x.dtype, wide))
        body = f"""def kernel(x, out):
    acc = np.empty(x.shape[2], np.{"bool_" if wide == "bool" else wide})
    for i in range(x.shape[0]):
        for k in range(x.shape[2]):
            acc[k] = {begin}
        for j in range(x.shape[1]):
            for k in range(x.shape[2]):
                acc[k] = {update.format(acc="acc[k]", item=item)}
        for k in range(x.shape[2]):
            out[i, k] = {_convert("acc[k]", wide, out.dtype)}
"""
    view = types.Array(_numba_dtype(x.dtype), 2 if last else 3, "C", readonly=True)
    result = types.Array(_numba_dtype(out.dtype), 1 if last else 2, "C")
    compiled = compile_kernel(
        "reduce", f"{node.op} : {x.dtype}", body, (view, result), "'contract', 'reassoc'"
    )
    slow, dtype, memory = perform_call(node), out.type.numpy_dtype, [np.empty(0, out.dtype)]
    before, after = axes[0], axes[-1] + 1

    def call(x):
        shape = x.shape
        outer, inner = shape[:before], shape[after:]
        if x.size == 0:
            return slow(x)
        x = contiguous(x)
        result = memory[0]
        if not reuse or result.shape != outer + inner:
            result = memory[0] = np.empty(outer + inner, dtype)
        n_outer = int(np.prod(outer)) if outer else 1
        if last:
            compiled(x.reshape(n_outer, -1), result.reshape(n_outer))
        else:
            n_inner = int(np.prod(inner))
            compiled(x.reshape(n_outer, -1, n_inner), result.reshape(n_outer, n_inner))
        return result

    return call


# ---- softmax -----------------------------------------------------------------------------

_SOFTMAX = {
    Softmax: """def kernel(z, out):
    for i in range(z.shape[0]):
        top = z[i, 0]
        for j in range(z.shape[1]):
            top = max(top, z[i, j])
        total = float64(0)
        for j in range(z.shape[1]):
            e = {exp}(z[i, j] - top)
            out[i, j] = e
            total += e
        scale = {dtype}(1 / total)
        for j in range(z.shape[1]):
            out[i, j] *= scale
""",
    LogSoftmax: """def kernel(z, out):
    for i in range(z.shape[0]):
        top = z[i, 0]
        for j in range(z.shape[1]):
            top = max(top, z[i, j])
        total = float64(0)
        for j in range(z.shape[1]):
            total += {exp}(z[i, j] - top)
        shift = {dtype}(math.log(total))
        for j in range(z.shape[1]):
            out[i, j] = (z[i, j] - top) - shift
""",
    SoftmaxGrad: """def kernel(g, p, out):
    for i in range(g.shape[0]):
        total = float64(0)
        for j in range(g.shape[1]):
            total += g[i, j] * p[i, j]
        mean = {dtype}(total)
        for j in range(g.shape[1]):
            out[i, j] = p[i, j] * (g[i, j] - mean)
""",
    LogSoftmaxGrad: """def kernel(g, p, out):
    for i in range(g.shape[0]):
        total = float64(0)
        for j in range(g.shape[1]):
            total += g[i, j]
        mean = {dtype}(total)
        for j in range(g.shape[1]):
            out[i, j] = g[i, j] - p[i, j] * mean
""",
}


def softmax_kernel(node, reuse):
    """La famille softmax, sur le dernier axe : le tableau est lu ligne par ligne."""
    (out,) = node.outputs
    if (
        node.op.axis != -1
        or out.dtype == "float16"
        or any(v.dtype != out.dtype for v in node.inputs)
    ):
        return None
    exp = "exp32" if out.dtype == "float32" else "math.exp"
    body = _SOFTMAX[type(node.op)].format(exp=exp, dtype=out.dtype)
    rows = types.Array(_numba_dtype(out.dtype), 2, "C", readonly=True)
    result_type = types.Array(_numba_dtype(out.dtype), 2, "C")
    signature = (*[rows] * len(node.inputs), result_type)
    compiled = compile_kernel("softmax", str(node.op), body, signature, "'contract', 'reassoc'")
    slow, dtype, memory = perform_call(node), out.type.numpy_dtype, [np.empty(0, out.dtype)]

    def call(*inputs):
        shape = inputs[0].shape
        if inputs[0].size == 0 or inputs[-1].shape != shape:
            return slow(*inputs)
        result = memory[0]
        if not reuse or result.shape != shape:
            result = memory[0] = np.empty(shape, dtype)
        if len(shape) == 2:
            compiled(*map(contiguous, inputs), result)
        else:
            compiled(
                *(contiguous(x).reshape(-1, shape[-1]) for x in inputs),
                result.reshape(-1, shape[-1]),
            )
        return result

    return call


for _class in _SOFTMAX:
    kernel(_class, "numba")(softmax_kernel)


# ---- indexation --------------------------------------------------------------------------


def _gathers(node, first):
    """Vrai pour x[a, b, ...] : un vecteur d’entiers par axe."""
    x, indices = node.inputs[0], node.inputs[first:]
    return (
        len(indices) == x.ndim
        and all(item == "a" for item in node.op.template)
        and all(entry.ndim == 1 and entry.dtype in ("int32", "int64") for entry in indices)
    )


def _index_loop(node, n_axes, action, head):
    names = [f"a{axis}" for axis in range(n_axes)]
    checks = "".join(
        f"        j{axis} = {name}[i] + x.shape[{axis}] * ({name}[i] < 0)\n"
        f"        if j{axis} < 0 or j{axis} >= x.shape[{axis}]:\n            return False\n"
        for axis, name in enumerate(names)
    )
    place = ", ".join(f"j{axis}" for axis in range(n_axes))
    return f"""def kernel({head}, {", ".join(names)}):
    for i in range(a0.size):
{checks}        {action.format(place=place)}
    return True
"""


@kernel(Subtensor, "numba")
def gather_kernel(node, reuse):
    if not _gathers(node, 1):
        return None
    x, *indices = node.inputs
    (out,) = node.outputs
    body = _index_loop(node, x.ndim, "out[i] = x[{place}]", "x, out")
    signature = (array_type(x), array_type(out, readonly=False), *map(array_type, indices))
    compiled = compile_kernel("gather", str(node.op), body, signature)
    slow, dtype, memory = perform_call(node), out.type.numpy_dtype, [np.empty(0, out.dtype)]

    def call(x, *indices):
        shape = indices[0].shape
        if any(index.shape != shape for index in indices):
            return slow(x, *indices)
        result = memory[0]
        if not reuse or result.shape != shape:
            result = memory[0] = np.empty(shape, dtype)
        if not compiled(contiguous(x), result, *map(contiguous, indices)):
            return slow(x, *indices)  # un indice hors du tableau : NumPy dira lequel
        return result

    return call


@kernel(IncSubtensor, "numba")
def scatter_kernel(node, reuse):
    if (
        not _gathers(node, 2)
        or node.inputs[1].ndim > 1
        or node.inputs[1].dtype != node.outputs[0].dtype
    ):
        return None
    x, y, *indices = node.inputs
    value = "y[i]" if y.ndim else "y[()]"
    action = f"x[{{place}}] {'=' if node.op.set_instead else '+='} {value}"
    body = _index_loop(node, x.ndim, action, "x, y")
    signature = (array_type(x, readonly=False), array_type(y), *map(array_type, indices))
    compiled = compile_kernel("scatter", str(node.op), body, signature)
    slow, inplace = perform_call(node), node.op.inplace

    def call(x, y, *indices):
        shape = indices[0].shape
        if any(index.shape != shape for index in indices) or y.shape not in ((), shape):
            return slow(x, y, *indices)
        result = x if inplace and x.flags.c_contiguous else np.array(x, order="C")
        before = None if inplace else x
        if not compiled(result, contiguous(y), *map(contiguous, indices)):
            return slow(x if before is None else before, y, *indices)
        return result

    return call
