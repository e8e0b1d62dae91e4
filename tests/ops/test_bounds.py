"""Ce qui sort des bornes est refusé, par la même erreur dans tous les modes.

Axes inexistants, à la construction ; étiquettes, indices, masques, longueurs, à l’appel ; valeurs
qu’un dtype étroit ne contient pas ; extrêmes de rien.
"""

import itertools

import numpy as np
import pytest

import engine
import engine.tensor as T
from engine import grad
from engine.core.errors import DtypeError, EngineError, ShapeError
from engine.core.types import DTYPES, FLOATS
from engine.nn import losses

MODES = ["FAST_RUN", "FAST_COMPILE", engine.Mode("numpy", None), "DebugMode"]

# ---- axes ----------------------------------------------------------------------------------

BY_AXIS = {
    **{
        name: getattr(T, name)
        for name in (
            *("sum", "prod", "max", "min", "all", "any", "mean", "var", "std", "argmax", "argmin"),
            *("max_and_argmax", "cumsum", "cumprod", "argsort", "sort", "diff", "ptp"),
        )
    },
    "softmax": T.nnet.softmax,
    "logsoftmax": T.nnet.logsoftmax,
    "concatenate": lambda x, axis: T.concatenate([x, x], axis=axis),
    "stack": lambda x, axis: T.stack([x, x], axis=axis),
    "join": lambda x, axis: T.join(axis, x, x),
    "repeat": lambda x, axis: T.repeat(x, 2, axis=axis),
    "take": lambda x, axis: T.take(x, [0], axis=axis),
    "roll": lambda x, axis: T.roll(x, 1, axis=axis),
    "norm": lambda x, axis: x.norm(2, axis=axis),
    "swapaxes": lambda x, axis: T.swapaxes(x, 0, axis),
    "dimshuffle": lambda x, axis: x.dimshuffle(axis, 0),
    "transpose": lambda x, axis: x.transpose(axis, 0),
    "tensordot": lambda x, axis: T.tensordot(x, x, axes=[[axis], [0]]),
}


@pytest.mark.parametrize("axis", [3, 4, -4, 17, 1.0, "x1", (0, 5)], ids=repr)
@pytest.mark.parametrize("name", BY_AXIS)
def test_an_axis_that_is_not_there(name, axis):
    with pytest.raises(EngineError):
        BY_AXIS[name](T.dmatrix("x"), axis=axis)


@pytest.mark.parametrize("name", ["sum", "max", "mean", "std", "argmax"])
def test_an_axis_given_twice(name):
    with pytest.raises(EngineError):
        BY_AXIS[name](T.dmatrix("x"), axis=(0, -2))


@pytest.mark.parametrize("name", [*list(BY_AXIS)[:20]])
def test_a_scalar_has_no_axis(name):
    with pytest.raises(EngineError):
        BY_AXIS[name](T.dscalar("x"), axis=0)


@pytest.mark.parametrize("function", [T.nnet.softmax, T.nnet.logsoftmax])
def test_every_axis_of_softmax(function):
    x = T.dtensor3("x")
    values = np.random.default_rng(0).normal(size=(2, 3, 4))
    for axis in range(-3, 3):
        e = np.exp(values)
        p = e / e.sum(axis=axis, keepdims=True)
        wanted = p if function is T.nnet.softmax else np.log(p)
        np.testing.assert_allclose(function(x, axis=axis).eval({x: values}), wanted, 1e-12)
    with pytest.raises(EngineError):
        function(T.dscalar())


# ---- étiquettes, indices -------------------------------------------------------------------

