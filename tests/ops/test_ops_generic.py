"""Toutes les ops, éprouvées d’après leurs exemples : valeur, formes, dos de calcul, dérivées.

Une op nouvelle entre ici d’elle-même (voir `every_op`) : sans exemples ni dispense motivée,
`test_every_op_is_tested` échoue. Les formes d’essai d’une même op passent par une seule fonction
compilée : un noyau, sept situations (contiguë, transposée, en lecture seule, à rebours, vide,
diffusée, valeurs extrêmes).
"""

import itertools
import warnings

import numpy as np
import pytest

from engine import Mode, function
from engine.backends import polynomials
from engine.core.elemwise import Elemwise, elemwise
from engine.core.graph import Op
from engine.core.scalars import SCALARS, cast_scalar
from engine.core.types import DTYPES, FLOATS, TensorType
from engine.look.testing import REFERENCE, check_grads, check_op, check_shapes
from engine.ops.reduce import REDUCTIONS, Reduce
from tests.ops.every_op import VARIANTS

NUMBA = Mode(None, None)  # NumPy si Numba ne se charge pas : la même épreuve, sans lui

CASES = [
    pytest.param(op, sample, id=f"{type(op).__name__}-{op}-{rank}")
    for ops in VARIANTS.values()
    for op in ops
    for rank, sample in enumerate(op.samples())
]


def test_numba_is_the_back_end_tried_here():
    pytest.importorskip("numba")
    assert NUMBA.linker == "numba"


def test_every_op_is_tested():
    silent = [cls for cls, ops in VARIANTS.items() if not any(op.samples() for op in ops)]
    assert not silent, f"ops sans exemples (méthode samples) ni `tested_by` : {silent}"
    assert all(row.samples for row in SCALARS.values())


def _cast(values, dtype):
    return [
        np.asarray(v).astype(dtype) if np.asarray(v).dtype.kind == "f" else np.asarray(v)
        for v in values
    ]


def _destroys(op):
    return bool(op.destroy_map)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "sample"), CASES)
def test_value_shapes_and_back_ends(op, sample, dtype):
    values = _cast(sample, dtype)
    if _destroys(op):
        pytest.skip("op qui écrase son entrée, par quoi check_op compare : test_every_kernel")
    check_op(op, values)
    strided = [np.ascontiguousarray(v.T).T if v.ndim > 1 else v for v in values]
    for value in strided:
        value.flags.writeable = False
    check_op(op, strided)


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_derivatives(op, sample):
    ranks = [rank for rank, value in enumerate(sample) if np.asarray(value).dtype.kind == "f"]
    entries = [TensorType(v.dtype, shape=(None,) * v.ndim)() for v in map(np.asarray, sample)]
    outputs = op.make_node(*entries).outputs
    if not ranks or outputs[0].dtype not in FLOATS or _destroys(op) or type(op).L_op is Op.L_op:
        pytest.skip("rien à dériver")
    if len(outputs) > 1 or isinstance(op, Elemwise):
        pytest.skip("dérivées éprouvées à part : test_elementwise_derivatives, test_linear_algebra")
    points = [
        np.clip(sample[rank], -30, 30) for rank in ranks
    ]  # au-delà, softmax a un gradient nul

    def fun(*variables):
        arguments = [
            TensorType(v.dtype, shape=v.shape).make_constant(v) for v in map(np.asarray, sample)
        ]
        for rank, variable in zip(ranks, variables, strict=True):
            arguments[rank] = variable
        return op(*arguments)

    check_grads(fun, points)


# ---- terme à terme -----------------------------------------------------------------------

ROWS = list(SCALARS.values())
EDGES = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    np.inf,
    -np.inf,
    np.nan,
    1e-45,
    1e-310,
    3e38,
    -3e38,
    88.8,
    -103.5,
    0.5,
]
# au-delà, le résultat dépend du compilateur C de NumPy ou n’est pas défini
EDGE_LIMITS = {
    "int_div": np.isfinite,
    "mod": np.isfinite,
    "sin": np.isfinite,
    "cos": np.isfinite,
    "tan": np.isfinite,
    "gammaln": lambda x: x >= 0,
    "psi": lambda x: np.abs(x) < 1e30,
    "polygamma": lambda x: x == 1,
}
TOLERANCE = {"float32": (3e-6, 1e-37), "float64": (1e-13, 1e-300)}


