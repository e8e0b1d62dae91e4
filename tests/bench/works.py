"""Les travaux mesurés, et les concurrents."""

import importlib
from typing import NamedTuple


class Work(NamedTuple):
    """Un travail : le dossier qui l’écrit, ses tailles, et de toutes petites pour les tests."""

    folder: str
    sizes: dict
    tiny: dict


class Rival(NamedTuple):
    """Un concurrent : le fichier de chaque travail, ses options, l’environnement où il vit."""

    module: str
    options: dict
    home: str


_TINY_NET = {"batch": 4, "n_batches": 2, "steps": 1, "checked": 3}

WORKS = {
    "softmax_regression": Work("dense", {}, _TINY_NET),
    "lenet_20_50": Work("lenet", {}, {"maps": (2, 3), "hidden": 5, **_TINY_NET}),
    "lenet_10_25": Work(
        "lenet",
        {"maps": (10, 25), "batch": 50, "steps": 50, "checked": 50},
        {"maps": (3, 2), "hidden": 4, **_TINY_NET},
    ),
    "lstm_50": Work("lstm", {}, {"units": 3, "length": 4, **_TINY_NET}),
    "lstm_256": Work("lstm", {"units": 256}, {"units": 5, "length": 3, **_TINY_NET}),
    "fused_chain": Work("fused_chain", {}, {"size": 1000, "steps": 1}),
    "call": Work("call", {}, {"steps": 1}),
}

RIVALS = {
    "engine": Rival("with_engine", {}, "engine"),
    "before": Rival("with_engine", {}, "before"),
    "torch": Rival("with_torch", {}, "peers"),
    "torch_compile": Rival("with_torch", {"compiled": True}, "peers"),
    "jax": Rival("with_jax", {}, "peers"),
    "pytensor": Rival("with_pytensor", {}, "pytensor"),
}


def make_problem(folder, sizes):
    """Le `Problem` du dossier, à ces tailles."""
    return importlib.import_module(f"tests.bench.{folder}.problem").make_problem(**sizes)
