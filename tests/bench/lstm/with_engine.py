"""Avec notre moteur."""

import engine.tensor as T
from engine.nn.layers import LSTM, Dense, Embedding
from tests.bench.libraries import with_engine


def build(problem):
    """(entrées, coût, paramètres)"""
    table, W, U, b, V, d = problem.initial
    x, y, mask = T.lmatrix("x"), T.lmatrix("y"), T.matrix("mask")
    embedding = Embedding(*table.shape, W=table)
    lstm = LSTM(len(W), len(U), W=W, U=U, b=b)
    output = Dense(*V.shape, W=V, b=d)
    scores = output(lstm(embedding(x), mask)).reshape((-1, V.shape[1]))
    labels, weights = y.flatten(), mask.flatten()
    log_p = T.log(T.nnet.softmax(scores))[T.arange(labels.shape[0]), labels]
    parameters = embedding.parameters + lstm.parameters + output.parameters
    return [x, y, mask], -(log_p * weights).sum() / weights.sum(), parameters


def make(problem):
    return with_engine.descent(problem, lambda: build(problem))
