"""Régression logistique par gradient conjugué : tous les paramètres dans un seul vecteur.

Emploi : conjugate_gradient.py mnist.pkl.gz
"""

import sys

import numpy
import scipy.optimize
import theano
import theano.tensor as T
from softmax_regression import load_data


class LogisticRegression:
    """Poids et biais sont deux vues d’un vecteur theta."""

    def __init__(self, input, n_in, n_out):
        self.theta = theano.shared(
            value=numpy.zeros(n_in * n_out + n_out, dtype=theano.config.floatX),
            name="theta",
            borrow=True,
        )
        self.W = self.theta[0 : n_in * n_out].reshape((n_in, n_out))
        self.b = self.theta[n_in * n_out : n_in * n_out + n_out]
        self.p_y_given_x = T.nnet.softmax(T.dot(input, self.W) + self.b)
        self.y_pred = T.argmax(self.p_y_given_x, axis=1)

    def negative_log_likelihood(self, y):
        return -T.mean(T.log(self.p_y_given_x)[T.arange(y.shape[0]), y])

    def errors(self, y):
        return T.mean(T.neq(self.y_pred, y))


def main(path, n_iterations=8, batch_size=100):
    (train_x, train_y), (valid_x, valid_y), _ = load_data(path)
    n_batches = train_x.get_value(borrow=True).shape[0] // batch_size
    minibatch_offset = T.lscalar()
    x = T.matrix()
    y = T.ivector()
    classifier = LogisticRegression(input=x, n_in=784, n_out=10)
    cost = classifier.negative_log_likelihood(y).mean()
    rows = slice(minibatch_offset, minibatch_offset + batch_size)
    batch_cost = theano.function(
        [minibatch_offset], cost, givens={x: train_x[rows], y: train_y[rows]}, name="batch_cost"
    )
    batch_grad = theano.function(
        [minibatch_offset],
        T.grad(cost, classifier.theta),
        givens={x: train_x[rows], y: train_y[rows]},
        name="batch_grad",
    )
    validate = theano.function([], classifier.errors(y), givens={x: valid_x, y: valid_y})
    history = []

    def train_fn(theta_value):
        classifier.theta.set_value(theta_value, borrow=True)
        return numpy.mean([batch_cost(i * batch_size) for i in range(n_batches)])

    def train_fn_grad(theta_value):
        classifier.theta.set_value(theta_value, borrow=True)
        grad = batch_grad(0)
        for i in range(1, n_batches):
            grad += batch_grad(i * batch_size)
        return grad / n_batches

    def callback(theta_value):
        history.append((train_fn(theta_value), float(validate())))

    best = scipy.optimize.fmin_cg(
        f=train_fn,
        x0=numpy.zeros(785 * 10, dtype=x.dtype),
        fprime=train_fn_grad,
        callback=callback,
        disp=0,
        maxiter=n_iterations,
    )
    return history, best


if __name__ == "__main__":
    history, theta = main(sys.argv[1])
    print("coût, erreur :", history[-1])
