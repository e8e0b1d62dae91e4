"""La régression softmax de la leçon 6 : un pas de descente sur un minilot de 500 images.

Chaque concurrent rend (pas(i), paramètres(), remise à zéro(), version, secondes de compilation).
"""

import time

import numpy as np

NAME = "softmax_regression"
TITLE = "Régression softmax, minilot de 500, float32"
BATCH, PIXELS, CLASSES, RATE = 500, 784, 10, 0.13
N_BATCHES = 100
WARM_UP, STEPS = 20, 300
FLOP = 4 * BATCH * PIXELS * CLASSES  # un produit à l’aller, un pour le gradient de W
BYTES = 2 * BATCH * PIXELS * 4 + 3 * PIXELS * CLASSES * 4  # x lu deux fois, W lu, gradient, W écrit


def data():
    """Des pixels et des étiquettes au hasard, les mêmes pour tous."""
    generator = np.random.default_rng(0)
    x = generator.random((N_BATCHES * BATCH, PIXELS), dtype=np.float32)
    x *= x > 0.8  # comme des chiffres : surtout du fond
    return x, generator.integers(0, CLASSES, N_BATCHES * BATCH)


def batch(x, y, index):
    rows = slice(index % N_BATCHES * BATCH, (index % N_BATCHES + 1) * BATCH)
    return x[rows], y[rows]


def reference_parameters(steps):
    """Les paramètres après `steps` pas, en NumPy float64."""
    x, y = data()
    weights, bias = np.zeros((PIXELS, CLASSES)), np.zeros(CLASSES)
    for index in range(steps):
        images, labels = batch(x, y, index)
        images = images.astype("float64")
        scores = images @ weights + bias
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(BATCH), labels] -= 1
        p /= BATCH
        weights -= RATE * images.T @ p
        bias -= RATE * p.sum(axis=0)
    return weights, bias


def engine(threads):
    import engine
    import engine.tensor as T

    engine.config.floatX = "float32"
    pixels, labels = data()
    x, y = T.matrix("x"), T.lvector("y")
    W = engine.shared(np.zeros((PIXELS, CLASSES), "float32"), name="W")
    b = engine.shared(np.zeros(CLASSES, "float32"), name="b")
    begin = time.perf_counter()
    p = T.nnet.softmax(T.dot(x, W) + b)
    cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y])
    grads = engine.grad(cost, [W, b])
    updates = [(v, v - RATE * g) for v, g in zip((W, b), grads, strict=True)]
    train = engine.function([x, y], cost, updates=updates)
    train(*batch(pixels, labels, 0))
    seconds = time.perf_counter() - begin

    def reset():
        W.set_value(np.zeros((PIXELS, CLASSES), "float32"))
        b.set_value(np.zeros(CLASSES, "float32"))

    return (
        lambda index: train(*batch(pixels, labels, index)),
        lambda: [W.get_value(), b.get_value()],
        reset,
        "",
        seconds,
    )


def torch(threads, compiled=False):
    import torch

    torch.set_num_threads(threads)
    pixels, labels = (torch.from_numpy(array) for array in data())
    W = torch.zeros((PIXELS, CLASSES), requires_grad=True)
    b = torch.zeros(CLASSES, requires_grad=True)

    def loss(x, y):
        return torch.nn.functional.cross_entropy(x @ W + b, y)

    begin = time.perf_counter()
    forward = torch.compile(loss) if compiled else loss

    def step(index):
        x, y = batch(pixels, labels, index)
        cost = forward(x, y)
        gW, gb = torch.autograd.grad(cost, [W, b])
        with torch.no_grad():
            W.sub_(RATE * gW)
            b.sub_(RATE * gb)
        return cost

    step(0)

    def reset():
        with torch.no_grad():
            W.zero_()
            b.zero_()

    seconds = time.perf_counter() - begin
    version = torch.__version__.split("+")[0]
    return step, lambda: [W.detach().numpy(), b.detach().numpy()], reset, version, seconds


def torch_compile(threads):
    return torch(threads, compiled=True)


def jax(threads):
    import jax
    import jax.numpy as jnp

    pixels, labels = data()
    batches = [tuple(map(jnp.asarray, batch(pixels, labels, index))) for index in range(N_BATCHES)]

    def loss(parameters, x, y):
        W, b = parameters
        log_p = jax.nn.log_softmax(x @ W + b)
        return -log_p[jnp.arange(BATCH), y].mean()

    @jax.jit
    def update(parameters, x, y):
        cost, grads = jax.value_and_grad(loss)(parameters, x, y)
        return [v - RATE * g for v, g in zip(parameters, grads, strict=True)], cost

    state = {}

    def reset():
        state["p"] = [jnp.zeros((PIXELS, CLASSES)), jnp.zeros(CLASSES)]

    def step(index):
        x, y = batches[index % N_BATCHES]
        state["p"], cost = update(state["p"], x, y)
        return cost

    reset()
    begin = time.perf_counter()
    step(0)
    state["p"][0].block_until_ready()
    seconds = time.perf_counter() - begin
    return step, lambda: [np.asarray(value) for value in state["p"]], reset, jax.__version__, seconds


CONTENDERS = {"engine": engine, "torch": torch, "torch_compile": torch_compile, "jax": jax}
