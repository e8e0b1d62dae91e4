"""Vérifier une règle : ses exemples, sans elle et avec elle.

`failures(rule)` rend la liste de ce qui ne va pas, en français ; vide, la règle tient parole.
"""

import inspect
import itertools
import warnings

import numpy as np

import engine.tensor as T
from engine import Mode, function, grad
from engine.core.dtypes import DTYPES, epsilon
from engine.core.elemwise import Elemwise
from engine.core.errors import EngineError
from engine.core.fgraph import FunctionGraph
from engine.core.graph import ancestors, toposort
from engine.core.rewriting import run_stage
from engine.core.types import FLOATS, TensorType
from engine.ops.shape import Alloc, ShapeAxis
from tests.certificates.truth import truth

REFERENCE = Mode("numpy", None)
MIXED = [
    ("int32", "uint8"), ("uint8", "int32"), ("int64", "int8"), ("bool", "int16"),
    ("float32", "float64"), ("float64", "float32"), ("float64", "int8"), ("uint8", "float32"),
    ("float32", "bool"), ("float16", "float32"), ("float32", "bfloat16"),
]  # fmt: skip
ORDINARY = [0.5, -0.75, 1.7, 3.0, -2.2]


def edges(dtype, few=False):
    """Des valeurs ordinaires et les bords d’un dtype."""
    if dtype == "bool":
        return np.array([False, True])
    if dtype not in FLOATS:
        info = np.iinfo(dtype)
        values = {
            0,
            1,
            2,
            3,
            7,
            -1,
            -2,
            info.min,
            info.min + 1,
            info.max,
            info.max - 1,
            info.max // 2,
        }
        return np.array(sorted(v for v in values if info.min <= v <= info.max), dtype)
    wide = {"float16": 2.0**15, "float64": 1e300}.get(dtype, 1e38)
    values = [0.0, 1.0, -1.0, *ORDINARY, np.inf, -np.inf, np.nan, 1e-3, 20.0, -20.0, wide]
    if not few:
        values += [
            -0.0,
            1 / wide,
            -1 / wide,
            90.0,
            -90.0,
            720.0,
            -720.0,
            8.5,
            -8.5,
            27.5,
            -wide,
            1e-7,
        ]
        values += [
            1e-20,
            -1e-20,
            1e-10,
            1e4,
            -1e4,
            0.1,
            -0.1,
            0.7,
            -0.7,
            100.0,
            -104.0,
            11.0,
            -11.0,
        ]
        values += [5e-324, -5e-324, 1.7976931348623157e308] if dtype == "float64" else []
        values += [1e-45, -1e-45, 3.4028235e38] if dtype == "float32" else []
    with np.errstate(all="ignore"):
        return np.array(values).astype(dtype)


def _edge_matrices(dtypes, kept=None):
    """Toutes les paires de bords, en lignes de quatre."""
    columns = [edges(dtype, few=len(dtypes) > 1) for dtype in dtypes]
    if kept is not None:
        columns = [values[kept(values.astype("float64"))] for values in columns]
    pairs = list(zip(*itertools.product(*columns), strict=True))
    return [_in_rows(np.array(column, dtype)) for column, dtype in zip(pairs, dtypes, strict=True)]