def _rows_arguments(row, dtype):
    """Les arguments d’une ligne, en deux axes : ses exemples, un tableau par argument."""
    (values,) = Elemwise(row).samples()
    kind = "bool" if row.name in ("and_", "or_", "xor", "invert") else dtype
    return [
        value.astype(bool if row.compute == "condition" and rank == 0 else kind)
        for rank, value in enumerate(values)
    ]


def _variables(values):
    return [TensorType(value.dtype, shape=(None,) * value.ndim)() for value in values]


def _situations(values):
    """Des arguments de mêmes types que `values`, de disposition ou de forme différente."""
    yield "contiguë", values
    yield "transposée", [np.ascontiguousarray(v.T).T for v in values]
    yield "retournée", [v[::-1, ::-1] for v in values]
    yield "vide", [v[:0] for v in values]
    read_only = [v.copy() for v in values]
    for value in read_only:
        value.flags.writeable = False
    yield "lecture seule", read_only
    if len(values) > 1:
        yield "diffusée à l’exécution", [values[0][:1], *(v[:, :1] for v in values[1:])]


def _assert_close(obtained, expected, dtype, message):
    assert obtained.dtype == expected.dtype, message
    assert obtained.shape == expected.shape, message
    rtol, atol = TOLERANCE.get(str(expected.dtype), (0, 0))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(obtained, expected, rtol, atol, err_msg=message)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_elementwise_row(row, dtype):
    values = _rows_arguments(row, dtype)
    variables = _variables(values)
    output = Elemwise(row)(*variables)
    reference, numba = (function(variables, output, mode=mode) for mode in (REFERENCE, NUMBA))
    for situation, arguments in _situations(values):
        before = [argument.copy() for argument in arguments]
        expected, obtained = reference(*arguments), numba(*arguments)
        message = f"{row}, {dtype}, {situation}"
        with np.errstate(all="ignore"):
            _assert_close(
                expected, np.asarray(row.numpy(*arguments), dtype=output.dtype), dtype, message
            )
        _assert_close(obtained, expected, dtype, message)
        for argument, copy in zip(arguments, before, strict=True):
            np.testing.assert_array_equal(argument, copy, err_msg=message)
        if situation == "contiguë":
            check_shapes(variables, output, arguments, expected)
    if values[0].dtype.kind == "f":
        arguments = _edges(row, dtype)
        _assert_close(
            numba(*arguments), reference(*arguments), dtype, f"{row}, {dtype}, valeurs extrêmes"
        )


def _edges(row, dtype):
    with np.errstate(all="ignore"):
        edges = np.array(EDGES).astype(dtype)
    edges = edges[EDGE_LIMITS[row.name](edges)] if row.name in EDGE_LIMITS else edges
    pairs = (
        list(itertools.product(edges, repeat=2))
        if row.nin == 2
        else [(e,) * row.nin for e in edges]
    )
    return [np.array(column, dtype=dtype).reshape(1, -1) for column in zip(*pairs, strict=True)]


