"""Une couche convolutive d’un seul tenant : convolution, maximum de chaque carré 2 × 2, biais,
activation.

Une réécriture (`rewriting.device_convolutions`) pose ces ops dans une fonction du GPU ; personne ne
les écrit. La convolution elle-même, quatre fois plus grande que ce qui en sort, n’est ni écrite ni
relue : le gradient n’a besoin que du rang du maximum dans chaque carré, un octet.

Ordre de lecture : `ConvolutionPool`, `PoolGivenBack`, `PoolGivenFilters`.
"""

import numpy as np

from engine.core.graph import Apply, Op
from engine.core.scalars import SCALARS, upcast
from engine.core.types import TensorConstant, TensorType


class ConvolutionPool(Op):
    """f(maximum des carrés de conv(x, w) + b), et le rang de chaque maximum dans son carré.

    Paramètres
        convolution, pool : les deux ops réunies ; le pooling prend le maximum de carrés 2 × 2.
        activation : le nom de f dans la table des fonctions scalaires, ou None.
    """

    tested_by = "une réécriture du GPU seule la pose : tests/gpu/test_convolutions"
    __props__ = ("convolution", "pool", "activation")
    foldable = False

    def __init__(self, convolution, pool, activation=None):
        self.convolution, self.pool, self.activation = convolution, pool, activation

    def make_node(self, x, w, b):
        shape = self.out_shape(x.type.shape, w.type.shape)
        dtype = upcast(x.dtype, w.dtype)
        outputs = [TensorType(dtype, shape=shape)(), TensorType("uint8", shape=shape)()]
        return Apply(self, [x, w, b], outputs)

    def out_shape(self, x_shape, w_shape):
        """La forme des deux sorties."""
        return self.pool.output_shape(self.convolution.output_shape(x_shape, w_shape))

    def infer_shape(self, node, input_shapes):
        return [self.out_shape(*input_shapes[:2])] * 2

    def perform(self, node, inputs, output_storage):
        x, w, b = inputs
        whole, dtype = [[None]], node.outputs[0].dtype
        self.convolution.perform(self.convolution.make_node(*node.inputs[:2]), [x, w], whole)
        best, positions = self.pool.first_maximum(whole[0][0])
        best = best + b[:, None, None]
        if self.activation is not None:
            best = SCALARS[self.activation].numpy(best)
        output_storage[0][0] = best.astype(dtype, copy=False)
        output_storage[1][0] = positions.astype(np.uint8)

    def samples(self):
        rng = np.random.default_rng(0)
        return [
            [rng.normal(size=(2, 2, height, 7)), rng.normal(size=(3, 2, 3, 2)), rng.normal(size=3)]
            for height in (6, 7)
        ]

    def __str__(self):
        inside = f"{self.convolution}, {self.pool}"
        return f"conv_pool{{{inside}{', ' + self.activation if self.activation else ''}}}"


class PoolGivenBack(Op):
    """Gradient de la convolution d’une `ConvolutionPool` : le pixel de ce rang reçoit tout.

    Entrées : les rangs, le gradient reçu, puis l’image et les filtres de la convolution, dont seule
    la forme est lue.
    """

    tested_by = "une réécriture du GPU seule la pose : tests/gpu/test_convolutions"
    __props__ = ("convolution", "pool")
    foldable = False

    def __init__(self, convolution, pool):
        self.convolution, self.pool = convolution, pool

    def make_node(self, positions, g, x, w):
        shape = self.convolution.output_shape(x.type.shape, w.type.shape)
        return Apply(self, [positions, g, x, w], [TensorType(g.dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        return [self.convolution.output_shape(*input_shapes[2:])]

    def perform(self, node, inputs, output_storage):
        positions, g, x, w = inputs
        result = np.zeros(self.convolution.output_shape(x.shape, w.shape), g.dtype)
        for position, windows, pixels in self.pool.places(result.shape):
            result[pixels] += np.where(positions[windows] == position, g[windows], 0)
        output_storage[0][0] = result

    def samples(self):
        rng = np.random.default_rng(1)
        cases = []
        for height in (6, 7):
            x, w = rng.normal(size=(2, 2, height, 7)), rng.normal(size=(3, 2, 3, 2))
            shape = self.pool.output_shape(self.convolution.output_shape(x.shape, w.shape))
            positions = rng.integers(0, 4, shape).astype("uint8")
            cases.append([positions, rng.normal(size=shape), x, w])
        return cases

    def __str__(self):
        return f"conv_pool_grad{{{self.pool}}}"


class PoolGivenFilters(Op):
    """Gradient des filtres d’une `ConvolutionPool`, sans celui de la convolution.

    Entrées : l’image, les rangs, le gradient reçu, puis les longueurs des axes du filtre.
    `gradient` : l’op qui dérive la convolution par ses filtres.
    """

    tested_by = "une réécriture du GPU seule la pose : tests/gpu/test_convolutions"
    __props__ = ("gradient", "pool")
    foldable = False

    def __init__(self, gradient, pool):
        self.gradient, self.pool = gradient, pool

    def make_node(self, x, positions, g, *lengths):
        known = [int(n.data) if isinstance(n, TensorConstant) else None for n in lengths]
        shape = (g.type.shape[1], x.type.shape[1], *known)
        return Apply(self, [x, positions, g, *lengths], [TensorType(g.dtype, shape=shape)()])

    def infer_shape(self, node, input_shapes):
        x, _, g, *_ = input_shapes
        return [(g[1], x[1], *node.inputs[3:])]

    def filters_shape(self, x_shape, g_shape, lengths):
        """La forme du résultat."""
        return (g_shape[1], x_shape[1], *map(int, lengths))

    def perform(self, node, inputs, output_storage):
        x, positions, g, *lengths = inputs
        shape, back = self.filters_shape(x.shape, g.shape, lengths), [[None]]
        given = PoolGivenBack(self.gradient, self.pool)
        given.perform(None, [positions, g, x, np.empty(shape, x.dtype)], back)
        output_storage[0][0] = self.gradient.compute(x, back[0][0], shape)

    def samples(self):
        backs = PoolGivenBack(self.gradient, self.pool).samples()
        return [[x, positions, g, *map(np.array, w.shape[2:])] for positions, g, x, w in backs]

    def __str__(self):
        return f"conv_pool_grad_filters{{{self.pool}}}"
