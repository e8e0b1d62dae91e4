"""Les réseaux récurrents, coût par coût contre une rétropropagation écrite à la main (float64)."""

import random

import numpy as np

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


def lstm_gradients(params, x, mask):
    """Le coût et les gradients, pour des lettres x (temps, lot) et leur masque."""
    emb_table, W, U, bias, V, c_out = params
    dim = U.shape[0]
    n_steps, n_samples = x.shape[0] - 1, x.shape[1]
    emb, m = emb_table[x[:-1]], mask[1:]
    h, c = np.zeros((n_samples, dim)), np.zeros((n_samples, dim))
    kept, hidden = [], []
    for t in range(n_steps):
        pre = emb[t] @ W + bias + h @ U
        i, f, o = (ref.sigmoid(pre[:, k * dim : (k + 1) * dim]) for k in range(3))
        g = np.tanh(pre[:, 3 * dim :])
        m_t = m[t][:, None]
        new_c = m_t * (f * c + i * g) + (1 - m_t) * c
        new_h = m_t * (o * np.tanh(new_c)) + (1 - m_t) * h
        kept.append((h, c, i, f, o, g, new_c, m_t))
        h, c = new_h, new_c
        hidden.append(h)
    proj = np.array(hidden)
    p = ref.softmax(proj @ V + c_out)
    times, rows = np.indices((n_steps, n_samples))
    picked = p[times, rows, x[1:]] + 1e-8
    total = m.sum()
    cost = -(np.log(picked) * m).sum() / total

    scale = -(m / total / picked * (picked - 1e-8))[..., None]
    one_hot = np.zeros_like(p)
    one_hot[times, rows, x[1:]] = 1
    dz = scale * (one_hot - p)
    d_proj = dz @ V.T
    dU, d_pre_all = np.zeros_like(U), np.zeros((n_steps, n_samples, 4 * dim))
    dh, dc = np.zeros((n_samples, dim)), np.zeros((n_samples, dim))
    for t in reversed(range(n_steps)):
        h_prev, c_prev, i, f, o, g, new_c, m_t = kept[t]
        dh = dh + d_proj[t]
        tanh_c = np.tanh(new_c)
        dc = dc + dh * m_t * o * (1 - tanh_c**2)
        d_o = dh * m_t * tanh_c
        d_cell = dc * m_t
        gates = [d_cell * g * i * (1 - i), d_cell * c_prev * f * (1 - f), d_o * o * (1 - o)]
        d_pre = np.concatenate([*gates, d_cell * i * (1 - g**2)], axis=1)
        d_pre_all[t] = d_pre
        dU += h_prev.T @ d_pre
        dh = dh * (1 - m_t) + d_pre @ U.T
        dc = d_cell * f + dc * (1 - m_t)
    d_emb = np.zeros_like(emb_table)
    np.add.at(d_emb, x[:-1], d_pre_all @ W.T)
    dW = np.einsum("tbi,tbj->ij", emb, d_pre_all)
    dV = np.einsum("tbi,tbj->ij", proj, dz)
    return cost, [d_emb, dW, dU, d_pre_all.sum((0, 1)), dV, dz.sum((0, 1))]


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
