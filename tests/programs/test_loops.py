"""Les programmes qui bouclent ou choisissent (scan, ifelse) : chaque valeur contre sa formule."""

import numpy as np

from engine.tensor.shared_randomstreams import RandomStreams
from tests.programs import reference as ref


def same(obtained, expected, rtol=1e-12, atol=1e-14):
    np.testing.assert_allclose(np.asarray(obtained, dtype="float64"), expected, rtol, atol)


def test_logistic_function(tutorial):
    found = tutorial("logistic_function.py")
    expected = ref.sigmoid(np.array([[0, 1], [-1, -2]], dtype="float64"))
    for obtained in found["both"]:
        same(obtained, expected)
    a, b = np.ones((2, 2)), np.array([[0.0, 1.0], [2.0, 3.0]])
    for obtained, wanted in zip(
        found["differences"], (a - b, abs(a - b), (a - b) ** 2), strict=True
    ):
        same(obtained, wanted)
    assert [float(value) for value in found["defaults"]] == [68.0, 70.0, 33.0, 33.0]
    assert found["seen"] == [0, 1, 301, -1, 2, 0]
    assert found["skipped"] == [7, 0]
    assert [int(value) for value in found["seen_by_copy"]] == [0, 100, 0]
    assert [int(value) for value in found["seen_by_null"]] == [0, 0]
    first, second, third, fourth, zeros = found["draws"]
    assert not np.array_equal(first, second) and np.array_equal(third, fourth)
    assert np.array_equal(zeros, np.zeros((2, 2)))
    assert np.array_equal(found["before"], found["again"])
    same(found["after_seed"], RandomStreams(902340).uniform((2, 2)).eval())

    rng = np.random.RandomState(0)
    x = rng.randn(200, 30)
    y = rng.randint(size=200, low=0, high=2)
    w, b, costs = rng.randn(30), 0.0, []
    for _ in range(300):
        p = ref.sigmoid(x @ w + b)
        costs.append((-y * np.log(p) - (1 - y) * np.log(1 - p)).mean())
        error = (p - y) / 200
        w, b = w - 0.1 * (x.T @ error + 0.02 * w), b - 0.1 * error.sum()
    same(found["costs"], costs, 1e-10)
    same(found["final_weights"], w, 1e-10)
    same(found["final_bias"], b, 1e-10)
    assert found["accuracy"] == ((ref.sigmoid(x @ w + b) > 0.5) == y).mean()
    assert costs[-1] < 0.5 * costs[0]


def by_differences(function, point, step=1e-5):
    """La jacobienne de `function` en `point`, par différences finies centrées."""
    columns = [
        (function(point + step * axis) - function(point - step * axis)) / (2 * step)
        for axis in np.eye(len(point))
    ]
    return np.stack(columns, axis=-1)


def test_derivatives(tutorial):
    found = tutorial("derivatives.py")
    assert float(found["slopes"][0]) == 8.0 and found["slopes"][1]
    assert found["formula"].count("x") >= 1 and len(found["simplified"]) < len(found["formula"])
    s = ref.sigmoid(np.array([[0.0, 1.0], [-1.0, -2.0]]))
    same(found["logistic_slopes"], s * (1 - s), 1e-10)

    point = np.array([4.0, 4.0, -1.0])
    jacobian = np.diag(3 * point**2 + point.sum()) + np.outer(point, np.ones(3))
    same(found["jacobian_by_scan"], jacobian)
    same(found["jacobian"], jacobian)

    def gradient(v):
        pair = np.exp(v[0] * v[1]) * np.array([v[1], v[0], 0.0])
        return 4 * (v**2).sum() * v + pair

    point = np.array([0.4, 0.3, -1.0])
    hessian = by_differences(gradient, point)
    same(found["hessian_by_scan"], hessian, 1e-7, 1e-8)
    same(found["hessian"], hessian, 1e-7, 1e-8)
    for name in ("hv_by_grad", "hv_by_rop"):
        same(found[name], hessian @ [1, 2, 3], 1e-7, 1e-8)

    same(found["right"], [2.0, 2.0])
    same(found["left"], [[0.0, 0.0], [2.0, 2.0]])
    for name in ("frozen", "constant"):
        same(found[name], [0.2, 0.2])
    same(found["known"]([3.0, -4.0]), [6.0, -8.0])
    same(found["unused"], 0.0)
    same(found["solution"], [1.0, 1.0], 1e-8)
    assert found["path"][-1] < 1e-9 < found["path"][0]


def test_branches(tutorial):
    found = tutorial("branches.py")
    same(found["chosen"], [1.0, 1.0])
    same(found["others"], [0.0, 0.0])
    assert float(found["left"][0]) == 1.0 and found["left"][1] == [(100, 10)]
    assert float(found["right"][0]) == 0.0 and found["right"][1] == [(10, 10)]
    same(found["several"], [1000.0, 1.0])
    same(found["slopes"], [4.0, 3.0])
    values, slopes = found["huber_at"]
    same(values, [2.5, 0.125, 0.0, 1.5])
    same(slopes, [-1.0, -0.5, 0.0, 1.0])


def test_introduction(tutorial):
    found = tutorial("introduction.ipynb")
    a = np.sqrt(3.0)
    same(found["first"], np.log(a ** np.exp(a)))
    A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    for name, shift in (("mixed", 0), ("mixed_too", np.array([4, 5]))):
        same(found[name][0], A @ [1, 2, 3] + shift)
        same(found[name][1], 91.0)
    same(found["squared"], [4.0, 16.0])
    same(found["before"], [[1, 4], [9, 16]])
    same(found["after"], [[9, 16], [4, 1]])
    same(found["old"], [[3, 4], [2, 1]])
    same(found["new"], [[2, 3], [1, 0]])
    same(found["slope"][0], [6.0])
    M, x = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([3.0, 2.0])
    same(found["slope"][1], M.T @ (M @ x) / np.linalg.norm(M @ x))
    same(found["powers"][0], np.arange(10.0) ** 2)
    same(found["powers"][1], np.arange(10.0) ** 4)
    same(found["polynomial_value"], 19.0)
    same(found["triangles"], np.arange(15).cumsum())
    placed = np.zeros((2, 5, 5))
    placed[0, 1, 1], placed[1, 2, 3] = 42, 50
    same(found["placed"], placed)

    u, x0, y0, W, W_in_1, W_in_2, W_feedback, W_out = found["taps_inputs"]
    states, outputs = list(x0), [y0]
    for t in range(4, len(u)):
        drive = u[t] @ W_in_1 + u[t - 4] @ W_in_2 + outputs[-1] @ W_feedback
        outputs.append(states[-3] @ W_out)
        states.append(np.tanh(states[-1] @ W + drive))
    same(found["taps_result"][0], states[3:])
    same(found["taps_result"][1], outputs[1:])

    same(found["powers_of_2"], [2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    plain = np.tanh(np.eye(10, 3) @ np.ones((3, 2)) + 1)
    first, second = found["noise"]
    for noise in (first, second):
        assert np.all((noise == 0) | (abs(noise - plain) < 1e-12))
    assert not np.array_equal(first, second)
    assert int(found["counter_value"]) == 5
    same(found["trace_value"], 9.0)
    M, v = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.1, -0.2])
    same(found["jacobian"], (1 - np.tanh(v @ M) ** 2)[:, None] * M.T)
    mapped, total, left, right = found["folds"]
    same(mapped, [1.0, 4.0, 9.0])
    same([total, left, right], [6.0, 123.0, 321.0])
    same(found["polynomial_by_horner"], 19.0)
