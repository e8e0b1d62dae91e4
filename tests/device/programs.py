"""Les programmes chronométrés : un pas d’apprentissage, du minilot de l’hôte au coût rapporté.

Ce sont ceux de `tests/bench`, à leur taille de GPU ; leurs références en float64 disent s’ils
apprennent juste. La leçon 6 est une couche sans rien de caché, la leçon 7 le LeNet 20/50.
"""

import contextlib
import functools
import importlib

import numpy as np

import engine
from engine.nn.optimizers import sgd
from tests.bench.works import make_problem
from tests.device.requests import by_columns
from tests.device.rivals import (
    DEFAULT,
    EXACT,
    Rival,
    descent,
    lstm_by_cells,
    lstm_by_library,
    mean_loss,
)
from tests.device.table import LENET, LENET_BY_COLUMNS, LSTM
from tests.device.works import Case, on_gpu

_PROFILED = 10  # pas
_CHECKED = 3  # pas après lesquels on compare les paramètres
_LENET = mean_loss("lenet")


def learner(folder, problem, profile=False):
    """(la fonction d’un pas, ses paramètres, ce qui les remet à la convention de la référence)."""
    work = importlib.import_module(f"tests.bench.{folder}.with_engine")

    def build():
        inputs, cost, parameters = work.build(problem)
        step = engine.function(
            inputs, cost, updates=sgd(cost, parameters, problem.rate), profile=profile
        )
        return step, parameters

    step, parameters = on_gpu(build)
    return step, parameters, getattr(work, "flipped", list)


def program(folder, sizes, tiny, rivals, small, compiling=contextlib.nullcontext):
    """Un pas de l’apprentissage décrit par `tests/bench/<folder>`, compilé dans ce contexte."""
    problem = make_problem(folder, tiny if small else sizes)
    with compiling():
        step, parameters, export = learner(folder, problem)

    def gap():
        for index in range(1, _CHECKED):  # le premier pas vient d’être fait
            step(*problem.batch(index))
        learned = export([parameter.get_value() for parameter in parameters])
        pairs = zip(learned, problem.reference(_CHECKED), strict=True)
        return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)

    return Case(
        lambda: step(*problem.batch(0)), "hôte",
        operations=problem.flop, bytes=problem.moved, gap=gap, tolerance=1e-4,
        rivals={
            name: Rival(descent(problem, make_loss, captured), precision)
            for name, (make_loss, precision, captured) in rivals.items()
        },
    )  # fmt: skip


def profiles(small):
    """(nom, profil) de chaque programme : la durée de chaque nœud, le GPU attendu à chaque fois."""
    for name, (folder, sizes, tiny, _) in ROWS.items():
        problem = make_problem(folder, tiny if small else sizes)
        learner(folder, problem)[0](*problem.batch(0))  # charge les noyaux : ce n’est pas calculer
        step, *_ = learner(folder, problem, profile=True)
        for _ in range(_PROFILED):
            step(*problem.batch(0))
        yield name, step.profile


_SHORT = {"n_batches": _CHECKED, "steps": 1}
_TINY = {"batch": 4, **_SHORT}
ROWS = {
    "régression logistique, lot de 500": (
        "dense", {"batch": 500, **_SHORT}, _TINY,
        {
            "PyTorch": (mean_loss("dense"), EXACT, False),
            "PyTorch, graphe": (mean_loss("dense"), EXACT, True),
        },
    ),
    LENET: (
        "lenet", {"batch": 500, **_SHORT}, {"maps": (2, 3), "hidden": 5, **_TINY},
        {
            "PyTorch": (_LENET, EXACT, False),
            "PyTorch TF32": (_LENET, DEFAULT, False),
            "PyTorch, graphe": (_LENET, EXACT, True),
            "PyTorch TF32, graphe": (_LENET, DEFAULT, True),
        },
    ),
    LSTM: (
        "lstm", {"units": 512, "batch": 64, "length": 100, **_SHORT},
        {"units": 3, "length": 4, **_TINY},
        {
            "PyTorch, cellules": (lstm_by_cells, EXACT, False),
            "PyTorch, cellules, graphe": (lstm_by_cells, EXACT, True),
            "cuDNN": (lstm_by_library, EXACT, False),
            "cuDNN, graphe": (lstm_by_library, EXACT, True),
            "cuDNN TF32": (lstm_by_library, DEFAULT, False),
        },
    ),
}  # fmt: skip


def programs():
    """Les pas d’apprentissage ; et le LeNet par colonnes et produits, que cuDNN soit là ou non."""
    found = {name: functools.partial(program, *row) for name, row in ROWS.items()}
    columns = functools.partial(program, *ROWS[LENET], compiling=by_columns)
    return found | {LENET_BY_COLUMNS: columns}
