"""Le perceptron à normalisation par lot, coût par coût contre NumPy (float64)."""

import numpy as np

from engine.tensor.shared_randomstreams import RandomStreams
from tests.programs import reference as ref
from tests.programs.test_images import RTOL, batches, masks


def test_batch_norm_mlp(tutorial, mnist_file, digits):
    found = tutorial("batch_norm_mlp.py", mnist_file, 15)
    (x, y), _, (test_x, test_y) = digits
    rng = np.random.RandomState(7)
    W, V = rng.randn(784, 30) * 0.05, rng.randn(30, 10) * 0.05
    gamma, beta = np.ones(30), np.zeros(30)
    params = [W, V, gamma, beta]
    speeds = [np.zeros_like(param) for param in params]
    running_mean, running_var = np.zeros(30), np.ones(30)
    draw = masks(RandomStreams(1), (64, 784), 0.8)
    costs = []
    for rows in batches(64 * 15, 64):
        entry = x[rows] * draw() / 0.8
        hidden = entry @ W
        mean, var = hidden.mean(axis=0), hidden.var(axis=0)
        inverse = 1 / np.sqrt(var + 1e-4)
        centered = (hidden - mean) * inverse
        normalized = gamma * centered + beta
        positive = np.maximum(normalized, 0)
        cost, dz = ref.softmax_cost(positive @ V, y[rows])
        costs.append(cost)
        d = dz @ V.T * (normalized > 0)
        d_centered = d * gamma
        d_hidden = inverse * (
            d_centered - d_centered.mean(axis=0) - centered * (d_centered * centered).mean(axis=0)
        )
        grads = [entry.T @ d_hidden, positive.T @ dz, (d * centered).sum(0), d.sum(0)]
        for param, speed, grad in zip(params, speeds, grads, strict=True):
            speed[...] *= 0.9
            speed[...] -= 0.05 * grad
            param[...] += speed
        running_mean = 0.9 * running_mean + 0.1 * mean
        running_var = 0.9 * running_var + 0.1 * var * 64 / 63
    np.testing.assert_allclose(found["costs"], costs, RTOL)
    np.testing.assert_allclose(found["averages"][0][0], running_mean, RTOL, 1e-12)
    np.testing.assert_allclose(found["averages"][1][0], running_var, RTOL)
    normalized = (test_x @ W - running_mean) / np.sqrt(running_var + 1e-4) * gamma + beta
    predicted = (np.maximum(normalized, 0) @ V).argmax(axis=1)
    assert found["accuracy"] == (predicted == test_y).mean()
    assert costs[-1] < 0.75 * costs[0]
