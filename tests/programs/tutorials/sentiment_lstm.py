"""Classer des phrases : plongement, LSTM masqué, moyenne dans le temps, décrochage, Adadelta."""

from collections import OrderedDict

import numpy
import theano
from theano import config, tensor
from theano.sandbox.rng_mrg import MRG_RandomStreams as RandomStreams

SEED = 123
GOOD = ["bon", "beau", "superbe", "drôle"]
BAD = ["mauvais", "laid", "triste", "lent"]
NEUTRAL = ["un", "film", "très", "assez", "avec", "acteurs", "ce"]
WORDS = ["", *GOOD, *BAD, *NEUTRAL]


def make_reviews(n, rng):
    """Des suites de mots ; l’étiquette dit quel camp de mots y est le plus présent."""
    reviews, labels = [], []
    for _ in range(n):
        label = rng.randint(2)
        words = [rng.choice(GOOD if label else BAD) for _ in range(rng.randint(1, 4))]
        words += [rng.choice(NEUTRAL) for _ in range(rng.randint(2, 7))]
        rng.shuffle(words)
        reviews.append([WORDS.index(word) for word in words])
        labels.append(label)
    return reviews, labels


def prepare_data(seqs, labels):
    lengths = [len(s) for s in seqs]
    x = numpy.zeros((numpy.max(lengths), len(seqs))).astype("int64")
    x_mask = numpy.zeros((numpy.max(lengths), len(seqs))).astype(theano.config.floatX)
    for idx, s in enumerate(seqs):
        x[: lengths[idx], idx] = s
        x_mask[: lengths[idx], idx] = 1.0
    return x, x_mask, labels


def numpy_floatX(data):
    return numpy.asarray(data, dtype=config.floatX)


def dropout_layer(state_before, use_noise, trng):
    return tensor.switch(
        use_noise,
        state_before * trng.binomial(state_before.shape, p=0.5, n=1, dtype=state_before.dtype),
        state_before * 0.5,
    )


def lstm_layer(tparams, state_below, dim, mask=None):
    nsteps = state_below.shape[0]
    n_samples = state_below.shape[1] if state_below.ndim == 3 else 1
    assert mask is not None

    def _slice(_x, n, dim):
        if _x.ndim == 3:
            return _x[:, :, n * dim : (n + 1) * dim]
        return _x[:, n * dim : (n + 1) * dim]

    def _step(m_, x_, h_, c_):
        preact = tensor.dot(h_, tparams["lstm_U"])
        preact += x_
        i = tensor.nnet.sigmoid(_slice(preact, 0, dim))
        f = tensor.nnet.sigmoid(_slice(preact, 1, dim))
        o = tensor.nnet.sigmoid(_slice(preact, 2, dim))
        c = f * c_ + i * tensor.tanh(_slice(preact, 3, dim))
        c = m_[:, None] * c + (1.0 - m_)[:, None] * c_
        h = o * tensor.tanh(c)
        h = m_[:, None] * h + (1.0 - m_)[:, None] * h_
        return h, c

    state_below = tensor.dot(state_below, tparams["lstm_W"]) + tparams["lstm_b"]
    rval, _ = theano.scan(
        _step,
        sequences=[mask, state_below],
        outputs_info=[
            tensor.alloc(numpy_floatX(0.0), n_samples, dim),
            tensor.alloc(numpy_floatX(0.0), n_samples, dim),
        ],
        n_steps=nsteps,
    )
    return rval[0]


