"""Écrire ses propres ops : d’une classe, d’une classe à réglages, d’une fonction Python."""

import numpy
import theano
import theano.tensor as T
from theano.compile.ops import as_op
from theano.tests import unittest_tools as utt


class DoubleOp(theano.Op):
    """x -> 2 x."""

    __props__ = ()

    def make_node(self, x):
        x = theano.tensor.as_tensor_variable(x)
        return theano.Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        x = inputs[0]
        z = output_storage[0]
        z[0] = x * 2

    def infer_shape(self, node, i0_shapes):
        return i0_shapes

    def grad(self, inputs, output_grads):
        return [output_grads[0] * 2]

    def R_op(self, inputs, eval_points):
        if eval_points[0] is None:
            return eval_points
        return self.grad(inputs, eval_points)


class AXPBOp(theano.Op):
    """x -> a x + b, les réglages a et b dans `__props__`."""

    __props__ = ("a", "b")

    def __init__(self, a, b):
        self.a = a
        self.b = b
        super().__init__()

    def make_node(self, x):
        x = theano.tensor.as_tensor_variable(x)
        return theano.Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = self.a * inputs[0] + self.b

    def infer_shape(self, node, i0_shapes):
        return i0_shapes

    def grad(self, inputs, output_grads):
        return [self.a * output_grads[0]]


class SumDiffOp(theano.Op):
    """(x, y) -> (x + y, x - y) : deux sorties, dont l’une peut ne pas servir."""

    __props__ = ()

    def make_node(self, x, y):
        x, y = T.as_tensor_variable(x), T.as_tensor_variable(y)
        outdim = x.type.ndim
        output = T.TensorType(
            dtype=theano.scalar.upcast(x.dtype, y.dtype), broadcastable=[False] * outdim
        )
        return theano.Apply(self, inputs=[x, y], outputs=[output(), output()])

    def perform(self, node, inputs, output_storage):
        x, y = inputs
        z1, z2 = output_storage
        z1[0] = x + y
        z2[0] = x - y

    def infer_shape(self, node, i0_shapes):
        return [i0_shapes[0], i0_shapes[0]]

    def grad(self, inputs, output_grads):
        og1, og2 = output_grads
        if og1 is None:
            og1 = theano.tensor.zeros_like(inputs[0])
        if og2 is None:
            og2 = theano.tensor.zeros_like(inputs[0])
        return [og1 + og2, og1 - og2]


class TakeRow(theano.Op):
    """La ligne i d’une matrice ; i n’a pas de gradient."""

    __props__ = ()

    def make_node(self, x, i):
        x, i = T.as_tensor_variable(x), T.as_tensor_variable(i)
        return theano.gof.Apply(self, [x, i], [T.vector(dtype=x.dtype)])

    def perform(self, node, inputs, output_storage):
        x, i = inputs
        output_storage[0][0] = x[i].copy()

    def connection_pattern(self, node):
        return [[True], [False]]

    def grad(self, inputs, output_grads):
        x, i = inputs
        gx = T.set_subtensor(T.zeros_like(x)[i], output_grads[0])
        return [gx, theano.gradient.DisconnectedType()()]


def infer_shape_numpy_dot(node, input_shapes):
    ashp, bshp = input_shapes
    return [ashp[:-1] + bshp[-1:]]


@as_op(itypes=[T.dmatrix, T.dmatrix], otypes=[T.dmatrix], infer_shape=infer_shape_numpy_dot)
def numpy_dot(a, b):
    return numpy.dot(a, b)


x = T.dmatrix("x")
inp = numpy.random.RandomState(0).rand(5, 4)
out = theano.function([x], DoubleOp()(x))(inp)
mult4plus5op, mult2plus3op = AXPBOp(4, 5), AXPBOp(2, 3)
affine = theano.function([x], mult4plus5op(x))(inp), theano.function([x], mult2plus3op(x))(inp)
same_ops = AXPBOp(4, 5) == AXPBOp(4, 5), AXPBOp(4, 5) == AXPBOp(2, 3)
slope = theano.function([x], T.grad((mult4plus5op(x) ** 2).sum(), x))(inp)
composed = theano.function([x], T.grad(DoubleOp()(AXPBOp(3, 1)(x)).sum(), x))(inp)
rop = theano.function([x], T.Rop(DoubleOp()(x) ** 2, x, T.ones_like(x)))(inp)

y = T.dmatrix("y")
s, d = SumDiffOp()(x, y)
both = theano.function([x, y], [s, d])(inp, inp * 3)
one_used = theano.function([x, y], T.grad((d**2).sum(), [x, y]))(inp, inp * 3)

i = T.lscalar("i")
row = TakeRow()(x, i)
row_value, row_slope = theano.function([x, i], [row, T.grad((row**2).sum(), x)])(inp, 2)

product = theano.function([x, y], numpy_dot(x, y))(inp, inp.T)
lengths = theano.function([x, y], numpy_dot(x, y).shape)(inp, inp.T)
utt.verify_grad(DoubleOp(), [inp])
utt.verify_grad(AXPBOp(4.0, 5.0), [inp])
T.verify_grad(lambda a, b: SumDiffOp()(a, b)[0], [inp, inp], rng=numpy.random)
in_debug = theano.function([x], DoubleOp()(x).sum(), mode="DebugMode")(inp)
only_theano = isinstance(DoubleOp(), theano.Op), isinstance((x + 1).owner.op, theano.gof.Op)
print(out[0], row_value)