def test_static_broadcasting_has_its_own_kernel():
    """Un axe de longueur 1 connue avance autrement dans la boucle : ligne, colonne, scalaire."""
    m = np.arange(6.0).reshape(2, 3)
    shapes = [(1, 3), (2, 1), (1, 1), (3,), (1,), ()]
    for left, right in itertools.product([(2, 3), *shapes], shapes):
        values = [np.resize(m + 1, left), np.resize(m - 7, right)]
        variables = [
            TensorType("float64", shape=[1 if n == 1 else None for n in v.shape])() for v in values
        ]
        output = elemwise("sub")(*variables)
        compiled = function(variables, output, mode=NUMBA)
        result = compiled(*values)
        np.testing.assert_array_equal(result, values[0] - values[1], err_msg=f"{left} {right}")
        assert all(
            known in (None, real)
            for known, real in zip(output.type.shape, result.shape, strict=True)
        )


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_elementwise_rows_on_integers(dtype):
    """Toutes les lignes qui acceptent des entiers, dans une seule fonction."""
    variables = [TensorType(dtype, shape=(None,))(name) for name in "xyz"]
    values = [np.array(v).astype(dtype) for v in ([0, 1, 2, 7], [1, 1, 3, 2], [2, 1, 0, 5])]
    refused = (
        {"sub", "neg"} if dtype == "bool" else set()
    )  # NumPy lui-même les refuse sur des booléens
    rows = [row for row in ROWS if row.name not in refused]
    outputs = [Elemwise(row)(*variables[: row.nin]) for row in rows]
    reference, numba = (
        function(variables, outputs, mode=mode, on_unused_input="ignore")(*values)
        for mode in (REFERENCE, NUMBA)
    )
    for row, output, expected, obtained in zip(rows, outputs, reference, numba, strict=True):
        assert str(expected.dtype) == output.dtype, row
        _assert_close(obtained, expected, output.dtype, f"{row}, {dtype}")
        computes = row.compute_dtypes([dtype] * row.nin, output.dtype)
        arguments = [v.astype(kind) for v, kind in zip(values, computes, strict=False)]
        with np.errstate(all="ignore"):
            wanted = np.asarray(row.numpy(*arguments))
        np.testing.assert_allclose(
            expected, wanted.astype(output.dtype), 1e-6, err_msg=f"{row}, {dtype}"
        )


def test_casts():
    """Toutes les paires de dtypes, sur des valeurs que chacun contient."""
    values = np.array([0, 1, 2, 7])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for source in DTYPES:
            x = TensorType(source, shape=(None,))("x")
            targets = [target for target in DTYPES if target != source]
            outputs = [Elemwise(cast_scalar(target))(x) for target in targets]
            results = function([x], outputs, mode=REFERENCE)(values.astype(source))
            for target, result in zip(targets, results, strict=True):
                np.testing.assert_array_equal(result, values.astype(source).astype(target))
                assert result.dtype == target
    x = TensorType("float64", shape=(None,))("x")
    targets = ["float32", "int32", "int64", "bool", "int8"]
    outputs = [Elemwise(cast_scalar(target))(x) for target in targets]
    for target, result in zip(targets, function([x], outputs, mode=NUMBA)(values / 2), strict=True):
        np.testing.assert_array_equal(result, (values / 2).astype(target))


SMOOTH = [
    row for row in ROWS if row.grad is not None and row.name not in ("and_", "or_", "xor", "invert")
]
KINKS = {"abs": [0.0], "maximum": "égalité", "minimum": "égalité", "mod": "multiple", "sqrt": [0.0]}


@pytest.mark.parametrize("row", SMOOTH, ids=str)
def test_elementwise_derivatives(row):
    """Lop, Rop et différences finies, loin des points anguleux."""
    (values,) = Elemwise(row).samples()
    rng = np.random.default_rng(3)
    ranks = list(range(row.nin))
    if row.compute == "condition" or row.name == "polygamma":  # l’ordre n est un entier
        ranks = ranks[1:]
    values = [np.clip(v, -20, 20)[0] if v.dtype.kind == "f" else v[0] for v in values]
    values = [
        v + rng.uniform(0.01, 0.02, v.shape) if r in ranks else v for r, v in enumerate(values)
    ]
    if row.name == "mod":
        values[1] = np.abs(values[1]) + 4.0
    if row.name in ("arcsin", "arccos", "arctanh", "log1p"):
        values[0] = np.clip(values[0], -0.95, 0.95)

    def fun(*variables):
        arguments = [TensorType(v.dtype, shape=v.shape).make_constant(v) for v in values]
        for rank, variable in zip(ranks, variables, strict=True):
            arguments[rank] = variable
        return Elemwise(row)(*arguments)

    check_grads(fun, [values[rank] for rank in ranks], rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["add", "mul", "true_div", "maximum"])
