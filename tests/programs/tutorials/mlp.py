"""Perceptron à une couche cachée sur MNIST, pénalisé par L1 et L2.

Emploi : mlp.py mnist.pkl.gz [époques]
"""

import sys

import numpy
import theano
import theano.tensor as T
from softmax_regression import SoftmaxRegression, load_data


class HiddenLayer:
    """tanh(x W + b), ou une autre activation."""

    def __init__(self, rng, input, n_in, n_out, W=None, b=None, activation=T.tanh):
        if W is None:
            bound = numpy.sqrt(6.0 / (n_in + n_out))
            W_values = numpy.asarray(
                rng.uniform(low=-bound, high=bound, size=(n_in, n_out)), dtype=theano.config.floatX
            )
            if activation == theano.tensor.nnet.sigmoid:
                W_values *= 4
            W = theano.shared(value=W_values, name="W", borrow=True)
        if b is None:
            b_values = numpy.zeros((n_out,), dtype=theano.config.floatX)
            b = theano.shared(value=b_values, name="b", borrow=True)
        self.W = W
        self.b = b
        lin_output = T.dot(input, self.W) + self.b
        self.output = lin_output if activation is None else activation(lin_output)
        self.params = [self.W, self.b]


class MLP:
    """Une couche cachée, puis une régression softmax."""

    def __init__(self, rng, input, n_in, n_hidden, n_out):
        self.hidden = HiddenLayer(rng, input, n_in, n_hidden, activation=T.tanh)
        self.top = SoftmaxRegression(input=self.hidden.output, n_in=n_hidden, n_out=n_out)
        self.L1 = abs(self.hidden.W).sum() + abs(self.top.W).sum()
        self.L2_sqr = (self.hidden.W**2).sum() + (self.top.W**2).sum()
        self.negative_log_likelihood = self.top.negative_log_likelihood
        self.errors = self.top.errors
        self.params = self.hidden.params + self.top.params


def main(path, n_epochs=3, learning_rate=0.05, L1_reg=0.0001, L2_reg=0.0005, batch_size=50):
    train_set, valid_set, _ = load_data(path)
    index = T.lscalar()
    x = T.matrix("x")
    y = T.ivector("y")
    rng = numpy.random.RandomState(1234)
    classifier = MLP(rng=rng, input=x, n_in=28 * 28, n_hidden=40, n_out=10)
    cost = (
        classifier.negative_log_likelihood(y) + L1_reg * classifier.L1 + L2_reg * classifier.L2_sqr
    )
    begin, end = index * batch_size, (index + 1) * batch_size
    validate_model = theano.function(
        inputs=[], outputs=classifier.errors(y), givens={x: valid_set[0], y: valid_set[1]}
    )
    gparams = [T.grad(cost, param) for param in classifier.params]
    updates = [
        (param, param - learning_rate * gparam) for param, gparam in zip(classifier.params, gparams)
    ]
    train_model = theano.function(
        inputs=[index],
        outputs=cost,
        updates=updates,
        givens={x: train_set[0][begin:end], y: train_set[1][begin:end]},
    )
    n_batches = train_set[0].get_value(borrow=True).shape[0] // batch_size
    costs, valid_errors = [], []
    patience, best, epoch = n_batches, numpy.inf, 0
    while epoch < n_epochs and len(costs) <= patience:
        costs += [train_model(i) for i in range(n_batches)]
        valid_errors.append(validate_model())
        if valid_errors[-1] < best * 0.995:
            patience = max(patience, 2 * len(costs))
            best = valid_errors[-1]
        epoch += 1
        print("époque %d : coût %f, erreur %f" % (epoch, costs[-1], valid_errors[-1]))
    return costs, valid_errors, [param.get_value() for param in classifier.params]


if __name__ == "__main__":
    costs, valid_errors, parameters = main(sys.argv[1], *map(int, sys.argv[2:]))
