"""Faire tourner un programme de `tutorials` par `engine.compat`, et lui préparer MNIST."""

import gzip
import pickle
from pathlib import Path

import pytest

from course.data import mnist
from engine import compat, config

TUTORIALS = Path(__file__).with_name("tutorials")
SIZES = {"train": 1000, "valid": 300, "test": 300}

collect_ignore = ["tutorials"]  # des programmes pour Theano : ils n’ont de sens que par compat


@pytest.fixture(scope="session")
def digits():
    """Le début de MNIST : trois couples (images, étiquettes)."""
    data = mnist()
    return [
        (getattr(data, part).x[:size].astype("float64"), getattr(data, part).y[:size])
        for part, size in SIZES.items()
    ]


@pytest.fixture(scope="session")
def mnist_file(digits, tmp_path_factory):
    """`mnist.pkl.gz`, comme les tutoriels le lisent."""
    path = tmp_path_factory.mktemp("data") / "mnist.pkl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        pickle.dump(digits, file)
    return str(path)


@pytest.fixture
def tutorial():
    """`tutorial("mlp.py", arguments...)` : les noms que le programme laisse."""
    with config.change_flags(floatX="float64"):
        yield lambda name, *arguments: compat.run(TUTORIALS / name, list(map(str, arguments)))
