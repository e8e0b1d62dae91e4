"""Chaque noyau du processeur contre `perform`, quoi qu’on lui donne.

Les exemples de chaque op, en plusieurs dtypes : autrement rangés en mémoire, pleins de valeurs
extrêmes, raccourcis ou allongés sur un axe, leurs entiers hors des bornes. Le noyau rend la même
valeur ou lève la même erreur que la référence, n’écrit pas dans ses entrées, et rend un tableau
contigu dans une mémoire à lui : les noyaux suivants y comptent.
"""

import itertools

import numpy as np
import pytest

from engine.core.contract import perform_call
from engine.core.registry import find_kernel, is_available
from engine.core.types import FLOATS, TensorType
from engine.look.contract import check_results
from tests.ops.every_op import CASES

BACKENDS = [name for name in ("numpy", "numba") if is_available(name)]
MODERATE = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, 1e-310, 0.5, 2.0]
EDGES = [MODERATE, [*MODERATE, 3e38, -3e38, 88.8, -103.5]]
TOLERANCE = {"float32": (1e-5, 1e-6), "float64": (1e-10, 1e-12)}
# tirages, affichages : il n’y a rien à comparer ; le reste vaut pour toutes les ops
PRINTS = {"Print", "PdbBreakpoint"}
RUNS = [
    pytest.param(op, sample, id=f"{type(op).__name__}-{op}-{rank}")
    for rank, (op, sample) in enumerate(CASES)
    if type(op).__name__ not in PRINTS
]


def _strided(value):
    room = np.zeros([2 * n for n in value.shape], value.dtype)
    view = room[(*(slice(None, None, 2),) * value.ndim, ...)]
    view[...] = value
    return view


def _backwards(value):
    back = (slice(None, None, -1),) * value.ndim
    return value[(*back, ...)].copy()[(*back, ...)]


def _unaligned(value):
    room = np.zeros(value.nbytes + 1, "uint8")[1:].view(value.dtype).reshape(value.shape)
    room[...] = value
    return room


def _frozen(value):
    value = value.copy()
    value.flags.writeable = False
    return value


LAYOUTS = {
    "C": np.array,
    "Fortran": lambda v: np.array(v, order="F"),
    "à pas": _strided,
    "à rebours": _backwards,
    "décalée": _unaligned,
    "lecture seule": _frozen,
}


def _cast(sample, dtype):
    arrays = map(np.asarray, sample)
    return [np.array(v.astype(dtype) if v.dtype.kind == "f" else v, order="C") for v in arrays]


def _node(op, values):
    return op.make_node(*[TensorType(v.dtype, shape=(None,) * v.ndim)() for v in values])


def _kernels(node):
    yield "référence", perform_call(node)
    for backend in BACKENDS:
        for reuse in (False, True):
            call = find_kernel(node, backend, reuse)
            if call is not None:
                yield f"{backend}, reuse={reuse}", call


def _outcome(call, values, single):
    """(les sorties, ou l’erreur ; les entrées telles que l’appel les laisse)."""
    try:
        with np.errstate(all="ignore"):
            results = call(*values)
    except Exception as error:
        return type(error), getattr(error, "summary", None)
    return [results] if single else results


def _scale(value):
    """Sa plus grande valeur finie : une somme de grands nombres qui s’annulent est peu précise."""
    finite = value[np.isfinite(value)].astype("float64") if value.dtype.name in FLOATS else ()
    return np.max(np.abs(finite), initial=0.0)


def _compare(op, values, layout="C"):
    """Tous les noyaux sur ces valeurs, rangées ainsi, contre `perform` sur des tableaux C."""
    node = _node(op, values)
    single = len(node.outputs) == 1
    expected = _outcome(perform_call(node), [v.copy() for v in values], single)
    destroyed = {rank for ranks in op.destroy_map.values() for rank in ranks}
    for who, call in _kernels(node):
        given = [LAYOUTS[layout](v) for v in values]
        found = _outcome(call, given, single)
        where = f"{op}, {who}, {layout}, {[(v.dtype.name, v.shape) for v in values]}"
        if isinstance(expected, tuple) or isinstance(found, tuple):
            assert found == expected, where
            continue
        check_results(node, found, given, where)
        for rank, (wanted, value) in enumerate(zip(expected, found, strict=True)):
            assert rank in op.view_map or value.flags.c_contiguous, f"{where} : pas contigu"
            assert value.shape == wanted.shape, where
            rtol, atol = TOLERANCE.get(value.dtype.name, (0, 0))
            atol += rtol * max(map(_scale, values))
            np.testing.assert_allclose(value, wanted, rtol, atol, err_msg=where)
        for rank, (before, after) in enumerate(zip(values, given, strict=True)):
            assert rank in destroyed or before.tobytes() == after.tobytes(), f"{where} : écrasée"


@pytest.mark.parametrize(("op", "sample"), RUNS)
def test_layouts(op, sample):
    for dtype in FLOATS:
        for layout in LAYOUTS:
            if layout != "lecture seule" or not op.destroy_map:
                _compare(op, _cast(sample, dtype), layout)


@pytest.mark.parametrize(("op", "sample"), RUNS)
def test_edge_values(op, sample):
    for dtype, values in itertools.product(FLOATS, EDGES):
        with np.errstate(all="ignore"):
            edges = np.array(values).astype(dtype)
        for start in range(0, len(edges), 3):
            rolled = np.roll(edges, -start)
            _compare(
                op,
                [
                    np.resize(rolled, v.shape) if v.dtype.kind == "f" else v
                    for v in _cast(sample, dtype)
                ],
            )


def _others(values):
    """Les mêmes valeurs, l’une d’elles d’une autre longueur ou hors des bornes."""
    for rank, value in enumerate(values):
        changed = []
        for axis in {0, value.ndim - 1} if value.ndim else ():
            some = (slice(None),) * axis
            changed += [value[(*some, slice(n))] for n in (0, 1)]
            changed.append(np.concatenate([value, value], axis=axis))
        if value.dtype.kind in "iu":
            changed += [value + 100, -value - 100 if value.dtype.kind == "i" else value * 0]
        for other in changed:
            yield [*values[:rank], np.array(other, order="C"), *values[rank + 1 :]]


@pytest.mark.parametrize(("op", "sample"), RUNS)
def test_other_lengths_and_bounds(op, sample):
    for values in _others(_cast(sample, "float64")):
        _compare(op, values)


@pytest.mark.parametrize(("op", "sample"), RUNS)
def test_empty(op, sample):
    values = _cast(sample, "float32")
    for axis in range(max((v.ndim for v in values), default=0)):
        _compare(
            op, [v[(slice(None),) * axis + (slice(0),)] if v.ndim > axis else v for v in values]
        )
