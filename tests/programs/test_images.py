"""Les programmes sur MNIST, coût par coût contre NumPy (float64).

Le moteur et NumPy n’additionnent pas dans le même ordre : les coûts s’accordent à 1e-9 près
(relatif), après des dizaines de pas de gradient. Les tirages, eux, sont ceux du moteur : la
référence les redemande à un flux de même graine, et refait tout le reste elle-même.
"""

import numpy as np
import pytest
import scipy.optimize

from engine import function
from engine.tensor.shared_randomstreams import RandomStreams
from tests.programs import reference as ref

RTOL = 1e-9


def batches(n, size):
    return [slice(start, start + size) for start in range(0, n - size + 1, size)]


def test_softmax_regression(tutorial, mnist_file, digits):
    found = tutorial("softmax_regression.py", mnist_file, 3)
    (x, y), (valid_x, valid_y), (test_x, test_y) = digits
    W, b = np.zeros((784, 10)), np.zeros(10)
    costs, valid_errors = [], []
    for _ in range(3):
        for rows in batches(len(x), 100):
            cost, dz = ref.softmax_cost(x[rows] @ W + b, y[rows])
            costs.append(cost)
            ref.step([W, b], [x[rows].T @ dz, dz.sum(axis=0)], 0.13)
        valid_errors.append((ref.classify(valid_x, W, b) != valid_y).mean())
    np.testing.assert_allclose(found["costs"], costs, RTOL)
    np.testing.assert_allclose(found["valid_errors"], valid_errors, RTOL)
    assert found["test_error"] == pytest.approx((ref.classify(test_x, W, b) != test_y).mean())
    assert costs[-1] < 0.5 * costs[0]


def glorot(rng, n_in, n_out):
    bound = np.sqrt(6.0 / (n_in + n_out))
    return rng.uniform(low=-bound, high=bound, size=(n_in, n_out))


def test_mlp(tutorial, mnist_file, digits):
    found = tutorial("mlp.py", mnist_file, 3)
    (x, y), (valid_x, valid_y), _ = digits
    W, b = glorot(np.random.RandomState(1234), 784, 40), np.zeros(40)
    V, c = np.zeros((40, 10)), np.zeros(10)
    costs, valid_errors = [], []
    for _ in range(len(found["valid_errors"])):
        for rows in batches(len(x), 50):
            h = np.tanh(x[rows] @ W + b)
            cost, dz = ref.softmax_cost(h @ V + c, y[rows])
            cost += 1e-4 * (abs(W).sum() + abs(V).sum()) + 5e-4 * ((W**2).sum() + (V**2).sum())
            costs.append(cost)
            dh = dz @ V.T * (1 - h**2)
            decay = [1e-4 * np.sign(P) + 1e-3 * P for P in (W, V)]
            grads = [x[rows].T @ dh + decay[0], dh.sum(axis=0), h.T @ dz + decay[1], dz.sum(axis=0)]
            ref.step([W, b, V, c], grads, 0.05)
        predicted = ref.classify(np.tanh(valid_x @ W + b), V, c)
        valid_errors.append((predicted != valid_y).mean())
    np.testing.assert_allclose(found["costs"], costs, RTOL)
    np.testing.assert_allclose(found["valid_errors"], valid_errors, RTOL)
    for obtained, expected in zip(found["parameters"], (W, b, V, c), strict=True):
        np.testing.assert_allclose(obtained, expected, RTOL, 1e-12)
    assert costs[-1] < costs[0]


def test_lenet(tutorial, mnist_file, digits):
    found = tutorial("lenet.py", mnist_file, 8)
    (x, y), *_ = digits
    rng = np.random.RandomState(23455)
    filters, biases = [], []
    for n_out, n_in in ((4, 1), (6, 4)):
        bound = np.sqrt(6.0 / (n_in * 25 + n_out * 25 / 4))
        filters.append(rng.uniform(low=-bound, high=bound, size=(n_out, n_in, 5, 5)))
        biases.append(np.zeros(n_out))
    W, b = glorot(rng, 6 * 16, 20), np.zeros(20)
    V, c = np.zeros((20, 10)), np.zeros(10)
    costs = []
    for rows in batches(len(x), 50)[:8]:
        entries, places, outs = [x[rows].reshape(50, 1, 28, 28)], [], []
        for kernel, bias in zip(filters, biases, strict=True):
            pooled, place = ref.max_pool(ref.convolve(entries[-1], kernel))
            entries.append(np.tanh(pooled + bias[:, None, None]))
            places.append(place)
        flat = entries[-1].reshape(50, -1)
        h = np.tanh(flat @ W + b)
        cost, dz = ref.softmax_cost(h @ V + c, y[rows])
        costs.append(cost)
        dh = dz @ V.T * (1 - h**2)
        g = (dh @ W.T).reshape(entries[-1].shape)
        ref_grads = [flat.T @ dh, dh.sum(axis=0), h.T @ dz, dz.sum(axis=0)]
        for rank in (1, 0):
            g = g * (1 - entries[rank + 1] ** 2)
            outs.append((biases[rank], g.sum(axis=(0, 2, 3))))
            g, d_kernel = ref.convolve_back(
                entries[rank], filters[rank], ref.max_pool_back(places[rank], g)
            )
            outs.append((filters[rank], d_kernel))
        ref.step([W, b, V, c], ref_grads, 0.1)
        for param, grad in outs:
            param[...] -= 0.1 * grad
    np.testing.assert_allclose(found["costs"], costs, RTOL)
    assert costs[-1] < costs[0]


