"""Les programmes d’introduction, sans boucle : chaque valeur contre sa formule, en NumPy."""

import numpy as np
import pytest

from engine import compat
from engine.core.errors import EngineError
from tests.programs import reference as ref


def same(obtained, expected, rtol=1e-12, atol=1e-14):
    np.testing.assert_allclose(np.asarray(obtained, dtype="float64"), expected, rtol, atol)


def test_debugging(tutorial):
    found = tutorial("debugging.py")
    message = str(found["shape_error"])
    assert "(3, 6)" in message and "(5, 10)" in message and "debugging.py, ligne 24" in message
    assert found["test_shape"] == (3, 10)
    assert "une valeur min = 1.0" in found["shown"] and "une valeur max = 5.0" in found["shown"]
    assert "exp [B]" in found["shown"] and "mul" in found["tree"]
    assert all(found["formula"])
    same(found["doubled"], [2.0, 10.0, 6.0])
    same(found["unstopped"], [3.0, 6.0])
    same(found["fine"], [0.0, np.log(2)])
    assert "log contient 1 NaN" in str(found["nan_error"])
    same(found["in_debug"], [ref.softmax(np.array([0.0, 1.0]))])
    same(found["in_debug_too"], 5.0)
    same(found["sums"], [3.0, 3.0])
    assert "(3,)" in str(found["runtime_error"]) and "(2,)" in str(found["runtime_error"])
    assert "tanh" in found["profile_text"]
    assert "entrée inutile : a" in str(found["unused_error"]).replace("\xa0", " ")


def test_convolution_filters(tutorial):
    found = tutorial("convolution_filters.py")
    rng = np.random.RandomState(23455)
    image = np.random.RandomState(0).rand(1, 3, 19, 24)
    bound = np.sqrt(243)
    W = rng.uniform(low=-1 / bound, high=1 / bound, size=(2, 3, 9, 9))
    b = rng.uniform(low=-0.5, high=0.5, size=2)
    same(found["filtered"], ref.sigmoid(ref.convolve(image, W) + b[:, None, None]))

    gray, sobel = image[:, :1], found["sobel"]
    borders = {"valid": (0, 0), "full": (2, 2), "half": (1, 1), (1, 2): (1, 2), 1: (1, 1)}
    for mode, (height, width) in borders.items():
        padded = np.pad(gray, [(0, 0), (0, 0), (height, height), (width, width)])
        same(found["edges"][mode], ref.convolve(padded, sobel), 1e-11)
    valid = ref.convolve(gray, sobel)
    same(found["correlated"], ref.convolve(gray, sobel[:, :, ::-1, ::-1]), 1e-11)
    same(found["strided"], valid[:, :, ::2, ::3], 1e-11)
    spread = np.zeros((1, 1, 5, 5))
    spread[:, :, ::2, ::2] = sobel
    same(found["dilated"], ref.convolve(gray, spread), 1e-11)

    windows = {"inside": gray[:, :, :18], "all": np.pad(gray, [(0, 0)] * 2 + [(0, 1), (0, 0)])}
    same(found["pooled"][True], ref.max_pool(windows["inside"])[0])
    same(found["pooled"][False], ref.max_pool(windows["all"])[0])
    threes = np.lib.stride_tricks.sliding_window_view(gray, (3, 3), axis=(2, 3))
    same(found["overlapping"], threes[:, :, ::2, ::2].mean(axis=(-1, -2)))
    padded = np.pad(gray, [(0, 0)] * 2 + [(1, 1)] * 2, constant_values=-np.inf)
    threes = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    same(found["padded"], threes[:, :, ::3, ::3].max(axis=(-1, -2)))

    kernel, costs = np.zeros((1, 1, 3, 3)), []
    for _ in range(200):
        error = ref.convolve(gray, kernel) - valid
        costs.append((error**2).mean())
        kernel -= 0.3 * ref.convolve_back(gray, kernel, 2 * error / error.size)[1]
    same(found["costs"], costs, 1e-8)
    same(found["learned"], kernel, 1e-9, 1e-12)
    assert costs[-1] < 1e-6 * costs[0]


def test_extending(tutorial):
    found = tutorial("extending.py")
    inp = np.random.RandomState(0).rand(5, 4)
    same(found["out"], 2 * inp)
    same(found["affine"], [4 * inp + 5, 2 * inp + 3])
    assert found["same_ops"] == (True, False) and found["only_theano"] == (True, True)
    same(found["slope"], 8 * (4 * inp + 5))
    same(found["composed"], np.full((5, 4), 6.0))
    same(found["rop"], 8 * inp)
    same(found["both"], [4 * inp, -2 * inp])
    same(found["one_used"], [-4 * inp, 4 * inp])
    same(found["row_value"], inp[2])
    same(found["row_slope"], 2 * inp * (np.arange(5) == 2)[:, None])
    same(found["product"], inp @ inp.T)
    assert list(found["lengths"]) == [5, 5]
    same(found["in_debug"], 2 * inp.sum())


def test_what_compat_says(tmp_path):
    old = tmp_path / "old.py"
    old.write_text("print 'bonjour'\n")
    with pytest.raises(EngineError, match="Python 2"):
        compat.run(old)