def adadelta(tparams, grads, x, mask, y, cost):
    zipped_grads = [
        theano.shared(p.get_value() * numpy_floatX(0.0), name="%s_grad" % k)
        for k, p in tparams.items()
    ]
    running_up2 = [
        theano.shared(p.get_value() * numpy_floatX(0.0), name="%s_rup2" % k)
        for k, p in tparams.items()
    ]
    running_grads2 = [
        theano.shared(p.get_value() * numpy_floatX(0.0), name="%s_rgrad2" % k)
        for k, p in tparams.items()
    ]
    zgup = [(zg, g) for zg, g in zip(zipped_grads, grads)]
    rg2up = [(rg2, 0.95 * rg2 + 0.05 * (g**2)) for rg2, g in zip(running_grads2, grads)]
    f_grad_shared = theano.function(
        [x, mask, y], cost, updates=zgup + rg2up, name="adadelta_f_grad_shared"
    )
    updir = [
        -tensor.sqrt(ru2 + 1e-6) / tensor.sqrt(rg2 + 1e-6) * zg
        for zg, ru2, rg2 in zip(zipped_grads, running_up2, running_grads2)
    ]
    ru2up = [(ru2, 0.95 * ru2 + 0.05 * (ud**2)) for ru2, ud in zip(running_up2, updir)]
    param_up = [(p, p + ud) for p, ud in zip(tparams.values(), updir)]
    f_update = theano.function(
        [], [], updates=ru2up + param_up, on_unused_input="ignore", name="adadelta_f_update"
    )
    return f_grad_shared, f_update


def main(dim=8, n_epochs=6, batch=20, decay_c=0.001):
    rng = numpy.random.RandomState(SEED)
    reviews, labels = make_reviews(120, rng)
    test_reviews, test_labels = make_reviews(60, rng)
    params = OrderedDict()
    params["Wemb"] = (0.5 * rng.randn(len(WORDS), dim)).astype(config.floatX)
    params["lstm_W"] = (0.5 * rng.randn(dim, 4 * dim)).astype(config.floatX)
    params["lstm_U"] = (0.5 * rng.randn(dim, 4 * dim)).astype(config.floatX)
    params["lstm_b"] = numpy.zeros(4 * dim).astype(config.floatX)
    params["U"] = 0.5 * rng.randn(dim, 2).astype(config.floatX)
    params["b"] = numpy.zeros((2,)).astype(config.floatX)
    tparams = OrderedDict((k, theano.shared(v, name=k)) for k, v in params.items())

    trng = RandomStreams(SEED)
    use_noise = theano.shared(numpy_floatX(0.0))
    x = tensor.matrix("x", dtype="int64")
    mask = tensor.matrix("mask", dtype=config.floatX)
    y = tensor.vector("y", dtype="int64")
    n_timesteps, n_samples = x.shape[0], x.shape[1]
    emb = tparams["Wemb"][x.flatten()].reshape([n_timesteps, n_samples, dim])
    proj = lstm_layer(tparams, emb, dim, mask=mask)
    proj = (proj * mask[:, :, None]).sum(axis=0)
    proj = proj / mask.sum(axis=0)[:, None]
    proj = dropout_layer(proj, use_noise, trng)
    pred = tensor.nnet.softmax(tensor.dot(proj, tparams["U"]) + tparams["b"])
    f_pred = theano.function([x, mask], pred.argmax(axis=1), name="f_pred")
    off = 1e-8
    if pred.dtype == "float16":
        off = 1e-6
    cost = -tensor.log(pred[tensor.arange(n_samples), y] + off).mean()
    decay = theano.shared(numpy_floatX(decay_c), name="decay_c")
    cost += (tparams["U"] ** 2).sum() * decay
    grads = tensor.grad(cost, wrt=list(tparams.values()))
    f_grad_shared, f_update = adadelta(tparams, grads, x, mask, y, cost)

    costs, errors = [], []
    for _ in range(n_epochs):
        for start in range(0, len(reviews), batch):
            use_noise.set_value(1.0)
            chosen = slice(start, start + batch)
            costs.append(f_grad_shared(*prepare_data(reviews[chosen], labels[chosen])))
            f_update()
        use_noise.set_value(0.0)
        tx, tmask, ty = prepare_data(test_reviews, test_labels)
        errors.append((f_pred(tx, tmask) != ty).mean())
    print("coût", costs[0], "->", costs[-1], "erreur", errors[-1])
    return {"costs": costs, "errors": errors, "params": [p.get_value() for p in tparams.values()]}


if __name__ == "__main__":
    results = main()
