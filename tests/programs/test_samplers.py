"""La machine de Boltzmann et le Monte-Carlo hamiltonien, pas à pas contre NumPy (float64).

Les nombres tirés viennent de flux du moteur de même graine ; tout le reste est refait ici.
"""

import numpy as np

from engine import function
from engine import tensor as T
from engine.tensor.shared_randomstreams import RandomStreams
from tests.programs import reference as ref


def coin(stream):
    """Un tireur de 0/1 de probabilités données, du flux suivant de `stream`."""
    p = T.dmatrix()
    return function([p], stream.binomial(size=p.shape, n=1, p=p, dtype="float64"))


def free_energy(v, W, hbias, vbias):
    return -np.logaddexp(0, v @ W + hbias).sum(axis=1) - v @ vbias


def test_rbm(tutorial, mnist_file, digits):
    found = tutorial("rbm.py", mnist_file, 2)["results"]
    (x, _), _, (test_x, _) = digits
    rng = np.random.RandomState(123)
    stream = RandomStreams(rng.randint(2**30))
    bound = 4 * np.sqrt(6.0 / (20 + 784))
    W = rng.uniform(low=-bound, high=bound, size=(784, 20))
    hbias, vbias, chain = np.zeros(20), np.zeros(784), np.zeros((20, 20))
    _, draw_v, draw_h = (coin(stream) for _ in range(3))
    costs, energies, bit = [], [], 0
    for _ in range(2):
        for start in range(0, len(x), 20):
            v = x[start : start + 20]
            h = chain
            for _ in range(3):
                v_model = draw_v(ref.sigmoid(h @ W.T + vbias))
                h = draw_h(ref.sigmoid(v_model @ W + hbias))
            xi = np.round(v)
            flip = xi.copy()
            flip[:, bit] = 1 - flip[:, bit]
            gap = free_energy(flip, W, hbias, vbias) - free_energy(xi, W, hbias, vbias)
            costs.append((-784 * np.logaddexp(0, -gap)).mean())
            bit = (bit + 1) % 784
            p, q = ref.sigmoid(v @ W + hbias), ref.sigmoid(v_model @ W + hbias)
            grads = [
                (v_model.T @ q - v.T @ p) / 20,
                (q - p).mean(axis=0),
                (v_model - v).mean(axis=0),
            ]
            ref.step([W, hbias, vbias], grads, 0.1)
            chain = h
        energies.append(free_energy(test_x, W, hbias, vbias).mean())
    np.testing.assert_allclose(found["costs"], costs, 1e-8, 1e-10)
    np.testing.assert_allclose(found["energies"], energies, 1e-9)
    np.testing.assert_array_equal(found["chain"], chain)
    for obtained, expected in zip(found["params"], (W, hbias, vbias), strict=True):
        np.testing.assert_allclose(obtained, expected, 1e-9, 1e-11)
    assert np.mean(costs[-50:]) > np.mean(costs[:10])  # la pseudo-vraisemblance monte

    draw_h, draw_v = coin(stream), coin(stream)
    v = test_x[:5]
    for means, samples in found["samples"]:
        for _ in range(20):
            h = draw_h(ref.sigmoid(v @ W + hbias))
            v_mean = ref.sigmoid(h @ W.T + vbias)
            v = draw_v(v_mean)
        np.testing.assert_allclose(means, v_mean, 1e-8, 1e-10)
        np.testing.assert_array_equal(samples, v)


def test_hmc(tutorial):
    found = tutorial("hmc.py")["results"]
    rng = np.random.RandomState(123)
    mu = rng.rand(4) * 10
    cov = rng.rand(4, 4)
    cov = (cov + cov.T) / 2
    cov[np.arange(4), np.arange(4)] = 2.0
    precision = np.linalg.inv(cov)
    position = rng.randn(40, 4)
    stream = RandomStreams(54321)
    velocity = function([], stream.normal(size=(40, 4)))
    uniform = function([], stream.uniform(size=(40,)))
    stepsize, acceptance = 0.05, 0.9

    def energy(q):
        return 0.5 * ((q - mu) @ precision * (q - mu)).sum(axis=1)

    def slope(q):
        return (q - mu) @ precision

    path = []
    for _ in range(300):
        start = velocity()
        q, v = position, start - 0.5 * stepsize * slope(position)
        q = q + stepsize * v
        for _ in range(14):
            v = v - stepsize * slope(q)
            q = q + stepsize * v
        # comme le programme, qui ne corrige que la dernière demi-vitesse
        v = v - 0.5 * stepsize * slope(q)
        before = energy(position) + 0.5 * (start**2).sum(axis=1)
        after = energy(q) + 0.5 * (v**2).sum(axis=1)
        accept = np.exp(before - after) - uniform() >= 0
        stepsize, previous = (
            np.clip(stepsize * (1.02 if acceptance > 0.9 else 0.98), 0.001, 0.25),
            acceptance,
        )
        acceptance = 0.9 * previous + 0.1 * accept.mean()
        position = np.where(accept[:, None], q, position)
        path.append(position)
    np.testing.assert_allclose(found["path"], path[:100], 1e-7, 1e-8)
    np.testing.assert_allclose(found["samples"], path[100:], 1e-6, 1e-7)
    np.testing.assert_allclose(found["stepsize"], stepsize, 1e-12)
    np.testing.assert_allclose(found["acceptance"], acceptance, 1e-12)

    # 8000 tirages, corrélés : la moyenne à moins de 0,25, la covariance à moins de 0,5
    drawn = found["samples"].reshape(-1, 4)
    np.testing.assert_allclose(drawn.mean(axis=0), mu, 0, 0.25)
    np.testing.assert_allclose(np.cov(drawn.T), cov, 0, 0.5)


