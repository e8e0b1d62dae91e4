"""Des filtres de convolution sur une image : contours, bords, pas, fenêtres."""

import numpy
import theano
from theano import tensor as T
from theano.tensor.nnet import conv2d
from theano.tensor.signal import pool

rng = numpy.random.RandomState(23455)
image = numpy.random.RandomState(0).rand(1, 3, 19, 24)

# Deux filtres au hasard sur une image de trois couleurs
input = T.tensor4(name="input")
w_shp = (2, 3, 9, 9)
w_bound = numpy.sqrt(3 * 9 * 9)
W = theano.shared(
    numpy.asarray(
        rng.uniform(low=-1.0 / w_bound, high=1.0 / w_bound, size=w_shp), dtype=input.dtype
    ),
    name="W",
)
b = theano.shared(
    numpy.asarray(rng.uniform(low=-0.5, high=0.5, size=(2,)), dtype=input.dtype), name="b"
)
conv_out = conv2d(input, W)
output = T.nnet.sigmoid(conv_out + b.dimshuffle("x", 0, "x", "x"))
filtered = theano.function([input], output)(image)

# Contours : les filtres de Sobel, par convolution et par corrélation
sobel = numpy.array([[[[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]]]])
gray = T.dtensor4("gray")
edges = {}
for mode in ("valid", "full", "half", (1, 2), 1):
    edges[mode] = theano.function([gray], conv2d(gray, sobel, border_mode=mode))(image[:, :1])
correlated = theano.function([gray], conv2d(gray, sobel, filter_flip=False))(image[:, :1])
strided = theano.function([gray], conv2d(gray, sobel, subsample=(2, 3)))(image[:, :1])
dilated = theano.function([gray], conv2d(gray, sobel, filter_dilation=(2, 2)))(image[:, :1])

# Fenêtres : maximum, moyennes, fenêtres qui se recouvrent
maxpool_shape = (2, 2)
pooled = {
    ignore: theano.function([gray], pool.pool_2d(gray, maxpool_shape, ignore_border=ignore))(
        image[:, :1]
    )
    for ignore in (True, False)
}
overlapping = theano.function(
    [gray], pool.pool_2d(gray, ws=(3, 3), stride=(2, 2), ignore_border=True, mode="average_inc_pad")
)(image[:, :1])
padded = theano.function(
    [gray], pool.pool_2d(gray, ws=(3, 3), pad=(1, 1), ignore_border=True, mode="max")
)(image[:, :1])

# Apprendre un filtre : retrouver Sobel d’après ses effets
kernel = theano.shared(numpy.zeros((1, 1, 3, 3)), name="kernel")
target = theano.shared(edges["valid"], name="target")
cost = T.mean((conv2d(gray, kernel) - target) ** 2)
learn = theano.function([gray], cost, updates=[(kernel, kernel - 0.3 * T.grad(cost, kernel))])
costs = [learn(image[:, :1]) for _ in range(200)]
learned = kernel.get_value()
print("coût :", costs[0], "->", costs[-1])