ROWS, CLASSES = 5, 3
LOSSES = {
    "probabilités": lambda z, y: T.nnet.categorical_crossentropy(T.nnet.softmax(z), y),
    "nn, probabilités": lambda z, y: losses.categorical_crossentropy(T.nnet.softmax(z), y),
    "nn, scores": losses.categorical_crossentropy_from_scores,
    "charnière": losses.hinge,
}


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_one_label_a_row(name, mode):
    z, y = T.dmatrix("z"), T.lvector("y")
    loss = LOSSES[name](z, y)
    scores = np.random.default_rng(1).normal(size=(ROWS, CLASSES))
    for outputs in (loss, loss.mean(), [loss.sum(), grad(loss.mean(), z)]):
        f = engine.function([z, y], outputs, mode=mode)
        f(scores, np.arange(ROWS) % CLASSES)
        for n in (0, 1, 2, ROWS - 1, ROWS + 1, 2 * ROWS):
            with pytest.raises(ShapeError):
                f(scores, np.zeros(n, "int64"))
        for label in (CLASSES, 10**9, -CLASSES - 1):
            with pytest.raises(ShapeError):
                f(scores, np.array([0, 1, label, 0, 0]))


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_distribution_has_the_shape_of_the_prediction(mode):
    p, t = T.dmatrix("p"), T.dmatrix("t")
    f = engine.function([p, t], T.nnet.categorical_crossentropy(p, t).mean(), mode=mode)
    ones = np.full((ROWS, CLASSES), 0.5)
    f(ones, ones)
    for shape in ((ROWS, 1), (1, CLASSES), (1, 1), (ROWS - 1, CLASSES), (ROWS, 2)):
        with pytest.raises(ShapeError):
            f(ones, np.ones(shape))


@pytest.mark.parametrize("name", LOSSES)
def test_labels_are_integers_in_a_vector(name):
    z = T.dmatrix("z")
    for labels in (T.dvector(), T.fvector(), T.TensorType("bool", (False,))()):
        with pytest.raises(DtypeError):
            LOSSES[name](z, labels)
    for labels in (T.lscalar(), T.ltensor3()):
        with pytest.raises(ShapeError):
            LOSSES[name](z, labels)
    with pytest.raises(ShapeError):  # connu dès la construction
        LOSSES[name](T.constant(np.ones((3, 2))), T.constant(np.array([0, 1])))


V, M = T.dvector("v"), T.dmatrix("m")
R, N, B = T.lvector("i"), T.lscalar("n"), T.TensorType("bool", (False,))("b")
OUT = {  # ce que l’on calcule, et des valeurs hors des bornes pour l’indice
    "v[i]": (V[R], [V, R], [[3], [-4], [0, 10**12]]),
    "m[i]": (M[R], [M, R], [[3], [-4], [0, 1, 10**12]]),
    "m[i, i]": (M[R, R], [M, R], [[2], [-3]]),
    "m[:, i]": (M[:, R], [M, R], [[2], [-3]]),
    "v[n]": (V[N], [V, N], [3, -4]),
    "m[n]": (M[N], [M, N], [3, -4]),
    "m[0, n]": (M[0, N], [M, N], [2, -3]),
    "v[b]": (V[B], [V, B], [[True] * 2, [True] * 4]),
    "m[b]": (M[B], [M, B], [[True] * 2, [True] * 4]),
    "inc v[i]": (T.inc_subtensor(V[R], 1.0), [V, R], [[3], [-4]]),
    "inc m[i]": (T.inc_subtensor(M[R], 1.0), [M, R], [[3], [-4]]),
    "set m[i, i]": (T.set_subtensor(M[R, R], 1.0), [M, R], [[2], [-3]]),
    "set v[n]": (T.set_subtensor(V[N], 1.0), [V, N], [3, -4]),
    "set v[b]": (T.set_subtensor(V[B], 1.0), [V, B], [[True] * 2]),
    "take": (T.take(M, R, axis=1), [M, R], [[2], [-3]]),
    "bincount": (T.extra_ops.bincount(R), [R], [[0, -5]]),
    "choisie": (M[T.arange(M.shape[0]), R], [M, R], [[0, 1], [0, 1, 0, 1], [0, 0, 2]]),
}
VALUES = {V: np.arange(3.0), M: np.arange(6.0).reshape(3, 2)}


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", OUT)
def test_an_index_out_of_bounds(name, mode):
    result, entries, wrong = OUT[name]
    index = entries[-1]
    dependent = [v for v in entries if v.dtype in FLOATS]
    # le gradient d’une écriture ne dépend pas de l’indice : il n’y a rien à refuser
    slopes = [] if name[:3] in ("inc", "set") else [grad(result.sum(), v) for v in dependent]
    for output in [result, (result * 2).sum(), *slopes]:
        f = engine.function(entries, output, mode=mode, on_unused_input="ignore")
        for value in wrong:
            given = [VALUES[v] for v in dependent] + [np.array(value, index.dtype)]
            with pytest.raises(ShapeError):
                f(*given)


