"""Auto-encodeur contractant sur MNIST : la norme de la jacobienne du code entre dans le coût.

Emploi : contractive_autoencoder.py mnist.pkl.gz [époques]
"""

import sys

import numpy
import theano
import theano.tensor as T
from softmax_regression import load_data


class ContractiveAutoencoder:
    """Le coût : reconstruction, plus `contraction_level` fois la norme carrée de la jacobienne."""

    def __init__(self, numpy_rng, input, n_visible, n_hidden, n_batchsize):
        self.n_visible, self.n_hidden, self.n_batchsize = n_visible, n_hidden, n_batchsize
        bound = 4 * numpy.sqrt(6.0 / (n_hidden + n_visible))
        self.W = theano.shared(
            numpy.asarray(
                numpy_rng.uniform(low=-bound, high=bound, size=(n_visible, n_hidden)),
                dtype=theano.config.floatX,
            ),
            name="W",
            borrow=True,
        )
        self.b_prime = theano.shared(numpy.zeros(n_visible, dtype=theano.config.floatX))
        self.b = theano.shared(numpy.zeros(n_hidden, dtype=theano.config.floatX), name="b")
        self.W_prime = self.W.T
        self.x = input
        self.params = [self.W, self.b, self.b_prime]

    def get_hidden_values(self, input):
        return T.nnet.sigmoid(T.dot(input, self.W) + self.b)

    def get_jacobian(self, hidden, W):
        return T.reshape(hidden * (1 - hidden), (self.n_batchsize, 1, self.n_hidden)) * T.reshape(
            W, (1, self.n_visible, self.n_hidden)
        )

    def get_reconstructed_input(self, hidden):
        return T.nnet.sigmoid(T.dot(hidden, self.W_prime) + self.b_prime)

    def get_cost_updates(self, contraction_level, learning_rate):
        y = self.get_hidden_values(self.x)
        z = self.get_reconstructed_input(y)
        J = self.get_jacobian(y, self.W)
        self.L_rec = -T.sum(self.x * T.log(z) + (1 - self.x) * T.log(1 - z), axis=1)
        self.L_jacob = T.sum(J**2) // self.n_batchsize
        self.L_jacob = T.sum(J**2) / self.n_batchsize
        cost = T.mean(self.L_rec) + contraction_level * T.mean(self.L_jacob)
        gparams = T.grad(cost, self.params)
        updates = []
        for param, gparam in zip(self.params, gparams):
            updates.append((param, param - learning_rate * gparam))
        return cost, updates


def main(path, n_epochs=2, learning_rate=0.05, batch_size=10, contraction_level=0.1):
    train_x = load_data(path)[0][0]
    index = T.lscalar()
    x = T.matrix("x")
    rng = numpy.random.RandomState(123)
    ca = ContractiveAutoencoder(rng, x, n_visible=784, n_hidden=15, n_batchsize=batch_size)
    cost, updates = ca.get_cost_updates(contraction_level, learning_rate)
    train_ca = theano.function(
        [index],
        [T.mean(ca.L_rec), ca.L_jacob],
        updates=updates,
        givens={x: train_x[index * batch_size : (index + 1) * batch_size]},
    )
    n_batches = train_x.get_value(borrow=True).shape[0] // batch_size
    pairs = [train_ca(i) for _ in range(n_epochs) for i in range(n_batches)]
    print("reconstruction, contraction :", numpy.mean(pairs[-n_batches:], axis=0))
    return numpy.array(pairs)


if __name__ == "__main__":
    pairs = main(sys.argv[1], *map(int, sys.argv[2:]))