@pytest.mark.parametrize(
    "shapes", [((2, 3), (3,)), ((2, 1), (1, 3)), ((2, 3), ()), ((1, 3), (2, 3))], ids=str
)
def test_broadcast_derivatives(name, shapes):
    """Le gradient revient à la forme de l’entrée, que la diffusion ait été connue ou non."""
    rng = np.random.default_rng(0)
    points = [rng.uniform(1, 2, shapes[0]), rng.uniform(2.5, 3, shapes[1])]
    check_grads(elemwise(name), points, rtol=1e-4)


# ---- réductions --------------------------------------------------------------------------

AXES = [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2), ()]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction(name, dtype):
    rng = np.random.default_rng(1)
    values = rng.integers(0, 2 if dtype == "bool" else 5, (2, 3, 4)) - (0 if dtype == "bool" else 2)
    values = (values + (0.25 if dtype.startswith("float") else 0)).astype(dtype)
    x = TensorType(dtype, shape=(None,) * 3)("x")
    outputs = [Reduce(REDUCTIONS[name], axes)(x) for axes in AXES]
    reference, numba = (function([x], outputs, mode=mode) for mode in (REFERENCE, NUMBA))
    turned = np.ascontiguousarray(values.T).T
    for arguments in (values, turned, values[::-1, :, ::2], values[:1, :1, :1]):
        before = arguments.copy()
        for axes, output, expected, obtained in zip(
            AXES, outputs, reference(arguments), numba(arguments), strict=True
        ):
            message = f"{name} {axes} {dtype} {arguments.shape}"
            wanted = REDUCTIONS[name].numpy(
                arguments.astype("float64") if "float" in dtype else arguments, axis=axes
            )
            assert str(expected.dtype) == output.dtype, message
            np.testing.assert_allclose(
                expected, np.asarray(wanted).astype(output.dtype), 1e-6, err_msg=message
            )
            _assert_close(obtained, expected, dtype, message)
        np.testing.assert_array_equal(arguments, before)
    for output, expected in zip(outputs, reference(values), strict=True):
        check_shapes([x], output, [values], expected)


@pytest.mark.parametrize("name", ["sum", "prod", "all", "any"])
def test_reduction_of_nothing(name):
    x = TensorType("float64", shape=(None, None))("x")
    outputs = [Reduce(REDUCTIONS[name], axes)(x) for axes in [(0,), (1,), (0, 1)]]
    for mode in (REFERENCE, NUMBA):
        for axes, result in zip(
            [0, 1, None], function([x], outputs, mode=mode)(np.zeros((0, 3))), strict=True
        ):
            np.testing.assert_array_equal(
                result, REDUCTIONS[name].numpy(np.zeros((0, 3)), axis=axes)
            )


@pytest.mark.parametrize("name", ["max", "min", "sum"])
def test_reduction_propagates_nan_and_infinity(name):
    x = TensorType("float32", shape=(None, None))("x")
    outputs = [Reduce(REDUCTIONS[name], axes)(x) for axes in [(0,), (1,)]]
    values = np.array([[np.nan, 1, -np.inf], [2, np.nan, 0], [np.inf, 3, 4]], dtype="float32")
    for mode in (REFERENCE, NUMBA):
        for axis, result in enumerate(function([x], outputs, mode=mode)(values)):
            np.testing.assert_array_equal(result, REDUCTIONS[name].numpy(values, axis=axis))


@pytest.mark.parametrize("axes", AXES[:-1], ids=str)
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min"])
def test_reduction_derivatives(name, axes):
    point = np.random.default_rng(2).permutation(24).reshape(2, 3, 4) / 8 - 1.4
    check_grads(Reduce(REDUCTIONS[name], axes), [point], rtol=1e-4, atol=1e-5)


