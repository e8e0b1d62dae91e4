"""LSTM de caractères : prédire la lettre suivante, phrases de longueurs inégales, masques."""

from collections import OrderedDict

import numpy
import theano
from theano import config, tensor

SENTENCES = [
    "le chat dort",
    "le chien court vite",
    "la chatte dort aussi",
    "les chiens courent",
    "le chat court",
    "la pluie tombe",
    "le chien dort",
    "les chats dorment",
]
LETTERS = sorted(set("".join(SENTENCES)))


def numpy_floatX(data):
    return numpy.asarray(data, dtype=config.floatX)


def prepare_data(sentences):
    """Les phrases en colonnes, complétées par des zéros, et leur masque."""
    longest = max(map(len, sentences))
    x = numpy.zeros((longest, len(sentences))).astype("int64")
    mask = numpy.zeros((longest, len(sentences))).astype(config.floatX)
    for column, sentence in enumerate(sentences):
        x[: len(sentence), column] = [LETTERS.index(letter) for letter in sentence]
        mask[: len(sentence), column] = 1.0
    return x, mask


def ortho_weight(rng, ndim):
    u, _, _ = numpy.linalg.svd(rng.randn(ndim, ndim))
    return u.astype(config.floatX)


def init_params(dim, rng):
    params = OrderedDict()
    params["Wemb"] = (0.1 * rng.rand(len(LETTERS), dim)).astype(config.floatX)
    params["lstm_W"] = numpy.concatenate([ortho_weight(rng, dim) for _ in range(4)], axis=1)
    params["lstm_U"] = numpy.concatenate([ortho_weight(rng, dim) for _ in range(4)], axis=1)
    params["lstm_b"] = numpy.zeros((4 * dim,)).astype(config.floatX)
    params["U"] = 0.1 * rng.randn(dim, len(LETTERS)).astype(config.floatX)
    params["b"] = numpy.zeros((len(LETTERS),)).astype(config.floatX)
    return params


def init_tparams(params):
    tparams = OrderedDict()
    for name, value in params.items():
        tparams[name] = theano.shared(value, name=name)
    return tparams


def lstm_layer(tparams, state_below, dim, mask):
    nsteps = state_below.shape[0]
    n_samples = state_below.shape[1]

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
        c = tensor.tanh(_slice(preact, 3, dim))
        c = f * c_ + i * c
        c = m_[:, None] * c + (1.0 - m_)[:, None] * c_
        h = o * tensor.tanh(c)
        h = m_[:, None] * h + (1.0 - m_)[:, None] * h_
        return h, c

    state_below = tensor.dot(state_below, tparams["lstm_W"]) + tparams["lstm_b"]
    rval, _updates = theano.scan(
        _step,
        sequences=[mask, state_below],
        outputs_info=[
            tensor.alloc(numpy_floatX(0.0), n_samples, dim),
            tensor.alloc(numpy_floatX(0.0), n_samples, dim),
        ],
        name="lstm_layers",
        n_steps=nsteps,
    )
    return rval[0]


def rmsprop(lr, tparams, grads, x, mask, cost):
    zipped = [
        theano.shared(p.get_value() * numpy_floatX(0.0), name="%s_rms" % k)
        for k, p in tparams.items()
    ]
    rg2up = [(rg2, 0.9 * rg2 + 0.1 * (g**2)) for rg2, g in zip(zipped, grads)]
    pup = [
        (p, p - lr * g / tensor.sqrt(rg2[1] + 1e-6))
        for p, g, rg2 in zip(tparams.values(), grads, rg2up)
    ]
    return theano.function([x, mask, lr], cost, updates=rg2up + pup, name="rmsprop_update")


def main(dim=10, n_updates=60):
    rng = numpy.random.RandomState(123)
    tparams = init_tparams(init_params(dim, rng))
    x = tensor.matrix("x", dtype="int64")
    mask = tensor.matrix("mask", dtype=config.floatX)
    lr = tensor.scalar(name="lr")
    n_timesteps, n_samples = x.shape[0] - 1, x.shape[1]

    emb = tparams["Wemb"][x[:-1].flatten()].reshape([n_timesteps, n_samples, dim])
    proj = lstm_layer(tparams, emb, dim, mask=mask[1:])
    logits = tensor.dot(proj, tparams["U"]) + tparams["b"]
    pred = tensor.nnet.softmax(logits.reshape((n_timesteps * n_samples, len(LETTERS))))
    picked = pred[tensor.arange(n_timesteps * n_samples), x[1:].flatten()]
    off = 1e-8
    cost = -(tensor.log(picked + off) * mask[1:].flatten()).sum() / mask[1:].sum()
    grads = tensor.grad(cost, wrt=list(tparams.values()))
    f_grad = theano.function([x, mask], grads, name="f_grad")
    f_update = rmsprop(lr, tparams, grads, x, mask, cost)

    first, second = prepare_data(SENTENCES[:4]), prepare_data(SENTENCES[4:])
    first_grads = f_grad(*first)
    costs = []
    for update in range(n_updates):
        costs.append(f_update(*(first if update % 2 == 0 else second), 0.01))
    print("coût :", costs[0], "->", costs[-1])
    return {
        "costs": costs,
        "first_grads": first_grads,
        "params": [p.get_value() for p in tparams.values()],
    }


if __name__ == "__main__":
    results = main()
