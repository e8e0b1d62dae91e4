"""Notre moteur."""

import time
from importlib.metadata import version

import numpy as np

import engine
import engine.tensor as T
from tests.bench.protocol import Contestant
from tests.bench.softmax_regression.work import CLASSES, PIXELS, RATE, batch, data


def make(threads):
    engine.config.floatX = "float32"
    pixels, labels = data()
    x, y = T.matrix("x"), T.lvector("y")
    W = engine.shared(np.zeros((PIXELS, CLASSES), "float32"), name="W")
    b = engine.shared(np.zeros(CLASSES, "float32"), name="b")
    engine.Mode()  # charge Numba : importer n’est pas compiler
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

    return Contestant(
        step=lambda index: train(*batch(pixels, labels, index)),
        parameters=lambda: [W.get_value(), b.get_value()],
        reset=reset,
        version=f"numba {version('numba')}",
        compile_seconds=seconds,
    )
