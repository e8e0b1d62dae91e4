"""Les réseaux récurrents, coût par coût contre une rétropropagation écrite à la main (float64)."""

import random

import numpy as np

from engine import function
from engine import tensor as T
from engine.tensor.shared_randomstreams import RandomStreams
from tests.programs import reference as ref


def test_word_tagging(tutorial):
    found = tutorial("word_tagging.py")
    corpus = found["make_corpus"](30, random.Random(0))
    rng = np.random.RandomState(42)
    n_words = len(found["WORDS"])
    shapes = [(n_words + 1, 6), (18, 12), (12, 12), (12, 4)]
    emb, wx, wh, w = (0.2 * rng.uniform(-1.0, 1.0, shape) for shape in shapes)
    bh, b, h0 = np.zeros(12), np.zeros(4), np.zeros(12)
    costs = []
    for _ in range(8):
        for words, labels in corpus:
            padded = [-1, *words, -1]
            idx = np.array([padded[i : i + 3] for i in range(len(words))])
            x = emb[idx].reshape(len(words), 18)
            states = [h0]
            for x_t in x:
                states.append(ref.sigmoid(x_t @ wx + states[-1] @ wh + bh))
            h = np.array(states[1:])
            cost, dz = ref.softmax_cost(h @ w + b, np.array(labels))
            costs.append(cost)
            d_pre, carried = np.zeros_like(h), np.zeros(12)
            for t in reversed(range(len(words))):
                d_pre[t] = (dz[t] @ w.T + carried) * h[t] * (1 - h[t])
                carried = d_pre[t] @ wh.T
            d_emb = np.zeros_like(emb)
            np.add.at(d_emb, idx, (d_pre @ wx.T).reshape(len(words), 3, 6))
            grads = [
                d_emb, x.T @ d_pre, np.array(states[:-1]).T @ d_pre, h.T @ dz,
                d_pre.sum(axis=0), dz.sum(axis=0), carried,
            ]  # fmt: skip
            ref.step([emb, wx, wh, w, bh, b, h0], grads, 0.5)
            emb /= np.sqrt((emb**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found["costs"], costs, 1e-8)
    for obtained, expected in zip(found["parameters"], (emb, wx, wh, w, bh, b, h0), strict=True):
        np.testing.assert_allclose(obtained, expected, 1e-7, 1e-9)
    assert np.mean(costs[-30:]) < 0.25 * np.mean(costs[:30])
    assert found["accuracy"] > 0.95


def lstm(emb, mask, W, U, bias):
    """Les états cachés, et la fonction qui rend les dérivées (emb, W, U, biais) d’un coût."""
    n_steps, n_samples, _ = emb.shape
    dim = U.shape[0]
    h, c = np.zeros((n_samples, dim)), np.zeros((n_samples, dim))
    kept, hidden = [], []
    for t in range(n_steps):
        pre = emb[t] @ W + bias + h @ U
        i, f, o = (ref.sigmoid(pre[:, k * dim : (k + 1) * dim]) for k in range(3))
        g, m = np.tanh(pre[:, 3 * dim :]), mask[t][:, None]
        new_c = m * (f * c + i * g) + (1 - m) * c
        kept.append((h, c, i, f, o, g, new_c, m))
        h, c = m * (o * np.tanh(new_c)) + (1 - m) * h, new_c
        hidden.append(h)

    def back(d_hidden):
        d_pre, dU = np.zeros((n_steps, n_samples, 4 * dim)), np.zeros_like(U)
        dh, dc = np.zeros((n_samples, dim)), np.zeros((n_samples, dim))
        for t in reversed(range(n_steps)):
            h_prev, c_prev, i, f, o, g, new_c, m = kept[t]
            dh = dh + d_hidden[t]
            tanh_c = np.tanh(new_c)
            dc = dc + dh * m * o * (1 - tanh_c**2)
            d_o, d_cell = dh * m * tanh_c, dc * m
            gates = [d_cell * g * i * (1 - i), d_cell * c_prev * f * (1 - f), d_o * o * (1 - o)]
            d_pre[t] = np.concatenate([*gates, d_cell * i * (1 - g**2)], axis=1)
            dU += h_prev.T @ d_pre[t]
            dh = dh * (1 - m) + d_pre[t] @ U.T
            dc = d_cell * f + dc * (1 - m)
        return d_pre @ W.T, np.einsum("tbi,tbj->ij", emb, d_pre), dU, d_pre.sum((0, 1))

    return np.array(hidden), back


def lstm_gradients(params, x, mask):
    """Le coût et les gradients, pour des lettres x (temps, lot) et leur masque."""
    emb_table, W, U, bias, V, c_out = params
    n_steps, n_samples, m = x.shape[0] - 1, x.shape[1], mask[1:]
    proj, back = lstm(emb_table[x[:-1]], m, W, U, bias)
    p = ref.softmax(proj @ V + c_out)
    times, rows = np.indices((n_steps, n_samples))
    picked = p[times, rows, x[1:]] + 1e-8
    total = m.sum()
    scale = -(m / total / picked * (picked - 1e-8))[..., None]
    one_hot = np.zeros_like(p)
    one_hot[times, rows, x[1:]] = 1
    dz = scale * (one_hot - p)
    d_below, dW, dU, d_bias = back(dz @ V.T)
    d_emb = np.zeros_like(emb_table)
    np.add.at(d_emb, x[:-1], d_below)
    dV = np.einsum("tbi,tbj->ij", proj, dz)
    cost = -(np.log(picked) * m).sum() / total
    return cost, [d_emb, dW, dU, d_bias, dV, dz.sum((0, 1))]


def test_char_lstm(tutorial):
    found = tutorial("char_lstm.py")
    sentences, letters = found["SENTENCES"], found["LETTERS"]

    def columns(sentences):
        longest = max(map(len, sentences))
        x, mask = np.zeros((2, longest, len(sentences)))
        for column, sentence in enumerate(sentences):
            x[: len(sentence), column] = [letters.index(letter) for letter in sentence]
            mask[: len(sentence), column] = 1
        return x.astype(int), mask

    rng, n = np.random.RandomState(123), len(letters)
    emb = 0.1 * rng.rand(n, 10)
    W, U = (
        np.concatenate([np.linalg.svd(rng.randn(10, 10))[0] for _ in range(4)], axis=1)
        for _ in range(2)
    )
    params = [emb, W, U, np.zeros(40), 0.1 * rng.randn(10, n), np.zeros(n)]
    both = columns(sentences[:4]), columns(sentences[4:])
    for obtained, expected in zip(
        found["results"]["first_grads"], lstm_gradients(params, *both[0])[1], strict=True
    ):
        np.testing.assert_allclose(obtained, expected, 1e-8, 1e-12)
    squares = [np.zeros_like(param) for param in params]
    costs = []
    for update in range(60):
        cost, grads = lstm_gradients(params, *both[update % 2])
        costs.append(cost)
        for param, square, grad in zip(params, squares, grads, strict=True):
            square[...] *= 0.9
            square[...] += 0.1 * grad**2
            param[...] -= 0.01 * grad / np.sqrt(square + 1e-6)
    np.testing.assert_allclose(found["results"]["costs"], costs, 1e-7)
    assert costs[-1] < 0.6 * costs[0]


def test_sentiment_lstm(tutorial):
    found = tutorial("sentiment_lstm.py")
    rng = np.random.RandomState(123)
    reviews, labels = found["make_reviews"](120, rng)
    tests = found["make_reviews"](60, rng)
    n = len(found["WORDS"])
    shapes = [(n, 8), (8, 32), (8, 32), None, (8, 2), None]
    params = [np.zeros(0) if shape is None else 0.5 * rng.randn(*shape) for shape in shapes]
    params[3], params[5] = np.zeros(32), np.zeros(2)
    n_rows = T.lscalar()
    draw = function([n_rows], RandomStreams(123).binomial((n_rows, 8), p=0.5, dtype="float64"))
    squares, steps = ([np.zeros_like(param) for param in params] for _ in range(2))

    def columns(reviews):
        x, mask = np.zeros((2, max(map(len, reviews)), len(reviews)))
        for column, review in enumerate(reviews):
            x[: len(review), column], mask[: len(review), column] = review, 1
        return x.astype(int), mask

    def pooled(x, mask):
        hidden, back = lstm(params[0][x], mask, *params[1:4])
        return (hidden * mask[..., None]).sum(axis=0) / mask.sum(axis=0)[:, None], back

    costs, errors = [], []
    for _ in range(6):
        for start in range(0, 120, 20):
            x, mask = columns(reviews[start : start + 20])
            y = np.array(labels[start : start + 20])
            _, _, _, _, U, b = params
            mean, back = pooled(x, mask)
            kept = draw(20)
            p = ref.softmax(mean * kept @ U + b)
            picked = p[np.arange(20), y] + 1e-8
            costs.append(-np.log(picked).mean() + 0.001 * (U**2).sum())
            dz = p - np.eye(2)[y]
            dz *= ((picked - 1e-8) / picked / 20)[:, None]
            d_mean = dz @ U.T * kept / mask.sum(axis=0)[:, None]
            d_below, dW, dU, d_bias = back(d_mean * mask[..., None])
            d_emb = np.zeros_like(params[0])
            np.add.at(d_emb, x, d_below)
            dV = (mean * kept).T @ dz + 0.002 * U
            for rank, grad in enumerate([d_emb, dW, dU, d_bias, dV, dz.sum(axis=0)]):
                squares[rank] = 0.95 * squares[rank] + 0.05 * grad**2
                step = -np.sqrt(steps[rank] + 1e-6) / np.sqrt(squares[rank] + 1e-6) * grad
                steps[rank] = 0.95 * steps[rank] + 0.05 * step**2
                params[rank] = params[rank] + step
        mean, _ = pooled(*columns(tests[0]))
        draw(60)  # la prédiction tire aussi, sans s’en servir
        predicted = (mean * 0.5 @ params[4] + params[5]).argmax(axis=1)
        errors.append((predicted != np.array(tests[1])).mean())
    np.testing.assert_allclose(found["results"]["costs"], costs, 1e-8)
    np.testing.assert_allclose(found["results"]["errors"], errors, 1e-12)
    for obtained, expected in zip(found["results"]["params"], params, strict=True):
        np.testing.assert_allclose(obtained, expected, 1e-7, 1e-10)
    assert costs[-1] < costs[0] and errors[-1] < 0.15
