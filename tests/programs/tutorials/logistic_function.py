"""La fonction logistique et ce que `theano.function` permet : plusieurs sorties, valeurs par
défaut, état, givens, copies, tirages.
"""

import numpy as np
import theano
import theano.tensor as T
from theano import function, shared
from theano.compile import In
from theano.ifelse import ifelse  # noqa: F401  importé par habitude, comme souvent
from theano.tensor.shared_randomstreams import RandomStreams

# La fonction logistique, de deux façons
x = T.dmatrix("x")
s = 1 / (1 + T.exp(-x))
logistic = theano.function([x], s)
logistic2 = theano.function([x], (1 + T.tanh(x / 2)) / 2)
values = np.array([[0, 1], [-1, -2]])
both = logistic(values), logistic2([[0, 1], [-1, -2]])

# Plusieurs sorties
a, b = T.dmatrices("a", "b")
diff = a - b
compare = function([a, b], [diff, abs(diff), diff**2])
differences = compare([[1, 1], [1, 1]], [[0, 1], [2, 3]])

# Valeurs par défaut, arguments nommés
u, v, w = T.dscalars("u", "v", "w")
weighted = function([u, In(v, value=1), In(w, value=2, name="w_by_name")], (u + v) * w)
defaults = [weighted(33), weighted(33, 2), weighted(33, 0, 1), weighted(33, w_by_name=1, v=0)]

# État
state = shared(0)
inc = T.iscalar("inc")
accumulator = function([inc], state, updates=[(state, state + inc)])
decrementor = function([inc], state, updates=[(state, state - inc)])
seen = [int(accumulator(1)), int(accumulator(300)), int(state.get_value())]
state.set_value(-1)
seen += [int(accumulator(3)), int(decrementor(2)), int(state.get_value())]

# givens : une autre valeur à la place de l’état
fn_of_state = state * 2 + inc
foo = T.scalar(dtype=state.dtype)
skip_shared = function([inc, foo], fn_of_state, givens=[(state, foo)])
skipped = [int(skip_shared(1, 3)), int(state.get_value())]

# Copier en changeant d’état
new_state = theano.shared(0)
new_accumulator = accumulator.copy(swap={state: new_state})
seen_by_copy = [new_accumulator(100), new_state.get_value(), state.get_value()]
null_accumulator = accumulator.copy(delete_updates=True)
seen_by_null = [null_accumulator(9000), state.get_value()]

# Tirages
srng = RandomStreams(seed=234)
rv_u = srng.uniform((2, 2))
rv_n = srng.normal((2, 2))
f = function([], rv_u)
g = function([], rv_n, no_default_updates=True)
nearly_zeros = function([], rv_u + rv_u - 2 * rv_u)
draws = f(), f(), g(), g(), nearly_zeros()

# Repartir d’un même état, remettre la graine, reprendre l’état d’un autre
rng_val = rv_u.rng.get_value(borrow=True)
before = f()
rv_u.rng.set_value(rng_val, borrow=True)
again = f()
srng.seed(902340)
after_seed = f()

# Une régression logistique en vrai
rng = np.random.RandomState(0)
N, feats, training_steps = 200, 30, 300
D = (rng.randn(N, feats), rng.randint(size=N, low=0, high=2))
X = T.dmatrix("X")
Y = T.dvector("Y")
weights = theano.shared(rng.randn(feats), name="weights")
bias = theano.shared(0.0, name="bias")
p_1 = 1 / (1 + T.exp(-T.dot(X, weights) - bias))
prediction = p_1 > 0.5
xent = -Y * T.log(p_1) - (1 - Y) * T.log(1 - p_1)
cost = xent.mean() + 0.01 * (weights**2).sum()
gw, gb = T.grad(cost, [weights, bias])
train = theano.function(
    inputs=[X, Y],
    outputs=[prediction, xent],
    updates=((weights, weights - 0.1 * gw), (bias, bias - 0.1 * gb)),
)
predict = theano.function(inputs=[X], outputs=prediction)
costs = []
for _ in range(training_steps):
    pred, err = train(D[0], D[1])
    costs.append(err.mean())
final_weights, final_bias = weights.get_value(), bias.get_value()
accuracy = (predict(D[0]) == D[1]).mean()
print("justes :", accuracy)