def _in_rows(values):
    return np.resize(values, (-(-len(values) // 4), 4))


def _layouts(dtypes):
    """(types statiques, tableaux) : bords, diffusion dans les deux sens, vide, longueur 1."""
    free = [(None, None)] * len(dtypes)
    yield "bords", free, _edge_matrices(dtypes)
    yield "bords finis", free, _edge_matrices(dtypes, np.isfinite)
    plain = [np.resize(edges(dtype)[:8], 4) for dtype in dtypes]
    forms = [(3, 1), (1, 4)] if len(dtypes) == 2 else [(3, 1)]
    for name, shapes in [
        ("diffusion", forms), ("diffusion inverse", forms[::-1]), ("une ligne", [(1, 4), (3, 4)]),
        ("vide", [(0, 4)] * 2), ("aucune colonne", [(3, 0)] * 2), ("un élément", [(1, 1)] * 2),
    ]:  # fmt: skip
        arrays = [np.resize(v, s) for v, s in zip(plain, shapes, strict=False)]
        yield name, free, arrays
        static = [tuple(1 if n == 1 else None for n in a.shape) for a in arrays]
        yield f"{name} (connue)", static, arrays


def _dtypes(count):
    yield from ((dtype,) * count for dtype in DTYPES)
    if count == 2:
        yield from MIXED


def _names(sample):
    return list(inspect.signature(sample).parameters)


def _build(sample, dtypes, shapes):
    types = [TensorType(d, shape=s) for d, s in zip(dtypes, shapes, strict=False)]
    variables = [type_(name) for type_, name in zip(types, _names(sample), strict=True)]
    return variables, T.as_tensor_variable(sample(*variables))


def rewritten(rule, variables, output):
    """Le graphe après la seule règle `rule` : (entrées, sortie), ou None si elle ne s’applique pas.

    Lève
        UserWarning : la règle a échoué.
    """
    fgraph = FunctionGraph(variables, [output])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_stage(fgraph, [rule], lambda node: False)
    fgraph.check()
    if rule.name not in [entry.reason for entry in fgraph.log]:
        return None
    return fgraph.inputs, fgraph.outputs[0]


def _value(inputs, output, arrays):
    """La valeur par NumPy, ou l’exception."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(inputs, output, mode=REFERENCE, on_unused_input="ignore")(*arrays)
    except EngineError as error:
        return error


def ulps(result, exact, dtype):
    """L’écart d’un tableau à l’arbitre, en unités du dernier chiffre ; NaN : on ne sait pas."""
    gaps = np.empty(np.shape(result))
    tiny = float(np.finfo("float32" if dtype == "bfloat16" else dtype).tiny)
    with np.errstate(all="ignore"):
        for place, found in np.ndenumerate(np.asarray(result).astype("float64")):
            wanted = exact[place]
            if wanted is None:
                gaps[place] = np.nan
            elif wanted.is_nan() or np.isnan(found):
                gaps[place] = 0 if wanted.is_nan() and np.isnan(found) else np.inf
            else:
                rounded = float(np.asarray(float(wanted)).astype(dtype))
                unit = max(abs(rounded), tiny) * epsilon(dtype)
                if rounded == found:
                    gaps[place] = 0
                elif np.isinf(rounded) or np.isinf(found):
                    gaps[place] = np.inf
                else:
                    gaps[place] = abs(found - float(wanted)) / unit
    return gaps


def _mixes(output):
    """Dit si l’expression mêle les éléments : son domaine est alors celui du tableau entier."""
    return not all(isinstance(node.op, Elemwise | Alloc | ShapeAxis) for node in toposort([output]))


def _inside(rule, names, arrays, shape, mixed):
    """Où la règle se dit exacte."""
    if not rule.domain.exact:
        return np.ones(shape, dtype=bool)
    scope = {name: np.asarray(a).astype("float64") for name, a in zip(names, arrays, strict=True)}
    scope.setdefault("y", np.array(1.0))
    with np.errstate(all="ignore"):
        where = eval(rule.domain.exact, {**vars(np)}, scope)  # le texte de la règle elle-même
    return np.full(shape, where.all()) if mixed else np.broadcast_to(where, shape)


def _compare(rule, sample, dtypes, layout, shapes, arrays):
    """Les fautes d’un exemple sur des tableaux ; None si la règle ne s’applique pas."""
    variables, output = _build(sample, dtypes, shapes)
    found = rewritten(rule, variables, output)
    if found is None:
        return None
    before, after = _value(variables, output, arrays), _value(*found, arrays)
    if isinstance(before, Exception) or isinstance(after, Exception):
        if type(before) is type(after):
            return []
        if isinstance(before, Exception) and rule.domain.changes:
            return []
        return [f"sans elle : {_told(before)} ; avec elle : {_told(after)}"]
    if (before.dtype, before.shape) != (after.dtype, after.shape):
        return [f"{before.dtype} {before.shape} devient {after.dtype} {after.shape}"]
    if not before.size:
        return []
    if output.dtype not in FLOATS:
        wrong = before != after
    else:
        wrong = _worse(rule, variables, output, arrays, before, after)
    if not wrong.any():
        return _slopes(rule, variables, output, found, arrays) if layout.startswith("bords") else []
    place = tuple(np.argwhere(wrong)[0])
    return [
        f"en {_at(_names(sample), arrays, place, before.shape)} : {before[place]!r} devient "
        f"{after[place]!r}"
    ]


def _told(value):
    return type(value).__name__ if isinstance(value, Exception) else f"un tableau {value.shape}"


def _at(names, arrays, place, shape):
    def one(array):
        same = np.ndim(array) == len(shape)
        return np.broadcast_to(array, shape)[place] if same and array.size else "..."

    try:
        return ", ".join(f"{n} = {one(a)!r}" for n, a in zip(names, arrays, strict=True))
    except ValueError:
        return f"{place}"


def _worse(rule, variables, output, arrays, before, after):
    """Où la règle est moins juste que la forme naïve ; hors de son domaine, seul ce qui n’était pas
    un nombre a le droit de changer.
    """
    mixed = _mixes(output)
    inside = _inside(rule, [str(v) for v in variables], arrays, before.shape, mixed)
    exact = truth(variables, output, arrays)
    # sans arbitre : la forme naïve, à ses arrondis près, dans le plus grossier des dtypes traversés
    floats = {v.dtype for v in ancestors([output]) if v.dtype in FLOATS}
    coarse = max(map(epsilon, floats))
    tiny = max(np.finfo("float32" if d == "bfloat16" else d).tiny for d in floats)
    close = np.isclose(
        after.astype("float64"), before.astype("float64"), equal_nan=True,
        atol=float(tiny), rtol=coarse * (1e6 if coarse < 1e-12 else 100),
    )  # fmt: skip
    close |= ~np.isfinite(before.astype("float64")) & (~inside | (exact is not None))
    if exact is None:
        return ~close & (inside | (not mixed))
    old, new = (ulps(values, exact, output.dtype) for values in (before, after))
    with np.errstate(invalid="ignore"):
        worse = np.where(np.isnan(new), ~close, new > old + rule.domain.ulps)
    free = ~inside & (mixed | ~np.isfinite(before.astype("float64")))
    return worse & ~free


def _slopes(rule, variables, output, found, arrays):
    """Le gradient de l’expression réécrite, contre celui de l’expression naïve."""
    wrt = [place for place, variable in enumerate(variables) if variable.dtype in FLOATS]
    if output.dtype not in ("float32", "float64") or not wrt:
        return []
    rng = np.random.default_rng(0)
    values = []
    for inputs, out in [(variables, output), found]:
        weights = np.asarray(rng.uniform(1, 2, size=_value(inputs, out, arrays).shape))
        rng = np.random.default_rng(0)
        cost = (out * T.constant(weights.astype(out.dtype))).sum()
        slopes = grad(cost, [inputs[place] for place in wrt], disconnected_inputs="ignore")
        values.append([_value(inputs, slope, arrays) for slope in slopes])
    for place, one, other in zip(wrt, *values, strict=True):
        if isinstance(one, Exception) or isinstance(other, Exception):
            return [f"gradient : {_told(one)} devient {_told(other)}"]
        if (one.dtype, one.shape) != (other.dtype, other.shape):
            return [f"gradient : {one.dtype} {one.shape} devient {other.dtype} {other.shape}"]
        names = [str(v) for v in variables]
        inside = _inside(rule, names, arrays, one.shape, _mixes(output))
        a, b = one.astype("float64"), other.astype("float64")
        tame = np.ones(one.shape, bool)  # ailleurs, la dérivée naïve déborde ou s’arrondit à 0
        for v in arrays:
            if v.shape == one.shape:
                size = np.abs(v.astype("float64"))
                tame &= (size < 10) & ((size > 0.05) | (size == 0))
        with np.errstate(all="ignore"):
            gap = np.abs(a - b) / np.maximum(np.maximum(np.abs(a), np.abs(b)), 1.0)
        coarse = max(epsilon(v.dtype if v.dtype in FLOATS else "float32") for v in variables)
        wrong = np.isfinite(a) & np.isfinite(b) & inside & tame & (gap > 3e4 * coarse)
        if wrong.any():
            at = tuple(np.argwhere(wrong)[0])
            where = _at([str(v) for v in variables], arrays, at, one.shape)
            return [
                f"gradient par {variables[place]}, en {where} : {one[at]!r} devient {other[at]!r}"
            ]
    return []


def failures(rule):
    """Ce qui ne va pas dans une règle : une phrase par faute."""
    if rule.domain is None:
        return [f"{rule.name} ne dit pas où elle est exacte : donnez-lui un Domain"]
    if not rule.samples:
        return [f"{rule.name} n’a pas d’exemple"]
    found = []
    for number, sample in enumerate(rule.samples):
        fired = False
        for dtypes in _dtypes(len(_names(sample))):
            for layout, shapes, arrays in _layouts(dtypes):
                try:
                    faults = _compare(rule, sample, dtypes, layout, shapes, arrays)
                except EngineError:  # l’exemple n’a pas de sens dans ce dtype, ou sur ces formes
                    continue
                except UserWarning as warning:
                    faults = [str(warning)]
                if faults is None:
                    break
                fired = True
                found += [
                    f"{rule.name}, exemple {number}, {', '.join(dtypes)}, {layout} : {fault}"
                    for fault in faults
                ]
        if not fired:
            found.append(f"{rule.name} : l’exemple {number} ne la déclenche pas")
    return found
