"""Auto-encodeurs empilés : préentraînement couche par couche, puis réglage fin supervisé.

Emploi : stacked_autoencoder.py mnist.pkl.gz [époques]
"""

import sys

import numpy
import theano
import theano.tensor as T
from denoising_autoencoder import DenoisingAutoencoder
from mlp import HiddenLayer
from softmax_regression import SoftmaxRegression, load_data
from theano.sandbox.rng_mrg import MRG_RandomStreams as RandomStreams


class StackedAutoencoder:
    """Chaque couche sigmoïde partage ses poids avec un auto-encodeur débruiteur."""

    def __init__(self, numpy_rng, n_ins, hidden_layers_sizes, n_outs):
        self.sigmoid_layers = []
        self.dA_layers = []
        self.params = []
        theano_rng = RandomStreams(numpy_rng.randint(2**30))
        self.x = T.matrix("x")
        self.y = T.ivector("y")
        layer_input, input_size = self.x, n_ins
        for size in hidden_layers_sizes:
            layer = HiddenLayer(
                rng=numpy_rng,
                input=layer_input,
                n_in=input_size,
                n_out=size,
                activation=T.nnet.sigmoid,
            )
            self.sigmoid_layers.append(layer)
            self.params.extend(layer.params)
            self.dA_layers.append(
                DenoisingAutoencoder(
                    numpy_rng=numpy_rng,
                    theano_rng=theano_rng,
                    input=layer_input,
                    n_visible=input_size,
                    n_hidden=size,
                    W=layer.W,
                    bhid=layer.b,
                )
            )
            layer_input, input_size = layer.output, size
        self.top = SoftmaxRegression(input=layer_input, n_in=input_size, n_out=n_outs)
        self.params.extend(self.top.params)
        self.finetune_cost = self.top.negative_log_likelihood(self.y)

    def pretraining_functions(self, train_set_x, batch_size):
        index = T.lscalar("index")
        corruption_level = T.scalar("corruption")
        learning_rate = T.scalar("lr")
        batch_begin = index * batch_size
        batch_end = batch_begin + batch_size
        functions = []
        for dA in self.dA_layers:
            cost, updates = dA.get_cost_updates(corruption_level, learning_rate)
            functions.append(
                theano.function(
                    inputs=[
                        index,
                        theano.In(corruption_level, value=0.2),
                        theano.In(learning_rate, value=0.1),
                    ],
                    outputs=cost,
                    updates=updates,
                    givens={self.x: train_set_x[batch_begin:batch_end]},
                )
            )
        return functions

    def build_finetune_functions(self, train_set, batch_size, learning_rate):
        index = T.lscalar("index")
        gparams = T.grad(self.finetune_cost, self.params)
        updates = [
            (param, param - gparam * learning_rate) for param, gparam in zip(self.params, gparams)
        ]
        rows = slice(index * batch_size, (index + 1) * batch_size)
        return theano.function(
            inputs=[index],
            outputs=self.finetune_cost,
            updates=updates,
            givens={self.x: train_set[0][rows], self.y: train_set[1][rows]},
            name="train",
        )


def main(path, n_epochs=2, batch_size=20):
    train_set = load_data(path)[0]
    n_batches = train_set[0].get_value(borrow=True).shape[0] // batch_size
    sda = StackedAutoencoder(numpy.random.RandomState(89677), 28 * 28, [30, 20], 10)
    pretraining = []
    for train, level in zip(sda.pretraining_functions(train_set[0], batch_size), (0.1, 0.2)):
        for _ in range(n_epochs):
            pretraining.append(
                [train(index=i, corruption=level, lr=0.05) for i in range(n_batches)]
            )
    finetune = sda.build_finetune_functions(train_set, batch_size, 0.3)
    finetuning = [finetune(i) for _ in range(n_epochs) for i in range(n_batches)]
    return pretraining, finetuning


if __name__ == "__main__":
    pretraining, finetuning = main(sys.argv[1], *map(int, sys.argv[2:]))
    print("réglage fin :", finetuning[0], "->", finetuning[-1])
