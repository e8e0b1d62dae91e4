"""Les grands tableaux : le même résultat quel que soit le nombre de fils, une mémoire reprise."""

import numpy as np
import pytest
from numba import config

import engine
import engine.tensor as T
from engine.backends.numba import threads

ROWS, COLUMNS = 1201, 1003


@pytest.fixture
def part_counts(monkeypatch):
    """Le nombre de parts de chaque noyau partagé."""
    counts, run_parts = [], threads.run_parts

    def counting(function, parts):
        counts.append(len(parts))
        run_parts(function, parts)

    monkeypatch.setattr(threads, "run_parts", counting)
    return counts


def _values(*shape):
    return np.random.default_rng(0).standard_normal(shape, dtype="float32")


x, row, column = T.matrix("x", "float32"), T.row("row", "float32"), T.col("column", "float32")
EXPRESSIONS = {
    "à plat": T.tanh(x) * T.nnet.sigmoid(x) + 0.5 * x,
    "avec une ligne": T.tanh(x + row),
    "avec une colonne": T.exp(-x.sqr()) * column,
    "produit extérieur": T.tanh(row * column),
    "transposé": T.tanh(x.T * column.T),
    "softmax": T.nnet.softmax(x),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_result_does_not_depend_on_the_number_of_threads(name, monkeypatch, part_counts):
    inputs = {x: _values(ROWS, COLUMNS), row: _values(1, COLUMNS), column: _values(ROWS, 1)}
    expression = EXPRESSIONS[name]
    f = engine.function(list(inputs), expression, on_unused_input="ignore")
    obtained = {}
    for count in (1, 2, 3):
        monkeypatch.setattr(config, "NUMBA_NUM_THREADS", count)
        obtained[count] = f(*inputs.values()).copy()
    assert part_counts == [1, 2, 3]
    assert obtained[1].tobytes() == obtained[2].tobytes() == obtained[3].tobytes()
    reference = engine.function(
        list(inputs), expression, mode="FAST_COMPILE", on_unused_input="ignore"
    )
    np.testing.assert_allclose(obtained[3], reference(*inputs.values()), rtol=1e-5, atol=1e-6)


def test_large_update_in_place(monkeypatch, part_counts):
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 2)
    start, step = _values(ROWS, COLUMNS), _values(ROWS, COLUMNS)
    w = engine.shared(start.copy())
    f = engine.function([x], [], updates=[(w, w - T.tanh(x))])
    f(step)
    assert part_counts == [2]
    np.testing.assert_allclose(w.get_value(), start - np.tanh(step), rtol=1e-5, atol=1e-6)


def test_memory_of_a_result_nobody_holds_serves_again():
    f = engine.function([x], T.tanh(x))
    value = _values(ROWS, COLUMNS)
    result = f(value)
    place = result.ctypes.data
    del result
    assert f(value).ctypes.data == place


def test_memory_of_a_held_result_is_left_alone():
    f = engine.function([x], T.tanh(x))
    values = [np.full((ROWS, COLUMNS), n, "float32") for n in range(6)]
    held = [f(value) if n % 2 else f(value)[3:5].T for n, value in enumerate(values)]
    for n, result in enumerate(held):
        np.testing.assert_allclose(result, np.tanh(n), rtol=1e-6)
    changed = held[-1]
    changed.shape = (-1,)  # une vue a pris la forme : la mémoire gardée n’a pas changé
    del held, result, changed
    np.testing.assert_allclose(f(values[1]), np.tanh(1), rtol=1e-6)
