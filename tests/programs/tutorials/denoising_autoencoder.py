"""Auto-encodeur débruiteur à poids liés, sur MNIST, avec et sans bruit.

Emploi : denoising_autoencoder.py mnist.pkl.gz [époques]
"""

import sys

import numpy
import theano
import theano.tensor as T
from softmax_regression import load_data
from theano.tensor.shared_randomstreams import RandomStreams


class DenoisingAutoencoder:
    """Le code reconstruit l’image propre à partir de l’image abîmée."""

    def __init__(
        self,
        numpy_rng,
        theano_rng=None,
        input=None,
        n_visible=784,
        n_hidden=30,
        W=None,
        bhid=None,
        bvis=None,
    ):
        if not theano_rng:
            theano_rng = RandomStreams(numpy_rng.randint(2**30))
        if not W:
            bound = 4 * numpy.sqrt(6.0 / (n_hidden + n_visible))
            initial_W = numpy.asarray(
                numpy_rng.uniform(low=-bound, high=bound, size=(n_visible, n_hidden)),
                dtype=theano.config.floatX,
            )
            W = theano.shared(value=initial_W, name="W", borrow=True)
        if not bvis:
            bvis = theano.shared(
                value=numpy.zeros(n_visible, dtype=theano.config.floatX), borrow=True
            )
        if not bhid:
            bhid = theano.shared(
                value=numpy.zeros(n_hidden, dtype=theano.config.floatX), name="b", borrow=True
            )
        self.W = W
        self.b = bhid
        self.b_prime = bvis
        self.W_prime = self.W.T
        self.theano_rng = theano_rng
        self.x = T.dmatrix(name="input") if input is None else input
        self.params = [self.W, self.b, self.b_prime]

    def get_corrupted_input(self, input, corruption_level):
        mask = self.theano_rng.binomial(
            size=input.shape, n=1, p=1 - corruption_level, dtype=theano.config.floatX
        )
        return mask * input

    def get_hidden_values(self, input):
        return T.nnet.sigmoid(T.dot(input, self.W) + self.b)

    def get_reconstructed_input(self, hidden):
        return T.nnet.sigmoid(T.dot(hidden, self.W_prime) + self.b_prime)

    def get_cost_updates(self, corruption_level, learning_rate):
        tilde_x = self.get_corrupted_input(self.x, corruption_level)
        y = self.get_hidden_values(tilde_x)
        z = self.get_reconstructed_input(y)
        L = -T.sum(self.x * T.log(z) + (1 - self.x) * T.log(1 - z), axis=1)
        cost = T.mean(L)
        gparams = T.grad(cost, self.params)
        updates = [
            (param, param - learning_rate * gparam) for param, gparam in zip(self.params, gparams)
        ]
        return cost, updates


def train(train_x, corruption_level, n_epochs, batch_size=20, learning_rate=0.1):
    index = T.lscalar()
    x = T.matrix("x")
    rng = numpy.random.RandomState(123)
    theano_rng = RandomStreams(rng.randint(2**30))
    da = DenoisingAutoencoder(numpy_rng=rng, theano_rng=theano_rng, input=x)
    cost, updates = da.get_cost_updates(corruption_level, learning_rate)
    train_da = theano.function(
        [index],
        cost,
        updates=updates,
        givens={x: train_x[index * batch_size : (index + 1) * batch_size]},
    )
    n_batches = train_x.get_value(borrow=True).shape[0] // batch_size
    costs = []
    for epoch in range(n_epochs):
        costs += [train_da(i) for i in range(n_batches)]
        print("époque", epoch, "coût", numpy.mean(costs[-n_batches:]))
    return costs


if __name__ == "__main__":
    train_x = load_data(sys.argv[1])[0][0]
    n_epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    clean_costs = train(train_x, 0.0, n_epochs)
    noisy_costs = train(train_x, 0.3, n_epochs)
