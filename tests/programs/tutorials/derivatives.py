"""Gradients, jacobiennes, hessiennes, produits avec un vecteur, méthode de Newton."""

import numpy
import theano
import theano.tensor as tt
from theano import pp

# Le gradient d’un carré, et ce qu’il en reste après réécriture
x = tt.dscalar("x")
y = x**2
gy = tt.grad(y, x)
formula = pp(gy)
f = theano.function([x], gy)
simplified = pp(f.maker.fgraph.outputs[0])
slopes = f(4), numpy.allclose(f(94.2), 188.4)

# Celui de la fonction logistique
m = tt.dmatrix("m")
s = tt.sum(1 / (1 + tt.exp(-m)))
dlogistic = theano.function([m], tt.grad(s, m))
logistic_slopes = dlogistic([[0, 1], [-1, -2]])

# Jacobienne par scan
v = tt.dvector("v")
w = v**3 + v.sum() * v
J, updates = theano.scan(
    lambda i, w, v: tt.grad(w[i], v), sequences=tt.arange(w.shape[0]), non_sequences=[w, v]
)
jacobian_by_scan = theano.function([v], J, updates=updates)([4, 4, -1])
jacobian = theano.function([v], theano.gradient.jacobian(w, v))([4, 4, -1])

# Hessienne par scan
cost = (v**2).sum() ** 2 + tt.exp(v[0] * v[1])
gv = tt.grad(cost, v)
H, updates = theano.scan(
    lambda i, gv, v: tt.grad(gv[i], v), sequences=tt.arange(gv.shape[0]), non_sequences=[gv, v]
)
hessian_by_scan = theano.function([v], H, updates=updates)([0.4, 0.3, -1])
hessian = theano.function([v], theano.gradient.hessian(cost, v))([0.4, 0.3, -1])

# Produits : jacobienne fois vecteur, vecteur fois jacobienne, hessienne fois vecteur
W = tt.dmatrix("W")
V = tt.dmatrix("V")
h = tt.dvector("h")
out = tt.dot(h, W)
JV = tt.Rop(out, W, V)
right = theano.function([W, V, h], JV)([[1, 1], [1, 1]], [[2, 2], [2, 2]], [0, 1])
r = tt.dvector("r")
VJ = tt.Lop(out, W, r)
left = theano.function([r, h], VJ)([2, 2], [0, 1])
q = tt.dvector("q")
vH = tt.grad(tt.sum(gv * q), v)
hv_by_grad = theano.function([v, q], vH)([0.4, 0.3, -1], [1, 2, 3])
hv_by_rop = theano.function([v, q], tt.Rop(gv, v, q))([0.4, 0.3, -1], [1, 2, 3])

# Une suite de gradients du même coût, celui d’un morceau tenu pour constant
p = tt.dvector("p")
norm = tt.sqrt((p**2).sum())
unit = theano.gradient.disconnected_grad(norm)
frozen = theano.function([p], tt.grad((p / unit).sum(), p))([3.0, 4.0])
constant = theano.function([p], tt.grad((p / norm).sum(), p, consider_constant=[norm]))([3.0, 4.0])
known = theano.function([p], tt.grad(None, p, known_grads={p**2: tt.ones_like(p)}))
unused = theano.function(
    [p, x], tt.grad(p.sum(), x, disconnected_inputs="ignore"), on_unused_input="ignore"
)([1.0], 2.0)
theano.gradient.verify_grad(
    lambda z: tt.tanh(z).sum(), [numpy.array([0.3, -0.7])], rng=numpy.random
)

# Newton sur la fonction de Rosenbrock
point = theano.shared(numpy.array([-1.2, 1.0]), name="point")
rosenbrock = (1 - point[0]) ** 2 + 100 * (point[1] - point[0] ** 2) ** 2
g, H = tt.grad(rosenbrock, point), theano.gradient.hessian(rosenbrock, point)
step = theano.tensor.nlinalg.matrix_inverse(H).dot(g)
newton = theano.function([], rosenbrock, updates={point: point - step})
path = [(newton(), point.get_value())[0] for _ in range(7)]
solution = point.get_value()
print("minimum en", solution)