def test_the_error_is_the_same_in_every_mode():
    for name in ("v[i]", "m[i]", "inc m[i]", "v[b]"):
        result, entries, wrong = OUT[name]
        texts = set()
        for mode in MODES[:3]:
            with pytest.raises(ShapeError) as caught:
                f = engine.function(entries, result, mode=mode)
                f(VALUES[entries[0]], np.array(wrong[0], entries[-1].dtype))
            texts.add((caught.value.summary, caught.value.expected, caught.value.hint))
        assert len(texts) == 1, texts


# ---- dtypes étroits ------------------------------------------------------------------------

INTEGERS = [dtype for dtype in DTYPES if dtype not in FLOATS]


@pytest.mark.parametrize("write", [T.set_subtensor, T.inc_subtensor])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_what_a_narrow_dtype_cannot_hold(dtype, write):
    x = T.TensorType(dtype, (False,))("x")
    limits = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    beyond = [1.5, np.nan, np.inf, float(limits[1]) * 4, [0, 0.5]]
    beyond += [n for n in (limits[0] - 1, limits[1] + 1) if -(2**63) <= n < 2**63]
    for value in beyond:
        with pytest.raises(DtypeError):
            write(x[:2], value)
    for other in DTYPES:
        if not np.can_cast(np.dtype(other), dtype):
            with pytest.raises(DtypeError):
                write(x[0], T.TensorType(other, ())("y"))
    zeros = np.zeros(3, dtype)
    for value in {limits[0], limits[1], 1}:
        found = write(x[1], value).eval({x: zeros})
        np.testing.assert_array_equal(found, np.array([0, value, 0], dtype))


def test_floats_are_rounded_but_do_not_overflow():
    x = T.fvector("x")
    assert T.set_subtensor(x[0], 0.1).eval({x: np.zeros(1, "float32")})[0] == np.float32(0.1)
    assert np.isinf(T.set_subtensor(x[0], np.inf).eval({x: np.zeros(1, "float32")})[0])
    with pytest.raises(DtypeError):
        T.set_subtensor(x[0], np.float64(1e300))


# ---- axes vides ----------------------------------------------------------------------------

EMPTY = [(0,), (0, 4), (4, 0), (0, 0), (2, 0, 3), (0, 3, 2)]
REDUCED = {
    **{n: getattr(np, n) for n in ("sum", "prod", "max", "min", "all", "any", "argmax", "argmin")},
    **{n: getattr(np, n) for n in ("mean", "var", "std", "cumsum", "cumprod", "sort", "argsort")},
}


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", REDUCED)
def test_empty_axes_as_in_numpy(name, mode):
    with np.errstate(all="ignore"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.showwarning", lambda *a, **k: None)
        for shape, axis in itertools.product(EMPTY, (0, 1, -1, None)):
            if axis == 1 and len(shape) == 1:
                continue
            x = T.TensorType("float64", (False,) * len(shape))("x")
            f = engine.function([x], getattr(T, name)(x, axis=axis), mode=mode)
            values = np.zeros(shape)
            try:
                wanted = REDUCED[name](values, axis=axis)
            except ValueError:
                with pytest.raises(ShapeError):
                    f(values)
                continue
            np.testing.assert_array_equal(f(values), wanted, err_msg=f"{shape} {axis}")


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_softmax_of_nothing(mode):
    x = T.dmatrix("x")
    for axis, function in itertools.product((0, 1), (T.nnet.softmax, T.nnet.logsoftmax)):
        f = engine.function(
            [x], [function(x, axis=axis), grad(function(x, axis).sum(), x)], mode=mode
        )
        for shape in ((0, 4), (4, 0), (0, 0)):
            for found in f(np.zeros(shape)):
                assert found.shape == shape


# ---- axes ôtés -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_dropped_axis_has_length_one(mode):
    x = T.dtensor3("x")
    for size in range(4):
        for used in itertools.permutations(range(3), size):
            for place in range(size + 1):
                order = [*used[:place], "x", *used[place:]]
                dropped = [axis for axis in range(3) if axis not in used]
                outputs = [x.dimshuffle(order), grad((x.dimshuffle(order) ** 2).sum(), x)]
                f = engine.function([x], outputs, mode=mode)
                shape = [1 if axis in dropped else axis + 2 for axis in range(3)]
                values = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
                wanted = values.transpose(*used, *dropped).reshape([shape[a] for a in used])
                found, slope = f(values)
                np.testing.assert_array_equal(found, np.expand_dims(wanted, place))
                np.testing.assert_array_equal(slope, 2 * values)
                for axis in dropped:
                    with pytest.raises(ShapeError):
                        f(np.repeat(values, 2, axis=axis))
