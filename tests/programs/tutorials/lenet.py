"""Un LeNet sur MNIST : deux étages convolution et maximum, une couche cachée, un softmax.

Emploi : lenet.py mnist.pkl.gz [mini-lots]
"""

import sys

import numpy
import theano
import theano.tensor as T
from mlp import HiddenLayer
from softmax_regression import SoftmaxRegression, load_data
from theano.tensor.nnet import conv
from theano.tensor.signal import downsample


class LeNetConvPoolLayer:
    """Convolution, maximum par fenêtres, biais, tanh."""

    def __init__(self, rng, input, filter_shape, image_shape, poolsize=(2, 2)):
        assert image_shape[1] == filter_shape[1]
        fan_in = numpy.prod(filter_shape[1:])
        fan_out = filter_shape[0] * numpy.prod(filter_shape[2:]) / numpy.prod(poolsize)
        bound = numpy.sqrt(6.0 / (fan_in + fan_out))
        self.W = theano.shared(
            numpy.asarray(
                rng.uniform(low=-bound, high=bound, size=filter_shape), dtype=theano.config.floatX
            ),
            borrow=True,
        )
        b_values = numpy.zeros((filter_shape[0],), dtype=theano.config.floatX)
        self.b = theano.shared(value=b_values, borrow=True)
        conv_out = conv.conv2d(
            input=input, filters=self.W, filter_shape=filter_shape, image_shape=image_shape
        )
        pooled_out = downsample.max_pool_2d(input=conv_out, ds=poolsize, ignore_border=True)
        self.output = T.tanh(pooled_out + self.b.dimshuffle("x", 0, "x", "x"))
        self.params = [self.W, self.b]


def main(path, n_batches=10, learning_rate=0.1, nkerns=(4, 6), batch_size=50):
    rng = numpy.random.RandomState(23455)
    (train_x, train_y), _, _ = load_data(path)
    index = T.lscalar()
    x = T.matrix("x")
    y = T.ivector("y")

    layer0_input = x.reshape((batch_size, 1, 28, 28))
    layer0 = LeNetConvPoolLayer(
        rng,
        input=layer0_input,
        image_shape=(batch_size, 1, 28, 28),
        filter_shape=(nkerns[0], 1, 5, 5),
    )
    layer1 = LeNetConvPoolLayer(
        rng,
        input=layer0.output,
        image_shape=(batch_size, nkerns[0], 12, 12),
        filter_shape=(nkerns[1], nkerns[0], 5, 5),
    )
    layer2_input = layer1.output.flatten(2)
    layer2 = HiddenLayer(
        rng, input=layer2_input, n_in=nkerns[1] * 4 * 4, n_out=20, activation=T.tanh
    )
    layer3 = SoftmaxRegression(input=layer2.output, n_in=20, n_out=10)
    cost = layer3.negative_log_likelihood(y)

    params = layer3.params + layer2.params + layer1.params + layer0.params
    grads = T.grad(cost, params)
    updates = [(param, param - learning_rate * grad) for param, grad in zip(params, grads)]
    train_model = theano.function(
        [index],
        [cost, layer3.errors(y)],
        updates=updates,
        givens={
            x: train_x[index * batch_size : (index + 1) * batch_size],
            y: train_y[index * batch_size : (index + 1) * batch_size],
        },
    )
    costs = []
    for i in range(n_batches):
        value, error = train_model(i)
        costs.append(value)
        print("mini-lot", i, "coût", value, "erreur", error)
    return costs


if __name__ == "__main__":
    costs = main(sys.argv[1], *map(int, sys.argv[2:]))
