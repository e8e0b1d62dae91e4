"""Les fonctions des réseaux de neurones : activations, entropies, convolutions, normalisation."""

from engine.tensor.nnet import bn, conv, upsampling
from engine.tensor.nnet.bn import batch_normalization_test, batch_normalization_train
from engine.tensor.nnet.conv import conv2d, conv2d_transpose, conv3d, separable_conv2d
from engine.tensor.nnet.functions import (
    binary_crossentropy,
    categorical_crossentropy,
    elu,
    h_softmax,
    hard_sigmoid,
    logsoftmax,
    relu,
    selu,
    sigmoid,
    sigmoid_binary_crossentropy,
    softmax,
    softplus,
    softsign,
    ultra_fast_sigmoid,
)