def test_rnn_rbm(tutorial):
    found = tutorial("rnn_rbm.py")["results"]
    W, bv, bh, Wuh, Wuv, Wvu, Wuu, bu = (param.copy() for param in found["initial"])
    stream = RandomStreams(seed=np.random.RandomState(0xBEEF).randint(1 << 30))
    draw_h, draw_v, draw_last = coin(stream), coin(stream), coin(stream)
    v = found["scale"]
    n = len(v)

    def log_parts(x, p):
        return np.where(x == 0, 0, x * np.log(np.where(x == 0, 1, p)))

    def free_energy(v, bv_t, bh_t):
        return -(v * bv_t).sum() - np.logaddexp(0, v @ W + bh_t).sum()

    for monitor, sample in found["steps"]:
        states = [np.zeros(5)]
        for v_t in v:
            states.append(np.tanh(bu + v_t @ Wvu + states[-1] @ Wuu))
        before, after = np.array(states[:-1]), np.array(states[1:])
        bv_t, bh_t = bv + before @ Wuv, bh + before @ Wuh
        u = v
        for _ in range(3):
            u = draw_v(ref.sigmoid(draw_h(ref.sigmoid(u @ W + bh_t)) @ W.T + bv_t))
        np.testing.assert_array_equal(sample, u)
        mean_v = ref.sigmoid(draw_last(ref.sigmoid(u @ W + bh_t)) @ W.T + bv_t)
        expected = (log_parts(v, mean_v) + log_parts(1 - v, 1 - mean_v)).sum() / n
        np.testing.assert_allclose(monitor, expected, 1e-8)

        p, q = ref.sigmoid(v @ W + bh_t), ref.sigmoid(u @ W + bh_t)
        d_bv, d_bh = (u - v) / n, (q - p) / n
        d_before = d_bv @ Wuv.T + d_bh @ Wuh.T
        d_pre, carried = np.zeros_like(after), np.zeros(5)
        for t in reversed(range(n)):
            d_pre[t] = carried * (1 - after[t] ** 2)
            carried = d_pre[t] @ Wuu.T + d_before[t]
        grads = [
            (u.T @ q - v.T @ p) / n, d_bv.sum(axis=0), d_bh.sum(axis=0), before.T @ d_bh,
            before.T @ d_bv, v.T @ d_pre, before.T @ d_pre, d_pre.sum(axis=0),
        ]  # fmt: skip
        ref.step([W, bv, bh, Wuh, Wuv, Wvu, Wuu, bu], grads, 0.1)
    for obtained, expected in zip(
        found["params"], (W, bv, bh, Wuh, Wuv, Wvu, Wuu, bu), strict=True
    ):
        np.testing.assert_allclose(obtained, expected, 1e-8, 1e-11)
    monitors = [float(monitor) for monitor, _ in found["steps"]]
    assert np.mean(monitors[-5:]) > np.mean(monitors[:5])

    coin(stream)  # le dernier visible de l’entraînement, que rien n’emploie
    draw_h, draw_v = (lambda_of(coin(stream)) for _ in range(2))
    for melody in found["melodies"]:
        state = np.zeros(5)
        for played in melody:
            bv_t, bh_t = bv + state @ Wuv, bh + state @ Wuh
            v_t = np.zeros(8)
            for _ in range(5):
                v_t = draw_v(ref.sigmoid(draw_h(ref.sigmoid(v_t @ W + bh_t)) @ W.T + bv_t))
            np.testing.assert_array_equal(played, v_t)
            state = np.tanh(bu + v_t @ Wvu + state @ Wuu)


def lambda_of(draw):
    """Le même tireur, pour un vecteur de probabilités."""
    return lambda p: draw(p[None])[0]
