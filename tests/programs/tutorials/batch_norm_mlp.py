"""Perceptron à normalisation par lot, décrochage et momentum, sur MNIST.

Emploi : batch_norm_mlp.py mnist.pkl.gz [mini-lots]
"""

import gzip
import pickle
import sys
from collections import OrderedDict

import numpy as np
import theano
import theano.tensor as T
from theano.sandbox.rng_mrg import MRG_RandomStreams
from theano.tensor.nnet import bn

srng = MRG_RandomStreams(seed=1)
rng = np.random.RandomState(7)


def floatX(value):
    return np.asarray(value, dtype=theano.config.floatX)


def init_weights(shape):
    return theano.shared(floatX(rng.randn(*shape) * 0.05))


def dropout(X, p=0.0):
    if p > 0:
        retain_prob = 1 - p
        X *= srng.binomial(X.shape, p=retain_prob, dtype=theano.config.floatX)
        X /= retain_prob
    return X


def momentum(cost, params, lr=0.05, mu=0.9):
    grads = T.grad(cost=cost, wrt=params)
    updates = OrderedDict()
    for p, g in zip(params, grads):
        velocity = theano.shared(p.get_value() * 0.0, broadcastable=p.broadcastable)
        step = mu * velocity - lr * g
        updates[velocity] = step
        updates[p] = p + step
    return updates


with gzip.open(sys.argv[1], "rb") as file:
    (trX, trY), _, (teX, teY) = pickle.load(file)
n_batches = int(sys.argv[2]) if len(sys.argv) > 2 else 20

X = T.matrix()
Y = T.lvector()
w_h, w_o = init_weights((784, 30)), init_weights((30, 10))
gamma, beta = theano.shared(floatX(np.ones(30))), theano.shared(floatX(np.zeros(30)))
running_mean = theano.shared(floatX(np.zeros((1, 30))), broadcastable=(True, False))
running_var = theano.shared(floatX(np.ones((1, 30))), broadcastable=(True, False))

hidden = T.dot(dropout(X, 0.2), w_h)
normalized, mean, invstd, new_mean, new_var = bn.batch_normalization_train(
    hidden,
    gamma.dimshuffle("x", 0),
    beta.dimshuffle("x", 0),
    axes="per-activation",
    running_mean=running_mean,
    running_var=running_var,
)
py_x = T.nnet.softmax(T.dot(T.nnet.relu(normalized), w_o))
cost = T.mean(T.nnet.categorical_crossentropy(py_x, Y))
updates = momentum(cost, [w_h, w_o, gamma, beta])
updates[running_mean] = new_mean
updates[running_var] = new_var
train = theano.function(inputs=[X, Y], outputs=cost, updates=updates, allow_input_downcast=True)

test_normalized = bn.batch_normalization_test(
    T.dot(X, w_h),
    gamma.dimshuffle("x", 0),
    beta.dimshuffle("x", 0),
    running_mean,
    running_var,
    axes="per-activation",
)
test_p = T.nnet.softmax(T.dot(T.nnet.relu(test_normalized), w_o))
predict = theano.function([X], T.argmax(test_p, axis=1), allow_input_downcast=True)

costs = [
    train(trX[start : start + 64], trY[start : start + 64])
    for start in range(0, 64 * n_batches, 64)
]
accuracy = np.mean(predict(teX) == teY)
averages = running_mean.get_value(), running_var.get_value()
print("justes :", accuracy)
