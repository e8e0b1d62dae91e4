"""Régression softmax sur MNIST, par descente de gradient sur des mini-lots.

Emploi : softmax_regression.py mnist.pkl.gz [époques]
"""

import gzip
import pickle
import sys
import time

import numpy
import theano
import theano.tensor as T


class SoftmaxRegression:
    """Des poids, des biais, et la loi des classes sachant l’image."""

    def __init__(self, input, n_in, n_out):
        self.W = theano.shared(
            value=numpy.zeros((n_in, n_out), dtype=theano.config.floatX), name="W", borrow=True
        )
        self.b = theano.shared(
            value=numpy.zeros((n_out,), dtype=theano.config.floatX), name="b", borrow=True
        )
        self.p_y_given_x = T.nnet.softmax(T.dot(input, self.W) + self.b)
        self.y_pred = T.argmax(self.p_y_given_x, axis=1)
        self.params = [self.W, self.b]

    def negative_log_likelihood(self, y):
        return -T.mean(T.log(self.p_y_given_x)[T.arange(y.shape[0]), y])

    def errors(self, y):
        if y.ndim != self.y_pred.ndim:
            raise TypeError("y et y_pred n'ont pas la même forme", (y.type, self.y_pred.type))
        if not y.dtype.startswith("int"):
            raise NotImplementedError()
        return T.mean(T.neq(self.y_pred, y))


def shared_dataset(data_xy, borrow=True):
    data_x, data_y = data_xy
    shared_x = theano.shared(numpy.asarray(data_x, dtype=theano.config.floatX), borrow=borrow)
    shared_y = theano.shared(numpy.asarray(data_y, dtype=theano.config.floatX), borrow=borrow)
    return shared_x, T.cast(shared_y, "int32")


def load_data(path):
    with gzip.open(path, "rb") as file:
        return [shared_dataset(part) for part in pickle.load(file)]


def main(path, n_epochs=5, learning_rate=0.13, batch_size=100):
    (train_x, train_y), (valid_x, valid_y), (test_x, test_y) = load_data(path)
    n_train_batches = train_x.get_value(borrow=True).shape[0] // batch_size

    index = T.lscalar()
    x = T.matrix("x")
    y = T.ivector("y")
    classifier = SoftmaxRegression(input=x, n_in=28 * 28, n_out=10)
    cost = classifier.negative_log_likelihood(y)

    def slices(data_x, data_y):
        rows = slice(index * batch_size, (index + 1) * batch_size)
        return {x: data_x[rows], y: data_y[rows]}

    test_model = theano.function([], classifier.errors(y), givens={x: test_x, y: test_y})
    validate_model = theano.function(
        inputs=[index], outputs=classifier.errors(y), givens=slices(valid_x, valid_y)
    )
    g_W = T.grad(cost=cost, wrt=classifier.W)
    g_b = T.grad(cost=cost, wrt=classifier.b)
    train_model = theano.function(
        inputs=[index],
        outputs=cost,
        updates=[
            (classifier.W, classifier.W - learning_rate * g_W),
            (classifier.b, classifier.b - learning_rate * g_b),
        ],
        givens=slices(train_x, train_y),
    )

    n_valid_batches = valid_x.get_value(borrow=True).shape[0] // batch_size
    costs, valid_errors = [], []
    start = time.time()
    for epoch in range(n_epochs):
        for minibatch_index in range(n_train_batches):
            costs.append(train_model(minibatch_index))
        losses = [validate_model(i) for i in range(n_valid_batches)]
        valid_errors.append(numpy.mean(losses))
        print(f"époque {epoch + 1}, erreur de validation {100 * valid_errors[-1]:.2f} %")
    print(f"{time.time() - start:.1f} s")
    return costs, valid_errors, float(test_model())


if __name__ == "__main__":
    costs, valid_errors, test_error = main(sys.argv[1], *map(int, sys.argv[2:]))
    print(f"erreur de test {100 * test_error:.2f} %")
