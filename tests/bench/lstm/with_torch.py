"""PyTorch : pas à pas, la boucle LSTM de la bibliothèque ; compilé, la cellule d’un pas.

Les masques n’annulent que des fins de suites : ce que l’état y devient ne touche pas au coût, et
la boucle de la bibliothèque, qui n’a pas de masque, donne les mêmes gradients.
"""

import torch
from torch.nn.functional import cross_entropy, embedding

from tests.bench.libraries import with_torch


def library_loop(rows, W, U, b, zeros):
    def ordered(weights):  # PyTorch range les blocs i, f, g, o, et transpose
        i, f, o, g = weights.chunk(4, dim=-1)
        return torch.cat([i, f, g, o], dim=-1).T.contiguous()

    bias = ordered(b[None])[:, 0]
    flat = [ordered(W), ordered(U), bias, torch.zeros_like(bias)]
    return torch.lstm(rows, (zeros[None], zeros[None]), flat, True, 1, 0.0, True, False, False)[0]


def cell(row, h, c, U):
    i, f, o, g = (row + h @ U).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def by_cells(cell):
    """La boucle écrite pas à pas."""

    def loop(rows, W, U, b, zeros):
        h = c = zeros
        outputs = []
        for row in (rows @ W + b).unbind():
            h, c = cell(row, h, c, U)
            outputs.append(h)
        return torch.stack(outputs)

    return loop


def make_loss(problem, loop):
    """La fonction qui rend le coût d’un minilot, la boucle étant celle-là."""
    zeros = torch.zeros(problem.sizes["batch"], problem.sizes["units"])

    def loss(parameters, x, y, mask):
        table, W, U, b, V, d = parameters
        scores = loop(embedding(x, table), W, U, b, zeros) @ V + d
        losses = cross_entropy(scores.flatten(0, 1), y.flatten(), reduction="none")
        return (losses * mask.flatten()).sum() / mask.sum()

    return loss


def make(problem, compiled=False):
    loop = by_cells(torch.compile(cell)) if compiled else library_loop
    return with_torch.descent(problem, make_loss(problem, loop))
