"""Étiqueter les mots d’une phrase par un réseau d’Elman sur des fenêtres de contexte."""

import random
from collections import OrderedDict

import numpy
import theano
from theano import tensor as T

WORDS = (
    "<vide> je veux un vol de paris à rome lyon nice lundi mardi jeudi pour madrid demain".split()
)
LABELS = ["rien", "départ", "arrivée", "jour"]


def make_corpus(n, rng):
    """Des demandes de vols, une étiquette par mot."""
    cities, days = (
        ["paris", "rome", "lyon", "nice", "madrid"],
        ["lundi", "mardi", "jeudi", "demain"],
    )
    corpus = []
    for _ in range(n):
        start, end = rng.sample(cities, 2)
        order = [("de", start, "départ"), ("à", end, "arrivée")]
        rng.shuffle(order)
        words = [(word, "rien") for word in "je veux un vol".split()]
        for preposition, city, label in order:
            words += [(preposition, "rien"), (city, label)]
        if rng.random() < 0.5:
            words += [("pour", "rien"), (rng.choice(days), "jour")]
        corpus.append(
            ([WORDS.index(word) for word, _ in words], [LABELS.index(label) for _, label in words])
        )
    return corpus


def contextwin(l, win):  # noqa: E741
    """Une fenêtre de `win` mots autour de chaque mot, complétée par des -1 aux bords."""
    assert (win % 2) == 1
    padded = win // 2 * [-1] + list(l) + win // 2 * [-1]
    return [padded[i : (i + win)] for i in range(len(l))]


class RNNSLU:
    """Plongement des mots, état caché récurrent, softmax à chaque mot."""

    def __init__(self, nh, nc, ne, de, cs, normal=True):
        rng = numpy.random.RandomState(42)

        def weights(name, *shape):
            values = 0.2 * rng.uniform(-1.0, 1.0, shape).astype(theano.config.floatX)
            return theano.shared(name=name, value=values)

        self.emb = weights("embeddings", ne + 1, de)
        self.wx = weights("wx", de * cs, nh)
        self.wh = weights("wh", nh, nh)
        self.w = weights("w", nh, nc)
        self.bh = theano.shared(name="bh", value=numpy.zeros(nh, dtype=theano.config.floatX))
        self.b = theano.shared(name="b", value=numpy.zeros(nc, dtype=theano.config.floatX))
        self.h0 = theano.shared(name="h0", value=numpy.zeros(nh, dtype=theano.config.floatX))
        self.params = [self.emb, self.wx, self.wh, self.w, self.bh, self.b, self.h0]

        idxs = T.imatrix()
        x = self.emb[idxs].reshape((idxs.shape[0], de * cs))
        y_sentence = T.ivector("y_sentence")

        def recurrence(x_t, h_tm1):
            h_t = T.nnet.sigmoid(T.dot(x_t, self.wx) + T.dot(h_tm1, self.wh) + self.bh)
            s_t = T.nnet.softmax(T.dot(h_t, self.w) + self.b)
            return [h_t, s_t]

        [h, s], _ = theano.scan(
            fn=recurrence, sequences=x, outputs_info=[self.h0, None], n_steps=x.shape[0]
        )
        p_y_given_x_sentence = s[:, 0, :]
        y_pred = T.argmax(p_y_given_x_sentence, axis=1)

        lr = T.scalar("lr")
        sentence_nll = -T.mean(T.log(p_y_given_x_sentence)[T.arange(x.shape[0]), y_sentence])
        sentence_gradients = T.grad(sentence_nll, self.params)
        sentence_updates = OrderedDict(
            (p, p - lr * g) for p, g in zip(self.params, sentence_gradients)
        )
        self.classify = theano.function(inputs=[idxs], outputs=y_pred)
        self.sentence_train = theano.function(
            inputs=[idxs, y_sentence, lr], outputs=sentence_nll, updates=sentence_updates
        )
        self.normalize = theano.function(
            inputs=[],
            updates={self.emb: self.emb / T.sqrt((self.emb**2).sum(axis=1)).dimshuffle(0, "x")},
        )
        self.normal = normal

    def train(self, x, y, window_size, learning_rate):
        words = [numpy.asarray(window).astype("int32") for window in contextwin(x, window_size)]
        cost = self.sentence_train(words, y, learning_rate)
        if self.normal:
            self.normalize()
        return cost


def main(n_epochs=8, window=3, n_sentences=30):
    corpus = make_corpus(n_sentences, random.Random(0))
    held_out = make_corpus(20, random.Random(1))
    rnn = RNNSLU(nh=12, nc=len(LABELS), ne=len(WORDS), de=6, cs=window)
    costs = []
    for epoch in range(n_epochs):
        costs += [rnn.train(x, y, window, 0.5) for x, y in corpus]
        print("époque", epoch, "coût", numpy.mean(costs[-n_sentences:]))
    right = [
        rnn.classify(numpy.asarray(contextwin(x, window)).astype("int32")) == y for x, y in held_out
    ]
    return costs, numpy.concatenate(right).mean(), [param.get_value() for param in rnn.params]


if __name__ == "__main__":
    costs, accuracy, parameters = main()
    print("mots bien étiquetés :", accuracy)
