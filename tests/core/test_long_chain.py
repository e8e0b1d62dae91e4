"""Aucun parcours n’est récursif : une chaîne plus longue que la pile de Python passe partout."""

import copy
import pickle
import sys

import numpy as np
import pytest

from engine import debugprint, pp
from engine import tensor as T
from engine.tensor.cloning import clone
from tests.core.long_chain import by_hand, run

LENGTH = 4 * sys.getrecursionlimit()


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
def test_compiles_and_differentiates(mode):
    value, derivative, _, _ = run(LENGTH, mode)
    np.testing.assert_allclose((value, derivative), by_hand(LENGTH, 0.5), rtol=1e-9)


def test_prints_copies_and_pickles():
    x = T.dscalar("x")
    y = x
    for _ in range(LENGTH):
        y = -y
    assert len(debugprint(y, file="str").splitlines()) == LENGTH + 1
    assert pp(y).count("-") == LENGTH
    clone(y), copy.deepcopy(y), pickle.loads(pickle.dumps(y))
