"""Là où l’écriture naïve échoue, la fonction compilée est juste à quelques ulp près.

Le tableau : `python -m tests.rewriting.naive_forms`.
"""

from dataclasses import replace

import numpy as np
import pytest

import engine.tensor as T
from engine import Mode, function, grad, scan
from engine.core.types import TensorType
from engine.look.testing import ops_of
from tests.rewriting.naive_forms import FORMS, error_in_ulps, naive, ours, relative_error, table

ids = [f"{form.text} en {form.point}" for form in FORMS]


@pytest.mark.parametrize("form", FORMS, ids=ids)
def test_the_naive_form_fails(form):
    assert relative_error(form, naive(form)) > 1e-5


@pytest.mark.parametrize("form", FORMS, ids=ids)
def test_ours_is_right_to_a_few_ulps(form):
    assert error_in_ulps(form, ours(form)) <= form.ulps


def test_the_table_has_a_line_for_each():
    lines = table().splitlines()
    assert len(lines) == len(FORMS) + 1 >= 16


@pytest.mark.parametrize("form", FORMS, ids=ids)
def test_debug_mode_accepts_every_replacement(form):
    assert error_in_ulps(form, ours(form, "DebugMode")) <= form.ulps


@pytest.mark.parametrize("form", FORMS, ids=ids)
def test_ours_is_right_at_an_ordinary_point_too(form):
    many = isinstance(form.point, list)
    point = [0.3, -0.2, 0.1][: len(form.point)] if many else -0.7 if form.point < 0 else 0.4
    ordinary = replace(form, point=point)
    assert error_in_ulps(ordinary, ours(ordinary)) <= 2 * form.ulps
    assert error_in_ulps(ordinary, naive(ordinary)) < 1e3


U = Mode("numpy").excluding("fusion", "inplace")


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda x: 1 - T.exp(x), ["expm1", "neg"]),
        (lambda x: T.log(T.exp(x)), []),
        (lambda x: T.log1p(T.expm1(x)), []),
        (lambda x: T.log(T.exp(x).sum(axis=0)), ["log_sum_exp{axes=[0]}"]),
        (lambda x: T.log(T.exp(x).sum()), ["log_sum_exp{axes=[0, 1]}"]),
        (lambda x: T.exp(x) / T.exp(x).sum(axis=1, keepdims=True), ["softmax"]),
        (lambda x: T.exp(x) / T.exp(x).sum(axis=0), ["softmax{axis=-2}"]),
        (lambda x: T.sqrt(x**2 + T.sqr(x + 1)), ["add", "hypot"]),
        (lambda x: 1 - T.erf(x), ["erfc"]),
        (lambda x: 1 - T.erfc(x), ["erf"]),
        (lambda x: T.exp(x) - T.exp(-x), ["sinh", "mul"]),
        (lambda x: (T.exp(x) - 1) / (1 + T.exp(x)), ["mul", "tanh"]),
    ],
)
def test_structure(write, expected):
    x = T.dmatrix("x")
    assert ops_of(function([x], write(x), mode=U)) == expected


def test_exp_over_a_sum_along_another_axis_is_not_a_softmax():
    x = T.dmatrix("x")
    f = function([x], T.exp(x) / T.exp(x).sum(axis=1), mode=U)  # la somme est lue en ligne
    value = np.array([[0.1, 0.2], [0.3, 0.5]])
    assert not any("softmax" in op for op in ops_of(f))
    np.testing.assert_allclose(f(value), np.exp(value) / np.exp(value).sum(axis=1))


def test_log_of_a_sum_of_exponentials_of_nothing_and_of_infinities():
    x = T.dmatrix("x")
    f = function([x], T.log(T.exp(x).sum(axis=1)))
    inf = np.inf
    found = f(np.array([[-inf, -inf], [inf, 0.0], [-inf, 1.0]]))
    assert found[0] == -inf and found[1] == inf and found[2] == 1.0
    assert np.array_equal(f(np.zeros((2, 0))), [-inf, -inf])


@pytest.mark.parametrize("form", FORMS, ids=ids)
def test_ours_is_right_inside_a_loop_too(form):
    """La même expression écrite dans `scan` ; sa dérivée traverse la boucle."""
    value = np.asarray(form.point, dtype=form.dtype)
    x = TensorType(form.dtype, shape=(None,) * value.ndim)("x")
    steps, _ = scan(lambda x_t: form.write(T, x_t), T.stack([x, x]))
    found = steps[-1]
    if form.slope:
        found = grad(found, x)
        found = found[2] if value.ndim else found
    assert error_in_ulps(form, function([x], found)(value)) <= form.ulps
