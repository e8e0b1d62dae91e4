"""RNN-RBM : les biais d’une machine de Boltzmann suivent une récurrence ; engendrer une mélodie."""

import numpy
import theano
import theano.tensor as T
from theano.tensor.shared_randomstreams import RandomStreams

rng = RandomStreams(seed=numpy.random.RandomState(0xBEEF).randint(1 << 30))
theano.config.warn.subtensor_merge_bug = False
numpy_rng = numpy.random.RandomState(7)


def build_rbm(v, W, bv, bh, k):
    def gibbs_step(v):
        mean_h = T.nnet.sigmoid(T.dot(v, W) + bh)
        h = rng.binomial(size=mean_h.shape, n=1, p=mean_h, dtype=theano.config.floatX)
        mean_v = T.nnet.sigmoid(T.dot(h, W.T) + bv)
        v = rng.binomial(size=mean_v.shape, n=1, p=mean_v, dtype=theano.config.floatX)
        return mean_v, v

    chain, updates = theano.scan(
        lambda v: gibbs_step(v)[1], outputs_info=[v], n_steps=k, name="gibbs"
    )
    v_sample = chain[-1]
    mean_v = gibbs_step(v_sample)[0]
    monitor = T.xlogx.xlogy0(v, mean_v) + T.xlogx.xlogy0(1 - v, 1 - mean_v)
    monitor = monitor.sum() / v.shape[0]

    def free_energy(v):
        return -(v * bv).sum() - T.log(1 + T.exp(T.dot(v, W) + bh)).sum()

    cost = (free_energy(v) - free_energy(v_sample)) / v.shape[0]
    return v_sample, cost, monitor, updates


def shared_normal(num_rows, num_cols, scale):
    return theano.shared(
        numpy_rng.normal(scale=scale, size=(num_rows, num_cols)).astype(theano.config.floatX)
    )


def shared_zeros(*shape):
    return theano.shared(numpy.zeros(shape, dtype=theano.config.floatX))


def build_rnnrbm(n_visible, n_hidden, n_hidden_recurrent, n_generate):
    W = shared_normal(n_visible, n_hidden, 0.1)
    bv, bh = shared_zeros(n_visible), shared_zeros(n_hidden)
    Wuh = shared_normal(n_hidden_recurrent, n_hidden, 0.1)
    Wuv = shared_normal(n_hidden_recurrent, n_visible, 0.1)
    Wvu = shared_normal(n_visible, n_hidden_recurrent, 0.1)
    Wuu = shared_normal(n_hidden_recurrent, n_hidden_recurrent, 0.1)
    bu = shared_zeros(n_hidden_recurrent)
    params = W, bv, bh, Wuh, Wuv, Wvu, Wuu, bu
    v = T.matrix()
    u0 = T.zeros((n_hidden_recurrent,))

    def recurrence(v_t, u_tm1):
        bv_t = bv + T.dot(u_tm1, Wuv)
        bh_t = bh + T.dot(u_tm1, Wuh)
        generate = v_t is None
        if generate:
            v_t, _, _, updates = build_rbm(T.zeros((n_visible,)), W, bv_t, bh_t, k=5)
        u_t = T.tanh(bu + T.dot(v_t, Wvu) + T.dot(u_tm1, Wuu))
        return ([v_t, u_t], updates) if generate else [u_t, bv_t, bh_t]

    (u_t, bv_t, bh_t), updates_train = theano.scan(
        lambda v_t, u_tm1, *_: recurrence(v_t, u_tm1),
        sequences=v,
        outputs_info=[u0, None, None],
        non_sequences=params,
    )
    v_sample, cost, monitor, updates_rbm = build_rbm(v, W, bv_t[:], bh_t[:], k=3)
    updates_train.update(updates_rbm)
    (v_t, u_t), updates_generate = theano.scan(
        lambda u_tm1, *_: recurrence(None, u_tm1),
        outputs_info=[None, u0],
        non_sequences=params,
        n_steps=n_generate,
    )
    return v, v_sample, cost, monitor, params, updates_train, v_t, updates_generate


def main(n_epochs=30, lr=0.1):
    v, v_sample, cost, monitor, params, updates_train, v_t, updates_generate = build_rnnrbm(
        8, 6, 5, 12
    )
    gradient = T.grad(cost, params, consider_constant=[v_sample])
    updates_train.update(((p, p - lr * g) for p, g in zip(params, gradient)))
    train_function = theano.function([v], [monitor, v_sample], updates=updates_train)
    generate_function = theano.function([], v_t, updates=updates_generate)
    scale = numpy.eye(8)[numpy.arange(24) % 8].astype(theano.config.floatX)  # une gamme
    initial = [p.get_value() for p in params]
    steps = []
    for _ in range(n_epochs):
        steps.append(train_function(scale))
    print("moniteur", steps[0][0], "->", steps[-1][0])
    return {
        "initial": initial,
        "steps": steps,
        "params": [p.get_value() for p in params],
        "melodies": [generate_function() for _ in range(2)],
        "scale": scale,
    }


if __name__ == "__main__":
    results = main()
