"""switch calcule les deux branches, ifelse une seule."""

import time

import numpy
import theano
from theano import tensor as T
from theano.compile.ops import as_op
from theano.ifelse import ifelse

calls = []


@as_op(itypes=[T.dmatrix], otypes=[T.dscalar])
def slow_mean(m):
    calls.append(m.shape)
    time.sleep(0.01)
    return numpy.array(m.mean())


a, b = T.scalars("a", "b")
x, y = T.matrices("x", "y")
z_switch = T.switch(T.lt(a, b), T.mean(x), T.mean(y))
z_lazy = ifelse(T.lt(a, b), T.mean(x), T.mean(y))
f_switch = theano.function([a, b, x, y], z_switch, mode=theano.Mode(linker="vm"))
f_lazy = theano.function([a, b, x, y], z_lazy, mode=theano.Mode(linker="cvm"))
val1, val2 = 0.0, 1.0
big1 = numpy.ones((100, 10), dtype=theano.config.floatX)
big2 = numpy.zeros((10, 10), dtype=theano.config.floatX)
chosen = f_switch(val1, val2, big1, big2), f_lazy(val1, val2, big1, big2)
others = f_switch(val2, val1, big1, big2), f_lazy(val2, val1, big1, big2)

# Une seule branche est calculée
p, q = T.dmatrices("pq")
lazy = theano.function([a, p, q], ifelse(T.gt(a, 0), slow_mean(p), slow_mean(q)))
left = lazy(1.0, big1, big2), list(calls)
del calls[:]
right = lazy(-1.0, big1, big2), list(calls)

# Plusieurs valeurs à la fois
n, m = ifelse(T.gt(a, 0), [p.sum(), p.mean()], [q.sum(), q.mean()])
several = theano.function([a, p, q], [n, m])(1.0, big1, big2)

# Le gradient suit la branche prise
t = T.dscalar("t")
piecewise = ifelse(T.gt(t, 1), t**2, 3 * t)
slope = theano.function([t], T.grad(piecewise, t))
slopes = slope(2.0), slope(0.5)

# switch terme à terme, et sa dérivée
v = T.dvector("v")
huber = T.switch(abs(v) <= 1, 0.5 * v**2, abs(v) - 0.5)
huber_at = theano.function([v], [huber, T.grad(huber.sum(), v)])([-3.0, -0.5, 0.0, 2.0])
print(chosen, others)