def masks(stream, shape, p):
    """Un tireur de masques 0/1 du flux suivant de `stream`."""
    return function([], stream.binomial(size=shape, n=1, p=p, dtype="float64"))


def test_denoising_autoencoder(tutorial, mnist_file, digits):
    found = tutorial("denoising_autoencoder.py", mnist_file, 2)
    x = digits[0][0]
    for level, name in ((0.0, "clean_costs"), (0.3, "noisy_costs")):
        rng = np.random.RandomState(123)
        draw = masks(RandomStreams(rng.randint(2**30)), (20, 784), 1 - level)
        W = 4 * glorot(rng, 784, 30)
        b, b_prime = np.zeros(30), np.zeros(784)
        costs = []
        for _ in range(2):
            for rows in batches(len(x), 20):
                cost, grads = ref.autoencode(x[rows], draw() * x[rows], W, b, b_prime)
                costs.append(cost)
                ref.step([W, b, b_prime], grads, 0.1)
        np.testing.assert_allclose(found[name], costs, RTOL)
        assert np.mean(costs[-50:]) < 0.8 * np.mean(costs[:50])


def test_stacked_autoencoder(tutorial, mnist_file, digits):
    found = tutorial("stacked_autoencoder.py", mnist_file, 2)
    x, y = digits[0]
    rng = np.random.RandomState(89677)
    stream = RandomStreams(rng.randint(2**30))
    W, b = [], []
    for n_in, n_out in ((784, 30), (30, 20)):
        W.append(4 * glorot(rng, n_in, n_out))
        b.append(np.zeros(n_out))
    draws = [masks(stream, (20, 784), 0.9), masks(stream, (20, 30), 0.8)]
    pretraining = []
    for layer in (0, 1):
        below = x if layer == 0 else ref.sigmoid(x @ W[0] + b[0])
        b_prime = np.zeros(W[layer].shape[0])
        for _ in range(2):
            pretraining.append([])
            for rows in batches(len(x), 20):
                noisy = draws[layer]() * below[rows]
                cost, grads = ref.autoencode(below[rows], noisy, W[layer], b[layer], b_prime)
                pretraining[-1].append(cost)
                ref.step([W[layer], b[layer], b_prime], grads, 0.05)
    V, c = np.zeros((20, 10)), np.zeros(10)
    finetuning = []
    for rows in 2 * batches(len(x), 20):
        h0 = ref.sigmoid(x[rows] @ W[0] + b[0])
        h1 = ref.sigmoid(h0 @ W[1] + b[1])
        cost, dz = ref.softmax_cost(h1 @ V + c, y[rows])
        finetuning.append(cost)
        d1 = dz @ V.T * h1 * (1 - h1)
        d0 = d1 @ W[1].T * h0 * (1 - h0)
        params = [W[0], b[0], W[1], b[1], V, c]
        grads = [x[rows].T @ d0, d0.sum(0), h0.T @ d1, d1.sum(0), h1.T @ dz, dz.sum(0)]
        ref.step(params, grads, 0.3)
    np.testing.assert_allclose(found["pretraining"], pretraining, RTOL)
    np.testing.assert_allclose(found["finetuning"], finetuning, RTOL)
    assert np.mean(finetuning[-50:]) < 0.7 * finetuning[0]


def test_contractive_autoencoder(tutorial, mnist_file, digits):
    found = tutorial("contractive_autoencoder.py", mnist_file, 2)
    x = digits[0][0]
    W = 4 * glorot(np.random.RandomState(123), 784, 15)
    b, b_prime, pairs = np.zeros(15), np.zeros(784), []
    for rows in 2 * batches(len(x), 10):
        cost, (dW, db, db_prime) = ref.autoencode(x[rows], x[rows], W, b, b_prime)
        h = ref.sigmoid(x[rows] @ W + b)
        s = h * (1 - h)
        squares = (W**2).sum(axis=0)  # la jacobienne est s[n, j] W[i, j]
        pairs.append([cost, (s**2 * squares).sum() / 10])
        d_in = 2 * s * squares / 10 * (1 - 2 * h) * s
        dW = dW + 0.1 * (x[rows].T @ d_in + 2 * W * (s**2).sum(axis=0) / 10)
        ref.step([W, b, b_prime], [dW, db + 0.1 * d_in.sum(axis=0), db_prime], 0.05)
    np.testing.assert_allclose(found["pairs"], pairs, RTOL)
    assert np.mean(pairs[-50:], axis=0)[0] < 0.8 * pairs[0][0]


def test_conjugate_gradient(tutorial, mnist_file, digits):
    found = tutorial("conjugate_gradient.py", mnist_file)
    (x, y), (valid_x, valid_y), _ = digits
    history = []

    def split(theta):
        return theta[:7840].reshape(784, 10), theta[7840:]

    def cost_and_slope(theta):
        W, b = split(theta)
        cost, dz = ref.softmax_cost(x @ W + b, y)
        return cost, np.concatenate([(x.T @ dz).ravel(), dz.sum(axis=0)])

    def note(theta):
        error = (ref.classify(valid_x, *split(theta)) != valid_y).mean()
        history.append((cost_and_slope(theta)[0], error))

    best = scipy.optimize.fmin_cg(
        lambda theta: cost_and_slope(theta)[0],
        np.zeros(7850),
        lambda theta: cost_and_slope(theta)[1],
        callback=note,
        disp=0,
        maxiter=8,
    )
    # la recherche linéaire amplifie les arrondis : 1e-5, et non 1e-9
    np.testing.assert_allclose(found["history"], history, 1e-5)
    np.testing.assert_allclose(found["theta"], best, 1e-3, 1e-5)
    assert history[-1][0] < 0.3 * np.log(10)