# ---- polynômes ---------------------------------------------------------------------------

EXACT = {
    "exp32": (np.exp, np.linspace(-104, 89, 200_001)),
    "expm1_32": (np.expm1, np.linspace(-20, 88, 200_001)),
    "log32": (np.log, np.geomspace(1e-38, 3e38, 200_001)),
    "log1p32": (
        np.log1p,
        np.concatenate([np.linspace(-0.9999, 4, 100_001), np.geomspace(1e-30, 1e30, 100_001)]),
    ),
    "tanh32": (np.tanh, np.linspace(-12, 12, 200_001)),
    "sigmoid32": (lambda x: 1 / (1 + np.exp(-x)), np.linspace(-86, 40, 200_001)),
    "softplus32": (lambda x: np.logaddexp(0, x), np.linspace(-86, 90, 200_001)),
}
ROW_OF = {
    "exp32": "exp",
    "expm1_32": "expm1",
    "log32": "log",
    "log1p32": "log1p",
    "tanh32": "tanh",
    "sigmoid32": "sigmoid",
    "softplus32": "softplus",
}
MAX_ULP = {
    "exp32": 2,
    "expm1_32": 6,
    "log32": 2,
    "log1p32": 4,
    "tanh32": 4,
    "sigmoid32": 4,
    "softplus32": 4,
}


def test_every_polynomial_is_measured():
    names = {
        name
        for name in vars(polynomials)
        if name.endswith("32") and callable(getattr(polynomials, name))
    }
    assert names - {"f32", "i32", "rint32"} == EXACT.keys()  # ceux-là sont exacts


@pytest.mark.parametrize("name", EXACT)
def test_polynomial_error(name):
    """L’erreur en ulp (écart entre deux float32 voisins), sur 200 000 points, contre float64."""
    exact, points = EXACT[name]
    points = np.unique(points.astype("float32"))
    x = TensorType("float32", shape=(None,))("x")
    obtained = function([x], elemwise(ROW_OF[name])(x), mode=NUMBA)(points)
    with np.errstate(over="ignore"):
        wanted = exact(points.astype("float64"))
        finite = np.abs(wanted) < np.finfo("float32").max
        ulp = np.abs(obtained - wanted)[finite] / np.spacing(
            np.abs(wanted[finite]).astype("float32")
        )
    relative = (np.abs(obtained - wanted) / np.maximum(np.abs(wanted), 1e-38))[
        finite & (np.abs(wanted) > 1e-37)
    ]
    at = points[finite][ulp.argmax()]
    print(f"{name} : {ulp.max():.2f} ulp en {at:g}, relatif {relative.max():.2e}")
    assert ulp.max() <= MAX_ULP[name]


def test_polynomial_edges_are_exact():
    inf, nan = np.inf, np.nan
    table = {
        "exp": ([0, -inf, inf, nan, -200, 200], [1, 0, inf, nan, 0, inf]),
        "log": ([1, 0, inf, nan, -1, -0.0, -inf], [0, -inf, inf, nan, nan, -inf, nan]),
        "log1p": ([0, -1, inf, nan, -2, 1e-30], [0, -inf, inf, nan, nan, 1e-30]),
        "tanh": ([0, inf, -inf, nan, 1e-30, 50], [0, 1, -1, nan, 1e-30, 1]),
        "expm1": ([0, -inf, inf, nan, 1e-30], [0, -1, inf, nan, 1e-30]),
        "sigmoid": ([0, -inf, inf, nan, 200, -200], [0.5, 0, 1, nan, 1, 0]),
        "softplus": ([-inf, inf, nan, 200], [0, inf, nan, 200]),
    }
    x = TensorType("float32", shape=(None,))("x")
    for name, (points, expected) in table.items():
        obtained = function([x], elemwise(name)(x), mode=NUMBA)(np.array(points, dtype="float32"))
        np.testing.assert_array_equal(obtained, np.array(expected, dtype="float32"), err_msg=name)
